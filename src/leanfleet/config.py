"""One YAML file is one experiment: its sections, and how a file becomes them.

Strict: an unknown key, a key given twice, a value of another type are mistakes, and all mistakes of
a file are reported together, each with its line, its dotted path and, for an unknown key, the
nearest valid name. Nothing is converted silently: `no` where a boolean is wanted is a mistake that
says to write `false`. How scalars are read is `strict_yaml`'s part.

It imports without torch, opens no file but the one named, and starts nothing.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from leanfleet import strict_yaml, theorem
from leanfleet.messages import Drawing, Limits, Theorem
from leanfleet.strict_yaml import Mistake, Node

# Lists become tuples, so that a configuration never changes.
Items = TypeVar("Items")
Tuple = Annotated[tuple[Items, ...], Field(strict=False)]

LEAST_MEMORY_MB = 256
SITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Parameters = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], str | int | bool]
_KIND = r"^[A-Za-z_][A-Za-z0-9_'!?]*(\.[A-Za-z_«»0-9][A-Za-z0-9_'!?«»]*)*$"


class ConfigError(ValueError):
    """All that is wrong with a configuration."""

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "".join(f"\n  {mistake}" for mistake in mistakes)
        super().__init__(f"{name}: {count}{lines}")


class Section(BaseModel):
    """What all sections have in common."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class NativeConfig(Section):
    """Where a native Lean is. What is left out is looked for on the path."""

    toolchain: str | None = None  # elan's folder of one toolchain, or its `lean`
    repl: str | None = None  # the executable of leanprover-community/repl, for that toolchain
    project: str | None = None  # a built Lake project whose modules can be imported


class LeanConfig(Section):
    """The Lean processes of one server and their limits."""

    driver: Literal["auto", "native", "registry", "fake"] = "auto"
    native: NativeConfig = NativeConfig()
    processes: int = Field(2, ge=1, le=1024)  # that search
    verify_processes: int = Field(1, ge=0, le=1024)  # that only verify
    # Resident, of one process: one that holds 65 % of it is replaced between calls; a call that goes
    # beyond it is ended. A driver may need more than the least (leanfleet.lean.drivers).
    memory_limit_mb: int = Field(1600, ge=LEAST_MEMORY_MB)
    recycle_steps: int = Field(50_000, ge=1)  # tactics after which a process is replaced
    heartbeats: int = Field(20_000, ge=1)  # of one tactic, the deterministic limit
    seconds: float = Field(10.0, gt=0, le=3600)  # of one tactic, the safety net
    lease_seconds: float = Field(60.0, ge=1)  # a client silent for so long loses its states
    queue_limit: int = Field(1024, ge=1)  # requests waiting before the server says busy
    # Tactic syntax kinds allowed besides the built-in list, such as Lean.Parser.Tactic.omega.
    allow: Tuple[Annotated[str, Field(pattern=_KIND, max_length=200)]] = ()

    @property
    def limits(self) -> Limits:
        """Of one tactic."""
        return Limits(heartbeats=self.heartbeats, seconds=self.seconds)


class ProveConfig(Section):
    """The budget of one search."""

    simulations: int = Field(400, ge=1)  # states that the policy is asked about
    seconds: float = Field(60.0, gt=0)


class PolicyConfig(Section):
    """A network as a policy: how it is asked, and what its engine may use (docs/policy.md)."""

    prompt: str | None = None  # a prompt format, such as configs/prompts/bfs-prover.yaml
    temperature: float = Field(1.0, ge=0, le=100)  # 0: the likeliest token
    top_p: float = Field(1.0, gt=0, le=1)
    distinct_first: bool = False  # the first tokens of a state's samples differ
    scored: int = Field(0, ge=0, le=256)  # candidates of the menu that it is asked about, beside it
    longest: int = Field(64, ge=1, le=2**20)  # tokens of an answer, its end included
    prompt_tokens: int | None = Field(None, ge=1)  # at most; None: what the context leaves
    lanes: int = Field(16, ge=1, le=4096)  # requests at once
    width: int = Field(8, ge=1, le=1024)  # samples of a request that share a lane
    cache_tokens: int = Field(65_536, ge=0)  # of prompts kept
    queue_limit: int = Field(256, ge=1)  # requests waiting before the server says busy
    company_seconds: float = Field(0.002, ge=0, le=1)  # that an idle engine waits for more
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = Field(None, ge=1, le=1024)  # of torch; None: as torch likes
    deepspeed: bool = False  # hold the network through deepspeed.init_inference

    @property
    def drawing(self) -> Drawing:
        """How tokens are drawn."""
        return Drawing(self.temperature, self.top_p, self.distinct_first)


class TheoremConfig(Section):
    """A theorem given in the configuration itself."""

    statement: str
    header: str = ""
    split: str = ""
    source: str = ""

    @field_validator("statement")
    @classmethod
    def _states_a_theorem(cls, text: str) -> str:
        return theorem.parse_statement(text).statement

    def theorem(self) -> Theorem:
        """The same as a message."""
        return theorem.parse_statement(self.statement, self.header, self.split, self.source)


