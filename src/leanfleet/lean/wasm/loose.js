'use strict';
// The loose hash of a goal: equal for goals that differ only in the names and the order of their
// hypotheses. The context is put into an order of its own and hashed in it, so two goals with one
// hash are the same goal up to that. Where no rule below decides the order, the place in the context
// does: then equal goals may get two hashes, but never two goals one.
//
// The order: free variables by first appearance in the target, then in the types and values of what
// stands in the order already. Of what is left, that which nothing else mentions comes next: first
// what mentions nothing new, by its hash; else one whose hash no other has, and what it mentions. For
// these hashes a variable counts by what it is and, where that is not enough, by how it is used.

const { ExprHasher, Mixer, numberOf, visit } = require('./mixer.js');

const MAX_ROUNDS = 12; // of ordering what the target does not need; the rest stays as it stands
const MAX_REFINEMENTS = 3; // of hashes by what is said elsewhere about the same variables

/** One object serves a group of goals: metavariables are numbered over all of them. */
class Looser {
  constructor(objects) {
    this.objects = objects;
    this.mvars = new Map(); // name -> number
  }

  /**
   * 16 hex digits.
   * @param {Array<{name, type, value}>} locals instantiated expressions; value 0: none
   * @param {number} target instantiated @param {Names} names
   */
  hash(locals, target, names) {
    const numbers = new Ordering(this.objects, locals, names, this.mvars).of(target);
    const expressions = new ExprHasher(this.objects, names, name => [numbers.get(name) ?? -1], name => [this.mvars.get(name)], true);
    const mixer = new Mixer().add(locals.length);
    for (const local of [...locals].sort((a, b) => numbers.get(a.name) - numbers.get(b.name))) {
      expressions.intoLocal(mixer, local);
    }
    mixer.add(2).addAll(expressions.lanes(target));
    return mixer.hex();
  }
}

/** The order of one context. */
class Ordering {
  constructor(objects, locals, names, mvars) {
    Object.assign(this, { objects, locals, names, mvars });
    this.byName = new Map(locals.map(local => [local.name, local]));
    this.numbers = new Map(); // name -> place in the order
    this.queue = []; // numbered, their types not looked at yet
    this.visited = new Set();
  }

  /** Map name -> number, of all locals. Numbers the metavariables too. */
  of(target) {
    this.look(target);
    this.follow();
    let rest = this.locals.filter(local => !this.numbers.has(local.name));
    for (const local of rest) local.mentions = this.mentions(local);
    for (let round = 0; rest.length && round < MAX_ROUNDS; round++) {
      this.next(rest).forEach(local => this.put(local));
      rest = rest.filter(local => !this.numbers.has(local.name));
    }
    rest.forEach(local => this.put(local));
    return this.numbers;
  }

  /** Which of the unnumbered (in the context's order) come next. */
  next(rest) {
    const needed = new Set(rest.flatMap(local => [...local.mentions]));
    const tops = rest.filter(local => !needed.has(local.name)); // contexts have no cycles: at least one
    const settled = tops.filter(local => !this.news(local).length);
    let colours = this.colours(rest, new Map());
    const compare = (one, two) => {
      const [a, b] = [one, two].map(local => colours.get(local.name));
      return a[0] - b[0] || a[1] - b[1]; // of equals the sort keeps the order
    };
    if (settled.length) return settled.sort(compare);
    const alone = (local, i) => [tops[i - 1], tops[i + 1]].every(other => !other || compare(local, other) !== 0);
    for (let refined = 0; ; refined++) {
      tops.sort(compare);
      const found = tops.find(alone);
      if (found || refined === MAX_REFINEMENTS) return [found ?? tops[0]];
      colours = this.colours(rest, this.uses(rest, colours));
    }
  }

  /** Name -> lanes: what a local is, and what is known of its uses. */
  colours(rest, uses) {
    const colours = new Map();
    for (const local of rest) { // those that it mentions stand before it
      colours.set(local.name, this.lanes(local, colours).add(4).addAll(uses.get(local.name) ?? []).fold());
    }
    return colours;
  }

  /** Name -> lanes: what is said with an unnumbered variable, and where in it, by colours. */
  uses(rest, colours) {
    const uses = new Map();
    for (const local of rest) {
      for (const name of this.news(local)) {
        const one = this.lanes(local, colours, name).fold(), sum = uses.get(name) ?? [0, 0];
        uses.set(name, [0, 1].map(i => (sum[i] + one[i]) | 0)); // a sum: in no order
      }
    }
    return uses;
  }

  /** A mixer of one local; the variable `marked` stands out. */
  lanes(local, colours, marked) {
    const number = name => this.numbers.get(name) ?? -1;
    const fvar = name => (name === marked ? [-3] : colours.get(name) ?? [number(name)]);
    const expressions = new ExprHasher(this.objects, this.names, fvar, name => [this.mvars.get(name) ?? -2], true);
    const mixer = new Mixer().add(3);
    expressions.intoLocal(mixer, local);
    return mixer;
  }

  /** What a local mentions that has no number. */
  news(local) { return [...local.mentions].filter(name => !this.numbers.has(name)); }

  put(local) {
    this.number(local.name);
    this.follow();
  }

  number(name) {
    if (this.numbers.has(name) || !this.byName.has(name)) return;
    this.numbers.set(name, this.numbers.size);
    this.queue.push(name);
  }

  /** Numbers what the numbered ones mention. */
  follow() {
    for (let i = 0; i < this.queue.length; i++) {
      const local = this.byName.get(this.queue[i]);
      this.look(local.type);
      if (local.value) this.look(local.value);
    }
    this.queue = [];
  }

  look(e) {
    visit(this.objects, this.names, e, this.visited, name => this.number(name), name => numberOf(this.mvars, name));
  }

  /** Names of the locals that a local mentions. */
  mentions(local) {
    const found = new Set(), visited = new Set();
    for (const e of local.value ? [local.type, local.value] : [local.type]) {
      visit(this.objects, this.names, e, visited, name => { if (this.byName.has(name)) found.add(name); }, () => {});
    }
    return found;
  }
}

module.exports = { Looser };
