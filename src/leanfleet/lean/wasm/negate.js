'use strict';
// The negation of a theorem: where the parts of its statement stand, and whether a text is its
// negation. Composing the text is search/negate.py's; here Lean parses, elaborates and compares.
// Everything is elaborated anew, as for a verdict: whether a disproof counts depends on it.

const { FIELD, CTOR } = require('./layout.js');
const { InputError } = require('./theorems.js');
const { LeanException } = require('./monad.js');
const { Audit } = require('./audit.js');

class Negation {
  constructor(lean, syntax, theorems) {
    Object.assign(this, { lean, syntax, theorems, objects: lean.objects, audit: new Audit(lean) });
  }

  /**
   * Byte spans [start, end] in the statement (UTF-8) of its name, its universe parameters, its
   * binders and its conclusion; [0, 0] for what is not there. Throws InputError.
   */
  spans({ imports, header: headerText, statement, heartbeats }) {
    const { syntax, theorems } = this;
    return this.withHeader(imports, headerText, heartbeats, commandState => {
      const command = theorems.parseAlone(commandState, `${statement} := by\n  sorry\n`, 'statement');
      try {
        const { id, signature } = theorems.parts(command);
        const [name, levels] = syntax.args(id);
        const [binders, type] = syntax.args(signature);
        const [, conclusion] = syntax.args(type);
        return Object.fromEntries(Object.entries({ name, levels, binders, conclusion })
          .map(([part, node]) => [part, this.span(node)]));
      } finally { this.objects.dec(command); }
    });
  }

  /**
   * Throws InputError(negation) unless `negation` is a theorem whose type is `¬ T`, where T is the
   * very type of `statement`, with the same universe parameters. What the two declare on their way
   * (matchers) bears their own names: there the definitions have to agree.
   */
  check({ imports, header: headerText, statement, negation, heartbeats }) {
    const { theorems } = this;
    return this.withHeader(imports, headerText, heartbeats, (commandState, own, owned) => {
      const elaborate = (text, kind) => this.elaborate(commandState, own, text, kind, owned);
      const [stated, negated] = [elaborate(statement, 'statement'), elaborate(negation, 'negation')];
      const inside = this.argumentOfNot(this.type(negated.constant));
      if (inside === undefined) throw new InputError('negation', 'what should be the negation states something else, as with `variable`s of the header');
      const envs = { header: this.lean.env(commandState), stated: this.lean.env(stated.state), negated: this.lean.env(negated.state) };
      const same = theorems.isTheorem(negated.constant) && this.sameLevels(stated.constant, negated.constant)
        && this.sameDeeply([[this.type(stated.constant), inside]], envs, owned);
      if (!same) throw new InputError('negation', 'Lean reads the statement as something else where it stands in its negation');
      return {};
    });
  }

  /** f(Command.State, the header's own kinds, owned) on a fresh header; what f pushes to `owned` is released. */
  withHeader(imports, headerText, heartbeats, f) {
    const owned = [], header = this.theorems.header(imports, headerText, { fresh: true });
    try { return f(this.theorems.limited(header, heartbeats), header.own, owned); } finally {
      owned.forEach(o => this.objects.dec(o));
      this.theorems.drop(header);
    }
  }

