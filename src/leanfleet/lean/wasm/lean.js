'use strict';
// One running Lean: start-up, imports, commands, messages. Values are raw Lean objects (see
// objects.js for who owns what). Knows nothing of proof states, rules or requests.

const { boot } = require('./boot.js');
const { Objects, LeanFailure } = require('./objects.js');
const { FIELD, CTOR, HEAP_AREA, OBJECT } = require('./layout.js');
const { Watchdog } = require('./watchdog.js');

/** The C-style stack of the module, in bytes. The stock 64 KB overflows silently into the heap. */
const SHADOW_STACK = 256 << 20;
/** Words at the far end of that stack which nothing may ever write. */
const CANARY_WORDS = 1024;
const CANARY = 0x1ea7f1ee;

const LIBRARY = '/lean/lib/lean'; // where boot.js mounts it

const END_OF_FILE = ['Lean.Parser.Command.eoi', 'Lean.Parser.Command.exit'];

class Lean {
  /** @param {object} options wasmDir, memoryLimit and growthLimit (bytes: of the heap, of one call), log(line), outbox (may be missing) */
  static async start(options) {
    let lean;
    const log = line => { if (lean) lean.lastWords = line; options.log(line); };
    lean = new Lean(await boot({ ...options, log }), options);
    lean.moveStack();
    lean.initialize();
    return lean;
  }

  constructor(module, options) {
    this.objects = new Objects(module);
    this.exports = module.wasmExports;
    this.module = module;
    this.options = options;
    this.lastWords = ''; // what Lean printed last, such as a panic
    this.bases = new Map(); // 'Init,Std' -> Command.State after these imports
    this.checkExports();
  }

  checkExports() {
    const needed = ['lean_initialize', 'l_Lean_importModules', 'l_Lean_Parser_parseCommand',
      'l_Lean_Elab_Command_elabCommandTopLevel', 'l_Lean_Elab_Tactic_evalTactic', 'l_Lean_CollectAxioms_collect'];
    const absent = needed.filter(name => !this.exports[name]);
    if (absent.length) throw new Error(`this is not the build that layout.js describes: no ${absent.join(', ')}`);
  }

  // --- start-up ----------------------------------------------------------------------------------

  moveStack() {
    const block = this.exports.malloc(SHADOW_STACK) >>> 0;
    if (!block) throw new Error('out of memory: no room for the stack');
    this.stackEnd = (block + 15) & ~15;
    this.stackBase = (block + SHADOW_STACK) & ~15;
    this.exports.emscripten_stack_set_limits(this.stackBase, this.stackEnd);
    this.objects.u32.fill(CANARY, this.stackEnd >> 2, (this.stackEnd >> 2) + CANARY_WORDS);
    this.resetStack();
  }

  /** Back to an empty stack: after an exception of JavaScript's went through Lean's frames. */
  resetStack() { this.exports._emscripten_stack_restore(this.stackBase); }

  /** False once the stack has overflowed into the heap: nothing this process says holds any more. */
  stackIntact() {
    const start = this.stackEnd >> 2;
    return this.objects.u32.subarray(start, start + CANARY_WORDS).every(word => word === CANARY);
  }

  initialize() {
    const { exports, objects } = this;
    exports.lean_initialize();
    exports.lean_init_task_manager_using(1);
    objects.result(exports.l_Lean_initSearchPath(objects.makeString('/lean'),
      objects.makeList([objects.makeString(LIBRARY)])) >>> 0, 'initSearchPath');
    exports.lean_enable_initializer_execution();
    exports.lean_io_mark_end_initialization();
    // one cancel token for the life of the process: never freed, so a late write can do no harm
    this.cancelToken = exports.l_IO_CancelToken_new() >>> 0;
    this.watchdog = new Watchdog(this.module.wasmMemory, this.cancelToken, this.options.growthLimit, this.options.outbox);
    this.version = objects.string(objects.global('l_Lean_versionString'));
  }

  // --- environments ------------------------------------------------------------------------------

  /** Command.State after imports (borrowed; kept for ever). Throws Error with Lean's words. */
  base(modules) {
    const key = modules.join(',');
    if (!this.bases.has(key)) {
      const state = this.watchdog.whileLoading(() => this.importModules(modules));
      // errors must be where we look for them: no elaboration in the background
      const prepared = this.runText('set_option Elab.async false\nset_option autoImplicit false\n'
        + 'set_option relaxedAutoImplicit false\n', state);
      const wrong = prepared.messages.filter(m => m.severity === 'error');
      if (wrong.length) throw new Error(wrong[0].data);
      this.bases.set(key, prepared.state);
    }
    return this.bases.get(key);
  }

