"""`leanfleet report`: counts that are the hub's, curves, hostile texts, runs that are empty or damaged,
and the page in a real browser."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_run import CONFIG, add_learning, make_run, records, theorems

from hpc.journal import Journal, read
from hpc.leases import Leases
from leanfleet import cli
from leanfleet.messages import GameOutcome, GameResult, Theorem
from leanfleet.rl import files
from leanfleet.rl.bins import Bins
from leanfleet.rl.lines import Line, line_plot
from leanfleet.rl.matchmaker import MatchmakerConfig
from leanfleet.rl.records import Begun, Judged, Leased, decode, encode
from leanfleet.rl.report import Task, render
from leanfleet.rl.story import HARDEST, MAX_PROOF, NEWEST, Story
from leanfleet.rl.summary import summarise
from leanfleet.rl.theorems import write_theorems
from leanfleet.rl.told import read_run

sys.path.append(str(Path(__file__).parent.parent / "treepage"))
from browser import browser, find

HOSTILE = "</script></pre><script>alert(1)</script><img src=x onerror=alert(2)>&\"'{{ 7*7 }}"


class Page(HTMLParser):
    VOID = {"meta", "input", "br", "img", "line", "circle", "path"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def reported(folder: Path) -> tuple[dict, Page]:
    assert cli.main(["report", str(folder)]) == 0
    page = Page((folder / files.REPORT).read_text("utf-8"))
    assert page.open == []
    return json.loads((folder / files.SUMMARY).read_text("utf-8")), page


def story_of(entries, of=(), **more) -> Story:
    story = Story(MatchmakerConfig(), lambda: Leases(60.0), of, **more)
    for entry in entries:
        story.tell(entry)
    return story


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("run") / "made", 1_000)
    add_learning(folder)
    return folder


# --- counts ---------------------------------------------------------------------------------------


def test_counts_are_those_of_a_second_reading(made):
    """Told again from the records, with a few dictionaries."""
    summary, _ = reported(made)
    leases, results, judged = {}, {}, {}
    for data in read(made / files.JOURNAL):
        match decode(data):
            case Leased() as each:
                leases[each.lease] = each
            case GameResult() as each:
                results.setdefault(each.lease, each)
            case Judged() as each:
                judged[each.lease] = each
    outcomes = Counter(result.outcome for result in results.values())
    accepted = [lease for lease, each in judged.items() if each.verdict]
    counts, books = summary["counts"], summary["accounts"]
    assert counts["games"] == books["finished"] == len(results)
    assert books["failed"] == outcomes[GameOutcome.FAILED]
    assert books["errors"] == outcomes[GameOutcome.ERROR] == counts["errors"]["games"]["crash"]
    assert counts["proofs"] + counts["disproofs"] == len(accepted)
    assert counts["errors"]["claims_refused"] == {"axioms": len(judged) - len(accepted)}
    assert counts["transitions"] == sum(len(each.rows) for each in judged.values())
    for way, name in ((False, "proved"), (True, "disproved")):
        found = {leases[lease].theorem for lease in accepted if leases[lease].disprove == way}
        assert counts[name] == len(found) > 0
    decided = [
        each
        for lease, each in results.items()
        if each.outcome is GameOutcome.FAILED or lease in judged
    ]
    assert summary["cost"]["simulations"] == sum(each.simulations for each in decided)
    assert summary["cost"]["games"] == len(decided)
    tiers = summary["groups"]["tier"]
    assert sum(one["games"] for one in tiers.values()) == summary["groups"]["way"]["proof"]["games"]
    assert summary["checks"] and all(check["holds"] for check in summary["checks"])
    assert books["late"] > 0 and books["again"] > 0 and books["to_judge"] == 1


def test_summary_has_what_the_architecture_names(made):
    summary, _ = reported(made)
    assert [row["policy_version"] for row in summary["eval"]] == [0, 2, 4, 6, 8, 10]
    assert summary["eval"][0] == {
        "step": 0, "policy_version": 0, "split": "probe", "simulations": 16, "attempts": 1,
        "solved": 20, "total": 60,
    }  # fmt: skip
    assert summary["best_version"] == 10
    assert summary["versions"] == {"torch": "2.13.0"}
    assert summary["seconds"]["hub"] == {"wall": 3600.5, "cpu": None}
    assert summary["seconds"]["training"]["wall"] == 125.0
    assert summary["seconds"]["policy"] == {"wall": None, "cpu": None}
    assert summary["seconds"]["evaluation"] == {"wall": 180.0, "cpu": 12.5}
    assert (
        summary["cost"]["cpu_seconds"] is None and summary["cost"]["cpu_seconds_per_solved"] is None
    )


def test_what_processes_have_used_is_told_by_role_and_for_each_proof(tmp_path):
    folder = make_run(tmp_path / "run", 200)
    (folder / files.CPU).mkdir()
    measured = {
        "lean.0.0.7": 100.0, "lean.0.1.9": 50.5, "prover.0.0.8": 20.0, "learner.0.0.3": 30.0,
        "hub.0.0.1": 4.0, "evaluator.0.0.5": 1000.0,
    }  # fmt: skip
    for name, seconds in measured.items():
        line = {"name": name.rpartition(".")[0], "host": "h", "pid": 1, "cpu_seconds": seconds}
        (folder / files.CPU / f"{name}.json").write_text(json.dumps(line | {"wall_seconds": 9.0}))
    for attempt, busy in ((0, 7.25), (1, 1.5), (2, None)):  # the last was killed before it served
        line = {"name": f"policy.0.{attempt}", "cpu_seconds": 0.0, "busy_seconds": busy}
        (folder / files.CPU / f"policy.0.{attempt}.4.json").write_text(json.dumps(line))
    summary, _ = reported(folder)
    found = {name: time["cpu"] for name, time in summary["seconds"].items()}
    assert found == {
        "hub": 4.0, "search": 20.0, "lean": 150.5, "policy": 0.0, "training": 30.0,
        "evaluation": 1000.0,
    }  # fmt: skip
    assert summary["seconds"]["policy"]["wall"] == 8.8
    cost = summary["cost"]
    assert cost["cpu_seconds"] == 204.5  # the evaluator proves nothing for the run
    assert cost["cpu_seconds_per_solved"] == round(204.5 / cost["solved"], 1)
    page = (folder / files.REPORT).read_text()
    assert re.search(r"took\s+20[45]\S* CPU-seconds", page), re.findall(r".*CPU-seconds.*", page)
    (folder / files.CPU / "hub.0.1.2.json").write_text("torn")
    assert reported(folder)[0]["seconds"]["hub"]["cpu"] is None  # a note says why


def test_books_that_do_not_balance_are_an_alarm(tmp_path):
    folder = make_run(tmp_path / "run", 200)
    manifest = next((folder / files.REPLAY).glob("*.jsonl"))
    text = manifest.read_text()
    manifest.write_text(re.sub(r'"rows":(\d+)', lambda found: f'"rows":{int(found[1]) + 1}', text))
    summary, page = reported(folder)
    assert [check["what"][:14] for check in summary["checks"] if not check["holds"]] == [
        "rows in shards"
    ]
    assert "The counts don't reconcile" in page.text


def test_a_theorem_both_proved_and_disproved_is_an_alarm(tmp_path):
    of = theorems(1)
    entries = [Begun("made", "x", 1, 1)]
    for number, disprove in enumerate((False, True)):
        lease = f"1-{number}"
        entries += [
            Leased(lease, number, 0, disprove, 1, "w"),
            GameResult(lease, GameOutcome.PROVED, "omega"),
            Judged(lease, "key", "", 1, "omega"),
        ]
    (tmp_path / files.CONFIG).write_text(CONFIG)
    run = read_run(tmp_path)
    story = story_of(entries, of)
    summary = summarise(story, run)
    assert summary["contradictions"] == ["t0"]
    assert (summary["counts"]["proved"], summary["counts"]["disproved"]) == (1, 0)
    assert "The verdict can't be trusted" in render(story, run, summary).replace("&#39;", "'")


def test_a_quarantined_theorem_is_named_with_the_reason(tmp_path):
    entries = [Begun("made", "x", 2, 1)]
    for number in range(MatchmakerConfig().quarantine):
        lease = f"1-{number}"
        entries.append(Leased(lease, number, 1, False, 1, "w"))
        entries.append(GameResult(lease, GameOutcome.ERROR, message=f"crash: {HOSTILE}"))
    (tmp_path / files.CONFIG).write_text(CONFIG)
    run = read_run(tmp_path)
    story = story_of(entries, theorems(2))
    summary = summarise(story, run)
    (found,) = summary["quarantined"]
    assert found == {"theorem": "t1", "errors_in_a_row": 3, "reason": f"crash: {HOSTILE}"}
    page = Page(render(story, run, summary))
    assert page.open == [] and page.tags.count("script") == 1 and "img" not in page.tags
    assert f"crash: {HOSTILE}" in page.text.partition("Quarantined")[2]


# --- what the story keeps -------------------------------------------------------------------------


def test_why_a_statement_does_not_elaborate_stands_in_the_table_and_in_the_summary(tmp_path):
    of = theorems(3)
    folder = make_run(tmp_path / "run", 1, of)
    journal = Journal(folder / files.JOURNAL)
    said = "statement: unknown identifier 'Reel'\nand what Lean says besides"
    entries = [
        Leased("2-0", 5, 1, False, 9, "w"),
        GameResult("2-0", GameOutcome.REFUSED, message=said),
    ]
    journal.append([encode(entry) for entry in entries])
    journal.close()
    summary, page = reported(folder)
    reason = "statement: unknown identifier 'Reel'"
    assert summary["not_elaborated"] == [{"theorem": "t1", "reason": reason}]
    assert summary["standings"]["refused"] == 1
    assert page.text.count(reason) == 1 and "besides" not in page.text
    page = (folder / files.REPORT).read_text("utf-8")
    (row,) = (row for row in re.findall(r"<tr data-kind.*?</tr>", page, re.S) if ">t1<" in row)
    assert "unknown identifier" in row and "not elaborated" in row


def test_first_shorter_and_hardest_proofs():
    of = theorems(30)
    story = story_of(records(of, 2_000), of)
    best: dict[int, int] = {}
    for proof in story.newest:
        if proof.theorem in best:
            assert proof.length < best[proof.theorem] == proof.before
        best[proof.theorem] = proof.length
    assert len(story.newest) == NEWEST and len(story.hardest) == HARDEST
    assert all(proof.before is None for proof in story.hardest)
    assert all(proof.before for proof in story.shortened)
    for theorem, told in story.told.items():
        if told.length is not None:
            assert told.proof.count("\n") + 1 == told.length
            assert story.ledger.matchmaker.records[theorem].shortest in (told.length, 0)


def test_a_long_proof_is_cut_and_many_are_not_kept(monkeypatch):
    monkeypatch.setattr("leanfleet.rl.story.MAX_PROOFS", 20_000)
    of, entries = theorems(5), [Begun("made", "x", 5, 1)]
    for number in range(5):
        lease = f"1-{number}"
        entries += [
            Leased(lease, number, number, False, 1, "w"),
            GameResult(lease, GameOutcome.PROVED, "claim"),
            Judged(lease, "key", "", 1, "x" * 100_000),
        ]
    story = story_of(entries, of)
    kept = [told.proof for told in story.told.values()]
    assert [bool(text) for text in kept] == [True, True, False, False, False]
    assert len(kept[0]) < MAX_PROOF + 20 and kept[0].endswith("cut here")


def test_bins_keep_sums_and_stay_few():
    bins = Bins(most=8)
    for place in range(1_000):
        bins.add(place, "games")
        bins.add(place, "solved", place % 2)
    found = list(bins.sums())
    assert 4 <= len(found) <= 8 and bins.width == 128
    assert sum(sums["games"] for _, sums in found) == 1_000
    assert bins.total("solved")[-1] == (1024.0, 500.0)
    assert all(rate == 0.5 for _, rate in bins.rate("solved", "games"))
    few = Bins()
    for place, solved in enumerate([1, 0, 0, 1, 1, 1, 1]):
        few.add(place, "games")
        few.add(place, "solved", solved)
    assert few.rate("solved", "games", 3) == [(3.0, 1 / 3), (7.0, 1.0)]
    assert few.rate("solved", "games", 100) == [(7.0, 5 / 7)]
    bins.add(3, "late")  # a place that was passed
    assert found[0][1]["late"] == 1


def test_records_of_another_run_or_in_no_order_are_refused():
    with pytest.raises(ValueError, match="does not begin"):
        story_of([GameResult("1-0", GameOutcome.FAILED)])
    with pytest.raises(ValueError, match="about 3 theorems, its folder has 2"):
        story_of([Begun("made", "x", 3, 1)], theorems(2))


# --- curves ---------------------------------------------------------------------------------------


def points(svg: str) -> list[tuple[float, float]]:
    path = re.search(r'<path class="curve curve0" d="M([^"]+)"', svg)[1]
    return [tuple(map(float, pair.split(","))) for pair in path.split("L")]


def test_a_plot_is_to_scale():
    svg = line_plot("a & b", "x", [Line("one", [(0, 0.0), (5, 0.5), (10, 1.0)])], percent=True)
    (x0, y0), (x1, y1), (x2, y2) = points(svg)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert "a &amp; b" in svg and "100 %" in svg and svg.count("<circle") == 3
    assert Page(svg).open == []


@pytest.mark.parametrize(
    "found",
    [[], [(3.0, 3.0)], [(0.0, 0.0)], [(1.0, -2.0), (2.0, 1e9)], [(1e-9, 1e-9), (2e-9, 0.0)]],
)
def test_odd_points_are_drawn(found):
    svg = line_plot("odd", "x", [Line("one", found)], zero=False)
    assert "nan" not in svg and "inf" not in svg.replace("infinite", "")
    if found:
        assert len(points(svg)) == len(found)


def test_curves_of_a_run(made):
    _, page = reported(made)
    titles = [value for name, value in page.attributes if name == "aria-label"]
    for title in (
        "Probe: solved against the version",
        "Probe: solved against time",
        "Games that end in an accepted proof",
        "Distinct theorems",
        "Training: loss",
    ):
        assert any(each.startswith(title) for each in titles), title
    assert {"tier 1", "tier 2", "tier 3"} <= set(re.findall(r"tier \d", page.text))


# --- odd runs -------------------------------------------------------------------------------------


def test_a_run_with_nothing_in_it(tmp_path):
    (tmp_path / files.CONFIG).write_text(CONFIG)
    summary, page = reported(tmp_path)
    assert not summary["begun"] and summary["counts"]["games"] == 0 and summary["eval"] == []
    assert "Not begun" in page.text and "journal is empty" in page.text and "svg" not in page.tags


def test_a_run_that_has_just_begun(tmp_path):
    (tmp_path / files.CONFIG).write_text(CONFIG)
    of = theorems(3)
    write_theorems(tmp_path, of)
    journal = Journal(tmp_path / files.JOURNAL)
    journal.append([encode(record) for record in [*records(of, 0)][:1]])
    journal.close()
    summary, page = reported(tmp_path)
    assert summary["begun"] and summary["counts"]["theorems"] == 3
    assert "Not over" in page.text and "t2" in page.text


def test_a_run_that_is_written_to_meanwhile(tmp_path):
    """The last record is half there, and shards may be behind the journal, never ahead of it."""
    folder = make_run(tmp_path / "run", 100)
    before, _ = reported(folder)
    journal = Journal(folder / files.JOURNAL)
    journal.append([encode(Leased("2-0", 200, 1, False, 5, "w"))])
    segment = sorted((folder / files.JOURNAL).glob("*.log"))[-1]
    with segment.open("ab") as file:
        file.write(b"\x40\x00\x00\x00half")
    after, page = reported(folder)
    journal.close()
    assert after["accounts"]["in_flight"] == before["accounts"]["in_flight"] + 1
    assert all(check["holds"] for check in after["checks"]) and "Not over" in page.text


def test_without_theorems_they_have_numbers(tmp_path):
    folder = make_run(tmp_path / "run", 100)
    (folder / "theorems.jsonl").unlink()
    summary, page = reported(folder)
    assert summary["counts"]["proved"] > 0 and "theorem 3" in page.text


def test_damaged_files_are_left_out_with_a_note_but_not_the_journal(tmp_path, capsys):
    folder = make_run(tmp_path / "run", 100)
    add_learning(folder)
    (folder / files.EVALUATIONS / files.EVALUATION_LINES).write_text('{"step": "x"}\n')
    (folder / files.OVER).write_text("{")
    (folder / "launcher.json").write_text("[]")
    _, page = reported(folder)
    for name in (files.EVALUATION_LINES, files.OVER, "launcher.json"):
        assert re.search(rf"Left out:[^\n]*{re.escape(name)}", page.text), name
    capsys.readouterr()
    segment = next((folder / files.JOURNAL).glob("*.log"))
    data = bytearray(segment.read_bytes())
    data[200] ^= 1
    segment.write_bytes(data)
    assert cli.main(["report", str(folder)]) == 2
    assert segment.name in capsys.readouterr().err


def test_an_evaluations_folder_outside_the_run_is_not_read(tmp_path):
    folder = make_run(tmp_path / "run", 10)
    add_learning(folder)
    (tmp_path / files.SUMMARY).write_text('{"cost": {"lean_cpu_seconds": {"total": 99.0}}}')
    path = folder / files.EVALUATIONS / files.EVALUATION_LINES
    path.write_text(path.read_text().replace("eval/v000000", "..").replace("eval/v000002", "/tmp"))
    assert reported(folder)[0]["seconds"]["evaluation"]["cpu"] == 0.0


def test_what_is_no_runs_folder_is_said(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "is no run's folder" in capsys.readouterr().err
    (tmp_path / files.CONFIG).write_text("name: [")
    assert cli.main(["report", str(tmp_path)]) == 2


def test_the_page_can_go_elsewhere_and_the_journal_is_not_touched(made, tmp_path):
    before = {
        path: path.read_bytes() for path in (made / files.JOURNAL).rglob("*") if path.is_file()
    }
    page = tmp_path / "page.html"
    assert cli.main(["report", str(made), "--out", str(page)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    after = {
        path: path.read_bytes() for path in (made / files.JOURNAL).rglob("*") if path.is_file()
    }
    assert before == after


def hostile_run(tmp_path) -> Path:
    of = [Theorem(f"a{n}{HOSTILE}", f"theorem a : {HOSTILE}", source=HOSTILE) for n in range(3)]
    folder = make_run(tmp_path / "run", 1, of)
    journal = Journal(folder / files.JOURNAL)
    entries = [
        Leased("2-0", 5, 0, False, 9, HOSTILE),
        GameResult("2-0", GameOutcome.PROVED, HOSTILE),
        Judged("2-0", HOSTILE, "", 1, HOSTILE),
        Leased("2-1", 6, 1, False, 9, HOSTILE),
        GameResult("2-1", GameOutcome.ERROR, message=HOSTILE),
        Leased("2-3", 8, 1, False, 9, HOSTILE),
        GameResult("2-3", GameOutcome.REFUSED, message=HOSTILE),
        Leased("2-2", 7, 2, False, 9, HOSTILE),
        GameResult("2-2", GameOutcome.PROVED, HOSTILE),
        Judged("2-2", "", HOSTILE),
    ]
    journal.append([encode(entry) for entry in entries])
    journal.close()
    (folder / files.CODE).write_text(json.dumps({HOSTILE: HOSTILE}))
    (folder / files.OVER).write_text(json.dumps({"reason": HOSTILE}))
    return folder


def test_nothing_that_strangers_wrote_becomes_markup(tmp_path):
    folder = hostile_run(tmp_path)
    run = read_run(folder)
    story = story_of(map(decode, read(folder / files.JOURNAL)), run.theorems)
    tasks = [Task(HOSTILE, 0, HOSTILE, 1, 2, HOSTILE)]
    page = Page(render(story, run, summarise(story, run), tasks))
    assert page.open == [] and page.tags.count("script") == 1 and "img" not in page.tags
    assert page.text.count("<img src=x onerror=alert(2)>") >= 12 and "{{ 7*7 }}" in page.text
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [
        value for name, value in page.attributes if name in ("src", "href", "action", "xlink:href")
    ]
    assert links == []


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.skipif(find() is None, reason="no Chromium on this machine")
def test_the_page_in_a_browser(made, tmp_path):
    reported(made)
    hostile = hostile_run(tmp_path)
    reported(hostile)
    shown = "document.querySelector('#shown').textContent"
    first = "document.querySelector('#theorems tbody').rows[0].cells[0].innerText.trim()"
    with browser() as tab:
        for width in (1280, 420):
            tab.open(made / files.REPORT, width=width)
            assert tab.errors == [] and len(tab.requested) == 1
            assert tab.run("document.documentElement.scrollWidth") <= width
            assert tab.run("document.querySelectorAll('svg').length") == 7
        assert tab.run(shown) == "24 of 24"
        tab.run("kind.value = 'disproved'; kind.dispatchEvent(new Event('change'))")
        assert tab.run(shown) == f"{len(range(7, 24, 8))} of 24"
        tab.run("kind.value = ''; find.value = 't17'; find.dispatchEvent(new Event('input'))")
        assert tab.run(shown) == "1 of 24"
        tab.run("find.value = ''; find.dispatchEvent(new Event('input'))")
        head = "document.querySelectorAll('#theorems th button')[7].click()"
        tab.run(f"{head}; {head}")
        most = "[...document.querySelectorAll('#theorems tbody tr')].map(row => +row.cells[7].innerText)"
        numbers = tab.run(most)
        assert numbers == sorted(numbers, reverse=True) and numbers[0] > 0
        assert tab.run(first).startswith("t")
        tab.open(hostile / files.REPORT)
        assert tab.errors == [] and len(tab.requested) == 1
