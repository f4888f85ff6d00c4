"""What is known of public benchmarks: layouts, versions, known faults. The data is registry.toml.

A set is recognised by the names of its theorems, a version by its content hash. Recognition only
adds remarks to a report; no theorem is dropped and no count is changed because of it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources

import msgspec
from msgspec import Struct

SHARE_OF_NAMES = 0.8  # that must match for a set to be recognised


class Version(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    what: str
    content: str = ""  # the content hash, where it was read with this project


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one statement as once published."""

    theorem: str
    what: str
    source: str
    mended: str = ""


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    about: str
    names: str  # a pattern
    needs: str
    layouts: tuple[str, ...]
    caution: str
    versions: tuple[Version, ...] = msgspec.field(default=(), name="version")
    faults: tuple[Fault, ...] = msgspec.field(default=(), name="fault")


def entries() -> list[Entry]:
    """All of registry.toml."""
    text = resources.files("leanfleet.evaluate").joinpath("registry.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text)["benchmark"], type=list[Entry])


def recognise(names: Sequence[str]) -> Entry | None:
    """The benchmark whose names these are."""
    for entry in entries():
        pattern = re.compile(entry.names)
        matching = sum(pattern.fullmatch(name) is not None for name in names)
        if names and matching >= SHARE_OF_NAMES * len(names):
            return entry
    return None


def faults_among(entry: Entry | None, names: Iterable[str]) -> dict[str, Fault]:
    """The known faults of these theorems, by name."""
    known = {fault.theorem: fault for fault in entry.faults} if entry else {}
    return {name: known[name] for name in names if name in known}


def as_markdown() -> str:
    """docs/benchmarks.md."""
    parts = [
        "# Benchmarks: layouts, versions, known faults\n",
        "Made from `src/leanfleet/evaluate/registry.toml` by `python tools/evaluate_minif2f.py "
        "registry`. A test\nkeeps the two equal. Results are comparable only where their content "
        "hashes are equal\n(`leanfleet.evaluate.content`). A theorem with a known fault is marked "
        "in the report; nothing is\ndropped.\n",
    ]
    for entry in entries():
        parts.append(f"## {entry.title}\n\n{entry.about} Needs {entry.needs}. {entry.caution}\n")
        parts.append("Layouts that are read:\n")
        parts.append("\n".join(f"- {layout}" for layout in entry.layouts) + "\n")
        rows = [f"| {one.name} | {one.what} | {one.content or '–'} |" for one in entry.versions]
        parts.append(
            "\n".join(["| version | what | content hash |", "|---|---|---|", *rows]) + "\n"
        )
        if entry.faults:
            rows = [
                f"| `{one.theorem}` | {one.what} | {one.source} | {one.mended or '–'} |"
                for one in entry.faults
            ]
            head = ["| theorem | fault | source | mended |", "|---|---|---|---|"]
            parts.append("\n".join([*head, *rows]) + "\n")
    return "\n".join(parts)
