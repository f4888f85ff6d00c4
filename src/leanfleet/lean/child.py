"""A child process that answers framed requests in order, with every limit enforced from outside.

It frames bytes, keeps deadlines and memory limits, drains stderr and ends the whole process group.
It refuses to know what the bytes mean, whether a program is Lean, and how to restart one: after
any `ChildError` the child is dead and reaped, and the owner makes a new `ChildProcess`.

Children do not outlive their server: their standard input ends when it dies, and where the
machine has `setpriv` (util-linux) the kernel is asked to kill them as well, since a program in a
busy loop does not read its input.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn

SAMPLE_SECONDS = 0.1
"""How often a running request's memory is sampled."""

STDERR_TAIL_BYTES = 8192
"""How much of the end of stderr is kept for messages."""

GRACE_SECONDS = 0.5
"""How long to wait for an exit status after the output ended, and for a polite end."""

REAP_SECONDS = 30.0
"""How long to wait for the kernel to hand over a killed child."""

_IF_PARENT = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
"""For sh: becomes the program unless the parent (process id $0) is gone. The kernel tells of a death
that comes after the request to be told, never of one that came before."""

_MAX_PENDING_FRAMES = 16  # more frames than this that nobody asked for: the child babbles
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ChildError(Exception):
    """The child did not answer. It has been killed and reaped."""


class ChildTimeout(ChildError):
    """No whole reply within the request's seconds."""


class ChildMemory(ChildError):
    """Resident memory passed the limit."""


class ChildDied(ChildError):
    """It exited, could not be started, spoke out of turn, or replied beyond `max_reply_bytes`."""


