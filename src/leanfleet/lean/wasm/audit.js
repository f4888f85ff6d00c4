'use strict';
// What a proof rests on. The verdict asks for the axioms of a theorem; search asks of every closed
// goal whether its proof mentions something that no verdict would accept.
//
// Library theorems and hidden bodies come without their values here and look like axioms; their
// original kind, which the .olean files record, tells them from the true ones (docs/verdict.md).

const { CTOR, FIELD } = require('./layout.js');

const ALLOWED_AXIOMS = ['propext', 'Classical.choice', 'Quot.sound'];
const KIND_AXIOM = 2; // Lean.ConstantKind: defn, thm, axiom, …

/** The kernel evaluates these by compiled code, with no axiom that would show it. */
const COMPILED = ['Lean.reduceBool', 'Lean.reduceNat'];

class Audit {
  constructor(lean) {
    this.lean = lean;
    this.objects = lean.objects;
    this.imported = new Map(); // address of a persistent Name -> whether it may not be used
    this.kept = []; // what borrowed results point into
  }

  /** Names of the true axioms that a constant depends on. All arguments borrowed. */
  axioms(name, env, baseEnv) {
    const { objects, lean } = this;
    const start = objects.constructor_(0, [objects.box(1), objects.makeArray([])]); // visited, axioms
    const pair = lean.exports.l_Lean_CollectAxioms_collect(objects.inc(name), objects.inc(env), start) >>> 0;
    const found = objects.array(objects.field(objects.field(pair, 1), 1))
      .filter(axiom => this.isAxiom(axiom, baseEnv)).map(axiom => objects.name(axiom));
    objects.dec(pair);
    return found;
  }

  /** Of a constant that the environment keeps as an axiom: whether it is one. */
  isAxiom(name, baseEnv) {
    const { objects } = this;
    if (COMPILED.includes(objects.name(name))) return true;
    const option = objects.call('l_Lean_getOriginalConstKind_x3f', objects.inc(baseEnv), objects.inc(name));
    const kind = objects.isScalar(option) ? KIND_AXIOM : objects.unbox(objects.field(option, 0)); // unknown: the worst
    objects.dec(option);
    return kind === KIND_AXIOM;
  }

  /**
   * The first constant in a proof (an Expr) that no verdict would accept: an axiom, unsafe, or
   * evaluated by compiled code; undefined when there is none. What a tactic declared by the way
   * (`as_aux_lemma`) is looked through.
   * @param env after the tactic @param headerEnv from before the theorem; all borrowed
   */
  forbiddenConstant(expr, env, headerEnv) {
    const { objects } = this, seen = new Set(), owned = [], todo = [expr];
    let found;
    while (todo.length && found === undefined) {
      const names = objects.call('l_Lean_Expr_getUsedConstants', objects.inc(todo.pop()));
      owned.push(names);
      for (const name of objects.array(names)) {
        if (this.imported.get(name) === false) continue;
        const text = objects.name(name);
        if (seen.has(text)) continue;
        seen.add(text);
        const info = this.find(env, name);
        if (info === undefined) { found = text; break; }
        owned.push(info);
        const imported = this.isImported(env, name), forbidden = this.isForbidden(name, info, headerEnv);
        if (imported && objects.isPersistent(name)) this.imported.set(name, forbidden);
        if (forbidden) { found = text; break; }
        if (!imported && !this.contains(headerEnv, name)) todo.push(...this.expressions(info, owned));
      }
    }
    owned.forEach(o => objects.dec(o));
    return found;
  }

  isForbidden(name, info, headerEnv) {
    const { objects } = this;
    if (objects.unbox(objects.call('l_Lean_ConstantInfo_isUnsafe', objects.inc(info)))) return true;
    if (objects.tag(info) !== CTOR.ConstantInfo.axiom) return false;
    return !ALLOWED_AXIOMS.includes(objects.name(name)) && this.isAxiom(name, headerEnv);
  }

  /** Type and value of a ConstantInfo (borrowed; what holds them goes to `owned`). */
  expressions(info, owned) {
    const { objects } = this;
    const type = objects.field(objects.field(objects.field(info, 0), 0), FIELD.ConstantVal.type);
    const value = objects.call('l_Lean_ConstantInfo_value_x3f', objects.inc(info), objects.box(1)); // of opaques too
    owned.push(value);
    return objects.isScalar(value) ? [type] : [type, objects.field(value, 0)];
  }

  /** [name, ConstantInfo] (borrowed until the eighth call from now) of what `after` has and `before` has not. */
  added(before, after) {
    const { objects, lean } = this;
    const kernelEnv = lean.exports.lean_elab_environment_to_kernel_env(objects.inc(after)) >>> 0;
    const map = objects.field(objects.field(kernelEnv, FIELD.KernelEnv.constants), FIELD.SMap.map2); // not the imports
    const list = objects.call('l_Lean_PersistentHashMap_toList___redArg', objects.inc(map));
    this.keep(list, kernelEnv);
    return objects.list(list).map(pair => [objects.field(pair, 0), objects.field(pair, 1)])
      .filter(([name]) => !this.contains(before, name));
  }

  keep(...values) {
    this.kept.push(...values);
    while (this.kept.length > 16) this.objects.dec(this.kept.shift());
  }

  isImported(env, name) {
    const { objects } = this;
    const option = objects.call('l_Lean_Environment_getModuleIdxFor_x3f', objects.inc(env), objects.inc(name));
    const found = !objects.isScalar(option);
    objects.dec(option);
    return found;
  }

  contains(env, name) {
    const { objects } = this;
    return objects.unbox(objects.call('l_Lean_Environment_contains', objects.inc(env), objects.inc(name), objects.box(1))) === 1;
  }

  /** ConstantInfo (owned) or undefined. */
  find(env, name) {
    const { objects } = this;
    const option = objects.call('l_Lean_Environment_find_x3f', objects.inc(env), objects.inc(name), objects.box(1));
    const info = objects.isScalar(option) ? undefined : objects.inc(objects.field(option, 0));
    objects.dec(option);
    return info;
  }
}

module.exports = { Audit, ALLOWED_AXIOMS };
