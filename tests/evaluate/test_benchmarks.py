"""Benchmarks in their published layouts, each in small, and what is wrong with a benchmark.

The layouts are those of the repositories that registry.toml names; the statements are our own.
"""

import json

import pytest

from leanfleet.evaluate.answers import fill_answers
from leanfleet.evaluate.benchmarks import read_benchmark


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


# --- layouts --------------------------------------------------------------------------------------


def test_minif2f_as_json_lines_whose_id_is_not_the_name(tmp_path):
    row = {
        "id": "some_2019_21",
        "split": "valid",
        "formal_statement": "theorem some_2019_p21 (z : ℕ) :\n  z = z := sorry",
        "header": "import Mathlib\n\nopen Real",
        "informal_stmt": "?",
        "informal_proof": None,
        "name": "some_2019_p21",
        "formal_proof": None,
    }
    (theorem,) = read_benchmark(write(tmp_path / "minif2f_lean4.jsonl", row)).theorems
    assert theorem.name == "some_2019_p21"
    assert theorem.statement == "theorem some_2019_p21 (z : ℕ) :\n  z = z"
    assert theorem.header == "import Mathlib\n\nopen Real"
    assert theorem.split == "valid"


def test_minif2f_as_json_lines_that_end_in_by(tmp_path):
    row = {
        "name": "mathd_algebra_1",
        "split": "validation",
        "informal_prefix": "/-- What is 1? -/\n",
        "formal_statement": "theorem mathd_algebra_1 : 1 = 1 := by\n",
        "goal": "⊢ 1 = 1",
        "header": "import Mathlib\nimport Aesop\n\n",
    }
    (theorem,) = read_benchmark(write(tmp_path / "minif2f.jsonl", row)).theorems
    assert theorem.statement == "theorem mathd_algebra_1 : 1 = 1"
    assert theorem.split == "valid"


def test_minif2f_as_one_big_file_with_some_theorems_proved(tmp_path):
    path = tmp_path / "Test.lean"
    path.write_text(
        "import MiniF2F.Minif2fImport\nopen Nat\n\n"
        "theorem a_1 (n : ℕ) : n = n := by\n  rfl\n\n"
        "/-- doc -/\ntheorem a_2 : 2 = 2 := by sorry\n\n"
        "theorem a_3 : 3 = 3 := by\n  sorry\n"
    )
    second, third = read_benchmark(path).theorems
    assert [second.name, third.name] == ["a_2", "a_3"]
    assert "theorem a_1" in third.header and "a_2" not in third.header


def test_a_folder_of_files_with_the_split_in_its_path(tmp_path):
    for split, name in (("Test", "imo_1"), ("Valid", "imo_2")):
        (tmp_path / split).mkdir()
        (tmp_path / split / f"{name}.lean").write_text(
            f"import Mathlib\n\nset_option maxHeartbeats 0\n\ntheorem {name}\n  (n : ℕ)\n"
            "  (h₀ : 0 < n) :\n  n ≠ 0 := by sorry"
        )
    (tmp_path / "Imports.lean").write_text("import Mathlib\n")
    benchmark = read_benchmark(tmp_path)
    assert [(each.name, each.split) for each in benchmark.theorems] == [
        ("imo_1", "test"),
        ("imo_2", "valid"),
    ]
    assert benchmark.theorems[0].header == "import Mathlib\n\nset_option maxHeartbeats 0"
    (only,) = read_benchmark(tmp_path, split="valid").theorems
    assert only.name == "imo_2"


def test_proofnet_books_share_names_and_have_instances(tmp_path):
    for book in ("Rudin", "Axler"):
        (tmp_path / f"{book}.lean").write_text(
            "import Mathlib\n\nopen Filter\n\n"
            f"theorem exercise_1_2 : 1 = 1 :=\nsorry\n\ninstance exercise_of_{book} : Nonempty Nat :="
            f"\nsorry\n\ntheorem only_in_{book} : 2 = 2 :=\nsorry\n"
        )
    benchmark = read_benchmark(tmp_path)
    assert sorted(each.name for each in benchmark.theorems) == [
        "Axler.exercise_1_2",
        "Rudin.exercise_1_2",
        "only_in_Axler",
        "only_in_Rudin",
    ]
    assert all("sorry" not in each.header for each in benchmark.theorems)
    assert any("2 left out" in note and "instance" in note for note in benchmark.notes)


