'use strict';
// Starts the WebAssembly module: compiles lean.wasm, mounts the library read-only, and gives back
// the few things that the rest needs (exports, memory, function table). Knows nothing of Lean.

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const { WASM_PATCHES } = require('./layout.js');

const PAGE = 65536;

/** Reads lean.wasm and applies WASM_PATCHES; throws when the bytes there are not the expected ones. */
function readWasm(file) {
  const bytes = fs.readFileSync(file);
  for (const { offset, from, to } of WASM_PATCHES) {
    const found = bytes.subarray(offset, offset + from.length / 2).toString('hex');
    if (found !== from) throw new Error(`${file} is another build: bytes ${found} at ${offset}, expected ${from}`);
    bytes.write(to, offset, 'hex');
  }
  return bytes;
}

/** A NODEFS of which every writing operation answers EROFS. */
function readOnly(nodefs, FS) {
  const EROFS = 69; // WASI's number, which Emscripten uses
  const refuse = () => { throw new FS.ErrnoError(EROFS); };
  for (const op of ['mknod', 'rename', 'unlink', 'rmdir', 'symlink', 'setattr']) nodefs.node_ops[op] = refuse;
  nodefs.stream_ops.write = refuse;
  nodefs.stream_ops.msync = () => 0; // a private mapping is unmapped: its changes stay in memory
  const open = nodefs.stream_ops.open;
  nodefs.stream_ops.open = stream => ((stream.flags & 3) === 0 ? open(stream) : refuse()); // O_RDONLY only
  return nodefs;
}

/**
 * @param {object} options wasmDir (lean.wasm, lean-slim.js, lib/), memoryLimit in bytes, log(line)
 * @returns {Promise<object>} Emscripten's inside: wasmExports, wasmMemory, HEAP views, addFunction…
 */
function boot({ wasmDir, memoryLimit, log }) {
  return new Promise((resolve, reject) => {
    const print = line => { if (!String(line).startsWith('[DEBUG')) log(String(line)); };
    // What the Emscripten glue expects to find in the global scope of a plain Node script.
    process.binding = () => ({ fs: fs.constants }); // the permission model refuses the real one
    globalThis.require = require;
    globalThis.__filename = path.join(wasmDir, 'lean-slim.js');
    globalThis.__dirname = wasmDir;
    globalThis.module = { exports: {} };
    for (const name of ['log', 'warn', 'error']) console[name] = (...words) => print(words.join(' '));
    globalThis.Module = {
      noInitialRun: true,
      noExitRuntime: true,
      poolSize: 0, // no pthreads
      thisProgram: '/lean/bin/lean',
      wasmMemory: new WebAssembly.Memory({ initial: 256, maximum: Math.floor(memoryLimit / PAGE), shared: true }),
      print, printErr: print,
      onAbort: what => log(`aborted: ${what}`),
      instantiateWasm(imports, done) {
        WebAssembly.compile(readWasm(path.join(wasmDir, 'lean.wasm')))
          .then(module => WebAssembly.instantiate(module, imports).then(instance => done(instance, module)))
          .catch(reject);
      },
      preRun: [() => {
        const { FS, ENV } = globalThis.Module;
        ENV.LEAN_PATH = '/lean/lib/lean';
        ENV.LEAN_SYSROOT = '/lean';
        for (const dir of ['/lean', '/lean/bin', '/lean/lib', '/lean/lib/lean']) FS.mkdir(dir);
        FS.mount(readOnly(FS.filesystems.NODEFS, FS), { root: path.join(wasmDir, 'lib') }, '/lean/lib/lean');
      }],
      onRuntimeInitialized: () => setImmediate(() => resolve(globalThis.__lean)),
    };
    vm.runInThisContext(fs.readFileSync(globalThis.__filename, 'utf8'), { filename: globalThis.__filename });
  });
}

module.exports = { boot };
