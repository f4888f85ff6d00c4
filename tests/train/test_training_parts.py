"""Rates, identities, checkpoints, records and plots, without DeepSpeed."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

import pytest
from small_training import STAGE

from leanfleet.config import ConfigError, dump_config, parse
from leanfleet.model import folder as files
from leanfleet.train import calibration, checkpoints, identity, record
from leanfleet.train.checkpoints import Position
from leanfleet.train.config import StageConfig, TrainConfig
from leanfleet.train.optimiser import learning_rate


def stage(**changes) -> StageConfig:
    return StageConfig(**(STAGE | {"name": "s", "kind": "sft", "data": ("x",)} | changes))


# --- the rate -------------------------------------------------------------------------------------


def test_the_rate_rises_to_its_highest_and_falls_to_its_final_share():
    one = stage(learning_rate=1.0, warmup=0.1, final=0.2)
    rates = [learning_rate(one, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1.0 and rates[99] == pytest.approx(0.2)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_schedules_differ_on_the_way():
    middle = {
        kind: learning_rate(stage(schedule=kind, warmup=0.0, final=0.0, learning_rate=1.0), 25, 101)
        for kind in ("cosine", "linear", "constant")
    }
    assert middle["linear"] == pytest.approx(0.75)
    assert middle["cosine"] == pytest.approx((1 + 0.5**0.5) / 2)
    assert middle["constant"] == 1.0


# --- configurations -------------------------------------------------------------------------------

TEXT = """
name: x
tokenizer: t
model: {name: m, layers: 1, width: 8, heads: 1, inner_width: 8, vocabulary: 300, context: 16}
stages: [{name: a, kind: sft, data: [d], steps: 3}]
"""


def mistakes(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(TrainConfig, TEXT, "x", overrides)
    return str(caught.value)


def test_a_shape_is_a_section_or_the_path_of_a_file(root):
    path = root / "configs" / "models" / "tiny.yaml"
    config = parse(TrainConfig, TEXT, "x", [f"model={path}"])
    assert config.model.name == "tiny"
    assert parse(TrainConfig, dump_config(config), "resolved") == config


@pytest.mark.parametrize(
    "override, said",
    [
        ("stages.0.epochs=2", "give one of steps and epochs"),
        ("stages.0.steps=", "give one of steps and epochs"),
        ("stages.0.learning_rat=1", "did you mean learning_rate?"),
        ("stages=[]", "stages"),
        ("model=nowhere.yaml", "nowhere.yaml"),
        ("model=", "give one of model"),
        ("model.layerz=3", "did you mean layers?"),
        ("tokenizer=", "needs a tokenizer"),
        ("stages.0.name=logs", "can't be called logs"),
        ("stages.0.name=../x", "does not fit the pattern"),
        ("deepspeed.offload=cpu", "offload needs zero_stage 1"),
        ("deepspeed.precision=bfloat16", "bfloat16 needs zero_stage 1"),
    ],
)
def test_mistakes_are_explained(override, said):
    assert said in mistakes(override)


def test_shipped_configurations_load(root):
    from leanfleet.train.config import load_train_config

    found = sorted((root / "configs" / "train").glob("*.yaml"))
    assert found
    for path in found:
        assert load_train_config(path).stages


# --- what may change ------------------------------------------------------------------------------


def test_what_changes_no_loss_may_change(make_config):
    def of(**changes):
        config = make_config([changes])
        return identity.identity(config, config.stages[0], config.model, "t", data="d", start="s")

    assert identity.differences(of(), of(save_every=7, keep=5, micro_rows=2)) == []
    changed = identity.differences(of(), of(learning_rate=0.5, batch_rows=8))
    assert changed == ["stage.batch_rows: 6 → 8", "stage.learning_rate: 0.003 → 0.5"]


def test_a_fork_may_change_all_but_what_a_checkpoint_can_not_follow():
    before = {"stage.clip": 1.0, "model.width": 32}
    identity.check(before, before, "here", fork=False)
    identity.check(before, before | {"stage.clip": 2.0}, "here", fork=True)
    with pytest.raises(ValueError, match=r"clip: 1.0 → 2.0\n.*--fork"):
        identity.check(before, before | {"stage.clip": 2.0}, "here", fork=False)
    with pytest.raises(ValueError, match=r"width: 32 → 64\n.*another --out"):
        identity.check(before, before | {"model.width": 64}, "here", fork=True)


# --- checkpoints ----------------------------------------------------------------------------------


def write(folder, step: int, content: bytes = b"weights" * 99) -> None:
    (folder / checkpoints.WRITING).mkdir(parents=True)
    (folder / checkpoints.WRITING / "state.pt").write_bytes(content)
    position = Position(step=step, world=1, zero_stage=0, tokenizer="t", identity={"a": 1})
    checkpoints.finish(folder, position)


def test_the_latest_complete_checkpoint_counts(tmp_path):
    assert checkpoints.latest(tmp_path / "none") is None
    for step in (5, 10):
        write(tmp_path, step)
    (tmp_path / "step-00000015").mkdir()  # no manifest: cut off
    (tmp_path / checkpoints.WRITING).mkdir()
    checkpoints.clean(tmp_path)
    kept = checkpoints.latest(tmp_path)
    assert kept.position.step == 10 and kept.position.identity == {"a": 1}
    assert not (tmp_path / checkpoints.WRITING).exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "position"])
def test_a_damaged_checkpoint_is_never_read_and_the_one_before_is_named(tmp_path, damage):
    for step in (5, 10):
        write(tmp_path, step)
    path = tmp_path / "step-00000010" / "state.pt"
    match damage:
        case "cut":
            os.truncate(path, 100)
        case "changed":
            path.write_bytes(b"wEights" * 99)
        case "gone":
            path.unlink()
        case "position":
            (path.parent / checkpoints.POSITION).write_text("{}")
    with pytest.raises(ValueError, match=r"damaged checkpoint.*to go on from step-00000005"):
        checkpoints.latest(tmp_path)


def test_the_last_and_the_best_are_kept(tmp_path):
    for step in range(1, 7):
        write(tmp_path, step)
    checkpoints.thin_out(tmp_path, keep=2, best_step=3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-00000003", "step-00000005", "step-00000006"]


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="MB are free"):
        checkpoints.check_room(tmp_path, 2**62)


def test_a_checkpoint_names_its_files_only(tmp_path):
    write(tmp_path, 5)
    manifest = tmp_path / "step-00000005" / files.MANIFEST
    manifest.write_text(manifest.read_text().replace('"state.pt"', '"../x"'))
    with pytest.raises(ValueError, match="no plain file name"):
        checkpoints.latest(tmp_path)


# --- records --------------------------------------------------------------------------------------


def test_a_resumed_record_reads_as_if_nothing_had_happened(tmp_path):
    first = record.Record(tmp_path, 0)
    for step in (1, 2, 3):
        first.write("step", step=step, loss=1.0 / step)
    first.close()
    with (tmp_path / record.NAME).open("ab") as file:
        file.write(b'{"kind": "step", "st')  # cut off by a crash
    second = record.Record(tmp_path, 2)
    second.write("step", step=3, loss=9.0)
    second.close()
    lines = record.lines(tmp_path / record.NAME)
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 1.0), (2, 0.5), (3, 9.0)]


def test_a_loss_that_is_no_number_is_written_as_such(tmp_path):
    one = record.Record(tmp_path, 0)
    one.write("step", step=1, loss=float("nan"))
    one.close()
    assert record.lines(tmp_path / record.NAME) == [{"kind": "step", "step": 1, "loss": None}]


# --- calibration ----------------------------------------------------------------------------------


def test_a_perfect_head_lies_on_the_diagonal():
    found = calibration.bins(range(100), range(100), number=10)
    assert [each.count for each in found] == [10] * 10
    assert calibration.error(found) == 0


def test_a_head_that_is_two_tactics_off_has_that_error():
    found = calibration.bins([x + 2.0 for x in range(50)], range(50))
    assert calibration.error(found) == pytest.approx(2.0)


@pytest.mark.parametrize("top", [0.0, 0.3, 7.0, 63.0, 1000.0])
def test_the_plot_is_well_formed_and_inside_its_frame(top):
    found = calibration.bins([top / 2, top], [top, top / 3])
    tree = ET.fromstring(calibration.plot(found))
    circles = [node for node in tree.iter() if node.tag.endswith("circle")]
    places = [float(node.get(axis)) for node in circles for axis in ("cx", "cy")]
    assert len(places) == 4
    assert all(0 <= place <= calibration.SIZE for place in places)
