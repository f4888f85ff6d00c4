"""The Lean drivers that this machine can run, for tests that play the same thing on each."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import cache

from leanfleet.lean import toolchain
from leanfleet.lean.environment import Environment

NAMES = ("registry", "native", "fake")


@cache
def lacking(name: str) -> str | None:
    """Why this machine can't run a driver; None where it can."""
    if name == "registry" and toolchain.installed() is None:
        return "no registry Lean: `leanfleet lean install`"
    if name == "native" and _native() is None:
        return "no native Lean with a REPL on the path: the native driver is untested here"
    return None


@contextlib.asynccontextmanager
async def started(name: str) -> AsyncIterator[Environment]:
    """One process of a driver, ready; ended afterwards."""
    environment = _make(name)
    try:
        await environment.start()
        yield environment
    finally:
        await environment.close()


def _make(name: str) -> Environment:
    if name == "fake":
        from leanfleet.lean.fake import FakeLean

        return FakeLean()
    if name == "native":
        from leanfleet.lean.native import NativeLean

        return NativeLean(_native())
    from leanfleet.lean.registry import RegistryLean

    return RegistryLean(toolchain.installed())


@cache
def _native() -> toolchain.NativePaths | None:
    from leanfleet.config import LeanConfig

    found = toolchain.find_native(LeanConfig())
    return None if found is None else found.paths
