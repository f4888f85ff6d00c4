'use strict';
// Headers and statements: what a theorem's trusted text means to Lean. Used by search (open) and
// by the verdict, each with states of its own.

const { FIELD, CTOR } = require('./layout.js');

/** The theorem's own text is at fault; `kind` is header or statement. */
class InputError extends Error {
  constructor(kind, message) { super(message); this.kind = kind; }
}

const MAX_CACHED_HEADERS = 16;
const MAX_CACHED_LIMITS = 8; // per header

class Theorems {
  constructor(lean, monad, syntax) {
    this.lean = lean;
    this.monad = monad;
    this.syntax = syntax;
    this.objects = lean.objects;
    this.cache = new Map(); // imports and header text -> header, least recently used first
  }

  // --- headers -----------------------------------------------------------------------------------------

  /**
   * A header elaborated: {commandState (owned by it), own: kinds it declared, limited: states by limit}.
   * Throws InputError. `fresh`: not from the cache, and the caller drops it with `drop`.
   */
  header(imports, text, { fresh = false } = {}) {
    const key = JSON.stringify([imports, text]);
    const known = fresh ? undefined : this.cache.get(key);
    if (known) { this.cache.delete(key); this.cache.set(key, known); return known; }
    const header = this.elaborateHeader(imports, text);
    if (!fresh) {
      this.cache.set(key, header);
      if (this.cache.size > MAX_CACHED_HEADERS) {
        const [oldest, dropped] = this.cache.entries().next().value;
        this.cache.delete(oldest);
        this.drop(dropped);
      }
    }
    return header;
  }

  elaborateHeader(imports, text) {
    let base;
    try { base = this.lean.base(imports); } catch (error) { throw new InputError('header', error.message); }
    let state = this.objects.inc(base);
    const own = this.ownKinds(() => this.lean.env(state), this.lean.env(base));
    if (text.trim()) {
      const result = this.lean.runText(text, state, {
        beforeCommand: stx => this.syntax.forbiddenInHeader(stx, own),
        afterCommand: now => { state = now; own.cache.clear(); },
      });
      state = result.state;
      const wrong = result.refused ?? result.messages.filter(m => m.severity === 'error').map(m => `line ${m.pos?.line}: ${m.data}`).join('\n');
      if (wrong) { this.objects.dec(state); throw new InputError('header', wrong); }
    }
    return { commandState: state, baseEnv: this.lean.env(base), own, limited: new Map(), holders: 1 };
  }

  /**
   * The syntax kinds that a header's own notations made: the parser has known them only since. What was
   * a kind before the header never is one, whatever the header declares under its name, nor is any
   * under `Lean`, where the builtin parsers' kinds are.
   */
  ownKinds(env, baseEnv) {
    const { objects } = this, cache = new Map();
    const isKind = (environment, name) => objects.unbox(
      objects.call('l_Lean_Parser_isValidSyntaxNodeKind', objects.inc(environment), objects.inc(name))) === 1;
    return {
      cache,
      has(text, name) {
        if (!cache.has(text)) cache.set(text, !/^Lean(\.|$)/.test(text) && isKind(env(), name) && !isKind(baseEnv, name));
        return cache.get(text);
      },
    };
  }

  /** One holder more of a header: a proof state that came of it. */
  hold(header) { header.holders++; }

  /** One holder less; the last one frees it. Every header begins with one holder, the cache or the caller. */
  drop(header) {
    if (--header.holders > 0) return;
    this.objects.dec(header.commandState);
    for (const state of header.limited.values()) this.objects.dec(state);
  }

  /** The header's Command.State (borrowed) with `maxHeartbeats` set. */
  limited(header, heartbeats) {
    if (!header.limited.has(heartbeats)) {
      if (header.limited.size >= MAX_CACHED_LIMITS) {
        const [oldest, dropped] = header.limited.entries().next().value;
        header.limited.delete(oldest);
        this.objects.dec(dropped); // proof states keep the one that they were made with
      }
      const text = `set_option maxHeartbeats ${heartbeats}`;
      header.limited.set(heartbeats, this.lean.runText(text, this.objects.inc(header.commandState)).state);
    }
    return header.limited.get(heartbeats);
  }

  // --- statements ----------------------------------------------------------------------------------------

