"""report.html: escapes what strangers wrote, loads nothing, says what it is of; its curves."""

import re
from html.parser import HTMLParser

import pytest

from leanfleet.evaluate.plot import Curve, step_plot
from leanfleet.evaluate.registry import as_markdown, entries, recognise
from leanfleet.evaluate.report import render
from leanfleet.evaluate.results import Attempt, Class
from leanfleet.evaluate.settings import Manifest, Settings
from leanfleet.evaluate.summary import outcomes, summarise
from leanfleet.messages import Theorem

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def page(theorems, rows, labels=None, **settings):
    manifest = Manifest(
        benchmark=f"bench {HOSTILE}",
        path="x",
        content="c0ffee",
        theorems=len(theorems),
        settings=Settings(**settings),
        lean=f"Lean 4 {HOSTILE}",
        notes=(HOSTILE,),
        versions={"leanfleet": "0"},
    )
    found = outcomes(theorems, rows)
    return render(manifest, found, summarise(manifest, found, labels), labels)


def test_nothing_that_strangers_wrote_becomes_markup():
    theorems = [
        Theorem(f"a{HOSTILE}", f"theorem a : {HOSTILE}", source=HOSTILE, split=HOSTILE),
        Theorem("b", f"theorem b : {HOSTILE}"),
    ]
    rows = [
        Attempt(theorem=theorems[0].name, attempt=0, outcome=Class.PROVED, proof=HOSTILE),
        Attempt(theorem="b", attempt=0, outcome=Class.NOT_ELABORATED, message=HOSTILE),
    ]
    found = Page(page(theorems, rows))
    assert found.tags.count("script") == 1 and "img" not in found.tags
    assert found.text.count("<img src=x onerror=alert(2)>") >= 6  # shown as text
    assert not [name for name, _ in found.attributes if name.startswith("on")]


def test_it_is_one_page_that_loads_and_sends_nothing():
    text = page([Theorem("a", "theorem a : True")], [])
    assert "default-src 'none'" in text
    found = Page(text)
    assert not [value for name, value in found.attributes if name in ("src", "href", "action")]
    assert "c0ffee" in found.text and "not tried" in found.text


def test_every_class_has_its_word():
    names = [str(each) for each in Class]
    theorems = [Theorem(name, f"theorem {name} : True") for name in names]
    rows = [Attempt(theorem=str(each), attempt=0, outcome=each, proof="x") for each in Class]
    kinds = re.findall(r'<tr data-kind="(\w+)">', page(theorems, rows))
    assert kinds == names


def test_a_known_fault_is_marked():
    theorems = [Theorem("mathd_numbertheory_618", "theorem mathd_numbertheory_618 : True")]
    text = page(theorems, [Attempt(theorem=theorems[0].name, attempt=0, outcome=Class.PROVED)])
    assert "false at n = 0" in text and "content hashes" in text


def test_a_curve_goes_up_where_its_points_are():
    svg = step_plot("t", "x", [Curve("one", [(1, 0.25), (10, 0.5)])], 100)
    path = re.search(r'class="curve curve0" d="([^"]+)"', svg)[1]
    heights = [float(y) for y in re.findall(r"[,V]([\d.]+)", path)]
    assert heights == sorted(heights, reverse=True) and len(heights) == 3
    places = [float(x) for x in re.findall(r"H([\d.]+)", path)]
    assert places == sorted(places)
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)  # a log axis


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)], [(5, 1.0)], [(1e-3, 0.1), (1e6, 0.9)]])
def test_no_curve_is_too_odd_to_draw(points):
    svg = step_plot("<t>", "x", [Curve("a", points), Curve("<b>", [])], 10)
    assert "nan" not in svg and "inf" not in svg and "<t>" not in svg and "<b>" not in svg
    assert svg.startswith("<svg") and svg.endswith("</svg>")


def test_the_registry_is_whole_and_its_page_up_to_date(root):
    for entry in entries():
        re.compile(entry.names)
        assert entry.layouts and entry.versions and entry.caution
        assert len({fault.theorem for fault in entry.faults}) == len(entry.faults)
        assert all(recognise([fault.theorem]) == entry for fault in entry.faults)
    assert (root / "docs" / "benchmarks.md").read_text("utf-8") == as_markdown()
    assert recognise(["own_theorem_1", "another"]) is None and recognise([]) is None
