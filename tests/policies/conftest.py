"""What the tests of policies share: a small tokenizer, a folder of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Honest proofs in Lean."""
    from leanfleet.model.corpora import corpus_files, corpus_texts

    return list(corpus_texts(corpus_files([ROOT / "tests" / "lean" / "honest"])))


@pytest.fixture(scope="session")
def tokenizer(texts):
    """Our own, of 600 tokens."""
    from leanfleet.model.tokenizer_train import train_tokenizer

    return train_tokenizer(texts, 600)


@pytest.fixture(scope="session")
def weights(tokenizer, tmp_path_factory) -> Path:
    from networks import save_weights

    return save_weights(tmp_path_factory.mktemp("weights") / "own", tokenizer)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small lose by a second thread, above all beside other work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
