"""Our own weights folder: config.json, model.safetensors, tokenizer.json, manifest.json.

The manifest is written last and names every file's hash, so a folder that was cut off, or mixed
from two, is never read as weights. config.json carries the shape and the tokenizer's hash; a
tokenizer that is not that one is an error naming both. Optimisers are the trainer's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from pydantic import ValidationError

from leanfleet.model import folder as files
from leanfleet.model import tensors
from leanfleet.model.config import ModelConfig, mistakes
from leanfleet.model.initialise import empty_network
from leanfleet.model.network import Network
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.model.tokenizer_file import FILE, parse_tokenizer

FORMAT = "leanfleet-weights"
VERSION = 1
_LARGEST_CONFIG = 1024 * 1024


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """config.json."""

    format: str
    version: int
    model: dict[str, object]
    tokenizer: str  # its hash
    step: int = 0
    note: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """A network with the tokenizer it was trained with. `step`: of training, 0 for fresh weights."""

    network: Network
    tokenizer: Tokenizer
    step: int = 0
    note: str = ""


def save(checkpoint: Checkpoint, folder: str | Path) -> None:
    """Writes a new or empty folder. Raises ValueError: taken, or tokenizer larger than network."""
    folder = Path(folder)
    network, tokenizer = checkpoint.network, checkpoint.tokenizer
    _check_size(network.config, tokenizer, str(folder))
    files.new_folder(folder)
    weights = dict(network.state_dict())
    tensors.write_tensors(folder / tensors.SINGLE, weights, {"tokenizer": tokenizer.hash})
    files.write_bytes(folder / FILE, tokenizer.json())
    config = _Config(
        format=FORMAT,
        version=VERSION,
        model=network.config.model_dump(mode="json"),
        tokenizer=tokenizer.hash,
        step=checkpoint.step,
        note=checkpoint.note,
    )
    files.write_json(folder / "config.json", config)
    files.write_manifest(folder, ["config.json", tensors.SINGLE, FILE])


def load(
    folder: str | Path,
    dtype: torch.dtype | None = None,
    tokenizer: Tokenizer | None = None,
) -> Checkpoint:
    """The weights of a complete folder, on the CPU, in the type they have or in `dtype`.

    `tokenizer`: the one that the caller is going to use. Raises WrongTokenizer if the weights were
    trained with another, ValueError for whatever else is wrong with the folder.
    """
    folder = Path(folder)
    files.check_manifest(folder)
    config = files.read_json(folder / "config.json", _Config, _LARGEST_CONFIG)
    where = str(folder / "config.json")
    if (config.format, config.version) != (FORMAT, VERSION):
        raise ValueError(
            f"{where}: {config.format} {config.version}; this reads {FORMAT} {VERSION}"
        )
    try:
        shape = ModelConfig.model_validate_json(msgspec.json.encode(config.model))
    except ValidationError as error:
        raise ValueError(f"{where}: {mistakes(error)}") from None
    if tokenizer is not None:
        tokenizer.check(config.tokenizer, str(folder))
    own = parse_tokenizer(files.read_bytes(folder / FILE), str(folder / FILE))
    own.check(config.tokenizer, str(folder / FILE))
    _check_size(shape, own, str(folder))
    network = _network(folder / tensors.SINGLE, shape, dtype)
    return Checkpoint(network, own, config.step, config.note)


def _network(path: Path, shape: ModelConfig, dtype: torch.dtype | None) -> Network:
    with torch.device("meta"):
        wanted = {name: tuple(w.shape) for name, w in Network(shape).state_dict().items()}
    with tensors.open_file(path) as source:
        extra = sorted(source.names - set(wanted))
        if extra:
            raise ValueError(f"{path}: {extra[0]!r} has no place in a network of this shape")
        source.check(wanted)
        first = source.read("norm.weight", wanted["norm.weight"])
        network = empty_network(shape, dtype or first.dtype)
        with torch.no_grad():
            for name, weight in network.state_dict().items():
                read = source.read(name, wanted[name])
                tensors.check_finite(name, read, path)
                weight.copy_(read)
    return network


def _check_size(config: ModelConfig, tokenizer: Tokenizer, where: str) -> None:
    if tokenizer.size > config.vocabulary:
        raise ValueError(
            f"{where}: the tokenizer has {tokenizer.size} tokens, the network's embedding "
            f"{config.vocabulary} rows"
        )
