"""What a tokenizer is made from: one YAML of configs/tokenizers. Imports no tokenizers library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from leanfleet.config import Section, Tuple, load_section


class TokenizerConfig(Section):
    """The whole file. Paths are relative to where the command runs."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    vocabulary: int = Field(ge=2, le=2**20)  # tokens at most
    corpora: Tuple[str] = Field(min_length=1)  # .lean, .txt, .jsonl, and folders of them
    held_out: float = Field(0.05, ge=0, lt=1)  # share of texts kept for the report alone
    min_frequency: int = Field(2, ge=1)  # of a pair, to become a token


def load_tokenizer_config(path: str | Path, overrides: Sequence[str] = ()) -> TokenizerConfig:
    """Raises ConfigError with every mistake."""
    return load_section(TokenizerConfig, path, overrides)
