"""Weights from a folder of either kind: ours, or one of the Llama, Qwen2 and Qwen3 families."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from leanfleet.model import checkpoint, count
from leanfleet.model.folder import MANIFEST, check_manifest, read_json
from leanfleet.model.hf_export import TOKENIZER_KEY
from leanfleet.model.hf_load import VALUE_FILE, load_hf
from leanfleet.model.network import Network
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.model.tokenizer_file import load_tokenizer

_LARGEST_CONFIG = 1024 * 1024


@dataclass(frozen=True)
class Loaded:
    """A network and the tokenizer beside it."""

    network: Network
    tokenizer: Tokenizer

    @property
    def parameters(self) -> int:
        """Trained numbers, the value head included."""
        return count.parameters(self.network.config)


def load_any(folder: str | Path, dtype: torch.dtype | None = None, seed: int = 0) -> Loaded:
    """The weights of a folder, in the type they have, or in float32 where the kind leaves it open.

    `seed`: of a fresh value head, where a published folder has none. Raises ValueError: neither
    kind, or what is wrong with it.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: no config.json: not a folder of weights")
    keys = read_json(folder / "config.json", dict, _LARGEST_CONFIG)
    if keys.get("format") == checkpoint.FORMAT:
        found = checkpoint.load(folder, dtype)
        return Loaded(found.network, found.tokenizer)
    if "model_type" not in keys:
        raise ValueError(
            f"{folder / 'config.json'}: has neither format: {checkpoint.FORMAT} nor a model_type"
        )
    network = load_hf(folder, seed, dtype or torch.float32)
    tokenizer = load_tokenizer(folder)
    if TOKENIZER_KEY in keys:
        tokenizer.check(str(keys[TOKENIZER_KEY]), str(folder))
    if (folder / VALUE_FILE).exists() and (folder / MANIFEST).exists():
        check_manifest(folder)  # one that we have written
    if tokenizer.size > network.config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.size} tokens, the network's embedding "
            f"{network.config.vocabulary} rows"
        )
    return Loaded(network, tokenizer)
