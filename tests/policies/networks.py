"""Small random networks, their weights folders, services of them, and served ranks."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import torch

from leanfleet.config import PolicyConfig
from leanfleet.messages import Goal
from leanfleet.model.checkpoint import Checkpoint, save
from leanfleet.model.config import ModelConfig
from leanfleet.model.initialise import new_network
from leanfleet.model.network import Network
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.policies.service import PolicyService
from leanfleet.policies.weights import open_weights

CONFIG = PolicyConfig(longest=12, lanes=8, width=4, device="cpu")
SETTINGS = ("longest=12", "lanes=8", "width=4", "threads=1", "device=cpu")


def network(tokenizer: Tokenizer, seed: int = 1, **changes) -> Network:
    """Answers that end: the end token is made likely."""
    shape = {
        "name": "test",
        "layers": 2,
        "width": 32,
        "heads": 2,
        "inner_width": 48,
        "vocabulary": tokenizer.size,
        "context": 160,
        "tied_embeddings": False,
    }
    made = new_network(ModelConfig(**(shape | changes)), seed)
    with torch.no_grad():
        # One direction is in every hidden state, and the end token's logit is along it.
        made.embedding.weight.mul_(20).add_(0.5)
        made.head.weight.mul_(8)
        made.head.weight[tokenizer.roles.end] = 6.0 / made.config.width
    return made


def save_weights(folder: Path, tokenizer: Tokenizer, seed: int = 1, **changes) -> Path:
    """A complete folder of ours."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    save(Checkpoint(network(tokenizer, seed, **changes), tokenizer), folder)
    return folder


@contextlib.asynccontextmanager
async def serving(folder: Path, config: PolicyConfig = CONFIG) -> AsyncIterator[PolicyService]:
    """A started service."""
    opened = open_weights(folder, config)
    started = PolicyService(
        opened, company_seconds=config.company_seconds, queue_limit=config.queue_limit
    )
    async with started:
        yield started


def goal(text: str) -> Goal:
    return Goal(text, text.rpartition("⊢ ")[2])


@contextlib.asynccontextmanager
async def rank(folder, weights, task=0, *settings):
    """`leanfleet policy serve` as a process, published under `folder`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "leanfleet.cli", "policy", "serve", "--weights", str(weights)),
        *("--keys", str(folder / "keys"), "--endpoints", str(folder / "endpoints")),
        *("--task", str(task)),
        *(f"--set=policy.{setting}" for setting in (*SETTINGS, *settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(90):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("ready: tcp://"), (await process.stderr.read()).decode()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
