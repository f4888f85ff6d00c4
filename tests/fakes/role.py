"""A process to be supervised: `role.py NOTES NAME ATTEMPT [SCRIPT]`.

It notes what happens to it, a line each, in NOTES, and does what SCRIPT says, words by commas:
`exit:3`, `sleep:0.2`, `deaf` (SIGTERM does nothing), `child` (a process in a session of its own, as
deaf as itself), `until:FILE` (waits for a file), `say:TEXT`, and at its end it waits for ever.
`first:N:WORD` does WORD in the first N attempts only.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

notes, name, attempt = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def note(text):
    with notes.open("a") as file:
        file.write(f"{name} {text}\n")


def stop(number, _frame):
    note(signal.Signals(number).name)
    sys.exit(0)


def do(word):
    what, _, rest = word.partition(":")
    if what == "first":
        count, _, inner = rest.partition(":")
        if attempt < int(count):
            do(inner)
    elif what == "exit":
        note(f"exits {rest}")
        sys.exit(int(rest))
    elif what == "sleep":
        time.sleep(float(rest))
    elif what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif what == "child":
        loop = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", loop], start_new_session=True)
        note(f"child {child.pid}")
    elif what == "until":
        while not Path(rest).exists():
            time.sleep(0.02)
    elif what == "say":
        print(rest, flush=True)
    else:
        raise ValueError(word)


signal.signal(signal.SIGTERM, stop)
note(f"begins {attempt} {os.getpid()}")
for each in filter(None, (sys.argv[4] if len(sys.argv) > 4 else "").split(",")):
    do(each)
while True:
    time.sleep(600)
