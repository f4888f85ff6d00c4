"""The learner role: the parent of the ranks that train.

Before there are any: v0, the first rows, a new network's tokenizer. Then ranks (leanfleet.rl.learner),
which end when the run is over: processes of this machine, or where the site gives the learner several
nodes, a step of Slurm. Killed, it goes on in the same folder, on any number of ranks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hpc.run_folder import check_outside
from hpc.slurm.here import here
from leanfleet.model import folder as files
from leanfleet.model.tokenizer_file import FILE as TOKENIZER_FILE
from leanfleet.model.tokenizer_train import train_tokenizer
from leanfleet.rl import published
from leanfleet.rl.config import RunConfig
from leanfleet.rl.files import DONE, LEARNER, LOGS, OVER, REPLAY, WEIGHTS
from leanfleet.rl.learner import LOOK_SECONDS, TELL_SECONDS, TOKENIZER, train_config
from leanfleet.rl.replay import read_manifests
from leanfleet.rl.rounds import FILE as ROUNDS
from leanfleet.rl.theorems import read_theorems
from leanfleet.roles import sites, steps
from leanfleet.roles.opening import run_of
from leanfleet.train.data import room_of
from leanfleet.train.processes import RankLost, alone_in, passing_on, supervise
from leanfleet.train.transitions import read_shard, shards

LOCK = ".lock"
EXIT_MISTAKE, EXIT_INFRASTRUCTURE = 2, 4


def serve(run: Path, attempt: int = 0) -> bool:
    """Learns until the run is over; False if it was asked to stop before. `attempt`: for the log.

    Raises ValueError with what is wrong, RankLost: to be started again.
    """
    config = _checked(run)
    folder = run / LEARNER
    print(f"learner of {config.name}, attempt {attempt}", flush=True)
    with alone_in(folder, LOCK):
        (folder / DONE).unlink(missing_ok=True)
        (folder / LOGS).mkdir(exist_ok=True)
        if config.learner.start is not None:
            published.begin_with(Path(config.learner.start), run / WEIGHTS)
        is_first = not (folder / ROUNDS).exists()
        if is_first and not _first_rows(config, run):
            return (folder / DONE).exists()
        if config.learner.model is not None:
            _make_tokenizer(config, run)
        if is_first:
            _checked(run)  # the ranks read all of it anew, and this may be hours later
        _train(config, run, folder / LOGS)
        return (folder / DONE).exists()


def _train(config: RunConfig, run: Path, logs: Path) -> None:
    """By the ranks that the site wants. Raises ValueError, RankLost."""
    site, place = sites.kept(run), here()
    wanted = site.roles.learner
    ranks = wanted.ranks or config.learner.ranks
    module, arguments = "leanfleet.rl.learner", [str(run)]
    if place.in_slurm and wanted.nodes > 1:
        step = steps.Step(ranks, wanted.nodes, place, site.interface, (*place.srun, *site.srun))
        steps.supervise(step, module, arguments, logs)
    else:
        supervise(module, arguments, ranks, logs)


def _checked(run: Path) -> RunConfig:
    """The run's configuration, with what would otherwise be noticed after the first rows. Raises
    ValueError."""
    opened = run_of(run)
    config, learner = opened.config, opened.config.learner
    if learner.model is not None:
        room_of(train_config(config, run).stages[0], learner.model)
    for path in shards(Path(each) for each in config.replay.supervised):
        if not path.is_file():
            raise ValueError(f"replay.supervised: {path}: there is no such file")
    check_outside(opened.folder, Path())
    return config


def _first_rows(config: RunConfig, run: Path) -> bool:
    """Waits for them; False when the run is over without, or a signal came."""
    wanted, told = config.learner.first_rows, float("-inf")
    with passing_on() as asked:
        while (rows := sum(shard.rows for shard in read_manifests(run / REPLAY))) < wanted:
            if (run / OVER).exists():
                files.write_json(run / LEARNER / DONE, {"version": 0, "step": 0})
                return False
            if asked:
                return False
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                print(f"waiting for rows to begin with: {rows:,} of {wanted:,}", flush=True)
            time.sleep(LOOK_SECONDS)
    return True


def _make_tokenizer(config: RunConfig, run: Path) -> None:
    """Of the run's statements and the first rows, once. Raises ValueError."""
    path = run / LEARNER / TOKENIZER / TOKENIZER_FILE
    if path.exists():
        return
    made = train_tokenizer(_texts(run), config.learner.vocabulary)
    path.parent.mkdir(exist_ok=True)
    files.write_bytes(path, made.json())


def _texts(run: Path) -> Iterator[str]:
    for theorem in read_theorems(run):
        yield theorem.statement
    for shard in read_manifests(run / REPLAY):
        for row in read_shard(run / REPLAY / shard.name):
            yield row.state
            yield row.tactic


def main(arguments: list[str]) -> int:
    """`python -m leanfleet.roles.learner RUN`: the exit code."""
    try:
        serve(Path(arguments[0]))
    except ValueError as error:
        print(f"leanfleet: error: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    except RankLost as error:
        print(f"leanfleet: error: {error}", file=sys.stderr)
        return EXIT_INFRASTRUCTURE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
