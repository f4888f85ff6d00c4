"""One dated folder: model.onnx, tokenizer.json, config.json; a manifest last. Read and written here.

config.json says all that a user of the graph without this project must know: the names and shapes
of inputs and outputs, what the value means, the shape of the network, the tokenizer's hash.
Everything read is taken for hostile; the graph itself is judged by the runtime (`onnx_network`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from pydantic import ValidationError

from leanfleet.model import folder as files
from leanfleet.model.config import ModelConfig, mistakes
from leanfleet.model.hf_export import tokenizer_config
from leanfleet.model.network import Network
from leanfleet.model.onnx_graph import OPSET, input_names, output_names, write_graph
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.model.tokenizer_file import FILE, load_tokenizer

FORMAT = "leanfleet-onnx"
VERSION = 1
GRAPH = "model.onnx"
_LARGEST_CONFIG = 1024 * 1024


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `value` and `value_logits` mean."""

    bins: int
    meaning: str


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """config.json."""

    format: str
    version: int
    made: str  # UTC, ISO 8601
    opset: int
    model: dict[str, object]
    tokenizer: str  # its hash
    inputs: dict[str, str]  # name → type and shape
    outputs: dict[str, str]
    value: Value
    rules: list[str]


@dataclass(frozen=True)
class OnnxFolder:
    """A checked folder. `graph`: the path of model.onnx, not yet read."""

    config: ModelConfig
    tokenizer: Tokenizer
    graph: Path


def is_onnx(folder: str | Path) -> bool:
    """Whether the folder says that it is of this kind."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        return False
    return files.read_json(path, dict, _LARGEST_CONFIG).get("format") == FORMAT


def export_onnx(
    network: Network, tokenizer: Tokenizer, parent: str | Path, now: datetime | None = None
) -> Path:
    """Writes `parent`/NAME-DATE and returns it. `now`: its date, the present if left out.

    Raises ValueError: the folder is there already, the weights are not float32, the tokenizer is
    larger than the network, or the exporter is not installed.
    """
    config = network.config
    if tokenizer.size > config.vocabulary:
        raise ValueError(
            f"the tokenizer has {tokenizer.size} tokens, the network's embedding "
            f"{config.vocabulary} rows"
        )
    now = (now or datetime.now(UTC)).astimezone(UTC)
    folder = Path(parent) / f"{config.name}-{now:%Y%m%d-%H%M%S}"
    files.new_folder(folder)
    names = [path.name for path in write_graph(network, folder / GRAPH)]
    files.write_bytes(folder / FILE, tokenizer.json())
    files.write_json(folder / "tokenizer_config.json", tokenizer_config(tokenizer))
    files.write_json(folder / "config.json", _described(config, tokenizer, now))
    files.write_manifest(folder, [*names, FILE, "tokenizer_config.json", "config.json"])
    return folder


def read_onnx(folder: str | Path) -> OnnxFolder:
    """Checks a folder. Raises ValueError naming the file and what is wrong with it."""
    folder = Path(folder)
    files.check_manifest(folder)
    where = folder / "config.json"
    said = files.read_json(where, Config, _LARGEST_CONFIG)
    if (said.format, said.version) != (FORMAT, VERSION):
        raise ValueError(f"{where}: {said.format} {said.version}; this reads {FORMAT} {VERSION}")
    try:
        config = ModelConfig.model_validate_json(msgspec.json.encode(said.model))
    except ValidationError as error:
        raise ValueError(f"{where}: {mistakes(error)}") from None
    tokenizer = load_tokenizer(folder)
    tokenizer.check(said.tokenizer, str(folder / FILE))
    if tokenizer.size > config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.size} tokens, the network's embedding "
            f"{config.vocabulary} rows"
        )
    return OnnxFolder(config, tokenizer, folder / GRAPH)


def _described(config: ModelConfig, tokenizer: Tokenizer, now: datetime) -> Config:
    heads, size = config.kv_head_count, config.head_dim
    inputs = dict.fromkeys(input_names(config), f"float32 [B, {heads}, L, {size}]")
    inputs["input_ids"] = "int64 [B, T]"
    outputs = dict.fromkeys(output_names(config), f"float32 [B, {heads}, L + T, {size}]")
    outputs["logits"] = f"float32 [B, T, {config.vocabulary}]"
    outputs["value"] = "float32 [B, T]"
    outputs["value_logits"] = f"float32 [B, T, {config.value_bins}]"
    rules = [
        "B rows, T new tokens (at least 1), L tokens before them: all three are free",
        "the first call takes an empty cache, L = 0; later ones take what the last one gave",
        "all rows of a call have one length; there is no padding and no mask",
        f"L + T is at most {config.context}, the context; the graph does not check it",
    ]
    if config.prefix_lm:
        rules.append("the first call holds the prompt and only it: attention in it goes both ways")
    roles = tokenizer.roles
    if roles.value is not None and roles.tactic is not None:
        rules.append(
            f"a prompt is <|state|> {roles.state}, the printed goals, <|value|> {roles.value}, "
            f"<|tactic|> {roles.tactic}; a tactic ends with {roles.end}; the value is the one at "
            "<|value|>"
        )
    return Config(
        format=FORMAT,
        version=VERSION,
        made=now.isoformat(timespec="seconds"),
        opset=OPSET,
        model=config.model_dump(mode="json"),
        tokenizer=tokenizer.hash,
        inputs=inputs,
        outputs=outputs,
        value=Value(
            bins=config.value_bins,
            meaning=(
                "value_logits: of the distance to a proof, 0 … bins - 1 tactics, the last bin "
                "holding all beyond; value = -(mean distance), of the softmax"
            ),
        ),
        rules=rules,
    )
