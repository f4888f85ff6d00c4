"""Folders that `transformers` loads as AutoModelForCausalLM, the value head kept aside.

Written are config.json, model.safetensors (or several and an index), value_head.safetensors, which
`transformers` does not look at, the tokenizer's files, and a manifest last. `hf_load` reads all of
it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from leanfleet.model import folder as files
from leanfleet.model import hf_names
from leanfleet.model.hf_config import to_hf
from leanfleet.model.hf_load import VALUE_FILE
from leanfleet.model.network import Network
from leanfleet.model.tensors import INDEX, SINGLE, write_tensors
from leanfleet.model.tokenizer import Tokenizer

SHARD_BYTES = 4 * 1024**3
TOKENIZER_KEY = "leanfleet_tokenizer"  # of config.json: the hash of the tokenizer trained with
_FORMAT = {"format": "pt"}


def export_hf(
    network: Network,
    tokenizer: Tokenizer | None,
    folder: str | Path,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Writes the folder, which must be new or empty. Raises ValueError: see `hf_config.family_of`."""
    folder = Path(folder)
    dtype = str(network.embedding.weight.dtype).removeprefix("torch.")
    keys = to_hf(network.config, dtype)
    if tokenizer is not None:
        keys |= _token_ids(tokenizer) | {TOKENIZER_KEY: tokenizer.hash}
    files.new_folder(folder)
    names = _write_weights(network, folder, shard_bytes)
    value_head = {name: network.get_parameter(name) for name in hf_names.VALUE_HEAD}
    write_tensors(folder / VALUE_FILE, value_head, _FORMAT)
    files.write_json(folder / "config.json", keys)
    names += [VALUE_FILE, "config.json"]
    if tokenizer is not None:
        files.write_bytes(folder / "tokenizer.json", tokenizer.json())
        files.write_json(folder / "tokenizer_config.json", tokenizer_config(tokenizer))
        names += ["tokenizer.json", "tokenizer_config.json"]
    files.write_manifest(folder, names)


def theirs(network: Network) -> Iterator[tuple[str, Tensor]]:
    """Every tensor under its published name, fused ones taken apart; the value head is not one."""
    weights = dict(network.named_parameters())
    for tensor in hf_names.mapping(network.config):
        yield from zip(tensor.parts, weights[tensor.ours].split(tensor.rows), strict=True)


def _write_weights(network: Network, folder: Path, shard_bytes: int) -> list[str]:
    """One file, or as many as keep each below `shard_bytes` (a larger tensor is alone in one)."""
    shards: list[dict[str, Tensor]] = [{}]
    room = shard_bytes
    for name, tensor in theirs(network):
        size = tensor.numel() * tensor.element_size()
        if size > room and shards[-1]:
            shards.append({})
            room = shard_bytes
        shards[-1][name] = tensor
        room -= size
    if len(shards) == 1:
        write_tensors(folder / SINGLE, shards[0], _FORMAT)
        return [SINGLE]
    names = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        write_tensors(folder / name, shard, _FORMAT)
    total = sum(tensor.numel() * tensor.element_size() for _, tensor in theirs(network))
    weight_map = {
        tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard
    }
    files.write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    return [*names, INDEX]


def _token_ids(tokenizer: Tokenizer) -> dict[str, object]:
    """Of the tokens that `transformers` asks a model's configuration for."""
    roles = tokenizer.roles
    return {"bos_token_id": None, "eos_token_id": roles.end, "pad_token_id": roles.pad}


def tokenizer_config(tokenizer: Tokenizer) -> dict[str, object]:
    """tokenizer_config.json: which special tokens end and pad."""
    named = {"eos_token": tokenizer.roles.end, "pad_token": tokenizer.roles.pad}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    } | {key: tokenizer.token(number) for key, number in named.items() if number is not None}
