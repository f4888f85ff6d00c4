'use strict';
// The verdict's work inside Lean (docs/verdict.md): a trusted statement, untrusted tactic text.
// Everything is elaborated anew; only the imported library is kept between two verdicts.

const { FIELD, CTOR } = require('./layout.js');
const { InputError } = require('./theorems.js');
const { LeanFailure } = require('./objects.js');

const { LeanException } = require('./monad.js');
const { Audit, ALLOWED_AXIOMS } = require('./audit.js');

/** A refusal; `reason` as in VerdictReason of messages/values.py. */
class Refusal extends Error {
  constructor(reason, message, axioms = []) { super(message); this.reason = reason; this.axioms = axioms; }
}

class Verifier {
  constructor(lean, monad, syntax, theorems) {
    Object.assign(this, { lean, monad, syntax, theorems, objects: lean.objects, audit: new Audit(lean) });
  }

  /**
   * Throws InputError when the theorem itself is at fault.
   * @param left goals that the text leaves open, 0 for a proof; see `withOpenGoals`
   * @returns {{accepted, reason, message, axioms}}
   */
  verify({ imports, header: headerText, statement, proof, heartbeats, left = 0 }) {
    const owned = []; // released at the end, whatever happens
    const header = this.theorems.header(imports, headerText, { fresh: true });
    try {
      const commandState = this.theorems.limited(header, heartbeats);
      const expected = this.theorems.elaborate(commandState, header.own, statement);
      owned.push(expected.state, expected.syntax, expected.constant);
      if (this.hasSorry(expected.constant)) throw new InputError('statement', 'the statement itself contains `sorry`');
      const given = this.parseProof(commandState, proof, header, owned);
      const block = left ? this.withOpenGoals(commandState, given, left, owned) : given;
      const axioms = this.elaborateProof(commandState, header, expected, block, statement, left, owned);
      if (left) return { accepted: false, reason: 'left_open', message: `${left} goals are open`, axioms };
      return { accepted: true, reason: 'accepted', message: '', axioms };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // what an interrupted elaboration says is no verdict on the proof
      if (this.lean.watchdog.fired) throw new LeanException('interrupted', true);
      return { accepted: false, reason: error.reason, message: error.message, axioms: error.axioms };
    } finally {
      owned.forEach(o => this.objects.dec(o));
      this.theorems.drop(header);
    }
  }

  /** Rule 1: the text is one tactic sequence, all of it, and nothing in it is off the allow-list. */
  parseProof(commandState, proof, header, owned) {
    const text = `by\n${indent(proof)}`;
    const parsed = this.syntax.parse(this.lean.env(commandState), 'term', text);
    if (parsed.error) throw new Refusal('parse', parsed.error);
    owned.push(parsed.syntax);
    if (this.lean.kind(parsed.syntax) !== 'Lean.Parser.Term.byTactic') throw new Refusal('parse', 'the text is more than the tactics of one `by` block');
    const reason = this.syntax.forbiddenInProof(parsed.syntax, header.own);
    if (reason) throw new Refusal('forbidden', reason);
    return { text, syntax: parsed.syntax };
  }

  /**
   * The text with so many `· sorry` behind it, which stand for the goals left open: one too few or too
   * many is an error of elaboration. They must be tactics of their own, none swallowed by the text.
   */
  withOpenGoals(commandState, given, left, owned) {
    const { lean, syntax } = this;
    const parsed = text => {
      const found = syntax.parse(lean.env(commandState), 'term', text);
      if (found.error) throw new Refusal('escaped', found.error);
      owned.push(found.syntax);
      return { text, syntax: found.syntax, tactics: this.tactics(found.syntax) };
    };
    const open = '\n  · sorry', [hole] = parsed(`by${open}`).tactics;
    const tactics = this.tactics(given.syntax), block = parsed(given.text + open.repeat(left));
    const wanted = [...tactics, ...Array(left).fill(hole)];
    if (wanted.length !== block.tactics.length || !wanted.every((tactic, i) => syntax.same(tactic, block.tactics[i]))) {
      throw new Refusal('escaped', 'the goals left open are not closed behind the text');
    }
    return block;
  }

