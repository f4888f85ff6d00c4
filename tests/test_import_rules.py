"""Who may import whom, read from the sources.

- `hpc` knows machines and never theorems.
- In `leanfleet` only the roles and the command line know `hpc`.
- The search is pure: no sockets, Lean, torch, logging or clock.
- The configuration imports without torch.
- Tools use what is public.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEANFLEET = ROOT / "src" / "leanfleet"

IMPURE = {
    "asyncio", "ctypes", "datetime", "glob", "hpc", "io", "logging", "multiprocessing", "os",
    "pathlib", "selectors", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys",
    "tempfile", "threading", "time", "torch", "urllib", "zmq",
    "leanfleet.commands", "leanfleet.lean", "leanfleet.roles", "leanfleet.train",
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside its functions."""
    package = path.relative_to(ROOT / "src" if "src" in path.parts else ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def breaking(paths: list[Path], banned: set[str]) -> list[str]:
    """`file imports module` for every import of a banned module or of something inside it."""
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in paths
        for module in imports(path)
        if any(module == name or module.startswith(name + ".") for name in banned)
    ]


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_hpc_never_imports_leanfleet():
    assert breaking(sources(ROOT / "hpc"), {"leanfleet"}) == []


def test_only_roles_and_the_command_line_import_hpc():
    may = [LEANFLEET / "roles", LEANFLEET / "commands", LEANFLEET / "cli.py"]
    others = [
        path
        for path in sources(LEANFLEET)
        if not any(path == allowed or allowed in path.parents for allowed in may)
    ]
    assert len(others) > 5
    assert breaking(others, {"hpc"}) == []


def test_the_search_is_pure():
    assert breaking(sources(LEANFLEET / "search"), IMPURE) == []


def test_tools_use_what_is_public():
    private = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(ROOT / "tools")
        for module in imports(path)
        if module.split(".")[0] in ("leanfleet", "hpc")
        and any(part.startswith("_") for part in module.split("."))
    ]
    assert private == []


def test_unsafe_things_are_used_nowhere():
    banned = {"pickle", "cloudpickle", "marshal", "shelve", "dill", "yaml"}
    assert breaking([*sources(LEANFLEET), *sources(ROOT / "hpc")], banned) == []


@pytest.mark.parametrize("module", ["leanfleet.config", "leanfleet.cli", "leanfleet.messages"])
def test_light_modules_stay_light(module):
    """Runs the import: what is imported at second hand counts too."""
    heavy = "torch", "zmq", "numpy", "deepspeed", "mpi4py", "submitit"
    code = f"import {module}, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_packages_in_setup_cfg_are_those_that_exist():
    import configparser

    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(parser["options"]["packages"].split())
    folders = {ROOT / "hpc": "hpc", LEANFLEET: "leanfleet"}
    found = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for folder, name in folders.items()
        for path in folder.rglob("__init__.py")
    }
    assert found == listed


@pytest.mark.parametrize(
    "text, module",
    [
        ("import hpc.wire", "hpc.wire"),
        ("def f():\n    from hpc import wire", "hpc.wire"),
        ("from leanfleet.lean import pool", "leanfleet.lean.pool"),
    ],
)
def test_the_reader_of_imports_sees_them(tmp_path, monkeypatch, text, module):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "x.py"
    path.write_text(text)
    assert module in list(imports(path))
