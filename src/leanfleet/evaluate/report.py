"""report.html: one page that needs no network, made from what is on disk.

All texts come from theorems and proofs, which are strangers': the templates escape everything, and
the page's own policy forbids it to load or send anything. The page is report.html.j2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leanfleet.evaluate.numbers import number_text, percent
from leanfleet.evaluate.plot import Curve, step_plot
from leanfleet.evaluate.registry import faults_among, recognise
from leanfleet.evaluate.results import PROOFS, Class, proof_file
from leanfleet.evaluate.settings import Manifest
from leanfleet.evaluate.summary import Labels, Outcome, counted, curve
from leanfleet.lean.compose import lean_file

MAX_ROWS = 5_000  # of the table; results.jsonl has them all

_WORDS = {
    Class.PROVED: "proved",
    Class.NOT_PROVED: "not proved",
    Class.EXHAUSTED: "exhausted",
    Class.TIME: "out of time",
    Class.NOT_ELABORATED: "not elaborated",
    Class.ERROR: "machine error",
    None: "not tried",
}


def render(
    manifest: Manifest,
    found: Sequence[Outcome],
    summary: dict[str, Any],
    labels: Labels | None = None,
) -> str:
    """The page's text."""
    names = [one.theorem.name for one in found]
    entry = recognise(names)
    faults = faults_among(entry, names)
    rows = [_row(one, manifest.settings.attempts, faults, labels) for one in found[:MAX_ROWS]]
    environment = Environment(
        loader=PackageLoader("leanfleet.evaluate", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["number"] = number_text
    return environment.get_template("report.html.j2").render(
        manifest=manifest,
        settings=manifest.settings,
        summary=summary,
        counts=summary["counts"],
        entry=entry,
        faults=[name for name in names if name in faults],
        rows=rows,
        sources=len({row["source"] for row in rows}) > 1 and all(_is_short(row) for row in rows),
        left_out=len(found) - len(rows),
        plots=_plots(manifest, found),
        words={str(key): word for key, word in _WORDS.items() if key is not None},
    )


def _row(
    one: Outcome, attempts: int, faults: dict[str, Any], labels: Labels | None
) -> dict[str, Any]:
    """What the table shows of a theorem; the shortest proof stands for all."""
    name = one.theorem.name
    rows = one.ended or one.rows
    best = min(one.proofs, key=lambda row: (len(row.proof), row.attempt), default=None)
    shown = best or (rows[0] if rows else None)
    label = ""
    if labels is not None:
        label = "false" if name in labels.false else "true" if name in labels.true else ""
    return {
        "name": name,
        "verdict": _WORDS[one.verdict],
        "class": str(one.verdict or "none"),
        "label": label,
        "alarm": label == "false" and best is not None,
        "source": one.theorem.source,
        "split": one.theorem.split,
        "rate": f"{len(one.proofs)}/{len(one.ended)}" if attempts > 1 else "",
        "simulations": shown.simulations if shown else 0,
        "tactics": shown.tactics if shown else 0,
        "cpu": shown.lean_cpu_seconds if shown else 0.0,
        "seconds": shown.seconds if shown else 0.0,
        "tokens": shown.model_tokens if shown else 0,
        "message": shown.message if shown and best is None else "",
        "fault": faults.get(name),
        "file": f"{PROOFS}/{proof_file(best, attempts)}" if best else "",
        "text": lean_file(one.theorem, best.proof) if best else "",
        "statement": one.theorem.statement,
    }


def _is_short(row: dict[str, Any]) -> bool:
    """Whether its source fits into a column."""
    return len(row["source"]) <= 40


def _plots(manifest: Manifest, found: Sequence[Outcome]) -> list[Markup]:
    base = counted(found)
    if not base:
        return []
    attempt = "solved" if manifest.settings.attempts == 1 else "attempts that prove"
    longest = max(row.seconds for one in base for row in one.ended)
    plots = [
        ("simulations", lambda row: row.simulations, float(manifest.settings.simulations)),
        ("seconds of an attempt", lambda row: row.seconds, longest),
        ("CPU-seconds in Lean of an attempt", lambda row: row.lean_cpu_seconds, 0.0),
    ]
    return [
        Markup(  # escaped by step_plot
            step_plot(f"{attempt} against {what}", what, [Curve(attempt, curve(base, of))], end)
        )
        for what, of, end in plots
    ]
