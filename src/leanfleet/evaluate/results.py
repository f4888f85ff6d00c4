"""The results of an evaluation, on disk: append-only, and whole after a kill at any moment.

    OUT/manifest.json    what these are results of
        theorems.jsonl   the theorems, as they were read
        results.jsonl    one row an attempt; an attempt that met a machine's error has a row a try,
                         and its last row counts
        proofs/*.lean    each proof, a file that checks alone
        summary.json report.html

A row is one line, flushed to the disk before the next attempt is taken up. A last line that a kill
left torn is cut off; damage anywhere else is an error that names the line. One process at a time
writes. A full disk stops the run with what was written before intact.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from leanfleet.evaluate.settings import FORMAT, Manifest, differences
from leanfleet.lean.compose import lean_file
from leanfleet.messages import Theorem

MAX_RESULT_BYTES = 8 * 2**30
MAX_MANIFEST_BYTES = 2**24

MANIFEST, THEOREMS, RESULTS = "manifest.json", "theorems.jsonl", "results.jsonl"
SUMMARY, REPORT, PROOFS, LOCK = "summary.json", "report.html", "proofs", ".lock"


class Class(StrEnum):
    """What an attempt came to."""

    PROVED = "proved"  # and verified
    NOT_PROVED = "not_proved"  # within the simulations
    EXHAUSTED = "exhausted"  # the policy had nothing left to try
    TIME = "time"  # stopped by the safety net in seconds: another run may say otherwise
    NOT_ELABORATED = "not_elaborated"  # header or statement is refused by the Lean at hand
    ERROR = "error"  # a machine's fault: says nothing about the theorem


class Attempt(Struct, frozen=True, kw_only=True):
    """One row of results.jsonl. Seconds are wall clock unless they say otherwise."""

    theorem: str
    attempt: int  # from 0
    retry: int = 0  # of an attempt that met a machine's error before
    outcome: Class
    message: str = ""
    proof: str = ""  # the text after `by`
    simulations: int = 0  # states expanded, up to the proof where there is one
    tactics: int = 0  # run in Lean, those of replays and minimisation included
    failed: int = 0
    machine_errors: int = 0  # of single tactics, on the way to this outcome
    heartbeats: int = 0
    lean_seconds: float = 0.0  # that Lean processes worked for it, the verdict included
    lean_cpu_seconds: float = 0.0  # the same in CPU time; 0 where the driver can't tell
    seconds: float = 0.0
    model_tokens: int = 0
    without_network: int = 0  # states (whole: theorems) that a network could not be asked about
    depth: int = 0
    axioms: tuple[str, ...] = ()
    verdict_key: str = ""


class OtherResults(ValueError):
    """A folder holds results of another benchmark, Lean or setting."""


class Results:
    """A folder opened for writing: `with Results.open(folder, manifest, theorems) as results:`."""

    def __init__(self, folder: Path, rows: list[Attempt], file: int, lock: int) -> None:
        self.folder, self.rows = folder, rows
        self._file, self._lock = file, lock

    @classmethod
    def open(
        cls, folder: Path, manifest: Manifest, theorems: Sequence[Theorem], *, fresh: bool = False
    ) -> Results:
        """Takes up what is there, or begins.

        `fresh`: results of something else are put aside (results.jsonl.1, …) instead of refused.
        Raises OtherResults; ValueError for a folder that can't be written to, is in use or damaged.
        """
        try:
            (folder / PROOFS).mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ValueError(f"{folder} can't be written to: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ValueError(f"another evaluation writes to {folder}: wait for it") from None
        try:
            rows = _begin(folder, manifest, theorems, fresh)
            file = os.open(folder / RESULTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            os.close(lock)
            raise _no_room(folder, error) from None
        except BaseException:
            os.close(lock)
            raise
        return cls(folder, rows, file, lock)

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        os.close(self._lock)

    def append(self, row: Attempt) -> None:
        """Writes a row and waits for the disk. Raises ValueError where it can't, nothing torn."""
        end = os.fstat(self._file).st_size
        data = memoryview(msgspec.json.encode(row) + b"\n")
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)
            raise _no_room(self.folder, error, len(self.rows)) from None
        self.rows.append(row)

    def write_proof(self, row: Attempt, text: str, attempts: int) -> None:
        """The proof's own file. Raises ValueError where it can't be written.

        It is not waited for: the row has the proof, and `restore_proofs` makes the file anew.
        """
        path = self.folder / PROOFS / proof_file(row, attempts)
        write_whole(path, text.encode(), sync=False)


def proof_file(row: Attempt, attempts: int) -> str:
    """The name of an attempt's `.lean` file, the same in every run."""
    safe = file_stem(row.theorem)
    return f"{safe}.{row.attempt}.lean" if attempts > 1 else f"{safe}.lean"


def file_stem(theorem: str) -> str:
    """What a theorem's files are called: no name leads elsewhere, and no two are the same."""
    safe = re.sub(r"[^\w.-]", "_", theorem)[:100].lstrip(".")
    if safe != theorem:
        safe += "-" + hashlib.sha256(theorem.encode()).hexdigest()[:8]
    return safe