def test_proofnet_sharp(tmp_path):
    row = {
        "id": "Rudin|exercise_1_1b",
        "nl_statement": "…",
        "nl_proof": "…",
        "lean4_src_header": "import Mathlib\n\nopen Real\n",
        "lean4_formalization": "theorem exercise_1_1b\n(x : ℕ)\n: x = x :=\nsorry",
    }
    (theorem,) = read_benchmark(write(tmp_path / "test.jsonl", row)).theorems
    assert theorem.name == "Rudin|exercise_1_1b"
    assert theorem.statement.endswith(": x = x") and theorem.header.startswith("import Mathlib")


def test_lean_workbook_is_one_array_without_headers(tmp_path):
    rows = [
        {
            "id": f"lean_workbook_plus_{n}",
            "status": "proved",
            "tactic": "nlinarith",
            "natural_language_statement": "…",
            "answer": "",
            "tags": ["algebra"],
            "formal_statement": f"theorem lean_workbook_plus_{n} (x : ℕ) : x = x   :=  by sorry",
        }
        for n in (2, 3)
    ]
    path = tmp_path / "lean_workbook.json"
    path.write_text(json.dumps(rows, indent=1))
    benchmark = read_benchmark(path, header="import Mathlib\n")
    assert [each.name for each in benchmark.theorems] == [row["id"] for row in rows]
    assert {each.header for each in benchmark.theorems} == {"import Mathlib\n"}
    assert benchmark.theorems[0].statement == "theorem lean_workbook_plus_2 (x : ℕ) : x = x"


PUTNAM = """import Mathlib
open BigOperators

abbrev putnam_2062_a5_solution : ℕ → ℕ := sorry
-- fun n : ℕ =>
--   n * 2
/--
Evaluate it.
-/
theorem putnam_2062_a5
: ∀ n ≥ 2, putnam_2062_a5_solution n = 2 * n :=
sorry
"""


def test_putnam_answers_are_filled_in_from_their_comments(tmp_path):
    (tmp_path / "putnam_2062_a5.lean").write_text(PUTNAM)
    benchmark = read_benchmark(tmp_path)
    (theorem,) = benchmark.theorems
    assert "putnam_2062_a5_solution : ℕ → ℕ := fun n : ℕ =>\n  n * 2" in theorem.header
    assert "sorry" not in theorem.header and "--" not in theorem.header
    assert any("1 answer placeholders filled" in note for note in benchmark.notes)
    kept = read_benchmark(tmp_path, fill=False)
    assert "solution : ℕ → ℕ := sorry" in kept.theorems[0].header
    assert any("1 answer placeholders left open" in note for note in kept.notes)
    assert kept.content != benchmark.content


def test_putnam_as_json_holds_the_placeholder_in_the_statement(tmp_path):
    rows = [
        {"name": "putnam_2062_a5", "lean4_statement": PUTNAM, "coq_statement": "…"},
        {"name": "putnam_2062_a6", "lean4_statement": "null", "coq_statement": "…"},
    ]
    path = tmp_path / "putnam.json"
    path.write_text(json.dumps(rows))
    benchmark = read_benchmark(path)
    (theorem,) = benchmark.theorems
    assert theorem.statement.startswith("theorem putnam_2062_a5\n: ∀ n ≥ 2")
    assert "abbrev" in theorem.header and "import Mathlib" in theorem.header
    assert any("1 left out" in note for note in benchmark.notes)


