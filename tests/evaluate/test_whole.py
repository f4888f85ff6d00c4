"""Whole proofs on a benchmark: cut, judged, counted, resumed. A scripted writer, then a real network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_evaluation import benchmark

from leanfleet.config import LeanConfig
from leanfleet.evaluate.results import Class, last_rows, read_rows
from leanfleet.evaluate.session import evaluate, write_reports
from leanfleet.evaluate.settings import Settings
from leanfleet.messages import NoPrompt, NoPromptKind, Sampled, Written
from leanfleet.policy import PolicyUnavailable
from leanfleet.progress import Silent
from leanfleet.roles.lean import local_server

SETTINGS = Settings(policy="a folder", mode="whole", attempts=12, simulations=1, longest=50, seed=3)


class Writer:
    """Writes like a model: by the theorem's name and the seed alone."""

    def __init__(self, fail_after: int | None = None, fenced: bool = False):
        self.asked: list[tuple[str, int]] = []
        self.fail_after, self.fenced = fail_after, fenced

    async def __call__(self, message):
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise PolicyUnavailable("gone")
        theorem = message.theorem
        self.asked.append((theorem.name, message.seed))
        number = int(theorem.name[1:])
        if number % 6 == 5:
            return NoPrompt(NoPromptKind.TOO_LONG, "too long", 0, 99, 50)
        proofs = [
            "  exact h\n```\nand more",
            "  exact no_such\n",
            None,
            "  exact h",
            "",
        ]
        if self.fenced:
            proofs = [
                p and f"So:\n```lean4\n{theorem.statement} := by\n{p.split('```')[0]}\n```"
                for p in proofs
            ]
        samples = tuple(Sampled(text, 10 + i, -1.0) for i, text in enumerate(proofs))
        return Written(samples, 3, 50, self.fenced, 4)


async def run(folder: Path, writer: Writer, settings: Settings = SETTINGS, count: int = 6):
    await evaluate(
        lambda: local_server(LeanConfig(driver="fake", processes=1)),
        benchmark(count),
        settings,
        folder,
        Silent(),
        searches=2,
        ask=writer,
    )
    return {(row.theorem, row.attempt): row for row in last_rows(read_rows(folder)).values()}


@pytest.mark.parametrize("fenced", [False, True])
async def test_each_sample_is_an_attempt_with_a_verdict(tmp_path, fenced):
    rows = await run(tmp_path, Writer(fenced=fenced))
    assert len(rows) == 6 * 12
    # a block draws eight samples: five that ended, three that were cut
    first = [rows["t0", attempt] for attempt in range(12)]
    assert [row.outcome is Class.PROVED for row in first] == [
        *(True, False, False, True, False, False, False, False),
        *(True, False, False, True),
    ]
    assert first[0].proof == "exact h" and first[0].model_tokens == 10
    assert first[2].message == "the tokens spell no text"
    assert "no closed" in first[4].message or "nothing stands" in first[4].message or fenced
    assert first[5].message == "not ended within 50 tokens" and first[5].model_tokens == 50
    assert all(rows["t4", attempt].outcome is Class.NOT_PROVED for attempt in range(12))
    long = rows["t5", 0]
    assert long.outcome is Class.NOT_PROVED and long.without_network == 1
    assert long.message == "not asked: too long" and long.model_tokens == 0
    summary = write_reports(tmp_path)
    assert summary["complete"] and summary["settings"]["mode"] == "whole"
    assert summary["pass_at"]["1"]["value"] == pytest.approx(4 / 12 / 6)
    assert summary["pass_at"]["12"]["value"] == pytest.approx(1 / 6)
    assert summary["cost"]["model_tokens"]["total"] == sum(r.model_tokens for r in rows.values())
    assert summary["counts"]["without_network"] == 12
    page = (tmp_path / "report.html").read_text()
    assert "whole proofs of at most\n50 tokens" in page and "12\nattempts were beyond" in page
    proof = (tmp_path / "proofs" / "t0.0.lean").read_text()
    assert "exact h" in proof and "```" not in proof


