'use strict';
// Proof states: opening a theorem, running a tactic, splitting what is left into independent
// groups. A proof state is a snapshot of Lean's Core, Meta and Term state with a list of goals;
// Lean's data is persistent, so a snapshot costs a few pointers and is never changed by its use.

const { FIELD, CTOR, EXPR_FLAG } = require('./layout.js');
const { GoalHasher } = require('./hash.js');
const { LeanException } = require('./monad.js');
const { Audit } = require('./audit.js');

/** A tactic that failed for a reason of its own; `kind` as in ErrorKind of messages/values.py. */
class TacticError extends Error {
  constructor(kind, message) { super(message); this.kind = kind; }
}

class Goals {
  constructor(lean, monad, syntax) {
    this.lean = lean;
    this.monad = monad;
    this.syntax = syntax;
    this.objects = lean.objects;
    this.audit = new Audit(lean);
  }

  // --- snapshots -------------------------------------------------------------------------------------

  snapshot(contexts, commandState, own, goals) {
    const { objects } = this;
    const [term, meta, core] = [1, 3, 5].map(i => objects.inc(objects.refValue(contexts[i])));
    return { term, meta, core, goals, commandState: objects.inc(commandState), own };
  }

  free(state) {
    for (const part of ['term', 'meta', 'core', 'goals', 'commandState']) this.objects.dec(state[part]);
  }

  restore(contexts, state) {
    const { objects, lean } = this;
    objects.setRef(contexts[1], objects.inc(state.term));
    objects.setRef(contexts[3], objects.inc(state.meta));
    objects.setRef(contexts[5], objects.withField(objects.inc(state.core), FIELD.CoreState.messages, lean.emptyLog()));
  }

  // --- opening -----------------------------------------------------------------------------------------

  /**
   * The proof states of the `sorry`s in a command that was just elaborated.
   * @param commandState with the command's info trees @param env see searchEnv
   * @param self whether the goals may refer to what is being declared
   * @returns {Array<{state, goals: [{text, hash}], position}>}
   */
  sorries(commandState, env, own, { self = true } = {}) {
    return this.allOrNone(this.findSorries(commandState), found => this.monad.run(commandState, contexts => {
      const { objects, monad } = this;
      const core = objects.withField(objects.inc(objects.refValue(contexts[5])), FIELD.CoreState.env, objects.inc(env));
      objects.setRef(contexts[5], objects.withField(core, FIELD.CoreState.ngen, objects.inc(objects.field(found.context, FIELD.ContextInfo.ngen))));
      monad.setField(contexts[3], FIELD.MetaState.mctx, objects.inc(found.mctx));
      const sites = found.goals !== undefined ? objects.inc(found.goals) : this.newGoal(contexts, found.lctx, found.type);
      const goals = self ? sites : this.withoutSelf(contexts, sites);
      let described;
      try {
        described = monad.unlimited(contexts, free => this.describe(free, objects.list(goals)));
      } catch (error) { objects.dec(goals); throw error; }
      return { state: this.snapshot(contexts, commandState, own, goals), goals: described, position: found.position };
    }));
  }

  /**
   * The environment for the goals of a theorem that was just declared with `sorry`. The one from
   * before: with the later one `exact?` would prove the theorem by itself. But where the statement
   * has definitions of its own (a `match` in it), goals mean nothing without them.
   */
  searchEnv(before, after) { return this.audit.added(before, after).length > 1 ? after : before; }

  /**
   * Goals (a list, owned, in and out) without the theorem's own name as a hypothesis: what recursion
   * through it leads to, Lean only judges when the proof is complete. `exact t` would close `t`.
   */
  withoutSelf(contexts, goals) {
    const { objects, monad } = this;
    const cleared = [];
    try {
      for (const goal of objects.list(goals)) cleared.push(monad.meta('l_Lean_MVarId_clearImplDetails', contexts, objects.inc(goal)));
    } catch (error) { cleared.forEach(goal => objects.dec(goal)); throw error; } finally { objects.dec(goals); }
    return objects.makeList(cleared);
  }

