"""Are the theorems what they are said to be: does every statement elaborate, is every label true?

Asks a Lean client that it is given; knows nothing of processes and files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from leanfleet.lean.client import LeanClient
from leanfleet.messages import LeanError, Theorem
from leanfleet.theorems.shipped import Label

AT_ONCE = 16  # requests in flight


@dataclass(frozen=True)
class Fault:
    """`machine`: Lean failed, so nothing is known of the theorem."""

    theorem: Theorem
    message: str
    machine: bool = False


async def elaborate(
    lean: LeanClient, theorems: Sequence[Theorem], on_done: Callable[[], None] = lambda: None
) -> list[Fault]:
    """The theorems whose header or statement Lean does not take. Raises LeanUnavailable."""

    async def one(theorem: Theorem) -> Fault | None:
        state = await lean.open(theorem)
        if isinstance(state, LeanError):
            return Fault(theorem, f"{state.kind}: {state.message}", state.kind.is_machine)
        await lean.forget([state])
        return None

    return await _each(theorems, one, on_done)


async def verify_labels(
    lean: LeanClient,
    theorems: Sequence[Theorem],
    labels: Mapping[str, Label],
    on_done: Callable[[], None] = lambda: None,
) -> list[Fault]:
    """The theorems whose label has no proof that Lean accepts. Raises LeanUnavailable."""

    async def one(theorem: Theorem) -> Fault | None:
        label = labels.get(theorem.name)
        if label is None:
            return Fault(theorem, "has no label")
        judged = theorem
        if not label.label:
            judged = Theorem(f"{theorem.name}_refuted", label.refuted, theorem.header)
        verdict = await lean.verify(judged, label.proof)
        if isinstance(verdict, LeanError):
            return Fault(theorem, f"{verdict.kind}: {verdict.message}", verdict.kind.is_machine)
        if not verdict.accepted:
            return Fault(theorem, f"label {label.label}: {verdict.reason}: {verdict.message}")
        return None

    return await _each(theorems, one, on_done)


async def _each(
    theorems: Sequence[Theorem],
    one: Callable[[Theorem], object],
    on_done: Callable[[], None],
) -> list[Fault]:
    places = asyncio.Semaphore(AT_ONCE)

    async def limited(theorem: Theorem) -> Fault | None:
        async with places:
            fault = await one(theorem)
            on_done()
            return fault

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(limited(theorem)) for theorem in theorems]
    return [fault for task in running if (fault := task.result()) is not None]
