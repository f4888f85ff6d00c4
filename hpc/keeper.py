"""`python -m hpc.keeper MARK SECONDS`: ends what a launcher leaves behind when it is killed.

It waits for the end of its standard input, which the launcher alone holds open. Then all processes
with the mark get SIGTERM, and SIGKILL after some seconds. A launcher that ended in order has left none.
"""

from __future__ import annotations

import os
import signal
import sys

from hpc import processes


def main(arguments: list[str]) -> int:
    mark, patience = arguments[0], float(arguments[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the launcher, whose end says enough
    while os.read(0, 4096):
        pass  # nobody writes
    processes.end(mark, patience)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