  importModules(modules) {
    const { objects, exports } = this;
    this.checkModules(modules);
    const imports = modules.map(m => objects.constructor_(0, [objects.makeName(m)], [0, 1, 0])); // isExported
    let env;
    try {
      env = objects.result(exports.l_Lean_importModules(objects.makeArray(imports), objects.box(0), 0,
        objects.makeArray([]), 0, 1, 2, objects.box(1)) >>> 0, 'import');
    } catch (failure) {
      if (!(failure instanceof LeanFailure)) throw failure;
      const toString = objects.inc(objects.global('l_IO_Error_instToString'));
      const text = exports.lean_apply_1(toString, failure.value) >>> 0;
      const words = objects.string(text);
      objects.dec(text);
      throw new Error(words);
    }
    return objects.call('l_Lean_Elab_Command_mkState', env, this.emptyLog(), objects.box(0));
  }

  /** Asked in advance: an import that fails in the middle never gives back what it has read by then. */
  checkModules(modules) {
    for (const name of modules) {
      const file = `${LIBRARY}/${name.replace(/[«»]/g, '').split('.').join('/')}.olean`;
      if (!this.module.FS.analyzePath(file).exists) throw new Error(`unknown module '${name}': this Lean has no ${file.slice(LIBRARY.length + 1)}`);
    }
  }

  env(commandState) { return this.objects.field(commandState, FIELD.CommandState.env); }
  scope(commandState) { return this.objects.field(this.objects.field(commandState, FIELD.CommandState.scopes), 0); }

  // --- messages ----------------------------------------------------------------------------------

  emptyLog() { return this.objects.inc(this.objects.global('l_Lean_MessageLog_empty')); }

  /** Message log (owned) as [{severity, pos, endPos, data}], severity as Lean's JSON names it. */
  messages(log) {
    const { objects, exports } = this;
    const list = objects.call('l_Lean_MessageLog_toList', log);
    const found = objects.list(list).map(message => {
      const json = objects.call('l_Lean_Message_toJson', objects.inc(message));
      const text = exports.l_Lean_Json_compress(json) >>> 0;
      const { severity, pos, endPos, data } = JSON.parse(objects.string(text));
      objects.dec(text);
      return { severity, pos, endPos, data };
    });
    objects.dec(list);
    return found;
  }

  /** Text of a Lean.Exception (borrowed). */
  exceptionText(exception) {
    const { objects } = this;
    const data = objects.call('l_Lean_Exception_toMessageData', objects.inc(exception));
    const text = objects.call('l_Lean_MessageData_toString', data);
    const words = objects.string(text);
    objects.dec(text);
    return words;
  }

  /** Messages that asynchronous elaboration left in snapshot trees; all are resolved by now. */
  snapshotMessages(tasks) {
    const { objects } = this, found = [];
    const walk = task => {
      const value = objects.u32[(objects.field(task, 3) + OBJECT.taskValue) >> 2]; // SnapshotTask.task
      if (!value) throw new Error('an elaboration task is still running');
      const element = objects.field(value, 0);
      found.push(...this.messages(objects.inc(objects.field(objects.field(element, 1), 0))));
      objects.array(objects.field(value, 1)).forEach(walk);
    };
    objects.array(tasks).forEach(walk);
    return found;
  }

  // --- commands ----------------------------------------------------------------------------------

  /** Parser.InputContext (owned) over a text. */
  inputContext(text) {
    const { objects, exports } = this, string = objects.makeString(text);
    const fileMap = exports.l_String_toFileMap(objects.inc(string)) >>> 0;
    return objects.constructor_(0, [string, objects.makeString('<input>'), fileMap, objects.box(Buffer.byteLength(text))]);
  }

  commandContext(inputContext, position) {
    const { objects } = this;
    return objects.constructor_(0, [objects.makeString('<input>'), objects.inc(objects.field(inputContext, 2)),
      objects.box(0), objects.box(position), objects.box(0), objects.box(0), objects.box(1), objects.box(0),
      objects.box(0), objects.some(objects.inc(this.cancelToken))], [0]);
  }

