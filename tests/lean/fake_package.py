"""A package laid out like the registry Lean's, of a few kilobytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from leanfleet.lean.install import Package
from leanfleet.lean.slim import RULES

LEAN_JS = (
    "var before=_used;"
    + "".join(rule.old + "\n" for rule in RULES)
    + "var _main,_used,_unused,wasmTable;"
    + "function assignWasmExports(wasmExports){"
    + '_main=Module["_main"]=wasmExports["main"];'
    + '_used=Module["_used"]=wasmExports["used"];'
    + '_unused=Module["_unused"]=wasmExports["unused"];'
    + 'wasmTable=wasmExports["__indirect_function_table"]}'
    + "var wasmImports;function assignWasmImports(){}callMain(_main);"
)
WASM = b"\0asm" + bytes(range(256)) * 20
LIBRARY = {
    "./Init.olean": b"init",
    "./._Init.olean": b"junk",
    "./Init/Prelude.olean": b"prelude" * 100,
    "./Init/._Prelude.olean": b"junk",
    "./Init/notes.txt": b"not wanted",
}


def tar(members: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    """A .tar.gz of files, then of members without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return gzip.compress(out.getvalue(), mtime=0)  # the same bytes whenever it is made


@dataclass
class FakeSource:
    """A Source that copies a tarball and counts how often it was asked, across processes."""

    tarball: bytes
    counter: Path

    @property
    def calls(self) -> int:
        return len(self.counter.read_text()) if self.counter.exists() else 0

    def __call__(self, folder: Path, report) -> Path:
        with open(self.counter, "a") as file:
            file.write("x")
        path = folder / "fake.tgz"
        path.write_bytes(self.tarball)
        return path


def make(
    folder: Path, *, library: bytes | None = None, lean_js: str = LEAN_JS
) -> tuple[Package, FakeSource]:
    """A package, and the source that serves it."""
    folder.mkdir(parents=True, exist_ok=True)
    tarball = tar(
        {
            "package/package.json": b"{}",
            "package/lean.js": lean_js.encode(),
            "package/lean.wasm": WASM,
            "package/lean-lib.tar.gz": tar(LIBRARY) if library is None else library,
        }
    )
    (folder / "package.tgz").write_bytes(tarball)
    package = Package(
        name="fake-lean",
        version="1.0.0",
        sha512=base64.b64encode(hashlib.sha512(tarball).digest()).decode(),
        wasm_sha256=hashlib.sha256(WASM).hexdigest(),
        lean="Lean 0",
    )
    return package, FakeSource(tarball, folder / "calls")
