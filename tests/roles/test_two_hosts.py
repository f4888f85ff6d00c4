"""Hosts with addresses of their own: which one is published, and a cable that is pulled out."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from two_hosts import FIRST, FRONT, TwoHosts, lacking

from hpc import rendezvous
from hpc.run_lock import alone_in
from leanfleet.config import Site, parse
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.roles import sites
from leanfleet.roles.begin import Run, begin
from leanfleet.roles.watching import Audit, audit_of_journal

PATIENCE = 300.0
CONFIG = """\
name: tried
theorems: {theorems}
lean: {{driver: registry, processes: 1, verify_processes: 1, heartbeats: 2000, seconds: 60.0}}
matchmaker: {{simulations: 4, max_simulations: 4, disproof: 0.0}}
hub: {{lease_seconds: 4.0}}
prover: {{ranks: 1, searches: 2, worlds: 1}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
  first_rows: 100000
evaluate: null
until: {{games: 20}}
"""
THEOREMS = """\
{"name": "a", "statement": "theorem a (p q : Prop) (h : p ∧ q) : q ∧ p"}
{"name": "b", "statement": "theorem b (n : Nat) : n * n + 3 < 7 ^ n"}
{"name": "c", "statement": "theorem c (p : Prop) (h : p) : p ∨ False"}
"""
ADDRESS = """
import dataclasses, sys
from hpc.slurm.here import address, here
place = dataclasses.replace(here({}), node="a-name-that-nobody-knows")
try:
    print(address(place, *sys.argv[1:]))
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[TwoHosts]:
    if reason := lacking():
        pytest.skip(reason)
    with TwoHosts() as made:
        yield made


def test_of_two_networks_the_site_s_is_published_and_else_the_one_to_the_world(hosts):
    def address(*interface: str) -> str:
        return hosts.run(hosts.first, sys.executable, "-c", ADDRESS, *interface)

    assert address("fast0") == FIRST
    assert address() == FRONT
    assert address("lo") == "127.0.0.1"
    said = address("ib0")
    assert said == (
        "interface: this node has no ib0 with an address; there are: fast0, front0, lo, wall0"
    )


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / "theorems.jsonl").write_text(THEOREMS)
    config = parse(RunConfig, CONFIG.format(theorems=tmp_path / "theorems.jsonl"), "tried.yaml")
    folder = tmp_path / "run"
    with alone_in(folder):
        made, _ = begin(folder, config)
        sites.keep(folder, Site(name="tests", interface="fast0"))
    return made


class Tasks:
    """`leanfleet task` on one host or the other, as jobs of Slurm run it."""

    def __init__(self, hosts: TwoHosts, run: Run) -> None:
        self.hosts, self.run = hosts, run
        self._started: dict[str, subprocess.Popen] = {}

    def start(self, host: str, role: str) -> None:
        program = (sys.executable, "-u", "-m", "leanfleet.cli", "task", role, self.run.path)
        with open(self.run.path.parent / f"{role}.out", "wb") as out:
            self._started[role] = subprocess.Popen(
                self.hosts.inside(host, *program), stdout=out, stderr=subprocess.STDOUT
            )

    def wait(self, condition, seconds: float = PATIENCE) -> bool:
        """Whether it came true. A task that ends otherwise than well fails the test."""
        deadline = time.monotonic() + seconds
        while not condition():
            for role, process in self._started.items():
                if process.poll():
                    pytest.fail(f"{role} ended: {self.said()}")
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        return True

    def ended(self, role: str) -> bool:
        return self._started[role].poll() == 0

    def stop(self) -> None:
        for process in self._started.values():
            process.send_signal(signal.SIGTERM)
        for process in self._started.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def said(self) -> str:
        logs = [*self.run.path.parent.glob("*.out"), *sorted(self.run.folder.logs.glob("*.log"))]
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in logs)

    def audit(self) -> Audit:
        return audit_of_journal(self.run.path, self.run.config)

    def counts(self) -> dict[str, int]:
        with contextlib.suppress(ValueError):  # the hub has not begun its journal
            return self.audit().counts
        return {}


@pytest.fixture
def tasks(hosts, run) -> Iterator[Tasks]:
    made = Tasks(hosts, run)
    yield made
    made.stop()


@contextlib.contextmanager
def cut_amid_games(hosts: TwoHosts, tasks: Tasks) -> Iterator[None]:
    """Without the cable, and with games that the prover has been given: while all three theorems wait
    for their verdicts it has none, and the hub nothing to take back."""
    while True:
        assert tasks.wait(lambda: tasks.counts()["in_flight"] > 0), tasks.said()
        with hosts.cut():
            time.sleep(1)  # what the hub had already been sent is in its journal
            if tasks.counts()["in_flight"] > 0:
                yield
                return


@pytest.mark.needs("registry_lean")
@pytest.mark.timeout(900)
def test_a_prover_that_is_cut_off_goes_on_afterwards_and_no_game_is_lost(hosts, run, tasks):
    """Hub and Lean are on one host, the prover on the other. While the cable is out, the hub takes the
    prover's games back; when it is in again, the prover finds both by itself."""
    over = run.path / files.OVER
    for role in ("hub", "lean"):
        tasks.start(hosts.first, role)
    tasks.start(hosts.second, "prover")
    assert tasks.wait(lambda: tasks.counts().get("finished", 0) >= 3), tasks.said()
    for role in ("hub", "lean"):
        (server,) = rendezvous.find(run.path / files.ENDPOINTS, role)
        assert server.endpoint.startswith(f"tcp://{FIRST}:"), server

    with cut_amid_games(hosts, tasks):
        taken_back = tasks.wait(lambda: tasks.counts()["expired"] > 0, seconds=60)
        before = tasks.counts()
        assert taken_back and not over.exists(), (before, tasks.said())
        assert not tasks.wait(lambda: tasks.counts()["finished"] > before["finished"], seconds=2)
    assert tasks.wait(lambda: tasks.counts()["finished"] >= before["finished"] + 3), tasks.said()
    assert tasks.wait(over.exists), tasks.said()
    assert tasks.wait(lambda: tasks.ended("prover")), tasks.said()  # by itself, with all handed in
    assert tasks.wait(lambda: tasks.counts()["to_judge"] == 0), tasks.said()
    tasks.stop()

    audit = tasks.audit()
    counts = audit.counts
    assert audit.reconcile and audit.notes == (), audit
    ended = (counts[name] for name in ("finished", "handed_back", "expired", "in_flight"))
    assert counts["given"] == sum(ended) and counts["finished"] >= 20
    assert counts["in_flight"] == counts["to_judge"] == 0, counts
    assert counts["proofs"] >= 1
    assert restarts(run.path, "prover") == 0  # it was never started again


def restarts(folder: Path, role: str) -> int:
    """Of the process, by what its task says."""
    said = msgspec.json.decode((folder / "tasks" / f"{role}.0.json").read_bytes())
    return said["restarts"]
