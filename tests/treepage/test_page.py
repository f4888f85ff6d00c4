"""The page's text: nothing in it but what was meant, whatever the names are; and where it is put."""

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser

import pytest
from searches import HOSTILE, hostile_result, searched, shown

from leanfleet.messages import Theorem, Verdict, VerdictReason
from leanfleet.prover import Outcome, ProofResult
from leanfleet.treepage import files
from leanfleet.treepage.page import embedded, escape, render
from leanfleet.treepage.summary import page_of


class Reader(HTMLParser):
    """Tags, and the text inside each script and style."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.texts = [], None, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag if tag in ("script", "style") else None
        if self.inside:
            self.texts.append((tag, dict(attributes), ""))

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            tag, attributes, text = self.texts[-1]
            self.texts[-1] = (tag, attributes, text + data)


def test_hostile_texts_stay_texts():
    benign = ProofResult(Theorem("t", "theorem t"), Outcome.NOT_PROVED, message="m",
                         verdict=Verdict(False, VerdictReason.ERROR),
                         search=searched({"root": {"a": ["a"]}, "a": {"b": []}}))  # fmt: skip
    page = render(page_of(hostile_result(), [(HOSTILE, HOSTILE)]))
    hostile, plain = Reader(page), Reader(render(page_of(benign)))
    scripts = [(tag, attributes) for tag, attributes, _ in hostile.texts]
    assert scripts == [
        ("style", {}), ("script", {"type": "application/json", "id": "data"}), ("script", {}),
    ]  # fmt: skip
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in plain.tags} | {"bdi"}
    assert not any(name.startswith("on") for _, attributes in hostile.tags for name in attributes)
    data = json.loads(hostile.texts[1][2])
    assert data["states"][0]["goals"][0]["target"] == HOSTILE
    assert data["states"][0]["edges"][0]["tactic"] == HOSTILE
    assert "\x00" not in page and "\x1b" not in page


def test_embedded_json_has_no_markup_and_reads_back():
    from leanfleet.treepage.rows import graph_rows

    text = embedded(graph_rows(hostile_result().search))
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text)["states"][0]["goals"][0]["case"] == HOSTILE
    assert embedded(None) == "null"


def test_escape():
    assert (
        escape("<a href='x'>&\x00") == "&lt;a href=&#x27;x&#x27;&gt;&amp;\N{REPLACEMENT CHARACTER}"
    )
    assert escape("a\n\tb") == "a\n\tb" and escape("\ud800") == "?"


def test_the_policy_allows_exactly_the_style_and_the_script_inside():
    reader = Reader(render(page_of(hostile_result())))
    (policy,) = [
        attributes["content"]
        for tag, attributes in reader.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for number, rule in ((0, "style-src"), (2, "script-src")):
        digest = hashlib.sha256(reader.texts[number][2].encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert len(rules) == 5


def test_the_page_names_no_address():
    page = render(page_of(hostile_result()))
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bfetch\(|\bsrc=|\bhref=", page)


def test_a_result_without_a_search_says_so():
    theorem = Theorem("t", "theorem t : x")
    page = render(page_of(ProofResult(theorem, Outcome.BAD_INPUT, message="unknown identifier x")))
    assert "nothing was searched" in page and "unknown identifier x" in page
    assert 'id="data">null<' in page


def test_a_disproof_shows_the_proof_of_the_negation():
    result = ProofResult(
        Theorem("t", "theorem t (n : Nat) : n = 1"),
        Outcome.DISPROVED,
        proof="exact fun h => nomatch h 0",
        negation=Theorem("t_false", "theorem t_false : ¬ (∀ (n : Nat), n = 1)"),
        search=searched({"root": {"exact fun h => nomatch h 0": []}}, {"root": shown("¬ False")}),
    )
    page = render(page_of(result))
    assert "theorem t_false : ¬ (∀ (n : Nat), n = 1) := by\n  exact fun h =&gt; nomatch h 0" in page
    assert "theorem t (n : Nat) : n = 1" in page and "Search graph of the negation" in page


# --- where it is put ------------------------------------------------------------------------------


def test_a_page_is_written_whole_and_through_links(tmp_path):
    target, link = tmp_path / "a.html", tmp_path / "link.html"
    target.write_text("old")
    link.symlink_to(target)
    files.write(files.single(link), "new ⊢")
    assert target.read_text("utf-8") == "new ⊢" and link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "link.html"]


def test_a_write_that_fails_leaves_the_old_page(tmp_path, monkeypatch):
    target = tmp_path / "a.html"
    target.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="No space left"):
        files.write(target, "new")
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_unfit_paths_are_refused_with_a_reason(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for path, words in [
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "a.html", "no folder"),
        (tmp_path / "file" / "a.html", "no folder"),
        (tmp_path / "pipe", "no regular file"),
    ]:
        with pytest.raises(ValueError, match=words):
            files.single(path)
    with pytest.raises(ValueError, match="is a file"):
        files.folder(tmp_path / "file", ["t"])
    with pytest.raises(ValueError, match="Not a directory|exists"):
        files.folder(tmp_path / "file" / "below", ["t"])


def test_names_of_theorems_become_different_files(tmp_path):
    names = ["t", "T", "a/b", "a_b", "../x", ".hidden", "", "é" * 300, "-rf"]
    paths = files.folder(tmp_path / "new" / "pages", names)
    assert all(path.parent == tmp_path / "new" / "pages" for path in paths)
    assert len({path.name.casefold() for path in paths}) == len(names)
    for path in paths:
        assert not path.name.startswith((".", "-")) and len(path.name.encode()) <= 255
        files.write(path, "x")
