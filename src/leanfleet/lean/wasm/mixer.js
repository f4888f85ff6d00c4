'use strict';
// What both hashes of a goal are made of: a mixer of numbers, and lanes of expressions.

const { CTOR, EXPR_FLAG } = require('./layout.js');

const VARIABLES = EXPR_FLAG.hasFVar | EXPR_FLAG.hasExprMVar;

/** Two 32-bit lanes, murmur-style. */
class Mixer {
  constructor() { this.a = 0x9747b28c; this.b = 0x3c6ef372; }
  add(n) {
    this.a = Math.imul(this.a ^ n, 0x5bd1e995); this.a ^= this.a >>> 15;
    this.b = Math.imul(this.b + n | 0, 0x27d4eb2f) ^ (this.a >>> 7); this.b ^= this.b >>> 13;
    return this;
  }
  addAll(lanes) { for (const lane of lanes) this.add(lane); return this; }
  hex() { return [this.a, this.b].map(n => (n >>> 0).toString(16).padStart(8, '0')).join(''); }
  fold() { return [this.a, this.b]; }
}

/** Names of variables by address: a variable appears often, and reading a name is slow. */
class Names {
  constructor(objects) { this.objects = objects; this.known = new Map(); }

  /** Of an fvar or mvar. */
  of(e) {
    const name = this.objects.field(e, 0);
    if (!this.known.has(name)) this.known.set(name, this.objects.name(name));
    return this.known.get(name);
  }
}

/** Lanes of expressions; what variables count for is the caller's. Sees no binder names. */
class ExprHasher {
  /**
   * @param {Objects} objects @param {Names} names @param fvar, mvar functions: name -> lanes
   * @param plain whether annotations (mdata), which no print shows, are looked through
   */
  constructor(objects, names, fvar, mvar, plain = false) {
    Object.assign(this, { objects, names, fvar, mvar, plain });
    this.seen = new Map(); // address -> lanes: expressions are shared heavily
  }

  /** Adds a local {type, value}; value 0: it has none. */
  intoLocal(mixer, local) {
    mixer.addAll(this.lanes(local.type));
    if (local.value) mixer.add(1).addAll(this.lanes(local.value));
  }

  /** Without variables, Lean's own hash of the subterm serves. */
  lanes(e) {
    const { objects } = this;
    if (!(objects.scalar32(e, 4) & (VARIABLES | EXPR_FLAG.hasLevelMVar))) return [objects.scalar32(e, 0), 0];
    const known = this.seen.get(e);
    if (known) return known;
    if (this.plain && objects.tag(e) === CTOR.Expr.mdata) return this.lanes(objects.field(e, 1));
    const tag = objects.tag(e), mixer = new Mixer().add(tag), K = CTOR.Expr;
    switch (tag) {
      case K.fvar: mixer.addAll(this.fvar(this.names.of(e))); break;
      case K.mvar: mixer.addAll(this.mvar(this.names.of(e))); break;
      case K.const: case K.sort: mixer.add(this.levelFree(e)); break;
      case K.proj: mixer.add(objects.nat(objects.field(e, 1))); // and its term
      default: for (const i of children(tag)) mixer.addAll(this.lanes(objects.field(e, i)));
    }
    const lanes = mixer.fold();
    this.seen.set(e, lanes);
    return lanes;
  }

  /** A constant with universe metavariables: its name alone, since their numbers are a process's own. */
  levelFree(e) {
    if (this.objects.tag(e) !== CTOR.Expr.const) return 0;
    let h = 0;
    for (const c of this.objects.name(this.objects.field(e, 0))) h = Math.imul(h, 31) + c.codePointAt(0) | 0;
    return h;
  }
}

/** Calls back for the variables of an expression, left to right, once for each shared subterm. */
function visit(objects, names, e, visited, fvar, mvar) {
  if (!(objects.scalar32(e, 4) & VARIABLES) || visited.has(e)) return;
  visited.add(e);
  const tag = objects.tag(e);
  if (tag === CTOR.Expr.fvar) fvar(names.of(e));
  else if (tag === CTOR.Expr.mvar) mvar(names.of(e));
  else for (const i of children(tag)) visit(objects, names, objects.field(e, i), visited, fvar, mvar);
}

const CHILDREN = {
  [CTOR.Expr.app]: [0, 1], [CTOR.Expr.lam]: [1, 2], [CTOR.Expr.forallE]: [1, 2],
  [CTOR.Expr.letE]: [1, 2, 3], [CTOR.Expr.mdata]: [1], [CTOR.Expr.proj]: [2],
};

/** Fields of an expression that are expressions. */
function children(tag) { return CHILDREN[tag] ?? []; }

/** Counts up in the order of first appearance. */
function numberOf(numbers, name) {
  if (!numbers.has(name)) numbers.set(name, numbers.size);
  return numbers.get(name);
}

module.exports = { Mixer, Names, ExprHasher, visit, numberOf };
