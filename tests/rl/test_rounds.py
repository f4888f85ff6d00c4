"""Rounds on disk, their rows, and the weights that are kept. No ranks, no torch."""

from __future__ import annotations

import shutil

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanfleet.model import folder as weights
from leanfleet.model.tokenizer_train import smallest_vocabulary, train_tokenizer
from leanfleet.policies.format import OURS, Prompter
from leanfleet.policies.versions import versions
from leanfleet.rl import published
from leanfleet.rl.config import RunConfig
from leanfleet.rl.replay import Replay, Shard
from leanfleet.rl.rounds import FILE, Cut, Round, Rounds, Supply
from leanfleet.train.transitions import Transition


def begun(number: int, first: int, steps: int = 5) -> Round:
    return Round(number, first, steps, (Shard(f"{number}.parquet", 9, number),))


# --- the file ------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 9), st.none() | st.integers(1, 9)), min_size=1))
@settings(max_examples=30, deadline=None)
def test_every_step_is_in_one_round(tmp_path_factory, plan):
    """Whatever is cut short; and as much is known to whoever reads the file afterwards."""
    folder = tmp_path_factory.mktemp("rounds")
    rounds, ends, step = Rounds(folder), [], 0
    for number, (length, cut) in enumerate(plan, start=1):
        rounds.append(begun(number, step, length))
        step += length
        if cut is not None and cut < length:
            step += cut - length
            rounds.append(Cut(number, step))
        ends.append(step)
    again = Rounds(folder)
    assert again.begun == rounds.begun
    for at in range(step + 1):
        assert again.completed(at) == sum(end <= at for end in ends)
    with pytest.raises(ValueError, match=f"ends at step {step}, the checkpoint is of {step + 1}"):
        again.completed(step + 1)
    assert [shard.name for shard in again.shards(len(plan))] == [
        f"{number}.parquet" for number in range(1, len(plan) + 1)
    ]


def test_a_line_that_was_cut_off_never_was(tmp_path):
    rounds = Rounds(tmp_path)
    rounds.append(begun(1, 0))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + b'{"type":"round","num')
    again = Rounds(tmp_path)
    assert again.begun == [begun(1, 0)]
    again.append(begun(2, 5))
    assert Rounds(tmp_path).begun == [begun(1, 0), begun(2, 5)]


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"type":"cut"}\n'])
def test_damage_is_named(tmp_path, line):
    (tmp_path / FILE).write_bytes(line)
    with pytest.raises(ValueError, match=rf"{FILE} is damaged"):
        Rounds(tmp_path)


# --- its rows ------------------------------------------------------------------------------------


def row(number: int, version: int = 0, state: str = "") -> Transition:
    return Transition(
        theorem=f"t{number}",
        state=state or f"a : Nat\n⊢ a + {number} = {number} + a",
        tactic="omega",
        value=-1.0,
        policy=f"version {version}",
        verdict=f"{number}",
    )


@pytest.fixture(scope="module")
def prompter() -> Prompter:
    return Prompter(OURS, train_tokenizer(["a : Nat\n⊢ a"] * 3, smallest_vocabulary()))


def config(**replay) -> RunConfig:
    learner = {"start": "weights", "batch_rows": 2, "valid_share": 0.2}
    return RunConfig.model_validate({"name": "t", "learner": learner, "replay": replay})


def supply(folder, prompter, room: int = 64, **replay) -> Supply:
    return Supply(folder, config(**replay), prompter, room)


def filled(folder, *parts: list[Transition]) -> list[Shard]:
    replay = Replay(folder, 1)
    for number, part in enumerate(parts, start=1):
        replay.add(number, part)
        replay.flush()
    return replay.shards


def test_a_round_has_the_same_rows_however_the_learner_got_there(tmp_path, prompter):
    shards = filled(tmp_path, [row(n) for n in range(50)], [row(n, 1) for n in range(50, 90)])
    first = supply(tmp_path, prompter)
    first.round(1, 0, 4, shards[:1])
    data, facts = first.round(2, 4, 4, shards)
    again, same = supply(tmp_path, prompter).round(2, 4, 4, shards)
    assert facts == same and 0 < facts.staleness < 1
    assert data.train.fingerprint == again.train.fingerprint
    assert data.valid.fingerprint == again.valid.fingerprint
    assert [data.order.batch(step) for step in (4, 7)] == [again.order.batch(s) for s in (4, 7)]
    other, _ = first.round(3, 4, 4, shards)
    assert other.train.fingerprint != data.train.fingerprint


def test_a_round_takes_as_many_rows_as_it_has_room_for(tmp_path, prompter):
    shards = filled(tmp_path, [row(n) for n in range(200)])
    few, facts = supply(tmp_path, prompter).round(1, 0, 4, shards)
    room = 4 * 2 * 64  # steps, rows of a batch, tokens of a row
    longest = int(few.train.lengths.max())
    assert room <= few.train.lengths.sum() < room + longest
    assert facts.drawn == len(few.train) < facts.window


