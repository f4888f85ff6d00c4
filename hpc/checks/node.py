"""One node of a check: `python -m hpc.checks.node FOLDER`, one process per node, started by srun.

It takes part in the try of the shared folder, then tells of the node itself. What goes wrong before
anything can be imported is written as plain JSON.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path


def main(folder: Path) -> int:
    name = os.environ.get("SLURM_PROCID", "0")
    try:
        import msgspec

        from hpc.checks.facts import gather
        from hpc.checks.reports import WANTED, Facts, Wanted
        from hpc.checks.shared import take_part
        from hpc.files import read_json, write_whole
        from hpc.slurm.here import address, here
    except ImportError as error:
        said = {"name": name, "host": socket.gethostname(), "error": f"{sys.executable}: {error}"}
        (folder / f"node.{name}.json").write_text(json.dumps(said))
        return 2
    wanted = read_json(folder / WANTED, Wanted)
    if wanted is None:
        print(f"{socket.gethostname()} sees no {folder / WANTED}", file=sys.stderr)
        return 2
    try:
        mine = address(here(), wanted.interface)
    except ValueError:
        mine = ""  # said with the facts
    shared = take_part(folder, name, wanted.names, wanted.together_seconds, mine)
    write_whole(folder / f"shared.{name}.json", msgspec.json.encode(shared))
    try:
        facts = gather(name, wanted)
    except OSError as error:
        facts = Facts(name, socket.gethostname(), error=str(error))
    write_whole(folder / f"node.{name}.json", msgspec.json.encode(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
