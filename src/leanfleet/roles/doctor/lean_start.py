"""How long Lean takes to start on this machine, from where it is installed: one line of JSON.

    python -m leanfleet.roles.doctor.lean_start

The second start finds what the system has read already; the first is what a new node has to wait for.
"""

from __future__ import annotations

import json
import sys
import time

from leanfleet import eventloop
from leanfleet.config import LeanConfig
from leanfleet.lean import toolchain
from leanfleet.lean.drivers import factory
from leanfleet.lean.environment import Environment, LeanStartError

STARTS = 2


def main() -> int:
    config = LeanConfig()
    try:
        lean = toolchain.find(config)
        make = factory(lean, config)
        times = [eventloop.run(_start(make("search"))) for _ in range(STARTS)]
    except (LeanStartError, ValueError) as error:
        print(f"{error}".splitlines()[0], file=sys.stderr)
        return 4
    print(json.dumps({"lean": lean.version, "driver": lean.driver, "seconds": times}))
    return 0


async def _start(process: Environment) -> float:
    began = time.monotonic()
    try:
        await process.start()
        return round(time.monotonic() - began, 2)
    finally:
        await process.close()


if __name__ == "__main__":
    sys.exit(main())
