"""What a launch shows of proofs while they come, and of the probe when it is over."""

from __future__ import annotations

import msgspec

from leanfleet.commands import _outcome
from leanfleet.commands._outcome import AT_ONCE, WIDTH, NewProofs, curve, proof_line
from leanfleet.rl.evaluation import EvaluationLine, add_line
from leanfleet.rl.proofs import KnownProof


def proof(number: int, text: str = "simp\nomega", disproof: bool = False) -> KnownProof:
    return KnownProof(f"t{number}", disproof, text, 2, "key", f"1-{number}", number)


def append(path, *proofs: KnownProof) -> None:
    with path.open("ab") as file:
        file.write(b"".join(msgspec.json.encode(each) + b"\n" for each in proofs))


def test_each_proof_is_shown_once(tmp_path, monkeypatch):
    monkeypatch.setattr(_outcome, "LOOK_SECONDS", 0.0)
    path = tmp_path / "proofs.jsonl"
    assert NewProofs(tmp_path).look() == []  # no file yet
    append(path, proof(1))
    shown = NewProofs(tmp_path)
    assert shown.look() == []  # it was there before
    append(path, proof(2), proof(3, disproof=True))
    assert shown.look() == ["proved t2: simp; omega", "disproved t3: simp; omega"]
    with path.open("ab") as file:
        file.write(msgspec.json.encode(proof(4))[:20])  # not whole yet
    assert shown.look() == []
    path.rename(tmp_path / "old")  # a hub that starts writes it anew
    append(path, proof(1), proof(2), proof(3), proof(4))
    assert shown.look() == ["proved t4: simp; omega"]
    append(path, *(proof(number) for number in range(5, 5 + 3 * AT_ONCE)))
    assert len(shown.look()) == AT_ONCE
    path.write_text("damaged\n")
    assert shown.look() == []


def test_a_line_is_a_line():
    line = proof_line(proof(1, "\n".join(f"rw [h{n}]" for n in range(100))))
    assert len(line) == WIDTH and "\n" not in line and line.endswith("…")


def test_the_probe_before_during_and_after(tmp_path):
    assert curve(tmp_path) == ""
    (tmp_path / "eval").mkdir()
    (tmp_path / "weights").mkdir()
    for version, solved in ((0, 20), (6, 24), (11, 27)):
        line = EvaluationLine(
            step=version, policy_version=version, split="probe", simulations=16, attempts=1,
            solved=solved, total=60,
        )  # fmt: skip
        add_line(tmp_path, line)
    assert curve(tmp_path) == "probe, 60 theorems at 16 simulations: before 20, v6 24, v11 27"
