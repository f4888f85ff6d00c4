"""The same transcripts on every driver of this machine: one protocol, several Leans.

See `transcript.py` for how to read the files of `conformance/`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from drivers import NAMES, lacking, started
from transcript import Expected, Transcript, read_transcript, renumbered

from leanfleet.lean.environment import Environment
from leanfleet.lean.native import NativeLean, NativeOptions
from leanfleet.lean.state import digest, render_goal
from leanfleet.lean.toolchain import NativePaths
from leanfleet.messages import LeanError, Limits, ProofState

TRANSCRIPTS = [
    read_transcript(path) for path in sorted((Path(__file__).parent / "conformance").glob("*.txt"))
]


@pytest.mark.parametrize("driver", NAMES)
async def test_driver_plays_its_transcripts(driver: str):
    """One process plays all of them, as in real use; every difference is reported."""
    reason = lacking(driver)
    if reason is not None:
        if driver == "registry" and os.environ.get("CI") == "true":
            pytest.fail(f"CI runs everything, but: {reason}", pytrace=False)
        pytest.skip(reason)
    differences = []
    async with started(driver) as lean:
        for transcript in TRANSCRIPTS:
            if driver in transcript.drivers:
                differences += await play(lean, transcript)
        assert lean.alive, "a transcript ended the process"
    assert not differences, "\n\n".join(differences)


@pytest.mark.needs("registry_lean")
async def test_native_driver_on_the_registry_lean(tmp_path):
    """The native driver's wrapping, grouping and separating, with real Lean behind the protocol.

    Without the syntax check (it needs a compiler), so without the transcripts about it; and not
    with the real REPL: see `fakes/registry_repl.py` for what this can't show.
    """
    paths = NativePaths(repl=tmp_path / "repl", lean=Path("lean"))
    bridge = Path(__file__).parent.parent / "fakes" / "registry_repl.py"
    paths.repl.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{bridge}'\n")
    paths.repl.chmod(0o755)
    lean = NativeLean(paths, NativeOptions(start_seconds=60, check_syntax=False))
    differences, played = [], 0
    try:
        await lean.start()
        for transcript in TRANSCRIPTS:
            kinds = {step.error for step in transcript.steps}
            if "native" in transcript.drivers and not kinds & {"parse", "forbidden"}:
                differences += await play(lean, transcript, twice=False)
                played += 1
        assert lean.alive, "a transcript ended the process"
    finally:
        await lean.close()
    assert not differences, "\n\n".join(differences)
    assert played >= 25


def test_transcripts_cover_the_drivers():
    assert sum("registry" in transcript.drivers for transcript in TRANSCRIPTS) >= 25
    assert sum("fake" in transcript.drivers for transcript in TRANSCRIPTS) >= 3
    assert {step.error for t in TRANSCRIPTS for step in t.steps} >= {
        "parse",
        "forbidden",
        "tactic",
        "heartbeats",
    }


async def play(lean: Environment, transcript: Transcript, *, twice: bool = True) -> list[str]:
    """What differs. Each tactic runs twice: a state stays as it was, and answers the same."""
    states: dict[str, ProofState] = {}
    differences = []
    for step in transcript.steps:
        where = f"{transcript.path.name}:{step.line} {step.tactic!r} on {lean.name}"
        if not step.state:
            answer = await lean.open(transcript.theorem, Limits())
            again = await lean.open(transcript.theorem, Limits()) if twice else answer
        elif step.state not in states:
            differences.append(f"{where}: no state {step.state}, because of an earlier difference")
            continue
        else:
            state = states[step.state].id
            answer = await lean.run_tactic(state, step.tactic, transcript.limits)
            again = answer
            if twice:
                again = await lean.run_tactic(state, step.tactic, transcript.limits)
        if summary(answer) != summary(again):
            differences.append(f"{where}: a second try answers otherwise: {again}")
        wanted, got = expected_text(step), answer_text(answer)
        if wanted != got:
            why = answer.message if isinstance(answer, LeanError) else ""
            differences.append(f"{where}\n--- expected\n{wanted}\n--- got\n{got}\n{why}".rstrip())
            continue
        if isinstance(answer, LeanError):
            continue
        printed = "\n".join(getattr(answer, "messages", ()))
        differences += [f"{where} did not print {m!r}" for m in step.messages if m not in printed]
        for (name, _), group in zip(step.groups, groups_of(answer), strict=True):
            states[name] = group
            differences += [f"{where}: {problem}" for problem in problems_of(group)]
    await lean.forget([state.id for state in states.values()])
    return differences


def problems_of(state: ProofState) -> list[str]:
    """What is wrong with the fields that were read from the print."""
    return [
        f"the goal's fields do not give its print again: {goal}"
        for goal in state.goals
        if render_goal(goal).split() != goal.text.split()
    ]


def groups_of(answer) -> tuple[ProofState, ...]:
    return (answer,) if isinstance(answer, ProofState) else answer.groups


def summary(answer) -> list[str]:
    """What must be equal when the same is asked twice."""
    if isinstance(answer, LeanError):
        return [answer.kind]
    return [digest(state) for state in groups_of(answer)]


def expected_text(step: Expected) -> str:
    if step.error is not None:
        return f"error {step.error}"
    return "\n".join(map(group_text, [goals for _, goals in step.groups])) or "done"


def answer_text(answer) -> str:
    if isinstance(answer, LeanError):
        return f"error {answer.kind}"
    groups = [[goal.text for goal in state.goals] for state in groups_of(answer)]
    return "\n".join(map(group_text, groups)) or "done"


def group_text(goals: list[str]) -> str:
    return "group\n" + "\n\n".join(renumbered(goals))
