"""What is found out of a folder, a network and a Slurm, and how it is judged."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import msgspec
import pytest

from hpc.checks import answers, clock, job, judge, judge_nodes
from hpc.checks.board import Alone, Board
from hpc.checks.findings import Level, nearest
from hpc.checks.reports import (
    LOGIN,
    WANTED,
    Facts,
    Flavour,
    Imported,
    Ran,
    Rank,
    Reach,
    Shared,
    Wanted,
)
from hpc.checks.shared import HELD, KEPT_OUT, LET_IN, take_part
from hpc.files import read_json

NAMES = (LOGIN, "0", "1")


# --- the real thing, on this machine ----------------------------------------------------------------


def test_three_processes_try_a_folder_and_each_other(tmp_path):
    wanted = Wanted(2, imports=("json", "no_such_module"), commands={"say": ("echo", "this")})
    (tmp_path / WANTED).write_bytes(msgspec.json.encode(wanted))
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "hpc.checks.node", str(tmp_path)],
            env={**os.environ, "SLURM_PROCID": str(number)},
        )
        for number in range(2)
    ]
    reports = {LOGIN: take_part(tmp_path, LOGIN, wanted.names, 60.0)}
    assert [node.wait(60) for node in nodes] == [0, 0]
    for name in "01":
        reports[name] = read_json(tmp_path / f"shared.{name}.json", Shared)
    assert [each.error for each in reports.values()] == ["", "", ""]
    assert all(len(set(each.saw.values())) == 3 for each in reports.values())
    found = judge.folder(reports, NAMES, "/runs") + judge.network(reports, None)
    paced = {"shared folder", "disk"}  # slow beside other work is a warning
    assert {each.level for each in found if each.name not in paced} == {Level.OK}, found
    assert Level.FAILED not in {each.level for each in found}, found
    assert [each.name for each in found] == [
        *("shared folder", "replaced files", "exclusive files", "locks", "disk"),
        *("network", "network of the login node", "clocks"),
    ]
    facts = read_json(tmp_path / "node.1.json", Facts)
    assert (
        facts.imports["json"].error == ""
        and "no_such_module" in facts.imports["no_such_module"].error
    )
    assert facts.ran["say"].output == "this" and facts.free_mb["/tmp"] > 0
    assert facts.cores >= 1 and facts.limits["nofile"] != 0


def test_who_is_alone_says_for_whom_it_waited(tmp_path):
    report = take_part(tmp_path, "0", NAMES, 0.2)
    assert report.error == "waited 0.2 s at hello for 1, login"
    with pytest.raises(Alone) as caught:
        Board(tmp_path, "1", 0.1).wait("hello", ["0", "2"])
    assert caught.value.missing == ("2",)


def test_a_clock_is_asked_and_a_closed_port_is_said():
    there = clock.Clock(lambda: time.time() + 1000)
    answered = clock.reach("127.0.0.1", there.port)
    assert answered.error == "" and answered.milliseconds > 0
    assert 990 < answered.ahead < 1010
    there.close()
    assert clock.reach("127.0.0.1", there.port, 1.0).error


# --- judging ----------------------------------------------------------------------------------------


def whole(name: str, **more) -> Shared:
    """A report of which nothing bad can be said."""
    locks = {
        f"{kind} of {LOGIN}": HELD if name == LOGIN else KEPT_OUT for kind in ("flock", "lockf")
    }
    base = Shared(name, saw={each: each for each in NAMES}, reads=9, was_last=True, locks=locks)
    mine = {LOGIN: ("made-0",), "0": ("made-1",), "1": ("made-2",)}[name]
    base.made, base.linked = mine, tuple(each.replace("made", "linked") for each in mine)
    if name != LOGIN:
        base.reach = {each: Reach("10.0.0.1:7", 0.2, 0.001) for each in "01" if each != name}
    for key, value in more.items():
        setattr(base, key, value)
    return base


def reports(**changes) -> dict[str, Shared]:
    """`changes`: of the participant `0`."""
    return {name: whole(name, **(changes if name == "0" else {})) for name in NAMES}


def level(findings, name: str) -> tuple[Level, str]:
    (found,) = [each for each in findings if each.name == name]
    assert found.level is Level.OK or found.next, "a next step"
    return found.level, found.found


@pytest.mark.parametrize(
    "change, name, wanted, said",
    [
        ({}, "shared folder", "ok", "seen and written by 3"),
        ({"saw": {"0": "0", "1": "1"}}, "shared folder", "failed", "node 0 does not see what this"),
        ({"error": "No space left"}, "shared folder", "failed", "node 0: No space left"),
        ({"waited": {"hello": 31.0}}, "shared folder", "warning", "31.0 s"),
        ({"torn": 2}, "replaced files", "failed", "2 torn"),
        ({"gone": 1}, "replaced files", "warning", "1 without"),
        ({"was_last": False}, "replaced files", "failed", "never the newest: node 0"),
        (
            {"made": ("made-0", "made-1")},
            "exclusive files",
            "failed",
            "1 names were created by more",
        ),
        (
            {"locks": {"flock of login": LET_IN}},
            "locks",
            "failed",
            "flock of login .node 0.: let in",
        ),
        ({"locks": {"flock of login": "No locks available"}}, "locks", "failed", "No locks"),
        ({"locks": {"lockf of login": LET_IN}}, "locks", "warning", "lockf"),
        ({"sync_milliseconds": 400.0}, "disk", "warning", "400.0 ms"),
        ({"mtime_ahead": -70.0}, "disk", "warning", "-70.00 s"),
    ],
)
def test_a_folder_is_judged(change, name, wanted, said):
    import re

    found, text = level(judge.folder(reports(**change), NAMES, "/runs"), name)
    assert found == wanted and re.search(said, text), text


def test_a_node_that_says_nothing_makes_a_folder_useless():
    some = reports()
    del some["1"]
    (only,) = judge.folder(some, NAMES, "/runs")
    assert only.level is Level.FAILED and "node 1 said nothing" in only.found


@pytest.mark.parametrize(
    "reach, name, wanted, said",
    [
        (
            {"1": Reach("10.0.0.2:5", error="No route to host")},
            "network",
            "failed",
            "1 of 2 .*No route",
        ),
        (
            {"1": Reach("10.0.0.2:5", 0.3, 5.0)},
            "clocks",
            "warning",
            "node 1 is .5.000 s from node 0",
        ),
        ({"1": Reach("10.0.0.2:5", 0.3, -3600.0)}, "clocks", "failed", "-3600"),
        ({"1": Reach("10.0.0.2:5", 0.3, 0.0)}, "clocks", "ok", "0.001"),
    ],
)
def test_a_network_is_judged(reach, name, wanted, said):
    import re

    found, text = level(judge.network(reports(reach=reach), "ib0"), name)
    assert found == wanted and re.search(said, text), text


def test_a_login_node_that_reaches_no_node_is_a_warning():
    some = reports()
    some[LOGIN].reach = {"0": Reach("10.0.0.1:7", error="timed out")}
    assert level(judge.network(some, None), "network of the login node")[0] == "warning"


WORLD = (Rank(0, 2, 3, "a"), Rank(1, 2, 3, "b"))
ALONE = (Rank(0, 1, 1, "a"), Rank(0, 1, 1, "b"))


def test_mpi_flavours_are_judged_and_singletons_are_named():
    tried = {
        "none": Flavour("none", ALONE),
        "pmi2": Flavour("pmi2", WORLD, 1.0),
        "pmix": Flavour("pmix", error="plugin failed"),
    }
    (good,) = judge.mpi(tried, "pmi2")
    assert good.level is Level.OK
    assert "none: singletons" in good.found and "pmix: plugin failed" in good.found
    assert "pmi2: a world of 2 on 2 hosts in 1.0 s" in good.found
    (other,) = judge.mpi(tried, "pmix")
    assert other.level is Level.FAILED and other.next == "set `mpi: pmi2` in the site"
    (none,) = judge.mpi({"none": Flavour("none", ALONE)}, "pmi2")
    assert none.level is Level.FAILED and "prover.ranks: 1" in none.next
    assert judge.mpi({}, "pmi2")[0].level is Level.FAILED


def test_ranks_whose_lines_were_mixed_are_read():
    text = (
        'note {x}\n{"rank":0,"size":2,"sum":3,"host":"a"}{"rank":1,"size":2,"sum":3,"host":"b"}\n\n'
    )
    assert job._ranks(text) == WORLD
    assert job._ranks('{"rank": "0"}') == ()


def node(name: str = "0", **more) -> Facts:
    base = {
        **{
            "host": f"n{name}",
            "python": "3.11.7",
            "executable": "/p",
            "cores": 4,
            "cores_given": 4,
        },
        **{"requeue": "yes", "programs": ("scontrol", "squeue", "sbatch"), "shm_mb": 60_000},
        **{"free_mb": {"/runs": 50_000}, "limits": {"nofile": 4096, "as": -1}},
        "imports": {"torch": Imported("2.13.0", seconds=4.0)},
    }
    return Facts(name, **{**base, **more})


@pytest.mark.parametrize(
    "more, wanted, said",
    [
        ({}, "ok", ""),
        ({"python": "3.9.1"}, "failed", "3.11.7 here, 3.9.1 on n0"),
        ({"error": "no module named msgspec"}, "failed", "n0: no module named msgspec"),
        (
            {"imports": {"torch": Imported(error="libcuda.so.1 is missing")}},
            "failed",
            "libcuda.so.1",
        ),
        ({"imports": {"torch": Imported("2.12.0")}}, "failed", "2.12.0, 2.13.0"),
        ({"cores": 2}, "warning", "4 given, 2 usable"),
        ({"limits": {"nofile": 256, "as": -1}}, "warning", "n0: 256"),
        ({"limits": {"nofile": 4096, "as": 4 << 30}}, "warning", "4096 MB"),
        ({"shm_mb": 64}, "warning", "64 MB"),
        ({"free_mb": {"/runs": 100}}, "failed", "100 MB free"),
        ({"free_mb": {"/runs": 5_000}}, "warning", "5,000 MB free"),
        ({"address_error": "no ib0"}, "failed", "no ib0"),
    ],
)
def test_a_node_is_judged(more, wanted, said):
    nodes = {"0": node("0", **more), "1": node("1")}
    found = [
        *judge_nodes.python(nodes, "3.11.7"),
        *judge_nodes.imports(nodes),
        *judge_nodes.cores(nodes),
        *judge_nodes.limits(nodes),
        *judge_nodes.room(nodes),
        *judge_nodes.addresses(nodes, None),
    ]
    worst = [each for each in found if each.level == wanted]
    others = [each for each in found if each.level not in (wanted, Level.OK)]
    assert not others and any(said in each.found for each in worst), found
    assert all(each.next for each in found if each.level is not Level.OK)


@pytest.mark.parametrize(
    "more, wanted, said",
    [
        (
            {"gpus_given": 2, "gpus_named": 2, "torch_gpus": 2, "torch_cuda": "12.8"},
            "ok",
            "2 on each",
        ),
        (
            {"gpus_given": 2, "gpus_named": 2, "torch_gpus": 1, "torch_cuda": "12.8"},
            "failed",
            "sees 1",
        ),
        ({"gpus_given": 2, "gpus_named": 2, "torch_gpus": 0}, "failed", "torch sees 0"),
        ({"gpus_given": 0, "gpus_named": 0, "torch_gpus": 2}, "failed", "2 were asked for"),
    ],
)
def test_gpus_are_judged(more, wanted, said):
    (found,) = judge_nodes.gpus({"0": node("0", **more)}, 2)
    assert found.level == wanted and said in found.found
    assert judge_nodes.gpus({"0": node()}, 0) == []


def test_whether_jobs_can_go_on_by_themselves():
    def judged(wanted: bool, allowed: bool = True, **more):
        (found,) = judge_nodes.requeue({"0": node(**more)}, wanted, allowed)
        return found

    assert judged(True).level is Level.OK and judged(False).level is Level.OK
    no_scontrol = judged(True, requeue="there is no scontrol on this machine")
    assert no_scontrol.level is Level.WARNING and "requeue: false" in no_scontrol.next
    assert judged(True, allowed=False).level is Level.WARNING
    none = judged(True, requeue="no", programs=())
    assert none.level is Level.FAILED and "leanfleet resume" in none.next


def test_what_a_program_said_is_judged():
    def slow(ran: Ran) -> tuple[str, str]:
        return f"{ran.seconds} s", "be quicker" if ran.seconds > 5 else ""

    def judged(ran: Ran):
        nodes = {"0": node(ran={"x": ran}), "1": node("1", ran={"x": Ran(0, "", 1.0)})}
        return judge_nodes.command(nodes, "x", "X", slow, "look there")

    assert judged(Ran(0, "", 2.0))[0].level is Level.OK
    (late,) = judged(Ran(0, "", 9.0))
    assert (late.level, late.next) == (Level.WARNING, "be quicker")
    (broken,) = judged(Ran(1, "no such thing", 0.0))
    assert (broken.level, broken.found, broken.next) == (
        "failed",
        "n0: no such thing",
        "look there",
    )
    assert judge_nodes.command({"0": node()}, "x", "X", slow, "") == []


# --- Slurm's answers --------------------------------------------------------------------------------


def test_partitions_of_nodes_that_differ():
    found = answers.read_partitions(
        "cpu|cpu*|up|infinite|4|idle|8|32000|(null)|avx,big\n"
        "cpu|cpu*|up|infinite|2|down*|16+|64000|(null)|(null)\n"
        "gpu|gpu|up|1-12:00:00|2|mixed|8|32000+|gpu:a100:4(S:0-1),gpu:2|a100\n"
        "old|old|down|30:00|1|drained|8|1000|gpu:2|(null)\nnoise\n"
    )
    cpu, gpu, old = found["cpu"], found["gpu"], found["old"]
    assert (cpu.nodes, cpu.nodes_up, cpu.cores, cpu.memory_mb) == (6, 4, 16, 64000)
    assert cpu.is_default and cpu.is_up and cpu.features == {"avx", "big"}
    assert gpu.gpus == 6 and not gpu.is_default and not old.is_up and old.nodes_up == 0
    assert answers.minutes(gpu.limit) == 36 * 60 and answers.minutes(old.limit) == 30
    assert answers.minutes(cpu.limit) is None and answers.minutes("10:30:00") == 630


@pytest.mark.parametrize(
    "text, names",
    [
        (
            "MPI plugin types are...\n\tcray_shasta\n\tnone\n\tpmi2\n",
            ("cray_shasta", "none", "pmi2"),
        ),
        ("srun: MPI types are...\nsrun: pmi2\nsrun: none\n", ("pmi2", "none")),
        (
            "MPI plugin types are...\n\tnone\n\tpmix\n"
            "specific pmix plugin versions available: pmix_v4\n",
            ("none", "pmix", "pmix_v4"),
        ),
        ("srun: error: no controller here\n", ()),
        ("", ()),
    ],
)
def test_flavours_of_several_versions_of_slurm(text, names):
    assert answers.flavours(text) == names


def test_settings_are_read():
    found = answers.read_settings(
        "Configuration data as of now\nJobRequeue              = 0\nMaxArraySize = 1001\nbad line\n"
    )
    assert found == {"JobRequeue": "0", "MaxArraySize": "1001"}


def test_names_that_are_near():
    assert nearest("gpus", ["cpu", "gpu"]) == "did you mean gpu?"
    assert nearest("quantum", ["b", "a"]) == "there are: a, b"
