"""From rows to what may be said: counts, rates with intervals, curves, costs.

A theorem counts when the Lean at hand elaborates it and at least one attempt at it came to an end.
Theorems that do not elaborate, and those that only met machine errors, are counted apart and never
as failures. Nothing here touches files or Lean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leanfleet.evaluate.passk import bootstrap_mean, pass_at_k, wilson
from leanfleet.evaluate.results import Attempt, Class, last_rows
from leanfleet.evaluate.settings import Manifest
from leanfleet.messages import Theorem

ENDED = (Class.PROVED, Class.NOT_PROVED, Class.EXHAUSTED, Class.TIME)
BUDGETS = (1, 2, 4, 8, 16, 25, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)


@dataclass(frozen=True)
class Outcome:
    """What is known of one theorem. `rows`: the row that counts of each attempt, in order."""

    theorem: Theorem
    rows: tuple[Attempt, ...]

    @property
    def ended(self) -> tuple[Attempt, ...]:
        return tuple(row for row in self.rows if row.outcome in ENDED)

    @property
    def proofs(self) -> tuple[Attempt, ...]:
        return tuple(row for row in self.rows if row.outcome is Class.PROVED)

    @property
    def verdict(self) -> Class | None:
        """The best that an attempt came to; None: nothing was tried."""
        found = {row.outcome for row in self.rows}
        order = (*ENDED[:1], Class.NOT_ELABORATED, *ENDED[1:], Class.ERROR)
        return next((outcome for outcome in order if outcome in found), None)

    def rate(self, allowed: Callable[[Attempt], bool] = lambda _: True) -> float:
        """The share of the ended attempts that proved it within what is allowed."""
        return sum(map(allowed, self.proofs)) / len(self.ended)


@dataclass(frozen=True)
class Labels:
    """Which statements are known to be false: a proof of one is a failure of the verdict."""

    true: frozenset[str] = frozenset()
    false: frozenset[str] = field(default_factory=frozenset)


def outcomes(theorems: Sequence[Theorem], rows: Sequence[Attempt]) -> list[Outcome]:
    """One for each theorem, in the order of the benchmark."""
    by_theorem: dict[str, list[Attempt]] = {}
    for (name, _), row in sorted(last_rows(rows).items()):
        by_theorem.setdefault(name, []).append(row)
    return [Outcome(theorem, tuple(by_theorem.get(theorem.name, ()))) for theorem in theorems]


def counted(found: Sequence[Outcome]) -> list[Outcome]:
    """Those that rates are about."""
    return [one for one in found if one.ended and one.verdict is not Class.NOT_ELABORATED]


def summarise(
    manifest: Manifest, found: Sequence[Outcome], labels: Labels | None = None
) -> dict[str, Any]:
    """The content of summary.json."""
    settings = manifest.settings
    base = counted(found)
    verdicts = [one.verdict for one in found]
    rows = [row for one in found for row in one.rows]
    attempted = {row.theorem for row in rows}
    refused = [one for one in found if one.verdict is Class.NOT_ELABORATED]
    refused_names = {one.theorem.name for one in refused}
    open_attempts = sum(
        max(settings.attempts - len(one.rows), 0)
        for one in found
        if one.theorem.name not in refused_names
    ) + sum(row.outcome is Class.ERROR for row in rows)
    solved = sum(verdict is Class.PROVED for verdict in verdicts)
    summary: dict[str, Any] = {
        "benchmark": {
            "name": manifest.benchmark,
            "content": manifest.content,
            "theorems": manifest.theorems,
            "notes": list(manifest.notes),
        },
        "lean": manifest.lean,
        "versions": manifest.versions,
        "started": manifest.started,
        "complete": open_attempts == 0,
        "attempts_left": open_attempts,
        "counts": {
            "theorems": len(found),
            "counted": len(base),
            "solved": solved,
            "not_proved": verdicts.count(Class.NOT_PROVED),
            "exhausted": verdicts.count(Class.EXHAUSTED),
            "time": verdicts.count(Class.TIME),
            "not_elaborated": len(refused),
            "errors": verdicts.count(Class.ERROR),
            "not_tried": len(found) - len(attempted),
            "attempts": len(rows),
            "attempts_disturbed": sum(
                row.machine_errors > 0 and row.outcome in ENDED and row.outcome is not Class.PROVED
                for row in rows
            ),
            "without_network": sum(row.without_network for row in rows),
        },
        "solved": _share(solved, len(base)),
        "pass_at": pass_rates(base, settings.attempts),
        "solved_at_simulations": solved_at(base, settings.simulations),
        "groups": groups(base),
        "cost": cost(found),
        "eval": {
            "policy": settings.policy,
            "simulations": settings.simulations,
            "attempts": settings.attempts,
            "solved": solved,
            "total": len(base),
        },
        "settings": {name: getattr(settings, name) for name in settings.__struct_fields__},
    }
    summary["labels"] = judged(found, labels) if labels is not None else None
    return summary


def judged(found: Sequence[Outcome], labels: Labels) -> dict[str, Any]:
    """How the labelled statements came out; `false_proved` must be empty."""
    names = {one.theorem.name for one in found}
    proved = {one.theorem.name for one in found if one.verdict is Class.PROVED}
    return {
        "true": len(labels.true & names),
        "true_proved": len(labels.true & proved),
        "false": len(labels.false & names),
        "false_proved": sorted(labels.false & proved),
        "unlabelled": len(names - labels.true - labels.false),
    }


def pass_rates(base: Sequence[Outcome], attempts: int) -> dict[str, Any]:
    """pass@k for the powers of two up to the number of attempts, and for that number itself.

    The mean over the theorems with at least k ended attempts; the interval is a bootstrap over
    theorems (for one attempt Wilson's, which is right at 0 and 1 too).
    """
    ks = sorted({k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k < attempts} | {attempts})
    rates = {}
    for k in ks:
        values = [
            pass_at_k(len(one.ended), len(one.proofs), k) for one in base if len(one.ended) >= k
        ]
        if not values:
            continue
        if attempts == 1:
            low, high = wilson(int(sum(values)), len(values))
        else:
            low, high = bootstrap_mean(values)
        rates[str(k)] = {
            "value": float(np.mean(values)),
            "low": low,
            "high": high,
            "theorems": len(values),
        }
    return rates


def solved_at(base: Sequence[Outcome], simulations: int) -> dict[str, Any]:
    """The mean rate within smaller budgets, read from the same run: a search does not know its
    budget before it is over. Theorems are weighted equally, attempts within a theorem too."""
    budgets = sorted({budget for budget in BUDGETS if budget < simulations} | {simulations})
    if not base:
        return {}
    return {str(b): rate_within(base, lambda row, b=b: row.simulations <= b) for b in budgets}


def rate_within(base: Sequence[Outcome], allowed: Callable[[Attempt], bool]) -> dict[str, float]:
    values = [one.rate(allowed) for one in base]
    low, high = _interval(values)
    return {"value": float(np.mean(values)), "low": low, "high": high}


def curve(
    base: Sequence[Outcome], cost_of: Callable[[Attempt], float]
) -> list[tuple[float, float]]:
    """(cost, mean rate within that cost): a step at every proof."""
    steps: dict[float, float] = {}
    for one in base:
        for row in one.proofs:
            steps[cost_of(row)] = steps.get(cost_of(row), 0.0) + 1.0 / len(one.ended)
    total, points = 0.0, []
    for at in sorted(steps):
        total += steps[at]
        points.append((at, total / len(base)))
    return points


def group_keys(theorem: Theorem) -> dict[str, str]:
    """The groups that a theorem is in: its split, and what its source says, part by part."""
    keys = {"split": theorem.split} if theorem.split else {}
    if len(theorem.source) <= 60:
        parts = theorem.source.split("/")
        for number, part in enumerate(parts[:4], start=1):
            if part:
                keys["source" if len(parts) == 1 else f"source {number}"] = part
    return keys


def groups(base: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Solved and total of each group, where a kind of group divides the theorems at all."""
    found: dict[str, dict[str, list[bool]]] = {}
    for one in base:
        for kind, name in group_keys(one.theorem).items():
            found.setdefault(kind, {}).setdefault(name, []).append(bool(one.proofs))
    return {
        kind: {name: _share(sum(solved), len(solved)) for name, solved in sorted(members.items())}
        for kind, members in sorted(found.items())
        if 1 < len(members) <= 100
    }


def cost(found: Sequence[Outcome]) -> dict[str, Any]:
    """Totals, and the median and mean of an ended attempt, of a proved and of an unproved one."""
    ended = [row for one in found for row in one.ended]
    proved = [row for row in ended if row.outcome is Class.PROVED]
    unproved = [row for row in ended if row.outcome is not Class.PROVED]
    fields = (
        "simulations",
        "tactics",
        "lean_seconds",
        "lean_cpu_seconds",
        "model_tokens",
        "seconds",
    )
    return {
        name: {
            "total": _rounded(sum(getattr(row, name) for one in found for row in one.rows)),
            "attempt": _middle([getattr(row, name) for row in ended]),
            "proved": _middle([getattr(row, name) for row in proved]),
            "unproved": _middle([getattr(row, name) for row in unproved]),
        }
        for name in fields
    }


def _middle(values: Sequence[float]) -> Mapping[str, float] | None:
    if not values:
        return None
    return {"median": _rounded(float(np.median(values))), "mean": _rounded(float(np.mean(values)))}


def _rounded(value: float) -> float:
    return round(value, 4) if isinstance(value, float) else value


def _share(part: int, whole: int) -> dict[str, Any]:
    low, high = wilson(part, whole)
    rate = part / whole if whole else None
    return {"solved": part, "total": whole, "rate": rate, "low": low, "high": high}


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Wilson's where every value is 0 or 1, a bootstrap over theorems else."""
    if all(value in (0.0, 1.0) for value in values):
        return wilson(int(sum(values)), len(values))
    return bootstrap_mean(values)
