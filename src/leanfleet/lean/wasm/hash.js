'use strict';
// The structural hash of a goal: 64 bits over the elaborated target and local context. Free
// variables count by their place in the context and metavariables by first appearance, so it is
// the same in every process, whatever things are called. Printed goals can hide differences
// (implicit arguments, coercions); this does not.

const { FIELD, CTOR, EXPR_FLAG } = require('./layout.js');

/** Two independent 32-bit lanes, murmur-style. */
class Mixer {
  constructor() { this.a = 0x9747b28c; this.b = 0x3c6ef372; }
  add(n) {
    this.a = Math.imul(this.a ^ n, 0x5bd1e995); this.a ^= this.a >>> 15;
    this.b = Math.imul(this.b + n | 0, 0x27d4eb2f) ^ (this.a >>> 7); this.b ^= this.b >>> 13;
    return this;
  }
  hex() { return [this.a, this.b].map(n => (n >>> 0).toString(16).padStart(8, '0')).join(''); }
  fold() { return [this.a, this.b]; }
}

class GoalHasher {
  /** @param {Monad} monad @param {number[]} contexts of a running MetaM action */
  constructor(monad, contexts) {
    this.monad = monad;
    this.objects = monad.objects;
    this.contexts = contexts;
    this.mvars = new Map(); // name -> order of first appearance, over all goals hashed by this object
  }

  hash(goal) {
    const { objects, monad } = this;
    const decl = monad.meta('l_Lean_MVarId_getDecl', this.contexts, objects.inc(goal));
    this.fvars = new Map();
    this.seen = new Map(); // address -> lanes: expressions are shared heavily
    this.alive = []; // instantiated copies, kept so that addresses stay theirs
    const mixer = new Mixer();
    for (const option of objects.persistentArray(objects.field(objects.field(decl, FIELD.MetavarDecl.lctx), FIELD.LocalContext.decls))) {
      if (objects.isScalar(option)) continue;
      const local = objects.field(option, 0);
      this.fvars.set(objects.name(objects.field(local, FIELD.LocalDecl.fvarId)), this.fvars.size);
      this.into(mixer, objects.field(local, FIELD.LocalDecl.type));
      if (objects.tag(local) === CTOR.LocalDecl.ldecl) this.into(mixer.add(1), objects.field(local, FIELD.LocalDecl.value));
    }
    this.into(mixer.add(2), objects.field(decl, FIELD.MetavarDecl.type));
    for (const o of this.alive) objects.dec(o);
    objects.dec(decl);
    return mixer.hex();
  }

  into(mixer, expr) {
    let whole = expr;
    if (this.flags(expr) & EXPR_FLAG.hasExprMVar) {
      whole = this.monad.instantiate(this.contexts, expr);
      this.alive.push(whole);
    }
    for (const lane of this.expr(whole)) mixer.add(lane);
  }

  flags(expr) { return this.objects.scalar32(expr, 4); }

  /** Lanes of an expression. Without variables, Lean's own hash of the subterm serves. */
  expr(e) {
    const { objects } = this;
    if (!(this.flags(e) & (EXPR_FLAG.hasFVar | EXPR_FLAG.hasExprMVar | EXPR_FLAG.hasLevelMVar))) {
      return [objects.scalar32(e, 0), 0];
    }
    const known = this.seen.get(e);
    if (known) return known;
    const tag = objects.tag(e), mixer = new Mixer().add(tag);
    const child = i => { for (const lane of this.expr(objects.field(e, i))) mixer.add(lane); };
    const K = CTOR.Expr;
    switch (tag) {
      case K.fvar: mixer.add(this.fvars.get(objects.name(objects.field(e, 0))) ?? -1); break;
      case K.mvar: mixer.add(this.mvarNumber(objects.name(objects.field(e, 0)))); break;
      case K.const: case K.sort: mixer.add(this.levelFree(e)); break;
      case K.app: child(0); child(1); break;
      case K.lam: case K.forallE: child(1); child(2); break;
      case K.letE: child(1); child(2); child(3); break;
      case K.mdata: child(1); break;
      case K.proj: mixer.add(objects.nat(objects.field(e, 1))); child(2); break;
      default: mixer.add(objects.scalar32(e, 0)); // bound variables and literals have no such flags
    }
    const lanes = mixer.fold();
    this.seen.set(e, lanes);
    return lanes;
  }

  mvarNumber(name) {
    if (!this.mvars.has(name)) this.mvars.set(name, this.mvars.size);
    return this.mvars.get(name);
  }

  /** A constant with universe metavariables: its name alone, since their numbers are a process's own. */
  levelFree(e) {
    if (this.objects.tag(e) !== CTOR.Expr.const) return 0;
    let h = 0;
    for (const c of this.objects.name(this.objects.field(e, 0))) h = Math.imul(h, 31) + c.codePointAt(0) | 0;
    return h;
  }
}

module.exports = { GoalHasher };
