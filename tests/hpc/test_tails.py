"""Logs of attempts: their names, and what of them may be shown."""

from __future__ import annotations

import pytest

from hpc import tails

HYDRA = """\
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   EXIT CODE: 9
YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
This typically refers to a problem with your application.
Please see the FAQ page for debugging suggestions
"""


def test_attempts_are_found_by_their_names_alone(tmp_path):
    for name in ("prover.1.10.log", "prover.1.9.log", "hub.0.0.log", "notes.log", "a.b.c.log"):
        (tmp_path / name).touch()
    assert tails.attempts(tmp_path) == {("hub", 0): [0], ("prover", 1): [9, 10]}
    assert tails.next_attempt(tmp_path, "prover", 1) == 11
    assert tails.next_attempt(tmp_path, "prover", 0) == 0
    assert tails.attempts(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    "text, line",
    [
        ("", ""),
        ("ready\n\n  \n", "ready"),
        ("leanfleet: error: no Lean\nstopping\n", "leanfleet: error: no Lean"),
        ("Traceback:\nValueError: bad\n", "ValueError: bad"),
        (HYDRA, HYDRA.splitlines()[2]),
    ],
)
def test_the_line_that_says_why(tmp_path, text, line):
    (tmp_path / "log").write_text(text)
    assert tails.last_error(tmp_path / "log") == line


def test_an_endless_line_is_cut_and_a_huge_log_is_not_read_whole(tmp_path):
    (tmp_path / "log").write_bytes(b"first\n" + b"x" * (1 << 20))
    (line,) = tails.last_lines(tmp_path / "log", 10)
    assert len(line) == tails.LINE_CHARACTERS and line.endswith("x…")


@pytest.mark.parametrize(
    "text, shown",
    [
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]0;never ended", ""),
        ("\x1b[2K\x1b[1;31mred\x1b[0m", "red"),
        ("10 %\r20 %\r", "20 %"),
        ("a\x00b\x08c\x9b31m\u202ed", "abc31md"),
        ("⊢ p ∧ q", "⊢ p ∧ q"),
        ("a\tb", "a    b"),
    ],
)
def test_what_a_terminal_gets(text, shown):
    assert tails.shown(text) == shown
