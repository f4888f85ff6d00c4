"""`leanfleet prove`, `verify` and `quickstart` as a user types them, on the real Lean."""

import json

import pytest

from leanfleet.cli import main

pytestmark = pytest.mark.needs("registry_lean")
SMALL = ["--set", "lean.driver=registry"]
STATEMENT = "theorem t (p q : Prop) : p ∧ q → q ∧ p"


def test_prove_prints_a_proof_that_verify_accepts(capsys, tmp_path):
    assert main(["prove", STATEMENT, *SMALL]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{STATEMENT} := by\n  ")
    proof = tmp_path / "proof"
    proof.write_text(text.split(":= by\n", 1)[1])
    assert main(["verify", "--statement", STATEMENT, "--proof", str(proof), *SMALL]) == 0
    assert capsys.readouterr().out.startswith("accepted")


def test_many_theorems_with_a_header_as_json(capsys, tmp_path):
    header = tmp_path / "header.lean"
    header.write_text('@[simp] def twice (n : Nat) : Nat := n + n\nnotation "ℕ" => Nat\n')
    theorems = tmp_path / "theorems.jsonl"
    rows = [
        {"name": "good", "statement": "theorem good (n : ℕ) : twice n = 2 * n"},
        {"name": "unknown", "statement": "theorem unknown (x : Real) : x = x"},
        {"name": "false", "statement": "theorem false (n : ℕ) : twice n = 2 * n + 1"},
    ]
    theorems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["prove", "--file", str(theorems), "--header", str(header), "--json", *SMALL]
    command += ["--simulations", "6"]
    assert main(command) == 2  # bad input comes before not proved
    found = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["good"]["outcome"] == "proved" and found["good"]["verdict_key"]
    assert found["good"]["header"] == header.read_text()
    assert found["unknown"]["outcome"] == "bad_input" and "Real" in found["unknown"]["message"]
    assert found["false"]["outcome"] == "not_proved" and found["false"]["proof"] is None


@pytest.mark.parametrize(
    ("proof", "reason"),
    [("sorry", "forbidden"), ("intro h\nexact h", "error"), ("exact fun h => (", "parse")],
)
def test_verify_refuses_with_a_reason(capsys, tmp_path, proof, reason):
    path = tmp_path / "proof"
    path.write_text(proof)
    command = ["verify", "--statement", STATEMENT, "--proof", str(path), "--json", *SMALL]
    assert main(command) == 1
    assert json.loads(capsys.readouterr().out)["reason"] == reason


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prove"], "either a statement or --file"),
        (["prove", ""], "empty"),
        (["prove", "lemmata t : p"], "begins with"),
        (["prove", "--file", "nothing.jsonl"], "nothing.jsonl"),
        (["prove", "theorem t : " + "(" * 300_000], "at most"),
        (["prove", STATEMENT, "--simulations", "0"], "simulations"),
        (["verify", "--statement", STATEMENT, "--proof", "no-such-file"], "no-such-file"),
        (["quickstart", "--config", "nothing.yaml"], "nothing.yaml"),
    ],
)
def test_mistakes_of_the_user_are_one_clear_line(capsys, arguments, words):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


def test_a_header_that_does_not_elaborate_is_bad_input(capsys, tmp_path):
    header = tmp_path / "header.lean"
    header.write_text("import Mathlib\n")
    assert main(["prove", STATEMENT, "--header", str(header), *SMALL]) == 2
    assert "Mathlib" in capsys.readouterr().err


def test_quickstart_writes_proofs_that_stand_alone(capsys, tmp_path, root):
    config = str(root / "configs/quickstart.yaml")
    assert main(["quickstart", "--config", config, "--smoke", "--out", str(tmp_path)]) == 0
    assert "8 of 8 theorems proved" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "proofs.jsonl").read_text().splitlines()]
    assert len(rows) == 8 and all(row["outcome"] == "proved" for row in rows)
    files = sorted((tmp_path / "proofs").glob("*.lean"))
    assert len(files) == 8
    assert all("autoImplicit false" in path.read_text() for path in files)
