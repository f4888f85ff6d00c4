"""YAML without its traps, and with the line of every value.

Reads one document of YAML 1.2 from its parser's events, since a finished loader has forgotten the
lines and hidden the duplicates. Scalars mean what they look like:

- `1e-4` is a number (YAML 1.1 calls it text), `0x1F` too;
- `no`, `yes`, `on`, `off` are text (YAML 1.1 calls them booleans): only `true` and `false` are not;
- `010`, `1_000` and `1:30` are text, since readers of YAML disagree about their value.

Anchors, aliases and merge keys (`<<`) work. Tags, duplicate keys, keys that are no text, more than
one document, and documents that grow without bounds are mistakes. It knows no meaning of any key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml import events as ev
from ruamel.yaml.error import MarkedYAMLError, YAMLError

MAX_BYTES = 512 * 1024
MAX_DEPTH = 40
MAX_NODES = 100_000
"""After aliases are followed: a few lines of nested aliases would otherwise fill the memory."""

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": -float("inf")}

# Plain text that no reader of YAML 1.1 or 1.2 takes for anything else.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*([./-][A-Za-z0-9_]+)*")
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}


@dataclass(frozen=True)
class Mistake:
    """One thing wrong: `where` is `file:line` or the command-line option, `path` is dotted."""

    where: str
    path: str
    text: str

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.where}: {path}{self.text}"


@dataclass(frozen=True)
class Node:
    """A value with its place. `value` is a scalar, a list of Nodes or a dict of text to Nodes."""

    value: Any
    where: str
    size: int = 1

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Node:
        """The node at a path, or the last one that exists on the way."""
        node = self
        for part in path:
            try:
                node = node.value[part]
            except (KeyError, IndexError, TypeError):
                break
        return node


@dataclass
class Document:
    """What was read: the root (None when nothing could be read) and the mistakes on the way."""

    root: Node | None
    mistakes: list[Mistake] = field(default_factory=list)


def read(text: str, name: str) -> Document:
    """Reads one document; `name` stands for the file in places. Never raises on bad text."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return Document(None, [Mistake(name, "", f"larger than {MAX_BYTES // 1024} KiB")])
    builder = _Builder(name)
    try:
        root = builder.document(YAML(typ="safe", pure=True).parse(StringIO(text)))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        what = " ".join(part for part in (error.context, error.problem) if part)
        return Document(None, [*builder.mistakes, Mistake(where, "", f"not YAML: {what}")])
    except YAMLError as error:
        said = str(error).splitlines()[0]
        return Document(None, [*builder.mistakes, Mistake(name, "", f"not YAML: {said}")])
    except _Refused as refused:
        return Document(None, [*builder.mistakes, refused.mistake])
    return Document(root, builder.mistakes)


def scalar(text: str) -> Any:
    """What unquoted text means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        # Past this many digits Python refuses to convert; no setting has them.
        return int(text) if len(text) < 100 else text
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text.lower() in _SPECIAL:
        return _SPECIAL[text.lower()]
    return float("nan") if text.lower() == ".nan" else text


def write(value: Any) -> str:
    """YAML of plain data, which `read` gives back unchanged and other readers agree about."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.allow_unicode = True
    yaml.width = 1 << 20
    yaml.representer.add_representer(str, _represent_text)
    yaml.representer.ignore_aliases = lambda data: True
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def _represent_text(representer, text: str):
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        style = None
    elif "\n" in text and text.isprintable() is False and _is_block(text):
        style = "|"
    else:
        style = '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_block(text: str) -> bool:
    """Whether text of several lines survives as a block without escapes."""
    lines = text.split("\n")
    return all(line.isprintable() and line == line.strip() and line for line in lines[:-1]) and (
        lines[-1] == "" or lines[-1].isprintable() and lines[-1] == lines[-1].strip()
    )


class _Refused(Exception):
    """Reading can't go on."""

    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake


class _Builder:
    """Events to Nodes. Collects mistakes that reading can go on after."""

    def __init__(self, name: str) -> None:
        self.mistakes: list[Mistake] = []
        self._name = name
        self._anchors: dict[str, Node] = {}

    def document(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, ev.StreamStartEvent | ev.DocumentStartEvent):
                continue
            if isinstance(event, ev.DocumentEndEvent | ev.StreamEndEvent):
                continue
            if root is not None:
                raise _Refused(Mistake(self._where(event), "", "a second document"))
            root = self._node(event, events, ())
        return root if root is not None else Node(None, f"{self._name}:1")

    def _node(self, event: Any, events: Iterator[Any], path: tuple[str, ...]) -> Node:
        where = self._where(event)
        if len(path) > MAX_DEPTH:
            raise _Refused(Mistake(where, "", f"nested deeper than {MAX_DEPTH} levels"))
        if isinstance(event, ev.AliasEvent):
            if event.anchor not in self._anchors:
                raise _Refused(Mistake(where, _dotted(path), f"unknown alias *{event.anchor}"))
            return replace(self._anchors[event.anchor], where=where)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._mistake(where, path, f"tags such as {tag} are refused: write the plain value")
        if isinstance(event, ev.ScalarEvent):
            plain = event.style in (None, "")
            if any("\ud800" <= letter <= "\udfff" for letter in event.value):
                raise _Refused(Mistake(where, _dotted(path), "half a surrogate pair is no text"))
            node = Node(scalar(event.value) if plain else event.value, where)
        elif isinstance(event, ev.SequenceStartEvent):
            node = self._sequence(events, where, path)
        else:
            node = self._mapping(events, where, path)
        if node.size > MAX_NODES:
            raise _Refused(Mistake(where, _dotted(path), f"more than {MAX_NODES:,} values"))
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _sequence(self, events: Iterator[Any], where: str, path: tuple[str, ...]) -> Node:
        items: list[Node] = []
        for event in events:
            if isinstance(event, ev.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, str(len(items)))))
        return Node(items, where, 1 + sum(item.size for item in items))

    def _mapping(self, events: Iterator[Any], where: str, path: tuple[str, ...]) -> Node:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for event in events:
            if isinstance(event, ev.MappingEndEvent):
                break
            key_where = self._where(event)
            key = self._node(event, events, path)
            name = key.value if isinstance(key.value, str) else str(key.plain())
            value = self._node(next(events), events, (*path, name))
            if not isinstance(key.value, str):
                self._mistake(key_where, path, f"the key {name} is no text: quote it")
            elif name == "<<" and event.style in (None, ""):
                self._merge(value, merged, path)
            elif name in own:
                self._mistake(
                    key_where, (*path, name), f"given twice (first on {_line(own[name].where)})"
                )
            else:
                # A value's place is its key's line: an alias or a block may stand elsewhere.
                own[name] = replace(value, where=key_where)
        entries = merged | own
        return Node(entries, where, 1 + sum(node.size for node in entries.values()))

    def _merge(self, value: Node, into: dict[str, Node], path: tuple[str, ...]) -> None:
        sources = value.value if isinstance(value.value, list) else [value]
        for source in reversed(sources):
            if not isinstance(source.value, dict):
                self._mistake(value.where, path, "<< wants a mapping or a list of mappings")
                return
            into.update(source.value)

    def _mistake(self, where: str, path: tuple[str, ...], text: str) -> None:
        self.mistakes.append(Mistake(where, _dotted(path), text))

    def _where(self, event: Any) -> str:
        return f"{self._name}:{event.start_mark.line + 1}"


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path)


def _line(where: str) -> str:
    return f"line {where.rsplit(':', 1)[-1]}"
