'use strict';
// Lean values in WebAssembly memory: reading, building, reference counts. An object is a 32-bit
// address; odd numbers are boxed scalars. Functions say "borrowed" when the caller keeps its count
// and "owned" when the count passes to the callee, as lean.h does.

const { OBJECT, CXX, TAG } = require('./layout.js');

class Objects {
  /** @param {object} module what boot() resolved to */
  constructor(module) {
    this.module = module;
    this.exports = module.wasmExports;
    this.decoder = new TextDecoder('utf-8');
    this.encoder = new TextEncoder();
    this.names = new Map(); // text -> persistent Name
    this.refresh();
  }

  /** Views on memory go stale when it grows; every accessor goes through these two. */
  get u8() { if (this.bytes.buffer !== this.module.wasmMemory.buffer) this.refresh(); return this.bytes; }
  get u32() { if (this.bytes.buffer !== this.module.wasmMemory.buffer) this.refresh(); return this.words; }
  refresh() {
    const buffer = this.module.wasmMemory.buffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.signed = new Int32Array(buffer);
  }

  // --- scalars, counts -----------------------------------------------------------------------
  box(n) { return ((n << 1) | 1) >>> 0; }
  unbox(o) { return o >>> 1; }
  isScalar(o) { return (o & 1) === 1; }

  /** One more owner; gives the object back. */
  inc(o) {
    if (o & 1) return o;
    this.u32;
    const i = o >> 2, rc = this.signed[i];
    if (rc > 0) this.signed[i] = rc + 1;
    else if (rc < 0) Atomics.sub(this.signed, i, 1);
    return o;
  }

  /** One owner less. */
  dec(o) {
    if (o & 1) return;
    this.u32;
    const i = o >> 2, rc = this.signed[i];
    if (rc > 1) this.signed[i] = rc - 1;
    else if (rc !== 0) this.exports.lean_dec_ref_cold(o);
  }

  isPersistent(o) { this.u32; return this.signed[o >> 2] === 0; }

  // --- reading (all borrowed) ------------------------------------------------------------------
  tag(o) { return this.u8[o + OBJECT.tag]; }
  field(o, i) { return this.u32[((o + OBJECT.fields) >> 2) + i]; }
  numFields(o) { return this.u8[o + OBJECT.numObjs]; }
  /** A 32-bit word of the scalars that follow a constructor's fields. */
  scalar32(o, byteOffset) { return this.u32[(o + OBJECT.fields + 4 * this.numFields(o) + byteOffset) >> 2]; }
  nat(o) { return this.isScalar(o) ? this.unbox(o) : NaN; }
  refValue(o) { return this.u32[(o + OBJECT.refValue) >> 2]; }

  string(o) {
    const size = this.u32[(o + OBJECT.stringSize) >> 2];
    // TextDecoder refuses shared memory: slice copies
    return this.decoder.decode(this.u8.slice(o + OBJECT.stringBytes, o + OBJECT.stringBytes + size - 1));
  }

  /** The mangled type of a C++ exception, given by its address: St9bad_alloc. */
  exceptionType(address) {
    const type = this.u32[(address - CXX.typeBefore) >> 2], start = this.u32[(type + CXX.typeName) >> 2];
    return this.decoder.decode(this.u8.slice(start, this.u8.indexOf(0, start)));
  }

  array(o) {
    const n = this.u32[(o + OBJECT.arraySize) >> 2], start = (o + OBJECT.arrayItems) >> 2;
    return Array.from(this.u32.subarray(start, start + n));
  }

  list(o) {
    const items = [];
    for (; !this.isScalar(o); o = this.field(o, 1)) items.push(this.field(o, 0));
    return items;
  }

  /** Items of a Lean.PersistentArray (a tree and a tail). */
  persistentArray(o) {
    const items = [];
    const node = n => {
      const inside = this.array(this.field(n, 0));
      if (this.tag(n) === 0) inside.forEach(node); else items.push(...inside);
    };
    node(this.field(o, 0));
    items.push(...this.array(this.field(o, 1)));
    return items;
  }

  name(o) {
    if (this.isScalar(o)) return '';
    const prefix = this.name(this.field(o, 0)), last = this.field(o, 1);
    const part = this.tag(o) === 1 ? this.string(last) : String(this.nat(last));
    return prefix ? `${prefix}.${part}` : part;
  }

  // --- building (all owned) --------------------------------------------------------------------
  makeString(text) {
    const bytes = this.encoder.encode(text);
    const buffer = this.exports.malloc(bytes.length + 1) >>> 0;
    this.u8.set(bytes, buffer);
    this.u8[buffer + bytes.length] = 0;
    const o = this.exports.lean_mk_string_from_bytes(buffer, bytes.length) >>> 0;
    this.exports.free(buffer);
    return o;
  }

