"""A run's own code and environment: what is copied, what jobs get of it, and what is said when all of
it changed since."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hpc import run_code, run_environment, trees
from hpc.code import commit
from hpc.run_code import Snapshot

PROGRAM = "import fleet.data, os, sys; print(fleet.WORD, fleet.data.read(), sys.argv[1:])"

READ = """\
from pathlib import Path
def read():
    return Path(__file__).with_name("table.txt").read_text()
"""


@pytest.fixture
def packages(tmp_path) -> dict[str, Path]:
    folder = tmp_path / "repository" / "fleet"
    (folder / "data" / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").write_text("WORD = 'old'\n")
    (folder / "data" / "table.txt").write_text("rows")
    (folder / "data" / "__init__.py").write_text(READ)
    (folder / "data" / "__pycache__" / "x.pyc").write_bytes(b"no")
    return {"fleet": folder}


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "it's a run"
    folder.mkdir()
    return folder


def kept(code: str, **more) -> Snapshot:
    values = {"kind": "code", "environment": "", "executable": sys.executable}
    return Snapshot(**{**values, "code": code, "python": "3.11.1", "distributions": {}, **more})


def taken(run: Path, packages: dict[str, Path]) -> run_code.Copied:
    now = run_code.present(packages)
    run_code.copy(run, packages, now)
    run_code.use(run, kept(now.folder))
    return now


def says(run: Path, cwd: Path, *words: str) -> str:
    """What a job prints that starts in `cwd`."""
    argv = ["bash", str(run / "python"), "-c", PROGRAM, *words]
    env = {name: text for name, text in os.environ.items() if name != "PYTHONSAFEPATH"}
    env["PYTHONPATH"] = str(cwd)  # as somebody who develops may have it
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr


# --- code -------------------------------------------------------------------------------------------


def test_jobs_use_the_copy_wherever_they_start_and_whatever_changes(run, packages):
    taken(run, packages)
    repository = packages["fleet"].parent
    assert says(run, repository, "a b", "$c") == "old rows ['a b', '$c']"
    (packages["fleet"] / "__init__.py").write_text("WORD = 'new'\n")
    (packages["fleet"] / "data" / "table.txt").write_text("other rows")
    assert says(run, repository) == "old rows []"
    taken(run, packages)
    assert says(run, repository) == "new other rows []"


def test_a_copy_has_the_data_files_and_no_compiled_modules_and_is_made_once(run, packages):
    first = taken(run, packages)
    assert sorted(first.files) == [
        "fleet/__init__.py",
        "fleet/data/__init__.py",
        "fleet/data/table.txt",
    ]
    before = (run / first.folder).stat().st_ino
    assert taken(run, packages).folder == first.folder
    assert (run / first.folder).stat().st_ino == before
    assert [path.name for path in (run / "code").iterdir()] == [first.hash[:12]]


def test_what_changed_is_named(run, packages):
    first = taken(run, packages)
    (packages["fleet"] / "more.py").write_text("")
    (packages["fleet"] / "data" / "table.txt").unlink()
    (packages["fleet"] / "__init__.py").write_text("WORD = 'NEW'\n")
    now = run_code.present(packages)
    assert run_code.changes(first.files, now.files) == [
        "fleet/__init__.py",
        "fleet/data/table.txt (gone)",
        "fleet/more.py (new)",
    ]


def test_a_copy_that_was_changed_or_half_made_is_noticed_and_made_anew(run, packages):
    made = taken(run, packages)
    assert run_code.copied(run, made.folder).hash == made.hash
    (run / made.folder / "fleet" / "__init__.py").write_text("WORD = 'bad'\n")
    with pytest.raises(ValueError, match=r"__init__.py has other content.*--new-code"):
        run_code.copied(run, made.folder)
    aside = run / "code" / f".{made.hash[:12]}.killed"
    aside.mkdir()  # what a kill leaves is in nobody's way
    taken(run, packages)
    assert run_code.copied(run, made.folder).hash == made.hash
    with pytest.raises(ValueError, match="it is gone"):
        run_code.copied(run, "code/elsewhere")


def test_code_that_changes_while_it_is_copied_is_no_copy(run, packages):
    before = run_code.present(packages)
    (packages["fleet"] / "__init__.py").write_text("WORD = 'new'\n")
    with pytest.raises(ValueError, match="changed while it was copied"):
        run_code.copy(run, packages, before)
    assert list((run / "code").iterdir()) == []


def test_the_commit_of_a_copy_is_the_one_of_its_sources(run, packages):
    """And not of a repository in which the run's folder happens to be."""
    now = msgspec.structs.replace(run_code.present(packages), commit="abc+")
    run_code.copy(run, packages, now)
    assert commit(run / now.folder / "fleet") == "abc+"


