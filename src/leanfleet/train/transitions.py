"""Transitions: what a network learns from, one row per state of a verified proof, in Parquet.

The schema is `SCHEMA`, documented in docs/training.md. A shard is written whole or not at all; a
reader refuses a file of another schema, and names it. Knows no torch and no Lean.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

if TYPE_CHECKING:
    import pyarrow

FORMAT = "leanfleet-transitions-1"
MAX_TEXT = 1_000_000  # characters of one state or tactic
MAX_REJECTED = 64  # of one row
SEPARATOR = "\n\n"  # between the goals of a state, and between the states that a tactic left


class Transition(Struct, frozen=True, kw_only=True):
    """A state, the tactic that a proof takes there, and what it is worth.

    value: minus the tactics on the longest branch to the proof, 0 or less; None where it is not
    known. after: the states that the tactic left; "" where it closed its state. verdict: the key of
    the verdict on the whole proof; "" where no verifier of ours has seen it. partial: the theorem
    stayed open, and the verdict is on the way to this state's goal; the row teaches a value only.
    """

    theorem: str  # its name
    state: str  # the goals as Lean prints them
    tactic: str
    after: str = ""
    value: float | None = None
    policy: str = ""  # name and version of the policy that found it
    provenance: str = ""  # where it comes from: a run, an imported file and line
    lean: str = ""
    verdict: str = ""
    rejected: tuple[str, ...] = ()  # tactics that led nowhere in this state: Lean refused them
    partial: bool = False

    @property
    def key(self) -> bytes:
        """Equal for rows that teach the same: a state and its tactic."""
        text = f"{self.state}\0{self.tactic}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, digest_size=16).digest()


FIELDS = tuple(field.name for field in structs.fields(Transition))


def schema() -> pyarrow.Schema:
    """The columns of a shard."""
    import pyarrow

    kinds = {
        "value": pyarrow.float32(),
        "rejected": pyarrow.list_(pyarrow.string()),
        "partial": pyarrow.bool_(),
    }
    fields = [
        pyarrow.field(name, kinds.get(name, pyarrow.string()), nullable=name == "value")
        for name in FIELDS
    ]
    return pyarrow.schema(fields, metadata={"format": FORMAT})


def write_shard(path: Path, rows: Sequence[Transition]) -> None:
    """A Parquet file that is there as a whole or not at all. Raises ValueError for a full disk."""
    import pyarrow
    from pyarrow import parquet

    columns = {name: [getattr(row, name) for row in rows] for name in FIELDS}
    table = pyarrow.table(columns, schema=schema())
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            parquet.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ValueError(f"{path}: {error.strerror or error}") from None


def read_shard(path: Path) -> list[Transition]:
    """Raises ValueError for a file that is missing, damaged, or no shard of transitions."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is damaged, or no Parquet file: {error}") from None
    for name, nothing in (("rejected", []), ("partial", False)):
        if name not in table.schema.names:  # of an earlier version of this schema
            column = pyarrow.array([nothing] * len(table), schema().field(name).type)
            table = table.append_column(schema().field(name), column)
    if not table.schema.equals(schema()):
        found = ", ".join(f"{field.name}: {field.type}" for field in table.schema)
        raise ValueError(
            f"{path} is no shard of transitions: its columns are {found}; docs/training.md has "
            "the schema"
        )
    rows = [Transition(**row | {"rejected": tuple(row["rejected"])}) for row in table.to_pylist()]
    for number, row in enumerate(rows):
        _check(row, f"{path}, row {number}")
    return rows


def shards(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those of the folders named, in a fixed order. Raises ValueError."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} has no .parquet file in it")
        found += inside
    return found


def read(paths: Iterable[Path]) -> list[Transition]:
    """All rows of files and folders. Raises ValueError."""
    return [row for path in shards(paths) for row in read_shard(path)]


def distinct(rows: Iterable[Transition]) -> Iterator[Transition]:
    """Each state and tactic once, where it was first met."""
    seen: set[bytes] = set()
    for row in rows:
        if row.key not in seen:
            seen.add(row.key)
            yield row


def split(rows: Sequence[Transition], share: float, seed: int = 0) -> tuple[list, list]:
    """(train, valid) by theorem, never by row: the rows of a theorem stay together.

    Whether a theorem is in `valid` depends on its name and the seed alone, so that a set that grows
    moves nobody. Raises ValueError for a share that is none.
    """
    if not 0 <= share < 1:
        raise ValueError(f"{share} is no share of the theorems: from 0 to below 1")
    limit = int(share * 2**64)
    parts: tuple[list, list] = ([], [])
    for row in rows:
        digest = hashlib.blake2b(f"{seed}\0{row.theorem}".encode(), digest_size=8).digest()
        parts[int.from_bytes(digest, "big") < limit].append(row)
    return parts


def statistics(rows: Sequence[Transition]) -> dict[str, object]:
    """What a person wants to know of a set."""
    values = Counter(int(-row.value) for row in rows if row.value is not None)
    heads = Counter(row.tactic.split(maxsplit=1)[0] for row in rows if row.tactic.strip())
    return {
        "rows": len(rows),
        "distinct": len({row.key for row in rows}),
        "theorems": len({row.theorem for row in rows}),
        "closing": sum(not row.after for row in rows),
        "verified": sum(bool(row.verdict) for row in rows),
        "partial": sum(row.partial for row in rows),
        "distances": dict(sorted(values.items())),
        "tactics": dict(heads.most_common(30)),
        "policies": dict(Counter(row.policy for row in rows).most_common(20)),
        "leans": dict(Counter(row.lean for row in rows).most_common(5)),
        "state_characters": sum(len(row.state) for row in rows),
        "tactic_characters": sum(len(row.tactic) for row in rows),
    }


def _check(row: Transition, where: str) -> None:
    if not row.theorem or not row.state or not row.tactic:
        raise ValueError(f"{where}: theorem, state and tactic must not be empty")
    texts = (row.state, row.tactic, row.after, *row.rejected)
    if len(row.rejected) > MAX_REJECTED or max(map(len, texts)) > MAX_TEXT:
        raise ValueError(
            f"{where}: a text of more than {MAX_TEXT:,} characters, or more than {MAX_REJECTED} "
            "rejected tactics"
        )
    if row.value is not None and not -1e6 <= row.value <= 0:
        raise ValueError(f"{where}: a value of {row.value}; V is minus a number of tactics")
