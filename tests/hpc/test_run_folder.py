"""A run's folder: private, of one format, begun once, launched once at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from hpc import run_folder
from hpc.run_folder import Contents, keep
from hpc.run_lock import alone_in

CONTENTS = Contents("try", "name: try\nseed: 0\nlimit: 3\n", {"theorems.jsonl": b"{}\n"})


def begun(folder, contents=CONTENTS):
    with alone_in(folder):
        return keep(folder, contents)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "try"


def test_a_run_is_begun_and_goes_on(folder):
    run, is_new = begun(folder)
    assert is_new and folder.stat().st_mode & 0o777 == 0o700
    assert run_folder.config_text(run) == CONTENTS.config
    assert run_folder.file_bytes(run, "theorems.jsonl") == b"{}\n"
    again, is_new = begun(folder)
    assert not is_new and again == run == run_folder.read(folder)


def test_two_runs_of_the_same_have_two_ids(folder):
    assert begun(folder)[0].id != begun(folder.with_name("other"))[0].id


def test_code_json_says_what_ran(folder):
    begun(folder, replace(CONTENTS, versions={"lean": "4.99"}))
    said = json.loads((folder / "code.json").read_text())
    assert said["versions"]["lean"] == "4.99" and said["versions"]["torch"]
    assert said["python"] == ".".join(map(str, sys.version_info[:3]))


def test_another_configuration_is_shown_and_refused(folder):
    begun(folder)
    other = replace(CONTENTS, config="name: try\nseed: 1\nlimit: 3\nmore: true\n")
    with pytest.raises(ValueError) as refused:
        begun(folder, other)
    said = str(refused.value)
    assert "  - seed: 0\n  + seed: 1\n  + more: true\n" in said
    assert f"leanfleet resume {folder}" in said and "another --out" in said


def test_the_same_line_at_another_place_is_a_difference():
    before, after = "a:\n  x: 1\nb:\n  x: 2\n", "a:\n  x: 2\nb:\n  x: 1\n"
    assert run_folder.differences(before, after)


def test_theorems_that_changed_are_refused_and_the_runs_own_are_kept(folder):
    run, _ = begun(folder)
    with pytest.raises(ValueError, match=r"another theorems\.jsonl.*leanfleet resume"):
        begun(folder, replace(CONTENTS, files={"theorems.jsonl": b"{} {}\n"}))
    assert run_folder.file_bytes(run, "theorems.jsonl") == b"{}\n"


@pytest.mark.parametrize("name", ["theorems.jsonl", "config.yaml"])
def test_what_a_run_began_with_may_not_be_edited(folder, name):
    run, _ = begun(folder)
    (folder / name).write_text("something else\n")
    with pytest.raises(ValueError, match=f"{name} was changed after the run began"):
        if name == "config.yaml":
            run_folder.config_text(run)
        else:
            run_folder.file_bytes(run, name)


def test_what_differs_in_an_edited_configuration_is_shown(folder):
    run, _ = begun(folder)
    (folder / "config.yaml").write_text(CONTENTS.config.replace("seed: 0", "seed: 1"))
    with pytest.raises(ValueError, match=r"\(- then, \+ now\).*\n  - seed: 0\n  \+ seed: 1$"):
        run_folder.config_text(run_folder.read(folder))


def test_files_that_stay_elsewhere_must_be_what_they_were(folder, tmp_path, monkeypatch):
    rows = tmp_path / "home" / "rows"
    rows.parent.mkdir()
    rows.write_bytes(b"1")
    monkeypatch.chdir(rows.parent)
    contents = replace(CONTENTS, outside=("rows",))
    begun(folder, contents)
    monkeypatch.chdir(tmp_path)
    run, is_new = begun(folder, contents)  # relative paths begin where the run did
    assert not is_new
    run_folder.check_outside(run)
    with pytest.raises(ValueError, match="rows: No such file"):
        run_folder.check_outside(run, tmp_path)
    rows.write_bytes(b"2")
    for use in (lambda: run_folder.check_outside(run), lambda: begun(folder, contents)):
        with pytest.raises(ValueError, match=f"{rows} was changed after .*--fork {folder}"):
            use()
    rows.unlink()
    with pytest.raises(ValueError, match="rows: No such file"):
        begun(folder.with_name("other"), contents)
    assert not (folder.with_name("other") / "run.json").exists()


def test_a_folder_of_another_format_is_refused_by_name(folder):
    begun(folder)
    said = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({"format": 9, "unknown": said}))
    with pytest.raises(ValueError, match="has the run format 9; this leanfleet reads format 1"):
        begun(folder)


@pytest.mark.parametrize("text", ["", "{", '{"format": "one"}', '{"format": 1}', "\xff"])
def test_a_damaged_run_json_is_an_error_that_names_it(folder, text):
    begun(folder)
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        run_folder.read(folder)


def test_a_folder_that_others_may_read_is_refused_with_the_command_that_helps(folder):
    begun(folder)
    folder.chmod(0o750)
    for use in (begun, run_folder.read):
        with pytest.raises(ValueError, match=f"mode 750.*chmod 700 {folder}"):
            use(folder)


def test_a_folder_of_something_else_is_left_alone(folder):
    folder.mkdir(parents=True, mode=0o700)
    (folder / "thesis.tex").write_text("…")
    with pytest.raises(ValueError, match=r"not empty \(thesis\.tex\)"):
        begun(folder)
    assert not (folder / "config.yaml").exists()


def test_a_run_that_was_killed_while_it_was_begun_is_begun_again(folder):
    begun(folder)
    (folder / "run.json").unlink()
    (folder / ".config.yaml.0123").write_text("half")
    assert begun(folder)[1]


def test_a_place_that_can_not_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ValueError, match="can't be used as a run's folder"),
        alone_in(tmp_path / "file"),
    ):
        pass


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(ValueError, match="no folder of a run"):
        run_folder.read(tmp_path / "nothing")
    tmp_path.chmod(0o700)
    with pytest.raises(ValueError, match=r"holds no run \(run\.json is missing\)"):
        run_folder.read(tmp_path)


HOLD = """
import sys
from pathlib import Path
from hpc.run_lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_launch_is_refused_and_told_who_holds_the_first(folder):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(ValueError) as refused, alone_in(folder):
            pass
        said = str(refused.value)
        assert f"process {first.pid} on {os.uname().nodename}, since 20" in said
        assert f"leanfleet cancel {folder}" in said
    finally:
        first.kill()
        first.wait()
    with alone_in(folder):  # the system let go of it
        pass


def test_a_child_of_the_holder_does_not_hold_it_on(folder):
    with alone_in(folder):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    try:
        with alone_in(folder):
            pass
    finally:
        child.kill()
        child.wait()
