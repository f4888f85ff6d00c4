"""`ChildProcess`: frames, limits and ends, against real processes that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from leanfleet.lean.child import ChildDied, ChildMemory, ChildProcess, ChildTimeout

STAND_IN = Path(__file__).parent.parent / "fakes" / "scripted_repl.py"
ECHO = "import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line); sys.stdout.flush()"
SECONDS = 20.0


def python(code: str, **options) -> ChildProcess:
    return ChildProcess([sys.executable, "-c", code], **options)


@pytest.fixture
async def ended():
    """Collects children and ends them."""
    children: list[ChildProcess] = []
    yield children.append
    for child in children:
        await child.close()


def gone(pid: int) -> bool:
    """Whether the process is no more: no zombie of ours either (others' are others' to reap)."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except FileNotFoundError:
        return True
    return state == "Z" and int(parent) != os.getpid()


# --- frames ---------------------------------------------------------------------------------------


async def test_one_reply_to_one_request(ended):
    child = python(ECHO)
    ended(child)
    await child.start()
    for request in (b"hello", b"{}", "∀ x, x = x".encode()):
        assert await child.ask(request, SECONDS) == request
    assert child.alive and child.rss_bytes() > 1_000_000


async def test_megabytes_both_ways(ended):
    child = python(ECHO)
    ended(child)
    await child.start()
    big = b"y" * 5_000_000
    assert await child.ask(big, SECONDS) == big


async def test_greeting_before_the_first_request(ended):
    child = python("print('ready', flush=True)\n" + ECHO)
    ended(child)
    await child.start()
    assert await child.read_frame(SECONDS) == b"ready"
    assert await child.ask(b"x", SECONDS) == b"x"


async def test_large_frames_of_many_lines_are_cut_in_linear_time(ended):
    code = "import sys\nsys.stdin.readline()\nprint('line\\n' * 400_000, flush=True)\ninput()"
    child = python(code, framing="blank_line")
    ended(child)
    await child.start()
    assert len(await child.ask(b"go", SECONDS)) == 400_000 * 5 - 1


async def test_a_reply_that_nobody_asked_for_is_not_taken_for_the_next_one(ended):
    child = python("import sys\nfor line in sys.stdin: print(line + 'extra', flush=True)")
    ended(child)
    await child.start()
    assert await child.ask(b"first", SECONDS) == b"first"
    await asyncio.sleep(0.1)
    with pytest.raises(ChildDied, match="out of turn: b'extra'"):
        await child.ask(b"second", SECONDS)
    assert not child.alive and gone(child.pid)


# --- limits ---------------------------------------------------------------------------------------


async def test_deadline_kills(ended):
    child = python("import time; time.sleep(600)")
    ended(child)
    await child.start()
    with pytest.raises(ChildTimeout, match="no reply within 0.2 s"):
        await child.ask(b"x", 0.2)
    assert not child.alive and gone(child.pid)


async def test_memory_limit_kills(ended):
    child = python(
        "input(); x = bytearray(b'1') * (300 << 20); import time; time.sleep(600)",
        memory_limit_bytes=200 << 20,
    )
    ended(child)
    await child.start()
    with pytest.raises(ChildMemory, match="limit of 200 MiB"):
        await child.ask(b"x", SECONDS)
    assert gone(child.pid)


async def test_reply_beyond_the_limit_kills(ended):
    code = "input()\nwhile True: print('x' * 65536, end='')"
    child = python(code, max_reply_bytes=1 << 20)
    ended(child)
    await child.start()
    with pytest.raises(ChildDied, match="more than 1048576 bytes"):
        await child.ask(b"x", SECONDS)
    assert gone(child.pid)


async def test_stderr_is_drained_and_only_its_end_is_kept(ended):
    code = (
        "import sys\nfor line in sys.stdin:\n"
        " for _ in range(300): sys.stderr.write('panic ' * 20_000)\n"
        " sys.stderr.write('the end'); sys.stderr.flush(); print('done', flush=True)"
    )
    child = python(code)
    ended(child)
    await child.start()
    assert await child.ask(b"x", SECONDS) == b"done"
    for _ in range(100):  # the two pipes are independent
        if child.stderr_tail().endswith("the end"):
            break
        await asyncio.sleep(0.02)
    assert child.stderr_tail().endswith("the end") and len(child.stderr_tail()) < 10_000


# --- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("input(); raise SystemExit('I give up')", ["exit status 1", "I give up"]),
        ("import os; input(); os.abort()", ["signal SIGABRT"]),
        ("import os; print('half', end='', flush=True); os._exit(7)", ["middle of", "status 7"]),
    ],
)
async def test_death_is_reported_with_status_and_last_words(ended, code, words):
    child = python(code)
    ended(child)
    await child.start()
    with pytest.raises(ChildDied) as caught:
        await child.ask(b"x", SECONDS)
    for word in words:
        assert word in str(caught.value)
    with pytest.raises(ChildDied):
        await child.ask(b"again", SECONDS)


async def test_program_that_is_not_there():
    child = ChildProcess(["no-such-program-here"])
    with pytest.raises(ChildDied, match="no such program"):
        await child.start()
    assert not child.alive
    await child.close()


async def test_last_reply_before_the_end_still_counts(ended):
    child = python("input(); print('bye', flush=True)")
    ended(child)
    await child.start()
    assert await child.ask(b"x", SECONDS) == b"bye"
    with pytest.raises(ChildDied):
        await child.ask(b"x", SECONDS)


