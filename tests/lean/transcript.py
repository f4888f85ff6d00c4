"""Reading the transcripts of `conformance/`: what a driver is asked, and what it must answer.

    # What it shows.
    drivers: registry native            who can play it
    header: notation "ℕ" => Nat         any number of lines, optional
    theorem: theorem t (p : Prop) : …   the statement
    limits: heartbeats=1                of its tactics, optional

    open s0                             the first state is called s0, and prints so:
    | p : Prop
    | ⊢ p → p

    s0 > intro h                        a tactic run on s0; its other lines begin with `>` too
    group s1                            one independent group; `|` alone divides its goals
    | p : Prop
    | h : p
    | ⊢ p

    s1 > exact h                        `done`: no group is left
    done

    s1 > exact q                        `error KIND` with a kind of leanfleet.messages.ErrorKind
    error tactic

`message TEXT` after a tactic: one of the things it printed contains TEXT. Numbers of nameless
metavariables (`?m.123`) count only by the order in which they first appear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from leanfleet.messages import ErrorKind, Limits, Theorem

_FRESH = re.compile(r"(\?[\w✝]*)\.\d+(?:\.\d+)*")


@dataclass
class Expected:
    """A step and its answer: an error, or the named groups with the prints of their goals."""

    line: int
    state: str  # "" for `open`
    tactic: str
    error: ErrorKind | None = None
    groups: list[tuple[str, list[str]]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@dataclass
class Transcript:
    path: Path
    drivers: list[str]
    theorem: Theorem
    limits: Limits
    steps: list[Expected]


def read_transcript(path: Path) -> Transcript:
    """Raises ValueError with file and line for anything it does not know."""
    fields: dict[str, list[str]] = {}
    steps: list[Expected] = []
    answered = True
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        step = steps[-1] if steps else None
        if match := re.fullmatch(r"(drivers|header|theorem|limits): (.*)", line):
            fields.setdefault(match[1], []).append(match[2])
        elif match := re.fullmatch(r"open (\w+)", line):
            steps.append(Expected(number, "", "", groups=[(match[1], [])]))
        elif match := re.fullmatch(r"(s\d+) > (.*)", line):
            steps.append(Expected(number, match[1], match[2]))
            answered = False
        elif step and not answered and (match := re.fullmatch(r" +>(?: (.*))?", line)):
            step.tactic += "\n" + (match[1] or "")
        elif step and (match := re.fullmatch(r"group (\w+)", line)):
            step.groups.append((match[1], []))
            answered = True
        elif step and (match := re.fullmatch(r"\|(?: (.*))?", line)):
            step.groups[-1][1].append(match[1] or "")
        elif step and (match := re.fullmatch(r"error (\w+)", line)):
            step.error = ErrorKind(match[1])
            answered = True
        elif step and (match := re.fullmatch(r"message (.*)", line)):
            step.messages.append(match[1])
            answered = True
        elif step and line == "done":
            answered = True
        elif line and not line.startswith("#"):
            raise ValueError(f"{path.name}:{number}: what is this? {line!r}")
    limits = dict(pair.split("=") for pair in " ".join(fields.get("limits", [])).split())
    theorem = Theorem("t", fields["theorem"][0], "\n".join(fields.get("header", [])))
    for step in steps:
        step.groups = [(name, "\n".join(lines).split("\n\n")) for name, lines in step.groups]
    return Transcript(
        path,
        fields["drivers"][0].split(),
        theorem,
        Limits(int(limits.get("heartbeats", 20_000)), float(limits.get("seconds", 20.0))),
        steps,
    )


def renumbered(goals: list[str]) -> list[str]:
    """Prints of one state with the numbers of fresh metavariables in order of appearance."""
    numbers: dict[str, int] = {}

    def rename(match: re.Match[str]) -> str:
        return f"{match[1]}.{numbers.setdefault(match[0], len(numbers) + 1)}"

    return [_FRESH.sub(rename, goal) for goal in goals]
