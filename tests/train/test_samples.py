"""What becomes of documents and transitions: nothing is lost, nothing is cropped, nothing leaks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec import structs
from small_training import HONEST, drawn_transitions

from leanfleet.model.prompt import state_prompt
from leanfleet.policies.format import OURS, Prompter
from leanfleet.train import transitions
from leanfleet.train.corpora import Document, documents, lean_text
from leanfleet.train.data import stage_data
from leanfleet.train.samples import AFTER, REJECTED, Extras, text_samples, transition_samples


def test_every_token_of_a_document_but_its_first_is_said_exactly_once(tokenizer):
    found = documents([HONEST])
    samples = text_samples(found, tokenizer, room=64)
    said = [samples.ids(index)[samples.first_target[index] :] for index in range(len(samples))]
    ids = [[*tokenizer.encode(each.text), tokenizer.roles.end] for each in found]
    assert np.concatenate(said).tolist() == [token for each in ids for token in each[1:]]
    assert samples.lengths.max() == 64
    assert samples.repeated == len(samples) - len(found)


def test_of_a_transition_only_the_tactic_and_the_end_are_said(tokenizer):
    (row, *_) = drawn_transitions(3, seed=2)
    samples = transition_samples([row], Prompter(OURS, tokenizer), room=128)
    first = int(samples.first_target[0])
    asked = state_prompt(tokenizer, row.state, context=128, longest_tactic=16)
    assert tuple(samples.ids(0)[:first]) == asked.ids  # what a policy asks the network
    assert samples.ids(0)[first:].tolist() == [*tokenizer.encode(row.tactic), tokenizer.roles.end]
    assert samples.value_at[0] == (asked.value_at if row.value is not None else -1)


def test_what_does_not_fit_is_counted_and_named(tokenizer):
    rows = drawn_transitions(4)
    long = transitions.Transition(theorem="long", state="⊢ " + "p ∧ " * 500 + "p", tactic="trivial")
    samples = transition_samples([*rows, long], Prompter(OURS, tokenizer), room=128)
    assert (len(samples), samples.left_out) == (4, 1)
    (skipped,) = samples.skipped
    assert skipped.name == "long" and "128" in skipped.reason


def test_a_special_token_in_a_state_stays_text(tokenizer):
    row = transitions.Transition(theorem="t", state="⊢ <|end|> = 1", tactic="<|tactic|>")
    samples = transition_samples([row], Prompter(OURS, tokenizer), room=128)
    ids = samples.ids(0).tolist()
    assert ids.count(tokenizer.roles.end) == ids.count(tokenizer.roles.tactic) == 1


def test_the_texts_of_the_repository_pack_with_less_than_one_percent_of_padding(
    tokenizer, make_config
):
    config = make_config([{"kind": "pretrain", "data": [str(HONEST)], "valid_share": 0}])
    data = stage_data(config.stages[0], config.model, tokenizer, None, seed=0)
    assert data.order.waste + data.train.repeated / data.train.lengths.sum() < 0.02
    assert data.order.waste < 0.01


def test_held_out_theorems_are_never_trained_on_in_any_stage(
    tokenizer, tmp_path, make_config, shard
):
    """The rows of a theorem and its text go the same way."""
    rows = transitions.read([shard])
    names = sorted({row.theorem for row in rows})
    file = tmp_path / "a.jsonl"
    lines = [
        {"name": name, "statement": f"theorem {name} : True", "proof": "trivial"} for name in names
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    _, held_rows = transitions.split(rows, 0.1, 5)
    _, held_texts = transitions.split(documents([file]), 0.1, 5)
    assert {row.theorem for row in held_rows} == {text.theorem for text in held_texts}
    assert held_rows


# --- documents ------------------------------------------------------------------------------------


def test_rows_become_lean():
    text = lean_text("import Std\n", "theorem a : True", "first\n  · trivial\n")
    assert text == "import Std\n\ntheorem a : True := by\n  first\n    · trivial\n"


def test_documents_of_files_and_rows(tmp_path):
    (tmp_path / "a.lean").write_text("theorem a : True := trivial\n\nexample : 1 = 1 := rfl\n")
    rows = [
        {"text": "words"},
        {"name": "b", "statement": "theorem b : True"},
        {"state": "⊢ p", "tactic": "t"},
    ]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (tmp_path / "c.txt").write_text(" \n")
    found = documents([tmp_path])
    assert [each.text for each in found[1:]] == ["words", "theorem b : True\n", "⊢ p\nt\n"]
    assert found[0].text.count("\n\n") == 1  # the file whole
    assert found[2].theorem == "b"


@pytest.mark.parametrize(
    "content, said",
    [
        (b'{"text": "a"}\n{"text": ', r"b\.jsonl:2: "),
        (b'{"text": 3}', r"b\.jsonl:1: "),
        (b'{"other": "a"}', r"b\.jsonl:1: a row without text"),
        (b"[" * 100_000, r"b\.jsonl:1: "),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b"", "all files are empty"),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path, content, said):
    (tmp_path / "b.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        documents([tmp_path / "b.jsonl"])


def test_an_empty_document_is_listed(tokenizer):
    assert text_samples([Document("a", "", "x:1")], tokenizer, 8).left_out == 1


def test_states_after_and_rejected_tactics_are_samples_of_their_own(tokenizer):
    row = transitions.Transition(
        theorem="t", state="p : Prop\n⊢ p → p", tactic="intro h", after="h : p\n⊢ p", value=-2.0,
        rejected=("simp", "omega", "rfl"),
    )  # fmt: skip
    prompter = Prompter(OURS, tokenizer)
    plain = transition_samples([row], prompter, room=128)
    assert plain.kind is None and len(plain) == 1
    samples = transition_samples([row], prompter, room=128, extras=Extras(after=True, rejected=2))
    assert samples.kind.tolist() == [0, AFTER, REJECTED, REJECTED]
    assert samples.ids(0).tolist() == plain.ids(0).tolist()
    end, encode = tokenizer.roles.end, tokenizer.encode
    after = samples.ids(1)[samples.first_target[1] :].tolist()
    assert after == [*encode("h : p\n⊢ p"), end]
    assert samples.ids(1)[: samples.first_target[1]].tolist() == plain.ids(0).tolist()
    assert samples.ids(2)[samples.first_target[2] :].tolist() == [*encode("simp"), end]
    assert (samples.value_at[1:] == -1).all()  # the value is read once
    counts = samples.counts(np.arange(4))
    assert counts.said == plain.targets == samples.targets and counts.rejected == 2
    assert counts.after == len(after) and counts.values == 1
    assert samples.fingerprint != plain.fingerprint


def test_of_a_partial_row_only_the_value_is_learned(tokenizer):
    (whole, *_) = drawn_transitions(3, seed=2)
    whole = structs.replace(whole, value=-2.0, rejected=("simp",))
    rows = [structs.replace(whole, partial=True), whole]
    extras = Extras(after=True, rejected=1)
    samples = transition_samples(rows, Prompter(OURS, tokenizer), room=128, extras=extras)
    first = int(samples.first_target[0])
    assert len(samples) == 4 and first == samples.lengths[0]  # the prompt, nothing behind it
    assert samples.ids(0).tolist() == samples.ids(1)[:first].tolist()
    counts = samples.counts(np.arange(1))
    assert (counts.said, counts.values) == (0, 1) and samples.distance[0] == 2.0
    from leanfleet.train.batches import make_batch

    batch = make_batch(samples, [(0,)], 128)
    assert len(batch.said) == 0 and batch.value_at.tolist() == [int(samples.value_at[0])]