  allocate(size, tag, numObjs) {
    size = (size + 7) & ~7;
    const o = this.exports.lean_alloc_object(size) >>> 0;
    this.u32[o >> 2] = 1;
    this.bytes[o + OBJECT.size] = size & 255;
    this.bytes[o + OBJECT.size + 1] = size >> 8;
    this.bytes[o + OBJECT.numObjs] = numObjs;
    this.bytes[o + OBJECT.tag] = tag;
    return o;
  }

  /** A constructor object; takes over its fields. `scalars` are bytes. */
  constructor_(tag, fields, scalars = []) {
    const end = OBJECT.fields + 4 * fields.length;
    const o = this.allocate(end + scalars.length, tag, fields.length);
    fields.forEach((value, i) => { this.words[((o + OBJECT.fields) >> 2) + i] = value; });
    const size = this.bytes[o + OBJECT.size] | (this.bytes[o + OBJECT.size + 1] << 8);
    for (let i = 0; end + i < size; i++) this.bytes[o + end + i] = scalars[i] ?? 0;
    return o;
  }

  some(value) { return this.constructor_(1, [value]); }
  none() { return this.box(0); }

  makeArray(items) {
    const o = this.allocate(OBJECT.arrayItems + 4 * items.length, TAG.array, 0);
    this.bytes[o + OBJECT.size] = this.bytes[o + OBJECT.size + 1] = 0;
    this.words[(o + OBJECT.arraySize) >> 2] = this.words[(o + OBJECT.arrayCapacity) >> 2] = items.length;
    items.forEach((value, i) => { this.words[((o + OBJECT.arrayItems) >> 2) + i] = value; });
    return o;
  }

  makeList(items) { return items.reduceRight((tail, head) => this.constructor_(1, [head, tail]), this.box(0)); }

  makeRef(value) {
    const o = this.allocate(16, TAG.ref, 0);
    this.words[(o + OBJECT.refValue) >> 2] = value;
    this.words[((o + OBJECT.refValue) >> 2) + 1] = 0;
    return o;
  }

  /** A closure over a function-table index, without captured arguments. */
  makeClosure(functionIndex, arity) {
    const o = this.allocate(OBJECT.closureArgs, TAG.closure, 0);
    this.words[(o + OBJECT.closureFunction) >> 2] = functionIndex;
    this.words[(o + OBJECT.closureArity) >> 2] = arity; // and no fixed arguments
    return o;
  }

  /** A Name from dotted text. Persistent and cached: meant for the fixed names in this folder. */
  makeName(text) {
    if (text === '') return this.box(0);
    if (!this.names.has(text)) {
      let o = this.box(0);
      for (const part of text.split('.')) o = this.exports.l_Lean_Name_str___override(o, this.makeString(part)) >>> 0;
      this.exports.lean_mark_persistent(o);
      this.names.set(text, o);
    }
    return this.names.get(text);
  }

  /** The value of a top-level Lean constant (borrowed: constants are persistent). */
  global(symbol) {
    const entry = this.exports[symbol];
    if (entry === undefined) throw new Error(`no constant ${symbol} in this build`);
    return this.u32[entry.value >> 2];
  }

  // --- changing ----------------------------------------------------------------------------------
  setRef(ref, value) {
    const i = (ref + OBJECT.refValue) >> 2, old = this.u32[i];
    this.words[i] = value;
    this.dec(old);
  }

  /** A copy of a constructor object with one field replaced; owns `o` and `value`. */
  withField(o, index, value) {
    const n = this.numFields(o), size = this.u8[o + OBJECT.size] | (this.u8[o + OBJECT.size + 1] << 8);
    const fields = [];
    for (let i = 0; i < n; i++) fields.push(i === index ? value : this.inc(this.field(o, i)));
    const scalars = Array.from(this.u8.subarray(o + OBJECT.fields + 4 * n, o + size));
    const copy = this.constructor_(this.tag(o), fields, scalars);
    this.dec(o);
    return copy;
  }

  /**
   * Calls a compiled Lean function with owned arguments. The `___boxed` form is preferred: it
   * takes scalars boxed and, for IO, one argument more for the erased world.
   */
  call(symbol, ...args) {
    const boxed = this.exports[`${symbol}___boxed`];
    if (boxed) {
      while (args.length < boxed.length) args.push(this.box(0));
      return boxed(...args) >>> 0;
    }
    const plain = this.exports[symbol];
    if (!plain) throw new Error(`no function ${symbol} in this build`);
    if (plain.length !== args.length) throw new Error(`${symbol} takes ${plain.length} arguments, not ${args.length}`);
    return plain(...args) >>> 0;
  }

  /** Value of an EIO result (owned in, owned out); throws LeanFailure with the error object. */
  result(o, what) {
    const value = this.inc(this.field(o, 0)), failed = this.tag(o) === 1;
    this.dec(o);
    if (failed) throw new LeanFailure(what, value);
    return value;
  }
}

/** An `error` result of a Lean action; `value` is the owned error object. */
class LeanFailure extends Error {
  constructor(what, value) { super(`${what} failed`); this.value = value; }
}

module.exports = { Objects, LeanFailure };
