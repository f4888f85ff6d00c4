"""`leanfleet prove`, `verify` and `probe` as a user types them, on the real Lean."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leanfleet.cli import main
from leanfleet.theorems.probe import smoke_probe

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
    command += ["--simulations", "6", "--no-disprove"]
    assert main(command) == 2  # bad input comes before not proved
    found = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["good"]["outcome"] == "proved" and found["good"]["verdict_key"]
    assert found["good"]["header"] == header.read_text()
    assert found["unknown"]["outcome"] == "bad_input" and "Real" in found["unknown"]["message"]
    assert found["false"]["outcome"] == "not_proved" and found["false"]["proof"] is None


def graph_of(page: Path) -> dict:
    """The search graph that a page carries."""
    (data,) = re.findall(r'id="data">(.*?)</script>', page.read_text("utf-8"))
    return json.loads(data)


def test_a_false_statement_is_disproved_by_a_proof_that_verify_accepts(capsys, tmp_path):
    page = tmp_path / "tree.html"
    assert main(["prove", "theorem t (n : Nat) : n < 3", "--tree", str(page), *SMALL]) == 3
    shown = capsys.readouterr()
    assert "t: disproved" in shown.err and str(page) in shown.err
    statement, text = shown.out.split(" := by\n", 1)
    assert "¬ (∀ (n : Nat), n < 3)" in statement
    proof = tmp_path / "proof"
    proof.write_text(text)
    assert main(["verify", "--statement", statement, "--proof", str(proof), *SMALL]) == 0
    root = graph_of(page)["states"][0]
    assert root["proof"] and root["goals"][0]["target"].startswith("¬")


def test_the_page_shows_the_proof_that_was_found(capsys, tmp_path):
    page = tmp_path / "tree.html"
    statement = "theorem t (xs : List Nat) : xs.length + 0 = xs.length ∧ ∃ n, n * n = 9"
    assert main(["prove", statement, "--tree", str(page), *SMALL]) == 0
    text = capsys.readouterr().out
    states = graph_of(page)["states"]
    assert states[0]["status"] == "proved" and states[0]["proof"]
    assert sum(edge.get("proof", False) for edge in states[0]["edges"]) == 1
    assert text.split(" := by")[0] in page.read_text("utf-8")


def test_many_theorems_get_a_page_each(capsys, tmp_path):
    theorems, pages = tmp_path / "theorems.jsonl", tmp_path / "pages"
    rows = [
        {"name": "a/b", "statement": "theorem x : True"},
        {"name": "bad", "statement": "theorem y : z"},
    ]
    theorems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["prove", "--file", str(theorems), "--tree", str(pages), *SMALL]) == 2
    assert sorted(path.name for path in pages.iterdir()) == ["a_b.html", "bad.html"]
    assert graph_of(pages / "a_b.html")["states"][0]["proof"]
    assert graph_of(pages / "bad.html") is None


def test_an_interrupted_search_ends_cleanly_with_all_its_processes(tmp_path):
    """The signal goes to the whole group, as from a terminal."""
    statement = "theorem f (a b c : Nat) (h : a * b = c * a) : a ^ 3 + b ^ 3 = c ^ 3 + a * a"
    command = [sys.executable, "-m", "leanfleet.cli", "prove", statement, *SMALL, "--no-disprove"]
    command += ["--simulations", "100000", "--seconds", "600", "--tree", str(tmp_path / "x.html")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        until = time.monotonic() + 120
        while len(started := below(process.pid)) < 2 and time.monotonic() < until:
            time.sleep(0.05)  # for Lean: one process that searches, one that verifies
        time.sleep(2.0)  # into the search, on most machines
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert len(started) >= 2
    assert process.returncode == 130
    assert out == "" and error == "leanfleet: error: interrupted\n"
    until = time.monotonic() + 20
    while started & processes().keys() and time.monotonic() < until:
        time.sleep(0.05)
    assert not started & processes().keys() and list(tmp_path.iterdir()) == []


def processes() -> dict[tuple[int, int], int]:
    """(process, its start) → its parent, of all that are alive, from /proc."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        if fields[0] != "Z":
            found[int(folder.name), int(fields[19])] = int(fields[1])
    return found


