"""The page in a real browser: what opens, what is found, that nothing fails and nothing is loaded."""

import pytest
from browser import browser, find
from searches import HOSTILE, Shown, hostile_result, searched, wide

from leanfleet.messages import Goal, Hypothesis, Theorem
from leanfleet.prover import Outcome, ProofResult
from leanfleet.treepage import files
from leanfleet.treepage.page import render
from leanfleet.treepage.summary import page_of

pytestmark = pytest.mark.skipif(find() is None, reason="no Chromium on this machine")

ROWS = "document.querySelectorAll('.row').length"
LABELS = "[...document.querySelectorAll('.row')].map(row => row.innerText.replace(/\\s+/g, ' '))"
CHOSEN = "document.querySelector('.row[aria-selected=true]').innerText.replace(/\\s+/g, ' ')"
DETAILS = "document.getElementById('details').innerText"


@pytest.fixture(scope="module")
def tab():
    with browser() as tab:
        yield tab


@pytest.fixture
def page(tab, tmp_path):
    """Opens the page of a search (or result); afterwards nothing may have failed or been loaded."""

    def show(search, **options):
        result = search
        if not isinstance(search, ProofResult):
            result = ProofResult(Theorem("t", "theorem t"), Outcome.NOT_PROVED, search=search)
        path = tmp_path / "page.html"
        files.write(path, render(page_of(result)))
        tab.open(path, **options)
        return tab

    yield show
    assert tab.errors == []
    assert [url for url in tab.requested if not url.startswith("file:///")] == []
    assert len(tab.requested) == 1


def click(tab, selector):
    assert tab.run(f"(x => {{ x.click(); return true; }})(document.querySelector({selector!r}))")


def ask(tab, query):
    tab.run(f"(q => {{ q.value = {query!r}; q.dispatchEvent(new Event('input')); }})"
            "(document.getElementById('query'))")  # fmt: skip
    click(tab, "#search button[type=submit]")


PROOF = {
    "root": {"split": ["left", "right"], "wander": ["away"], "stray": ["far"]},
    "left": {"close left": []},
    "right": {"rewrite": ["same"], "loop": ["root"]},
    "same": {"close": []},
    "away": {"other way": ["same"], "back": ["root"]},
    "far": {"no": None},
}


def test_the_proof_is_open_at_first_and_nothing_else(page):
    tab = page(searched(PROOF))
    labels = tab.run(LABELS)
    assert [label.split()[:3] for label in labels] == [
        ["▾", "✓", "⊢"],
        ["▾", "✓", "split"],
        ["▾", "✓", "goal"],
        ["✓", "close", "left"],
        ["▾", "✓", "goal"],
        ["▾", "✓", "rewrite"],
        ["✓", "close", "nothing"],
        ["…", "1", "other"],
        ["…", "2", "other"],
    ]
    assert tab.run("document.querySelectorAll('.row.proof').length") == 7


def test_keys_move_open_close_and_follow(page):
    tab = page(searched(PROOF))
    tab.run("document.querySelector('.row').focus()")
    tab.key("End")
    assert "2 other tactics" in tab.run(CHOSEN)
    tab.key("Enter")
    assert "wander" in tab.run(CHOSEN) or "stray" in tab.run(CHOSEN)
    while "wander" not in tab.run(CHOSEN):
        tab.key("ArrowDown")
    before = tab.run(ROWS)
    tab.key("ArrowRight")
    opened = tab.run(ROWS)
    tab.key("ArrowLeft")
    assert tab.run(ROWS) == before <= opened
    tab.key("Home")
    assert tab.run(CHOSEN).startswith("▾ ✓ ⊢ root")
    tab.key("ArrowLeft")
    assert tab.run(ROWS) == 1


def test_a_merged_state_is_shown_once_and_linked_from_elsewhere(page):
    moves = {"root": {"a": ["x"], "b": ["y"]}, "x": {"c": ["z"]}, "y": {"d": ["z"], "up": ["root"]}}
    moves["z"] = {"e": ["end"]}
    tab = page(searched(moves, simulations=40))
    click(tab, "#open-all")
    labels = tab.run(LABELS)
    assert len([label for label in labels if " e " in label]) == 1
    links = [label for label in labels if "↪" in label]
    assert len(links) == 2 and any("↪ #0" in label for label in links)
    click(tab, ".link")
    assert "↪" not in tab.run(CHOSEN)


def test_search_opens_what_it_finds(page):
    tab = page(searched(wide(4), simulations=80))
    before = tab.run(ROWS)
    ask(tab, "root.1.2.")
    assert tab.run("document.getElementById('matches').textContent").startswith("1 of ")
    assert "root.1.2" in tab.run(CHOSEN) and tab.run(ROWS) > before
    ask(tab, "#3")
    assert "state #3" in tab.run(DETAILS)
    ask(tab, "nowhere to be found")
    assert tab.run("document.getElementById('matches').textContent") == "0 found"


def test_a_thousand_states_are_drawn_when_they_are_asked_for(page):
    search = searched(wide(6), simulations=400)
    assert len(search.graph.nodes) > 1_000
    tab = page(search)
    assert 5 < tab.run(ROWS) < 200
    click(tab, "#open-all")
    assert tab.run(ROWS) >= len(search.graph.nodes)
    click(tab, "#close-all")
    assert tab.run(ROWS) == 1


def test_details_show_what_a_tactic_changed(page):
    def goal(*names):
        return Shown((Goal("", "q", tuple(Hypothesis((name,), "p") for name in names)),))

    moves = {"root": {"intro h": ["next"]}, "next": {"bad": None}}
    tab = page(searched(moves, {"root": goal("a"), "next": goal("a", "h")}))
    tab.run("document.querySelector('.row').focus()")
    tab.key("ArrowDown")
    assert "with h : p" in tab.run(CHOSEN)
    assert tab.run("[...document.querySelectorAll('.goal .new')].map(x => x.innerText)") == [
        "h : p"
    ]
    text = tab.run(DETAILS)
    assert "intro h" in text and "⊢ q" in text and "1 tried in vain" in text


def test_hostile_texts_do_nothing(page):
    tab = page(hostile_result())
    click(tab, "#open-all")
    assert tab.run("document.querySelectorAll('script').length") == 2
    assert tab.run("document.scripts[1].textContent.includes('alert')") is False
    assert "</script><script>alert(1)" in tab.run(DETAILS)
    ask(tab, "<script>alert")
    assert HOSTILE[:8] in tab.run(CHOSEN)


@pytest.mark.parametrize("width, dark", [(1280, True), (400, False)])
def test_nothing_is_wider_than_the_window(page, width, dark):
    long = "∀ " + "x" * 300 + ", " + "y + " * 200 + "z"
    moves = {"root": {f"have : {long} := by omega": ["next"]}, "next": {"b": ["root"]}}
    tab = page(searched(moves, {"next": Shown((Goal("", long),))}), width=width, dark=dark)
    assert tab.run("document.documentElement.scrollWidth") <= width
    background = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark


def test_without_a_search_there_is_no_graph(page):
    theorem = Theorem("t", "theorem t : x")
    tab = page(ProofResult(theorem, Outcome.BAD_INPUT, message="unknown identifier"))
    assert tab.run("document.getElementById('graph').hidden") is True
    assert "nothing was searched" in tab.run("document.body.innerText")