class Experiment(Section):
    """The whole file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    seed: int = Field(0, ge=0, lt=2**63)
    cluster: Literal["local"] = "local"  # a site of configs/sites
    lean: LeanConfig = LeanConfig()
    prove: ProveConfig = ProveConfig()
    policy: PolicyConfig = PolicyConfig()
    theorems: Tuple[TheoremConfig] = ()

    @field_validator("theorems")
    @classmethod
    def _names_differ(cls, entries: tuple[TheoremConfig, ...]) -> tuple[TheoremConfig, ...]:
        names = [entry.theorem().name for entry in entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"used by more than one theorem: {', '.join(twice)}")
        return entries


class SiteRole(Section):
    """What one process of a role asks of Slurm. Left out: what the site says, or what the run needs."""

    partition: str | None = None
    account: str | None = None
    constraint: str | None = None
    minutes: int | None = Field(None, ge=2)
    cpus: int | None = Field(None, ge=1)  # of a process; of an MPI rank
    memory_mb: int | None = Field(None, ge=1)  # of a node
    gpus: int = Field(0, ge=0, le=64)  # of a node
    nodes: int = Field(1, ge=1)  # that an MPI world spans; the learner: that its ranks share
    parameters: Parameters = {}


class SiteLean(SiteRole):
    servers: int = Field(1, ge=1, le=10_000)  # elements of the array, each with its own pool


class SitePolicy(SiteRole):
    servers: int = Field(1, ge=1, le=10_000)  # elements of the array; clients spread over them


class SiteProver(SiteRole):
    worlds: int | None = Field(None, ge=1, le=100_000)  # elements of the array; None: prover.worlds


class SiteLearner(SiteRole):
    ranks: int | None = Field(None, ge=1, le=1024)  # on all nodes together; None: learner.ranks


class SiteRoles(Section):
    hub: SiteRole = SiteRole()
    learner: SiteLearner = SiteLearner()
    policy: SitePolicy = SitePolicy()
    lean: SiteLean = SiteLean()
    prover: SiteProver = SiteProver()
    evaluator: SiteRole = SiteRole()


class Site(Section):
    """A place to run at: one file of configs/sites (docs/slurm.md)."""

    name: str = Field(pattern=SITE_NAME, max_length=100)
    launcher: Literal["local", "slurm"] = "local"  # local: processes of this machine
    jobs: Literal["separate", "together"] = "separate"  # together: one job for all
    partition: str | None = None
    account: str | None = None
    constraint: str | None = None
    minutes: int = Field(240, ge=2)  # a job's time limit; it is queued again at its end
    signal_seconds: int = Field(150, ge=10, le=3600)  # before that end, to save and hand back
    requeue: bool = True  # false: a follow-up job is queued instead
    setup: Tuple[str] = ()  # lines of bash before a role starts, such as module load …
    mpi: str = Field("pmi2", pattern=r"^[A-Za-z0-9_]+$")  # srun --mpi=…, as `srun --mpi=list`
    srun: Tuple[str] = ()  # more arguments of an MPI world's srun
    interface: str | None = None  # of the network between nodes, such as ib0
    parameters: Parameters = {}  # more of submitit's, such as qos, exclude
    snapshot: Literal["code", "environment", "none"] = "code"  # what a run keeps a copy of
    scratch: str | None = None  # a disk of the node, such as $TMPDIR: Lean is copied there
    roles: SiteRoles = SiteRoles()

    @model_validator(mode="after")
    def _has_time_to_end(self) -> Self:
        for name, role in [("", self), *self.roles]:
            minutes = role.minutes
            if minutes is not None and 60 * minutes < 2 * self.signal_seconds:
                where = f"roles.{name}.minutes" if name else "minutes"
                raise ValueError(
                    f"{where} is {minutes}, and signal_seconds {self.signal_seconds}: a job would be "
                    "told to end as soon as it begins"
                )
        return self


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a file, with `a.b=value` overrides. Raises ConfigError."""
    return load_section(Experiment, path, overrides)


def parse_config(text: str, name: str, overrides: Sequence[str] = ()) -> Experiment:
    """The same from text; `name` stands for the file in messages. Raises ConfigError."""
    return parse(Experiment, text, name, overrides)


def load_site(path: str | Path) -> Site:
    """Raises ConfigError."""
    return load_section(Site, path)


def dump_config(config: Section) -> str:
    """YAML with every default written out; it loads as the same configuration."""
    return strict_yaml.write(config.model_dump(mode="json"))


Loaded = TypeVar("Loaded", bound=Section)


