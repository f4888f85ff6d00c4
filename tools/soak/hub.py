"""Soak of the hub: a thousand simulated provers, one real hub on a real disk, and accounts at the end.

The hub is `leanfleet role hub` but for its judge, which accepts and refuses by text. It is killed
(SIGKILL), stopped for longer than its leases (SIGSTOP), taken over by a second one, and its files are
kept from growing (as on a full disk) while provers work; with `--network` messages on their way are
lost, doubled, late and out of order, and connections are cut. At the end an independent reader of the
journal must find every acknowledged result once, with its outcome; the hub's counts must be the
journal's; every accepted proof must stand in the replay once; and the hub's memory must not grow with
its results (memory.py; sharpest with few provers and theorems, and no kills). `--folder` keeps the run,
so that a long one can be made in pieces (`--seconds`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgpack
import msgspec
from memory import LEAK_BYTES, ONCE_BYTES, Sample, leak, sample
from provers import CODES, Acknowledged, Fleet
from proxy import Middleman

from hpc import journal, run_folder
from leanfleet import eventloop
from leanfleet.messages import GameOutcome, HubStatus, Theorem
from leanfleet.rl import files
from leanfleet.rl.judge import Judgement
from leanfleet.rl.proofs import read_proofs
from leanfleet.rl.replay import read_manifests
from leanfleet.rl.theorems import write_theorems
from leanfleet.roles import hub as role
from leanfleet.train.transitions import Transition, read_shard

START_SECONDS = 60.0
SETTLE_SECONDS = 120.0
LOST_SECONDS = 2.0  # after which a reply counts as lost, on a bad network
CUT_SECONDS = 5.0  # that a connection lasts on one, on average
WINDOW = 5.0  # seconds of a window in which results are counted
SAMPLES = 50  # of memory, in all
JUDGED_RESULTS = 1_000_000  # a soak of so many must tell whether memory is flat
NEEDED = {"results_per_second": 2000, "restart_seconds": 10}
CONFIG = """\
name: soak-hub
seed: {seed}
hub: {{lease_seconds: {lease_seconds}, judges: 64}}
prover: {{search_seconds: {lease_seconds}}}
matchmaker: {{disproof: 0.01, retire_count: 10000, trust_count: 9999, quarantine: 1000}}
learner: {{start: nowhere}}
"""


class Kept(msgspec.Struct):
    """What later pieces of a soak go on from."""

    outcomes: dict[int, bytes] = {}
    sent_again: int = 0
    seconds: float = 0.0
    attempts: int = 0
    windows: list[float] = []  # results per second, nothing being done to the hub
    memory: list[Sample] = []
    starts: list[tuple[int, float]] = []  # results acknowledged, seconds until ready
    waits: list[float] = []
    faults: dict[str, int] = {}
    seen: dict[str, int] = {}
    network: dict[str, int] = {}


def main() -> int:
    options = _options()
    if options.serve:
        eventloop.run(role.serve(options.serve, options.attempt, judge=Judge()))
        return 0
    logging.getLogger("hpc.wire").setLevel(logging.ERROR)  # links that are lost are the point
    with tempfile.TemporaryDirectory(prefix="hub-soak-") as folder:
        return eventloop.run(_soak(options, options.folder or Path(folder)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/soak.sh hub", description=__doc__)
    parser.add_argument("--results", type=int, default=1_000_000, help="in all (%(default)s)")
    parser.add_argument("--provers", type=int, default=1000)
    parser.add_argument("--searches", type=int, default=32, help="of a prover (%(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="results of a message, on average")
    parser.add_argument("--think", type=float, default=0.0, help="seconds between batches")
    parser.add_argument("--theorems", type=int, default=80_000)
    parser.add_argument("--lease-seconds", type=float, default=15.0)
    parser.add_argument("--kills", type=int, default=4, help="SIGKILL (%(default)s)")
    parser.add_argument("--pauses", type=int, default=1, help="SIGSTOP, longer than a lease")
    parser.add_argument("--takeovers", type=int, default=1, help="a second hub is started")
    parser.add_argument("--full", type=int, default=1, help="times that the disk is full")
    parser.add_argument("--full-seconds", type=float, default=15.0)
    parser.add_argument(
        "--network", type=float, default=0.0, help="share of messages, for each fault on the way"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="of the run, kept; an earlier one goes on")
    parser.add_argument("--seconds", type=float, help="of this piece; the last is the accounts")
    parser.add_argument("--out", type=Path, help="the summary, as JSON")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--attempt", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


class Judge:
    """Claims say what becomes of them; one that is busy meets a machine's error first."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    async def __call__(
        self, theorem: Theorem, disprove: bool, proof: str, policy: str
    ) -> Judgement | None:
        await asyncio.sleep(0)
        if proof.startswith("lie"):
            return Judgement(reason="forbidden: it says so")
        if proof.startswith("busy") and proof not in self._busy:
            self._busy.add(proof)
            return None
        self._busy.discard(proof)
        row = Transition(
            theorem=theorem.name, state="⊢ True", tactic=proof, verdict="soak", policy=policy
        )
        return Judgement("soak", "", proof, 1, (row,))


