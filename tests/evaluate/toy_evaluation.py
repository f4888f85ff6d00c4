"""An evaluation on the fake driver: theorems of the toy logic, and a policy that speaks it.

python toy_evaluation.py FOLDER      runs it, or goes on
"""

import asyncio
import sys
from pathlib import Path

from leanfleet.config import LeanConfig
from leanfleet.evaluate.benchmarks import Benchmark
from leanfleet.evaluate.content import content_hash
from leanfleet.evaluate.session import evaluate
from leanfleet.evaluate.settings import Settings
from leanfleet.messages import Theorem
from leanfleet.progress import Silent
from leanfleet.roles.lean import local_server
from leanfleet.search.answers import Proposal

TACTICS = ("assumption", "trivial", "split", "intro h", "left", "right", "cases h", "rotate_left")
COUNT = 150  # of the runs in processes of their own
SETTINGS = Settings(policy="menu", simulations=8)
SHAPES = (
    "theorem {} (h : p) : p",
    "theorem {} (h : p) : and(p, true)",
    "theorem {} : imp(and(p, q), and(q, p))",
    "theorem {} (h : q) : or(p, and(q, or(r, true)))",
    "theorem {} : or(p, q)",  # can't be proved
    "theorem {} : imp(p, q)",  # nor can this
)


class Toy:
    """Says the same tactics of every state, and no more when asked again."""

    def __init__(self):
        self.said = set()

    async def propose(self, key, goals, count):
        fresh = () if key in self.said else TACTICS
        self.said.add(key)
        return Proposal(-2.0, [(tactic, 1.0) for tactic in fresh], exhausted=True)


def benchmark(count=48, name="toy"):
    theorems = [
        Theorem(f"t{n}", SHAPES[n % len(SHAPES)].format(f"t{n}"), source=f"shape/{n % 2}")
        for n in range(count)
    ]
    return Benchmark(name, f"{name}.jsonl", tuple(theorems), content_hash(theorems))


async def run(folder, of=None, settings=SETTINGS, *, policies=None, report=None, **options):
    """`policies`: (theorem, attempt) → a policy."""
    await evaluate(
        lambda: local_server(LeanConfig(driver="fake", processes=2)),
        of or benchmark(),
        settings,
        Path(folder),
        report or Silent(),
        searches=options.pop("searches", 6),
        policies=policies or (lambda *_: Toy()),
        **options,
    )


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], benchmark(COUNT)))
