"""Plays a recorded conversation of leanprover-community/repl as a real process on real pipes.

    python scripted_repl.py REQUESTS REPLIES [--mode MODE] [--at N]      replies in recorded order
    python scripted_repl.py REQUESTS REPLIES --driver                   answers NativeLean's requests

The first form insists that request k is the recorded request k, and answers with the recorded
bytes; MODE says how request N (from 1; every one by default) is answered instead of plainly:

    bytes    one byte at a time              garbage  a frame that is no JSON
    slow     after 0.3 s                     die      half a reply, words on stderr, exit 3
    crlf     with CRLF line ends             silent   never
    glued    with one more reply behind it   giant    never-ending x
    stderr   after 20 MB on stderr           eat      takes 400 MB, never answers

The second form finds the recorded request that an adapted one stands for: NativeLean puts its own
header, its heartbeat limit and its `sorry` around what was recorded. It plays separation by
leaving out goals that were closed by `sorry`. Everything it says was said by a real Lean.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("requests")
    parser.add_argument("replies")
    parser.add_argument("--mode", default="plain")
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--driver", action="store_true")
    arguments = parser.parse_args()
    with open(arguments.requests, "rb") as file:
        requests = [json.loads(request) for request in read_requests(file)]
    with open(arguments.replies, encoding="utf-8", newline="") as file:
        replies = [reply for reply in file.read().split("\n\n") if reply.strip()]
    if arguments.driver:
        play_driver(requests, [json.loads(reply) for reply in replies])
    else:
        play(requests, replies, arguments.mode, arguments.at)


def read_requests(lines) -> Iterator[bytes]:
    """Requests as the real program reads them: right-trimmed lines up to an empty one, joined."""
    parts: list[bytes] = []
    for line in lines:
        if line.strip():
            parts.append(line.rstrip())
        elif parts:
            yield b"".join(parts)
            parts = []
    if parts:
        yield b"".join(parts)


# --- in recorded order ----------------------------------------------------------------------------


def play(requests: list[dict], replies: list[str], mode: str, at: int) -> None:
    for number, line in enumerate(read_requests(sys.stdin.buffer), start=1):
        if number > len(requests) or json.loads(line) != requests[number - 1]:
            send(b'{"message": "this is not the recorded request"}\n\n')
            continue
        reply = (replies[number - 1].strip("\n") + "\n\n").encode()
        answer(reply, mode if at in (0, number) else "plain")


def answer(reply: bytes, mode: str) -> None:
    if mode == "bytes":
        for index in range(len(reply)):
            send(reply[index : index + 1])
    elif mode == "slow":
        time.sleep(0.3)
        send(reply)
    elif mode == "crlf":
        send(reply.replace(b"\n", b"\r\n"))
    elif mode == "glued":
        send(reply + b'{"message": "nobody asked for this"}\n\n')
    elif mode == "stderr":
        for _ in range(200):
            os.write(2, b"PANIC " * 17_000)
        send(reply)
    elif mode == "garbage":
        send(b"uncaught exception: Could not parse JSON\n\n")
    elif mode == "die":
        send(reply[: len(reply) // 2])
        os.write(2, b"INTERNAL PANIC: out of luck\n")
        os._exit(3)
    elif mode == "silent":
        time.sleep(600)
    elif mode == "giant":
        while True:
            send(b"x" * 65_536)
    elif mode == "eat":
        hoard = bytearray(400 << 20)
        hoard[::4096] = b"\1" * len(hoard[::4096])
        time.sleep(600)
    else:
        assert mode == "plain", mode
        send(reply)


def send(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


# --- for NativeLean -------------------------------------------------------------------------------


def play_driver(requests: list[dict], replies: list[dict]) -> None:
    closed: dict[int, list[str]] = {}  # proof state -> prints of goals that `sorry` has closed
    goals: dict[int, list[str]] = {}
    alias: dict[int, int] = {}  # separated proof state -> the recorded one
    for line in read_requests(sys.stdin.buffer):
        request = json.loads(line)
        state = request.get("proofState")
        if "cmd" in request:
            reply = command(request["cmd"], requests, replies)
        elif re.fullmatch(r"\((rotate_left|sorry)(; (rotate_left|sorry))*\)", request["tactic"]):
            reply, number = separate(request, goals), 10_000 + len(alias)
            dropped = [goal for goal in goals[state] if goal not in reply["goals"]]
            alias[number] = alias.get(state, state)
            closed[number] = closed.get(state, []) + dropped
            reply["proofState"] = number
        else:
            reply = tactic(request, requests, replies, alias)
            if "proofState" in reply:
                reply = dict(reply)
                gone = closed.get(state, [])
                closed[reply["proofState"]] = gone
                reply["goals"] = [goal for goal in reply["goals"] if goal not in gone]
                if gone and not reply["goals"]:
                    reply["proofStatus"] = "Incomplete: contains sorry"
        if "proofState" in reply:
            goals[reply["proofState"]] = reply["goals"]
        send((json.dumps(reply, ensure_ascii=False) + "\n\n").encode())


def command(text: str, requests: list[dict], replies: list[dict]) -> dict:
    if text.startswith("#eval Lean.versionString"):
        return {"messages": [{"severity": "info", "data": '"4.33.0-rc2"'}], "env": 500}
    for request, reply in zip(requests, replies, strict=False):
        if "sorries" in reply and plain(request.get("cmd", "")) == plain(text):
            return reply
    return {"env": 501}  # a header


def plain(text: str) -> str:
    """A statement without its `sorry` and its spacing."""
    return " ".join(re.sub(r":=\s*(by)?\s*sorry\s*$", "", text).split())


def tactic(request: dict, requests: list[dict], replies: list[dict], alias: dict[int, int]) -> dict:
    state = alias.get(request["proofState"], request["proofState"])
    for recorded, reply in zip(requests, replies, strict=False):
        if recorded.get("proofState") == state and recorded["tactic"] in request["tactic"]:
            return reply
    return {"message": f"this was not recorded: {request}"}


def separate(request: dict, goals: dict[int, list[str]]) -> dict:
    moves = request["tactic"].strip("()").split("; ")
    before = goals[request["proofState"]]
    kept = [goal for goal, move in zip(before, moves, strict=True) if move == "rotate_left"]
    return {"goals": kept, "proofStatus": "Incomplete: open goals remain", "sorries": [{}]}


if __name__ == "__main__":
    main()
