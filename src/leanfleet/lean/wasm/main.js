'use strict';
// The registry Lean as a process: JSON lines on stdin, JSON lines on stdout, one call at a time.
// The first line is the configuration (see registry.py); every later line is {op, ...} and gets
// exactly one line back: {ok: …} or {error: {kind, message, fatal}}, with seconds and heartbeats.
// Reading blocks: between calls nothing runs here but the watchdog's sleep.

const fs = require('node:fs');
const { Lean } = require('./lean.js');
const { Outbox } = require('./outbox.js');
const { Monad, LeanException } = require('./monad.js');
const { Syntax } = require('./syntax.js');
const { Theorems, InputError } = require('./theorems.js');
const { Goals, TacticError } = require('./goals.js');
const { Verifier } = require('./verify.js');
const { Negation } = require('./negate.js');
const { Transcript } = require('./transcript.js');

const MAX_LINE = 64 << 20;

class Session {
  constructor(lean, rules) {
    this.lean = lean;
    this.monad = new Monad(lean);
    this.syntax = new Syntax(lean, rules);
    this.theorems = new Theorems(lean, this.monad, this.syntax);
    this.goals = new Goals(lean, this.monad, this.syntax);
    this.verifier = new Verifier(lean, this.monad, this.syntax, this.theorems);
    this.negation = new Negation(lean, this.syntax, this.theorems);
    this.transcript = new Transcript(this);
    this.states = new Map(); // id -> {snapshot, header}
    this.nextId = 0;
  }

  keep(snapshot, header) {
    if (header) this.theorems.hold(header);
    this.states.set(this.nextId, { snapshot, header });
    return this.nextId++;
  }

  // --- operations: the request in, the reply's `ok` out ------------------------------------------------

  open({ imports, header: text, statement, heartbeats }) {
    const header = this.theorems.header(imports, text);
    const commandState = this.theorems.limited(header, heartbeats);
    let sites = [];
    const freeSites = () => sites.forEach(site => this.goals.free(site.state));
    let result;
    try {
      result = this.theorems.elaborate(commandState, header.own, statement, now => {
        const env = this.goals.searchEnv(this.lean.env(commandState), this.lean.env(now));
        sites.push(...this.goals.sorries(now, env, header.own, { self: false }));
      });
    } catch (error) { freeSites(); throw error; }
    for (const o of [result.state, result.syntax, result.constant]) this.lean.objects.dec(o);
    if (sites.length !== 1) {
      freeSites();
      throw new InputError('statement', sites.length ? 'the statement itself contains `sorry`' : 'the statement has nothing to prove');
    }
    return { state: this.keep(sites[0].state, header), goals: sites[0].goals };
  }

  tactic({ state, tactic, heartbeats, checked = true }) {
    const found = this.states.get(state);
    if (!found) throw new InputError('crash', `no state ${state} in this process`);
    const commandState = found.header ? this.theorems.limited(found.header, heartbeats) : found.snapshot.commandState;
    const result = this.goals.run(found.snapshot, tactic, commandState, { checked });
    return {
      groups: result.groups.map(group => ({ state: this.keep(group.state, found.header), goals: group.goals })),
      positions: result.groups.map(group => group.positions),
      messages: result.messages,
    };
  }

  forget({ states }) {
    for (const id of states) {
      const found = this.states.get(id);
      if (!found) continue;
      this.states.delete(id);
      this.goals.free(found.snapshot);
      if (found.header) this.theorems.drop(found.header);
    }
    return {};
  }

  verify(request) { return this.verifier.verify(request); }

  spans(request) { return this.negation.spans(request); }

  negates(request) { return this.negation.check(request); }

  /** A text as a file, with no rule applied: for comparisons and for showing what rules prevent. */
  command(request) { return this.transcript.command(request); }

  load({ imports }) { this.lean.base(imports); return {}; }

  status() {
    return {
      states: this.states.size,
      memory: this.lean.module.wasmMemory.buffer.byteLength,
      live: this.lean.liveBytes(),
      rss: process.memoryUsage.rss(),
    };
  }
}

const OPERATIONS = ['open', 'tactic', 'forget', 'verify', 'spans', 'negates', 'command', 'load', 'status'];

