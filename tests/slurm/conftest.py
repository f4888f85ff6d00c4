"""The cluster of the tests: started for the first test that wants it, stopped after the last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slurm_cluster import Cluster


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster, monkeypatch) -> Iterator[Cluster]:
    """The same for all tests, which are to use `@pytest.mark.needs("slurm")`. What a test leaves
    running or queued is cancelled."""
    for name, value in _cluster.env.items():
        monkeypatch.setenv(name, value)
    yield _cluster
    _cluster.cancel_all()
