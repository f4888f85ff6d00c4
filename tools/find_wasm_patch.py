"""Finds where lean.wasm must be patched so that tasks run at once, for layout.js.

The function is `lean::task_manager::enqueue_core`. It begins with `if (prio == LEAN_SYNC_PRIO)`
(−1) and then calls `run_task`: three bytes, 41 7f 46 (i32.const −1; i32.eq). The patch, 1a 41 01
(drop; i32.const 1), makes it `if (true)`. This file knows the WebAssembly format and these two
functions, and changes nothing.

example:
  python tools/find_wasm_patch.py lean.wasm
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ENQUEUE = "_ZN4lean12task_manager12enqueue_coreE"
RUN_TASK = "_ZN4lean12task_manager8run_taskE"
FROM, TO = bytes.fromhex("417f46"), bytes.fromhex("1a4101")
IMPORTS, EXPORTS, CODE = 2, 7, 10  # sections
FUNCTION, TABLE, MEMORY, GLOBAL = range(4)
CALL = 0x10
CALL_WITHIN = 16  # bytes behind the comparison


class Module:
    """What is needed of a WebAssembly module's bytes."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"\0asm":
            raise ValueError("it is no WebAssembly module")
        self.data = data
        self.sections = dict(self._sections())

    def number(self, at: int) -> tuple[int, int]:
        """An unsigned LEB128 number, and where it ends."""
        value = shift = 0
        while True:
            byte = self.data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at

    def _sections(self) -> Iterator[tuple[int, int]]:
        at = 8
        while at < len(self.data):
            kind = self.data[at]
            size, at = self.number(at + 1)
            yield kind, at
            at += size

    def _name(self, at: int) -> tuple[str, int]:
        length, at = self.number(at)
        return self.data[at : at + length].decode(), at + length

    def exports(self) -> Iterator[tuple[str, int, int]]:
        """(name, kind, index)."""
        count, at = self.number(self.sections[EXPORTS])
        for _ in range(count):
            name, at = self._name(at)
            kind = self.data[at]
            index, at = self.number(at + 1)
            yield name, kind, index

    def imported_functions(self) -> int:
        count, at = self.number(self.sections[IMPORTS])
        functions = 0
        for _ in range(count):
            _, at = self._name(at)
            _, at = self._name(at)
            kind = self.data[at]
            at += 1
            functions += kind == FUNCTION
            if kind == GLOBAL:
                at += 2
                continue
            if kind == TABLE:
                at += 1  # element type
            if kind in (TABLE, MEMORY):
                bounded = self.data[at] & 1
                at += 1
                if bounded:
                    _, at = self.number(at)
            elif kind != FUNCTION:
                at += 1  # a tag's attribute
            _, at = self.number(at)
        return functions

    def body(self, index: int) -> tuple[int, int]:
        """Start and end of a function's code."""
        _, at = self.number(self.sections[CODE])
        for _ in range(index - self.imported_functions()):
            size, at = self.number(at)
            at += size
        size, at = self.number(at)
        return at, at + size


def find(data: bytes) -> int:
    """The offset of the three bytes. Raises ValueError where the function looks otherwise."""
    module = Module(data)
    indices = {}
    for name, kind, index in module.exports():
        for wanted in (ENQUEUE, RUN_TASK):
            if kind == FUNCTION and name.startswith(wanted):
                indices[wanted] = index
    if len(indices) != 2:
        raise ValueError(f"it does not export {ENQUEUE}… and {RUN_TASK}…")
    start, end = module.body(indices[ENQUEUE])
    for unpatched in (FROM, TO):
        if data.count(unpatched, start, end) == 1:
            at = data.index(unpatched, start, end)
            for call in range(at, min(at + CALL_WITHIN, end)):
                if data[call] == CALL and module.number(call + 1)[0] == indices[RUN_TASK]:
                    return at
    raise ValueError(
        "enqueue_core does not begin with `if (prio == -1) run_task(…)`: disassemble it and look "
        "for the comparison before the first call of run_task"
    )


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 after printing the entry of WASM_PATCHES, 2 for a file that does not fit."""
    parser = argparse.ArgumentParser(
        prog="find_wasm_patch.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("wasm", type=Path, help="lean.wasm")
    options = parser.parse_args(arguments)
    try:
        offset = find(options.wasm.read_bytes())
    except (OSError, ValueError) as error:
        print(f"find_wasm_patch.py: {options.wasm}: {error}", file=sys.stderr)
        return 2
    print(f"{{ offset: {offset}, from: '{FROM.hex()}', to: '{TO.hex()}' }}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
