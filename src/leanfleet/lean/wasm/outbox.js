'use strict';
// Replies on their way to stdout. One waits while the next request is here already: to wake the
// reader costs more than many a tactic does, the more so where it takes the core from Lean. The
// watchdog's thread sends what has waited for a quarter of a second, so that a tactic that hangs keeps
// only its own. What waits when the process dies is lost: the server asks for it again, one by one.

const fs = require('node:fs');

const LOCK = 0, LENGTH = 1, WORDS = 2; // int32 slots; behind them the bytes that wait
const FREE = 0, TAKEN = 1;
const CAPACITY = 1 << 16;

class Outbox {
  /** @param {SharedArrayBuffer} shared another thread's outbox: the same one, seen from here */
  constructor(shared = new SharedArrayBuffer(4 * WORDS + CAPACITY)) {
    this.shared = shared;
    this.words = new Int32Array(shared, 0, WORDS);
    this.bytes = Buffer.from(shared, 4 * WORDS);
  }

  /** @param {boolean} more whether another reply will follow soon */
  put(value, more) {
    const line = Buffer.from(JSON.stringify(value) + '\n');
    this.locked(() => {
      if (this.words[LENGTH] + line.length > CAPACITY) this.flush();
      if (line.length > CAPACITY) return write(line);
      line.copy(this.bytes, this.words[LENGTH]);
      this.words[LENGTH] += line.length;
      if (!more) this.flush();
    });
  }

  get waiting() { return Atomics.load(this.words, LENGTH) > 0; }

  /** All that waits. */
  send() { if (this.waiting) this.locked(() => this.flush()); }

  // --- inside, under the lock ---

  flush() {
    write(this.bytes.subarray(0, this.words[LENGTH]));
    this.words[LENGTH] = 0;
  }

  locked(f) {
    while (Atomics.compareExchange(this.words, LOCK, FREE, TAKEN) !== FREE) Atomics.wait(this.words, LOCK, TAKEN, 1);
    try { f(); } finally {
      Atomics.store(this.words, LOCK, FREE);
      Atomics.notify(this.words, LOCK);
    }
  }
}

/** Writes all of it: a full non-blocking pipe answers EAGAIN in the middle. */
function write(bytes) {
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  for (let done = 0; done < bytes.length;) {
    try { done += fs.writeSync(1, bytes, done); } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(sleep, 0, 0, 1);
    }
  }
}

module.exports = { Outbox };
