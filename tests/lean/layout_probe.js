'use strict';
// Reads known things through the constants of layout.js and prints what it saw, as one JSON object.
// test_wasm_layout.py says what must come out. Arguments: folder of the driver's code, folder of
// the installed build.

const path = require('node:path');
const fs = require('node:fs');
const [code, wasmDir] = process.argv.slice(2);
const use = name => require(path.join(code, name));
const { Lean } = use('lean.js');
const { Monad } = use('monad.js');
const { Syntax } = use('syntax.js');
const { Theorems } = use('theorems.js');
const { Goals } = use('goals.js');
const { FIELD, CTOR, TAG, EXPR_FLAG } = use('layout.js');

const nameOf = (table, number) => Object.keys(table).find(key => table[key] === number) ?? `unknown ${number}`;

function probe(lean) {
  const { objects, exports } = lean;
  const monad = new Monad(lean);
  const none = { tactics: [], terms: [], commands: [], options: [], headerOptions: [], attributes: [], trustedIdents: [], configIdents: [] };
  const syntax = new Syntax(lean, none), theorems = new Theorems(lean, monad, syntax), goals = new Goals(lean, monad, syntax);
  const base = lean.base(['Init']);

  const constant = text => {
    const option = objects.call('l_Lean_Environment_find_x3f', objects.inc(lean.env(base)), objects.makeName(text), objects.box(0));
    const info = objects.field(option, 0), val = theorems.constantVal(info);
    return {
      kind: nameOf(CTOR.ConstantInfo, objects.tag(info)),
      name: objects.name(objects.field(val, FIELD.ConstantVal.name)),
      levelParams: objects.list(objects.field(val, FIELD.ConstantVal.levelParams)).map(n => objects.name(n)),
      type: expression(objects.field(val, FIELD.ConstantVal.type)),
    };
  };

  /** An expression as nested constructors: what the hash of goals walks over. */
  const expression = e => {
    const kind = nameOf(CTOR.Expr, objects.tag(e)), at = i => expression(objects.field(e, i));
    switch (kind) {
      case 'const': return objects.name(objects.field(e, 0));
      case 'fvar': case 'mvar': return kind;
      case 'bvar': return `#${objects.nat(objects.field(e, 0))}`;
      case 'app': return `(${at(0)} ${at(1)})`;
      case 'forallE': case 'lam': return `${kind} ${at(1)}, ${at(2)}`;
      case 'letE': return `let ${at(1)} ${at(2)} ${at(3)}`;
      case 'mdata': return at(1);
      case 'proj': return `${at(2)}.${objects.nat(objects.field(e, 1))}`;
      default: return kind;
    }
  };

  /** Our reading of an expression's flags beside Lean's own. */
  const flags = e => {
    const own = objects.scalar32(e, 4);
    return Object.fromEntries(['hasFVar', 'hasExprMVar', 'hasLevelMVar'].map(name => [name,
      [(own & EXPR_FLAG[name]) !== 0, objects.unbox(objects.call(`l_Lean_Expr_${name}`, objects.inc(e))) === 1]]));
  };

  const scopeText = 'namespace Outer.Inner\nopen Nat\nset_option pp.all false\nuniverse u';
  const scoped = lean.runText(scopeText, objects.inc(base)).state, scope = lean.scope(scoped);
  const seen = {
    version: lean.version,
    constants: Object.fromEntries(['propext', 'Nat.add', 'Nat', 'Nat.succ', 'Nat.rec', 'Quot.mk', 'Function.comp'].map(n => [n, constant(n)])),
    scope: {
      namespace: objects.name(objects.field(scope, FIELD.Scope.currNamespace)),
      openDecls: objects.list(objects.field(scope, FIELD.Scope.openDecls)).length,
    },
    string: objects.string(objects.makeString('∀ é 𝔽')),
  };

  // memory: an allocated block shows, and is gone when freed
  const before = lean.liveBytes(), block = objects.makeString('x'.repeat(100000)), during = lean.liveBytes();
  objects.dec(block);
  seen.live = { grown: during - before, left: lean.liveBytes() - before };

  // a goal: metavariable, local context, info trees, snapshot
  const statement = 'theorem probe (p : Prop) (hp : p) : let n : Nat := 37; n = n ∧ p';
  const everyKind = { has: () => true }; // the probe has no allow-list
  let sites = [];
  const { state, constant: info } = theorems.elaborate(base, everyKind, statement, now => sites.push(...goals.sorries(now, lean.env(base), undefined, { self: false })));
  seen.theorem = {
    kind: nameOf(CTOR.ConstantInfo, objects.tag(info)),
    name: objects.name(objects.field(theorems.constantVal(info), FIELD.ConstantVal.name)),
    text: sites[0].goals[0].text,
    sites: sites.length,
  };
  const kernelEnv = exports.lean_elab_environment_to_kernel_env(objects.inc(lean.env(state))) >>> 0;
  const own = objects.call('l_Lean_PersistentHashMap_toList___redArg', objects.inc(objects.field(objects.field(kernelEnv, FIELD.KernelEnv.constants), FIELD.SMap.map2)));
  seen.ownConstants = objects.list(own).map(pair => objects.name(objects.field(pair, 0)));

  const parsed = syntax.parse(lean.env(base), 'tactic', '(intro n; have h : ?_ := ?later; skip)');
  seen.syntax = {
    error: parsed.error ?? null,
    kind: parsed.syntax ? syntax.kind(parsed.syntax) : null,
    word: parsed.syntax ? syntax.firstWord(parsed.syntax) : null,
  };
  seen.tags = {
    array: objects.tag(objects.field(parsed.syntax, 2)) === TAG.array,
    string: objects.tag(objects.global('l_Lean_versionString')) === TAG.string,
    closure: objects.tag(objects.global('l_IO_Error_instToString')) === TAG.closure,
    ref: objects.tag(lean.cancelToken) === TAG.ref,
  };
  monad.run(base, contexts => {
    goals.restore(contexts, sites[0].state);
    const goal = objects.list(sites[0].state.goals)[0];
    const pair = monad.meta('l_Lean_Meta_introNCore', contexts, objects.inc(goal), objects.box(1), objects.box(0), objects.box(0), objects.box(1));
    const inner = objects.field(pair, 1);
    const decl = monad.meta('l_Lean_MVarId_getDecl', contexts, objects.inc(inner));
    const type = objects.field(decl, FIELD.MetavarDecl.type);
    seen.goal = {
      userName: objects.name(objects.field(decl, FIELD.MetavarDecl.userName)),
      type: expression(type),
      flags: flags(type),
      mvarFlags: flags(monad.mvarExpr(inner)),
      locals: objects.persistentArray(objects.field(objects.field(decl, FIELD.MetavarDecl.lctx), FIELD.LocalContext.decls))
        .filter(option => !objects.isScalar(option)).map(option => objects.field(option, 0)).map(local => ({
          kind: nameOf(CTOR.LocalDecl, objects.tag(local)),
          userName: objects.name(objects.field(local, FIELD.LocalDecl.userName)),
          type: expression(objects.field(local, FIELD.LocalDecl.type)),
          value: objects.tag(local) === CTOR.LocalDecl.ldecl ? expression(objects.field(local, FIELD.LocalDecl.value)) : null,
        })),
    };
  });
  return seen;
}

const log = line => fs.writeSync(2, `${line}\n`);
Lean.start({ wasmDir, memoryLimit: 1024 << 20, growthLimit: 512 << 20, log }).then(lean => {
  fs.writeSync(1, JSON.stringify(probe(lean)));
  process.exit(0);
}).catch(error => { log(error.stack); process.exit(1); });