  /** The tactics of a `by` block, one below the other. */
  tactics(byTactic) {
    const { syntax } = this;
    const [sequence] = syntax.args(syntax.args(byTactic)[1]);
    if (syntax.kind(sequence) !== 'Lean.Parser.Tactic.tacticSeq1Indented') throw new Refusal('escaped', 'the text is in braces');
    return syntax.args(syntax.args(sequence)[0]).filter(part => syntax.isNode(part) && syntax.kind(part) !== 'null');
  }

  /** Rules 2 and 3; the axioms that the theorem rests on. */
  elaborateProof(commandState, header, expected, block, statement, left, owned) {
    const { objects, lean, theorems } = this;
    const text = `${statement} := ${block.text}\n`;
    this.checkComposition(commandState, text, expected, block, owned);
    const result = lean.runText(text, objects.inc(commandState));
    owned.push(result.state);
    const errors = result.messages.filter(m => m.severity === 'error').map(m => m.data);
    if (errors.length) throw new Refusal('error', errors.join('\n'));
    const { name, constant } = theorems.findTheorem(expected.syntax, result.state);
    if (constant === undefined) throw new Refusal('missing', `no theorem \`${name}\` in the environment afterwards`);
    owned.push(constant);
    this.checkType(expected, constant, lean.env(commandState), lean.env(result.state));
    const axioms = this.checkAxioms(constant, result.state, header.baseEnv, left > 0);
    if (left) this.checkLemmas(name, lean.env(commandState), result.state, header.baseEnv);
    this.replay(lean.env(commandState), lean.env(result.state));
    return axioms;
  }

