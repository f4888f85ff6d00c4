'use strict';
// Running code of ours inside Lean's elaboration monads. A JavaScript function becomes a Lean
// closure, Lean calls it with the six contexts and state references of TermElabM, and it calls
// Lean's own functions with them.

const { FIELD, CTOR } = require('./layout.js');

/** An error that Lean threw; `interrupted` when it is internal, as after the cancel token was seen. */
class LeanException extends Error {
  constructor(text, interrupted) { super(text); this.interrupted = interrupted; }

  /** As in ErrorKind of messages/values.py. */
  get kind() { return /maximum number of heartbeats/.test(this.message) ? 'heartbeats' : 'tactic'; }
}

class Monad {
  constructor(lean) {
    this.lean = lean;
    this.objects = lean.objects;
    this.body = null; // what the closure runs now
    this.thrown = null; // what it threw: JavaScript exceptions may not cross Lean's frames
    // a boxed Lean function of TermElabM: six arguments (owned) and the erased world
    this.functionIndex = lean.module.addFunction((...args) => {
      const contexts = args.slice(0, 6);
      try { this.body(contexts); } catch (error) { this.thrown = error; }
      for (const o of contexts) this.objects.dec(o);
      return this.objects.constructor_(0, [this.objects.box(0)]);
    }, 'iiiiiiii');
  }

  /**
   * f(contexts) in TermElabM on top of a Command.State (borrowed). contexts are borrowed:
   * [Term.Context, Term.State ref, Meta.Context, Meta.State ref, Core.Context, Core.State ref].
   * `source` is the text that positions in syntax refer to.
   */
  run(commandState, f, source = '') {
    const { objects, lean } = this;
    const input = lean.inputContext(source);
    const stateRef = objects.makeRef(objects.inc(commandState));
    let value;
    this.thrown = null;
    this.body = contexts => { value = f(contexts); };
    const outcome = objects.call('l_Lean_Elab_Command_liftTermElabM___redArg',
      objects.makeClosure(this.functionIndex, 7), lean.commandContext(input, 0), objects.inc(stateRef), objects.box(0));
    this.body = null;
    const error = this.thrown ?? (objects.tag(outcome) === 1 ? this.toException(objects.field(outcome, 0)) : null);
    objects.dec(outcome);
    objects.dec(stateRef);
    objects.dec(input);
    if (error) throw error;
    return value;
  }

  toException(exception) {
    const interrupted = this.objects.tag(exception) === CTOR.Exception.internal;
    return new LeanException(this.lean.exceptionText(exception), interrupted);
  }

  /** Calls a Lean function with `args` (owned) and the given contexts; its value, or LeanException. */
  callIn(symbol, contexts, ...args) {
    const { objects } = this;
    const outcome = objects.call(symbol, ...args, ...contexts.map(o => objects.inc(o)), objects.box(0));
    const value = objects.inc(objects.field(outcome, 0)), failed = objects.tag(outcome) === 1;
    objects.dec(outcome);
    if (!failed) return value;
    const error = this.toException(value);
    objects.dec(value);
    throw error;
  }

  term(symbol, contexts, ...args) { return this.callIn(symbol, contexts, ...args); }
  meta(symbol, contexts, ...args) { return this.callIn(symbol, contexts.slice(2), ...args); }

  // --- the state references ------------------------------------------------------------------------

  env(contexts) { return this.objects.field(this.objects.refValue(contexts[5]), FIELD.CoreState.env); }
  mctx(contexts) { return this.objects.field(this.objects.refValue(contexts[3]), FIELD.MetaState.mctx); }

  /** Replaces one field (value owned) of the structure behind a reference. */
  setField(ref, index, value) {
    this.objects.setRef(ref, this.objects.withField(this.objects.inc(this.objects.refValue(ref)), index, value));
  }

  /**
   * f(contexts) without a heartbeat limit: for what we do after a tactic with what it left. The
   * print of a goal must not depend on how much of its budget the tactic used.
   */
  unlimited(contexts, f) {
    const { objects } = this, { options, maxHeartbeats } = FIELD.CoreContext;
    const set = objects.call('l_Lean_KVMap_setNat', objects.inc(objects.field(contexts[4], options)),
      objects.makeName('maxHeartbeats'), objects.box(0)); // the printer starts anew from the options
    let free = objects.withField(objects.inc(contexts[4]), maxHeartbeats, objects.box(0));
    free = objects.withField(free, options, set);
    try { return f([...contexts.slice(0, 4), free, contexts[5]]); } finally { objects.dec(free); }
  }

  messages(contexts) {
    return this.lean.messages(this.objects.inc(this.objects.field(this.objects.refValue(contexts[5]), FIELD.CoreState.messages)));
  }

  // --- expressions -----------------------------------------------------------------------------------

  /** The expression (borrowed) with assigned metavariables replaced (owned). */
  instantiate(contexts, expr) {
    const { objects, lean } = this;
    const pair = lean.exports.lean_instantiate_expr_mvars(objects.inc(this.mctx(contexts)), objects.inc(expr)) >>> 0;
    const result = objects.inc(objects.field(pair, 1));
    this.setField(contexts[3], FIELD.MetaState.mctx, objects.inc(objects.field(pair, 0)));
    objects.dec(pair);
    return result;
  }

  /** `Expr.mvar id` (owned) for an MVarId (borrowed). */
  mvarExpr(id) { return this.objects.call('l_Lean_Expr_mvar___override', this.objects.inc(id)); }

  /** A goal as Lean prints it, 120 columns wide. */
  printGoal(contexts, goal) {
    const { objects } = this;
    const format = this.meta('l_Lean_Meta_ppGoal', contexts, objects.inc(goal));
    const text = objects.call('l_Std_Format_pretty', format, objects.box(120), objects.box(0), objects.box(0));
    const printed = objects.string(text);
    objects.dec(text);
    return printed;
  }
}

module.exports = { Monad, LeanException };
