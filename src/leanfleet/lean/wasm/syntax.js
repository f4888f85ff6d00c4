'use strict';
// Syntax trees: parsing single categories, the allow-list, comparison. Text is judged by what
// Lean's own parser makes of it, before anything of it is executed.

const { CTOR } = require('./layout.js');

/** Kinds that group or mark other syntax and mean nothing by themselves. */
const NEUTRAL = new Set(['null', 'group', 'hygieneInfo', 'choice']);
/** What a statement consists of besides terms. */
const STATEMENT = ['Lean.Parser.Command.declId', 'Lean.Parser.Command.declSig'];
/** Where a tactic's configuration begins. */
const CONFIGURATION = new Set(['Lean.Parser.Tactic.optConfig', 'Lean.Parser.Tactic.config']);

class Syntax {
  /**
   * @param {Lean} lean
   * @param {object} rules {tactics, terms, commands: kinds; options: settable options;
   *   attributes; trustedIdents: identifiers refused in headers and statements; configKinds: what a
   *   tactic's configuration may consist of; configCalls: constructors that may be applied there, as in
   *   `.pos [1]`; configIdents: identifiers refused there}
   */
  constructor(lean, rules) {
    this.lean = lean;
    this.objects = lean.objects;
    const kinds = [...rules.tactics, ...rules.terms], idents = new Set(rules.trustedIdents);
    const options = optionTable(rules.options), headerOptions = optionTable([...rules.options, ...rules.headerOptions]);
    this.proof = { kinds: new Set(kinds), options, idents: new Set() };
    this.statement = { kinds: new Set([...kinds, ...STATEMENT]), options, idents };
    this.header = { kinds: new Set([...kinds, ...rules.commands]), options: headerOptions, idents };
    this.attributes = new Set(rules.attributes);
    this.configKinds = new Set(rules.configKinds);
    this.configCalls = new Set(rules.configCalls);
    this.configWords = new Set(rules.configIdents);
    this.kindNames = new Map(); // address of a persistent Name -> text
  }

  /** One parse of a whole text as a category: {syntax (owned)} or {error}. env is borrowed. */
  parse(env, category, text) {
    const { objects } = this;
    const outcome = objects.call('l_Lean_Parser_runParserCategory', objects.inc(env), objects.makeName(category),
      objects.makeString(text), objects.makeString('<input>'));
    const value = objects.inc(objects.field(outcome, 0)), failed = objects.tag(outcome) === 0;
    objects.dec(outcome);
    if (!failed) return { syntax: value };
    const error = objects.string(value);
    objects.dec(value);
    return { error: error.replace(/^<input>:/, '') };
  }

  isNode(o) { return !this.objects.isScalar(o) && this.objects.tag(o) === CTOR.Syntax.node; }
  isAtom(o) { return !this.objects.isScalar(o) && this.objects.tag(o) === CTOR.Syntax.atom; }
  isIdent(o) { return !this.objects.isScalar(o) && this.objects.tag(o) === CTOR.Syntax.ident; }
  args(o) { return this.objects.array(this.objects.field(o, 2)); }
  atomText(o) { return this.objects.string(this.objects.field(o, 1)); }
  identText(o) { return this.objects.name(this.objects.field(o, 2)); }

  kind(node) {
    const name = this.objects.field(node, 1);
    let text = this.kindNames.get(name);
    if (text === undefined) {
      text = this.objects.name(name);
      if (!this.objects.isScalar(name) && this.objects.isPersistent(name)) this.kindNames.set(name, text);
    }
    return text;
  }

  /** Children of a node without empty groups, one level. */
  children(node) { return this.args(node).filter(a => !this.objects.isScalar(a)); }

  // --- the allow-list ------------------------------------------------------------------------------

  /**
   * Why a proof's syntax may not run: a sentence, or undefined when every kind in it is allowed.
   * `own` are kinds that the trusted header itself declared (its notations).
   */
  forbiddenInProof(syntax, own) { return this.forbidden(syntax, this.proof, own, false); }

  /** The same for a theorem's name and signature: they are elaborated in the process that judges, too. */
  forbiddenInStatement(syntax, own) { return this.forbidden(syntax, this.statement, own, false); }

  /** The same for a command of a header. */
  forbiddenInHeader(syntax, own) { return this.forbidden(syntax, this.header, own, false); }