def read_json_lines(path: Path, kind: Any) -> list[Any]:
    """Values of a type that msgspec knows, one a line; none where there is no file. What is behind the
    last end of line was never finished. Raises ValueError for damage."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    try:
        return [msgspec.json.decode(line, type=kind) for line in whole.splitlines()]
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """A file that is there as a whole or not at all. Raises ValueError for a full disk.

    Without `sync` that holds for a kill, and not for a loss of power.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _no_room(path, error) from None


# --- reading --------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """Raises ValueError where there is none, or none of this format."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ValueError(f"{path} is too large to be a manifest")
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise ValueError(f"{folder} holds no evaluation ({MANIFEST}: {error.strerror})") from None
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is no manifest of an evaluation: {error}") from None
    if manifest.format != FORMAT:
        raise ValueError(f"{path} has format {manifest.format}; this leanfleet reads {FORMAT}")
    return manifest


def read_theorems(folder: Path, name: str = THEOREMS) -> list[Theorem]:
    """The theorems that a folder's results are about. Raises ValueError."""
    path = folder / name
    try:
        data = path.read_bytes()
        return [msgspec.json.decode(line, type=Theorem) for line in data.splitlines() if line]
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def read_rows(folder: Path) -> list[Attempt]:
    """All whole rows. Raises ValueError for damage before the last line."""
    return _rows(folder / RESULTS)[0]


def last_rows(rows: Sequence[Attempt]) -> dict[tuple[str, int], Attempt]:
    """The row that counts of each attempt, by (theorem, attempt)."""
    return {(row.theorem, row.attempt): row for row in rows}


def _rows(path: Path) -> tuple[list[Attempt], int]:
    """The rows, and the length in bytes of what is whole."""
    try:
        size = path.stat().st_size
        if size > MAX_RESULT_BYTES:
            raise ValueError(f"{path} has {size:,} bytes; at most {MAX_RESULT_BYTES:,} are read")
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    rows: list[Attempt] = []
    decoder = msgspec.json.Decoder(Attempt)
    whole = data.rfind(b"\n") + 1  # what is behind the last end of line was never finished
    start = 0
    while start < whole:
        end = data.index(b"\n", start)
        try:
            rows.append(decoder.decode(data[start:end]))
        except msgspec.MsgspecError as error:
            if end + 1 == len(data):
                return rows, start  # a last line whose middle never reached the disk
            raise ValueError(
                f"{path}:{len(rows) + 1} is damaged ({error}). Take the line out, and its attempt "
                "runs again; or start anew with --fresh"
            ) from None
        start = end + 1
    return rows, whole


def restore_proofs(
    folder: Path, rows: Sequence[Attempt], theorems: Sequence[Theorem], attempts: int
) -> None:
    """Makes the proof files that a loss of power took. Raises ValueError."""
    known = {theorem.name: theorem for theorem in theorems}
    for row in rows:
        if row.outcome is Class.PROVED and row.theorem in known:
            data = lean_file(known[row.theorem], row.proof).encode()
            path = folder / PROOFS / proof_file(row, attempts)
            if not path.exists() or path.stat().st_size != len(data):
                write_whole(path, data)


# --- beginning ------------------------------------------------------------------------------------


def _begin(
    folder: Path, manifest: Manifest, theorems: Sequence[Theorem], fresh: bool
) -> list[Attempt]:
    """The rows to go on from; the manifest is written last, so that it vouches for the rest."""
    if fresh:
        _put_aside(folder)
    if (folder / MANIFEST).exists():
        before = read_manifest(folder)
        differ = differences(before, manifest)
        rows, whole = _rows(folder / RESULTS)
        if differ:
            raise OtherResults(
                f"{folder} holds {len(rows)} results of another evaluation:\n  "
                + "\n  ".join(differ)
                + "\nchoose another --out, or --fresh to put those results aside and begin anew"
            )
        if (folder / RESULTS).exists():
            os.truncate(folder / RESULTS, whole)
        return rows
    if (folder / RESULTS).exists():
        raise ValueError(
            f"{folder} has {RESULTS} without {MANIFEST}: what it is of can't be told. Choose "
            "another --out, or --fresh to put it aside"
        )
    encoder = msgspec.json.Encoder()
    lines = b"".join(encoder.encode(theorem) + b"\n" for theorem in theorems)
    write_whole(folder / THEOREMS, lines)
    write_whole(folder / MANIFEST, msgspec.json.format(encoder.encode(manifest)))
    return []


def _put_aside(folder: Path) -> None:
    """Old results get a number; nothing is deleted but what is made from them."""
    number = 1
    while (folder / f"{RESULTS}.{number}").exists() or (folder / f"{MANIFEST}.{number}").exists():
        number += 1
    for name in (MANIFEST, THEOREMS, RESULTS, PROOFS):  # the manifest first: a kill leaves no lie
        if (folder / name).exists():
            os.replace(folder / name, folder / f"{name}.{number}")
    for name in (SUMMARY, REPORT):
        (folder / name).unlink(missing_ok=True)
    (folder / PROOFS).mkdir(exist_ok=True)


def _no_room(path: Path, error: OSError, kept: int | None = None) -> ValueError:
    said = f"{path}: {error.strerror or error}"
    if kept is not None:
        said += f". {kept} results are kept; make room and run the same command again to go on"
    return ValueError(said)