def test_without_a_copy_jobs_use_what_is_installed(run):
    run_code.use(run, kept("", kind="none"))
    done = subprocess.run(
        ["bash", str(run / "python"), "-c", "import sys; print(sys.executable)"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == sys.executable
    assert "PYTHONPATH" not in (run / "python").read_text()


def test_a_damaged_snapshot_is_no_snapshot(run):
    assert run_code.used(run) is None
    (run / "snapshot.json").write_text('{"kind": 3}')
    with pytest.raises(ValueError, match="damaged or of another version"):
        run_code.used(run)


# --- environment ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("venv") / "it's old"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "tool.py").write_text("WORD = 'tool'\n")
    script = folder / "bin" / "tool"
    script.write_text(f"#!{folder}/bin/python\nprint('old')\n")
    script.chmod(0o755)
    return folder


@pytest.mark.parametrize("links", [True, False])
def test_a_copied_environment_works_without_the_old_one(environment, tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    final = tmp_path / "environment" / "a1"
    assert run_environment.copy(environment, final) is links
    python = run_environment.python(final)
    hidden = environment.with_name("hidden")
    environment.rename(hidden)
    try:
        done = subprocess.run(
            [python, "-c", "import sys, tool; print(sys.prefix, tool.__file__)"],
            capture_output=True,
            text=True,
        )
    finally:
        hidden.rename(environment)
    (site,) = final.glob("lib/python*/site-packages")
    assert done.stdout.strip() == f"{final} {site / 'tool.py'}", done.stderr
    assert (final / "bin" / "tool").read_text().startswith(f"#!{final}/bin/python\n")
    assert os.access(final / "bin" / "tool", os.X_OK)
    size = run_environment.size(environment)
    assert size.files == run_environment.size(final).files > 3


def test_an_environment_that_can_t_be_copied_leaves_nothing(environment, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr("shutil.copy2", full)
    final = tmp_path / "environment" / "a1"
    with pytest.raises(ValueError, match=r"No space left on device; snapshot: code does without"):
        run_environment.copy(environment, final)
    assert list(final.parent.iterdir()) == []


def test_distributions_are_compared_in_words():
    now = run_environment.distributions()
    assert now["pytest"] and now["leanfleet"]
    before = {**now, "pytest": "0.1", "gone-tool": "1"}
    found = run_environment.differences(before, now)
    assert found == ["gone-tool missing instead of 1", f"pytest {now['pytest']} instead of 0.1"]


# --- trees ------------------------------------------------------------------------------------------


def test_links_are_copied_as_links_and_damage_is_found(tmp_path):
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "real").write_text("text")
    (source / "bin" / "inside").symlink_to("real")
    (tmp_path / "beside").write_text("x")
    (source / "outside").symlink_to("../beside")
    copy = tmp_path / "far" / "copy"
    entries = trees.copy(source, copy)
    assert os.readlink(copy / "bin" / "inside") == "real"
    assert (copy / "outside").read_text() == "x"  # leads where it did
    assert trees.damage(copy, entries) == ""
    assert trees.contents(source) == entries
    (copy / "bin" / "real").write_text("TEXT")
    assert trees.damage(copy, entries, hashes=False) == ""
    assert trees.damage(copy, entries) == "bin/real has other content"
    wrong = {"bin/real": msgspec.structs.replace(entries["bin/real"], size=9)}
    assert trees.damage(copy, wrong, hashes=False) == "bin/real has 4 bytes instead of 9"
    assert "No such file" in trees.damage(copy, {"none": entries["bin/real"]})