/** One request to one reply; never throws. */
function answer(session, line) {
  const { lean } = session;
  let request;
  try { request = JSON.parse(line); } catch (error) { return failure('crash', `not JSON: ${error.message}`); }
  if (!OPERATIONS.includes(request.op)) return failure('crash', `no operation ${request.op}`);
  const start = performance.now(), cpu = process.cpuUsage();
  lean.resetHeartbeats();
  lean.lastWords = '';
  lean.watchdog.arm(request.seconds ?? 60);
  let reply, error;
  try { reply = { ok: session[request.op](request) }; } catch (thrown) { error = thrown; }
  const stopped = lean.watchdog.disarm();
  if (error) reply = describe(error, stopped, lean);
  if (!lean.stackIntact()) reply = failure('crash', 'stack overflow inside Lean', true);
  // clients with a clock of their own see the time inside Lean; heartbeats are Lean's own measure
  reply.seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  reply.cpu_seconds = (user + system) / 1e6;
  reply.heartbeats = lean.heartbeats();
  reply.states = session.states.size;
  reply.memory = lean.module.wasmMemory.buffer.byteLength;
  return reply;
}

function failure(kind, message, fatal = false) { return { error: { kind, message, fatal } }; }

/** What went wrong, as a kind of ErrorKind. Unforeseen JavaScript errors are fatal. */
function describe(error, stopped, lean) {
  const foreseen = [LeanException, TacticError, InputError].some(type => error instanceof type);
  if (stopped && foreseen) {
    // WebAssembly memory never shrinks: after the limit was reached, every later call would meet it
    if (stopped === 'memory') return failure('memory', 'the memory limit was reached', true);
    return failure('timeout', 'the time limit was reached');
  }
  if (foreseen) return failure(error.kind, error.message);
  lean.resetStack();
  // C++ code throws the address of its exception
  const thrown = typeof error === 'number' ? lean.objects.exceptionType(error) : '';
  const said = thrown ? `an exception of its C++ code that nobody caught: ${thrown}` : error?.message ?? error;
  const text = `${lean.lastWords} ${said}`.trim();
  if (/out of memory|OOM|enlarge memory/i.test(text) || /^St.*bad_(alloc|array_new_length)/.test(thrown)) return failure('memory', 'out of memory', true);
  if (error instanceof RangeError) return failure('crash', `stack overflow: ${text}`, true);
  return failure('crash', text.slice(0, 500), true);
}

// --- pipes -----------------------------------------------------------------------------------------------

/** Blocking lines of stdin; undefined at its end. `next.isHere()`: it would not have to wait. */
function lineReader() {
  const chunk = Buffer.alloc(1 << 16), sleep = new Int32Array(new SharedArrayBuffer(4));
  let pending = [], length = 0;
  function next() {
    for (;;) {
      const last = pending[pending.length - 1];
      const newline = last ? last.indexOf(10) : -1;
      if (newline >= 0) {
        const line = Buffer.concat([...pending.slice(0, -1), last.subarray(0, newline)]).toString('utf8');
        const rest = last.subarray(newline + 1);
        pending = rest.length ? [Buffer.from(rest)] : [];
        length = rest.length;
        return line;
      }
      let n;
      try { n = fs.readSync(0, chunk, 0, chunk.length, null); } catch (error) {
        if (error.code === 'EAGAIN') { Atomics.wait(sleep, 0, 0, 1); continue; }
        if (error.code === 'EOF') return undefined;
        throw error;
      }
      if (n === 0) return undefined;
      length += n;
      if (length > MAX_LINE) throw new Error('a request line is too long');
      pending.push(Buffer.from(chunk.subarray(0, n)));
    }
  }
  next.isHere = () => pending.some(each => each.includes(10));
  return next;
}

const log = line => { try { fs.writeSync(2, `${line}\n`); } catch { /* nobody reads stderr: nothing to tell anybody */ } };

async function main() {
  const next = lineReader(), outbox = new Outbox();
  const config = JSON.parse(next() ?? '{}');
  const lean = await Lean.start({ ...config, log, outbox });
  const session = new Session(lean, config.rules);
  session.load({ imports: config.imports });
  outbox.put({ ready: true, version: lean.version, seconds: performance.now() / 1000 }, false);
  for (let line = next(); line !== undefined; line = next()) {
    if (!line.trim()) { outbox.send(); continue; }
    const reply = answer(session, line);
    const fatal = reply.error?.fatal;
    outbox.put(reply, !fatal && next.isHere());
    if (fatal) process.exit(3);
  }
}

main().then(() => process.exit(0), error => { log(error.stack ?? error); process.exit(1); });
