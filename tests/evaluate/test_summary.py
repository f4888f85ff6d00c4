"""Counts, rates, curves and comparisons of rows written by hand."""

import msgspec
import pytest

from leanfleet.evaluate.compare import compare_folders
from leanfleet.evaluate.content import content_hash
from leanfleet.evaluate.results import Attempt, Class, Results
from leanfleet.evaluate.session import read_labels, write_reports
from leanfleet.evaluate.settings import Manifest, Settings
from leanfleet.evaluate.summary import Labels, counted, curve, outcomes, summarise
from leanfleet.messages import Theorem

P, N, X, T, B, E = (
    Class.PROVED,
    Class.NOT_PROVED,
    Class.EXHAUSTED,
    Class.TIME,
    Class.NOT_ELABORATED,
    Class.ERROR,
)


def theorem(name, source="", split=""):
    return Theorem(name, f"theorem {name} : True", split=split, source=source)


def row(name, outcome, attempt=0, simulations=10, **fields):
    proof = "trivial" if outcome is P else ""
    return Attempt(
        theorem=name,
        attempt=attempt,
        outcome=outcome,
        simulations=simulations,
        proof=proof,
        **fields,
    )


def manifest(theorems, **settings):
    return Manifest(
        benchmark="hand",
        path="hand.jsonl",
        content=content_hash(theorems),
        theorems=len(theorems),
        settings=Settings(**settings),
        lean="Lean by hand",
    )


def test_who_counts_and_who_does_not():
    theorems = [theorem(name) for name in "abcdefg"]
    rows = [
        row("a", P, simulations=3),
        row("b", N),
        row("c", X),
        row("d", T),
        row("e", B),
        row("f", E),
        row("b", E, retry=1),
        row("b", N, retry=1),
    ]
    found = outcomes(theorems, rows)
    summary = summarise(manifest(theorems), found)
    assert summary["counts"] | {"attempts_disturbed": 0} == {
        "theorems": 7,
        "counted": 4,
        "solved": 1,
        "not_proved": 1,
        "exhausted": 1,
        "time": 1,
        "not_elaborated": 1,
        "errors": 1,
        "not_tried": 1,
        "attempts": 6,
        "attempts_disturbed": 0,
        "without_network": 0,
    }
    assert summary["solved"]["rate"] == 0.25
    assert not summary["complete"] and summary["attempts_left"] == 2  # f failed, g was not tried
    assert summary["eval"] == {
        "policy": "menu",
        "simulations": 50,
        "attempts": 1,
        "solved": 1,
        "total": 4,
    }


def test_smaller_budgets_are_read_from_the_same_run():
    theorems = [theorem(name) for name in "abcd"]
    rows = [
        row("a", P, simulations=1),
        row("b", P, simulations=8),
        row("c", P, simulations=9),
        row("d", N, simulations=16),
    ]
    summary = summarise(manifest(theorems, simulations=16), outcomes(theorems, rows))
    within = {budget: rate["value"] for budget, rate in summary["solved_at_simulations"].items()}
    assert within == {"1": 0.25, "2": 0.25, "4": 0.25, "8": 0.5, "16": 0.75}
    points = curve(counted(outcomes(theorems, rows)), lambda one: one.simulations)
    assert points == [(1, 0.25), (8, 0.5), (9, 0.75)]


def test_attempts_make_pass_at_k_and_not_more_theorems():
    theorems = [theorem(name) for name in "ab"]
    rows = [row("a", P if n == 0 else N, n) for n in range(4)] + [row("b", N, n) for n in range(4)]
    summary = summarise(manifest(theorems, attempts=4), outcomes(theorems, rows))
    rates = {k: rate["value"] for k, rate in summary["pass_at"].items()}
    assert rates == {"1": pytest.approx(0.125), "2": pytest.approx(0.25), "4": pytest.approx(0.5)}
    assert summary["counts"]["solved"] == 1 and summary["complete"]
    # an attempt that only met machine errors takes no part
    rows[1] = row("a", E, 1)
    summary = summarise(manifest(theorems, attempts=4), outcomes(theorems, rows))
    assert summary["pass_at"]["1"]["value"] == pytest.approx((1 / 3 + 0) / 2)
    assert summary["pass_at"]["4"] == {"value": 0.0, "low": 0.0, "high": 0.0, "theorems": 1}
    assert not summary["complete"]


def test_groups_by_split_and_by_the_parts_of_the_source():
    theorems = [theorem("a", "lists/1"), theorem("b", "lists/2"), theorem("c", "logic/1")]
    summary = summarise(manifest(theorems), outcomes(theorems, [row(n, P) for n in "ab"]))
    assert {name: share["total"] for name, share in summary["groups"]["source 2"].items()} == {
        "1": 1,
        "2": 1,
    }
    theorems = [theorem("a", split="test"), theorem("b", split="valid")]
    rows = [row("a", P), row("b", N)]
    groups = summarise(manifest(theorems), outcomes(theorems, rows))["groups"]
    assert groups["split"]["test"]["solved"] == 1 and groups["split"]["valid"]["solved"] == 0


