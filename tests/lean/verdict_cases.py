"""Reads the files of proofs and exploits (honest/, exploits/), and starts the judge for them."""

from __future__ import annotations

import re
import textwrap
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from leanfleet.lean.compose import split_header
from leanfleet.lean.registry import RegistryLean, RegistryOptions
from leanfleet.lean.toolchain import RegistryPaths
from leanfleet.messages import LeanError, Limits, Theorem, Verdict

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One theorem with one proof."""

    title: str
    theorem: Theorem
    proof: str


def lean_cases(name: str) -> list[Case]:
    """The blocks of honest/NAME.lean: a title, a header, a theorem with its proof."""
    blocks = (HERE / "honest" / f"{name}.lean").read_text().split("\n----\n")
    return [_lean_case(block) for block in blocks]


def _lean_case(block: str) -> Case:
    first, _, text = block.partition("\n")
    assert first.startswith("-- "), f"a block begins with its title: {first}"
    start = [match.start() for match in re.finditer("^theorem ", text, re.MULTILINE)][-1]
    statement, _, proof = text[start:].partition(" := by\n")
    theorem = Theorem("t", statement, text[:start])
    return Case(first.removeprefix("-- "), theorem, textwrap.dedent(proof))


@dataclass(frozen=True)
class Exploit:
    """A text that proves nothing, whom it fools, and how it is refused."""

    title: str
    statement: str
    proof: str
    reasons: tuple[str, ...]
    """What `verify` may answer: VerdictReasons, or `machine` for a machine error."""
    fools: str = ""
    """A naive checker of test_exploits.py; "" for texts that fool none of them on this build."""
    why: str = ""
    header: str = ""
    theorem: Theorem = field(init=False)

    def __post_init__(self) -> None:
        proof = re.sub(r"\{\{(.*?)\*(\d+)\}\}", lambda m: m[1] * int(m[2]), self.proof)
        object.__setattr__(self, "proof", proof)
        object.__setattr__(self, "theorem", Theorem("t", self.statement, self.header))

    @property
    def imports(self) -> tuple[str, ...]:
        return split_header(self.header)[0]

    @property
    def file(self) -> str:
        """What a naive checker feeds to Lean: the texts one after the other."""
        header = split_header(self.header)[1]
        return f"{PRELUDE}{header}\n{self.statement} := by\n{self.proof}\n"


PRELUDE = "set_option autoImplicit false\n"


def exploits(*names: str) -> list[Exploit]:
    """The entries of exploits/NAME.toml."""
    found = []
    for name in names:
        text = (HERE / "exploits" / f"{name}.toml").read_text()
        for title, entry in tomllib.loads(text).items():
            entry["reasons"] = tuple(entry["reasons"])
            found.append(Exploit(title=title, **entry))
    return found


JUDGING = Limits(heartbeats=400_000, seconds=60.0)


class Judge:
    """A verify process that is replaced when a proof has killed it or used its memory up."""

    def __init__(self, paths: RegistryPaths, options: RegistryOptions | None = None) -> None:
        self.paths, self.options = paths, options
        self.lean: RegistryLean | None = None

    async def ready(self) -> RegistryLean:
        if self.lean is None or not self.lean.alive:
            self.lean = RegistryLean(self.paths, self.options)
            await self.lean.start()
        return self.lean

    async def verify(
        self, theorem: Theorem, proof: str, limits: Limits = JUDGING
    ) -> Verdict | LeanError:
        answer = await (await self.ready()).verify(theorem, proof, limits)
        if isinstance(answer, LeanError) and answer.kind.is_machine:
            await self.close()  # memory never shrinks
        return answer

    async def close(self) -> None:
        if self.lean is not None:
            await self.lean.close()
            self.lean = None


def outcome(answer: Verdict | LeanError) -> str:
    """The reason of a verdict, `machine` for a machine error, the kind of any other."""
    if isinstance(answer, Verdict):
        return answer.reason.value
    return "machine" if answer.kind.is_machine else answer.kind.value
