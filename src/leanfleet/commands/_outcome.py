"""What a launch shows of proofs: each as it is judged, and at the end the probe's curve."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from leanfleet.rl import files
from leanfleet.rl.evaluation import read_lines
from leanfleet.rl.proofs import KnownProof

LOOK_SECONDS = 1.0
AT_ONCE = 5  # proofs that are shown of those that came since the last look
WIDTH = 100


class NewProofs:
    """Reads on in RUN/proofs.jsonl, which a hub that starts writes anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / files.PROOFS
        self._read, self._inode = 0, 0  # bytes, of which file
        self._looked = 0.0
        self._seen = max((proof.number for proof in self._more()), default=0)  # claims

    def look(self) -> list[str]:
        """A line for each new proof; the last AT_ONCE of them. Cheap while it is called too often."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return []
        self._looked = time.monotonic()
        found = [proof for proof in self._more() if proof.number > self._seen]
        self._seen = max((proof.number for proof in found), default=self._seen)
        return [proof_line(proof) for proof in found[-AT_ONCE:]]

    def _more(self) -> list[KnownProof]:
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                self._read = file.seek(self._read if inode == self._inode else 0)
                self._inode, data = inode, file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            return [msgspec.json.decode(line, type=KnownProof) for line in whole.splitlines()]
        except (OSError, msgspec.MsgspecError):  # it is for people: the journal is the truth
            return []


def proof_line(proof: KnownProof) -> str:
    """One line of at most WIDTH characters."""
    what = "disproved" if proof.disproof else "proved"
    tactics = "; ".join(part.strip() for part in proof.proof.splitlines() if part.strip())
    text = f"{what} {proof.theorem}: {tactics}"
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def curve(folder: Path) -> str:
    """The probe before, during and after, in one line; "" where nothing was evaluated."""
    try:
        lines = read_lines(folder)
    except ValueError:
        return ""
    if not lines:
        return ""
    points = ", ".join(
        f"{f'v{line.policy_version}' if line.policy_version else 'before'} {line.solved}"
        for line in lines
    )
    first = lines[0]
    return f"{first.split}, {first.total} theorems at {first.simulations} simulations: {points}"