def folder(path, theorems, rows, **settings):
    with Results.open(path, manifest(theorems, **settings), theorems) as results:
        for each in rows:
            results.append(each)
    return path


def test_a_proof_of_a_false_statement_is_an_alarm(tmp_path):
    theorems = [theorem(name) for name in "abc"]
    where = folder(tmp_path / "x", theorems, [row("a", P), row("b", P), row("c", N)])
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"name": "a", "label": true}\n{"name": "b", "label": false, "tier": 1}\n')
    summary = write_reports(where, read_labels(labels, ["a", "b", "c"]))
    assert summary["labels"] == {
        "true": 1,
        "true_proved": 1,
        "false": 1,
        "false_proved": ["b"],
        "unlabelled": 1,
    }
    assert "can't be trusted" in (where / "report.html").read_text()
    quiet = write_reports(where, Labels(frozenset("ab"), frozenset("c")))
    assert quiet["labels"]["false_proved"] == []
    assert "can't be trusted" not in (where / "report.html").read_text()


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"name": "a"}', "label"),
        ('{"name": "a", "label": "false"}', ":1:"),
        ('{"name": "a", "label": true}\n{"name": "a", "label": false}', "both true and false"),
        ('{"name": "z", "label": true}', "none of the theorems"),
    ],
)
def test_labels_that_can_not_be_read(tmp_path, text, message):
    (tmp_path / "labels.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path / "labels.jsonl", ["a"])


# --- comparison -----------------------------------------------------------------------------------


def test_two_runs_are_compared_in_pairs(tmp_path):
    names = [f"t{n}" for n in range(40)]
    theorems = [theorem(name) for name in names]
    first = [row(name, P if n < 20 else N, simulations=4) for n, name in enumerate(names)]
    second = [row(name, P if 2 <= n < 30 else N, simulations=9) for n, name in enumerate(names)]
    a = folder(tmp_path / "a", theorems, first)
    b = folder(tmp_path / "b", theorems, second)
    result = compare_folders(a, b)
    whole, at_8 = result.rates[0], next(r for r in result.rates if "within 8" in r.what)
    assert (whole.first, whole.second) == (0.5, 0.7)
    assert whole.difference == pytest.approx(0.2) and 0 < whole.low < 0.2 < whole.high < 0.4
    assert (at_8.first, at_8.second) == (0.5, 0.0)
    assert result.only_first == ("t0", "t1") and len(result.only_second) == 10
    # exact: 2 · P(at most 2 heads of 12)
    assert result.p == pytest.approx(2 * (1 + 12 + 66) / 4096)
    assert len(result.changed) == 30  # those proved by both took other numbers of simulations
    assert compare_folders(a, a).changed == () and compare_folders(a, a).p == 1.0


def test_unequal_simulations_are_compared_at_the_smaller_and_families_apart(tmp_path):
    sources = ("logic/a/1/in", "logic/b/1/out")
    theorems = [msgspec.structs.replace(theorem(f"t{n}"), source=sources[n % 2]) for n in range(40)]
    long = [row(one.name, P, simulations=4 if n < 10 else 90) for n, one in enumerate(theorems)]
    short = [row(one.name, P if n < 20 else N, simulations=9) for n, one in enumerate(theorems)]
    a = folder(tmp_path / "a", theorems, long, simulations=100)
    b = folder(tmp_path / "b", theorems, short, simulations=50)
    result = compare_folders(a, b)
    assert (result.rates[0].first, result.rates[0].second) == (0.25, 0.5)
    assert result.only_first == () and len(result.only_second) == 10
    inside, outside = result.groups
    assert (inside.what, outside.what) == ("in family (20)", "out of family (20)")
    assert (inside.first, inside.second, outside.second) == (0.25, 0.5, 0.5)


def test_only_equal_theorems_that_both_decided_are_compared(tmp_path):
    theorems = [theorem(name) for name in "abc"]
    other = [msgspec.structs.replace(theorems[0], header="open Nat"), *theorems[1:]]
    a = folder(tmp_path / "a", theorems, [row(name, P) for name in "abc"])
    b = folder(tmp_path / "b", other, [row("a", P), row("b", E), row("c", N)])
    result = compare_folders(a, b)
    assert result.theorems == 1 and result.not_shared == 4 and result.only_first == ("c",)
    c = folder(tmp_path / "c", [theorem("z")], [row("z", P)])
    with pytest.raises(ValueError, match="no theorem in common"):
        compare_folders(a, c)
    with pytest.raises(ValueError, match="holds no evaluation"):
        compare_folders(a, tmp_path / "nowhere")