async def test_grandchildren_are_killed_too(ended):
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "input(); print(p.pid, flush=True); input(); time.sleep(600)"
    )
    child = python(code)
    ended(child)
    await child.start()
    grandchild = int(await child.ask(b"x", SECONDS))
    assert not gone(grandchild)
    with pytest.raises(ChildTimeout):
        await child.ask(b"x", 0.2)
    for _ in range(100):
        if gone(grandchild):
            break
        await asyncio.sleep(0.02)
    assert gone(grandchild)


async def test_a_dead_child_is_noticed_though_its_grandchild_holds_the_pipe(ended):
    code = (
        "import subprocess, sys, os\ninput()\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\nos._exit(5)"
    )
    child = python(code)
    ended(child)
    await child.start()
    with pytest.raises(ChildDied, match="exit status 5"):
        await child.ask(b"x", SECONDS)


async def test_cancelling_a_request_kills(ended):
    child = python("import time; time.sleep(600)")
    ended(child)
    await child.start()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await child.ask(b"x", SECONDS)
    assert not child.alive and gone(child.pid)


async def test_close_twice_and_before_start():
    child = python(ECHO)
    await child.close()
    child = python("import time; time.sleep(600)")
    await child.start()
    await child.close()
    await child.close()
    assert not child.alive and gone(child.pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
@pytest.mark.parametrize("late", [False, True], ids=["at once", "before the kernel was asked"])
async def test_children_die_with_their_server(tmp_path, late):
    """Also those in a busy loop, which never see the end of their input (where setpriv is)."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("no setpriv: only children that read their input die with the server")
    server = (
        "import asyncio, os, sys\n"
        "from leanfleet.lean.child import ChildProcess\n"
        "async def main():\n"
        "    child = ChildProcess([sys.executable, '-c', 'while True: pass'])\n"
        "    await child.start(); print(child.pid, flush=True); os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    environment = dict(os.environ)
    if late:
        slow = tmp_path / "setpriv"
        slow.write_text(f'#!/bin/sh\nsleep 0.5\nexec {setpriv} "$@"\n')
        slow.chmod(0o755)
        environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", server, stdout=asyncio.subprocess.PIPE, env=environment
    )
    pid = int(await asyncio.wait_for(process.stdout.readline(), SECONDS))
    await process.wait()
    for _ in range(200):
        if gone(pid):
            break
        await asyncio.sleep(0.02)
    assert gone(pid)


# --- recorded conversations -----------------------------------------------------------------------


def conversations(folder: Path) -> list[str]:
    """Those that need no more than the conversation."""
    names = sorted(path.name.removesuffix(".in") for path in folder.glob("*.in"))
    return [
        name
        for name in names
        if not name.startswith(("file", "pickle")) and (folder / f"{name}.expected.out").exists()
    ]


def scripted(folder: Path, name: str, *options: str, **limits) -> ChildProcess:
    files = [str(folder / f"{name}.in"), str(folder / f"{name}.expected.out")]
    argv = [sys.executable, str(STAND_IN), *files, *options]
    return ChildProcess(argv, framing="blank_line", **limits)


def recorded(folder: Path, name: str) -> tuple[list[bytes], list[dict]]:
    sys.path.insert(0, str(STAND_IN.parent))
    try:
        from scripted_repl import read_requests
    finally:
        sys.path.remove(str(STAND_IN.parent))
    with open(folder / f"{name}.in", "rb") as file:
        requests = list(read_requests(file))
    text = (folder / f"{name}.expected.out").read_text("utf-8")
    return requests, [json.loads(part) for part in text.split("\n\n") if part.strip()]


async def test_every_recorded_conversation_comes_through(testdata, ended):
    folder = testdata / "repl-transcripts"
    names = conversations(folder)
    assert len(names) >= 25
    for name in names:
        requests, replies = recorded(folder, name)
        assert len(requests) == len(replies), name
        child = scripted(folder, name)
        ended(child)
        await child.start()
        for request, reply in zip(requests, replies, strict=True):
            assert json.loads(await child.ask(request, SECONDS)) == reply, name
        await child.close()


@pytest.mark.parametrize("mode", ["bytes", "slow", "crlf", "stderr"])
async def test_the_way_a_reply_arrives_changes_nothing(testdata, ended, mode):
    folder = testdata / "repl-transcripts"
    requests, replies = recorded(folder, "proof_branching")
    child = scripted(folder, "proof_branching", "--mode", mode)
    ended(child)
    await child.start()
    for request, reply in zip(requests, replies, strict=True):
        assert json.loads(await child.ask(request, SECONDS)) == reply


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        (
            "die",
            ChildDied,
            "middle of a reply; it ended with exit status 3; its last words:\nINTER",
        ),
        ("silent", ChildTimeout, "no reply within"),
        ("giant", ChildDied, "more than 2000000 bytes"),
        ("eat", ChildMemory, "limit of 200 MiB"),
    ],
)
async def test_the_ways_a_conversation_can_end(testdata, ended, mode, error, words):
    folder = testdata / "repl-transcripts"
    requests, _ = recorded(folder, "proof_branching")
    limits = {"memory_limit_bytes": 200 << 20, "max_reply_bytes": 2_000_000}
    child = scripted(folder, "proof_branching", "--mode", mode, "--at", "2", **limits)
    ended(child)
    await child.start()
    await child.ask(requests[0], SECONDS)
    with pytest.raises(error, match=words):
        await child.ask(requests[1], 1.0 if mode == "silent" else SECONDS)
    assert gone(child.pid)
