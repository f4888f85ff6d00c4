"""Tokenizers from files: tokenizer.json, or GPT-2's vocab.json and merges.txt. All taken for hostile.

A file is decoded with types and bounds before the tokenizers library sees it; what would make ids
random (dropout) is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from leanfleet.model.folder import decode, read_bytes, read_json
from leanfleet.model.tokenizer import (
    END,
    PAD,
    STATE,
    TACTIC,
    VALUE,
    Roles,
    Tokenizer,
    merge_pair,
)

FILE = "tokenizer.json"
MAX_ID = 2**21
_GPT2_END = "<|endoftext|>"
_SMALL = 1024 * 1024


class _Added(msgspec.Struct, frozen=True):
    id: int
    content: str


class _Model(msgspec.Struct, frozen=True):
    type: str = "BPE"  # early files leave it out
    vocab: dict[str, int] | list[tuple[str, float]] = {}
    merges: list[str | tuple[str, str]] | None = None
    dropout: float | None = None


class _Spec(msgspec.Struct, frozen=True):
    model: _Model
    added_tokens: list[_Added] = []


class _Named(msgspec.Struct, frozen=True):
    content: str


class _Config(msgspec.Struct, frozen=True):
    """tokenizer_config.json: which special tokens a published tokenizer ends and pads with."""

    eos_token: str | _Named | None = None
    pad_token: str | _Named | None = None


def load_tokenizer(path: str | Path) -> Tokenizer:
    """From a tokenizer.json, or a folder that has one, or one with vocab.json and merges.txt.

    Raises ValueError naming the file and what is wrong with it.
    """
    path = Path(path)
    if not path.is_dir():
        return parse_tokenizer(read_bytes(path), str(path))
    config = _Config()
    if (path / "tokenizer_config.json").is_file():
        config = read_json(path / "tokenizer_config.json", _Config, _SMALL)
    if (path / FILE).is_file():
        return parse_tokenizer(read_bytes(path / FILE), str(path / FILE), config)
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        return _gpt2(path, config)
    raise ValueError(f"{path}: neither {FILE} nor vocab.json with merges.txt is there")


def parse_tokenizer(data: bytes, name: str, config: _Config | None = None) -> Tokenizer:
    """From the bytes of a tokenizer.json; `name` stands for the file. Raises ValueError."""
    found = decode(data, _Spec, name)
    _check(found, name)
    spec: dict[str, Any] = json.loads(data)
    spec.setdefault("added_tokens", [])
    spec["model"].setdefault("type", "BPE")
    return _built(spec, config or _Config(), name)


def _gpt2(folder: Path, config: _Config) -> Tokenizer:
    vocab = read_json(folder / "vocab.json", dict[str, int])
    where = str(folder / "merges.txt")
    try:
        lines = read_bytes(folder / "merges.txt").decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: no UTF-8 at byte {error.start}") from None
    merges = []
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        if line.count(" ") != 1:
            raise ValueError(f"{where}:{number}: two tokens expected, not {line[:60]!r}")
        merges.append(line.split(" "))
    added = []
    if _GPT2_END in vocab:
        added = [_added_token(_GPT2_END, vocab[_GPT2_END])]
        if config.eos_token is None:
            config = msgspec.structs.replace(config, eos_token=_GPT2_END)
    spec = byte_level_spec(vocab, merges, added, {"type": "ByteLevel", **_LEVEL, "use_regex": True})
    name = str(folder / "vocab.json")
    _check(decode(json.dumps(spec).encode(), _Spec, name), name)
    return _built(spec, config, name)


_LEVEL = {"add_prefix_space": False, "trim_offsets": False}


def byte_level_spec(
    vocab: dict[str, int],
    merges: list[list[str]],
    added: list[dict[str, Any]],
    pre_tokenizer: dict[str, Any],
) -> dict[str, Any]:
    """The content of a tokenizer.json for byte-level BPE."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": {"type": "ByteLevel", **_LEVEL, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def special_tokens(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Entries of `added_tokens` with the ids 0, 1, 2 …"""
    return [_added_token(name, number) for number, name in enumerate(names)]


def split_and_level(pattern: str) -> dict[str, Any]:
    """A pre-tokenizer: split by a pattern, every part on its own, then bytes."""
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    return {
        "type": "Sequence",
        "pretokenizers": [
            split | {"invert": False},
            {"type": "ByteLevel", **_LEVEL, "use_regex": False},
        ],
    }


def _added_token(content: str, number: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": content, **flags, "special": True}


def _check(found: _Spec, name: str) -> None:
    vocab = found.model.vocab
    numbers = list(vocab.values()) if isinstance(vocab, dict) else list(range(len(vocab)))
    if not numbers:
        raise ValueError(f"{name}: an empty vocabulary")
    if found.model.dropout:
        raise ValueError(
            f"{name}: merges dropped at random give other ids each time; set dropout null"
        )
    bad = [number for number in numbers if not 0 <= number < MAX_ID]
    bad += [entry.id for entry in found.added_tokens if not 0 <= entry.id < MAX_ID]
    if bad:
        raise ValueError(f"{name}: token id {bad[0]} is not in 0 … {MAX_ID - 1}")
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"{name}: two tokens with one id")
    taken: dict[int, str] = {}
    for entry in found.added_tokens:
        if taken.setdefault(entry.id, entry.content) != entry.content:
            raise ValueError(f"{name}: two added tokens with the id {entry.id}")
    if isinstance(vocab, dict):
        for merge in found.model.merges or ():
            pair = merge_pair(merge)
            if len(pair) != 2 or any(part not in vocab for part in (*pair, "".join(pair))):
                raise ValueError(f"{name}: merge {str(merge)[:60]!r} is not of the vocabulary")


def _built(spec: dict[str, Any], config: _Config, name: str) -> Tokenizer:
    special = {entry["content"]: entry["id"] for entry in spec["added_tokens"]}

    def named(token: str | _Named | None, ours: str) -> int | None:
        content = token.content if isinstance(token, _Named) else token
        return special.get(ours if content is None else content)

    roles = Roles(
        pad=named(config.pad_token, PAD),
        end=named(config.eos_token, END),
        state=special.get(STATE),
        tactic=special.get(TACTIC),
        value=special.get(VALUE),
    )
    try:
        return Tokenizer(spec, roles)
    except Exception as error:  # the library raises no narrower type
        raise ValueError(f"{name}: not a tokenizer that can be used: {error}") from None
