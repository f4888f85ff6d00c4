"""Launching a run on this machine: its plan, what is refused, what people see, and a real one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hpc import disks, launched
from hpc.journal import Journal
from hpc.leases import Leases
from hpc.run_lock import alone_in
from leanfleet import cli
from leanfleet.commands import role
from leanfleet.config import parse
from leanfleet.evaluate.content import content_hash
from leanfleet.lean.toolchain import Lean
from leanfleet.messages import GameOutcome, GameResult
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.rl.ledger import Ledger
from leanfleet.rl.records import HandedBack, encode
from leanfleet.rl.theorems import read_theorems
from leanfleet.roles.begin import begin, open_run
from leanfleet.roles.plan import plan, wanted

FAKE = Path(__file__).parent / "fakes" / "role.py"
PATIENCE = 120.0

THEOREMS = """\
{"name": "a", "statement": "theorem a (p q : Prop) (h : p ∧ q) : q ∧ p"}
{"name": "b", "statement": "theorem b (n : Nat) : n + 0 = n"}
{"name": "c", "statement": "theorem c (p : Prop) (h : p) : p ∨ False"}
"""
CONFIG = """\
name: tried
theorems: {theorems}
lean: {{processes: 1, verify_processes: 1, heartbeats: 2000, seconds: 60.0}}
policy: {{threads: 1, longest: 16}}
matchmaker: {{simulations: 4, max_simulations: 8, disproof: 0.0}}
prover: {{ranks: 2, searches: 1, worlds: 1}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
  first_rows: 100000
evaluate: null
until: {{games: 1000}}
smoke: [until.games=8]
"""


@pytest.fixture
def config_file(tmp_path) -> Path:
    (tmp_path / "theorems.jsonl").write_text(THEOREMS)
    path = tmp_path / "tried.yaml"
    path.write_text(CONFIG.format(theorems=tmp_path / "theorems.jsonl"))
    return path


@pytest.fixture
def config(config_file) -> RunConfig:
    return parse(RunConfig, config_file.read_text(), "tried.yaml")


@pytest.fixture
def run(tmp_path, config):
    """One that has begun and was never launched."""
    with alone_in(tmp_path / "run"):
        return begin(tmp_path / "run", config)[0]


def wait(condition, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def leanfleet(*words: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "leanfleet.cli", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# --- the plan ---------------------------------------------------------------------------------------


def test_the_plan_has_every_role_and_a_process_per_prover_world(config, tmp_path):
    more = config.model_copy(update={"prover": config.prover.model_copy(update={"worlds": 3})})
    processes = plan(more, tmp_path)
    assert [each.name for each in processes] == [
        *("lean.0", "hub.0", "policy.0", "learner.0", "prover.0", "prover.1", "prover.2")
    ]
    assert {each.role for each in processes if not each.losable} == {"hub", "learner"}
    assert {each.role for each in processes if each.finite} == {"learner", "prover"}


def test_provers_are_mpi_worlds_and_are_stopped_first(config, tmp_path):
    found = {each.role: each for each in wanted(plan(config, tmp_path))}
    assert Path(found["prover"].argv[0]).name == "mpiexec"
    assert found["prover"].argv[1:4] == ("-n", "2", sys.executable)
    stages = sorted(found.values(), key=lambda each: each.stage)
    assert [each.role for each in stages[:3]] == ["prover", "learner", "hub"]
    assert {each.role for each in stages[3:]} == {"policy", "lean"}


def test_a_world_of_one_needs_no_mpiexec(config, tmp_path):
    one = config.model_copy(update={"prover": config.prover.model_copy(update={"ranks": 1})})
    prover = wanted(plan(one, tmp_path))[-1]
    assert prover.argv[0] == sys.executable


def test_the_shipped_runs_can_be_planned(root, tmp_path):
    from leanfleet.rl.config import load_run_config

    config = load_run_config(root / "configs" / "learn.yaml")
    assert "evaluator.0" in [each.name for each in plan(config, tmp_path)]


# --- before anything starts -------------------------------------------------------------------------


def test_a_dry_run_shows_configuration_commands_and_wants_and_starts_nothing(
    config_file, tmp_path, capsys
):
    out = tmp_path / "never"
    assert cli.main(["launch", str(config_file), "--out", str(out), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "mpiexec -n 2" in said and f"role hub {out} --task 0 --attempt 0" in said
    assert "lease_seconds: 60.0" in said and "# wanted: " in said
    assert not out.exists()


def test_a_dry_run_as_json(config_file, tmp_path, capsys):
    words = ["launch", str(config_file), "--out", str(tmp_path / "x"), "--dry-run", "--json"]
    assert cli.main([*words, "--smoke", "--set", "prover.worlds=2"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert [each["role"] for each in row["processes"]].count("prover") == 2
    assert row["config"]["until"]["games"] == 8
    assert row["machine"]["cores_wanted"] == sum(each["cores"] for each in row["processes"])


@pytest.mark.parametrize(
    "limit, advised",
    [
        (1600, "or a lean.memory_limit_mb smaller by up to 700, are safer"),
        (900, "fewer lean.processes are"),
    ],
)
def test_no_memory_limit_is_advised_that_is_refused(config_file, tmp_path, capsys, limit, advised):
    words = ["launch", str(config_file), "--out", str(tmp_path / "x"), "--dry-run", "--json"]
    changes = ["lean.driver=auto", "lean.processes=1000", f"lean.memory_limit_mb={limit}"]
    cli.main([*words, *(word for each in changes for word in ("--set", each))])
    notes = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert advised in notes


def test_a_memory_limit_that_is_too_small_is_refused_before_anything_starts(
    config_file, tmp_path, capsys, monkeypatch
):
    found = Lean("registry", "Lean 4", "here", None)
    monkeypatch.setattr("leanfleet.lean.toolchain.find", lambda config: found)
    words = ["launch", str(config_file), "--out", str(tmp_path / "x")]
    assert cli.main([*words, "--set", "lean.memory_limit_mb=899"]) == 2
    said = capsys.readouterr().err
    assert "lean.memory_limit_mb: 899 is too little for the registry Lean, at least 900" in said
    assert cli.main(["lean", "check", "--set", "lean.memory_limit_mb=256"]) == 2
    assert "256 is too little for the registry Lean" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_all_that_a_run_lacks_is_said_at_once(config_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("leanfleet.roles.preflight.LEAST_FREE_MB", 10**12)
    words = ["launch", str(config_file), "--out", str(tmp_path / "x")]
    changes = ["--set", "replay.supervised=[no.parquet]", "--set", "learner.model=null"]
    assert cli.main([*words, *changes, "--set", "learner.start=nowhere"]) == 2
    said = capsys.readouterr().err
    assert "learner.start: nowhere is no folder of weights" in said
    assert "there is no file no.parquet" in said and "make room" in said
    assert not (tmp_path / "x").exists()


def test_without_an_mpiexec(config_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("leanfleet.roles.plan.shutil.which", lambda name: None)
    monkeypatch.setattr("leanfleet.roles.plan.sys.executable", "/nowhere/python")
    assert cli.main(["launch", str(config_file), "--out", str(tmp_path / "x")]) == 2
    assert "prover.ranks=1" in capsys.readouterr().err


# --- a run keeps what it began with -----------------------------------------------------------------


def test_a_changed_configuration_is_shown_and_refused(config_file, run, capsys):
    words = ["launch", str(config_file), "--out", str(run.path), "--set", "seed=7"]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert "- seed: 0" in said and "+ seed: 7" in said and "resume" in said


def test_a_theorem_file_that_changes_changes_no_run(config_file, run, capsys):
    (config_file.parent / "theorems.jsonl").write_text(THEOREMS.splitlines()[0] + "\n")
    assert cli.main(["launch", str(config_file), "--out", str(run.path)]) == 2
    assert "begun with another theorems.jsonl" in capsys.readouterr().err
    assert [theorem.name for theorem in read_theorems(run.path)] == ["a", "b", "c"]
    assert open_run(run.path).config == run.config


def test_a_second_launch_is_refused(config_file, run, capsys):
    with alone_in(run.path):
        for words in (["launch", str(config_file), "--out"], ["resume"]):
            assert cli.main([*words, str(run.path)]) == 2
            assert f"already: process {os.getpid()} on " in capsys.readouterr().err


def test_what_is_no_run_is_not_touched(tmp_path, capsys):
    tmp_path.chmod(0o700)
    for command in ("resume", "status", "logs", "cancel"):
        assert cli.main([command, str(tmp_path)]) == 2
        assert "holds no run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --- watching ---------------------------------------------------------------------------------------

LAUNCHER = """
import sys
from pathlib import Path
from hpc.run_lock import alone_in
from leanfleet.commands._launching import supervise
from leanfleet.roles.begin import reopen
from leanfleet.roles.plan import RoleProcess

folder, fake = Path(sys.argv[1]), sys.argv[2]
def process(role, script, **more):
    command = (fake, str(folder / "notes"), role, "{attempt}", script)
    return RoleProcess(role, 0, command, 1, 100, **more)
with alone_in(folder):
    sys.exit(supervise(reopen(folder), [
        process("hub", sys.argv[3] if len(sys.argv) > 3 else "say:I am the hub"),
        process("prover", "first:1:exit:3", finite=True),
        process("learner", f"until:{folder}/go,exit:0", finite=True),
    ], as_json=True))
"""


def launch_fakes(folder: Path, *hub: str, **streams) -> subprocess.Popen:
    command = [sys.executable, "-c", LAUNCHER, str(folder), str(FAKE), *hub]
    return subprocess.Popen(command, text=True, **streams)


@pytest.fixture
def launch(run):
    """A launch with fakes for roles, one of which failed once."""
    process = launch_fakes(run.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait(lambda: (run.path / "notes").exists() and _says(run.path).count("begins") == 4)
    yield process
    process.kill()
    process.communicate()


def _says(folder: Path) -> str:
    return (folder / "notes").read_text()


def test_a_mistake_on_a_full_disk_is_none(run, monkeypatch, capsys):
    def fails(arguments):
        raise ValueError("eval.jsonl: No space left on device")

    monkeypatch.setitem(role._ROLES, "evaluator", fails)
    assert cli.main(["role", "evaluator", str(run.path)]) == 2
    monkeypatch.setattr(disks, "is_full", lambda path: True)
    assert cli.main(["role", "evaluator", str(run.path)]) == 4
    assert "the disk is full: eval.jsonl" in capsys.readouterr().err


def test_status_names_the_theorems_that_are_quarantined(run, capsys):
    """Without a hub, those of the last report."""
    told = [{"theorem": f"t{n}", "errors_in_a_row": 3, "reason": "crash: [b]"} for n in range(7)]
    (run.path / files.SUMMARY).write_text(json.dumps({"quarantined": told}))
    assert cli.main(["status", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quarantined"]["t6"] == "crash: [b]"
    assert cli.main(["status", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert "quarantined: t4: crash: [b]\n" in said and "t5" not in said and "and more" in said


def test_status_shows_each_role(launch, run, capsys):
    assert cli.main(["status", str(run.path), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["running"] and row["hub"] is None
    roles = {each["role"]: each for each in row["roles"]}
    assert (roles["prover"]["running"], roles["prover"]["restarts"]) == (1, 1)
    assert roles["prover"]["error"] == "exit code 3"
    assert {task["name"] if "name" in task else task["role"] for task in row["tasks"]} == set(roles)
    assert cli.main(["status", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert f"runs (process {launch.pid})" in said and "1 of 1" in said and "exit code 3" in said


def test_logs_shows_the_newest_attempts_or_all(launch, run, capsys):
    wait(lambda: "I am the hub" in (run.path / "logs" / "hub.0.0.log").read_text())
    assert cli.main(["logs", str(run.path), "hub"]) == 0
    assert capsys.readouterr().out == "==> hub.0.0.log <==\nI am the hub\n"
    assert cli.main(["logs", str(run.path), "prover.0", "--attempts"]) == 0
    assert capsys.readouterr().out == "==> prover.0.0.log <==\n==> prover.0.1.log <==\n"
    assert cli.main(["logs", str(run.path), "cook"]) == 2
    assert "there are: hub, learner, prover" in capsys.readouterr().err


def test_a_terminal_gets_no_control_characters_of_a_log(run, capsys):
    (run.path / "logs").mkdir()
    text = "\x1b]0;owned\x07\x1b[2Kdone\n\x1b[31m10 %\r20 %\x00\n"
    (run.path / "logs" / "lean.0.0.log").write_text(text)
    assert cli.main(["logs", str(run.path)]) == 0
    assert capsys.readouterr().out == "==> lean.0.0.log <==\ndone\n20 %\n"


def test_cancel_stops_one_role_and_then_the_run(launch, run, capsys):
    assert cli.main(["cancel", str(run.path), "cook"]) == 2
    assert "the run has no cook" in capsys.readouterr().err
    assert cli.main(["cancel", str(run.path), "prover"]) == 0
    states = {task.role: str(task.state) for task in launched.read(run.path).tasks}
    assert states["prover"] == "cancelled" and states["learner"] in ("starting", "running")
    assert cli.main(["cancel", str(run.path)]) == 0
    out, err = launch.communicate(timeout=PATIENCE)
    assert launch.returncode == 130 and json.loads(out)["ended"] == "stopped"
    assert "leanfleet resume" in err and "prover.0: exit code 3; it is started again" in err
    assert cli.main(["cancel", str(run.path)]) == 1
    assert "nothing is running" in capsys.readouterr().out


def test_a_run_outlives_its_terminal_and_is_stopped_in_order(run):
    master, slave = os.openpty()
    process = launch_fakes(run.path, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        wait(lambda: (run.path / "notes").exists())
        os.close(master)  # whoever writes to it now gets an error
        wait(lambda: _says(run.path).count("begins") == 4)
        assert cli.main(["cancel", str(run.path)]) == 0
        process.wait(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert launched.read(run.path).over == "stopped"
    assert _says(run.path).splitlines()[-1] == "hub SIGTERM"


def test_a_new_launch_begins_when_the_last_of_an_earlier_one_is_gone(run):
    """Here launcher and keeper were killed, and a hub that does not listen lives on."""
    first = launch_fakes(run.path, "deaf", stderr=subprocess.DEVNULL)
    wait(lambda: (run.path / "notes").exists() and _says(run.path).count("begins") == 4)
    children = psutil.Process(first.pid).children()
    keeper = next(each for each in children if "hpc.keeper" in each.cmdline())
    hub = psutil.Process(launched.read(run.path).tasks[0].pid)
    keeper.kill()
    first.kill()
    first.wait()
    assert _lives(hub)
    second = launch_fakes(run.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait(lambda: _says(run.path).count("hub begins") == 2)
    assert not _lives(hub)
    assert cli.main(["cancel", str(run.path)]) == 0
    assert "of an earlier launch" in second.communicate(timeout=PATIENCE)[1]


def test_a_process_that_only_has_the_id_is_not_signalled(run, capsys):
    """The launcher was killed, and its id went to somebody else: this very process."""
    launched.say(run.path, ())
    said = json.loads((run.path / launched.FILE).read_text())
    (run.path / launched.FILE).write_text(json.dumps({**said, "began": said["began"] - 1000}))
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        assert cli.main(["cancel", str(run.path)]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == []


# --- the audit --------------------------------------------------------------------------------------


@pytest.fixture
def played(run):
    """A run whose hub was killed: three games finished or handed back, one in flight."""
    theorems = read_theorems(run.path)
    ledger = Ledger(content_hash(theorems), len(theorems), run.config.matchmaker, Leases(60))
    journal = Journal(run.path / files.JOURNAL)
    records = [ledger.begin("tried", 0)]
    for number in range(3):
        lease = ledger.reserve(f"1-{number}", "prover.0")
        ledger.apply(lease, 0.0)
        records.append(lease)
    ends = [GameResult("1-0", GameOutcome.FAILED), HandedBack("1-1")]
    journal.append([encode(record) for record in [*records, *ends]])
    journal.close()
    return run


def test_the_audit_reads_the_journal_where_no_hub_runs(played, capsys):
    before = sorted(path for path in played.path.rglob("*"))
    assert cli.main(["status", str(played.path), "--audit", "--json"]) == 0
    audit = json.loads(capsys.readouterr().out)["audit"]
    assert audit["reconcile"] and audit["source"] == "the journal"
    wanted = {"given": 3, "finished": 1, "handed_back": 1, "in_flight": 1, "failed": 1}
    assert {name: audit["counts"][name] for name in wanted} == wanted
    assert sorted(path for path in played.path.rglob("*")) == before  # it only looked


def test_proofs_and_rows_that_no_game_earned_are_found(played, capsys):
    line = {"theorem": "a", "disproof": False, "proof": "sorry", "length": 1}
    line |= {"verdict": "v", "lease": "1-0", "number": 1}
    (played.path / files.PROOFS).write_text(json.dumps(line) + "\n")
    (played.path / files.REPLAY).mkdir()
    manifest = '{"type":"base","judged":0}\n'
    manifest += '{"type":"shard","name":"000001-000001.parquet","rows":5,"judged":1}\n'
    (played.path / files.REPLAY / "000001.jsonl").write_text(manifest)
    assert cli.main(["status", str(played.path), "--audit"]) == 1
    said = capsys.readouterr().out
    assert "PROBLEM: proofs.jsonl has a proof of claim 1, the journal none" in said
    assert "PROBLEM: the replay is of 1 judged claims, the journal has 0" in said
    assert "PROBLEM: the replay lacks its shard 000001-000001.parquet" in said
    assert "the counts do NOT reconcile" in said


def test_why_a_statement_does_not_elaborate_is_shown(played, capsys):
    journal = Journal(played.path / files.JOURNAL)
    message = "statement: unknown identifier 'Reel'\nand what Lean says besides"
    journal.append([encode(GameResult("1-2", GameOutcome.REFUSED, message=message))])
    journal.close()
    assert cli.main(["status", str(played.path), "--audit"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^not elaborated: [abc]: statement: unknown identifier 'Reel'$", said, re.M)
    assert "besides" not in said


def test_a_run_that_never_had_a_hub_has_nothing_to_audit(run, capsys):
    assert cli.main(["status", str(run.path), "--audit"]) == 2
    assert "has no journal yet" in capsys.readouterr().err


# --- the real thing ---------------------------------------------------------------------------------


@pytest.mark.needs("registry_lean")
def test_a_run_is_killed_as_a_whole_leaves_nothing_and_is_resumed_to_its_end(
    config_file, tmp_path, capsys
):
    """Real Lean, a real MPI world, a real hub: the launcher gets SIGKILL in the middle of games."""
    folder = tmp_path / "real"
    first = leanfleet("launch", config_file, "--smoke", "--out", folder)
    try:
        wait(lambda: (folder / files.ENDPOINTS / "hub.0.json").exists())
        wait(lambda: "prover.0" in _running(folder))
        tree = psutil.Process(first.pid).children(recursive=True)
        assert len(tree) >= 7  # keeper, four servers, mpiexec and its two ranks
    finally:
        first.kill()
        first.communicate()
    wait(lambda: not any(_lives(process) for process in tree))

    second = leanfleet("resume", folder, "--json")
    out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, err
    ended = json.loads(out)
    assert ended["ended"] == "done" and ended["reason"]
    assert cli.main(["status", str(folder), "--audit", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["audit"]["reconcile"] and row["audit"]["notes"] == []
    assert row["audit"]["counts"]["to_judge"] == 0
    assert row["audit"]["counts"]["proofs"] >= 1 and row["over"] == ended["reason"]
    assert cli.main(["resume", str(folder)]) == 0
    assert "nothing is left to do" in capsys.readouterr().out


def _running(folder: Path) -> set[str]:
    said = launched.read(folder)
    return {task.name for task in said.tasks if task.runs} if said else set()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
