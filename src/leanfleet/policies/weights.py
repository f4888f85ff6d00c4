"""A folder of weights as something that answers: network, tokenizer, prompt format, engine.

The folder is one of weights (ours, a published one of the families that load, or what `export onnx`
wrote), or holds versions of ours, `v1`, `v2` …, of which the newest complete one counts. It knows no
requests.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from leanfleet.model.anyfolder import Loaded, load_any
from leanfleet.model.engine.engine import Engine, Limits
from leanfleet.model.network import Network
from leanfleet.model.onnx_engine import OnnxEngine
from leanfleet.model.onnx_folder import is_onnx
from leanfleet.model.onnx_network import OnnxNetwork, load_onnx
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.policies.format import FILE as FORMAT_FILE
from leanfleet.policies.format import Prompter, format_of
from leanfleet.policies.thread import Backend
from leanfleet.policies.versions import locate

if TYPE_CHECKING:
    from leanfleet.config import PolicyConfig

_DTYPES = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16}
# What decides an answer, besides the request.
_DECISIVE = re.compile(
    r".*\.(safetensors|onnx|data)|.*\.json|merges\.txt|" + re.escape(FORMAT_FILE)
)


@dataclass(frozen=True)
class Opened:
    """An engine and how it is asked. `room`: tokens that a prompt may have."""

    name: str
    engine: Backend
    prompter: Prompter
    room: int


def open_weights(folder: Path, config: PolicyConfig) -> Opened:
    """Loads what `locate` finds and builds an engine. Raises ValueError, with what is wrong.

    A version that its learner drops while it is read makes way for the newer one.
    """
    while True:
        path, version = locate(folder)
        try:
            return _open(path, version, config)
        except (ValueError, OSError):
            if locate(folder) == (path, version):
                raise


def _open(path: Path, version: int, config: PolicyConfig) -> Opened:
    given = Path(config.prompt) if config.prompt is not None else None
    exported = is_onnx(path)
    loaded = _graph(path, config) if exported else load(path, config)
    prompter = Prompter(format_of(path, loaded.tokenizer, given), loaded.tokenizer)
    if not path.is_dir():  # where its format was looked for, it may have been gone already
        raise ValueError(f"{path} was removed while it was read")
    limits = Limits(
        lanes=config.lanes,
        width=config.width,
        longest=config.longest,
        prompt=config.prompt_tokens,
        cache_tokens=config.cache_tokens,
    )
    room = loaded.network.config.context - config.longest
    if config.prompt_tokens is not None:
        room = min(room, config.prompt_tokens)
    if room < 1:
        raise ValueError(
            f"{path}: answers of {config.longest} tokens (policy.longest) leave no room for a "
            f"prompt in a context of {loaded.network.config.context}"
        )
    kind = OnnxEngine if exported else Engine
    # An embedding may have more rows than the tokenizer has tokens: those spell nothing.
    rows = loaded.network.config.vocabulary
    unspelled = (number for number in range(rows) if not prompter.tokenizer.has(number))
    forbidden = (*prompter.forbidden, *unspelled)
    engine = kind(loaded.network, prompter.end, limits, version, forbidden)
    return Opened(path.name, engine, prompter, room)


def load(path: Path, config: PolicyConfig) -> Loaded:
    """Weights on the device and in the type that the configuration says. Raises ValueError."""
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise ValueError("policy.device is cuda, and torch sees no such device here")
    loaded = load_any(path, _DTYPES[config.dtype])
    return Loaded(hold(loaded.network.to(device), config), loaded.tokenizer)


@dataclass(frozen=True)
class _Graph:
    """An exported graph and the tokenizer beside it."""

    network: OnnxNetwork
    tokenizer: Tokenizer


def _graph(path: Path, config: PolicyConfig) -> _Graph:
    """An ONNX folder, on the CPU in float32. Raises ValueError, also where another was asked for."""
    for key, unfit in (("device", "cuda"), ("dtype", "bfloat16"), ("deepspeed", True)):
        if getattr(config, key) == unfit:
            raise ValueError(f"policy.{key} is {unfit}; an ONNX folder runs on the CPU in float32")
    network, folder = load_onnx(path, config.threads)
    return _Graph(network, folder.tokenizer)


def hold(network: Network, config: PolicyConfig) -> Network:
    """The same network, through DeepSpeed's inference engine if the configuration says so.

    No kernel is injected: our engine drives the module, and its numbers stay what they are.
    """
    if not config.deepspeed:
        return network
    dtype = network.embedding.weight.dtype
    with contextlib.redirect_stdout(sys.stderr):  # its log; stdout is the command's
        try:
            import deepspeed
        except ImportError:
            raise ValueError(
                "policy.deepspeed is true, and deepspeed is not installed: pip install deepspeed, or "
                "set it false"
            ) from None
        held = deepspeed.init_inference(network, dtype=dtype, replace_with_kernel_inject=False)
    return held.module


def identity(folder: Path, config: PolicyConfig) -> str:
    """16 hex digits of what decides the answers: weights, tokenizer, prompt format."""
    path, _ = locate(folder)
    digest = hashlib.sha256()
    files = sorted(each for each in path.iterdir() if _DECISIVE.fullmatch(each.name))
    if config.prompt is not None:
        files.append(Path(config.prompt))
    for each in files:
        try:
            with each.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ValueError(f"{each}: {error.strerror or error}") from None
    return digest.hexdigest()[:16]
