"""A proof state as token ids: `<|state|> text <|value|> <|tactic|>`, then the tactic and `<|end|>`.

The value is read at `<|value|>`, the first token of a tactic at `<|tactic|>`: one forward pass over
the prompt gives both.

A state that does not fit is never cut. A prompt and the longest tactic asked for must fit into the
context together; if not, `StateTooLong` says by how much, and the caller decides visibly (a search
falls back on the menu, training counts the row as skipped).
"""

from __future__ import annotations

from dataclasses import dataclass

from leanfleet.model.tokenizer import Tokenizer


class StateTooLong(ValueError):
    """A state that leaves no room in the context for a tactic.

    `tokens`: of the prompt, at least; `room`: what it may have.
    """

    def __init__(self, tokens: int, room: int) -> None:
        self.tokens, self.room = tokens, room
        super().__init__(
            f"the state has {tokens} tokens or more, and the context leaves room for {room}; "
            "states are never cut"
        )


@dataclass(frozen=True)
class Prompt:
    """`ids` of the prompt; `value_at`: the index among them where the value is read."""

    ids: tuple[int, ...]
    value_at: int


def state_prompt(tokenizer: Tokenizer, state: str, context: int, longest_tactic: int) -> Prompt:
    """The prompt for a state's printed goals. `longest_tactic`: tokens, the end included.

    Raises StateTooLong; ValueError for a tokenizer without our special tokens.
    """
    roles = tokenizer.roles
    if roles.state is None or roles.value is None or roles.tactic is None:
        raise ValueError(
            "this tokenizer has no <|state|>, <|value|> and <|tactic|>: it needs a prompt format"
        )
    room = context - longest_tactic
    if tokenizer.longest is not None:
        # A text of megabytes is refused before it is cut into tokens.
        fewest = 3 + -(-len(state) // tokenizer.longest)
        if fewest > room:
            raise StateTooLong(fewest, room)
    ids = (roles.state, *tokenizer.encode(state), roles.value, roles.tactic)
    if len(ids) > room:
        raise StateTooLong(len(ids), room)
    return Prompt(ids, value_at=len(ids) - 2)


def tactic_ids(tokenizer: Tokenizer, tactic: str) -> list[int]:
    """What follows a prompt: the tactic and the end token."""
    if tokenizer.roles.end is None:
        raise ValueError("this tokenizer has no end token")
    return [*tokenizer.encode(tactic), tokenizer.roles.end]
