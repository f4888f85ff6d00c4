"""What TensorBoard shows of a hub: means over the games since the last point, and where the run stands.

The step is the number of finished games. Groups: search, lean, policy, matchmaker, system; the learner
and the evaluator write their own, learner and eval. docs/run.md lists them.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.messages import (
    ErrorKind,
    GameOutcome,
    GameResult,
    HubStatus,
    LeanStatus,
    PolicyStatus,
    Theorem,
)
from leanfleet.rl.ledger import Game
from leanfleet.rl.records import Judged
from leanfleet.theorems.provenance import provenance

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger("leanfleet.board")

EVERY_SECONDS = 10.0
MAX_SAMPLE = 4_000  # characters of a proof shown as text


class Board:
    """One writer for one folder."""

    def __init__(self, folder: Path, theorems: Sequence[Theorem]) -> None:
        self._theorems, self._folder = theorems, folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="board")
        self._making = self._thread.submit(_writer, folder)
        self._sums: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
        self._counts: dict[str, int] = defaultdict(int)
        self._sample = ""
        self._servers: dict[str, float] = {}  # what they said last, all together
        self._written = time.monotonic()

    def finished(self, game: Game, result: GameResult) -> None:
        """A game's result, told for the first time. A claim is solved when it is judged."""
        self._counts[f"search/games_{result.outcome}"] += 1
        if result.outcome in (GameOutcome.ERROR, GameOutcome.REFUSED):
            return
        if result.outcome is GameOutcome.FAILED:
            self._decided(game, solved=False)
        self._add("search/simulations", result.simulations)
        self._add("search/nodes", result.nodes)
        self._add("search/seconds", result.seconds)
        self._counts["lean/machine_errors"] += result.machine_errors
        self._add("policy/tokens_of_a_game", result.tokens)
        if result.tactics:
            self._add("lean/seconds_of_a_tactic", result.lean_seconds, result.tactics)
            self._add("lean/refused_tactics", result.failed, result.tactics)

    def _decided(self, game: Game, *, solved: bool) -> None:
        if game.disprove:
            self._add("search/disproof_rate", solved)
            return
        self._add("search/solved_rate", solved)
        found = provenance(self._theorems[game.theorem])
        if found is not None:
            self._add(f"search/solved_rate_tier_{found.tier}", solved)

    def judged(self, game: Game, result: GameResult, record: Judged) -> None:
        """A verdict on a result's claim."""
        self._counts["search/claims_given_up"] += record.machine
        if record.machine:
            return
        self._decided(game, solved=bool(record.verdict))
        self._add("search/claims_refused", not record.verdict)
        if record.verdict:
            self._add("search/simulations_of_a_proof", result.simulations)
        if record.verdict and record.length:
            self._add("search/proof_length", record.length)
        if record.verdict:
            theorem = self._theorems[game.theorem]
            way = "disproof of " if game.disprove else ""
            text = f"{way}{theorem.statement} := by\n{record.proof}"[:MAX_SAMPLE]
            self._sample = "\n".join("    " + line for line in text.split("\n"))  # markdown: code

    def servers(self, lean: Sequence[LeanStatus], policy: Sequence[PolicyStatus]) -> None:
        """What all of them say: sums, and for the network's batches and speed means."""
        if lean:
            self._servers |= _of_lean(lean)
        if policy:
            self._servers |= _of_policy(policy)

    def write(self, status: HubStatus) -> None:
        """A point, unless the last one is too near. One that a full disk does not take is left out."""
        if time.monotonic() - self._written < EVERY_SECONDS or not self._making.done():
            return
        self._written = time.monotonic()
        try:
            self._write(self._making.result(), status)
        except OSError as error:
            log.warning("%s: %s", self._folder, error)
            self._making = self._thread.submit(_writer, self._folder)

    def _write(self, writer: SummaryWriter, status: HubStatus) -> None:
        step = status.counts["finished"]
        for name, (total, count) in self._sums.items():
            writer.add_scalar(name, total / count, step)
        for name, count in self._counts.items():
            writer.add_scalar(name, count, step)
        self._sums.clear()
        for name, value in self._servers.items():
            writer.add_scalar(name, value, step)
        for standing, count in status.standings.items():
            writer.add_scalar(f"matchmaker/{standing}", count, step)
        writer.add_scalar("policy/version", status.version, step)
        writer.add_scalar("system/games_per_hour", status.games_per_hour, step)
        writer.add_scalar("system/provers", len(status.workers), step)
        writer.add_scalar("system/replay_rows", status.rows, step)
        for name in ("in_flight", "to_judge", "parts_to_judge", "expired", "proofs", "disproofs"):
            writer.add_scalar(f"system/{name}", status.counts[name], step)
        for name, count in (("closed_goals", "parts"), ("closed_goals_refused", "parts_refused")):
            writer.add_scalar(f"search/{name}", status.counts[count], step)
        if self._sample:
            writer.add_text("search/a_proof", self._sample, step)
            self._sample = ""
        writer.flush()

    def close(self) -> None:
        """A point that is on its way to a full disk is lost."""
        try:
            if self._making.done():
                self._making.result().close()
        except OSError as error:
            log.warning("%s: %s", self._folder, error)
        self._thread.shutdown(wait=False)

    def _add(self, name: str, value: float, count: int = 1) -> None:
        total, before = self._sums[name]
        self._sums[name] = total + float(value), before + count


def _of_lean(servers: Sequence[LeanStatus]) -> dict[str, float]:
    """Counts are since each server started."""
    processes = [each for server in servers for each in server.processes]
    found = {
        "lean/servers": len(servers),
        "lean/queued": sum(each.queued for each in servers),
        "lean/sessions": sum(each.sessions for each in servers),
        "lean/states": sum(each.states for each in servers),
        "lean/steps": sum(each.steps for each in servers),
        "lean/replays": sum(each.replays for each in servers),
        "lean/restarts": sum(sum(each.restarts.values()) for each in servers),
        "lean/busy_processes": sum(each.state == "busy" for each in processes),
        "lean/memory_gb": sum(each.rss_bytes for each in processes) / 2**30,
    }
    for kind in ErrorKind:
        found[f"lean/errors_{kind}"] = sum(each.errors.get(kind, 0) for each in servers)
    return found


def _of_policy(ranks: Sequence[PolicyStatus]) -> dict[str, float]:
    prompts = sum(each.cache_hits + each.cache_misses for each in ranks)
    return {
        "policy/ranks": len(ranks),
        "policy/queued": sum(each.queued for each in ranks),
        "policy/running": sum(each.running for each in ranks),
        "policy/tokens_per_second": sum(each.tokens_per_second for each in ranks),
        "policy/rows_of_a_step": sum(each.batch for each in ranks) / len(ranks),
        "policy/without_network": sum(each.no_prompt for each in ranks),
        "policy/times_busy": sum(each.busy for each in ranks),
        "policy/cached_prompts": sum(each.cache_hits for each in ranks) / max(prompts, 1),
    }


def _writer(folder: Path) -> SummaryWriter:
    """In a thread of its own: torch takes seconds to import, and the hub has work to do."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
