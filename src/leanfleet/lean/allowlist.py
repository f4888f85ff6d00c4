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
from collections.abc import Iterable, Sequence

import msgspec


class Rules(msgspec.Struct, frozen=True):
    """The table. Entries of `options` may be `name=value`: settable to that value only."""

    about: str
    version: int
    tactics: tuple[str, ...]
    terms: tuple[str, ...]
    commands: tuple[str, ...]
    options: tuple[str, ...]
    headerOptions: tuple[str, ...]
    attributes: tuple[str, ...]
    configIdents: tuple[str, ...]

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


def check_kinds(kinds: Iterable[tuple[str, str]], rules: Rules | None = None) -> str | None:
    """Why a text with these (kind, its source text) may not run, or None when it may.

    For drivers that get a flat list from Lean, in the order of the source.
    """
    rules = rules or load_rules()
    allowed = frozenset(rules.tactics) | frozenset(rules.terms) | _NEUTRAL
    for kind, text in kinds:
        if kind not in allowed:
            return f"syntax `{kind}` is not on the allow-list"
        if kind.endswith(".set_option") and (reason := _check_option(text, rules)):
            return reason
        if kind in ("Lean.Parser.Tactic.optConfig", "Lean.Parser.Tactic.config"):
            words = text.replace(".", " ").replace("+", " ").replace("(", " ").replace("{", " ")
            for word in rules.configIdents:
                if word in words.split():
                    return f"the option `{word}` of a tactic is not allowed"
            if "⟨" in text:
                return "a tactic's configuration names its fields"
    return None


def _check_option(text: str, rules: Rules) -> str | None:
    words = text.split()
    name, value = (words + ["?", "?", "?"])[1:3]
    table = dict(entry.partition("=")[::2] for entry in rules.options)
    if name in table and table[name] in ("", value):
        return None
    return f"set_option {name} {value} is not allowed"
