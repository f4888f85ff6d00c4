"""Byte-level BPE from corpora, with Lean's symbols whole.

The tokenizers library learns merges; two things are ours. Text is cut where Lean's own lexer would
cut it, roughly: names with the dot or space before them, single digits, a line break with its
indentation, one symbol. And symbols are single characters while merges are learned, so that merges
across them (` ` + `→`) are learned too; afterwards the merges that build each symbol from its bytes
go to the front.

Shapes and weights are not its business, nor where the texts come from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from leanfleet.model.symbols import symbols
from leanfleet.model.tokenizer import SPECIALS, Tokenizer, byte_alphabet, merge_pair
from leanfleet.model.tokenizer_file import (
    byte_level_spec,
    parse_tokenizer,
    special_tokens,
    split_and_level,
)

LONGEST_TOKEN = 32
"""Bytes; longer ones are whole lines of one corpus."""

_PRIVATE = 0xE000
_BREAK = "\uf8ff"
_ASCII_SYMBOLS = "|".join(re.escape(text) for text in symbols() if len(text) > 1)
PATTERN = (
    rf" ?(?:{_ASCII_SYMBOLS})"
    r"|(?: |\.)?[\p{L}_][\p{L}\p{M}\p{N}_'!?]*"
    r"| ?\p{N}"
    r"|\n *"
    r"| ?[^\s\p{L}\p{N}_]"
    r"| +(?=\S)|\s"
)
"""Where text is cut before merging; Oniguruma's syntax."""


@dataclass(frozen=True)
class Compression:
    """How long texts become. `bytes_per_token` is 1 for a tokenizer without merges."""

    documents: int
    characters: int
    bytes: int
    tokens: int

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / max(self.tokens, 1)

    @property
    def characters_per_token(self) -> float:
        return self.characters / max(self.tokens, 1)


def smallest_vocabulary() -> int:
    """Special tokens, bytes, symbols and what symbols are built from."""
    return len(SPECIALS) + 256 + len(_symbol_merges())


def train_tokenizer(texts: Iterable[str], vocabulary: int, min_frequency: int = 2) -> Tokenizer:
    """A tokenizer of at most `vocabulary` tokens: fewer where the texts have no more to merge.

    The same texts in the same order give the same tokenizer. Raises ValueError for a vocabulary
    smaller than `smallest_vocabulary()`.
    """
    if vocabulary < smallest_vocabulary():
        raise ValueError(
            f"a vocabulary of {vocabulary} is too small: special tokens, bytes and Lean's symbols "
            f"are {smallest_vocabulary()}"
        )
    learned = _learn(texts, vocabulary, min_frequency)
    vocab, merges = _assemble(learned, vocabulary)
    spec = byte_level_spec(vocab, merges, special_tokens(SPECIALS), split_and_level(PATTERN))
    tokenizer = parse_tokenizer(json.dumps(spec).encode(), "the new tokenizer")
    for symbol in symbols():
        assert len(tokenizer.encode(symbol)) == 1, symbol
    return tokenizer


def compression(tokenizer: Tokenizer, texts: Iterable[str]) -> Compression:
    """What a tokenizer makes of texts."""
    documents = characters = size = tokens = 0
    for text in texts:
        documents += 1
        characters += len(text)
        size += len(text.encode())
        tokens += len(tokenizer.encode(text))
    return Compression(documents, characters, size, tokens)


def _learn(texts: Iterable[str], vocabulary: int, min_frequency: int) -> list[list[str]]:
    """Merges over bytes and private characters that stand for symbols."""
    alphabet = byte_alphabet() + [chr(_PRIVATE + index) for index in range(len(symbols()))]
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.Split(_BREAK, "removed")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,  # more than fit: what is too much is cut off when assembling
        min_frequency=min_frequency,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    model.train_from_iterator(_private(texts), trainer)
    return [merge_pair(merge) for merge in json.loads(model.to_str())["model"]["merges"]]


def _private(texts: Iterable[str]) -> Iterator[str]:
    """Each text as its parts in the byte alphabet, symbols as one private character."""
    cut = pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated")
    letters = byte_alphabet()
    spelled = {_spelled(text): chr(_PRIVATE + i) for i, text in enumerate(symbols())}
    finder = re.compile("|".join(re.escape(text) for text in spelled))
    for text in texts:
        parts = (
            "".join(letters[byte] for byte in part.encode())
            for part, _ in cut.pre_tokenize_str(text)
        )
        yield finder.sub(lambda match: spelled[match[0]], _BREAK.join(parts))


def _assemble(learned: list[list[str]], vocabulary: int) -> tuple[dict[str, int], list[list[str]]]:
    """Vocabulary and merges over bytes alone: symbols' merges first, then the learned ones."""
    vocab = {token: number for number, token in enumerate([*SPECIALS, *byte_alphabet()])}
    merges: list[list[str]] = []
    plain = {chr(_PRIVATE + i): _spelled(text) for i, text in enumerate(symbols())}
    table = str.maketrans(plain)
    expanded = ([part.translate(table) for part in pair] for pair in learned)
    for pair in [*_symbol_merges(), *expanded]:
        token = "".join(pair)
        if token in vocab:
            continue  # built already, by a symbol's merges
        if len(vocab) == vocabulary:
            break
        vocab[token] = len(vocab)
        merges.append(pair)
    return vocab, merges


def _symbol_merges() -> list[list[str]]:
    """What builds every symbol from its bytes, left to right, each pair once."""
    pairs: dict[str, list[str]] = {}
    for symbol in symbols():
        spelled = _spelled(symbol)
        for end in range(2, len(spelled) + 1):
            pairs.setdefault(spelled[:end], [spelled[: end - 1], spelled[end - 1]])
    return list(pairs.values())


def _spelled(text: str) -> str:
    letters = byte_alphabet()
    return "".join(letters[byte] for byte in text.encode())
