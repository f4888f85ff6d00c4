"""DPO: pairs as samples, the loss by the plainest means, and a training that goes on as it was."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from small_training import drawn_transitions
from test_training import command, of, steps, train, wait_for_step
from torch.nn import functional

from leanfleet.config import ConfigError, parse
from leanfleet.model.config import ModelConfig
from leanfleet.model.initialise import new_network
from leanfleet.policies.format import OURS, Prompter
from leanfleet.train import identity, reference
from leanfleet.train.batches import make_batch, shares
from leanfleet.train.config import TrainConfig
from leanfleet.train.losses import Learner, Weights, objective
from leanfleet.train.packing import in_order
from leanfleet.train.ranks import Ranks
from leanfleet.train.record import NAME, lines
from leanfleet.train.samples import PAIR, SAID, Extras, transition_samples
from leanfleet.train.transitions import write_shard

ROOM, BETA = 160, 0.3
REJECTED = ("simp", "omega", "constructor", "intro h")


def transitions(count: int) -> list:
    return [
        msgspec.structs.replace(row, rejected=REJECTED[number % 5 :])
        for number, row in enumerate(drawn_transitions(count))
    ]


def network(seed: int, **changes):
    shape = {"name": "t", "layers": 2, "width": 32, "heads": 2, "inner_width": 64}
    return new_network(ModelConfig(vocabulary=600, context=ROOM, **shape, **changes), seed)


@pytest.fixture(scope="module")
def samples(tokenizer):
    extras = Extras(after=True, rejected=1, pairs=2)
    return transition_samples(transitions(15), Prompter(OURS, tokenizer), ROOM, extras=extras)


def test_a_pair_is_both_tactics_behind_the_state(tokenizer):
    row = msgspec.structs.replace(transitions(1)[0], tactic="omega")
    prompter = Prompter(OURS, tokenizer)
    found = transition_samples([row], prompter, 128, extras=Extras(pairs=3))
    assert found.kind.tolist() == [SAID, PAIR, PAIR]  # its own tactic is none to be preferred to
    prompt, (_, second) = found.first_target[0], found.spans(1)
    alone, pair = found.ids(0).tolist(), found.ids(1).tolist()
    end = tokenizer.roles.end
    assert pair == alone + alone[:prompt] + [*tokenizer.encode("simp"), end]
    assert second == (len(alone), len(pair)) and found.spans(0) == [(0, len(alone))]
    assert sorted(found.part_lengths(np.array([0, 1]))) == sorted(
        [len(alone), len(alone), len(pair) - len(alone)]
    )
    assert found.counts(np.arange(3)).pairs == 2 and found.counts(np.arange(3)).said == len(
        alone
    ) - int(prompt)
    assert found.pairs.tolist() == [1, 2]
    few = transition_samples([row], prompter, len(pair) - 1, extras=Extras(pairs=1))
    assert few.kind is None and len(few) == 1  # a pair that does not fit is left out


def alone(network, samples, index: int) -> torch.Tensor:
    """log π(first) − log π(second), each in a row of its own."""
    found = []
    for start, stop in samples.spans(index):
        ids = torch.tensor(samples.ids(index)[start:stop].astype("int64"))[None]
        first = int(samples.first_target[index])
        logits = network(ids, prompt=torch.arange(ids.shape[1])[None] < first).logits[0]
        log_p = functional.log_softmax(logits[first - 1 : -1], -1)
        found.append(log_p.gather(1, ids[0, first:, None]).sum())
    return found[0] - found[1]


@pytest.mark.parametrize("shape", [{}, {"prefix_lm": True}])
def test_the_loss_is_that_of_the_paper_pair_by_pair(samples, shape):
    """Rafailov et al. 2023, eq. 7, with one forward pass for each tactic; and its gradient."""
    ours, theirs = network(1, **shape), network(2, **shape)
    ranks = [Ranks(rank, 2, torch.device("cpu")) for rank in range(2)]
    parts = [reference._measured(samples, theirs, ROOM, 3, each) for each in ranks]
    referred = replace(samples, reference=(parts[0] + parts[1]).numpy().astype(np.float32))
    with torch.no_grad():
        before = torch.stack([alone(theirs, samples, int(index)) for index in samples.pairs])
    assert referred.reference[samples.pairs] == pytest.approx(before.numpy(), rel=1e-3, abs=1e-4)
    assert (np.delete(referred.reference, samples.pairs) == 0).all()

    now = torch.stack([alone(ours, samples, int(index)) for index in samples.pairs])
    margin = BETA * (now - before)
    loss = -torch.log(1 / (1 + torch.exp(-margin)))
    loss.mean().backward()
    expected = torch.cat([weight.grad.flatten() for weight in weights(ours)])

    rows = in_order(samples.lengths, ROOM)
    counts = samples.counts(np.arange(len(samples)))
    assert counts.pairs == len(samples.pairs) > 10
    learner = Learner(ours, BETA)
    for world, micro_rows in ((1, None), (3, 2)):
        ours.zero_grad()
        total = torch.zeros(2)
        for rank in range(world):
            for part in shares(rows, rank, world, micro_rows):
                sums = learner(make_batch(referred, part, ROOM))
                total += torch.stack([sums.preference, sums.margin]).detach()
                only = Weights(0.0, preference=1.0)
                none = sums._replace(tokens=0.0 * sums.tokens)
                (objective(none, counts, only, world) / world).backward()
        assert total.tolist() == pytest.approx(
            [float(loss.detach().sum()), float(margin.detach().sum())], rel=1e-3
        )
        found = torch.cat([weight.grad.flatten() for weight in weights(ours)])
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def weights(network):
    """Those that pairs teach: the value head learns nothing."""
    return [weight for name, weight in network.named_parameters() if "value" not in name]


def test_what_is_learned_besides_is_the_same_with_pairs_and_without(tokenizer, samples):
    learner = Learner(network(1))
    plain = transition_samples(
        transitions(15), Prompter(OURS, tokenizer), ROOM, extras=Extras(after=True, rejected=1)
    )
    with torch.no_grad():
        sums, without = (
            learner(make_batch(each, in_order(each.lengths, ROOM), ROOM))
            for each in (samples, plain)
        )
    for name in ("tokens", "values", "after", "rejected"):
        assert float(getattr(sums, name)) == pytest.approx(float(getattr(without, name)), rel=1e-4)


def test_the_reference_is_found_out_once(samples, tmp_path):
    ranks, path = Ranks(0, 1, torch.device("cpu")), tmp_path / "stage" / reference.FILE

    def find(seed: int, of: str) -> np.ndarray:
        arguments = (samples, network(seed), ROOM, 4, ranks, path, of)
        return reference.with_reference(*arguments).reference

    first = find(2, "a")
    assert (find(3, "a") == first).all()  # read, not found out again
    other = find(3, "b")  # of other weights
    assert not np.allclose(other, first)
    path.write_bytes(path.read_bytes()[:-5])
    assert (find(3, "b") == other).all()  # damaged: found out again


# --- a training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config(make_config, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "a.parquet"
    write_shard(path, transitions(120))
    stage = {"data": [str(path)], "steps": 60, "save_every": 20, "dpo_weight": 1.0, "dpo_beta": 0.2}
    return make_config([stage])


def of_pairs(folder: Path) -> list[tuple[float, float]]:
    found = [line for line in lines(folder / "tactics" / NAME) if line["kind"] == "step"]
    return [(line["dpo_loss"], line["dpo_margin"]) for line in found]


def test_margins_grow_and_a_run_that_goes_on_has_the_same(config, tmp_path):
    assert train(config, tmp_path / "whole")
    whole = of_pairs(tmp_path / "whole")
    loss, margin = whole[0]
    assert loss == pytest.approx(np.log(2), abs=1e-3) and margin == pytest.approx(0, abs=1e-3)
    assert np.mean(whole[-5:], axis=0)[1] > 0.5 and np.mean(whole[-5:], axis=0)[0] < 0.5

    folder = tmp_path / "half"
    process = command(config, folder)
    wait_for_step(folder, 10)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert 10 <= of(folder).position.step < 60
    kept = folder / "tactics" / reference.FILE
    os.utime(kept, (1, 1))
    assert train(config, folder)
    assert kept.stat().st_mtime == 1  # not found out again by weights that have learned
    assert of_pairs(folder) == whole and steps(folder) == steps(tmp_path / "whole")


def test_mistakes(make_config, shard, tmp_path):
    from leanfleet.train.chain import begin
    from leanfleet.train.data import stage_data

    config = make_config([{"dpo_weight": 1.0}])  # of a shard that has no rejected tactics
    begun = begin(config, None)
    model, stage = begun.network.config, config.stages[0]
    with pytest.raises(ValueError, match="dpo_weight is set, and .* has no row with a rejected"):
        stage_data(stage, model, begun.tokenizer, begun.prompter, 0)
    text = "name: x\nstart: w\nstages: [{name: a, kind: pretrain, data: [d], steps: 1, dpo_weight: 1.0}]"
    with pytest.raises(ConfigError, match="dpo_weight needs tactics: only sft"):
        parse(TrainConfig, text, "x")


def test_a_stage_without_it_is_what_it_was_before_there_was_any(make_config):
    def configured(**changes) -> dict:
        config = make_config([changes])
        return identity.configured(config, config.stages[0])

    assert not [name for name in configured() if "dpo" in name]
    assert configured(dpo_beta=0.5) == configured()
    assert configured(dpo_weight=1.0)["stage.dpo_beta"] == 0.1
    assert "stage.rejected_tactics" in configured(dpo_weight=1.0)
