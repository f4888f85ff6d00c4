"""Theorems from the command line, JSON lines and .lean files."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from leanfleet.messages import Theorem
from leanfleet.theorem import declared_name, parse_statement, read_text, read_theorems

# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end", ["", " :=", " := by", " := sorry", " := by sorry", ":=by\n  sorry\n"]
)
def test_what_follows_the_statement_is_taken_off(end):
    assert parse_statement("theorem t (n : Nat) : n = n" + end) == Theorem(
        name="t", statement="theorem t (n : Nat) : n = n"
    )


def test_a_default_value_in_a_binder_stays():
    text = "theorem t (n : Nat := 0) : n = n"
    assert parse_statement(text + " := by").statement == text


@pytest.mark.parametrize(
    "text, name",
    [
        ("theorem a.b'_1: True", "a.b'_1"),
        ("theorem «odd name» : True", "«odd name»"),
        ("theorem u.{v} (α : Sort v) : α = α", "u"),
        ("theorem 自然数{n : Nat} : n = n", "自然数"),
        ("lemma l : True", "l"),
        ("-- a comment\n/- and /- nested -/ -/ /-- doc -/ theorem t : True", "t"),
    ],
)
def test_the_name_is_the_declared_one(text, name):
    theorem = parse_statement(text)
    assert theorem.name == declared_name(theorem.statement) == name
    assert theorem.statement.startswith("theorem ")


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "empty"),
        ("  \n -- only a comment", "empty"),
        ("example : True", "begins with `theorem NAME`"),
        ("theorems : True", "begins with `theorem NAME`"),
        ("import Std\ntheorem t : True", "begins with"),
        ("theorem : True", "no name"),
        ("theorem := by sorry", "no name"),
        ("theorem t : \0True", "NUL character at position 12"),
        ("theorem t : \udcff", "not UTF-8"),
        ("theorem t : " + "x" * 10_000_000, "10,000,012 bytes; at most 262,144"),
    ],
)
def test_bad_statements_are_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_statement(text)


# --- JSON lines -----------------------------------------------------------------------------------


def write_lines(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_json_lines(tmp_path):
    path = write_lines(
        tmp_path / "b.jsonl",
        {"name": "a", "statement": "theorem a : True", "split": "valid", "source": "me"},
        "",
        {"name": "b", "statement": "theorem b : True := by", "header": "open Nat"},
    )
    assert read_theorems(path, header="import Std") == [
        Theorem("a", "theorem a : True", header="import Std", split="valid", source="me"),
        Theorem("b", "theorem b : True", header="open Nat"),
    ]


def test_every_bad_line_is_reported_with_its_number(tmp_path):
    path = write_lines(
        tmp_path / "b.jsonl",
        {"name": "a", "statement": "theorem a : True"},
        "{not json",
        {"name": "b"},
        {"name": "c", "statement": 3},
        {"name": "d", "statement": "theorem d : True", "haeder": ""},
        '{"name": "e", "name": "f", "statement": "theorem e : True"}',
        {"name": "a", "statement": "theorem a : True"},
        [1],
    )
    with pytest.raises(ValueError) as caught:
        read_theorems(path)
    said = str(caught.value)
    for number, text in [
        (2, "not JSON"),
        (3, "the field statement is missing"),
        (4, "the field statement is no text"),
        (5, "unknown field haeder"),
        (6, "the field name is given twice"),
        (7, f"the name a is used at {path}:1"),
        (8, "not a JSON object"),
    ]:
        assert f"{path}:{number}: {text}" in said
    assert f"{path}:1: " not in said


def test_many_mistakes_are_counted_not_all_shown(tmp_path):
    path = write_lines(tmp_path / "b.jsonl", *["{"] * 100)
    with pytest.raises(ValueError, match="100 mistakes(.|\n)*and 80 more"):
        read_theorems(path)


@pytest.mark.parametrize("name", ["b.jsonl", "b.lean"])
@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "is empty"),
        (b"abc\xffdef", "not UTF-8: byte 0xff at offset 3"),
        (None, "No such file"),
    ],
)
def test_unusable_files_are_refused(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_theorems(tmp_path / name)


# --- .lean files ----------------------------------------------------------------------------------

LEAN = """\
import Std
open Nat

/-- twice -/
def twice (n : Nat) := 2 * n  -- theorem not_me : False := by sorry

/- theorem nor_me : False := by sorry -/
theorem helper : twice 0 = 0 := rfl

/-- the first -/
@[simp] theorem first (n : Nat) :
    twice n = n + n := by
  sorry