  elaborate(commandState, own, text, kind, owned) {
    let found;
    try { found = this.theorems.elaborate(commandState, own, text); } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (this.lean.watchdog.fired) throw new LeanException('interrupted', true); // says nothing about the text
      throw new InputError(kind, error.message);
    }
    owned.push(found.state, found.syntax, found.constant);
    const type = this.objects.inc(this.type(found.constant));
    if (this.objects.unbox(this.objects.call('l_Lean_Expr_hasSorry', type)) === 1) throw new InputError(kind, 'the statement itself contains `sorry`');
    return found;
  }

  type(info) { return this.objects.field(this.theorems.constantVal(info), FIELD.ConstantVal.type); }

  /** T (borrowed) of `Not T`, or undefined. */
  argumentOfNot(expr) {
    const { objects } = this;
    if (objects.tag(expr) !== CTOR.Expr.app) return undefined;
    const f = objects.field(expr, 0);
    return objects.tag(f) === CTOR.Expr.const && objects.name(objects.field(f, 0)) === 'Not' ? objects.field(expr, 1) : undefined;
  }

  span(node) {
    const { objects } = this;
    const [start, end] = ['l_Lean_Syntax_getPos_x3f', 'l_Lean_Syntax_getTailPos_x3f'].map(symbol => {
      const option = objects.call(symbol, objects.inc(node), objects.box(0));
      const position = objects.isScalar(option) ? 0 : objects.nat(objects.field(option, 0));
      objects.dec(option);
      return position;
    });
    return [start, end];
  }

  // --- comparing ---------------------------------------------------------------------------------------

  sameLevels(...infos) {
    const { objects, theorems } = this;
    const [a, b] = infos.map(info => objects.list(objects.field(theorems.constantVal(info), FIELD.ConstantVal.levelParams)).map(n => objects.name(n)));
    return a.length === b.length && a.every((level, i) => level === b[i]);
  }

  /** Pairs of expressions that agree, where own constants stand for each other when what they are agrees. */
  sameDeeply(pairs, envs, owned) {
    const { audit, theorems, objects } = this, seen = new Set(), todo = [...pairs];
    const met = (a, b) => { // two constants by name
      const names = [a, b].map(o => objects.name(o));
      if (audit.contains(envs.header, a) || audit.contains(envs.header, b)) return names[0] === names[1];
      const key = names.join('\n');
      if (seen.has(key)) return true;
      seen.add(key);
      const infos = [audit.find(envs.stated, a), audit.find(envs.negated, b)];
      owned.push(...infos.filter(info => info !== undefined));
      if (infos.includes(undefined) || objects.tag(infos[0]) !== objects.tag(infos[1]) || !this.sameLevels(...infos)) return false;
      // of two proofs the types suffice
      const [one, other] = infos.map(info => audit.expressions(info, owned).slice(0, theorems.isTheorem(info) ? 1 : 2));
      one.forEach((expr, i) => todo.push([expr, other[i]]));
      return one.length === other.length;
    };
    while (todo.length) if (!this.same(...todo.pop(), met)) return false;
    return true;
  }

  /** Two expressions (borrowed) agree, up to bound names and pairs of constants that `met` accepts. */
  same(a, b, met) {
    const { objects, lean } = this, K = CTOR.Expr;
    if (lean.exports.lean_expr_eqv(a, b)) return true;
    const tag = objects.tag(a);
    if (tag !== objects.tag(b)) return false;
    const children = { [K.app]: [0, 1], [K.lam]: [1, 2], [K.forallE]: [1, 2], [K.letE]: [1, 2, 3], [K.mdata]: [1] }[tag];
    if (children) return children.every(i => this.same(objects.field(a, i), objects.field(b, i), met));
    if (tag === K.proj) {
      return [0, 1].every(i => this.shown(a, i) === this.shown(b, i)) && this.same(objects.field(a, 2), objects.field(b, 2), met);
    }
    if (tag !== K.const) return false;
    const [left, right] = [a, b].map(e => objects.field(e, 0));
    const renamed = objects.call('l_Lean_Expr_const___override', objects.inc(left), objects.inc(objects.field(b, 1)));
    const sameUniverses = lean.exports.lean_expr_eqv(a, renamed);
    objects.dec(renamed);
    return sameUniverses && met(left, right);
  }

  /** A name, or a small number, for comparing. */
  shown(expr, i) {
    const { objects } = this, part = objects.field(expr, i);
    return i === 0 ? objects.name(part) : objects.nat(part);
  }
}

module.exports = { Negation };
