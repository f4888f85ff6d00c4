"""Speaks the native REPL's protocol with the registry Lean behind it: real Lean, borrowed framing.

    python registry_repl.py

For playing the conformance transcripts through the native driver on a machine without a native
Lean. What it shows: the text that the driver wraps around tactics, its grouping by print, and its
separation of groups, against real elaboration. What it can't show: the real REPL's own behaviour
(error recovery, proof status), and the syntax check, which needs a compiler; where the parts of a
statement stand is answered by the registry Lean's own operation.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from scripted_repl import read_requests, send

from leanfleet.lean import toolchain
from leanfleet.lean.registry import RegistryLean
from leanfleet.messages import ErrorKind, LeanError, Limits


class Repl:
    """Proof states are lists of (registry state, prints of its goals, their places)."""

    def __init__(self, lean: RegistryLean) -> None:
        self.lean = lean
        self.states: list[list[tuple[int, list[str], list[int]]]] = []

    async def answer(self, request: dict) -> dict:
        if "cmd" in request:
            return await self.command(request)
        groups = self.states[request["proofState"]]
        if re.fullmatch(r"\((rotate_left|sorry)(; (rotate_left|sorry))*\)", request["tactic"]):
            keep = [move == "rotate_left" for move in request["tactic"].strip("()").split("; ")]
            return self.saved([group for group in groups if all(keep[i] for i in group[2])])
        ((state, _, _),) = groups  # the driver separates groups before it uses them
        result = await self.lean.run_unchecked(state, request["tactic"])
        if isinstance(result, LeanError):
            place = "<input>:1:1: " if result.kind is ErrorKind.PARSE else ""
            return {"message": f"Lean error:\n{place}{result.message}"}
        reply = self.saved(
            [
                (group["state"], [goal["text"] for goal in group["goals"]], list(places))
                for group, places in zip(result["groups"], result["positions"], strict=True)
            ]
        )
        messages = [{"severity": "info", "data": text} for text in result["messages"]]
        return reply | ({"messages": messages} if messages else {})

    async def command(self, request: dict) -> dict:
        if "namespace LeanFleetGuard" in request["cmd"]:
            return {"env": request.get("env", 0)}
        if (literal := request["cmd"].removeprefix("#leanfleet_spans ")) != request["cmd"]:
            return await self.spans(json.loads(literal))
        result = await self.lean.run_commands(request["cmd"], request.get("env"))
        if isinstance(result, LeanError):
            return {"message": result.message}
        sorries = []
        for site in result["sorries"]:
            prints = [goal["text"] for goal in site["goals"]]
            reply = self.saved([(site["state"], prints, list(range(len(prints))))])
            sorries.append({"proofState": reply["proofState"], "goal": "\n".join(prints)})
        return {"env": result["env"], "messages": result["messages"], "sorries": sorries}

    async def spans(self, text: str) -> dict:
        statement = text.removesuffix(" := by\n  sorry")
        reply = await self.lean._call(
            "spans", Limits(), imports=["Init"], header="", statement=statement
        )
        found = (
            {"error": reply.message}
            if isinstance(reply, LeanError)
            else json.loads(bytes(reply.ok))
        )
        return {"env": 0, "messages": [{"severity": "info", "data": json.dumps(found)}]}

    def saved(self, groups: list[tuple[int, list[str], list[int]]]) -> dict:
        self.states.append(groups)
        flat = [pair for _, prints, places in groups for pair in zip(places, prints, strict=True)]
        status = "Incomplete: open goals remain" if groups else "Completed"
        goals = [text for _, text in sorted(flat)]
        return {"proofState": len(self.states) - 1, "goals": goals, "proofStatus": status}


async def main() -> None:
    lean = RegistryLean(toolchain.installed())
    await lean.start()
    repl = Repl(lean)
    requests = read_requests(sys.stdin.buffer)
    while request := await asyncio.to_thread(next, requests, None):
        reply = await repl.answer(json.loads(request))
        send((json.dumps(reply, ensure_ascii=False) + "\n\n").encode())
    await lean.close()


if __name__ == "__main__":
    asyncio.run(main())