  /**
   * Elaborates `statement := by sorry` on a Command.State (borrowed), when nothing in the statement is
   * off the allow-list. Throws InputError.
   * @param own kinds that the header declared
   * @param {function} afterCommand sees the state with its info trees
   * @returns {{state (owned), syntax (owned): the declaration, name: string, constant (owned ConstantInfo)}}
   */
  elaborate(commandState, own, statement, afterCommand) {
    const { objects, lean } = this;
    const text = `${statement} := by\n  sorry\n`;
    const syntax = this.parseAlone(commandState, text, 'statement');
    let state;
    try {
      const reason = this.forbiddenInStatement(syntax, own);
      if (reason) throw new InputError('statement', reason);
      const result = lean.runText(text, objects.inc(commandState), { afterCommand });
      state = result.state;
      const errors = result.messages.filter(m => m.severity === 'error').map(m => m.data);
      if (errors.length) throw new InputError('statement', errors.join('\n'));
      const { name, constant } = this.findTheorem(syntax, state);
      if (constant === undefined) throw new InputError('statement', `no theorem \`${name}\` came of it`);
      return { state, syntax, name, constant };
    } catch (error) {
      objects.dec(syntax);
      if (state) objects.dec(state);
      throw error;
    }
  }

  /**
   * The one theorem declaration that a text is (owned syntax), parsed where it will stand. Throws
   * InputError(kind) for anything else: a second command, modifiers, a body of its own.
   */
  parseAlone(commandState, text, kind) {
    const { objects, lean, syntax } = this;
    const input = lean.inputContext(text);
    const start = objects.constructor_(0, [objects.box(0)], [0]);
    const first = lean.parseCommand(input, commandState, start);
    const second = lean.parseCommand(input, commandState, first.parserState);
    const messages = [...first.messages, ...second.messages].map(m => m.data);
    const next = lean.kind(second.syntax);
    for (const o of [second.syntax, second.parserState, input]) objects.dec(o);
    const problem = messages[0] ?? this.notOneTheorem(first.syntax) ?? (next === 'Lean.Parser.Command.eoi' ? undefined : 'there is more than one command');
    if (problem) { objects.dec(first.syntax); throw new InputError(kind, problem); }
    return first.syntax;
  }

  notOneTheorem(command) {
    const { syntax } = this;
    if (this.lean.kind(command) !== 'Lean.Parser.Command.declaration') return `it is no declaration but \`${this.lean.kind(command)}\``;
    const [modifiers, declaration] = syntax.args(command);
    if (syntax.args(modifiers).some(part => syntax.isNode(part) && syntax.children(part).length)) return 'modifiers and attributes are not allowed on the theorem';
    if (syntax.kind(declaration) !== 'Lean.Parser.Command.theorem') return 'it does not begin with `theorem`';
    return undefined;
  }

  /** Why a theorem's statement (the declaration, borrowed) may not be elaborated, or undefined. */
  forbiddenInStatement(command, own) {
    const { id, signature } = this.parts(command);
    return this.syntax.forbiddenInStatement(id, own) ?? this.syntax.forbiddenInStatement(signature, own);
  }

  /** {keyword, id, signature, value} of a theorem declaration (borrowed). */
  parts(command) {
    const [keyword, id, signature, value] = this.syntax.args(this.syntax.args(command)[1]);
    return { keyword, id, signature, value };
  }

  /** The constant that a theorem declaration put into a state's environment: {name, constant?}. */
  findTheorem(command, commandState) {
    const { objects, lean, syntax } = this;
    const ident = syntax.args(this.parts(command).id)[0];
    const written = syntax.identText(ident);
    const namespace = objects.name(objects.field(lean.scope(commandState), FIELD.Scope.currNamespace));
    const rooted = written.startsWith('_root_.');
    const nameObject = rooted || !namespace
      ? this.nameOf(rooted ? written.slice('_root_.'.length) : null, ident)
      : objects.call('l_Lean_Name_append', objects.inc(objects.field(lean.scope(commandState), FIELD.Scope.currNamespace)), objects.inc(objects.field(ident, 2)));
    const option = objects.call('l_Lean_Environment_find_x3f', objects.inc(lean.env(commandState)), objects.inc(nameObject), objects.box(1));
    const constant = objects.isScalar(option) ? undefined : objects.inc(objects.field(option, 0));
    const name = objects.name(nameObject);
    objects.dec(option);
    objects.dec(nameObject);
    return { name, constant };
  }

  nameOf(text, ident) {
    const { objects } = this;
    return text === null ? objects.inc(objects.field(ident, 2)) : objects.makeName(text);
  }

  /** ConstantVal of a ConstantInfo (borrowed): every kind keeps it as its first field's first field. */
  constantVal(info) { return this.objects.field(this.objects.field(info, 0), 0); }
  isTheorem(info) { return this.objects.tag(info) === CTOR.ConstantInfo.thm; }
}

module.exports = { Theorems, InputError };
