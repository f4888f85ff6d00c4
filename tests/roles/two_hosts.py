"""Two hosts on one machine: network namespaces, each with its own addresses, joined by a cable.

`first` and `second` have an interface `fast0` each, the two ends of the cable. `first` has another one,
`front0`, over which it reaches the rest of the world, and `second` does not. The disk is shared.
Needs root and `ip`. What runs in a namespace is the caller's to end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

FIRST, SECOND, FRONT = "10.177.5.1", "10.177.5.2", "10.178.5.1"


def lacking() -> str | None:
    """Why this machine can't; None where it can."""
    if shutil.which("ip") is None:
        return "no network namespaces: there is no `ip` (iproute2)"
    try:
        with TwoHosts():
            return None
    except subprocess.CalledProcessError as error:
        return f"no network namespaces: {error.stderr.strip() or error}"


class TwoHosts:
    """Made when entered, gone when left."""

    def __init__(self) -> None:
        self.first, self.second = f"lf-{os.getpid()}-a", f"lf-{os.getpid()}-b"

    def __enter__(self) -> TwoHosts:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def inside(self, host: str, *words: object) -> list[str]:
        """A command line that runs there."""
        return ["ip", "netns", "exec", host, *(str(word) for word in words)]

    def run(self, host: str, *words: object) -> str:
        """What a command says there. Raises subprocess.CalledProcessError."""
        return _call(*self.inside(host, *words))

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Without the cable."""
        _call("ip", "-n", self.second, "link", "set", "fast0", "down")
        try:
            yield
        finally:
            _call("ip", "-n", self.second, "link", "set", "fast0", "up")

    def _make(self) -> None:
        for host in (self.first, self.second):
            _call("ip", "netns", "add", host)
            _call("ip", "-n", host, "link", "set", "lo", "up")
        end = ("name", "fast0", "netns")
        _call(
            "ip",
            "-n",
            self.first,
            "link",
            "add",
            "fast0",
            "type",
            "veth",
            "peer",
            *end,
            self.second,
        )
        _call(
            "ip", "-n", self.first, "link", "add", "front0", "type", "veth", "peer", "name", "wall0"
        )
        for host, name, address in (
            (self.first, "fast0", FIRST),
            (self.second, "fast0", SECOND),
            (self.first, "front0", FRONT),
        ):
            _call("ip", "-n", host, "address", "add", f"{address}/24", "dev", name)
            _call("ip", "-n", host, "link", "set", name, "up")
        _call("ip", "-n", self.first, "link", "set", "wall0", "up")
        _call("ip", "-n", self.first, "route", "add", "default", "dev", "front0")

    def _remove(self) -> None:
        for host in (self.first, self.second):
            subprocess.run(["ip", "netns", "del", host], stderr=subprocess.DEVNULL, check=False)


def _call(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()
