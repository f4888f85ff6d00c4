"""What serving roles share: a log that can't be written ends none of them."""

from __future__ import annotations

import asyncio
import errno
import sys

from leanfleet.roles import serving
from leanfleet.roles.serving import show_until


async def test_a_log_on_a_full_disk_ends_nobody(monkeypatch):
    class Full:
        tried = 0

        def isatty(self):
            return False

        def write(self, _):
            Full.tried += 1
            raise OSError(errno.ENOSPC, "No space left on device")

        flush = write

    monkeypatch.setattr(sys, "stderr", Full())
    monkeypatch.setattr(serving, "TERMINAL_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(serving, "LOG_EVERY_SECONDS", 0.01)
    stopped, looks = asyncio.Event(), []

    def check():
        looks.append(1)
        if len(looks) == 5:
            stopped.set()

    async with asyncio.timeout(10):
        await show_until(stopped, lambda: "a line", check)
    assert len(looks) == 5 and Full.tried >= 5