class ChildProcess:
    """One child with pipes.

    `framing`: "line" ends a frame at a newline, "blank_line" at an empty line; both may be CRLF,
    empty frames are skipped, and frames are returned without their end. `memory_limit_bytes`
    bounds resident memory, sampled while a request runs; `max_reply_bytes` bounds one reply. A
    frame that nobody asked for is an error of the next `ask`: they would be out of step.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        framing: Literal["line", "blank_line"] = "line",
        memory_limit_bytes: int | None = None,
        max_reply_bytes: int = 64 << 20,
    ) -> None:
        assert framing in ("line", "blank_line")
        self._argv = list(argv)
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._request_end = b"\n" if framing == "line" else b"\n\n"
        self._memory_limit = memory_limit_bytes
        self._protocol = _Protocol(blank_line=framing == "blank_line", max_frame=max_reply_bytes)
        self._transport: asyncio.SubprocessTransport | None = None
        self._pid: int | None = None
        self._sampled_at = float("-inf")
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id, also after its end; None before `start`."""
        return self._pid

    @property
    def alive(self) -> bool:
        """Whether a request can still be sent."""
        return self._transport is not None and not self._closed and self._protocol.end is None

    async def start(self) -> None:
        """Starts the child; it need not be ready (see `read_frame`). Raises ChildDied."""
        assert self._transport is None, "a ChildProcess is started once"
        program = shutil.which(self._argv[0], path=(self._env or os.environ).get("PATH"))
        if program is None:
            raise ChildDied(f"{self._argv[0]}: no such program, or it is not executable")
        argv = [program, *self._argv[1:]]
        setpriv = shutil.which("setpriv")
        if setpriv is not None:  # each becomes the next: the process id stays
            check = ["/bin/sh", "-c", _IF_PARENT, str(os.getpid())]
            argv = [setpriv, "--pdeathsig", "KILL", "--", *check, *argv]
        try:
            self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: self._protocol,
                *argv,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise ChildDied(f"{program} could not be started: {error}") from error
        self._pid = self._transport.get_pid()

    async def ask(self, request: bytes, seconds: float) -> bytes:
        """Sends one request (without its end) and returns one reply within `seconds`.

        Raises ChildTimeout, ChildMemory or ChildDied; a request to a dead child raises ChildDied.
        Cancelling it kills the child, since the reply would come later, out of step.
        """
        await self.send(request)
        return await self.reply(seconds)

    async def send(self, *requests: bytes) -> None:
        """Sends requests; their replies, and those before them, are then due. Raises ChildDied.

        All but the first wait in the child's input: it has no pause between them, and may answer
        several at a time.
        """
        protocol = self._protocol
        if not self.alive:
            await self._fail(ChildDied, protocol.end or "is closed")
        if not protocol.due and (protocol.frames or protocol.has_partial):
            extra = bytes(protocol.frames[0] if protocol.frames else protocol.partial)[:200]
            await self._fail(ChildDied, f"spoke out of turn: {extra!r}")
        stdin = self._transport.get_pipe_transport(0)
        if not stdin.is_closing():
            stdin.write(b"".join(request + self._request_end for request in requests))
        protocol.due += len(requests)

    async def reply(self, seconds: float) -> bytes:
        """The reply to the oldest request that has none, within `seconds`. Raises as `ask` does."""
        assert self._protocol.due, "a reply to no request"
        frame = await self._next_frame(seconds, "no reply")
        self._protocol.due -= 1
        return frame

    async def read_frame(self, seconds: float) -> bytes:
        """One frame without a request, such as a greeting. Raises as `ask` does."""
        return await self._next_frame(seconds, "no greeting")

    def rss_bytes(self) -> int:
        """Resident memory in bytes; 0 where it can't be read (it ended, or there is no /proc)."""
        if self._pid is None or self._protocol.exit_code is not None:
            return 0
        try:
            with open(f"/proc/{self._pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            return 0

    def stderr_tail(self) -> str:
        """The end of what it wrote on stderr so far."""
        return self._protocol.stderr[-STDERR_TAIL_BYTES:].decode("utf-8", "replace")

    async def close(self) -> None:
        """Ends the child: end of input, then a short grace, then a kill. Never raises."""
        if self._transport is None:
            return
        self._closed = True
        stdin = self._transport.get_pipe_transport(0)
        if stdin is not None and not stdin.is_closing():
            stdin.close()
        await self._wait_exit(GRACE_SECONDS)
        await self._kill()

    # --- inside ---------------------------------------------------------------------------------

    async def _next_frame(self, seconds: float, missing: str) -> bytes:
        protocol = self._protocol
        if protocol.frames:
            return protocol.frames.popleft()
        if not self.alive:
            await self._fail(ChildDied, protocol.end or "is closed")
        assert protocol.waiter is None, "one request at a time"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        waiter = protocol.waiter = loop.create_future()
        timer: asyncio.TimerHandle | None = None

        def tick() -> None:
            """Looks at the clock and at memory while the request runs."""
            nonlocal timer
            now = loop.time()
            if waiter.done():
                return
            if now >= deadline:
                waiter.set_exception(ChildTimeout(f"gave {missing} within {seconds:g} s"))
            elif (excess := self._memory_excess(now)) is not None:
                waiter.set_exception(ChildMemory(excess))
            else:
                timer = loop.call_later(min(SAMPLE_SECONDS, deadline - now), tick)

        tick()
        try:
            return await waiter
        except ChildError as error:
            failure = error
        except asyncio.CancelledError:
            await self._kill()
            raise
        finally:
            protocol.waiter = None
            if timer is not None:
                timer.cancel()
        await self._fail(type(failure), str(failure))

    def _memory_excess(self, now: float) -> str | None:
        if self._memory_limit is None or now - self._sampled_at < SAMPLE_SECONDS / 2:
            return None
        self._sampled_at = now
        rss = self.rss_bytes()
        if rss <= self._memory_limit:
            return None
        return f"holds {rss >> 20} MiB, more than its limit of {self._memory_limit >> 20} MiB"

    async def _fail(self, error: type[ChildError], why: str) -> NoReturn:
        """Kills, reaps, and raises `error` with the exit status and the tail of stderr."""
        if self._transport is None:
            raise error(f"{self._argv[0]} was not started")
        if error is ChildDied and self._protocol.end is not None:
            # Its own exit status and its last words are worth a moment.
            await asyncio.wait([self._protocol.closed], timeout=GRACE_SECONDS)
        exit_code = self._protocol.exit_code
        await self._kill()
        parts = [f"{os.path.basename(self._argv[0])} (process {self._pid}) {why}"]
        if exit_code is not None:
            parts.append(f"it ended with {_status(exit_code)}")
        if tail := self.stderr_tail().strip():
            parts.append(f"its last words:\n{tail[-2000:]}")
        raise error("; ".join(parts))

    async def _wait_exit(self, seconds: float) -> None:
        if not self._protocol.exited.done():
            await asyncio.wait([self._protocol.exited], timeout=seconds)

    async def _kill(self) -> None:
        """Kills the whole process group and reaps the child."""
        self._closed = True
        if not self._protocol.group_ended:
            self._protocol.group_ended = True
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # nobody is left in the group
        await self._wait_exit(REAP_SECONDS)
        self._transport.close()


class _Protocol(asyncio.SubprocessProtocol):
    """Cuts stdout into frames, keeps the tail of stderr, notes the end."""

    def __init__(self, *, blank_line: bool, max_frame: int) -> None:
        self.frames: deque[bytes] = deque()
        self.partial = bytearray()  # the unfinished frame
        self.stderr = bytearray()
        self.waiter: asyncio.Future[bytes] | None = None
        self.due = 0  # requests whose reply has not been taken
        self.end: str | None = None  # why no frame will come any more
        self.exit_code: int | None = None
        self.group_ended = False  # whether the process group has been killed
        self._blank_line = blank_line
        self._max_frame = max_frame
        self._scanned = 0  # `partial` holds no frame end before this place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        loop = asyncio.get_running_loop()
        self.exited, self.closed = loop.create_future(), loop.create_future()

    @property
    def has_partial(self) -> bool:
        return bool(self.partial.strip())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.stderr += data[-STDERR_TAIL_BYTES:]
            if len(self.stderr) > 2 * STDERR_TAIL_BYTES:
                del self.stderr[:-STDERR_TAIL_BYTES]
        elif self.end is None:
            self.partial += data
            self._cut()

    def _cut(self) -> None:
        """Moves whole frames from `partial` to the waiter, or to the queue."""
        start = 0
        while (found := self._find_end(start)) is not None:
            stop, after = found
            frame = bytes(self.partial[start:stop]).strip(b"\r\n")
            start = self._scanned = after
            if frame:
                self._deliver(frame)
        del self.partial[:start]
        self._scanned = max(0, len(self.partial) - 2)
        if len(self.partial) > self._max_frame:
            self._finish(f"gave a reply of more than {self._max_frame} bytes")
            self.partial.clear()

    def _find_end(self, start: int) -> tuple[int, int] | None:
        """Where the frame at `start` stops, and where the next one begins."""
        at = self.partial.find(b"\n", max(start, self._scanned))
        while at >= 0:
            empty = at - start <= 1 and self.partial[start:at] in (b"", b"\r")
            if empty or not self._blank_line:
                return at, at + 1  # a line; or an empty line before a frame
            for ending in (b"\n", b"\r\n"):
                if self.partial.startswith(ending, at + 1):
                    return at, at + 1 + len(ending)
            at = self.partial.find(b"\n", at + 1)
        return None

    def _deliver(self, frame: bytes) -> None:
        if len(frame) > self._max_frame:
            self._finish(f"gave a reply of more than {self._max_frame} bytes")
        elif self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(frame)
        else:
            self.frames.append(frame)
            if len(self.frames) > _MAX_PENDING_FRAMES + self.due:
                self._finish("wrote many frames that nobody asked for")

    def _finish(self, why: str) -> None:
        if self.end is None:
            self.end = why
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(ChildDied(self.end))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._finish("ended in the middle of a reply" if self.has_partial else "ended")

    def connection_lost(self, exc: Exception | None) -> None:
        """The process and all its pipes have ended."""
        if not self.closed.done():
            self.closed.set_result(None)

    def process_exited(self) -> None:
        self.exit_code = self._transport.get_returncode()
        if not self.exited.done():
            self.exited.set_result(None)
        # What is still in the pipe is read first; but a grandchild may hold the pipe for ever.
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._finish, "ended")


def _status(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
