"""From the configuration to Lean processes: which driver, with which limits. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leanfleet.config import LEAST_MEMORY_MB
from leanfleet.lean import toolchain
from leanfleet.lean.environment import Environment
from leanfleet.lean.pool import PoolOptions
from leanfleet.lean.process import ProcessOptions
from leanfleet.lean.server import ServerOptions

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig

MB = 2**20
# Of memory_limit_mb, by driver. The registry Lean holds 540 MB after a few small theorems, whatever the
# limit: with 850 it is replaced so often that searches fail, below 740 it has too little heap to start.
LEAST_MB = {"registry": 900}
NODE_MB = 500  # resident in a process besides Lean's heap: Node, compiled code, its own stack
RECYCLE_SHARE = 0.65  # of the memory limit: a process that large between calls is replaced
MEASURE_SECONDS = 0.1  # between two looks at a process's memory: they cost 0.08 ms
GROWTH_SHARE = 0.3  # of Lean's heap: by so much one tactic may make it grow


def check_memory(lean: toolchain.Lean, config: LeanConfig) -> None:
    """Raises ValueError for a memory limit with which this Lean does not work."""
    least = LEAST_MB.get(lean.driver, 0)
    if config.memory_limit_mb < least:
        raise ValueError(
            f"lean.memory_limit_mb: {config.memory_limit_mb} is too little for the {lean.driver} Lean, "
            f"at least {least} are needed: a process holds 540 MB soon after its start, and is replaced "
            f"when it holds {RECYCLE_SHARE:.0%} of the limit"
        )


def least_memory_mb(driver: str) -> int:
    """The smallest limit that is not refused, of `auto` whichever Lean is found."""
    return max(LEAST_MB.values()) if driver == "auto" else LEAST_MB.get(driver, LEAST_MEMORY_MB)


def factory(lean: toolchain.Lean, config: LeanConfig) -> Callable[[str], Environment]:
    """`factory(...)(role)` is a new, unstarted process of this Lean; roles are search, verify.

    Raises ValueError as `check_memory`.
    """
    from leanfleet.lean.allowlist import load_rules

    check_memory(lean, config)
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
