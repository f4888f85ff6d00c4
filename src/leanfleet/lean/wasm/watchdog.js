'use strict';
// The wall-clock and memory guard of one call at a time. Lean runs in the main thread and never
// yields, so a worker thread watches and sets Lean's cancel token in shared memory when the time
// is over or one call has made memory grow too much. It can't stop code that never looks at the
// token (interpreted loops): the parent process kills for that. It also sends the replies that wait
// for a call to end (see outbox.js); while nobody reads a full pipe it can't watch, and the parent does.
//
// Hand-shake, so that a late write never hits the next call: the main thread moves `state`
// IDLE -> ARMED -> IDLE; the worker moves ARMED -> FIRING -> FIRED, and a main thread that finds
// FIRING waits for FIRED before it clears the token.

const { Worker, isMainThread, workerData } = require('node:worker_threads');
const { OBJECT } = require('./layout.js');
const { Outbox } = require('./outbox.js');

const STATE = 0, REASON = 1, SLEEPING = 2, WORDS = 4; // int32 slots; behind them, float64:
const DEADLINE = 0, MOST_BYTES = 1, DOUBLES = 2;
const IDLE = 0, ARMED = 1, FIRING = 2, FIRED = 3;
const TIMEOUT = 1, MEMORY = 2;
const POLL_MS = 20;
const LATE_MS = 250; // for longer than this no reply waits for those behind it
const UNSET = 1, SET = 3; // boxed Bool in the token's reference

class Watchdog {
  /** @param {number} growth bytes by which one call may make memory grow
   *  @param {Outbox} outbox replies that its thread sends when they have waited */
  constructor(memory, token, growth, outbox = new Outbox()) {
    this.growth = growth;
    this.shared = new SharedArrayBuffer(4 * WORDS + 8 * DOUBLES);
    this.control = new Int32Array(this.shared, 0, WORDS);
    this.limits = new Float64Array(this.shared, 4 * WORDS, DOUBLES);
    this.memory = memory;
    this.slot = (token + OBJECT.refValue) >> 2;
    this.worker = new Worker(__filename, { workerData: { shared: this.shared, memory, slot: this.slot, replies: outbox.shared } });
    this.worker.unref();
  }

  arm(seconds) {
    this.limits[DEADLINE] = performance.timeOrigin + performance.now() + 1000 * seconds;
    this.limitMemory();
    Atomics.store(this.control, STATE, ARMED);
    if (Atomics.load(this.control, SLEEPING)) Atomics.notify(this.control, STATE);
  }

  /** Memory may grow from here on by as much in a used process as in a fresh one: same answers. */
  limitMemory() { this.limits[MOST_BYTES] = this.memory.buffer.byteLength + this.growth; }

  /** f() without the memory limit: what a library takes is no tactic's doing. */
  whileLoading(f) {
    this.limits[MOST_BYTES] = Infinity;
    try { return f(); } finally { this.limitMemory(); }
  }

  /** Whether the running call has been told to stop. */
  get fired() { return Atomics.load(this.control, STATE) !== ARMED; }

  /** Why the call was told to stop: 'timeout', 'memory' or undefined. */
  disarm() {
    if (Atomics.compareExchange(this.control, STATE, ARMED, IDLE) === ARMED) return undefined;
    while (Atomics.load(this.control, STATE) === FIRING) Atomics.wait(this.control, STATE, FIRING, 1);
    Atomics.store(new Int32Array(this.memory.buffer), this.slot, UNSET);
    Atomics.store(this.control, STATE, IDLE);
    return Atomics.load(this.control, REASON) === MEMORY ? 'memory' : 'timeout';
  }
}

function watch({ shared, memory, slot, replies }) {
  const outbox = new Outbox(replies);
  const control = new Int32Array(shared, 0, WORDS), limits = new Float64Array(shared, 4 * WORDS, DOUBLES);
  let idleSince = 0, emptyAt = 0;
  for (;;) {
    const now = performance.timeOrigin + performance.now();
    if (!outbox.waiting) emptyAt = now;
    if (Atomics.load(control, STATE) === ARMED) {
      idleSince = now;
      const tooLarge = memory.buffer.byteLength > limits[MOST_BYTES];
      if ((now >= limits[DEADLINE] || tooLarge) && Atomics.compareExchange(control, STATE, ARMED, FIRING) === ARMED) {
        Atomics.store(control, REASON, tooLarge ? MEMORY : TIMEOUT);
        Atomics.store(new Int32Array(memory.buffer), slot, SET);
        Atomics.store(control, STATE, FIRED);
        Atomics.notify(control, STATE);
      }
      if (now - emptyAt >= LATE_MS) {
        outbox.send();
        emptyAt = now;
      }
      Atomics.wait(control, SLEEPING, 0, POLL_MS); // nobody notifies this slot: a plain sleep
    } else if (now - idleSince < 1000) {
      Atomics.wait(control, SLEEPING, 0, POLL_MS);
    } else {
      Atomics.store(control, SLEEPING, 1);
      Atomics.wait(control, STATE, IDLE, 1000);
      Atomics.store(control, SLEEPING, 0);
      idleSince = performance.timeOrigin + performance.now();
    }
  }
}

if (!isMainThread && workerData && workerData.slot !== undefined) watch(workerData);

module.exports = { Watchdog };