  /** @param where what is allowed there: {kinds, options, idents: refused} */
  forbidden(syntax, where, own, inConfig) {
    if (this.isIdent(syntax)) {
      const parts = inConfig || where.idents.size ? this.identText(syntax).split('.') : [];
      const word = parts.find(part => where.idents.has(part));
      if (word) return `\`${word}\` is not allowed: what it names would run as tactics; write (h : p := by …)`;
      const option = inConfig && parts.find(part => this.configWords.has(part));
      return option ? `the option \`${option}\` of a tactic is not allowed` : undefined;
    }
    if (!this.isNode(syntax)) return undefined;
    const kind = this.kind(syntax);
    if (!NEUTRAL.has(kind) && !where.kinds.has(kind) && !(own && own.has(kind, this.objects.field(syntax, 1)))) {
      return kind.endsWith('antiquot') ? 'antiquotations are not allowed' : `syntax \`${kind}\` is not on the allow-list`;
    }
    const configured = inConfig || CONFIGURATION.has(kind);
    const special = this.specialRule(kind, syntax, where.options, configured);
    if (special) return special;
    for (const child of this.args(syntax)) {
      const reason = this.forbidden(child, where, own, configured);
      if (reason) return reason;
    }
    return undefined;
  }

  /** Kinds whose harmlessness depends on a name inside them. */
  specialRule(kind, syntax, options, inConfig) {
    if (/\.set_option$/.test(kind)) {
      const [, option, ...value] = this.children(syntax);
      const name = option !== undefined && this.isIdent(option) ? this.identText(option) : '?';
      const word = value.map(part => this.firstWord(part)).join(' ').trim().split(' ')[0];
      return options.get(name)?.(word) ? undefined : `set_option ${name} ${word} is not allowed`;
    }
    if (kind === 'Lean.Parser.Attr.simple') {
      const text = this.firstWord(syntax);
      return this.attributes.has(text) ? undefined : `attribute \`${text}\` is not allowed`;
    }
    // Lean compiles and runs a configuration's value: no application, no operator, nothing to compute
    if (inConfig && !NEUTRAL.has(kind) && !this.configKinds.has(kind) && !this.isConfigCall(kind, syntax)) return `a tactic's configuration takes plain values, not \`${kind}\``;
    return undefined;
  }

  isConfigCall(kind, syntax) {
    if (kind !== 'Lean.Parser.Term.app') return false;
    const [called] = this.children(syntax);
    return this.isNode(called) && this.kind(called) === 'Lean.Parser.Term.dotIdent' && this.children(called).some(part => this.isIdent(part) && this.configCalls.has(this.identText(part)));
  }

  /** Text of the first identifier or atom. */
  firstWord(syntax) {
    if (this.isIdent(syntax)) return this.identText(syntax);
    if (this.isAtom(syntax)) return this.atomText(syntax);
    if (!this.isNode(syntax)) return '';
    for (const child of this.args(syntax)) { const word = this.firstWord(child); if (word) return word; }
    return '';
  }

  // --- comparison, search --------------------------------------------------------------------------

  /** Same tree: kinds, atoms, identifiers; positions apart. */
  same(a, b) {
    const { objects } = this;
    if (objects.isScalar(a) || objects.isScalar(b)) return a === b;
    if (objects.tag(a) !== objects.tag(b)) return false;
    if (this.isAtom(a)) return this.atomText(a) === this.atomText(b);
    if (this.isIdent(a)) return this.identText(a) === this.identText(b);
    if (this.kind(a) !== this.kind(b)) return false;
    const left = this.args(a), right = this.args(b);
    return left.length === right.length && left.every((child, i) => this.same(child, right[i]));
  }

  /** First node of a kind, depth first, or undefined. */
  find(syntax, kind) {
    if (!this.isNode(syntax)) return undefined;
    if (this.kind(syntax) === kind) return syntax;
    for (const child of this.args(syntax)) { const found = this.find(child, kind); if (found !== undefined) return found; }
    return undefined;
  }

  /** All kinds in a tree, for people who extend the allow-list. */
  kinds(syntax, into = new Set()) {
    if (this.isNode(syntax)) { into.add(this.kind(syntax)); for (const child of this.args(syntax)) this.kinds(child, into); }
    return into;
  }
}

/** ['a', 'b=false', 'c<=99'] as a Map from option to whether it may have a value. */
function optionTable(entries) {
  return new Map(entries.map(entry => {
    const [, name, relation, bound] = /^(.*?)(?:(<=|=)(.*))?$/.exec(entry);
    if (relation === '=') return [name, word => word === bound];
    if (relation === '<=') return [name, word => /^[0-9]+$/.test(word) && Number(word) <= Number(bound)];
    return [name, () => true];
  }));
}

module.exports = { Syntax };
