"""`leanfleet prove --policy FOLDER` and evaluations with a network, on the real Lean.

The networks are small and random: they prove nothing, and what matters is that everything that they
write is met with a typed result. One that was shown a proof by hand proves.
"""

from __future__ import annotations

import asyncio
import json

import pytest
import torch
from networks import rank, save_weights

from leanfleet.cli import main
from leanfleet.model.checkpoint import Checkpoint, save
from leanfleet.model.config import ModelConfig
from leanfleet.model.initialise import new_network

SMALL = ["--set", "policy.longest=12", "--set", "policy.device=cpu", "--set", "policy.lanes=8"]
REAL = [*SMALL, "--set", "lean.driver=registry", "--set", "lean.processes=1"]
STATEMENT = "theorem t (p : Prop) (h : p) : p"


def one_trick(folder, tokenizer, tactic):
    """Weights that say one tactic of every state: each token calls up the next one.

    The embedding of a token is a unit vector; blocks add nothing; the head maps it to its successor.
    """
    ids = [*tokenizer.encode(tactic), tokenizer.roles.end]
    assert len(set(ids)) == len(ids)
    chain = [tokenizer.roles.tactic, *ids]
    shape = {"name": "trick", "layers": 1, "width": 32, "heads": 2, "inner_width": 8}
    config = ModelConfig(**shape, vocabulary=tokenizer.size, context=160, tied_embeddings=False)
    network = new_network(config, 1)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.zero_()
        for place, (token, following) in enumerate(zip(chain, chain[1:], strict=False)):
            network.embedding.weight[token, place] = 1.0
            network.head.weight[following, place] = 10.0
    save(Checkpoint(network, tokenizer), folder)
    return folder


@pytest.mark.needs("registry_lean")
def test_a_random_network_gives_a_typed_result(capsys, weights, tmp_path):
    page = tmp_path / "tree.html"
    command = ["prove", STATEMENT, "--policy", str(weights), "--simulations", "4", *REAL]
    assert main([*command, "--no-disprove", "--json", "--tree", str(page)]) == 1
    row = json.loads(capsys.readouterr().out)
    assert row["outcome"] in ("not_proved", "exhausted") and row["statistics"]["simulations"] >= 1
    assert row["statistics"]["machine_errors"] == 0 and page.stat().st_size > 1000


@pytest.mark.needs("registry_lean")
def test_a_network_that_knows_the_tactic_proves_and_its_negation_side_is_asked_too(
    capsys, tokenizer, tmp_path
):
    folder = one_trick(tmp_path / "v1", tokenizer, "exact h")
    assert main(["prove", STATEMENT, "--policy", str(folder), *REAL]) == 0
    assert capsys.readouterr().out.strip() == f"{STATEMENT} := by\n  exact h"
    # a state that does not fit: the menu's answer, not the network's
    long = "theorem t (p : Prop) (h : p) : p ∨ " + " ∨ ".join(["p = True"] * 40)
    assert main(["prove", long, "--policy", str(folder), *REAL, "--no-disprove"]) == 0
    assert capsys.readouterr().out.split(":= by\n  ")[1].strip() != "exact h"


@pytest.mark.needs("registry_lean")
async def test_a_run_with_policy_servers_is_asked(capsys, tokenizer, tmp_path):
    folder = one_trick(tmp_path / "weights", tokenizer, "exact h")
    command = ["prove", STATEMENT, "--policy", str(tmp_path), *REAL]
    async with rank(tmp_path, folder):
        assert await asyncio.to_thread(main, command) == 0
        assert capsys.readouterr().out.strip() == f"{STATEMENT} := by\n  exact h"


@pytest.mark.needs("registry_lean")
def test_an_evaluation_with_a_network_counts_tokens(capfd, tokenizer, tmp_path, root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "tools"))
    import evaluate_minif2f

    folder = one_trick(tmp_path / "weights", tokenizer, "exact h")
    bench, out = tmp_path / "bench.jsonl", tmp_path / "out"
    rows = [{"name": "t", "statement": STATEMENT}, {"name": "f", "statement": "theorem f : 1 = 2"}]
    bench.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["--benchmark", str(bench), "--out", str(out), "--policy", str(folder), *REAL]
    command += ["--simulations", "3", "--attempts", "2"]
    assert evaluate_minif2f.main(command) == 0
    assert "solved 1 of 2" in capfd.readouterr().out
    found = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert {(row["theorem"], row["outcome"]) for row in found} >= {("t", "proved")}
    assert all(row["model_tokens"] > 0 for row in found)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["noise"] == 0.0, "samples differ by their seeds"
    # other weights in the same folder: not a continuation
    save_weights(tmp_path / "other", tokenizer)
    command[command.index(str(folder))] = str(tmp_path / "other")
    assert evaluate_minif2f.main(command) == 2
    assert "weights was" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("no-such-folder", "there is no policy 'no-such-folder'. There is: menu"),
        ("{empty}", "neither weights (config.json) nor complete versions"),
        ("{damaged}", "cut off or replaced"),
        ("{run}", "keys"),
    ],
)
def test_what_is_no_policy_is_said_before_lean_starts(capsys, policy, words, tokenizer, tmp_path):
    folders = {name: tmp_path / name for name in ("empty", "damaged", "run")}
    folders["empty"].mkdir()
    (folders["run"] / "endpoints").mkdir(parents=True)
    data = save_weights(folders["damaged"], tokenizer) / "model.safetensors"
    data.write_bytes(data.read_bytes()[:-1])
    command = ["prove", STATEMENT, "--policy", policy.format(**folders), *SMALL]
    assert main([*command, "--set", "lean.driver=fake"]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


def test_a_whole_proof_model_is_no_policy_of_a_search(capsys, tokenizer, tmp_path):
    folder = save_weights(tmp_path / "weights", tokenizer)
    (folder / "prompt.yaml").write_text(
        "name: x\nwrites: proof\nanswer: continues\nprompt: [{field: statement}]\n"
    )
    command = ["prove", STATEMENT, "--policy", str(folder), "--set", "lean.driver=fake", *SMALL]
    assert main(command) == 2
    assert "--mode whole" in capsys.readouterr().err