  /** A goal list (owned) with one fresh metavariable, for `sorry` in the place of a term. */
  newGoal(contexts, lctx, type) {
    const { objects } = this;
    const mvar = this.monad.meta('l_Lean_Meta_mkFreshExprMVarAt', contexts, objects.inc(lctx), objects.makeArray([]),
      objects.inc(type), objects.box(2), objects.box(0), objects.box(0)); // kind: syntheticOpaque
    const goals = objects.makeList([objects.inc(objects.field(mvar, 0))]);
    objects.dec(mvar);
    return goals;
  }

  /** `sorry` sites in the info trees (all borrowed), in the order of the source. */
  findSorries(commandState) {
    const { objects } = this, sites = [];
    const visit = (tree, context) => {
      if (objects.isScalar(tree)) return;
      if (objects.tag(tree) === CTOR.InfoTree.context) {
        const partial = objects.field(tree, 0);
        visit(objects.field(tree, 1), objects.tag(partial) === 0 ? objects.field(partial, 0) : context);
      } else if (objects.tag(tree) === CTOR.InfoTree.node) {
        const site = this.sorrySite(objects.field(tree, 0), context);
        if (site) sites.push(site);
        objects.persistentArray(objects.field(tree, 1)).forEach(child => visit(child, context));
      }
    };
    const trees = objects.field(objects.field(commandState, FIELD.CommandState.infoState), FIELD.InfoState.trees);
    objects.persistentArray(trees).forEach(tree => visit(tree, null));
    return sites;
  }

  sorrySite(info, context) {
    const { objects, syntax } = this, kind = objects.tag(info);
    if (kind > 1) return null; // neither TacticInfo nor TermInfo
    const inside = objects.field(info, 0), stx = objects.field(objects.field(inside, 0), 1);
    const name = syntax.isNode(stx) ? syntax.kind(stx) : '';
    if (kind === CTOR.Info.tactic && name === 'Lean.Parser.Tactic.tacticSorry') {
      return { context, mctx: objects.field(inside, FIELD.TacticInfo.mctxBefore), goals: objects.field(inside, FIELD.TacticInfo.goalsBefore), position: this.sourcePosition(stx) };
    }
    const position = kind === 1 && name === 'Lean.Parser.Term.sorry' ? this.sourcePosition(stx) : null;
    const expected = position && objects.field(inside, 2); // TermInfo: elabInfo, lctx, expectedType?
    if (!position || objects.isScalar(expected)) return null;
    return { context, mctx: objects.field(context, FIELD.ContextInfo.mctx), lctx: objects.field(inside, 1), type: objects.field(expected, 0), position };
  }

  /** Byte span [start, end] of a token's original source, or null for synthesised syntax. */
  sourcePosition(stx) {
    const { objects } = this, atom = this.syntax.args(stx)[0], info = objects.field(atom, 0);
    if (objects.isScalar(info) || objects.tag(info) !== 0) return null;
    return [objects.nat(objects.field(info, 1)), objects.nat(objects.field(info, 3))];
  }

  /** [{state, …}] of the items; when making one throws, those made before it are freed. */
  allOrNone(items, make) {
    const made = [];
    try {
      for (const item of items) made.push(make(item));
    } catch (error) { made.forEach(one => this.free(one.state)); throw error; }
    return made;
  }

  // --- tactics -----------------------------------------------------------------------------------------

