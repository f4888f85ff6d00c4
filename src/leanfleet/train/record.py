"""What a stage tells: lines of JSON, and the same in TensorBoard. One rank writes.

A resumed stage first drops what was recorded after its checkpoint, so that a record reads as that of
an uninterrupted run. The launcher reads the lines while they come.

| kind | fields |
|---|---|
| `stage` | `name`, `steps`, `from` (steps done), `rows`, `waste`, `left_out`, `valid`, `ranks` … |
| `step` | `step` (1 …), `loss`, `value_loss`, `gradient_norm`, `learning_rate`, `mfu` … |
| `evaluation` | `step`, `loss`, `top1`, `topk`, `value_error` … (evaluation.py) |
| `checkpoint` | `step`, `path` |
| `round` | `step`, and what it was trained on (rl/learner.py) |
| `published` | `step`, `version` |
| `stopped` | `step`: asked to, by a signal |
| `done` | `step`, `weights` |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

NAME, TENSORBOARD = "record.jsonl", "tb"
_STEPWISE = {"step", "evaluation", "checkpoint", "round", "published"}
TAGS = {"step": "train/", "evaluation": "valid/"}


class Record:
    """The record of a stage, from `step` steps on.

    `board`: where TensorBoard's files are, `folder/tb` unless told. `tags`: what the names of numbers
    begin with there, by the kind of the line; other kinds are not shown there.
    """

    def __init__(
        self,
        folder: Path,
        step: int,
        board: Path | None = None,
        tags: Mapping[str, str] = TAGS,
    ) -> None:
        # tensorboard is slow to import, and only one rank needs it.
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        kept = [line for line in lines(path) if line["kind"] in _STEPWISE and line["step"] <= step]
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in kept))
        os.replace(temporary, path)
        self._file = path.open("ab")
        self._board = SummaryWriter(str(board or folder / TENSORBOARD), purge_step=step + 1)
        self._tags = tags

    def write(self, kind: str, **fields: Any) -> None:
        """One line; the numbers of some kinds go to TensorBoard too."""
        self._file.write(msgspec.json.encode({"kind": kind, **fields}) + b"\n")
        self._file.flush()
        if kind in self._tags:
            for name, value in fields.items():
                if name != "step" and isinstance(value, int | float):
                    self._board.add_scalar(self._tags[kind] + name, value, fields["step"])

    def close(self) -> None:
        self._file.close()
        self._board.close()


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a record; one that was cut off by a crash is left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in data.split(b"\n"):
        try:
            found.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.DecodeError:
            continue
    return [line for line in found if "kind" in line]