async def test_a_stopped_evaluation_goes_on_with_the_same_texts(tmp_path):
    whole = await run(tmp_path / "whole", Writer())
    writer = Writer(fail_after=4)
    with pytest.raises(PolicyUnavailable):
        await run(tmp_path / "cut", writer)
    there = read_rows(tmp_path / "cut")
    assert 0 < len(there) < 72
    # and inside a block: its last rows are lost
    path = tmp_path / "cut" / "results.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    again = Writer()
    found = await run(tmp_path / "cut", again)
    assert {key: _told(row) for key, row in found.items()} == {
        key: _told(row) for key, row in whole.items()
    }
    assert len(again.asked) < 12, "blocks that are judged are not drawn again"
    calls = len(again.asked)
    assert await run(tmp_path / "cut", again) == found and len(again.asked) == calls


def _told(row):
    return row.outcome, row.proof, row.message, row.model_tokens


async def test_seeds_differ_by_theorem_and_block_and_are_the_same_in_every_run(tmp_path):
    first, second = Writer(), Writer()
    await run(tmp_path / "a", first)
    await run(tmp_path / "b", second)
    assert sorted(first.asked) == sorted(second.asked)
    assert len({seed for _, seed in first.asked}) == len(first.asked) == 12


async def test_results_of_other_weights_are_not_gone_on_with(tmp_path):
    import msgspec

    await run(tmp_path, Writer(), count=1)
    other = msgspec.structs.replace(SETTINGS, weights="another hash")
    with pytest.raises(ValueError, match="weights was '', now 'another hash'"):
        await run(tmp_path, Writer(), other, count=1)


async def test_without_a_network_there_are_no_whole_proofs(tmp_path):
    with pytest.raises(ValueError, match="written by a network"):
        await run(tmp_path, None)


# --- from the command line, on the real Lean --------------------------------------------------------

ROWS = [
    {"name": "swap", "formal_statement": "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p := by\n"},
    {"name": "no_reals", "formal_statement": "theorem no_reals (x : ℝ) : x = x := sorry"},
]
PROMPT = """\
name: small
writes: proof
answer: continues
prompt:
  - field: header
  - field: statement
  - text: " := by\\n"
"""


@pytest.fixture
def small_weights(tmp_path):
    """A random network that has learned nothing: what it writes is noise, and ends."""
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "policies"))
    from networks import save_weights

    from leanfleet.model.corpora import corpus_files, corpus_texts
    from leanfleet.model.tokenizer_train import train_tokenizer

    root = Path(__file__).resolve().parent.parent
    texts = list(corpus_texts(corpus_files([root / "lean" / "honest"])))
    folder = save_weights(tmp_path / "weights", train_tokenizer(texts, 600))
    (folder / "prompt.yaml").write_text(PROMPT)
    return folder


@pytest.mark.needs("registry_lean")
def test_a_random_network_on_the_real_lean(tmp_path, small_weights, root, monkeypatch, capfd):
    monkeypatch.syspath_prepend(str(root / "tools"))
    import evaluate_minif2f

    bench, out = tmp_path / "bench.jsonl", tmp_path / "out"
    bench.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS))
    command = ["--benchmark", str(bench), "--out", str(out), "--policy", str(small_weights)]
    command += ["--set", "lean.driver=registry", "--set", "lean.processes=1", "--attempts", "6"]
    assert evaluate_minif2f.main(command) == 2  # it writes proofs, not tactics
    assert "writes a proof at a time" in capfd.readouterr().err
    whole = [*command, "--mode", "whole", "--max-tokens", "16", "--temperature", "0.9"]
    assert evaluate_minif2f.main(whole) == 0
    shown = capfd.readouterr().out
    assert "solved 0 of 1" in shown and "tokens drawn" in shown and "pass@6: 0.0%" in shown
    rows = read_rows(out)
    assert {row.theorem: row.outcome for row in rows} == {
        "swap": Class.NOT_PROVED,
        "no_reals": Class.NOT_ELABORATED,
    }
    swap = [row for row in rows if row.theorem == "swap"]
    assert len(swap) == 6 and all(0 < row.model_tokens <= 16 for row in swap)
    assert any(row.lean_seconds > 0 for row in swap), "some of it was put before the verifier"
    settings = json.loads((out / "summary.json").read_text())["settings"]
    assert len(settings["weights"]) == 16 and settings["prompt"] == "small"
    assert settings["temperature"] == 0.9 and settings["longest"] == 16
    before = (out / "results.jsonl").read_bytes()
    assert evaluate_minif2f.main(whole) == 0
    assert (out / "results.jsonl").read_bytes() == before
    assert evaluate_minif2f.main([*command[:4], "--mode", "whole"]) == 2
    assert "the menu writes no proofs" in capfd.readouterr().err
