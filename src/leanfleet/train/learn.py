"""One experiment from searching to a better search: collect, tokenizer, train, evaluate.

    RUN/config.yaml     resolved; a run goes on with the same one only
        collect/        an evaluation's folder, and transitions.parquet
        texts/          what the tokenizer and the first stage read: proofs.jsonl, states.jsonl
        tokenizer/      tokenizer.json
        train/          a training run: its last stage's weights are the policy
        menu/ mixed/ network/   evaluations of the same theorems by the three policies (no menu/
                        where the configuration names one)
        learn.json      seconds of every part, and the comparisons

Every part goes on by its own means, so the same command goes on wherever a kill stopped it. How Lean
is reached and networks are asked is the caller's.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from leanfleet.config import dump_config
from leanfleet.evaluate.benchmarks import Benchmark
from leanfleet.evaluate.compare import Comparison, compare_folders
from leanfleet.evaluate.results import (
    Class,
    last_rows,
    read_manifest,
    read_rows,
    read_theorems,
    write_whole,
)
from leanfleet.evaluate.runner import SEARCHES_PER_PROCESS, open_jobs
from leanfleet.evaluate.session import evaluate, write_reports
from leanfleet.evaluate.settings import Settings
from leanfleet.lean.client import LeanClient
from leanfleet.policies.source import Source
from leanfleet.progress import Reporter
from leanfleet.seeds import child_seed
from leanfleet.train.collect import SHARD, collect
from leanfleet.train.learn_config import LearnConfig, resolved
from leanfleet.train.transitions import read_shard

CONFIG, SUMMARY = "config.yaml", "learn.json"


@dataclass(frozen=True)
class Means:
    """What an experiment uses: Lean, networks by the folder of their weights, and an event loop."""

    lean: Callable[[], AbstractAsyncContextManager[LeanClient]]
    network: Callable[[Path], AbstractAsyncContextManager[Source]]
    run: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run


class Learning:
    """`run()` does what is left. Raises what its parts raise; all that is done stays."""

    def __init__(
        self,
        config: LearnConfig,
        folder: Path,
        means: Means,
        theorems: Callable[[str, int], Benchmark],
        report: Reporter,
        ranks: int = 1,
    ) -> None:
        """`theorems`: the benchmark of a split (or a path) and a limit. Raises ValueError for a
        folder with another experiment in it, and for a menu's evaluation that can't be compared."""
        self.config, self.folder, self.means = config, folder, means
        self.theorems, self.report, self.ranks = theorems, report, ranks
        self.train_config = resolved(config, folder)
        self.seconds: dict[str, float] = {}
        if config.evaluate.menu is not None:
            _check_menu(Path(config.evaluate.menu), config)
        _keep(config, folder)

    def run(self) -> dict[str, Any]:
        """What came of it; {} when training was asked to stop."""
        self._timed("collect", self._collect)
        self._timed("tokenizer", self._texts_and_tokenizer)
        if not self._timed("train", self._train):
            return {}
        for name in self._policies():
            self._timed(f"evaluate {name}", lambda name=name: self._evaluate(name))
        summary = self._summary()
        write_whole(self.folder / SUMMARY, msgspec.json.format(msgspec.json.encode(summary)))
        return summary

    @property
    def weights(self) -> Path:
        """Of the policy: what the last stage ends with."""
        return self.folder / "train" / self.train_config.stages[-1].name / "weights"

    # --- the parts ----------------------------------------------------------------------------------

    def _collect(self) -> None:
        wanted = self.config.collect
        if wanted.copy_of is not None:
            _copy_collected(Path(wanted.copy_of), self.folder / "collect")
            return
        self.report.note(f"collect: {wanted.theorems}, the menu, {wanted.simulations} simulations")
        benchmark = self.theorems(wanted.theorems, wanted.limit)
        settings = self._settings(
            simulations=wanted.simulations,
            attempts=wanted.attempts,
            noise=wanted.noise,
            seed=child_seed(self.config.seed, "collect"),
        )
        self.means.run(
            collect(
                self.means.lean,
                benchmark,
                settings,
                self.folder / "collect",
                self.report,
                searches=self._searches,
            )
        )

    def _texts_and_tokenizer(self) -> None:
        from leanfleet.model import folder as files
        from leanfleet.model.corpora import corpus_files, corpus_texts
        from leanfleet.model.tokenizer_file import FILE
        from leanfleet.model.tokenizer_train import train_tokenizer

        if (self.folder / "tokenizer" / FILE).exists():
            return
        _write_texts(self.folder)
        self.report.step("tokenizer")
        texts = [str(self.folder / "texts"), *self.config.texts]
        tokenizer = train_tokenizer(corpus_texts(corpus_files(texts)), self.config.vocabulary)
        (self.folder / "tokenizer").mkdir(exist_ok=True)
        files.write_bytes(self.folder / "tokenizer" / FILE, tokenizer.json())

    def _train(self) -> bool:
        from leanfleet.train.launch import train

        return train(self.train_config, self.folder / "train", self.ranks, self.report)

    def _evaluate(self, name: str) -> None:
        wanted = self.config.evaluate
        benchmark = self.theorems(wanted.theorems, wanted.limit)
        self.report.note(f"evaluate {name}: {wanted.theorems}, {wanted.simulations} simulations")
        self.means.run(self._evaluated(name, benchmark, self.folder / name))
        write_reports(self.folder / name)

    async def _evaluated(self, name: str, benchmark: Benchmark, folder: Path) -> None:
        seed = child_seed(self.config.seed, "evaluate")
        settings = self._settings(simulations=self.config.evaluate.simulations, seed=seed)
        given = self.means.lean, benchmark
        if name == "menu":
            await evaluate(*given, settings, folder, self.report, searches=self._searches)
            return
        async with self.means.network(self.weights) as network:
            weight = self.config.evaluate.menu_weight if name == "mixed" else 0.0
            settings = settings.with_network(str(self.weights), network, self.config.policy, weight)
            await evaluate(
                *given,
                settings,
                folder,
                self.report,
                searches=self._searches,
                ask=network.ask,
            )

    # --- the rest -----------------------------------------------------------------------------------

    @property
    def _searches(self) -> int:
        return SEARCHES_PER_PROCESS * self.config.lean.processes

    def _policies(self) -> list[str]:
        wanted = self.config.evaluate
        network = ["network"] if wanted.network_alone else []
        return ["mixed", *network, *(["menu"] if wanted.menu is None else [])]

    @property
    def _menu(self) -> Path:
        """The evaluation that the others are compared with."""
        return Path(self.config.evaluate.menu or self.folder / "menu")

    def _settings(self, **more: Any) -> Settings:
        lean = self.config.lean
        return Settings(
            seconds=self.config.search_seconds,
            tactic_heartbeats=lean.heartbeats,
            tactic_seconds=lean.seconds,
            allow=tuple(lean.allow),
            **more,
        )

    def _timed(self, what: str, part: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            return part()
        finally:
            self.seconds[what] = round(time.monotonic() - began, 1)

    def _summary(self) -> dict[str, Any]:
        rows = read_shard(self.folder / "collect" / SHARD)
        compared = {
            name: _as_dict(compare_folders(self._menu, self.folder / name))
            for name in self._policies()
            if name != "menu"
        }
        return {
            "name": self.config.name,
            "seed": self.config.seed,
            "seconds_of_this_run": self.seconds,
            "transitions": len(rows),
            "theorems_proved": len({row.theorem for row in rows}),
            "against_the_menu": compared,
        }


def _keep(config: LearnConfig, folder: Path) -> None:
    """Writes the configuration, or checks that it is the one there. Raises ValueError."""
    text = dump_config(config)
    path = folder / CONFIG
    if path.exists():
        before = path.read_text(encoding="utf-8").splitlines()
        new = [line for line in text.splitlines() if line not in before]
        old = [line for line in before if line not in text.splitlines()]
        if new or old:
            changed = "\n".join([f"  - {line}" for line in old] + [f"  + {line}" for line in new])
            raise ValueError(f"{folder} holds another experiment:\n{changed}\nchoose another --out")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder} can't be written to: {error.strerror}") from None
    write_whole(path, text.encode())


def _check_menu(folder: Path, config: LearnConfig) -> None:
    """Raises ValueError: what was measured there was not measured as it will be here."""
    manifest = read_manifest(folder)
    there, wanted = manifest.settings, config.evaluate
    differing = [
        f"{name} {one!r}, here {other!r}"
        for name, one, other in (
            ("policy", there.policy, "menu"),
            ("heartbeats of a tactic", there.tactic_heartbeats, config.lean.heartbeats),
            ("allowed tactics", tuple(there.allow), tuple(config.lean.allow)),
        )
        if one != other
    ]
    if there.simulations < wanted.simulations:
        differing.append(f"{there.simulations} simulations, here {wanted.simulations}")
    if differing:
        raise ValueError(
            f"evaluate.menu: {folder} was measured with {'; '.join(differing)}; leave the key out, "
            "and the menu is evaluated in this run"
        )


def _copy_collected(source: Path, target: Path) -> None:
    """What another run has collected. Raises ValueError: it has not, or not to the end."""
    if (target / SHARD).exists():
        return
    settings = read_manifest(source).settings
    left = open_jobs(read_theorems(source), settings, read_rows(source))
    if left or not (source / SHARD).exists():
        raise ValueError(f"collect.copy_of: {source} is not finished: run its experiment again")
    aside = target.with_suffix(".copying")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source, aside)
    aside.rename(target)


def _write_texts(folder: Path) -> None:
    """Proofs with their statements, and states with their tactics, as JSON lines."""
    source = folder / "collect"
    theorems = {theorem.name: theorem for theorem in read_theorems(source)}
    encode = msgspec.json.encode
    proofs = [
        {
            "name": row.theorem,
            "header": theorems[row.theorem].header,
            "statement": theorems[row.theorem].statement,
            "proof": row.proof,
        }
        for row in last_rows(read_rows(source)).values()
        if row.outcome is Class.PROVED
    ]
    states = [
        {"theorem": row.theorem, "state": row.state, "tactic": row.tactic}
        for row in read_shard(source / SHARD)
    ]
    if not proofs:
        raise ValueError(f"{source}: nothing was proved, so there is nothing to learn from")
    (folder / "texts").mkdir(exist_ok=True)
    for name, rows in (("proofs.jsonl", proofs), ("states.jsonl", states)):
        write_whole(folder / "texts" / name, b"".join(encode(row) + b"\n" for row in rows))


def _as_dict(comparison: Comparison) -> dict[str, Any]:
    found = asdict(comparison)
    del found["changed"]
    return found
