"""Prompt formats as data: one YAML file a family, and a theorem or state as token ids by it.

A format is a list of pieces: text, a special token by its name, or a field. Neighbouring texts and
fields are one text to the tokenizer, as in the template that they stand for; special tokens only
come from `token`, never from text or fields. It knows no weights and judges no answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from leanfleet.config import Section, Tuple, load_section
from leanfleet.messages import Theorem
from leanfleet.model.prompt import Prompt, StateTooLong
from leanfleet.model.tokenizer import STATE, TACTIC, VALUE, Tokenizer

FILE = "prompt.yaml"
"""A folder of weights may carry the format that they want."""

FIELDS = {"tactic": {"state"}, "proof": {"header", "statement"}}
"""state: printed goals, a blank line between two. header: ends with a blank line, unless it is
empty. statement: `theorem NAME …`, ending before `:=`."""

_Token = Annotated[str, Field(min_length=1, max_length=200)]


class Piece(Section):
    """Exactly one of `text`, `token` and `field`. `value`: the value is read at this token."""

    text: str | None = Field(None, min_length=1, max_length=20_000)
    token: _Token | None = None
    field: Literal["state", "header", "statement"] | None = None
    value: bool = False

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum(each is not None for each in (self.text, self.token, self.field)) != 1:
            raise ValueError("a piece is one of text, token and field")
        if self.value and self.token is None:
            raise ValueError("the value is read at a token")
        return self


class PromptFormat(Section):
    """What is asked and how the answer is written.

    `writes`: a tactic for a state, or the proof of a theorem. `answer`, of a proof: `continues` the
    code in the prompt, or has it `fenced`, with its statement, among other text. `end`: the token
    that ends an answer, None for the tokenizer's own; `may_write`: special tokens that an answer may
    hold besides. `value`: from the network's `head`, or the `menu`'s where no head was trained.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    source: str = Field("", max_length=1000)  # where the template is published
    writes: Literal["tactic", "proof"]
    answer: Literal["tactic", "continues", "fenced"]
    prompt: Tuple[Piece] = Field(min_length=1, max_length=100)
    end: _Token | None = None
    may_write: Tuple[_Token] = ()
    value: Literal["head", "menu"] = "menu"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        fields = [piece.field for piece in self.prompt if piece.field]
        allowed = FIELDS[self.writes]
        problems = []
        if (self.writes == "tactic") != (self.answer == "tactic"):
            problems.append("answer is tactic where a tactic is written, and only there")
        if wrong := sorted(set(fields) - allowed):
            problems.append(f"a {self.writes} is not written from the field {wrong[0]}")
        if not set(fields) & {"state", "statement"}:
            problems.append("the prompt has neither state nor statement in it")
        if sum(piece.value for piece in self.prompt) > 1:
            problems.append("the value is read at one token")
        if problems:
            raise ValueError("; ".join(problems))
        return self


OURS = PromptFormat(
    name="leanfleet",
    writes="tactic",
    answer="tactic",
    prompt=(
        Piece(token=STATE),
        Piece(field="state"),
        Piece(token=VALUE, value=True),
        Piece(token=TACTIC),
    ),
    value="head",
)


def load_format(path: str | Path) -> PromptFormat:
    """The format in a YAML file. Raises ConfigError with every mistake."""
    return load_section(PromptFormat, path)


def format_of(folder: Path, tokenizer: Tokenizer, given: Path | None = None) -> PromptFormat:
    """The format that is given, or the folder's own, or ours where the tokenizer has its tokens.

    Raises ValueError where there is none, or where it needs tokens that the tokenizer lacks.
    """
    own = folder / FILE
    if given is not None:
        found, name = load_format(given), str(given)
    elif own.is_file():
        found, name = load_format(own), str(own)
    elif None not in (tokenizer.roles.state, tokenizer.roles.value, tokenizer.roles.tactic):
        found, name = OURS, "our own prompt format"
    else:
        raise ValueError(
            f"{folder}: its tokenizer is not one of ours, and there is no {FILE}: name a prompt "
            "format, such as configs/prompts/bfs-prover.yaml"
        )
    try:
        Prompter(found, tokenizer)
    except ValueError as error:
        raise ValueError(f"{name} with the tokenizer of {folder}: {error}") from None
    return found


class Prompter:
    """A format with a tokenizer. Raises ValueError for a token that the tokenizer has not."""

    def __init__(self, form: PromptFormat, tokenizer: Tokenizer) -> None:
        self.format, self.tokenizer = form, tokenizer
        self._ids = {
            piece.token: tokenizer.id_of(piece.token) for piece in form.prompt if piece.token
        }
        end = tokenizer.roles.end if form.end is None else tokenizer.id_of(form.end)
        if end is None:
            raise ValueError("the tokenizer names no end token: the format has to (end: …)")
        self.end: int = end
        written = {end, *(tokenizer.id_of(token) for token in form.may_write)}
        self.forbidden = tuple(sorted(set(tokenizer.specials.values()) - written))
        """Special tokens that an answer may not hold."""

    def state(self, text: str, room: int) -> Prompt:
        """For printed goals. `room`: tokens that a prompt may have.

        Raises StateTooLong: nothing is ever cut; ValueError for text that is no Unicode, or spells
        a special token of a tokenizer that can't tell them apart.
        """
        return self._prompt({"state": text}, room)

    def theorem(self, theorem: Theorem, room: int) -> Prompt:
        """For a statement, as `state`."""
        header = theorem.header.strip()
        fields = {
            "header": f"{header}\n\n" if header else "",
            "statement": theorem.statement.strip(),
        }
        return self._prompt(fields, room)

    def _prompt(self, fields: Mapping[str, str], room: int) -> Prompt:
        if self.tokenizer.longest is not None:
            # A text of megabytes is refused before it is cut into tokens.
            fewest = -(-sum(map(len, fields.values())) // self.tokenizer.longest)
            if fewest > room:
                raise StateTooLong(fewest, room)
        ids: list[int] = []
        pending = ""
        value_at: int | None = None
        for piece in self.format.prompt:
            if piece.token is None:
                pending += fields[piece.field] if piece.field else piece.text or ""
                continue
            ids += self.tokenizer.encode(pending) if pending else []
            pending = ""
            ids.append(self._ids[piece.token])
            value_at = len(ids) - 1 if piece.value else value_at
        ids += self.tokenizer.encode(pending) if pending else []
        if len(ids) > room:
            raise StateTooLong(len(ids), room)
        return Prompt(tuple(ids), len(ids) - 1 if value_at is None else value_at)
