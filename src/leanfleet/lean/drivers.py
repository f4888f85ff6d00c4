"""From the configuration to Lean processes: which driver, with which limits. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leanfleet.lean import toolchain
from leanfleet.lean.environment import Environment
from leanfleet.lean.pool import PoolOptions
from leanfleet.lean.process import ProcessOptions
from leanfleet.lean.server import ServerOptions

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig

MB = 2**20
NODE_MB = 500  # resident in a process besides Lean's heap: Node, compiled code, its own stack
RECYCLE_SHARE = 0.65  # of the memory limit: a process that large between calls is replaced
MEASURE_SECONDS = 0.1  # between two looks at a process's memory: they cost 0.08 ms
GROWTH_SHARE = 0.3  # of Lean's heap: by so much one tactic may make it grow


def factory(lean: toolchain.Lean, config: LeanConfig) -> Callable[[str], Environment]:
    """`factory(...)(role)` is a new, unstarted process of this Lean; roles are search, verify."""
    from leanfleet.lean.allowlist import load_rules

    if lean.driver == "fake":
        from leanfleet.lean.fake import FakeLean

        return lambda role: FakeLean()
    if lean.driver == "native":
        from leanfleet.lean.native import NativeLean, NativeOptions

        paths = lean.paths
        assert isinstance(paths, toolchain.NativePaths)
        native = NativeOptions(
            memory_mb=config.memory_limit_mb, rules=load_rules().extended(config.allow)
        )
        return lambda role: NativeLean(paths, native)
    from leanfleet.lean.registry import RegistryLean, RegistryOptions

    assert isinstance(lean.paths, toolchain.RegistryPaths)
    paths = lean.paths
    heap_mb = max(config.memory_limit_mb - NODE_MB, config.memory_limit_mb // 2)
    registry = RegistryOptions(
        memory_mb=heap_mb,
        growth_mb=int(heap_mb * GROWTH_SHARE),
        rules=load_rules().extended(config.allow),
    )
    return lambda role: RegistryLean(paths, registry)


def pool_options(config: LeanConfig) -> PoolOptions:
    return PoolOptions(
        search=config.processes,
        verify=config.verify_processes,
        queue_limit=config.queue_limit,
        process=ProcessOptions(
            memory_bytes=int(config.memory_limit_mb * RECYCLE_SHARE) * MB,
            measure_seconds=MEASURE_SECONDS,
            recycle_steps=config.recycle_steps,
        ),
    )


def server_options(config: LeanConfig) -> ServerOptions:
    """A client may ask for more than a tactic's usual limits, such as for a verdict."""
    usual = ServerOptions()
    return ServerOptions(
        lease_seconds=config.lease_seconds,
        max_heartbeats=max(config.heartbeats, usual.max_heartbeats),
        max_seconds=max(config.seconds, usual.max_seconds),
    )
