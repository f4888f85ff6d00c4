"""Rows and facts filled into the template: the text of one self-contained page.

The page loads nothing, and its Content-Security-Policy forbids it to: only the one style and the
one script that are inside it, by their hashes, may work. All texts are hostile: those outside the
script's data are escaped for HTML, the data is JSON in which no `<`, `>` or `&` is left. Pure; it
refuses to know searches and files.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import dataclass
from importlib.resources import files
from string import Template

import msgspec

from leanfleet.treepage.rows import GraphRows

SCRIPTS = ("graph.js", "rows.js", "ways.js", "details.js", "find.js", "page.js")  # in this order
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")  # all but tab and line feed


@dataclass(frozen=True)
class Facts:
    """One column of label and value under a title."""

    title: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Page:
    """What a page says. `badge`: proved, disproved, bad or "", the colour of the outcome.

    blocks: (title, text of Lean) for the top. folded: the same, opened by the reader.
    figures: the most telling ones in one line. graph: None where nothing was searched.
    """

    name: str
    outcome: str
    badge: str
    blocks: tuple[tuple[str, str], ...]
    folded: tuple[tuple[str, str], ...]
    message: str
    figures: str
    facts: tuple[Facts, ...]
    graph: GraphRows | None
    graph_title: str = "Search graph"


def render(page: Page) -> str:
    """The page as HTML."""
    style = _template("page.css")
    parts = "\n".join(map(_template, SCRIPTS))
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(script)}"
    )
    summary = [f'<p class="note">{escape(page.message)}</p>'] if page.message else []
    for title, text in page.blocks:
        summary.append(f"<h3>{escape(title)}</h3>\n{_block(text)}")
    for title, text in page.folded:
        summary.append(f"<details><summary>{escape(title)}</summary>{_block(text)}</details>")
    empty = '<p class="note">There is no search graph: nothing was searched.</p>'
    return Template(_template("page.html")).substitute(
        policy=policy,
        title=escape(f"{page.name}: {page.outcome}"),
        style=style,
        script=script,
        outcome=escape(page.outcome),
        outcome_class=page.badge,
        name=escape(page.name),
        figures=escape(page.figures),
        summary="\n".join(summary),
        graph_title=escape(page.graph_title),
        no_graph=empty if page.graph is None else "",
        facts="\n".join(map(_facts, page.facts)),
        data=embedded(page.graph),
    )


def escape(text: str) -> str:
    """A text for HTML, in an element or a quoted attribute; control characters become visible."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair has no bytes
    return html.escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


def embedded(graph: GraphRows | None) -> str:
    """JSON that can't end the script element it stands in, nor begin a comment or an entity."""
    text = msgspec.json.encode(graph).decode()
    for character in "<>&\u2028\u2029":  # in JSON they stand in strings only
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _block(text: str) -> str:
    return f"<pre><bdi>{escape(text)}</bdi></pre>"


def _facts(facts: Facts) -> str:
    pairs = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.pairs
    )
    return f'<div><h3>{escape(facts.title)}</h3><dl class="pairs">{pairs}</dl></div>'


def _template(name: str) -> str:
    return files("leanfleet.treepage").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