def test_an_answer_that_is_not_published_stays_open():
    text = "abbrev x_solution : Nat := sorry\n\ntheorem x : x_solution = 1 := sorry\n"
    found = fill_answers(text)
    assert found.text == text and found.open == ("x_solution",) and found.filled == ()
    same_line = fill_answers("noncomputable abbrev x_solution : Nat := sorry -- 5\ntheorem")
    assert same_line.text == "noncomputable abbrev x_solution : Nat := 5\ntheorem"


def test_our_own_layout_stays_strict(tmp_path):
    path = write(tmp_path / "own.jsonl", {"name": "a", "statement": "theorem a : True", "x": ""})
    with pytest.raises(ValueError, match="unknown field x"):
        read_benchmark(path)


def test_the_core_theorems_of_minif2f(testdata):
    header = (testdata / "core_header.lean").read_text()
    benchmark = read_benchmark(testdata / "minif2f_core_valid.jsonl", header=header)
    from leanfleet.evaluate.registry import recognise

    entry = recognise([theorem.name for theorem in benchmark.theorems])
    assert entry.id == "minif2f"
    assert benchmark.content in {version.content for version in entry.versions}


# --- bad input ------------------------------------------------------------------------------------


def test_all_mistakes_are_told_together(tmp_path):
    path = tmp_path / "bad.jsonl"
    good = {"name": "a", "formal_statement": "theorem a : True := sorry"}
    lines = [
        json.dumps(good),
        "{",
        json.dumps({"name": "b"}),
        json.dumps(good),
        json.dumps({"name": "c", "formal_statement": 7.5}),
        json.dumps({"name": "d", "formal_statement": "what is this"}),
        '{"name": "e", "name": "f", "formal_statement": "theorem e : True"}',
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError) as error:
        read_benchmark(path)
    message = str(error.value)
    assert "6 mistakes" in message
    for part in (
        "bad.jsonl:2: not JSON",
        "bad.jsonl:3: no statement: none of the fields formal_statement",
        f"bad.jsonl:4: the name a is used at {path}:1",
        "bad.jsonl:5: the field formal_statement is no text",
        "bad.jsonl:6: a statement begins with",
        "bad.jsonl:7: the field name is given twice",
    ):
        assert part in message


def test_mixed_encodings_name_the_file(tmp_path):
    (tmp_path / "a.lean").write_text("theorem a : 1 = 1 := sorry")
    (tmp_path / "b.lean").write_bytes("theorem bé : 1 = 1 := sorry".encode("latin-1"))
    (tmp_path / "c.lean").write_bytes("theorem c : 1 = 1 := sorry".encode("utf-16"))
    with pytest.raises(ValueError, match=r"(?s)2 mistakes.*b\.lean is not UTF-8.*c\.lean is not"):
        read_benchmark(tmp_path)


def test_nothing_to_evaluate(tmp_path):
    (tmp_path / "empty.json").write_text("[]")
    (tmp_path / "none").mkdir()
    (tmp_path / "proved.lean").write_text("theorem a : True := trivial\n")
    for path, message in (
        (tmp_path / "empty.json", "empty"),
        (tmp_path / "none", "0 .lean files"),
        (tmp_path / "proved.lean", "no theorem"),
        (tmp_path / "missing.jsonl", "No such file"),
    ):
        with pytest.raises(ValueError, match=message):
            read_benchmark(path)
    own = write(tmp_path / "own.jsonl", {"name": "a", "statement": "theorem a : True"})
    with pytest.raises(ValueError, match="no theorem of the split 'test'; there are: none"):
        read_benchmark(own, split="test")


def test_a_limit_is_noted(tmp_path):
    rows = [{"name": f"t{n}", "statement": f"theorem t{n} : True"} for n in range(5)]
    benchmark = read_benchmark(write(tmp_path / "own.jsonl", *rows), limit=2)
    assert [theorem.name for theorem in benchmark.theorems] == ["t0", "t1"]
    assert benchmark.notes == ("only the first 2 of 5 theorems",)