  /**
   * Runs one tactic on a state. Throws TacticError (parse, forbidden, tactic, heartbeats) or
   * LeanException.
   * @param {object} state snapshot @param {string} text @param commandState with the limits as options
   * @returns {{groups: Array<{state, goals}>, messages: string[]}}
   */
  run(state, text, commandState, { checked = true } = {}) {
    const { objects, monad, syntax } = this;
    const parsed = syntax.parse(objects.field(state.core, FIELD.CoreState.env), 'tactic', text);
    if (parsed.error) throw new TacticError('parse', parsed.error);
    const reason = checked ? syntax.forbiddenInProof(parsed.syntax, state.own) : undefined;
    if (reason) { objects.dec(parsed.syntax); throw new TacticError('forbidden', reason); }
    return monad.run(commandState, contexts => {
      this.restore(contexts, state);
      const before = objects.list(state.goals);
      const goalsRef = objects.makeRef(objects.inc(state.goals));
      try {
        this.evaluate(contexts, goalsRef, parsed.syntax);
        return monad.unlimited(contexts, free => this.outcome(free, state, commandState, before, goalsRef));
      } finally { objects.dec(goalsRef); }
    }, text);
  }

  /** What a tactic led to, or TacticError for what it may not lead to. */
  outcome(contexts, state, commandState, before, goalsRef) {
    const { objects, monad } = this;
    const after = objects.list(objects.refValue(goalsRef));
    const messages = monad.messages(contexts);
    const errors = messages.filter(m => m.severity === 'error');
    if (errors.length) throw new TacticError('tactic', errors.map(m => m.data).join('\n'));
    const dependencies = after.map(goal => this.dependencies(contexts, goal));
    this.checkAssignments(contexts, this.lean.env(commandState), before, after, dependencies);
    return {
      groups: this.split(contexts, commandState, state.own, after, dependencies),
      messages: messages.map(m => m.data),
    };
  }

  /** evalTactic (syntax owned) without error recovery, then drops the goals that got solved. */
  evaluate(contexts, goalsRef, stx) {
    const { objects, monad } = this;
    const tacticContext = () => objects.constructor_(0, [objects.box(0)], [0]); // elaborator, recover := false
    try {
      objects.dec(monad.term('l_Lean_Elab_Tactic_evalTactic', contexts, stx, tacticContext(), objects.inc(goalsRef)));
    } catch (error) {
      if (!(error instanceof LeanException) || error.interrupted) {
        const logged = error instanceof LeanException ? this.loggedErrors(contexts) : '';
        if (!logged) throw error;
        throw new TacticError('tactic', logged); // an abort after a logged error looks like an interrupt
      }
      const words = [this.loggedErrors(contexts), error.message].filter(Boolean).join('\n');
      throw new TacticError(error.kind, words);
    }
    objects.dec(monad.term('l_Lean_Elab_Tactic_pruneSolvedGoals', contexts, tacticContext(), objects.inc(goalsRef)));
    if (objects.isScalar(objects.refValue(goalsRef))) {
      monad.term('l_Lean_Elab_Term_synthesizeSyntheticMVarsNoPostponing', contexts, objects.box(0));
    }
  }

  loggedErrors(contexts) {
    return this.monad.messages(contexts).filter(m => m.severity === 'error').map(m => m.data).join('\n');
  }

  /** Metavariables that a goal's type and context mention, transitively: Set of names. */
  dependencies(contexts, goal) {
    const { objects, monad } = this;
    const set = monad.meta('l_Lean_MVarId_getMVarDependencies', contexts, objects.inc(goal), objects.box(1)); // with delayed
    const names = new Set(this.hashSetNames(set));
    objects.dec(set);
    return names;
  }

  /** Names in a Std.HashSet Name: buckets of AssocList (nil scalar, cons key value tail). */
  hashSetNames(set) {
    const { objects } = this, found = [];
    for (let bucket of objects.array(objects.field(set, 1))) {
      for (; !objects.isScalar(bucket); bucket = objects.field(bucket, 2)) found.push(objects.name(objects.field(bucket, 0)));
    }
    return found;
  }

