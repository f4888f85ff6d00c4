"""The command line where streams are closed, full or left by their reader, and files can't be used.

Whatever happens to the output, no exit code says of a proof what is not so.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leanfleet import cli

VERIFY = "verify --statement 'theorem t (h : p) : p' --proof - --set lean.driver=fake"
PROVE = "prove --json 'theorem t (h : p) : p' --set lean.driver=fake"
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


def typed(line: str, **more: str) -> subprocess.CompletedProcess:
    """A line of a shell in which `leanfleet` is the command, with a good proof on stdin. `more`: of the
    environment."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = f'leanfleet() {{ "{sys.executable}" -m leanfleet.cli "$@"; }}\n{line}'
    return subprocess.run(
        ["bash", "-c", command],
        env=env | more,
        input="exact h\n",
        capture_output=True,
        text=True,
        timeout=60,
    )


@full
@pytest.mark.parametrize("command", [VERIFY, PROVE])
def test_an_output_that_cannot_be_written_is_a_machines_failure(command):
    done = typed(f"leanfleet {command} > /dev/full")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == (
        "leanfleet: error: the output can't be written: No space left on device"
    )
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@full
def test_nor_is_it_an_answer_when_nothing_is_buffered():
    done = typed(f"leanfleet {VERIFY} > /dev/full", PYTHONUNBUFFERED="1")
    assert done.returncode == 4
    assert done.stderr == "leanfleet: error: No space left on device\n"


def test_a_reader_that_went_away_is_a_machines_failure():
    done = typed(f"set -o pipefail; {{ sleep 0.2; leanfleet {VERIFY}; }} | true")
    assert done.returncode == 4
    assert done.stderr == "leanfleet: error: the output can't be written: Broken pipe\n"


def test_whoever_closes_stdout_gets_the_exit_code():
    done = typed(f"leanfleet {VERIFY} >&-")
    assert (done.returncode, done.stderr) == (0, "")
    done = typed(f"echo exact x | leanfleet {VERIFY} >&- 2>&-")
    assert done.returncode == 1


def test_a_closed_stdin_is_no_proof():
    done = typed(f"leanfleet {VERIFY} <&-")
    assert done.returncode == 2
    assert done.stderr == ("leanfleet: error: the proof was to come from stdin, which is closed\n")


def test_a_closed_stdin_is_nobody_elses_business():
    done = typed(f"leanfleet {PROVE} <&-")
    assert json.loads(done.stdout)["outcome"] == "exhausted"  # the fake's logic is not the menu's
    assert (done.returncode, done.stderr) == (1, "")


def test_a_proof_may_come_from_a_pipe_and_not_without_end():
    assert (
        typed(f"leanfleet {VERIFY.replace('--proof -', '--proof <(echo exact h)')}").returncode == 0
    )
    done = typed(f"leanfleet {VERIFY} < /dev/zero")
    assert done.returncode == 2
    assert "the proof on stdin has more than 16,777,216 bytes" in done.stderr


@full
def test_a_full_stderr_does_not_change_the_exit_code():
    assert typed("leanfleet verify --statement nonsense --proof - 2> /dev/full").returncode == 2


@pytest.mark.parametrize(
    "number, path, code",
    [
        (errno.ENOENT, "named", 2),
        (errno.EACCES, "", 2),  # the folder in which it would be
        (errno.EACCES, "another", 4),
        (errno.ENOENT, "named/within", 4),  # such as a run's file
        (errno.ENOSPC, "named", 4),
    ],
)
def test_a_path_that_the_user_named_is_his_mistake(
    tmp_path, monkeypatch, capsys, number, path, code
):
    def fail(arguments):
        raise OSError(number, os.strerror(number), str(tmp_path / path))

    monkeypatch.setattr("leanfleet.commands.lean._serve", fail)
    assert cli.main(["lean", "serve", "--keys", str(tmp_path / "named")]) == code
    said = f"leanfleet: error: {tmp_path / path}: {os.strerror(number)}\n"
    assert capsys.readouterr().err == said


def test_an_error_without_words_is_named(monkeypatch, capsys):
    def fail(arguments):
        raise TimeoutError

    monkeypatch.setattr("leanfleet.commands.lean._check", fail)
    assert cli.main(["lean", "check"]) == 4
    assert capsys.readouterr().err == "leanfleet: error: TimeoutError\n"


def test_no_keys_can_be_made_there(capsys):
    fake = ["--set", "lean.driver=fake"]
    assert cli.main(["lean", "serve", "--keys", os.devnull, *fake]) == 2
    assert f"no keys can be made in {os.devnull}: File exists" in capsys.readouterr().err
    assert cli.main(["lean", "serve", "--keys", f"{os.devnull}/x/keys", *fake]) == 2
    assert "no keys can be made in" in capsys.readouterr().err


def test_a_port_that_is_none_is_refused_before_anything_is_made(tmp_path, capsys):
    keys = tmp_path / "keys"
    command = ["lean", "serve", "--keys", str(keys), "--set", "lean.driver=fake"]
    assert cli.main([*command, "--bind", "tcp://127.0.0.1:99999"]) == 2
    assert "cannot listen on tcp://127.0.0.1:99999" in capsys.readouterr().err
    assert not keys.exists()
