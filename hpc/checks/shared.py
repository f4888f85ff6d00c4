"""A folder tried by several participants at once: does a run's folder work on this disk, between these?

A run needs that a file written here is soon seen there, that a replaced file is never half there, that
of two who create or link a name one fails, that locks hold, and that connections get through. Every
participant calls `take_part` at about the same time; what each saw is judged elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from hpc.checks.board import Alone, Board
from hpc.checks.clock import Clock, reach
from hpc.checks.reports import Shared
from hpc.files import write_whole

TURNS, TURN_SECONDS = 60, 0.01  # of the file that is replaced; between two
WORD, LAST = "{:06d}", 999_999
WORDS = 400  # of its text
NAMES = 20  # that all want to create
SYNCS = 5
HOLDERS = 2  # participants that lock, one after the other
HELD, KEPT_OUT, LET_IN = "held", "kept out", "let in"


class Hello(Struct, frozen=True):
    secret: str
    host: str
    address: str = ""  # "": cannot be connected to
    port: int = 0


def take_part(
    folder: Path, name: str, names: Sequence[str], seconds: float, address: str = ""
) -> Shared:
    """Tries all of it, with all others; what was seen. `address`: of this node, for the others.

    Raises nothing for what fails: `error` says where it ended.
    """
    report = Shared(name, socket.gethostname())
    board = Board(folder, name, seconds)
    clock = Clock() if address else None
    try:
        me = Hello(secrets.token_hex(8), report.host, address, clock.port if clock else 0)
        board.say("hello", me)
        report.waited["hello"] = board.wait("hello", names)
        hellos = {each: board.read("hello", each, Hello) for each in names}
        report.saw = {each: hello.secret for each, hello in hellos.items() if hello is not None}
        _alone(folder, report)
        _replaced(board, names, report)
        _created(board, names, report)
        _locked(board, names, report)
        for each, hello in hellos.items():
            if hello is not None and each != name and hello.port:
                report.reach[each] = reach(hello.address, hello.port)
        board.say("reached")
        if clock is not None:  # others may still ask it
            report.waited["reached"] = board.wait("reached", names)
    except (OSError, ValueError, Alone) as error:
        report.error = str(error)
    finally:
        if clock is not None:
            clock.close()
    return report


def _alone(folder: Path, report: Shared) -> None:
    """What needs nobody else."""
    times = []
    path = folder / f"safe-{report.name}"
    for _ in range(SYNCS):
        began = time.monotonic()
        write_whole(path, b"x" * 1000)
        times.append(time.monotonic() - began)
    report.sync_milliseconds = round(1000 * statistics.median(times), 2)
    report.mtime_ahead = path.stat().st_mtime - time.time()


def _replaced(board: Board, names: Sequence[str], report: Shared) -> None:
    """The first one replaces a file again and again, the others read it."""
    path = board.folder / "replaced"
    writes = report.name == names[0]
    if writes:
        write_whole(path, _text(0), sync=False)
    board.say("replace")
    report.waited["replace"] = board.wait("replace", names)
    if writes:
        for number in (*range(1, TURNS), LAST):
            write_whole(path, _text(number), sync=False)
            time.sleep(TURN_SECONDS)
        report.was_last = True
    else:
        _read(path, report, time.monotonic() + board.seconds)
    board.say("replaced")
    report.waited["replaced"] = board.wait("replaced", names)


def _read(path: Path, report: Shared, deadline: float) -> None:
    newest = 0
    while not report.was_last and time.monotonic() < deadline:
        report.reads += 1
        try:
            number = _number(path.read_bytes())
        except OSError:  # also that the old file went away while it was read
            report.gone += 1
            continue
        if number is None:
            report.torn += 1
        else:
            report.backwards += number < newest
            newest = max(newest, number)
            report.was_last = number == LAST
        time.sleep(TURN_SECONDS / 4)


def _text(number: int) -> bytes:
    return WORD.format(number).encode() * WORDS


def _number(data: bytes) -> int | None:
    """None for a text that was never written as a whole."""
    word = data[: len(WORD.format(0))]
    return int(word) if data == word * WORDS and word.isdigit() else None


def _created(board: Board, names: Sequence[str], report: Shared) -> None:
    """All want to create the same names, at the same time."""
    own = board.folder / f"own-{report.name}"
    own.touch()
    board.say("create")
    report.waited["create"] = board.wait("create", names)
    made, linked = [], []
    for number in range(NAMES):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(board.folder / f"made-{number}", os.O_CREAT | os.O_EXCL, 0o600))
            made.append(f"made-{number}")
        with contextlib.suppress(FileExistsError):
            os.link(own, board.folder / f"linked-{number}")
            linked.append(f"linked-{number}")
    report.made, report.linked = tuple(made), tuple(linked)


def _locked(board: Board, names: Sequence[str], report: Shared) -> None:
    """One holds both kinds of lock while the others try to get them."""
    for holder in names[:HOLDERS]:
        with _files(board.folder) as files:
            if report.name == holder:
                for kind, outcome in _lock(files, held=True).items():
                    report.locks[f"{kind} of {holder}"] = outcome
                board.say(f"held-{holder}")
                board.wait(f"tried-{holder}", set(names) - {holder})
            else:
                report.waited[f"held-{holder}"] = board.wait(f"held-{holder}", {holder})
                for kind, outcome in _lock(files, held=False).items():
                    report.locks[f"{kind} of {holder}"] = outcome
                board.say(f"tried-{holder}")
        # The next one locks when this one has let go.
        board.say(f"free-{holder}")
        report.waited[f"free-{holder}"] = board.wait(f"free-{holder}", names)


@contextlib.contextmanager
def _files(folder: Path):
    """Both locks' files, open. What holds a lock lets go of it at the end."""
    with open(folder / "flock", "ab") as one, open(folder / "lockf", "ab") as other:
        yield {"flock": one, "lockf": other}


def _lock(files, *, held: bool) -> dict[str, str]:
    """flock is a file's, lockf (POSIX, of fcntl) a process's."""
    found = {}
    for kind, lock in (("flock", fcntl.flock), ("lockf", fcntl.lockf)):
        try:
            lock(files[kind], fcntl.LOCK_EX | fcntl.LOCK_NB)
            found[kind] = HELD if held else LET_IN
        except BlockingIOError:
            found[kind] = KEPT_OUT
        except OSError as error:
            found[kind] = error.strerror or str(error)
    return found
