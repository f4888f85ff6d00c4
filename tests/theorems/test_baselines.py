"""tools/baselines.py: what it counts, and what it refuses to freeze."""

import importlib.util

import msgspec
import pytest

from leanfleet.evaluate.results import Attempt, Class
from leanfleet.evaluate.settings import Manifest, Settings
from leanfleet.evaluate.summary import Outcome
from leanfleet.messages import Theorem


@pytest.fixture(scope="module")
def tool(root):
    spec = importlib.util.spec_from_file_location("baselines", root / "tools/baselines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one(number: int, source: str, outcome: Class, simulations: int, proof: str = "") -> Outcome:
    theorem = Theorem(f"t{number}", f"theorem t{number} : True", source=source)
    row = Attempt(
        theorem=theorem.name, attempt=0, outcome=outcome, simulations=simulations, proof=proof
    )
    return Outcome(theorem, (row,))


FOUND = [
    one(0, "logic/a/1/in", Class.PROVED, 3, "grind"),
    one(1, "logic/a/2/in", Class.PROVED, 40, "intro x\nrotate_left\nomega\nsimp"),
    one(2, "logic/b/3/out", Class.PROVED, 120, "constructor\ncalc a = b := ?_\n _ = c := ?_"),
    one(3, "logic/b/3/out", Class.NOT_PROVED, 200),
]


def manifest(**settings) -> Manifest:
    settings = {"simulations": 200, **settings}
    return Manifest(
        benchmark="b", path="p", content="c", theorems=4, settings=Settings(**settings), lean="L"
    )


@pytest.mark.parametrize(
    ("proof", "count"),
    [
        ("grind", 1),
        ("intro x\nomega", 2),
        ("constructor\nrotate_left\ncase' a | b => skip\nrefine ?left\nomega\nsimp", 3),
        ("calc a = b := ?_\n _ = c := ?_\nomega", 2),
        ("rotate_lefty", 1),
        ("rcases h with a | b\n· omega\n· intro x\n  simp\n\n", 4),
    ],
)
def test_steps_are_tactics(tool, proof, count):
    assert tool.steps(proof) == count


def test_curves_and_shares_by_hand(tool):
    frozen = tool.baseline(manifest(), FOUND)
    values = {budget: rate["value"] for budget, rate in frozen["solved_at"].items()}
    assert values == {"8": 0.25, "16": 0.25, "50": 0.5, "200": 0.75}
    assert frozen["proofs"]["share_with_one_step"] == pytest.approx(1 / 3)
    assert frozen["proofs"]["share_with_three_or_more"] == pytest.approx(1 / 3)
    assert frozen["groups"]["out of family"]["solved_at"]["200"]["value"] == 0.5
    assert frozen["groups"]["tier 1"]["theorems"] == 1


@pytest.mark.parametrize(
    ("settings", "extra", "words"),
    [
        ({"simulations": 100}, [], "200 are needed"),
        ({}, [one(4, "", Class.TIME, 100)], "by the clock"),
        ({}, [one(4, "", Class.ERROR, 0)], "not finished"),
        ({"attempts": 2}, [], "not finished"),
    ],
)
def test_what_is_not_fit_is_refused(tool, settings, extra, words):
    with pytest.raises(ValueError, match=words):
        tool.baseline(manifest(**settings), [*FOUND, *extra])


def test_the_shipped_baselines_are_of_the_shipped_data(root):
    from leanfleet.theorems.shipped import manifest as shipped_manifest

    path = root / "docs/baselines.json"
    if not path.exists():
        pytest.skip("not frozen yet: docs/theorems.md, Baselines")
    frozen = msgspec.json.decode(path.read_bytes())
    assert frozen["data"] == msgspec.to_builtins(shipped_manifest())
    for split in ("valid", "test"):
        assert frozen["benchmarks"][split]["content"] == (
            shipped_manifest().splits[split].content_hash
        )