  /**
   * What was assigned must not hide a `sorry` (`apply?` closes goals so) or anything else that no
   * verdict accepts, nor leave holes that no remaining goal would ever fill.
   */
  checkAssignments(contexts, headerEnv, before, after, dependencies) {
    const { objects, monad } = this;
    const open = new Set(after.map(goal => objects.name(goal)));
    for (const set of dependencies) for (const name of set) open.add(name);
    for (const goal of before) {
      if (open.has(objects.name(goal))) continue;
      const mvar = monad.mvarExpr(goal), value = monad.instantiate(contexts, mvar);
      objects.dec(mvar);
      const hasMVar = (objects.scalar32(value, 4) & EXPR_FLAG.hasExprMVar) !== 0;
      let hidden = this.audit.forbiddenConstant(value, monad.env(contexts), headerEnv), left = [];
      if (hasMVar) {
        const ids = monad.meta('l_Lean_Meta_getMVarsNoDelayed', contexts, objects.inc(value));
        left = objects.array(ids).map(id => objects.name(id)).filter(name => !open.has(name));
        objects.dec(ids);
        hidden ??= this.forbiddenInDelayed(contexts, headerEnv, value);
      }
      objects.dec(value);
      if (hidden === 'sorryAx') throw new TacticError('tactic', 'the goal was closed with a hidden `sorry`');
      if (hidden) throw new TacticError('tactic', `the proof uses \`${hidden}\`, which no verdict accepts`);
      if (left.length) throw new TacticError('tactic', 'the tactic leaves metavariables behind that are no goals');
    }
  }

  /** The same in what waits under binders for the rest of its proof (delayed assignments). */
  forbiddenInDelayed(contexts, headerEnv, value) {
    const { objects, monad } = this;
    const ids = monad.meta('l_Lean_Meta_getMVars', contexts, objects.inc(value));
    let found;
    for (const id of objects.array(ids)) {
      const option = objects.call('l_Lean_MetavarContext_getDelayedMVarAssignmentCore_x3f', objects.inc(monad.mctx(contexts)), objects.inc(id));
      if (!objects.isScalar(option)) {
        const pending = monad.mvarExpr(objects.field(objects.field(option, 0), 1)); // fvars, mvarIdPending
        const inside = monad.instantiate(contexts, pending);
        found ??= this.audit.forbiddenConstant(inside, monad.env(contexts), headerEnv);
        objects.dec(inside);
        objects.dec(pending);
      }
      objects.dec(option);
    }
    objects.dec(ids);
    return found;
  }

  // --- groups ------------------------------------------------------------------------------------------

  /** Connected components of the goals under "mention a common metavariable", in goal order. */
  split(contexts, commandState, own, goals, dependencies) {
    const { objects } = this;
    const owner = goals.map((_, i) => i);
    const root = i => { while (owner[i] !== i) i = owner[i]; return i; };
    const firstUser = new Map();
    goals.forEach((goal, i) => {
      const mentioned = [objects.name(goal), ...dependencies[i]];
      if (goals.length > 1 && this.hasLevelMVar(contexts, goal)) mentioned.push('universe level');
      for (const name of mentioned) {
        if (!firstUser.has(name)) firstUser.set(name, i);
        const [a, b] = [root(firstUser.get(name)), root(i)];
        owner[Math.max(a, b)] = Math.min(a, b);
      }
    });
    const members = new Map();
    goals.forEach((_, i) => { const r = root(i); members.set(r, [...(members.get(r) ?? []), i]); });
    return this.allOrNone([...members.values()], positions => {
      const group = positions.map(i => goals[i]);
      const described = this.describe(contexts, group);
      const list = objects.makeList(group.map(goal => objects.inc(goal)));
      return { state: this.snapshot(contexts, commandState, own, list), goals: described, positions };
    });
  }

  hasLevelMVar(contexts, goal) {
    const { objects, monad } = this;
    const type = monad.meta('l_Lean_MVarId_getType', contexts, objects.inc(goal));
    const found = (objects.scalar32(type, 4) & EXPR_FLAG.hasLevelMVar) !== 0;
    objects.dec(type);
    return found;
  }

  /** What is sent of goals: Lean's print and the structural hashes. */
  describe(contexts, goals) {
    const hasher = new GoalHasher(this.monad, contexts);
    return goals.map(goal => ({ text: this.monad.printGoal(contexts, goal), ...hasher.hashes(goal) }));
  }
}

module.exports = { Goals, TacticError };
