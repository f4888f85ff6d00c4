"""An example: an agent that draws from the menu, or a person, in the environment.

python -m leanfleet.gym --episodes 3
python -m leanfleet.gym --theorem NAME --by-hand < tactics.txt
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium

from leanfleet.gym import ENVIRONMENT
from leanfleet.lean.client import LeanUnavailable
from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.state import parse_goal
from leanfleet.search.menu import Menu

CANDIDATES = 32  # of the menu, at one state

Agent = Callable[[dict[str, Any]], str]  # from a step's info to a tactic


class MenuAgent:
    """Draws by the menu's priors what it has not yet tried at a state."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._menu = Menu()
        self._tried: set[tuple[tuple[str, ...], str]] = set()

    def __call__(self, info: dict[str, Any]) -> str:
        goals = info["goals"]
        offers = self._menu.candidates([parse_goal(text) for text in goals])
        some = [offer for offer, _ in zip(offers, range(CANDIDATES), strict=False)]
        left = [one for one in some if (goals, one.tactic) not in self._tried] or some
        tactic = self._random.choices(left, [one.prior for one in left])[0].tactic
        self._tried.add((goals, tactic))
        return tactic


def typed(info: dict[str, Any]) -> str:
    """The next line of the standard input. Raises EOFError."""
    return input("tactic> " if sys.stdin.isatty() else "")


def play(env: gymnasium.Env, agent: Agent, options: dict[str, str], seed: int | None) -> bool:
    """One episode, told on the standard output; whether it ended in a proof."""
    _, info = env.reset(seed=seed, options=options)
    print(f"{info['theorem']}\n{info['goals'][0]}", flush=True)
    total = 0.0
    while True:
        tactic = agent(info)
        seen, reward, terminated, truncated, info = env.step(tactic)
        total += reward
        error = info.get("error")
        said = f"✗ {error['kind']}: {error['message'].splitlines()[0][:80]}" if error else "✓"
        print(f"  {tactic:40} {said}   open: {seen['open'][0]}", flush=True)
        if terminated:
            print(f"proved, return {total:g}:\n{info['proof']}\n", flush=True)
            return True
        if truncated:
            print(f"not proved, return {total:g}\n", flush=True)
            return False


def main(argv: Sequence[str] | None = None) -> int:
    """0: every episode ended in a proof; 1: not every one."""
    parser = argparse.ArgumentParser(prog="python -m leanfleet.gym", description=__doc__)
    parser.add_argument("--theorems", default="probe", help="a split, file or folder")
    parser.add_argument("--theorem", metavar="NAME", help="default: drawn at random")
    parser.add_argument("--episodes", type=int, default=1)
    parser.add_argument("--max-tactics", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--by-hand", action="store_true", help="tactics from the standard input")
    arguments = parser.parse_args(argv)
    agent: Agent = typed if arguments.by_hand else MenuAgent(arguments.seed)
    options = {"theorem": arguments.theorem} if arguments.theorem else {}
    try:
        limit = arguments.max_tactics
        env = gymnasium.make(ENVIRONMENT, theorems=arguments.theorems, max_tactics=limit)
        with env:
            proved = [
                play(env, agent, options, None if number else arguments.seed)
                for number in range(arguments.episodes)
            ]
    except (ValueError, LeanStartError, LeanUnavailable, EOFError) as error:
        reason = "the input is over" if isinstance(error, EOFError) else error
        print(f"leanfleet.gym: error: {reason}", file=sys.stderr)
        return 4 if isinstance(error, LeanStartError | LeanUnavailable) else 2
    return 0 if all(proved) else 1


if __name__ == "__main__":
    sys.exit(main())
