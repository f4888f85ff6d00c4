"""`python hpc/with_parent.py PARENT ARGV…`: becomes ARGV, which gets SIGTERM when PARENT dies.

The kernel is asked before the program is there, and whether PARENT still lives is looked at after
that, so that no moment is left out. What a program does with SIGTERM is its own; `hpc.keeper` ends
those that do nothing. Knows no program. It is run by its path, without `site`, to be quick.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
EXIT_NOT_FOUND, EXIT_NO_PARENT = 127, 143


def main(arguments: list[str]) -> int:
    """Returns only where nothing could be started: the exit code."""
    parent, argv = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":  # elsewhere the keeper alone looks after orphans
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
            error = os.strerror(ctypes.get_errno())
            print(f"can't be bound to the launcher's life: {error}", file=sys.stderr)
    if os.getppid() != parent:
        print("the launcher died before this process began", file=sys.stderr)
        return EXIT_NO_PARENT
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"{argv[0]} can't be run: {error.strerror}", file=sys.stderr)
        return EXIT_NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
