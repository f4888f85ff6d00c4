"""The live line of `leanfleet prove`, on a terminal and in a log."""

import io
import os
import pty

from leanfleet.commands._live import Line
from leanfleet.prover import Statistics


class Terminal(io.StringIO):
    """Says it is one, of a width that a real pseudo-terminal has."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self._ends = pty.openpty()
        os.set_blocking(self._ends[0], False)
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self._ends[1], termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._ends[1]

    def close(self) -> None:
        super().close()
        for end in self._ends:
            os.close(end)


COUNTS = Statistics(simulations=42, tactics=300, seconds=4.0, depth=5, best_value=-3.04)


def test_one_theorem_shows_how_far_its_search_is():
    text = Line(1, io.StringIO()).text(COUNTS, 99.0)
    assert text == "42 simulations · depth 5 · best value -3.0 · 75 Lean steps/s · 4 s"


def test_a_search_that_has_just_begun_divides_by_nothing():
    text = Line(1, io.StringIO()).text(Statistics(), 0.0)
    assert text == "0 simulations · depth 0 · 0 Lean steps/s · 0 s"


def test_many_theorems_are_summed_up():
    line = Line(3, io.StringIO())
    line.update(0, COUNTS)
    line.update(2, Statistics(simulations=8, tactics=100))
    line.update(2, Statistics(simulations=9, tactics=100))  # the latest of a theorem counts
    line.done = 1
    assert line.text(COUNTS, 10.0) == "1/3 done · 51 simulations · 40 Lean steps/s · 10 s"


def test_a_terminal_s_line_never_wraps_and_goes_away():
    stream = Terminal(columns=30)
    try:
        line = Line(1, stream)
        line._said = float("-inf")
        line.update(0, COUNTS)
        (drawn,) = stream.getvalue().split("\r\x1b[2K")[1:]
        assert drawn == "42 simulations · depth 5 · be" and len(drawn) < 30
        line.clear()
        assert stream.getvalue().endswith("\r\x1b[2K")
    finally:
        stream.close()


def test_a_log_gets_whole_lines_and_few_of_them():
    stream = io.StringIO()
    line = Line(1, stream)
    line.say("starting")
    for _ in range(1000):
        line.update(0, COUNTS)
    assert stream.getvalue() == ""  # not a minute old
    line._said = float("-inf")
    line.update(0, COUNTS)
    line.clear()
    assert stream.getvalue().count("\n") == 1 and "\x1b" not in stream.getvalue()
