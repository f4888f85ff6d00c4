"""A real Slurm on this one machine: a controller, a few nodes with fake GPUs, munge.

Needs root and the packages slurm-wlm and munge; nothing in /etc, no systemd, no cgroups: everything is
in one folder that goes with it. The daemons are this process's children and get SIGTERM when it dies.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from hpc import with_parent

GPU_NODES, CPU_NODES = 2, 4
START_SECONDS, STOP_SECONDS = 30.0, 15.0


def program(name: str) -> str | None:
    """Daemons are not on everybody's path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def number(id: str) -> int:
    """Of a job, of the array of an element, or of the job of a component."""
    return int(re.split("[_+]", id)[0])


class Cluster:
    """`env`: what a process needs to speak with it. Nodes gpu1, gpu2 with two GPUs each, cpu1 … cpu4;
    8 cores each. Partitions gpu, cpu (the default), all; `low` has cpu's nodes and gives way to it,
    `spare` all nodes and gives way to all."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lf-slurm-"))  # short: sockets have long names
        self.folder.chmod(0o755)  # munge insists
        self.env = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen] = []
        self._nudged = float("-inf")

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- commands ---------------------------------------------------------------------------------

    def run(self, *words: object) -> str:
        """What a command of Slurm prints. Raises subprocess.CalledProcessError."""
        done = subprocess.run(
            [str(word) for word in words],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout.strip()

    def states(self, since: int = 0) -> dict[str, str]:
        """The state of every job and array element with an id from `since` on, also of those that
        ended."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i %T").splitlines()
        found = dict(line.split() for line in lines)
        return {id: state for id, state in found.items() if number(id) >= since}

    def next_id(self) -> int:
        """Jobs that are submitted from now on have ids from this one on."""
        return max(map(number, self.states()), default=0) + 1

    def nudge(self) -> bool:
        """False. An idle Slurm tries a heterogeneous job again only after something has changed."""
        if time.monotonic() - self._nudged >= 2.0:
            self._nudged = time.monotonic()
            self.run("scontrol", "update", "nodename=cpu1", "comment=nudged")
        return False

    # --- starting ---------------------------------------------------------------------------------

    def _start(self) -> None:
        folder = self.folder
        munge = folder / "munge"
        munge.mkdir(mode=0o755)
        (munge / "key").write_bytes(secrets.token_bytes(1024))
        (munge / "key").chmod(0o400)
        (folder / "state").mkdir()
        for number in range(2):
            (folder / f"fakegpu{number}").symlink_to("/dev/null")  # must lead to a device
        (folder / "slurm.conf").write_text(self._conf())
        (folder / "gres.conf").write_text(
            f"AutoDetect=off\nNodeName=gpu[1-{GPU_NODES}] Name=gpu File={folder}/fakegpu[0-1]\n"
        )
        files = (f"--{each}-file={munge}/{each}" for each in ("key", "log", "pid", "seed"))
        self._daemon("munged", "--foreground", "--force", f"--socket={munge}/socket", *files)
        self._wait(lambda: (munge / "socket").exists(), "munged")
        self._daemon("slurmctld", "-D")
        for name in self._nodes():
            self._daemon("slurmd", "-D", "-N", name)
        self._wait(self._is_up, "the nodes")

    def _nodes(self) -> list[str]:
        gpu = [f"gpu{number + 1}" for number in range(GPU_NODES)]
        return gpu + [f"cpu{number + 1}" for number in range(CPU_NODES)]

    def _conf(self) -> str:
        host, folder = socket.gethostname().split(".")[0], self.folder
        controller, *ports = _free_ports(1 + GPU_NODES + CPU_NODES)
        node = (
            "CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 RealMemory=32000 "
            f"NodeHostname={host} NodeAddr=127.0.0.1 State=UNKNOWN"
        )
        lines = [
            "ClusterName=leanfleet",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={controller}",
            "SlurmUser=root",
            "SlurmdUser=root",
            "AuthType=auth/munge",
            "CredType=cred/munge",
            # A requeued job waits until its old credential has gone.
            f"AuthInfo=socket={folder}/munge/socket,cred_expire=5",
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool.%n",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            f"SlurmdPidFile={folder}/slurmd.%n.pid",
            f"SlurmctldLogFile={folder}/slurmctld.log",
            f"SlurmdLogFile={folder}/slurmd.%n.log",
            "SlurmctldParameters=preempt_send_user_signal",
            "SlurmdParameters=config_overrides",  # nodes with more cores than there are
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "JobAcctGatherType=jobacct_gather/none",
            "AccountingStorageType=accounting_storage/none",
            "SwitchType=switch/none",
            "MpiDefault=none",
            "MailProg=/bin/true",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            "DefMemPerCPU=500",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,"
            "batch_sched_delay=0",
            "PreemptType=preempt/partition_prio",
            "PreemptMode=REQUEUE",
            "JobRequeue=1",
            "KillWait=10",
            "MinJobAge=3600",
            "ReturnToService=2",
            "PropagateResourceLimits=NONE",
            "GresTypes=gpu",
            # Ids that no earlier cluster gave: folders of runs outlive clusters.
            f"FirstJobId={int(time.time()) % 60_000_000 + 1000}",
        ]
        for name, port in zip(self._nodes(), ports, strict=True):
            gres = " Gres=gpu:2 Feature=gpu" if name.startswith("gpu") else " Feature=cpu"
            lines.append(f"NodeName={name} Port={port} {node}{gres}")
        gpu, cpu = f"gpu[1-{GPU_NODES}]", f"cpu[1-{CPU_NODES}]"
        up = "MaxTime=INFINITE State=UP"
        gives_way = "PriorityTier=1 PreemptMode=REQUEUE GraceTime=20"
        lines += [
            f"PartitionName=gpu Nodes={gpu} {up} PriorityTier=10",
            f"PartitionName=cpu Nodes={cpu} {up} PriorityTier=10 Default=YES",
            f"PartitionName=low Nodes={cpu} {up} {gives_way}",
            f"PartitionName=all Nodes={gpu},{cpu} {up} PriorityTier=10",
            f"PartitionName=spare Nodes={gpu},{cpu} {up} {gives_way}",
        ]
        return "\n".join(lines) + "\n"

    def _daemon(self, name: str, *words: str) -> None:
        binding = [sys.executable, "-I", "-S", with_parent.__file__, str(os.getpid())]
        with open(self.folder / f"{name}.out", "ab") as out:
            process = subprocess.Popen(
                [*binding, program(name) or name, *words],
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._daemons.append(process)

    def _is_up(self) -> bool:
        try:
            idle = self.run("sinfo", "-h", "-N", "-p", "all", "-t", "idle", "-o", "%N").split()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False  # the controller does not listen yet
        return sorted(idle) == sorted(self._nodes())

    def _wait(self, condition, what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if time.monotonic() >= deadline:
                logs = [path.read_text("utf-8", "replace")[-800:] for path in self._logs()]
                raise RuntimeError(f"waited {START_SECONDS:g} s for {what}:\n" + "\n".join(logs))
            time.sleep(0.1)

    def _logs(self) -> list[Path]:
        return sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])

    # --- stopping ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """Cancels all jobs, ends the daemons, and sees that nothing of theirs is left."""
        if any(process.poll() is None for process in self._daemons):
            self.cancel_all()
        for process in reversed(self._daemons):
            process.terminate()
        for process in self._daemons:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        deadline = time.monotonic() + STOP_SECONDS
        while (left := self.left()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def cancel_all(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        try:
            self.run("scancel", "-u", "root")
            while self.run("squeue", "-h", "-o", "%i") and time.monotonic() < deadline:
                time.sleep(0.2)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pass  # no controller: what is left is killed

    def left(self) -> list[psutil.Process]:
        """Processes of its daemons and jobs."""
        found = []
        for process in psutil.process_iter():
            try:
                env = process.environ()
                mine = env.get("SLURM_CONF") == self.env["SLURM_CONF"]
                if mine and process.pid != os.getpid():
                    found.append(process)
            except (psutil.Error, OSError):
                pass  # gone, or another user's
        return found


def _free_ports(count: int) -> list[int]:
    """Below those that the system hands out: nobody else is given one before the daemons listen."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 1_000):
        with socket.socket() as each, contextlib.suppress(OSError):
            each.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")
