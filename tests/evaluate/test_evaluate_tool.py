"""tools/evaluate_minif2f.py from its command line, on the real Lean: rows, proofs, exit codes."""

import asyncio
import json
import re

import msgspec
import pytest

from leanfleet.config import parse_config
from leanfleet.evaluate.compare import compare_folders
from leanfleet.evaluate.results import Attempt, Class, last_rows, read_rows
from leanfleet.lean.compose import PRELUDE
from leanfleet.messages import Theorem
from leanfleet.roles.lean import local_server

REAL = ("--set", "lean.driver=registry", "--set", "lean.processes=1")
ROWS = [
    {"name": "swap", "formal_statement": "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p := by\n"},
    {
        "name": "twice_zero",
        "header": "def twice (n : Nat) := n + n",
        "formal_statement": "theorem twice_zero : twice 0 = 0 := by sorry",
    },
    {
        "name": "half_solution_used",
        "formal_statement": "abbrev half_solution : Nat := sorry\n-- 2\n"
        "theorem half_solution_used : half_solution + half_solution = 4 := sorry",
    },
    {"name": "no_reals", "formal_statement": "theorem no_reals (x : ℝ) : x = x := sorry"},
    {"name": "false", "formal_statement": "theorem false (n : Nat) : n = n + 1 := sorry"},
]


@pytest.fixture
def tool(root, capfd, monkeypatch):
    """Runs the tool in this process: (expected exit code, *arguments) → what it wrote."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    import evaluate_minif2f

    def run(code, *arguments):
        found = evaluate_minif2f.main([str(each) for each in arguments])
        written = capfd.readouterr()
        assert found == code, written
        return written

    return run


@pytest.fixture
def benchmark(tmp_path):
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS))
    return path


@pytest.mark.needs("registry_lean")
def test_an_evaluation_on_the_real_lean(tool, tmp_path, benchmark):
    out, labels = tmp_path / "out", tmp_path / "labels.jsonl"
    labels.write_text('{"name": "swap", "label": true}\n{"name": "false", "label": false}\n')
    command = ("--benchmark", benchmark, "--out", out, "--simulations", "4", *REAL)
    shown = tool(0, *command, "--labels", labels).out
    assert "solved 3 of 4" in shown and "1 not elaborated (not counted)" in shown
    assert "labelled false: 0 of 1 proved" in shown
    rows = {name: row for (name, _), row in last_rows(read_rows(out)).items()}
    assert rows["no_reals"].outcome is Class.NOT_ELABORATED and "ℝ" in rows["no_reals"].message
    assert rows["false"].outcome in (Class.NOT_PROVED, Class.EXHAUSTED)
    proved = [row for row in rows.values() if row.outcome is Class.PROVED]
    assert all(
        row.simulations >= 1 and row.lean_cpu_seconds > 0 and row.verdict_key for row in proved
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["complete"] and summary["eval"]["solved"] == 3
    assert "registry" in summary["lean"] or "4." in summary["lean"]

    # each file alone, read as text, is a proof
    config = parse_config("name: t\nlean: {driver: registry, processes: 1}", "test").lean

    async def judge():
        async with local_server(config) as lean:
            for row in proved:
                text = (out / "proofs" / f"{row.theorem}.lean").read_text()
                header, statement, proof = re.fullmatch(
                    r"(?s)(.*?)^(theorem .*?) := by\n(.*)", text, re.MULTILINE
                ).groups()
                assert header.startswith(PRELUDE)
                again = Theorem(row.theorem, statement, header.removeprefix(PRELUDE))
                assert (await lean.verify(again, re.sub(r"(?m)^  ", "", proof))).accepted

    asyncio.run(judge())

    # the same again: nothing is run, and elsewhere it comes out the same
    before = (out / "results.jsonl").read_bytes()
    assert "nothing is left to do" in tool(0, *command).err
    assert (out / "results.jsonl").read_bytes() == before
    other = tmp_path / "other"
    tool(0, *command[:3], other, *command[4:], "--searches", "2")
    assert compare_folders(out, other).changed == ()
    assert "0 theorems came out differently" in tool(0, "compare", out, other, "--same").out

    # a forged row is found out
    forged = Attempt(theorem="false", attempt=0, outcome=Class.PROVED, proof="sorry")
    with open(out / "results.jsonl", "ab") as file:
        file.write(msgspec.json.encode(forged) + b"\n")
    found = tool(1, "verify", out).out
    assert "REFUSED false" in found and "1 proofs refused" in found  # and the others are not
    alarm = tool(1, "report", out, "--labels", labels).err
    assert "CAN'T BE TRUSTED" in alarm and "false" in alarm


def test_mistakes_end_in_a_sentence_and_exit_code_2(tool, tmp_path, benchmark):
    out = tmp_path / "out"
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    for arguments, message in (
        (("--benchmark", tmp_path / "none.jsonl", "--out", out), "No such file"),
        (("--benchmark", empty, "--out", out), "empty"),
        (("--benchmark", benchmark, "--out", out, "--policy", "oracle"), "no policy 'oracle'"),
        (("--benchmark", benchmark, "--out", out, "--attempts", "0"), "attempts must be"),
        (("--benchmark", benchmark, "--out", out, "--simulations", "0"), "simulations must be"),
        (("--benchmark", benchmark, "--out", out, "--searches", "0"), "at least 1"),
        (("--benchmark", benchmark, "--out", out, "--split", "test"), "no theorem of the split"),
        (
            ("--benchmark", benchmark, "--out", out, "--set", "lean.proceses=2"),
            "did you mean processes",
        ),
        (("compare", out, out), "holds no evaluation"),
        (("report", out), "holds no evaluation"),
        (("verify", out), "holds no evaluation"),
    ):
        written = tool(2, *arguments)
        assert message in written.err and written.out == ""


def test_the_registry_is_printed(tool):
    shown = tool(0, "registry").out
    assert "PutnamBench" in shown and "mathd_numbertheory_618" in shown
