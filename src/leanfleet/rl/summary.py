"""summary.json of a run: counts that reconcile, evaluations, versions, time by stage. Pure."""

from __future__ import annotations

from typing import Any

from leanfleet.rl.hub import accounts
from leanfleet.rl.matchmaker import Standing
from leanfleet.rl.story import Story, Sums
from leanfleet.rl.told import RunFiles

EVALUATION_FIELDS = (
    "step", "policy_version", "split", "simulations", "attempts", "solved", "total",
)  # fmt: skip


def summarise(story: Story, run: RunFiles) -> dict[str, Any]:
    """Its content. Before a run has begun all counts are 0."""
    books = accounts(story.ledger) if story.ledger else {}
    matchmaker = story.ledger.matchmaker if story.ledger else None
    standings = matchmaker.counts() if matchmaker else {}
    refused = story.ledger.left_out(Standing.REFUSED, story.name) if story.ledger else ()
    proved = [told for told in story.told.values() if told.length is not None]
    begun = story.begun
    return {
        "run": run.config.name,
        "begun": begun is not None,
        "contradictions": [story.name(theorem) for theorem in story.contradictions],
        "over": run.over,
        "theorems": {
            "content": begun.content if begun else None,
            "seed": begun.seed if begun else run.config.seed,
        },
        "counts": {
            "theorems": begun.theorems if begun else len(run.theorems),
            "attempted": len(story.told),
            "proved": sum(not told.disproof for told in proved),
            "disproved": sum(told.disproof for told in proved),
            "games": story.finished,
            "proofs": books.get("proofs", 0),
            "disproofs": books.get("disproofs", 0),
            "transitions": books.get("rows", 0),
            "errors": {
                "games": dict(story.errors.most_common()),
                "claims_refused": dict(story.reasons.most_common()),
                "not_elaborated": books.get("not_elaborated", 0),
                "machine": story.machine_errors,
                "tactics_refused": story.refused_tactics,
            },
        },
        "accounts": books,
        "checks": checks(story, run),
        "standings": {str(name): count for name, count in standings.items()},
        "quarantined": quarantined(story),
        "not_elaborated": [{"theorem": name, "reason": reason} for name, reason in refused],
        "eval": [
            {name: getattr(line, name) for name in EVALUATION_FIELDS} for line in run.evaluations
        ],
        "best_version": run.best,
        "cost": cost(story.all) | _cpu_cost(story, run),
        "groups": {
            kind: {
                name: cost(sums)
                for (other, name), sums in sorted(story.groups.items())
                if other == kind
            }
            for kind in dict.fromkeys(kind for kind, _ in sorted(story.groups))
        },
        "versions": run.code,
        "seconds": _stages(story, run),
    }


def quarantined(story: Story) -> list[dict[str, Any]]:
    """The theorems that are attempted no more since machines failed at them, and what failed last."""
    if story.ledger is None or story.ledger.matchmaker is None:
        return []
    records = story.ledger.matchmaker.records
    return [
        {
            "theorem": story.name(theorem),
            "errors_in_a_row": records[theorem].errors_in_a_row,
            "reason": reason,
        }
        for theorem, reason in sorted(story.ledger.reasons.items())
        if story.standing(theorem) is Standing.QUARANTINED
    ]


def cost(sums: Sums) -> dict[str, Any]:
    """What games took, and what a solved one took, failures included; None where none was solved."""

    def per(value: float) -> float | None:
        return round(value / sums.solved, 3) if sums.solved else None

    return {
        "games": sums.games,
        "solved": sums.solved,
        "rate": round(sums.solved / sums.games, 4) if sums.games else None,
        "simulations": sums.simulations,
        "tactics": sums.tactics,
        "tokens": sums.tokens,
        "lean_seconds": round(sums.lean_seconds, 3),
        "simulations_per_solved": per(sums.simulations),
        "lean_seconds_per_solved": per(sums.lean_seconds),
        "tokens_per_solved": per(sums.tokens),
    }


def _cpu_cost(story: Story, run: RunFiles) -> dict[str, float | None]:
    """CPU seconds of all roles but the evaluator, who proves nothing for the run."""
    spent = [seconds for role, seconds in run.cpu.items() if role != "evaluator"]
    solved, total = story.all.solved, sum(spent)
    return {
        "cpu_seconds": round(total, 1) if spent else None,
        "cpu_seconds_per_solved": round(total / solved, 1) if spent and solved else None,
    }


def checks(story: Story, run: RunFiles) -> list[dict[str, Any]]:
    """What must hold of the counts, each with both sides and whether it does."""
    if story.ledger is None:
        return []
    b = accounts(story.ledger)
    sides = [
        (
            "given = finished + handed back + expired + in flight",
            b["given"],
            b["finished"] + b["handed_back"] + b["expired"] + b["in_flight"],
        ),
        (
            "finished = failed + errors + not elaborated + claims",
            b["finished"],
            b["failed"] + b["errors"] + b["not_elaborated"] + b["claims"],
        ),
        (
            "claims = proofs + disproofs + refused + given up + to be judged",
            b["claims"],
            b["proofs"] + b["disproofs"] + b["refused"] + b["given_up"] + b["to_judge"],
        ),
        ("finished, as this report counted them", b["finished"], story.finished),
    ]
    if run.shards:
        rows = sum(shard.rows for shard in run.shards)
        sides.append(("rows in shards = rows of the claims that they name", rows, story.rows_at))
    return [
        {"what": what, "left": left, "right": right, "holds": left == right}
        for what, left, right in sides
    ]


def _stages(story: Story, run: RunFiles) -> dict[str, dict[str, float | None]]:
    """Wall and CPU seconds by stage; None: not told by the files of the run.

    search and lean: wall seconds are summed over games, which run side by side; policy: those in which
    an engine was at work, summed over engines. CPU seconds are those of
    the role's processes, with verdicts in lean's; of evaluation those of its Lean where its processes
    were not measured.
    """
    evaluated, policy = [line.seconds for line in run.evaluations], run.busy.get("policy")

    def cpu(role: str, otherwise: float | None = None) -> float | None:
        found = run.cpu.get(role, otherwise)
        return None if found is None else round(found, 1)

    return {
        "hub": {"wall": run.hub_seconds, "cpu": cpu("hub")},
        "search": {"wall": round(story.search_seconds, 1), "cpu": cpu("prover")},
        "lean": {"wall": round(story.lean_seconds, 1), "cpu": cpu("lean")},
        "policy": {"wall": None if policy is None else round(policy, 1), "cpu": cpu("policy")},
        "training": {"wall": round(run.training.seconds, 1), "cpu": cpu("learner")},
        "evaluation": {
            "wall": round(sum(evaluated), 1),
            "cpu": cpu("evaluator", run.evaluation_cpu if evaluated else None),
        },
    }
