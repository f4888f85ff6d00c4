"""report.html of a run, at any time: one page that needs no network.

Texts come from theorems, proofs, logs and messages, which are strangers': the template escapes
everything, and the page's own policy forbids it to load or send anything. The page is report.html.j2;
its style and the table's script are those of an evaluation's report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leanfleet.evaluate.numbers import number_text, percent
from leanfleet.evaluate.passk import wilson
from leanfleet.lean.compose import proof_text
from leanfleet.rl.evaluation import EvaluationLine
from leanfleet.rl.lines import Line, legend, line_plot
from leanfleet.rl.matchmaker import Standing
from leanfleet.rl.story import FoundProof, Story
from leanfleet.rl.told import RunFiles

MAX_ROWS = 5_000  # of the table of theorems
MAX_TEXT = 20_000  # characters of a statement or a configuration's line
NEWEST_VERSIONS = 20
GAMES = 20  # that a point of a rate has at least

_WORDS = {Standing.REFUSED.value: "not elaborated"}
_KINDS = ("tier", "topic", "family")


@dataclass(frozen=True)
class Task:
    """A process of the run, as its launcher tells it."""

    role: str
    task: int
    state: str
    attempt: int
    restarts: int
    error: str = ""


def render(
    story: Story,
    run: RunFiles,
    summary: dict[str, Any],
    tasks: Sequence[Task] = (),
    now: datetime | None = None,
) -> str:
    """The page's text."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("leanfleet.rl", "."), PackageLoader("leanfleet.evaluate", ".")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number_text}
    rows, left_out = _rows(story)
    versions = sorted(story.versions.items())[-NEWEST_VERSIONS:]
    return environment.get_template("report.html.j2").render(
        run=run,
        summary=summary,
        counts=summary["counts"],
        made=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        broken=[check for check in summary["checks"] if not check["holds"]],
        plots=_plots(story, run),
        evaluations=[_evaluation(line) for line in run.evaluations],
        groups=[(kind, summary["groups"].get(kind, {})) for kind in _KINDS],
        versions=versions,
        newest=[_proof(story, proof) for proof in reversed(story.newest)],
        shortened=[_proof(story, proof) for proof in reversed(story.shortened)],
        hardest=[_proof(story, proof) for proof in sorted(story.hardest, reverse=True)],
        rows=rows,
        left_out=left_out,
        standings=[name for name, count in summary["standings"].items() if count],
        tasks=tasks,
        words=_WORDS,
    )


# --- curves ---------------------------------------------------------------------------------------


def _plots(story: Story, run: RunFiles) -> list[dict[str, Any]]:
    """Those that have points."""
    curves, training = story.curves, run.training.curves
    probe: dict[str, list[EvaluationLine]] = {}
    for line in run.evaluations:
        probe.setdefault(f"{line.split}, {line.simulations} simulations", []).append(line)
    timed = {  # of version 0 the run's clock may not yet go; other lines without a time are of old runs
        label: [line for line in lines if line.run_seconds > 0 or not line.policy_version]
        for label, lines in probe.items()
        if any(line.run_seconds > 0 for line in lines)
    }
    tiers = sorted(int(name) for kind, name in story.groups if kind == "tier")
    by_tier = [
        Line(f"tier {tier}", curves.rate(("tier", tier, "solved"), ("tier", tier, "games"), GAMES))
        for tier in tiers
    ]
    loss = [
        Line("trained on", training.rate("loss", "loss_count")),
        Line("held out", run.training.valid),
    ]
    per_game = f"finished games; a point is of {GAMES} or more"
    plots = [
        _plot(
            "Probe: solved against the version of the weights",
            "version of the weights",
            [_probe_line(label, lines, _version) for label, lines in probe.items()],
            percent=True,
        ),
        _plot(
            "Probe: solved against time",
            "hours that the run had been at work",
            [_probe_line(label, lines, _hours) for label, lines in timed.items()],
            percent=True,
        ),
        _plot(
            "Games that end in an accepted proof",
            per_game,
            [Line("all", curves.rate(("proof", "solved"), ("proof", "games"), GAMES)), *by_tier],
            percent=True,
        ),
        _plot(
            "Distinct theorems decided",
            "finished games",
            [Line("proved", curves.total("proved")), Line("disproved", curves.total("disproved"))],
        ),
        _plot("Training: loss", "steps", loss, zero=False),
        _plot(
            "Training: loss of the value",
            "steps",
            [Line("trained on", training.rate("value_loss", "value_loss_count"))],
            zero=False,
        ),
        _plot(
            "Version of the weights that played",
            per_game,
            [Line("mean", curves.rate("version", "games", GAMES))],
        ),
    ]
    return [plot for plot in plots if plot]


