"""Text ⇄ token ids. Special tokens are put in by name and never come from text.

States and tactics are hostile text: `<|end|>` inside a state is seven characters, not the end of
anything. So text goes through a tokenizer that has no added tokens at all, and special ids are
asked for by name. The same holds for published tokenizers; their templates are pieces of text and
of named tokens (`encode` the one, `id_of` the other).

`hash` travels in every checkpoint: a network means nothing with another tokenizer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tokenizers

PAD, END, STATE, TACTIC, VALUE = "<|pad|>", "<|end|>", "<|state|>", "<|tactic|>", "<|value|>"
SPECIALS = (PAD, END, STATE, TACTIC, VALUE)
"""Of our own tokenizers, with the ids 0 … 4."""

_HASHED = ("added_tokens", "normalizer", "pre_tokenizer", "model", "decoder")


class WrongTokenizer(ValueError):
    """Weights and tokenizer don't belong together."""

    def __init__(self, where: str, wanted: str, found: str) -> None:
        self.wanted, self.found = wanted, found
        super().__init__(
            f"{where}: the weights were trained with the tokenizer {wanted}, this one is {found}"
        )


@dataclass(frozen=True)
class Roles:
    """Ids of the special tokens that code asks for; None where a tokenizer has none."""

    pad: int | None = None
    end: int | None = None
    state: int | None = None
    tactic: int | None = None
    value: int | None = None


class Tokenizer:
    """One vocabulary. `spec` is the content of a tokenizer.json, checked by `tokenizer_file`."""

    def __init__(self, spec: dict[str, Any], roles: Roles) -> None:
        self._spec = spec
        self.roles = roles
        self.hash = content_hash(spec)
        self._special = {entry["content"]: entry["id"] for entry in spec["added_tokens"]}
        self._text = tokenizers.Tokenizer.from_str(json.dumps(_without_specials(spec)))
        vocabulary: dict[str, int] = self._text.get_vocab(with_added_tokens=False)
        self.size = 1 + max([*vocabulary.values(), *self._special.values()])
        self._names = {number: token for token, number in vocabulary.items()}
        self._names |= {number: token for token, number in self._special.items()}
        self._special_ids = frozenset(self._special.values())
        self.is_byte_level = _is_byte_level(spec)
        self._bytes = self._token_bytes() if self.is_byte_level else {}
        self._byte_ids = {
            data: number
            for number, data in self._bytes.items()
            if len(data) == 1 and number not in self._special_ids
        }
        self.longest = max(map(len, self._bytes.values()), default=None)
        """Bytes of the longest token; None where tokens are not bytes."""

    # --- text to ids ------------------------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        """Ids of text; never a special token, whatever the text says.

        Raises ValueError for text that is no Unicode (lone surrogates).
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"text with a lone surrogate at {error.start}: no Unicode") from None
        ids = self._text.encode(text, add_special_tokens=False).ids
        if not self._special_ids.isdisjoint(ids):
            found = self.token(next(number for number in ids if number in self._special_ids))
            raise ValueError(f"text spells the special token {found} in this tokenizer")
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """Ids of any bytes; those that are no UTF-8 get their own tokens. Byte-level only."""
        if not self.is_byte_level:
            raise ValueError("this tokenizer is not byte-level: it has no token for every byte")
        ids: list[int] = []
        text = data.decode("utf-8", errors="surrogateescape")
        start = 0
        for index, character in enumerate(text):
            if "\udc80" <= character <= "\udcff":
                ids += self.encode(text[start:index])
                ids.append(self._byte_ids[bytes([ord(character) - 0xDC00])])
                start = index + 1
        return ids + self.encode(text[start:])

    def id_of(self, special: str) -> int:
        """The id of a special token. Raises ValueError naming those that exist."""
        try:
            return self._special[special]
        except KeyError:
            known = ", ".join(sorted(self._special)) or "none"
            raise ValueError(f"no special token {special!r}; there are: {known}") from None

    # --- ids to text ------------------------------------------------------------------------------

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of ids; special tokens give nothing. Raises ValueError for unknown ids."""
        kept = [number for number in ids if number not in self._special_ids]
        unknown = next((number for number in kept if number not in self._names), None)
        if unknown is not None:
            raise ValueError(f"no token has the id {unknown}")
        if not self.is_byte_level:
            return self._text.decode(kept, skip_special_tokens=False).encode()
        return b"".join(self._bytes[number] for number in kept)

    def decode(self, ids: Iterable[int], errors: str = "strict") -> str:
        """Text of ids. Bytes that are no UTF-8: UnicodeDecodeError, or as `errors` says."""
        return self.decode_bytes(ids).decode("utf-8", errors=errors)

    def has(self, number: int) -> bool:
        """Whether a token has this id: a vocabulary may have holes, and end before an embedding."""
        return number in self._names

    def token(self, number: int) -> str:
        """How the vocabulary spells a token (in the byte-level alphabet)."""
        return self._names[number]

    # --- the whole --------------------------------------------------------------------------------

    @property
    def specials(self) -> dict[str, int]:
        """Every added token and its id."""
        return dict(self._special)

    def json(self) -> bytes:
        """tokenizer.json."""
        return json.dumps(self._spec, ensure_ascii=False, indent=1).encode() + b"\n"

    def check(self, wanted: str, where: str) -> None:
        """Raises WrongTokenizer, which names both hashes, if this is not the tokenizer wanted."""
        if wanted != self.hash:
            raise WrongTokenizer(where, wanted, self.hash)

    def _token_bytes(self) -> dict[int, bytes]:
        alphabet = {character: byte for byte, character in enumerate(byte_alphabet())}
        table = {}
        for number, token in self._names.items():
            if number in self._special_ids:
                continue
            if all(character in alphabet for character in token):
                table[number] = bytes(alphabet[character] for character in token)
            else:
                table[number] = token.encode()  # a token put into the vocabulary as it is
        return table


def content_hash(spec: dict[str, Any]) -> str:
    """64 hex digits: equal for tokenizers that give equal ids, however their file is laid out."""
    kept = {key: spec.get(key) for key in _HASHED}
    model = dict(spec["model"])
    if "merges" in model:
        model["merges"] = [merge_pair(merge) for merge in model["merges"]]
    kept["model"] = model
    kept["added_tokens"] = sorted(spec["added_tokens"], key=lambda entry: entry["id"])
    text = json.dumps(kept, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def merge_pair(merge: str | Sequence[str]) -> list[str]:
    """Files spell a merge `"a b"` or `["a", "b"]`."""
    return merge.split(" ", 1) if isinstance(merge, str) else list(merge)


def byte_alphabet() -> list[str]:
    """The printable character that stands for each byte 0 … 255 (Radford et al. 2019).

    Printable Latin-1 stands for itself, the rest for U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def _without_specials(spec: dict[str, Any]) -> dict[str, Any]:
    # Truncation would cut states silently; a post-processor would add tokens.
    off = {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    return spec | off


def _is_byte_level(spec: dict[str, Any]) -> bool:
    decoder = spec.get("decoder") or {}
    parts = decoder.get("decoders", [decoder])
    return any(part.get("type") == "ByteLevel" for part in parts)
