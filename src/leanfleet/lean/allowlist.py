"""The allow-list of syntax kinds: what tactic text may contain, judged before it is executed.

`allowlist.json` is the one table. The registry driver's JavaScript applies it inside Lean's
process; the native driver asks Lean for the kinds of a text and applies it here. Neither looks
for words: Lean's own parser says what a text is. docs/verdict.md tells how to extend the list.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
import re
from collections.abc import Iterable, Sequence

import msgspec


class Rules(msgspec.Struct, frozen=True):
    """The table. An entry of `options` may be `name=value` (settable to that value only) or
    `name<=number`. `trustedIdents`: words that headers and statements may not hold, since what they
    name is run as tactics that nobody judged. `configKinds`: what a tactic's configuration may
    consist of; `configCalls`: constructors that may be applied there, as in `(occs := .pos [1])`."""

    about: str
    version: int
    tactics: tuple[str, ...]
    terms: tuple[str, ...]
    commands: tuple[str, ...]
    options: tuple[str, ...]
    headerOptions: tuple[str, ...]
    attributes: tuple[str, ...]
    trustedIdents: tuple[str, ...]
    configIdents: tuple[str, ...]
    configKinds: tuple[str, ...]
    configCalls: tuple[str, ...]

    def extended(self, kinds: Sequence[str]) -> Rules:
        """With further tactic kinds allowed (`lean.allow` in the configuration)."""
        return msgspec.structs.replace(self, tactics=(*self.tactics, *kinds)) if kinds else self

    @property
    def digest(self) -> str:
        """8 hex digits: rules that judge differently have different ones. Part of verdict keys."""
        text = json.dumps(msgspec.structs.asdict(self), sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


_NEUTRAL = frozenset({"null", "group", "hygieneInfo", "choice", "ident", "str", "num"})


@functools.cache
def load_rules() -> Rules:
    """The shipped table."""
    data = importlib.resources.files(__package__).joinpath("allowlist.json").read_bytes()
    return msgspec.json.decode(data, type=Rules)


def check_kinds(
    kinds: Iterable[tuple[str, str]], rules: Rules | None = None, also: Iterable[str] = ()
) -> str | None:
    """Why a text with these (kind, its source text) may not run, or None when it may.

    For drivers that get a flat list from Lean, in the order of the source. `also`: further kinds.
    """
    rules = rules or load_rules()
    allowed = frozenset(rules.tactics) | frozenset(rules.terms) | _NEUTRAL | frozenset(also)
    for kind, text in kinds:
        if kind not in allowed:
            return f"syntax `{kind}` is not on the allow-list"
        if kind.endswith(".set_option") and (reason := _check_option(text, rules)):
            return reason
        if kind in _CONFIGURATION and (reason := _check_config(text, rules)):
            return reason
    return None


_CONFIGURATION = ("Lean.Parser.Tactic.optConfig", "Lean.Parser.Tactic.config")
_TOKEN = re.compile(r"""\s*([\w.'«»]+|"(?:[^"\\]|\\.)*"|:=|[][(){},+-])""")
_OPENING, _CLOSING = "({[", ")}]"


def _check_config(text: str, rules: Rules) -> str | None:
    """Lean compiles and runs the value of a configuration: only plain values may stand there.

    Without Lean's tree (syntax.js has it) this goes by tokens: items `+word`, `-word`, `(…)`, and
    inside brackets no operator and no two values side by side, which would be an application.
    """
    depth, before, position = 0, "", 0
    while match := _TOKEN.match(text, position):
        token, position = match.group(1), match.end()
        if set(token.split(".")) & set(rules.configIdents):
            return f"the option `{token}` of a tactic is not allowed"
        is_value = token not in ("with", ":=", ",", "+", "-") and token not in _CLOSING
        after_value = before not in ("", "with", ":=", ",", "+", "-") and before not in _OPENING
        if depth == 0:
            plain = token in "+-(" or before in ("+", "-")
        else:
            called = before.startswith(".") and before[1:] in rules.configCalls
            plain = token not in "+-" and (called or not (is_value and after_value))
        if not plain:
            return "a tactic's configuration takes plain values"
        depth += (token in _OPENING) - (token in _CLOSING)
        before = token
    if text[position:].strip() or depth:
        return "a tactic's configuration takes plain values"
    return None


def _check_option(text: str, rules: Rules) -> str | None:
    words = text.split()
    name, value = (words + ["?", "?", "?"])[1:3]
    if any(_may_set(entry, name, value) for entry in rules.options):
        return None
    return f"set_option {name} {value} is not allowed"


def _may_set(entry: str, name: str, value: str) -> bool:
    option, bounded, bound = entry.partition("<=")
    if bounded:
        return name == option and value.isdecimal() and value.isascii() and int(value) <= int(bound)
    option, fixed, wanted = entry.partition("=")
    return name == option and (not fixed or value == wanted)
