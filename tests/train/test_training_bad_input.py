"""What is wrong is said before a step is made, with the place and what to do. One process, no ranks."""

from __future__ import annotations

import shutil

import msgspec
import pytest
import torch
from small_training import HONEST, drawn_transitions

from leanfleet.model.config import ModelConfig
from leanfleet.model.tokenizer import WrongTokenizer
from leanfleet.model.tokenizer_train import train_tokenizer
from leanfleet.progress import Silent
from leanfleet.train import checkpoints, launch
from leanfleet.train.chain import Run, begin, train
from leanfleet.train.ranks import Ranks
from leanfleet.train.transitions import Transition, write_shard


@pytest.fixture
def start(tmp_path):
    """Trains in this process as far as the mistake."""

    def run(config, **options):
        ranks = Ranks(0, 1, torch.device("cpu"))
        return train(Run(config, tmp_path / "run"), ranks, **options)

    return run


@pytest.fixture
def checkpointed(make_config, tmp_path):
    """As if the run had been at step 7. Its weights are never looked at."""
    from leanfleet.train import identity
    from leanfleet.train.data import stage_data

    config = make_config()
    begun = begin(config, None)
    data = stage_data(config.stages[0], config.model, begun.tokenizer, begun.prompter, config.seed)
    folder = tmp_path / "run" / "tactics" / "checkpoints"
    (folder / checkpoints.WRITING).mkdir(parents=True)
    (folder / checkpoints.WRITING / "state.pt").write_bytes(b"weights")
    now = identity.identity(
        config,
        config.stages[0],
        config.model,
        begun.tokenizer.hash,
        data=data.train.fingerprint,
        start="fresh",
    )
    position = checkpoints.Position(
        step=7, world=1, zero_stage=0, tokenizer=begun.tokenizer.hash, identity=now
    )
    return checkpoints.finish(folder, position)


def test_another_tokenizer_is_refused_and_both_are_named(
    start, checkpointed, make_config, tokenizer, tmp_path
):
    other = train_tokenizer(["theorem other : True := trivial"] * 9, 580)
    (tmp_path / "tokenizer.json").write_bytes(other.json())
    with pytest.raises(WrongTokenizer, match=tokenizer.hash) as caught:
        start(make_config(tokenizer=str(tmp_path)), fork=True)
    assert other.hash in str(caught.value)


def test_weights_and_another_tokenizer_are_refused_at_the_start(make_config, tokenizer, tmp_path):
    from leanfleet.model.checkpoint import Checkpoint, save
    from leanfleet.model.initialise import new_network

    save(Checkpoint(new_network(make_config().model, 1), tokenizer), tmp_path / "weights")
    other = train_tokenizer(["theorem other : True := trivial"] * 9, 580)
    (tmp_path / "tokenizer.json").write_bytes(other.json())
    config = make_config(model=None, start=str(tmp_path / "weights"), tokenizer=str(tmp_path))
    with pytest.raises(WrongTokenizer) as caught:
        begin(config, None)
    assert tokenizer.hash in str(caught.value) and other.hash in str(caught.value)
    assert begin(make_config(model=None, start=str(tmp_path / "weights"), tokenizer=None), None)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"stages": [{"learning_rate": 0.5}]}, "stage.learning_rate: 0.003 → 0.5"),
        ({"stages": [{"batch_rows": 4}]}, "stage.batch_rows: 6 → 4"),
        ({"seed": 6}, "seed: 5 → 6"),
        ({"deepspeed": {"zero_stage": 1}}, "deepspeed.zero_stage: 0 → 1"),
    ],
)
def test_a_changed_configuration_is_shown_and_refused(
    start, checkpointed, make_config, changes, said
):
    with pytest.raises(ValueError, match="not the one it was trained with") as caught:
        start(make_config(**changes))
    assert said in str(caught.value) and str(checkpointed) in str(caught.value)


def test_changed_data_are_a_changed_configuration(start, checkpointed, make_config, tmp_path):
    write_shard(tmp_path / "b.parquet", drawn_transitions(100, seed=9))
    with pytest.raises(ValueError, match=r"data: \w+ → \w+"):
        start(make_config([{"data": [str(tmp_path / "b.parquet")]}]))


def test_the_same_data_elsewhere_are_the_same(checkpointed, make_config, shard, tmp_path):
    from leanfleet.train.data import stage_data

    moved = shutil.copy(shard, tmp_path / "moved.parquet")
    found = []
    for path in (shard, moved):
        config = make_config([{"data": [str(path)]}])
        begun = begin(config, None)
        data = stage_data(config.stages[0], config.model, begun.tokenizer, begun.prompter, 5)
        found.append(data.train.fingerprint)
    assert found[0] == found[1]


def test_a_cut_off_checkpoint_is_named(start, checkpointed, make_config):
    (checkpointed / "state.pt").write_bytes(b"weig")
    with pytest.raises(ValueError, match=r"damaged checkpoint.*state\.pt.*begin the stage anew"):
        start(make_config())


@pytest.mark.parametrize("damage", ["cut", "text", "columns"])
def test_a_damaged_shard_is_named(start, make_config, shard, tmp_path, damage):
    path = tmp_path / "bad.parquet"
    whole = shard.read_bytes()
    path.write_bytes(
        {"cut": whole[: len(whole) // 2], "text": b"no parquet", "columns": b""}[damage]
    )
    if damage == "columns":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"state": ["x"]}), path)
    with pytest.raises(ValueError, match=r"bad\.parquet"):
        start(make_config([{"data": [str(path)]}]))


