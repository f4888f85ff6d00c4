'use strict';
// The structural hashes of a goal: 64 bits over the elaborated target and local context. Printed
// goals can hide differences (implicit arguments, coercions); these do not.
//
// `hash`: free variables count by their place in the context and metavariables by first appearance,
// so it is the same in every process, whatever things are called. `loose`: see loose.js.

const { FIELD, CTOR, EXPR_FLAG, LOCAL_NONDEP } = require('./layout.js');
const { Looser } = require('./loose.js');
const { ExprHasher, Mixer, Names, numberOf } = require('./mixer.js');

class GoalHasher {
  /** @param {Monad} monad @param {number[]} contexts of a running MetaM action */
  constructor(monad, contexts) {
    this.monad = monad;
    this.objects = monad.objects;
    this.contexts = contexts;
    this.mvars = new Map(); // name -> order of first appearance, over all goals hashed by this object
    this.looser = new Looser(this.objects);
  }

  /** {hash, loose} of a goal, 16 hex digits each. */
  hashes(goal) {
    const { objects, monad } = this;
    const decl = monad.meta('l_Lean_MVarId_getDecl', this.contexts, objects.inc(goal));
    this.alive = []; // instantiated copies, kept so that addresses stay theirs
    const locals = [];
    for (const option of objects.persistentArray(objects.field(objects.field(decl, FIELD.MetavarDecl.lctx), FIELD.LocalContext.decls))) {
      if (objects.isScalar(option)) continue;
      const local = objects.field(option, 0);
      locals.push({
        name: objects.name(objects.field(local, FIELD.LocalDecl.fvarId)),
        type: this.instantiated(objects.field(local, FIELD.LocalDecl.type)),
        value: this.isLet(local) ? this.instantiated(objects.field(local, FIELD.LocalDecl.value)) : 0,
      });
    }
    const target = this.instantiated(objects.field(decl, FIELD.MetavarDecl.type));
    const names = new Names(objects);
    const found = { hash: this.hash(locals, target, names), loose: this.looser.hash(locals, target, names) };
    for (const o of this.alive) objects.dec(o);
    objects.dec(decl);
    return found;
  }

  hash(locals, target, names) {
    const place = new Map();
    const expressions = new ExprHasher(this.objects, names, name => [place.get(name) ?? -1], name => [numberOf(this.mvars, name)]);
    const mixer = new Mixer();
    for (const local of locals) {
      place.set(local.name, place.size);
      expressions.intoLocal(mixer, local);
    }
    mixer.add(2).addAll(expressions.lanes(target));
    return mixer.hex();
  }

  /** Whether tactics see a local's value: not that of a `have`, which Lean keeps beside it. */
  isLet(local) {
    const { objects } = this;
    return objects.tag(local) === CTOR.LocalDecl.ldecl && !(objects.scalar32(local, LOCAL_NONDEP) & 0xff);
  }

  /** The expression (borrowed) without assigned metavariables, alive until the goal is done. */
  instantiated(expr) {
    if (!(this.objects.scalar32(expr, 4) & EXPR_FLAG.hasExprMVar)) return expr;
    const whole = this.monad.instantiate(this.contexts, expr);
    this.alive.push(whole);
    return whole;
  }
}

module.exports = { GoalHasher };
