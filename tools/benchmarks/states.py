"""1,000 proof states, printed by the real Lean: theorems as they are opened, and a tactic further.

`python tools/benchmarks/states.py SECONDS` goes on recording states.jsonl for so long, or until there
are as many: of each theorem of the train split its first state, and those that the menu's first
tactics lead to; different ones only. Without the file it begins anew.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from pathlib import Path

FILE = Path(__file__).with_name("states.jsonl")
COUNT = 1000
_LONGEST = 2000  # characters
_OF_ONE_THEOREM = 3
_TACTICS = 6  # of the menu, tried on each


def states() -> list[str]:
    """The recorded ones."""
    return [json.loads(line)["state"] for line in FILE.read_text("utf-8").splitlines()]


async def _record(found: dict[str, str], seconds: float) -> None:
    """State → theorem, in the order they were met; `found` has those of before."""
    from leanfleet.config import parse_config
    from leanfleet.messages import LeanError, Limits
    from leanfleet.policies.network import state_text
    from leanfleet.roles.lean import local_server
    from leanfleet.search.menu import Menu
    from leanfleet.theorems.splits import draw_splits

    end = time.monotonic() + seconds
    known = set(found.values())
    limits = Limits(seconds=5.0)
    lean = parse_config("name: states\nlean: {processes: 1, verify_processes: 0}", "states").lean
    async with local_server(lean) as client:
        for theorem in draw_splits().train:
            if theorem.name in known:
                continue
            root = await client.open(theorem, limits)
            if isinstance(root, LeanError):
                continue
            tactics = [each.tactic for each in islice(Menu().candidates(root.goals), _TACTICS)]
            reached = [root]
            for step in await client.run_tactics(root, tactics, limits):
                if not isinstance(step, LeanError):
                    reached += step.groups
            texts = dict.fromkeys(state_text(handle.goals) for handle in reached)
            new = [text for text in texts if text not in found and len(text) <= _LONGEST]
            found |= dict.fromkeys(new[:_OF_ONE_THEOREM], theorem.name)
            await client.forget(reached)
            print(f"\r{len(found)} states", end="", file=sys.stderr)
            if len(found) >= COUNT or time.monotonic() > end:
                break


def _main(seconds: float) -> None:
    from leanfleet import eventloop

    found: dict[str, str] = {}
    if FILE.is_file():
        rows = map(json.loads, FILE.read_text("utf-8").splitlines())
        found = {each["state"]: each["theorem"] for each in rows}
    eventloop.run(_record(found, seconds))
    rows = [{"theorem": theorem, "state": state} for state, theorem in found.items()][:COUNT]
    FILE.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), "utf-8")


if __name__ == "__main__":
    _main(float(sys.argv[1]))