def _plot(title: str, x_label: str, lines: Sequence[Line], **options: bool) -> dict[str, Any]:
    lines = [line for line in lines if any(y for _, y in line.points)]
    if not lines:
        return {}
    svg = Markup(line_plot(title, x_label, lines, **options))  # escaped by line_plot
    return {"title": title, "svg": svg, "legend": legend(lines)}


def _probe_line(
    label: str, lines: Sequence[EvaluationLine], place: Callable[[EvaluationLine], float]
) -> Line:
    lines = sorted((line for line in lines if line.total), key=place)
    return Line(
        label,
        [(place(line), line.solved / line.total) for line in lines],
        [wilson(line.solved, line.total) for line in lines],
    )


def _version(line: EvaluationLine) -> float:
    return float(line.policy_version)


def _hours(line: EvaluationLine) -> float:
    return line.run_seconds / 3600


# --- tables ---------------------------------------------------------------------------------------


def _evaluation(line: EvaluationLine) -> dict[str, Any]:
    low, high = wilson(line.solved, line.total) if line.total else (0.0, 1.0)
    rate = line.solved / line.total if line.total else None
    return {"line": line, "rate": rate, "low": low, "high": high}


def _proof(story: Story, proof: FoundProof) -> dict[str, Any]:
    return {
        "name": story.name(proof.theorem),
        "found": proof,
        "text": _with_statement(story, proof.theorem, proof.disproof, proof.proof),
    }


def _with_statement(story: Story, theorem: int, disproof: bool, proof: str) -> str:
    """What a person can read. A disproof is of the negation, which only Lean can write down."""
    if not story.theorems:
        return proof
    statement = story.theorems[theorem]
    if disproof:
        return f"-- of the negation of\n{statement.statement[:MAX_TEXT]}\n\n{proof}"
    return proof_text(statement, proof)[: 4 * MAX_TEXT]


def _rows(story: Story) -> tuple[list[dict[str, Any]], int]:
    """Of the table of theorems, in their order; of too many, those that were attempted. The rest is
    counted."""
    if story.ledger is None or story.ledger.matchmaker is None:
        return [], 0
    total = len(story.ledger.matchmaker.records)
    chosen = list(range(total))
    if total > MAX_ROWS:
        chosen = sorted(story.told.keys() | story.ledger.reasons.keys())[:MAX_ROWS]
    return [_row(story, theorem) for theorem in chosen], total - len(chosen)


def _row(story: Story, theorem: int) -> dict[str, Any]:
    record = story.ledger.matchmaker.records[theorem]
    told = story.told.get(theorem)
    statement = story.theorems[theorem] if story.theorems else None
    text = statement.statement[:MAX_TEXT] if statement else ""
    if told and told.proof:
        text = _with_statement(story, theorem, told.disproof, told.proof)
    return {
        "name": story.name(theorem),
        "source": statement.source if statement else "",
        "standing": str(story.standing(theorem)),
        "reason": story.ledger.reasons.get(theorem, ""),  # why it is attempted no more
        "attempts": record.attempts,
        "proofs": record.proofs,
        "shortest": told.length if told and told.length else None,
        "first": told.first if told and told.first else None,
        "simulations": told.simulations if told else 0,
        "lean_seconds": told.lean_seconds if told else 0.0,
        "text": text,
    }