def test_refused_tactics_are_samples_where_that_is_asked(tmp_path, prompter):
    refused = ("simp", "rfl", "ring")
    rows = [msgspec.structs.replace(row(n), rejected=refused) for n in range(50)]
    shards = filled(tmp_path, rows)
    plain, _ = supply(tmp_path, prompter).round(1, 0, 1000, shards)
    assert plain.train.kind is None
    learner = {"start": "weights", "batch_rows": 2, "valid_share": 0.2, "rejected_weight": 0.5}
    asked = RunConfig.model_validate({"name": "t", "learner": learner})
    data, facts = Supply(tmp_path, asked, prompter, 64).round(1, 0, 1000, shards)
    counts = data.train.counts(np.arange(len(data.train)))
    assert counts.rejected == 2 * facts.drawn == 2 * len(plain.train)  # rejected_tactics: 2
    assert data.valid.kind is None


def test_held_out_theorems_are_not_trained_on_and_stay_the_same(tmp_path, prompter):
    shards = filled(tmp_path, [row(n) for n in range(60)], [row(n, 1) for n in range(60, 99)])
    made = supply(tmp_path, prompter)
    first, _ = made.round(1, 0, 1000, shards[:1])
    second, facts = made.round(2, 1000, 1000, shards)
    assert facts.drawn == len(second.train) == facts.theorems
    assert len(first.train) + len(first.valid) == 60
    assert len(second.train) + len(second.valid) == 99
    held = [{bytes(data.valid.ids(i)) for i in range(len(data.valid))} for data in (first, second)]
    assert held[0] < held[1]


def test_supervised_rows_are_mixed_in(tmp_path, prompter):
    from leanfleet.train.transitions import write_shard

    path = tmp_path / "supervised.parquet"
    write_shard(path, [row(n) for n in range(100, 130)])
    shards = filled(tmp_path / "replay", [row(n) for n in range(100)])
    made = supply(tmp_path / "replay", prompter, supervised=[str(path)])
    _, facts = made.round(1, 0, 1000, shards)
    assert 0.08 < facts.supervised_share <= 0.1
    with pytest.raises(ValueError, match="nowhere"):
        supply(tmp_path, prompter, supervised=[str(tmp_path / "nowhere.parquet")])


def test_rows_that_are_all_too_old_are_no_round(tmp_path, prompter):
    shards = filled(tmp_path, [row(n) for n in range(9)])
    made = supply(tmp_path, prompter, staleness=2)
    assert made.round(4, 9, 1, shards) is None
    assert made.round(3, 9, 1, shards) is not None


def test_rows_of_which_none_fits_are_told_with_the_reason(tmp_path, prompter):
    shards = filled(tmp_path, [row(n, state="⊢ " + "p ∨ " * 90 + "p") for n in range(9)])
    with pytest.raises(ValueError, match=r"none of \d rows fits 64 tokens .*learner.row_tokens"):
        supply(tmp_path, prompter).round(1, 0, 1, shards)


# --- weights -------------------------------------------------------------------------------------


def publish(folder, version: int) -> None:
    path = published.path_of(folder, version)
    path.mkdir(parents=True)
    (path / "model").write_text(str(version))
    weights.write_manifest(path, ["model"])


def test_the_newest_the_best_and_the_first_weights_are_kept(tmp_path):
    for version in range(8):
        publish(tmp_path, version)
    (tmp_path / "best.json").write_text('{"version": 3, "solved": 5}')
    published.thin_out(tmp_path, keep=2)
    assert sorted(versions(tmp_path)) == [0, 3, 6, 7]
    (tmp_path / ".v9").mkdir()
    published.clean(tmp_path)
    assert not list(tmp_path.glob(".v*"))
    (tmp_path / "best.json").write_text("{")
    with pytest.raises(ValueError, match=r"best\.json"):
        published.thin_out(tmp_path, keep=2)


def test_a_run_begins_with_a_copy_that_was_checked(tmp_path):
    publish(tmp_path, 5)
    start = published.path_of(tmp_path, 5)
    published.begin_with(start, tmp_path / "run")
    weights.check_manifest(tmp_path / "run" / "v0")
    (start / "model").write_text("other")
    published.begin_with(start, tmp_path / "run")  # it is there: what happens to its source is past
    with pytest.raises(ValueError, match="cut off or replaced"):
        published.begin_with(start, tmp_path / "second")
    shutil.rmtree(start)
    with pytest.raises(ValueError, match=r"v5: no config\.json"):
        published.begin_with(start, tmp_path / "second")
