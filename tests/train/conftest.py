"""What the tests of training share: a small tokenizer, transitions, texts, and a chain of stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_training import HONEST, STAGE, drawn_transitions


@pytest.fixture(scope="session")
def tokenizer():
    """Of 600 tokens."""
    from leanfleet.model.corpora import corpus_files, corpus_texts
    from leanfleet.model.tokenizer_train import train_tokenizer

    return train_tokenizer(corpus_texts(corpus_files([HONEST])), 600)


@pytest.fixture(scope="session")
def tokenizer_folder(tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "tokenizer.json").write_bytes(tokenizer.json())
    return folder


@pytest.fixture(scope="session")
def shard(tmp_path_factory) -> Path:
    """300 transitions."""
    from leanfleet.train.transitions import write_shard

    path = tmp_path_factory.mktemp("transitions") / "a.parquet"
    write_shard(path, drawn_transitions(300))
    return path


@pytest.fixture(scope="session")
def make_config(tokenizer_folder, shard) -> Callable:
    """A chain of one sft stage, changed as its arguments say."""
    from leanfleet.train.config import TrainConfig

    def make(stages: list[dict] | None = None, **changes) -> TrainConfig:
        model = {"name": "t", "layers": 2, "width": 32, "heads": 2, "inner_width": 64}
        stage = {"name": "tactics", "kind": "sft", "data": [str(shard)]}
        whole = {
            "name": "test",
            "seed": 5,
            "model": model | {"vocabulary": 600, "context": 128},
            "tokenizer": str(tokenizer_folder),
            "threads": 1,
            "stages": [STAGE | stage | each for each in stages or [{}]],
        }
        return TrainConfig.model_validate(whole | changes)

    return make