private lemma second : "theorem x := sorry" = "" := sorry
"""


def test_a_lean_file_gives_each_unproved_theorem_with_what_stands_before_it(tmp_path):
    path = tmp_path / "a.lean"
    path.write_text(LEAN)
    first, second = read_theorems(path)
    assert first.statement == "theorem first (n : Nat) :\n    twice n = n + n"
    assert first.header == LEAN[: LEAN.index("\n\n/-- the first -/")]
    assert second.name == "second"
    assert second.statement == 'theorem second : "theorem x := sorry" = ""'
    # An unproved theorem is no part of the next one's header: nothing may be proved from it.
    assert second.header == first.header


def test_a_folder_of_lean_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.lean").write_bytes(b"theorem b : True := by\r\n  sorry\r\n")
    (tmp_path / "a.lean").write_text("import Std\ntheorem a : True := by sorry")
    (tmp_path / "library.lean").write_text("def x := 1")
    assert [theorem.name for theorem in read_theorems(tmp_path)] == ["a", "b"]
    (tmp_path / "c.lean").write_text("theorem a : False := by sorry")
    with pytest.raises(ValueError, match="the name a is used at .*a.lean:2"):
        read_theorems(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "theorem a (p : Prop) :\n    p → p",
        "/- of old -/\r\n-- theorem b := sorry\r\nlemma a (p : Prop) :\r\n    p → p\r\n",
    ],
)
def test_a_lean_file_may_be_a_statement_and_nothing_else(tmp_path, text):
    path = tmp_path / "a.lean"
    path.write_bytes(text.encode())
    statement = "theorem a (p : Prop) :\n    p → p"
    assert read_theorems(path, "open Nat") == [
        Theorem("a", statement, header="open Nat", source="a.lean")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "theorem a : True := trivial",
        "theorem a : ∀ n : Nat, n = n\n  | 0 => rfl\n  | n + 1 => rfl",
        "theorem a : p where\n  left := x",
        "open Nat\ntheorem a : True",
        "theorem a : True\ntheorem b : True",
        "def a : Nat",
    ],
)
def test_what_might_be_more_than_a_statement_is_not_taken_for_one(tmp_path, text):
    (tmp_path / "a.lean").write_text(text)
    with pytest.raises(ValueError, match="nor a statement and nothing else"):
        read_theorems(tmp_path / "a.lean")


@pytest.mark.parametrize("name, explained", [("ok.thm", True), ("ok.jsonl", False)])
def test_a_file_that_is_read_as_json_lines_for_its_name_is_told_so(tmp_path, name, explained):
    (tmp_path / name).write_text("theorem a : True")
    with pytest.raises(ValueError, match=f"{name}:1: not JSON") as caught:
        read_theorems(tmp_path / name)
    assert ("since its name does not end in .lean" in str(caught.value)) is explained


def test_no_theorem_to_prove_is_an_error(tmp_path):
    (tmp_path / "a.lean").write_text("theorem a : True := trivial")
    for path in (tmp_path, tmp_path / "a.lean"):
        with pytest.raises(ValueError, match="ends in `:= by sorry`"):
            read_theorems(path)


# --- real data ------------------------------------------------------------------------------------


def test_a_real_benchmark(testdata):
    header = (testdata / "core_header.lean").read_text()
    theorems = read_theorems(testdata / "minif2f_core_valid.jsonl", header=header)
    assert len(theorems) > 20
    assert all(theorem.header == header for theorem in theorems)
    assert all(theorem.name == declared_name(theorem.statement) for theorem in theorems)


# --- what is read ------------------------------------------------------------------------------------


def test_a_device_is_no_file():
    with pytest.raises(ValueError, match="/dev/zero is a device"):
        read_text("/dev/zero")


def test_a_pipe_is_read_to_its_end_and_no_further_than_the_limit():
    reading, writing = os.pipe()
    os.write(writing, b"exact h")
    os.close(writing)
    assert read_text(f"/dev/fd/{reading}") == "exact h"
    os.close(reading)
    reading, writing = os.pipe()
    os.write(writing, b"x" * 101)  # and nobody closes it
    with pytest.raises(ValueError, match="more than the 100 bytes"):
        read_text(f"/dev/fd/{reading}", max_bytes=100)
    os.close(reading), os.close(writing)


def test_a_pipe_to_which_nobody_writes_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a pipe through which nothing came"):
        read_text(tmp_path / "pipe")


def test_a_slow_writer_is_waited_for():
    reading, writing = os.pipe()

    def write():
        time.sleep(0.2)
        os.write(writing, b"late")
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    assert read_text(f"/dev/fd/{reading}") == "late"
    writer.join()
    os.close(reading)


def test_a_file_without_a_size_is_read_no_further_than_the_limit():
    with pytest.raises(ValueError, match="more than the 10 bytes"):
        read_text("/proc/self/status", max_bytes=10)
