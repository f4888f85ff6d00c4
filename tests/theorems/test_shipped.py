"""The shipped data: whole, what the seed gives, without repetition, with labels that Lean proves."""

import json
from collections import Counter

import msgspec
import pytest

from leanfleet.cli import main
from leanfleet.config import parse_config
from leanfleet.evaluate.content import content_hash
from leanfleet.roles.lean import local_server
from leanfleet.theorem import read_theorems
from leanfleet.theorems import shipped
from leanfleet.theorems.check import elaborate, verify_labels
from leanfleet.theorems.families import FAMILIES
from leanfleet.theorems.keys import overlap, short_key
from leanfleet.theorems.mix import MIX
from leanfleet.theorems.provenance import provenance
from leanfleet.theorems.splits import draw_splits

SMALL = {"train": 120, "valid": 30, "test": 30, "test_out": 20}


def families(theorems) -> set[str]:
    return {provenance(theorem).family for theorem in theorems}


def test_train_is_drawn_again_and_nothing_of_it_is_tested():
    train, valid, test = (shipped.load(split) for split in ("train", "valid", "test"))
    assert len(train) >= 5000 and len(valid) >= 300 and len(test) >= 300
    assert overlap([*valid, *test], train) == []
    every = [*train, *valid, *test, *shipped.load("labelled")]
    assert len({short_key(theorem) for theorem in every}) == len(every)
    assert len({theorem.name for theorem in every}) == len(every)
    assert list(shipped.drawn().valid) == valid and list(shipped.drawn().test) == test
    out = [theorem for theorem in test if provenance(theorem).held_out]
    assert len(out) >= 90 and not families(out) & families([*train, *valid])
    assert max(Counter(provenance(t).family for t in train).values()) < len(train) / 10


def test_every_family_and_tier_has_its_place_in_the_mix():
    assert {name: tuple(tiers) for name, tiers in MIX.items()} == {
        name: family.tiers for name, family in FAMILIES.items()
    }
    assert all(weight > 0 for tiers in MIX.values() for weight in tiers.values())
    test = shipped.load("test")
    assert {provenance(theorem).tier for theorem in test} == {1, 2, 3}
    topics = Counter(provenance(theorem).topic for theorem in test)
    assert set(topics) == {family.topic for family in FAMILIES.values()}
    assert max(topics.values()) < len(test) / 4


def test_labels_are_of_a_third_false_statements():
    theorems, labels = shipped.load("labelled"), shipped.labels()
    assert len(theorems) >= 300 and {theorem.name for theorem in theorems} == set(labels)
    assert sum(not label.label for label in labels.values()) >= len(theorems) / 3


def test_the_files_are_read_like_any_other(root):
    for split in ("valid", "test", "labelled"):
        path = root / f"src/leanfleet/theorems/data/{split}.jsonl"
        assert read_theorems(path) == shipped.load(split)


def test_a_changed_theorem_is_seen(monkeypatch):
    facts = shipped.manifest()
    other = msgspec.structs.replace(
        facts, splits={**facts.splits, "valid": shipped.SplitFacts(300, "0" * 64)}
    )
    monkeypatch.setattr(shipped, "manifest", lambda: other)
    with pytest.raises(ValueError, match="a family changed"):
        shipped.load("valid")


def test_splits_share_no_key_and_repeat_by_seed():
    one, other = draw_splits(7, SMALL), draw_splits(7, SMALL)
    assert one == other and one != draw_splits(8, SMALL)
    assert [len(one.train), len(one.valid), len(one.test)] == [120, 30, 50]
    keys = [short_key(theorem) for theorem in (*one.train, *one.valid, *one.test)]
    assert len(set(keys)) == len(keys)


def test_the_size_of_train_changes_nothing_else():
    larger = draw_splits(7, {**SMALL, "train": 200})
    smaller = draw_splits(7, SMALL)
    assert (larger.valid, larger.test) == (smaller.valid, smaller.test)
    assert larger.train[:120] == smaller.train


def test_dry_families_end_the_drawing():
    few = {name: FAMILIES[name] for name in ("recursive_tests", "games")}
    splits = draw_splits(3, {"train": 5000, "valid": 3, "test": 3, "test_out": 3}, few)
    assert 10 < len(splits.train) < 200 and len(splits.test) == 6


@pytest.mark.needs("registry_lean")
async def test_lean_takes_statements_and_proves_labels():
    """A part of what `leanfleet theorems check` does with all of them."""
    config = parse_config("name: t", "t", ["lean.driver=registry", "lean.processes=1"]).lean
    theorems, labels = shipped.load("labelled"), shipped.labels()
    part = theorems[::12]
    assert {labels[theorem.name].label for theorem in part} == {True, False}
    wrong = {name: label for name, label in labels.items() if not label.label}
    name, label = next(iter(wrong.items()))
    lie = msgspec.structs.replace(label, label=True)
    async with local_server(config) as lean:
        assert await elaborate(lean, shipped.load("test")[::12]) == []
        assert await verify_labels(lean, part, labels) == []
        (fault,) = await verify_labels(lean, [t for t in theorems if t.name == name], {name: lie})
        assert "label True" in fault.message and not fault.machine


def test_generate_and_show(tmp_path, capsys):
    assert (
        main(["theorems", "generate", "--out", str(tmp_path), "--train", "40", "--seed", "3"]) == 0
    )
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert len(rows) == 40 and {row["split"] for row in rows} == {"train"}
    facts = json.loads((tmp_path / "manifest.json").read_text())
    assert facts["splits"]["train"]["content_hash"] == content_hash(
        read_theorems(tmp_path / "train.jsonl")
    )
    assert facts["splits"]["train"]["content_hash"] in capsys.readouterr().out
    assert main(["theorems", "show"]) == 0
    assert "parity" in capsys.readouterr().out
    assert main(["theorems", "show", "--split", "test", "--family", "parity"]) == 0
    assert "theorem parity_" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "--split", "everything"], "the splits are"),
        (["show", "--family", "nothing"], "no theorem"),
        (["generate", "--out", "/dev/null/x"], "/dev/null/x"),
        (["generate", "--out", "x", "--train", "0"], "at least 1"),
        (["check", "--no-lean", "--split", "x"], "the splits are"),
    ],
)
def test_mistakes_of_the_user_are_one_clear_line(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(["theorems", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error
