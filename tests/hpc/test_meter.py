"""CPU seconds of a process and what it starts, in a file that survives a kill."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil

from hpc.meter import cpu_seconds, metered

WORK = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"
PARENT = """
import subprocess, sys
from pathlib import Path
from hpc.meter import metered
with metered(Path(sys.argv[1]), "lean.0.2", every=0.1):
    subprocess.run([sys.executable, "-c", {ended!r}])
    lives = subprocess.Popen([sys.executable, "-c", {lives!r}])
    print("ready", flush=True)
    lives.wait()
"""


def test_children_that_live_and_those_that_have_ended_count(tmp_path):
    text = PARENT.format(ended=WORK.format(0.3), lives=WORK.format(0.4) + "time.sleep(100)")
    command = [sys.executable, "-c", text, str(tmp_path / "cpu")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        deadline, found = time.monotonic() + 60, {"cpu_seconds": 0.0}
        while found["cpu_seconds"] < 0.7:  # of both
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
            for path in (tmp_path / "cpu").glob("*.json"):
                found = json.loads(path.read_text())
        assert found["name"] == "lean.0.2" and found["pid"] == process.pid
        assert found["busy_seconds"] is None and cpu_seconds(process.pid) >= 0.7
    finally:
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.kill()
        process.wait(timeout=30)
    (path,) = (tmp_path / "cpu").glob("*.json")
    assert json.loads(path.read_text())["cpu_seconds"] >= found["cpu_seconds"]


def test_the_last_word_is_written_at_the_end(tmp_path):
    before = cpu_seconds()
    with metered(tmp_path / "cpu", "hub.0.0", every=1000) as meter:
        meter.busy = lambda: 4.321
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
    (path,) = (tmp_path / "cpu").glob("*.json")
    found = json.loads(path.read_text())
    assert found["cpu_seconds"] >= before + 0.15 and found["busy_seconds"] == 4.32


def test_a_disk_that_takes_nothing_ends_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    with metered(tmp_path / "file", "hub.0.0", every=0.01):
        time.sleep(0.05)
