'use strict';
// The verdict's work inside Lean (docs/verdict.md): a trusted statement, untrusted tactic text.
// Everything is elaborated anew; only the imported library is kept between two verdicts.

const { FIELD, CTOR } = require('./layout.js');
const { InputError } = require('./theorems.js');
const { LeanFailure } = require('./objects.js');

const ALLOWED_AXIOMS = ['propext', 'Classical.choice', 'Quot.sound'];
const KIND_AXIOM = 2; // Lean.ConstantKind: defn, thm, axiom, …

/** A refusal; `reason` as in VerdictReason of messages.py. */
class Refusal extends Error {
  constructor(reason, message, axioms = []) { super(message); this.reason = reason; this.axioms = axioms; }
}

class Verifier {
  constructor(lean, monad, syntax, theorems) {
    Object.assign(this, { lean, monad, syntax, theorems, objects: lean.objects });
  }

  /**
   * Throws InputError when the theorem itself is at fault.
   * @returns {{accepted, reason, message, axioms}}
   */
  verify({ imports, header: headerText, statement, proof, heartbeats }) {
    const owned = []; // released at the end, whatever happens
    const header = this.theorems.header(imports, headerText, { fresh: true });
    try {
      const commandState = this.theorems.limited(header, heartbeats);
      const expected = this.theorems.elaborate(commandState, statement);
      owned.push(expected.state, expected.syntax, expected.constant);
      const block = this.parseProof(commandState, proof, header, owned);
      const axioms = this.elaborateProof(commandState, header, expected, block, statement, owned);
      return { accepted: true, reason: 'accepted', message: '', axioms };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
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

  /** Rules 2 and 3; the axioms that the theorem rests on. */
  elaborateProof(commandState, header, expected, block, statement, owned) {
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
    this.checkType(expected.constant, constant);
    const axioms = this.checkAxioms(constant, result.state, header.baseEnv);
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

  checkType(expected, found) {
    const { objects, theorems, lean } = this;
    if (!theorems.isTheorem(found)) throw new Refusal('type', 'what was declared is no theorem');
    const [a, b] = [expected, found].map(info => theorems.constantVal(info));
    const levels = [a, b].map(val => objects.list(objects.field(val, FIELD.ConstantVal.levelParams)).map(n => objects.name(n)).join(' '));
    const [typeA, typeB] = [a, b].map(val => objects.field(val, FIELD.ConstantVal.type));
    if (levels[0] !== levels[1] || !lean.exports.lean_expr_eqv(typeA, typeB)) {
      throw new Refusal('type', 'the theorem that was proved is not the one that was stated');
    }
  }

  /** Rule 3. Library theorems come without proofs here and look like axioms: their original kind tells. */
  checkAxioms(constant, commandState, baseEnv) {
    const { objects, lean, theorems } = this;
    const name = objects.field(theorems.constantVal(constant), FIELD.ConstantVal.name);
    const start = objects.constructor_(0, [objects.box(1), objects.makeArray([])]);
    const pair = lean.exports.l_Lean_CollectAxioms_collect(objects.inc(name), objects.inc(lean.env(commandState)), start) >>> 0;
    const axioms = objects.array(objects.field(objects.field(pair, 1), 1))
      .filter(axiom => !this.isLibraryTheorem(axiom, baseEnv)).map(axiom => objects.name(axiom));
    objects.dec(pair);
    if (axioms.includes('sorryAx')) throw new Refusal('sorry', 'it depends on `sorryAx`', axioms);
    const bad = axioms.filter(axiom => !ALLOWED_AXIOMS.includes(axiom));
    if (bad.length) throw new Refusal('axioms', `it depends on the axioms ${bad.join(', ')}`, axioms);
    return axioms;
  }

  isLibraryTheorem(name, baseEnv) {
    const { objects } = this;
    const option = objects.call('l_Lean_getOriginalConstKind_x3f', objects.inc(baseEnv), objects.inc(name));
    const known = !objects.isScalar(option), kind = known ? objects.unbox(objects.field(option, 0)) : KIND_AXIOM;
    objects.dec(option);
    return known && kind !== KIND_AXIOM;
  }

  /**
   * The last layer: every constant that the proof added is checked once more by the kernel, on the
   * environment from before it (Lean.Environment.replay), whatever the elaborator did.
   */
  replay(before, after) {
    const { objects } = this;
    const old = new Set(this.ownConstants(before).map(([name]) => objects.name(name)));
    const added = this.ownConstants(after).filter(([name]) => !old.has(objects.name(name)));
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

  /** [name, ConstantInfo] (borrowed) of what was declared since the imports. */
  ownConstants(env) {
    const { objects, lean } = this;
    const kernelEnv = lean.exports.lean_elab_environment_to_kernel_env(objects.inc(env)) >>> 0;
    const map = objects.field(objects.field(kernelEnv, FIELD.KernelEnv.constants), FIELD.SMap.map2);
    const list = objects.call('l_Lean_PersistentHashMap_toList___redArg', objects.inc(map));
    const pairs = objects.list(list).map(pair => [objects.field(pair, 0), objects.field(pair, 1)]);
    this.keep(list, kernelEnv);
    return pairs;
  }

  /** Holds what borrowed results point into until the next verdict. */
  keep(...values) {
    this.kept ??= [];
    this.kept.push(...values);
    while (this.kept.length > 8) this.objects.dec(this.kept.shift());
  }
}

/** Every line two columns in: the text stands under `by` then. Search composes the same way. */
function indent(text) {
  return text.replace(/\s+$/, '').split('\n').map(line => (line.trim() ? `  ${line}` : '')).join('\n');
}

module.exports = { Verifier };
