"""The data set: valid, test and the labelled set from the package's files, train from its seed.

`manifest.json` names the seed and the content hash of every split. Train is not shipped: it is
drawn again (some ten seconds) and must have the manifest's hash, so that a change of a family that
changes train is seen. Bytes are read with typed decoding, as those of any file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

import msgspec
from msgspec import Struct

from leanfleet.evaluate.content import content_hash
from leanfleet.messages import Theorem
from leanfleet.theorems.splits import Splits, draw_splits

SPLITS = ("train", "valid", "test", "labelled")


class SplitFacts(Struct, frozen=True, forbid_unknown_fields=True):
    theorems: int
    content_hash: str


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What belongs together: a seed and the splits that it gives."""

    seed: int
    splits: dict[str, SplitFacts]


class Label(Struct, frozen=True, forbid_unknown_fields=True):
    """What a statement of the labelled set is, and a proof of that: of the statement when it is
    true, of `refuted` (its negation, as a theorem) when it is false."""

    name: str
    label: bool
    proof: str
    refuted: str = ""


def load(split: str) -> list[Theorem]:
    """The theorems of a split. Raises ValueError for an unknown split, and when train, drawn again,
    is not what the manifest says."""
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}")
    found = list(drawn().train) if split == "train" else _read(f"{split}.jsonl", Theorem)
    wanted = manifest().splits[split].content_hash
    if content_hash(found) != wanted:
        raise ValueError(
            f"the split {split} has the content hash {content_hash(found)}, but the manifest says "
            f"{wanted}: a family changed since the data were frozen; `leanfleet theorems check`"
        )
    return found


def labels() -> dict[str, Label]:
    """By name, for the theorems of the split `labelled`."""
    return {label.name: label for label in _read("labels.jsonl", Label)}


def manifest() -> Manifest:
    return msgspec.json.decode(_bytes("manifest.json"), type=Manifest)


@cache
def drawn() -> Splits:
    """All splits, drawn with the manifest's seed; once in a process."""
    return draw_splits(manifest().seed)


def lines(rows: Iterable[Struct]) -> bytes:
    """JSON lines."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def facts(theorems: list[Theorem]) -> SplitFacts:
    return SplitFacts(len(theorems), content_hash(theorems))


def _read(name: str, kind: type) -> list:
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(line) for line in _bytes(name).splitlines() if line.strip()]


def _bytes(name: str) -> bytes:
    return resources.files("leanfleet.theorems").joinpath("data", name).read_bytes()
