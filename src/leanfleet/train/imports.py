"""Transitions that others made: LeanTree's JSON lines, and files with @T @G @C @P sections.

What is imported has been verified by nobody here: `verdict` stays empty, and a training stage can
tell. Files are hostile: decoding is typed and bounded, a line that is damaged is counted with its
number and its reason, and never stops the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.theorem import read_text
from leanfleet.train.transitions import MAX_TEXT, SEPARATOR, Transition

MAX_LINE = 256 * 2**20  # bytes of one line: a whole file of Mathlib
MAX_FILE = 2**28  # bytes of a file with sections
SHOWN = 20


@dataclass
class Imported:
    """Rows, and what could not be read: (where, why), the first `SHOWN` of `faults`."""

    rows: list[Transition] = field(default_factory=list)
    faults: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)

    def fault(self, where: str, why: str) -> None:
        self.faults += 1
        if len(self.examples) < SHOWN:
            self.examples.append((where, why))


# --- LeanTree -------------------------------------------------------------------------------------
# One line is one Lean file: {"path", "imports", "theorems": [{"name"?, "by_blocks": [{"tree": {
# "root_id", "nodes": [{"id", "state": {"goals": […]}, "tactic"?: {"tactic_string", "children"}}]}}]}]};
# in place of a theorem, a block or a tree there may be {"error"}.


class _Hypothesis(Struct):
    type: str
    user_name: str
    value: str | None = None


class _Goal(Struct):
    type: str
    hypotheses: list[_Hypothesis]
    tag: str | None = None

    def text(self) -> str:
        lines = [f"case {self.tag}"] if self.tag else []
        for each in self.hypotheses:
            value = f" := {each.value}" if each.value else ""
            lines.append(f"{each.user_name} : {each.type}{value}")
        return "\n".join([*lines, f"⊢ {self.type}"])


class _State(Struct):
    goals: list[_Goal]

    def text(self) -> str:
        return SEPARATOR.join(goal.text() for goal in self.goals)


class _Edge(Struct):
    tactic_string: str
    children: list[str]


class _Node(Struct):
    id: str
    state: _State
    tactic: _Edge | None = None


class _Tree(Struct):
    nodes: list[_Node] = []
    root_id: str = ""
    error: str | None = None


class _Block(Struct):
    tree: _Tree | None = None
    error: str | None = None


class _Theorem(Struct):
    by_blocks: list[_Block] = []
    name: str | None = None
    error: str | None = None


class _File(Struct):
    path: str
    theorems: list[_Theorem]


def read_leantree(path: Path) -> Imported:
    """Rows of every tree that is proved to the end. Raises ValueError for a file that can't be
    opened, or holds no line of this form."""
    found, lines = Imported(), 0
    decoder = msgspec.json.Decoder(_File)
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                where = f"{path}:{number}"
                if len(line) > MAX_LINE:
                    raise ValueError(f"{where}: a line of more than {MAX_LINE:,} bytes")
                if not line.strip():
                    continue
                try:
                    _leantree_file(decoder.decode(line), where, found)
                    lines += 1
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    found.fault(where, str(error))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if not lines:
        why = f": {found.examples[0][1]}" if found.examples else ""
        raise ValueError(f"{path} has no line of LeanTree's form{why}")
    return found


def _leantree_file(file: _File, where: str, found: Imported) -> None:
    for number, theorem in enumerate(file.theorems):
        name = theorem.name or f"{file.path}#{number}"
        for block in theorem.by_blocks:
            if theorem.error or block.error or block.tree is None or block.tree.error:
                found.fault(where, f"{name}: recorded without a tree")
                continue
            try:
                found.rows += _tree_rows(block.tree, name, where)
            except ValueError as error:
                found.fault(where, f"{name}: {error}")


def _tree_rows(tree: _Tree, name: str, where: str) -> list[Transition]:
    """One per node. Raises ValueError for a tree with a hole, a cycle or an unknown node."""
    nodes = {node.id: node for node in tree.nodes}
    order: list[_Node] = []
    work, seen = [tree.root_id], set()
    while work:
        here = work.pop()
        node = nodes.get(here)
        if node is None:
            raise ValueError(f"its tree has no node {here!r}")
        if here in seen:
            raise ValueError(f"the node {here!r} is met twice")
        if node.tactic is None:
            raise ValueError(f"the node {here!r} is left open")
        seen.add(here)
        order.append(node)
        work += node.tactic.children
    length: dict[str, int] = {}
    for node in reversed(order):  # children stand behind their parents
        length[node.id] = 1 + max((length[child] for child in node.tactic.children), default=0)
    rows = []
    for node in order:
        state, tactic = node.state.text(), node.tactic.tactic_string.strip()
        after = SEPARATOR.join(nodes[child].state.text() for child in node.tactic.children)
        if not state or not tactic or max(map(len, (state, tactic, after))) > MAX_TEXT:
            raise ValueError(f"the node {node.id!r} has no state, no tactic, or too long a text")
        rows.append(
            Transition(
                theorem=name,
                state=state,
                tactic=tactic,
                after=after,
                value=-float(length[node.id]),
                provenance=where,
            )
        )
    return rows


# --- sections -------------------------------------------------------------------------------------
# @T the theorem's context   @G the goal   @C a counterfactual (assumed for contradiction)   @P the proof

_MARK = re.compile(r"^@([TGCP])(?:[ \t]|$)", re.MULTILINE)


def read_sections(path: Path) -> Imported:
    """Acorn-style proof files: a file, or all below a folder. One row a proof, without a value.

    The state is the context, the counterfactual as a last hypothesis, and `⊢` the goal; the tactic
    is the proof, whole, since its steps are no tactics on states that were recorded. Raises
    ValueError for a file that can't be read, or where nothing has this form.
    """
    found = Imported()
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    for file in files:
        for number, record in enumerate(_records(read_text(file, max_bytes=MAX_FILE))):
            where = f"{file}#{number}"
            goal, proof = record.get("G", ""), record.get("P", "")
            if not goal or not proof:
                found.fault(where, "a record without @G or without @P")
                continue
            before = [text for text in (record.get("T", ""), record.get("C", "")) if text]
            state = "\n".join([*before, f"⊢ {goal}"])
            if max(len(state), len(proof)) > MAX_TEXT:
                found.fault(where, f"a text of more than {MAX_TEXT:,} characters")
                continue
            name = f"{file.relative_to(path) if path.is_dir() else file.name}#{number}"
            found.rows.append(Transition(theorem=name, state=state, tactic=proof, provenance=where))
    if not found.rows:
        raise ValueError(f"{path} has no record with @G and @P")
    return found


def _records(text: str) -> Iterator[dict[str, str]]:
    """A record begins at @T, or at a section that the last one has already, and keeps its @T then."""
    record: dict[str, str] = {}
    marks = list(_MARK.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=False):
        kind = mark.group(1)
        if kind in record or (kind == "T" and record):
            yield record
            record = {"T": record["T"]} if kind != "T" and "T" in record else {}
        record[kind] = text[mark.end() : end].strip()
    if record:
        yield record
