"""Makes `lean-slim.js` (0.7 MB) out of the registry Lean's `lean.js` (89 MB).

Emscripten's glue code assigns each of 201,109 exports of the WebAssembly module to a variable of
its own, twice copies the whole list into tables, and starts a pool of threads. All of that takes
some 15 seconds at every start and none of it is needed: 49 of the variables are ever used. This
module cuts those assignments and applies the RULES below, each of which must match exactly once.

It knows text only: nothing of files, downloads or Lean itself. The result is run by the JavaScript
in `wasm/`, which relies on what the rules add:

- `globalThis.__lean`: memory views, exports, file system and table of the running module;
- `Module["poolSize"]`: number of threads started in advance (0 when not given);
- `globalThis.__T(name)`: called, where defined, when a phase of the start is over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SLIM_VERSION = 1
"""Raised whenever the result changes: it is part of the name of the installed folder."""

_EXPORTS_BEGIN = "function assignWasmExports(wasmExports){"
_EXPORTS_END = "var wasmImports;function assignWasmImports"
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_$][\w$]*)=")


@dataclass(frozen=True)
class Rule:
    """One replacement of `old` by `new`; `name` is what an error says."""

    name: str
    old: str
    new: str
    count: int = 1


_PHASE = "var T=globalThis.__T||(()=>{});"

# The stock function finds a symbol by a linear search through 200,000 names, and hands out the
# WebAssembly.Global itself for a data symbol where its address (`.value`) is wanted: without that
# an import of Init dies with "unknown declaration …_closed_10". The index that it stores is only
# ever compared, so a counter of its own does.
_DLSYM_OLD = (
    "var __dlsym_js=(handle,symbol,symbolIndex)=>{symbol=UTF8ToString(symbol);var result;"
    "var newSymIndex;var lib=LDSO.loadedLibsByHandle[handle];"
    "newSymIndex=Object.keys(lib.exports).indexOf(symbol);"
    "if(newSymIndex==-1||lib.exports[symbol].stub){"
    'dlSetError(`Tried to lookup unknown symbol "${symbol}" in dynamic lib: ${lib.name}`);return 0}'
    'result=lib.exports[symbol];if(typeof result=="function"){var addr=getFunctionAddress(result);'
    "if(addr){result=addr}else{result=addFunction(result,result.sig);"
    "(growMemViews(),HEAPU32)[symbolIndex>>2]=newSymIndex}}return result};"
)
_DLSYM_NEW = """var __dlsymCount=0;
var __dlsym_js=(handle,symbol,symbolIndex)=>{
  symbol=UTF8ToString(symbol);
  var lib=LDSO.loadedLibsByHandle[handle];
  var result=wasmExports[symbol];
  if(result===undefined){result=lib.exports[symbol]}
  if(result===undefined||result.stub){
    dlSetError(`Tried to lookup unknown symbol "${symbol}" in dynamic lib: ${lib.name}`);
    return 0
  }
  if(typeof result=="function"){
    var addr=getFunctionAddress(result);
    if(addr){result=addr}
    else{
      result=addFunction(result,result.sig);
      (growMemViews(),HEAPU32)[symbolIndex>>2]=1000000+__dlsymCount++
    }
  }else if(typeof result=="object"){result=result.value}
  return result
};"""

# Only names that the module itself imports have to be known to it.
_MERGE_NEW = """for(const name in wasmImports){
  const symbol=wasmExports[name];
  if(symbol!==undefined&&!isSymbolDefined(name)){wasmImports[name]=symbol}
}
wasmImports.main=wasmImports.__main_argc_argv=wasmExports.__main_argc_argv;
T("merged");var metadata"""

# What the JavaScript of `wasm/` needs from inside the glue code. Views of the memory go stale when
# it grows, hence the getters.
_EPILOGUE = """
;globalThis.__lean={
  get HEAPU8(){return (growMemViews(),HEAPU8)},
  get HEAPU32(){return (growMemViews(),HEAPU32)},
  get HEAP32(){return (growMemViews(),HEAP32)},
  get wasmExports(){return wasmExports},
  get wasmMemory(){return wasmMemory},
  get wasmTable(){return wasmTable},
  FS,addFunction,GOT,PThread,getFunctionAddress,handleException,
  UTF8ToString:(...a)=>UTF8ToString(...a),
  wasmImportsRef:()=>wasmImports
};
"""

RULES = (
    Rule(
        "no thread pool: every task runs in the thread that asks for it",
        "var pthreadPoolSize=4;",
        'var pthreadPoolSize=Module["poolSize"]??0;',
    ),
    Rule(
        "global offset table: imported symbols only, not every export",
        "if(isInternalSym(symName)){continue}var value=exports[symName];",
        "if(!GOT[symName]||isInternalSym(symName)){continue}var value=exports[symName];",
    ),
    Rule(
        "library symbols: imported symbols only, not every export",
        'mergeLibSymbols(wasmExports,"main");var metadata',
        'T("instantiated");' + _MERGE_NEW,
    ),
    Rule(
        "phases: exports assigned, offset table filled",
        "updateGOT(origExports);LDSO.init();",
        'T("assigned");updateGOT(origExports);T("GOT");LDSO.init();',
    ),
    Rule("dlsym: direct look-up, address of data symbols", _DLSYM_OLD, _DLSYM_NEW),
)


def slim(source: str) -> str:
    """The slim glue code. Raises ValueError naming the rule that does not fit `source`."""
    code = _cut_exports(source)
    for rule in RULES:
        found = code.count(rule.old)
        if found != rule.count:
            raise ValueError(
                f"lean.js: rule “{rule.name}” matches {found} times instead of {rule.count}: "
                "this is not the build that the rules were written for"
            )
        code = code.replace(rule.old, rule.new)
    return _PHASE + code + _EPILOGUE


def _cut_exports(source: str) -> str:
    """Keeps, of the exports' declarations and assignments, those that other code mentions."""
    begin = _only(source, _EXPORTS_BEGIN)
    end = _only(source, _EXPORTS_END)
    # The declarations `var _main,_lean_main,…,wasmTable;` stand right before the function.
    declared_at = source.rfind("var ", 0, begin)
    body = source[begin + len(_EXPORTS_BEGIN) : end]
    if declared_at < 0 or end < begin or not body.endswith("}"):
        raise ValueError("lean.js: rule “export assignments” does not fit: unknown layout")
    head, tail = source[:declared_at], source[end:]
    declared = source[declared_at + len("var ") : begin].rstrip(";").split(",")

    mentioned = set(_IDENTIFIER.findall(head)) | set(_IDENTIFIER.findall(tail))
    assignments, names = [], set()
    for statement in body[:-1].split(";"):
        match = _ASSIGNMENT.match(statement)
        if match is None:
            raise ValueError(
                "lean.js: rule “export assignments” does not fit: "
                f"not an assignment: {statement[:80]!r}"
            )
        # The table of functions is assigned to a Module field too; nothing names its variable.
        if match[1] in mentioned or "wasmTable" in statement:
            assignments.append(statement)
            names.add(match[1])
    variables = [name for name in declared if name in mentioned or name in names]
    return f"{head}var {','.join(variables)};{_EXPORTS_BEGIN}{';'.join(assignments)}}}{tail}"


def _only(source: str, marker: str) -> int:
    found = source.count(marker)
    if found != 1:
        raise ValueError(
            f"lean.js: rule “export assignments”: {marker!r} found {found} times instead of once"
        )
    return source.index(marker)