def load_section(model: type[Loaded], path: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """A file that is any section, such as a network's shape. Raises ConfigError."""
    name = str(path)
    try:
        text = theorem.read_text(path, max_bytes=strict_yaml.MAX_BYTES)
    except ValueError as error:
        raise ConfigError(name, [Mistake(name, "", str(error).removeprefix(f"{name}: "))]) from None
    return parse(model, text, name, overrides)


def parse(model: type[Loaded], text: str, name: str, overrides: Sequence[str] = ()) -> Loaded:
    """Any section from text. Raises ConfigError with all mistakes."""
    document = strict_yaml.read(text, name)
    mistakes = list(document.mistakes)
    if document.root is None:
        raise ConfigError(name, mistakes)
    root = document.root
    if root.value is None:
        root = Node({}, root.where)
    if not isinstance(root.value, dict):
        raise ConfigError(name, [*mistakes, Mistake(root.where, "", "not a mapping of keys")])
    for override in overrides:
        root = _override(root, override, mistakes)
    try:
        loaded = model.model_validate(root.plain())
    except ValidationError as error:
        mistakes += [_mistake(model, root, item) for item in error.errors(include_url=False)]
        loaded = None
    if mistakes:
        raise ConfigError(name, sorted(set(mistakes), key=_place))
    assert loaded is not None
    return loaded


def _override(root: Node, text: str, mistakes: list[Mistake]) -> Node:
    """The tree with one value replaced or added; what the key means is checked with the rest."""
    where = f"--set {text}"
    dotted, equals, value_text = text.partition("=")
    path = tuple(int(part) if part.isdigit() else part for part in dotted.split("."))
    if not equals or not all(part != "" for part in path):
        mistakes.append(Mistake(where, "", "expected KEY=VALUE, such as lean.processes=4"))
        return root
    value = strict_yaml.read(value_text, where)
    mistakes += [Mistake(where, dotted, mistake.text) for mistake in value.mistakes]
    if value.root is None:
        return root
    try:
        return _replaced(root, path, value.root, where)
    except ValueError as error:
        mistakes.append(Mistake(where, dotted, str(error)))
        return root


def _replaced(node: Node, path: tuple[str | int, ...], new: Node, where: str) -> Node:
    if not path:
        return Node(new.value, where)
    head, rest = path[0], path[1:]
    if isinstance(node.value, list):
        if not isinstance(head, int) or head >= len(node.value):
            raise ValueError(f"the list has no item {head}, only 0 to {len(node.value) - 1}")
        items = list(node.value)
        items[head] = _replaced(items[head], rest, new, where)
        return Node(items, node.where)
    if node.value is not None and not isinstance(node.value, dict):
        raise ValueError(f"{node.value!r} has no key {head}")
    entries = dict(node.value or {})
    entries[str(head)] = _replaced(entries.get(str(head), Node(None, where)), rest, new, where)
    return Node(entries, node.where)


# --- errors that help -----------------------------------------------------------------------------


def _mistake(model: type[Section], root: Node, error: Any) -> Mistake:
    path = tuple(error["loc"])
    node = root.at(path)
    dotted = ".".join(str(part) for part in path)
    return Mistake(node.where, dotted, _message(model, path, node, error))


def _message(model: type[Section], path: tuple[str | int, ...], node: Node, error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), _fields_at(model, path[:-1]))
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        return str(context["error"])
    given = _given(node.value)
    if kind == "string_pattern_mismatch":
        return f"{given} does not fit the pattern {context['pattern']}"
    if kind == "literal_error":
        return f"{context['expected']} expected, not {given}"
    if kind == "bool_type":
        guess = {"no": "false", "off": "false", "yes": "true", "on": "true"}
        hint = guess.get(str(node.value).lower(), "true or false")
        return f"true or false expected, not {given}: write {hint}"
    wanted = {
        "int_type": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "string_type": "text (quote it)",
        "tuple_type": "a list",
        "list_type": "a list",
        "model_type": "a mapping of keys",
        "model_attributes_type": "a mapping of keys",
    }.get(kind)
    if kind == "int_type" and isinstance(node.value, float):
        wanted = "a whole number, without a point or exponent,"
    if wanted:
        return f"{wanted} expected, not {given}"
    return f"{error['msg'].removeprefix('Input ')}, not {given}"


def _unknown_key(name: str, valid: list[str]) -> str:
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; valid here: {', '.join(valid) or 'none'}"


def _fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The valid keys of the section at a path."""
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue  # an item of a list: the section was found with the list
        field = current.model_fields.get(part)
        sections = _sections_in(field.annotation) if field else []
        if not sections:
            return []
        current = sections[0]
    return list(current.model_fields)


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _sections_in(part)]


def _given(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:39] + "…"
        return f"the text {shown!r}"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"the number {value}"


def _place(mistake: Mistake) -> tuple[bool, int, str]:
    """In the order of the file's lines; the command line's come last."""
    line = mistake.where.rsplit(":", 1)[-1]
    return (not line.isdigit(), int(line) if line.isdigit() else 0, mistake.path)
