"""Lean from this node's own disk: where a site names one, what Lean reads is copied there first.

`import Mathlib` opens some hundred thousand files; on a network disk that takes minutes. Only joins
`hpc.staging` with what `leanfleet.lean.toolchain` found. A node without room uses the shared disk.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from hpc import staging
from leanfleet.lean.toolchain import Lean, NativePaths, Node, RegistryPaths

PREFIX_SECONDS = 60.0


def staged(lean: Lean, scratch: str, stopped: Callable[[], bool]) -> Lean:
    """The same Lean with the paths of its copies; what can't be copied stays where it is, with a note.

    Blocks while it copies. Raises `hpc.staging.Stopped`.
    """
    copies = _Copies(scratch, stopped)
    if isinstance(lean.paths, RegistryPaths):
        paths = lean.paths
        wasm_dir = copies.of(paths.wasm_dir, "lean")
        node = paths.node
        if paths.node_source == Node.WHEEL:  # others may have libraries beside them
            node = copies.of(node.parent, "node", only=(node.name,), programs=True) / node.name
        return replace(lean, paths=replace(paths, wasm_dir=wasm_dir, node=node))
    if isinstance(lean.paths, NativePaths):
        return replace(lean, paths=_native(lean.paths, copies))
    return lean


def _native(paths: NativePaths, copies: _Copies) -> NativePaths:
    """The toolchain and the project. The REPL is one file, which the system keeps in memory."""
    project = paths.project and copies.of(paths.project, "project")
    lean, lake = paths.lean, paths.lake
    prefix = _prefix(paths)
    if prefix is not None:
        bin = copies.of(prefix, "toolchain", programs=True) / "bin"
        lean, lake = bin / "lean", bin / "lake" if (bin / "lake").exists() else lake
    return NativePaths(paths.repl, lean, lake, project)


def _prefix(paths: NativePaths) -> Path | None:
    """The toolchain's folder: elan's `lean` on the path is only a proxy of it."""
    try:
        done = subprocess.run(
            [str(paths.lean), "--print-prefix"],
            cwd=paths.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PREFIX_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        _say(
            f"note: {paths.lean} does not say where its toolchain is, so it is not staged: {error}"
        )
        return None
    found = Path(done.stdout.strip())
    return found if (found / "bin" / "lean").is_file() else None


class _Copies:
    def __init__(self, scratch: str, stopped: Callable[[], bool]) -> None:
        self._scratch, self._stopped = scratch, stopped

    def of(
        self, folder: Path, name: str, only: Collection[str] = (), programs: bool = False
    ) -> Path:
        """The copy of a folder, or the folder where there can be none."""
        try:
            found = staging.stage(
                folder,
                self._scratch,
                name=name,
                only=only,
                programs=programs,
                stopped=self._stopped,
            )
        except staging.CannotStage as error:
            _say(f"note: {name} is used from {folder}, where it may be slow: {error}")
            return folder
        size = f"{found.bytes / 2**20:,.0f} MB in {found.files:,} files"
        how = f"copied in {found.seconds:.1f} s" if found.copied else "was there"
        _say(f"staged: {found.path} ({size}, {how})")
        return found.path


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