def test_an_empty_data_set_is_told(start, make_config, tmp_path):
    write_shard(tmp_path / "empty.parquet", [])
    with pytest.raises(ValueError, match="stage tactics: no sample in .*the data set is empty"):
        start(make_config([{"data": [str(tmp_path / "empty.parquet")]}]))


def test_data_of_which_nothing_fits_are_told_with_the_reason(start, make_config, tmp_path):
    row = Transition(theorem="huge", state="⊢ " + "p ∨ " * 900 + "p", tactic="trivial", value=-1.0)
    write_shard(tmp_path / "a.parquet", [row])
    with pytest.raises(ValueError, match="no sample .* fits a row of 128.*huge"):
        start(make_config([{"data": [str(tmp_path / "a.parquet")], "valid_share": 0}]))


def test_rows_longer_than_the_context_are_refused(start, make_config):
    with pytest.raises(ValueError, match=r"rows of 256 tokens \(row_tokens\) in a context of 128"):
        start(make_config([{"row_tokens": 256}]))


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(start, make_config):
    small = make_config().model.model_copy(update={"vocabulary": 100})
    with pytest.raises(ValueError, match="600 tokens; the network has a vocabulary of 100"):
        start(make_config(model=ModelConfig(**small.model_dump())))


def test_sft_alone_needs_what_comes_before_it(start, make_config):
    config = make_config([{"name": "texts", "kind": "pretrain", "data": [str(HONEST)]}, {}])
    with pytest.raises(ValueError, match="begins with the weights of texts, which is not done"):
        start(config, kinds=("sft",))


def test_left_out_samples_are_listed_in_the_run_folder(
    start, checkpointed, make_config, shard, tmp_path
):
    row = Transition(theorem="huge", state="⊢ " + "p ∨ " * 900 + "p", tactic="trivial", value=-1.0)
    write_shard(tmp_path / "more.parquet", [row])
    config = make_config([{"data": [str(shard), str(tmp_path / "more.parquet")], "clip": 0.5}])
    with pytest.raises(ValueError, match="clip"):  # the list is there before the first step
        start(config)
    listed = (tmp_path / "run" / "tactics" / "skipped.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["name"] for line in listed] == ["huge"]


def test_two_trainings_do_not_share_a_folder(make_config, tmp_path):
    import fcntl

    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another training is at work here"):
            launch.train(make_config(), tmp_path / "run", 1, Silent())


def test_a_folder_that_can_not_be_made_is_told(make_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file"):
        launch.train(make_config(), tmp_path / "file" / "run", 1, Silent())


def test_ranks_without_their_variables_say_what_to_do(monkeypatch):
    from leanfleet.train.ranks import VARIABLES, join

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(
        ValueError, match="LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT not set"
    ):
        join(1)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"RANK": "two"}, "RANK=two.*whole numbers"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE=-2.*whole numbers"),
        ({"RANK": "4"}, "RANK=4.*counts from 0 to WORLD_SIZE - 1"),
        ({"LOCAL_RANK": "3"}, "LOCAL_RANK the same on a node"),
        ({"MASTER_PORT": "65536"}, "MASTER_PORT is a port"),
    ],
)
def test_variables_of_ranks_that_can_not_be(changes, said):
    from leanfleet.train.ranks import who

    fine = {"RANK": "2", "LOCAL_RANK": "0", "WORLD_SIZE": "4"}
    fine |= {"MASTER_ADDR": "node1", "MASTER_PORT": "4711"}
    assert who(fine) == (2, 0, 4)
    with pytest.raises(ValueError, match=said):
        who(fine | changes)


def test_ranks_that_outnumber_the_gpus_of_their_node():
    from leanfleet.train.ranks import _gpu

    assert [_gpu(local, 4) for local in range(4)] == [0, 1, 2, 3]
    assert _gpu(3, 1) == 0  # each was given its own
    with pytest.raises(ValueError, match="rank 2 of this node .* sees 2 GPUs"):
        _gpu(2, 2)


def test_checkpoints_that_a_node_does_not_see(checkpointed):
    folder = checkpointed.parent
    assert checkpoints.of_step(folder, 7) == checkpoints.latest(folder)
    with pytest.raises(
        ValueError, match="step-00000008: the first rank sees it, this one does not"
    ):
        checkpoints.of_step(folder, 8, seconds=0.0)


def test_a_checkpoint_needs_the_parts_of_all_ranks(checkpointed):
    folder = checkpointed.parent
    reached = msgspec.structs.replace(
        checkpoints.position(checkpointed), step=8, world=2, zero_stage=1
    )
    writing = folder / checkpoints.WRITING
    writing.mkdir()
    (writing / "zero_pp_rank_0_mp_rank_00_optim_states.pt").write_bytes(b"a")
    with pytest.raises(ValueError, match="has the parts of 1 of 2 ranks"):
        checkpoints.finish(folder, reached, seconds=0.0)
    (writing / "zero_pp_rank_1_mp_rank_00_optim_states.pt").write_bytes(b"b")
    assert checkpoints.finish(folder, reached, seconds=0.0).name == "step-00000008"