def below(number: int) -> set[tuple[int, int]]:
    """The processes that a process has started, and those that they have."""
    parents = processes()
    found, numbers = set(), {number}
    while more := {each for each, parent in parents.items() if parent in numbers} - found:
        found |= more
        numbers |= {each for each, _ in more}
    return found


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
        (["prove", STATEMENT, "--file", "theorems.jsonl"], "not both"),
        (["prove", STATEMENT, "--simulations", "0"], "--simulations must be 1 or more"),
        (["prove", STATEMENT, "--simulations", "-3"], "--simulations must be 1 or more"),
        (["prove", STATEMENT, "--seconds", "nan"], "--seconds must be a number above 0"),
        (["prove", STATEMENT, "--seconds", "inf"], "--seconds must be a number above 0"),
        (["prove", STATEMENT, "--seconds", "-1"], "--seconds must be a number above 0"),
        (["prove", STATEMENT, "--policy", "runs/x"], "There is: menu"),
        (["prove", STATEMENT, "--header", "no-such-file"], "no-such-file"),
        (["prove", STATEMENT, "--tree", "."], "is a folder"),
        (["prove", STATEMENT, "--tree", "no-such-folder/x.html"], "there is no folder"),
        (["prove", STATEMENT, "--tree", "/dev/null"], "no regular file"),
        (["verify", "--statement", STATEMENT, "--proof", "no-such-file"], "no-such-file"),
        (["probe", "--config", "nothing.yaml"], "nothing.yaml"),
    ],
)
def test_mistakes_of_the_user_are_one_clear_line(capsys, arguments, words):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error
    assert error.startswith("leanfleet: error: ") and error.count("\n") <= 2


def test_a_header_that_does_not_elaborate_is_bad_input(capsys, tmp_path):
    header = tmp_path / "header.lean"
    header.write_text("import Mathlib\n")
    assert main(["prove", STATEMENT, "--header", str(header), *SMALL]) == 2
    assert "Mathlib" in capsys.readouterr().err


def test_probe_shows_topics_and_tiers_and_leaves_a_report(capsys, tmp_path, root):
    """The smoke run on the real Lean; asked again, it shows the same without proving anew."""
    command = ["probe", "--config", str(root / "configs/probe.yaml"), "--smoke"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 8
    assert {row["theorem"] for row in rows} == {theorem.name for theorem in smoke_probe()}
    proved = [row for row in rows if row["outcome"] == "proved"]
    assert 1 <= len(proved) < 8 and max(row["simulations"] for row in rows) <= 8
    assert f"{len(proved)} of 8 theorems proved" in shown and "tier 3" in shown
    assert f"{tmp_path}/report.html" in shown and (tmp_path / "report.html").stat().st_size > 1000
    files = sorted((tmp_path / "proofs").glob("*.lean"))
    assert len(files) == len(proved)
    assert all("autoImplicit false" in path.read_text() for path in files)
    results = (tmp_path / "results.jsonl").read_bytes()
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "results.jsonl").read_bytes() == results
    again = capsys.readouterr().out
    assert again.split("each,")[0] == shown.split("each,")[0]


def test_every_example_is_proved(capsys, tmp_path, root):
    """Two dozen theorems of several kinds, each proof judged by a process that did not search."""
    command = ["probe", "--config", str(root / "configs/examples.yaml"), "--out", str(tmp_path)]
    assert main(command) == 0
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(rows) >= 24 and {row["outcome"] for row in rows} == {"proved"}, rows
    assert f"{len(rows)} of {len(rows)} theorems proved" in capsys.readouterr().out


def test_probe_takes_the_theorems_of_a_configuration(capsys, tmp_path):
    config = tmp_path / "two.yaml"
    config.write_text(
        f"name: two\nlean: {{driver: registry, processes: 1}}\nprove: {{simulations: 2}}\n"
        f'theorems:\n  - {{statement: "{STATEMENT}", source: logic}}\n'
        '  - {statement: "theorem u : 1 = 2", source: numbers}\n'
    )
    out = tmp_path / "out"
    assert main(["probe", "--config", str(config), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "1 of 2 theorems proved within 2 simulations" in shown
    assert re.search(r"logic\W+1 of 1", shown) and re.search(r"numbers\W+0 of 1", shown)
    # other theorems in the same folder are refused, and put aside when asked
    config.write_text(config.read_text().replace("1 = 2", "1 = 3"))
    assert main(["probe", "--config", str(config), "--out", str(out)]) == 2
    assert "--fresh" in capsys.readouterr().err