  /** Next command from `position` (bytes): {syntax (owned), messages, parserState (owned)}. */
  parseCommand(inputContext, commandState, parserState) {
    const { objects } = this, scope = this.scope(commandState);
    const moduleContext = objects.constructor_(0, [objects.inc(this.env(commandState)),
      ...[FIELD.Scope.opts, FIELD.Scope.currNamespace, FIELD.Scope.openDecls].map(i => objects.inc(objects.field(scope, i)))]);
    const parsed = objects.call('l_Lean_Parser_parseCommand', objects.inc(inputContext), moduleContext, parserState, this.emptyLog());
    const rest = objects.field(parsed, 1);
    const found = {
      syntax: objects.inc(objects.field(parsed, 0)),
      parserState: objects.inc(objects.field(rest, 0)),
      messages: this.messages(objects.inc(objects.field(rest, 1))),
    };
    objects.dec(parsed);
    return found;
  }

  /** Syntax kind of a node, '' for anything else. */
  kind(syntax) {
    const { objects } = this;
    return !objects.isScalar(syntax) && objects.tag(syntax) === CTOR.Syntax.node ? objects.name(objects.field(syntax, 1)) : '';
  }

  /**
   * Elaborates text as commands on a Command.State (owned).
   * `beforeCommand(syntax, kind)` may return a message that stops before the command is elaborated;
   * `afterCommand(commandState)` sees the state with its info trees.
   * @returns {{state, messages, commands: string[], refused?: string}} state owned, without messages
   */
  runText(text, commandState, { beforeCommand, afterCommand } = {}) {
    const { objects } = this;
    const input = this.inputContext(text), stateRef = objects.makeRef(commandState);
    const messages = [], commands = [];
    let parserState = objects.constructor_(0, [objects.box(0)], [0]), refused;
    try {
      for (let done = false; !done;) {
        const position = objects.nat(objects.field(parserState, FIELD.ParserState.pos));
        const parsed = this.parseCommand(input, objects.refValue(stateRef), parserState);
        parserState = parsed.parserState;
        messages.push(...parsed.messages);
        const kind = this.kind(parsed.syntax);
        done = END_OF_FILE.includes(kind) || kind === 'Lean.Parser.Module.header';
        refused = kind !== END_OF_FILE[0] && beforeCommand ? beforeCommand(parsed.syntax, kind) : undefined;
        if (refused) { objects.dec(parsed.syntax); break; }
        messages.push(...this.elabCommand(parsed.syntax, this.commandContext(input, position), stateRef));
        commands.push(kind);
        if (afterCommand) afterCommand(objects.refValue(stateRef));
      }
      const state = objects.inc(objects.refValue(stateRef));
      return { state: objects.withField(state, FIELD.CommandState.messages, this.emptyLog()), messages, commands, refused };
    } finally {
      objects.dec(parserState);
      objects.dec(input);
      objects.dec(stateRef);
    }
  }

  /** Elaborates one command (owned syntax and context) into stateRef (borrowed); its messages. */
  elabCommand(syntax, context, stateRef) {
    const { objects } = this, messages = [];
    const outcome = objects.call('l_Lean_Elab_Command_elabCommandTopLevel', syntax, context, objects.inc(stateRef), objects.box(0));
    if (objects.tag(outcome) === 1) messages.push({ severity: 'error', data: this.exceptionText(objects.field(outcome, 0)) });
    objects.dec(outcome);
    const state = objects.refValue(stateRef);
    messages.push(...this.messages(objects.inc(objects.field(state, FIELD.CommandState.messages))));
    const tasks = objects.field(state, FIELD.CommandState.snapshotTasks);
    if (objects.array(tasks).length) {
      messages.push(...this.snapshotMessages(tasks));
      objects.setRef(stateRef, objects.withField(objects.inc(state), FIELD.CommandState.snapshotTasks, objects.makeArray([])));
    }
    return messages;
  }

  // --- measures ----------------------------------------------------------------------------------

  /**
   * Lean's count of small allocations since resetHeartbeats, in thousands: the unit of `maxHeartbeats`.
   * Counting from zero in every call makes it the same in every process.
   */
  heartbeats() { return Number(this.exports._ZN4lean18get_num_heartbeatsEv() / 1000n); }
  resetHeartbeats() { this.exports._ZN4lean14set_heartbeatsEy(0n); }

  /** Bytes in allocated blocks: exact, so that one leaked object shows. */
  liveBytes() {
    const { objects, exports } = this;
    this.areaVisitor ??= this.module.addFunction((heap, area) => {
      const { used, blockSize } = HEAP_AREA;
      this.live += objects.u32[(area + used) >> 2] * objects.u32[(area + blockSize) >> 2];
      return 1;
    }, 'iiiiii');
    this.live = 0;
    exports.mi_heap_visit_blocks(exports.mi_heap_get_default(), 0, this.areaVisitor, 0);
    return this.live;
  }
}

module.exports = { Lean };