  /** In its place the text must be the very tactics that were judged, and the statement the trusted one. */
  checkComposition(commandState, text, expected, block, owned) {
    let command;
    try { command = this.theorems.parseAlone(commandState, text, 'statement'); } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new Refusal('escaped', error.message);
    }
    owned.push(command);
    const { syntax, theorems } = this;
    const [trusted, composed] = [theorems.parts(expected.syntax), theorems.parts(command)];
    const [trustedValue, composedValue] = [trusted.value, composed.value].map(value => syntax.args(value));
    const sameStatement = ['keyword', 'id', 'signature'].every(part => syntax.same(trusted[part], composed[part]));
    const sameShape = syntax.kind(composed.value) === 'Lean.Parser.Command.declValSimple'
      && trustedValue.length === composedValue.length
      && trustedValue.every((part, i) => i === 1 || syntax.same(part, composedValue[i]));
    if (!sameStatement || !sameShape || !syntax.same(composedValue[1], block.syntax)) {
      throw new Refusal('escaped', 'after the statement the text parses as something else than alone');
    }
  }

  /**
   * Rule 2: a theorem with the very type that the statement alone has. What the type mentions of
   * its own making (matchers, instances inside it) has to be the same in both environments too.
   */
  checkType(expected, found, headerEnv, env) {
    const { objects, theorems, lean, audit } = this;
    if (!theorems.isTheorem(found)) throw new Refusal('type', 'what was declared is no theorem');
    const pairs = [[expected.constant, found]], seen = new Set(), owned = [];
    let same = true;
    while (same && pairs.length) {
      const infos = pairs.pop();
      same = infos[1] !== undefined && this.sameLevels(...infos);
      // of two proofs the types suffice; of the theorem itself there is nothing else to compare
      const [trusted, other] = same ? infos.map(info => audit.expressions(info, owned).slice(0, theorems.isTheorem(info) ? 1 : 2)) : [[], []];
      same &&= trusted.length === other.length && trusted.every((e, i) => lean.exports.lean_expr_eqv(e, other[i]));
      for (const name of same ? trusted.flatMap(e => this.usedConstants(e, owned)) : []) {
        const text = objects.name(name);
        if (seen.has(text) || audit.contains(headerEnv, name)) continue;
        seen.add(text);
        const both = [lean.env(expected.state), env].map(where => audit.find(where, name));
        owned.push(...both.filter(info => info !== undefined));
        pairs.push(both);
      }
    }
    owned.forEach(o => objects.dec(o));
    if (!same) throw new Refusal('type', 'the theorem that was proved is not the one that was stated');
  }

  hasSorry(info) {
    const { objects, theorems } = this;
    return objects.unbox(objects.call('l_Lean_Expr_hasSorry', objects.inc(objects.field(theorems.constantVal(info), FIELD.ConstantVal.type)))) === 1;
  }

  sameLevels(...infos) {
    const { objects, theorems } = this;
    const [a, b] = infos.map(info => objects.list(objects.field(theorems.constantVal(info), FIELD.ConstantVal.levelParams)).map(n => objects.name(n)));
    return a.length === b.length && a.every((level, i) => level === b[i]);
  }

  /** Names (borrowed from what goes to `owned`) of the constants in an Expr (borrowed). */
  usedConstants(expr, owned) {
    const names = this.objects.call('l_Lean_Expr_getUsedConstants', this.objects.inc(expr));
    owned.push(names);
    return this.objects.array(names);
  }

  /** Rule 3. `open`: goals of it are left open, by our own `sorry`. */
  checkAxioms(constant, commandState, baseEnv, open = false) {
    const { objects, lean, theorems } = this;
    const name = objects.field(theorems.constantVal(constant), FIELD.ConstantVal.name);
    const axioms = this.audit.axioms(name, lean.env(commandState), baseEnv).filter(axiom => !(open && axiom === 'sorryAx'));
    if (axioms.includes('sorryAx')) throw new Refusal('sorry', 'it depends on `sorryAx`', axioms);
    const bad = axioms.filter(axiom => !ALLOWED_AXIOMS.includes(axiom));
    if (bad.length) throw new Refusal('axioms', `it depends on the axioms ${bad.join(', ')}`, axioms);
    return axioms;
  }

  /** Rule 3 for all that was declared besides the theorem: none of it may rest on our `sorry`. */
  checkLemmas(theorem, before, commandState, baseEnv) {
    const { objects, audit } = this;
    for (const [name, info] of audit.added(before, this.lean.env(commandState))) {
      if (objects.name(name) !== theorem) this.checkAxioms(info, commandState, baseEnv);
    }
  }

  /**
   * The last layer: every constant that the proof added is checked once more by the kernel, on the
   * environment from before it (Lean.Environment.replay), whatever the elaborator did.
   */
  replay(before, after) {
    const { objects } = this;
    const added = this.audit.added(before, after);
    let map = objects.call('l_Std_HashMap_emptyWithCapacity___redArg', objects.box(8));
    for (const [name, info] of added) {
      map = objects.call('l_Std_HashMap_insert___redArg', objects.inc(objects.global('l_Lean_Name_instBEq')),
        objects.inc(objects.global('l_Lean_instHashableName')), map, objects.inc(name), objects.inc(info));
    }
    try {
      objects.dec(objects.result(objects.call('l_Lean_Environment_replay', map, objects.inc(before)), 'replay'));
    } catch (failure) {
      if (!(failure instanceof LeanFailure)) throw failure;
      objects.dec(failure.value);
      throw new Refusal('kernel', 'the kernel refused a declaration of the proof on a second check');
    }
  }
}

/** Every line two columns in: the text stands under `by` then (compose.py does the same). */
function indent(text) {
  return text.replaceAll('\r\n', '\n').replace(/[ \t\r\n]+$/, '').split('\n').map(line => (/[^ \t\r]/.test(line) ? `  ${line}` : '')).join('\n');
}

module.exports = { Verifier };
