"""The facts of one attempt, for its page: verdict, script, statistics, configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from leanfleet.lean.compose import proof_text
from leanfleet.treepage.page import Facts, Page
from leanfleet.treepage.rows import MAX_STATES, graph_rows

if TYPE_CHECKING:
    from leanfleet.prover import ProofResult, Statistics

_BADGES = {"proved": "proved", "disproved": "disproved", "bad_input": "bad", "error": "bad"}


def page_of(
    result: ProofResult,
    settings: Sequence[tuple[str, str]] = (),
    *,
    max_states: int = MAX_STATES,
) -> Page:
    """The page of an attempt that is over. `settings`: what the caller knows of its budget and Lean."""
    outcome = result.outcome.value
    search, verdict = result.search, result.verdict
    header = result.theorem.header.strip()
    facts = [Facts("Attempt", _counts(result.statistics))]
    if result.disproof is not None:
        facts.append(Facts("Of that, the search for a disproof", _counts(result.disproof)))
    if search is not None:
        facts.append(Facts("Graph", _graph(search)))
    if verdict is not None:
        axioms = ", ".join(verdict.axioms) or "none"
        pairs = (
            ("verdict", "accepted" if verdict.accepted else f"refused: {verdict.reason}"),
            ("axioms", axioms),
            ("key", verdict.key),
        )
        facts.append(Facts("Verifier", pairs))
    facts.append(Facts("Budget and Lean", tuple(settings)))
    if search is not None:
        constants = [
            (field.name, getattr(search.config, field.name)) for field in fields(search.config)
        ]
        facts.append(Facts("Search", tuple((name, f"{value:g}") for name, value in constants)))
    return Page(
        name=result.theorem.name,
        outcome=outcome.replace("_", " "),
        badge=_BADGES.get(outcome, ""),
        blocks=tuple(_blocks(result)),
        folded=(("Header", header),) if header else (),
        message=result.message,
        figures=_figures(result.statistics),
        facts=tuple(part for part in facts if part.pairs),
        graph=graph_rows(search, max_states=max_states) if search is not None else None,
        graph_title=_graph_title(result),
    )


def _figures(statistics: Statistics) -> str:
    counts = ("simulation", statistics.simulations), ("state", statistics.nodes)
    parts = [f"{number:,} {what}{'' if number == 1 else 's'}" for what, number in counts]
    parts += [f"{statistics.tactics:,} tactics run", f"depth {statistics.depth}"]
    return " · ".join([*parts, f"{statistics.seconds:.1f} s"])


def _graph_title(result: ProofResult) -> str:
    if result.negation is not None:
        return "Search graph of the negation"
    return "Search graph of the theorem" if result.disproof is not None else "Search graph"


def _blocks(result: ProofResult) -> list[tuple[str, str]]:
    """Texts of Lean for the top of the page, the shortest way to read what was found."""
    blocks = []
    if result.negation is not None:
        blocks.append(("Theorem", result.theorem.statement))
        blocks.append(("Verified proof of its negation", proof_text(result.negation, result.proof)))
    elif result.proof:
        blocks.append(("Verified proof", proof_text(result.theorem, result.proof)))
    else:
        blocks.append(("Theorem", result.theorem.statement))
    return blocks


def _counts(statistics: Statistics) -> tuple[tuple[str, str], ...]:
    best = "" if statistics.best_value is None else f"{statistics.best_value:.3g}"
    rate = statistics.tactics / statistics.seconds if statistics.seconds else 0.0
    return (
        ("simulations", f"{statistics.simulations:,}"),
        ("tactics run", f"{statistics.tactics:,}, {statistics.failed:,} failed"),
        ("machine errors", f"{statistics.machine_errors:,}"),
        ("depth", f"{statistics.depth} tactics"),
        ("best value", best or "—"),
        ("heartbeats", f"{statistics.heartbeats:,}"),
        ("seconds", f"{statistics.seconds:.2f}, {statistics.lean_seconds:.2f} of them in Lean"),
        ("Lean steps/s", f"{rate:,.0f}"),
    )


def _graph(search) -> tuple[tuple[str, str], ...]:
    counts: dict[str, int] = {}
    for node in search.graph.nodes.values():
        counts[node.status.value] = counts.get(node.status.value, 0) + 1
    statistics = search.statistics
    return (
        ("states", ", ".join(f"{counts[name]:,} {name}" for name in sorted(counts))),
        ("tactics kept", f"{search.graph.edges:,}"),
        ("merged", f"{statistics.merged:,} reached what others had"),
        ("loops", f"{statistics.loops:,} led back to their own state"),
        ("failed replays", f"{statistics.replay_failures:,}"),
        ("outcome", search.outcome.value),
    )