# --- the hub's process ----------------------------------------------------------------------------


@dataclass
class Hub:
    run: Path
    kept: Kept
    acknowledged: Acknowledged
    process: asyncio.subprocess.Process | None = None
    old: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, note: bool = True) -> float:
        """Until it is ready; the seconds that took."""
        began = time.monotonic()
        command = [sys.executable, __file__, "--serve", str(self.run)]
        with (self.run / "hub.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(*command, "--attempt", str(self.kept.attempts)),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self.kept.attempts += 1
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self.process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line.startswith(b"ready:"):
            raise RuntimeError((self.run / "hub.log").read_text()[-4000:])
        seconds = time.monotonic() - began
        if note:
            self.kept.starts.append((self.acknowledged.count, round(seconds, 2)))
        return seconds

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()
        await self.start()

    async def pause(self, seconds: float) -> None:
        self.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    async def takeover(self) -> None:
        """A second one on the same run: the first must end by itself."""
        first = self.process
        await self.start()
        async with asyncio.timeout(START_SECONDS):
            if await first.wait() == 0:
                raise RuntimeError("a hub that was taken over ended as if nothing had happened")

    async def full(self, seconds: float) -> None:
        """None of its files can grow."""
        pid, (soft, hard) = self.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
        await asyncio.sleep(seconds)
        if self.process.returncode is not None:
            raise RuntimeError(f"a full disk ended the hub: {self.process.returncode}")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    async def stop(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()


# --- a piece --------------------------------------------------------------------------------------


async def _soak(options: argparse.Namespace, run: Path) -> int:
    kept_path = run / "soak.msgpack"
    if kept_path.exists():
        kept = msgspec.msgpack.decode(kept_path.read_bytes(), type=Kept)
    else:
        kept = Kept()
        run.mkdir(parents=True, exist_ok=True)
        run.chmod(0o700)
        text = CONFIG.format(seed=options.seed, lease_seconds=options.lease_seconds)
        run_folder.keep(run, run_folder.Contents("soak-hub", text))
        theorems = [Theorem(f"t{n}", f"theorem t{n} : True") for n in range(options.theorems)]
        write_theorems(run, theorems)
    acknowledged = Acknowledged(
        {epoch: bytearray(codes) for epoch, codes in kept.outcomes.items()},
        sum(len(codes) - codes.count(0) for codes in kept.outcomes.values()),
        kept.sent_again,
    )
    hub = Hub(run, kept, acknowledged)
    worked = False
    try:
        await hub.start()
        if acknowledged.count < options.results:
            await _piece(options, run, hub, kept, acknowledged)
            worked = True
        kept.outcomes = {epoch: bytes(codes) for epoch, codes in acknowledged.outcomes.items()}
        kept.sent_again = acknowledged.sent_again
        if worked and options.seconds is not None:  # the accounts are a piece of their own
            await hub.stop()
            kept_path.write_bytes(msgspec.msgpack.encode(kept))
            print(
                f"{acknowledged.count:,} of {options.results:,} results; go on with the same command"
            )
            return 0
        status = await _settled(run)
        await hub.stop()
        restarts = await _restarts(run, hub)
    finally:
        await hub.stop()
    summary = _summary(options, kept, acknowledged, status, _audit(run), restarts, run)
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0 if summary["ok"] else 1


async def _piece(
    options: argparse.Namespace, run: Path, hub: Hub, kept: Kept, acknowledged: Acknowledged
) -> None:
    fleet = Fleet(
        run,
        options.provers,
        options.searches,
        options.batch,
        options.think,
        options.lease_seconds,
        options.seed * 1000 + kept.attempts,
        acknowledged,
        patience=4 * options.lease_seconds + 2 * options.full_seconds + START_SECONDS,
        reply_seconds=LOST_SECONDS if options.network else role.REPLY_SECONDS,
    )
    began = time.monotonic()
    quiet = asyncio.Event()
    quiet.set()

    def enough() -> bool:
        timed = options.seconds is not None and time.monotonic() - began > options.seconds
        return (acknowledged.count >= options.results or timed) and quiet.is_set()

    beside = [
        asyncio.create_task(_watch(options, hub, kept, acknowledged, quiet)),
        asyncio.create_task(_faults(options, hub, kept, acknowledged, quiet)),
    ]
    middleman = Middleman(run, options.seed, options.network, CUT_SECONDS, LOST_SECONDS / 4)
    network = middleman.between() if options.network else nullcontext()
    await network.__aenter__()
    work = asyncio.create_task(fleet.work(enough))
    pending = {work, *beside}
    try:
        while not work.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in (work, *beside):
            task.cancel()
        await asyncio.gather(work, *beside, return_exceptions=True)
        await network.__aexit__(None, None, None)
    for name, count in middleman.done.items():
        kept.network[name] = kept.network.get(name, 0) + count
    kept.seconds += time.monotonic() - began
    kept.waits = (kept.waits + fleet.waits)[-100_000:]
    seen = {"silent": fleet.silent, "vanished": fleet.vanished, "unreachable": fleet.unreachable}
    for name, count in (seen | fleet.refusals).items():
        kept.seen[name] = kept.seen.get(name, 0) + count


async def _watch(options, hub: Hub, kept: Kept, acknowledged: Acknowledged, quiet) -> None:
    """Results of each window in which nothing was done to the hub; memory now and then."""
    step = max(1, options.results // SAMPLES)
    after = next((count for count, _, _ in reversed(kept.memory)), 0) // step
    while True:
        before, began, undisturbed = acknowledged.count, time.monotonic(), quiet.is_set()
        while time.monotonic() - began < WINDOW:
            await asyncio.sleep(0.1)
            if quiet.is_set() and hub.process.returncode is not None:
                raise RuntimeError((hub.run / "hub.log").read_text()[-4000:])
            undisturbed = undisturbed and quiet.is_set()
            if acknowledged.count // step > after:
                new = sample(hub.process.pid, acknowledged.count, kept.attempts - 1)
                kept.memory += new
                after = acknowledged.count // step if new else after
        rate = (acknowledged.count - before) / (time.monotonic() - began)
        if undisturbed and before:
            kept.windows.append(round(rate, 1))
        print(
            f"{time.strftime('%H:%M:%S')} {acknowledged.count:,} results, {rate:,.0f}/s"
            f"{'' if undisturbed else ' (disturbed)'}",
            file=sys.stderr,
            flush=True,
        )


async def _faults(options, hub: Hub, kept: Kept, acknowledged: Acknowledged, quiet) -> None:
    """Spread over the results, in a drawn order; those of earlier pieces are not done again."""
    draws = random.Random(options.seed)
    kinds = {
        "killed": options.kills,
        "paused": options.pauses,
        "taken over": options.takeovers,
        "disk full": options.full,
    }
    plan = [kind for kind, count in kinds.items() for _ in range(count)]
    draws.shuffle(plan)
    marks = [options.results * (place + 1) // (len(plan) + 1) for place in range(len(plan))]
    done = sum(kept.faults.values())
    for mark, kind in list(zip(marks, plan, strict=True))[done:]:
        while acknowledged.count < mark:
            await asyncio.sleep(0.02)
        quiet.clear()
        match kind:
            case "killed":
                await hub.kill()
            case "paused":
                await hub.pause(options.lease_seconds + 3)
            case "taken over":
                await hub.takeover()
            case "disk full":
                await hub.full(options.full_seconds)
        kept.faults[kind] = kept.faults.get(kind, 0) + 1
        before, patience = acknowledged.count, time.monotonic() + START_SECONDS
        while acknowledged.count < before + options.provers and time.monotonic() < patience:
            await asyncio.sleep(0.02)  # until provers are back
        quiet.set()


async def _settled(run: Path) -> HubStatus:
    """The hub's status once nothing is in flight or to be judged. Raises TimeoutError."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        status = await role.status(run, seconds=10.0)
        left = status.counts["in_flight"] + status.counts["to_judge"]
        if not left:
            return status
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {SETTLE_SECONDS:g} s: {status.counts}")
        await asyncio.sleep(0.3)


async def _restarts(run: Path, hub: Hub) -> dict[str, float]:
    """Seconds until a hub is ready that has all results in its journal."""
    found = {}
    found["restart_seconds"] = round(await hub.start(note=False), 2)
    await hub.stop()
    shutil.rmtree(run / files.JOURNAL / "snapshots", ignore_errors=True)
    found["restart_seconds_without_snapshots"] = round(await hub.start(note=False), 2)
    await hub.stop()
    found["start_seconds_of_an_empty_run"] = hub.kept.starts[0][1]
    return found


# --- the accounts ---------------------------------------------------------------------------------


@dataclass
class Audit:
    """The journal by an independent reader, and what was made of it."""

    given: int = 0
    finished: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    outcomes: dict[tuple[int, int], str] = field(default_factory=dict)  # of finished leases
    doubles: int = 0  # results in the journal that count for nothing
    accepted: set[str] = field(default_factory=set)  # proofs
    refused: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    improved: int = 0
    known: int = 0  # theorems with an accepted proof


def _audit(run: Path) -> Audit:
    found = Audit()
    status: dict[tuple[int, int], str] = {}
    theorem: dict[tuple[int, int], tuple[int, bool]] = {}
    claims: dict[tuple[int, int], str] = {}
    solved: set[tuple[int, bool]] = set()
    for data in journal.read(run / files.JOURNAL):
        kind, *values = msgpack.unpackb(data)
        if kind == "begun":
            continue
        lease = tuple(map(int, values[0].split("-")))
        if kind == "leased":
            assert lease not in status, f"{values[0]} was given twice"
            status[lease] = "in flight"
            theorem[lease] = values[2], values[3]
        elif kind == "finished":
            if status.get(lease) in ("in flight", "expired"):
                status[lease] = "finished"
                found.outcomes[lease] = values[1]
                if values[1] == GameOutcome.PROVED:
                    claims[lease] = values[2]
            else:
                found.doubles += 1
        elif kind in ("handed_back", "expired"):
            if status.get(lease) == "in flight":
                status[lease] = kind
        elif kind == "judged" and lease in claims:
            proof = claims.pop(lease)
            if values[1]:
                found.accepted.add(proof)
                solved.add(theorem[lease])
            else:
                found.refused += 1
    found.ended = Counter(status.values())
    found.given, found.finished = len(status), len(found.outcomes)
    for shard in read_manifests(run / files.REPLAY):
        found.rows.update(row.tactic for row in read_shard(run / files.REPLAY / shard.name))
    proofs = read_proofs(run / files.PROOFS)
    found.improved = len({(proof.theorem, proof.disproof) for proof in proofs})
    found.known = len(solved)
    return found


def _summary(options, kept, acknowledged, status, audit, restarts, run) -> dict:
    names = {code: outcome for outcome, code in CODES.items()}
    lost = sum(
        bool(code) and audit.outcomes.get((epoch, number)) != names[code]
        for epoch, codes in acknowledged.outcomes.items()
        for number, code in enumerate(codes)
    )
    counts = status.counts
    of_journal = {
        "given": audit.given,
        "finished": audit.finished,
        "handed_back": audit.ended["handed_back"],
        "expired": audit.ended["expired"],
        "in_flight": audit.ended["in flight"],
        "refused": audit.refused,
    }
    accepted = counts["proofs"] + counts["disproofs"]
    once = ONCE_BYTES * (options.theorems + options.provers * options.searches)
    leaked = leak(kept.memory, [count for count, _ in kept.starts], once)
    checks = {
        "every acknowledged result is in the journal once, with its outcome": not lost,
        "nothing else is finished": audit.finished == acknowledged.count,
        "the hub's counts are the journal's": all(
            counts[name] == count for name, count in of_journal.items()
        )
        and accepted == len(audit.accepted),
        "the counts reconcile": bool(counts["reconcile"]),
        "every accepted proof is in the replay once, and nothing else": set(audit.rows)
        == audit.accepted
        and set(audit.rows.values()) <= {1},
        "every theorem with a proof is in proofs.jsonl": audit.improved == audit.known,
        "memory does not grow with the results": acknowledged.count < JUDGED_RESULTS
        if leaked is None
        else leaked <= LEAK_BYTES,
        "all results done": acknowledged.count >= options.results,
        "all faults done": sum(kept.faults.values())
        == options.kills + options.pauses + options.takeovers + options.full,
    }
    waits = sorted(kept.waits) or [0.0]
    rate = statistics.median(kept.windows) if kept.windows else 0.0
    numbers = {
        "results_per_second": rate,
        "results_per_second_windows": len(kept.windows),
        "results_per_second_with_faults": round(acknowledged.count / kept.seconds, 1),
        **restarts,
        "memory_bytes_per_result": None if leaked is None else round(leaked, 1),
        "memory_mb_at_results": kept.memory,  # and of which start
        "seconds_to_acknowledge": {
            "median": round(statistics.median(waits), 3),
            "p99": round(waits[int(0.99 * (len(waits) - 1))], 3),
        },
    }
    return {
        "ok": all(checks.values()),
        "checks": checks,
        "meets": {
            "results_per_second": rate >= NEEDED["results_per_second"],
            "restart_seconds": restarts["restart_seconds"] <= NEEDED["restart_seconds"],
        },
        "command": "bash tools/soak.sh hub " + shlex.join(sys.argv[1:]),
        "commit": _commit(),
        "seed": options.seed,
        "provers": options.provers,
        "searches": options.searches,
        "batch": options.batch,
        "theorems": options.theorems,
        "results": acknowledged.count,
        "sent_again": acknowledged.sent_again,
        "seconds": round(kept.seconds, 1),
        **numbers,
        "starts": kept.starts,
        "faults": kept.faults,
        "network": kept.network,
        "seen_by_provers": kept.seen,
        "counts": counts,
        "journal_mb": round(
            sum(path.stat().st_size for path in journal.segments(run / files.JOURNAL)) / 2**20, 1
        ),
        "cpus": os.cpu_count(),
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def _commit() -> str:
    """The commit, with a mark when the tree has changes; empty outside a repository."""
    here = Path(__file__).resolve().parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        shown = subprocess.run(
            command, cwd=here, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return shown.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
