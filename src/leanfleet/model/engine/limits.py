"""What an engine may use and what it has counted, and which requests it takes. Plain values."""

from __future__ import annotations

from dataclasses import dataclass

from leanfleet.model.engine.request import Request
from leanfleet.model.prompt import StateTooLong


@dataclass(frozen=True)
class Limits:
    """Memory of an engine. `lanes` × `width` rows run at once (and have memory for the next multiple
    of 8); a request of more samples than `width` takes several lanes. `longest`: tokens of a sample,
    the end included. `scored`: sequences of a request."""

    lanes: int = 64
    width: int = 8
    longest: int = 64
    prompt: int | None = None  # tokens of a prompt; None: what the context leaves
    cache_tokens: int = 65_536  # of prompts kept
    scored: int = 256

    def __post_init__(self) -> None:
        if min(self.lanes, self.width, self.longest) < 1 or self.cache_tokens < 0:
            raise ValueError(f"limits must be positive: {self}")

    def room(self, context: int) -> int:
        """Tokens that a prompt may have. Raises ValueError if there is no room at all."""
        room = context - self.longest
        if self.prompt is not None:
            room = min(room, self.prompt)
        if room < 1:
            raise ValueError(
                f"samples of {self.longest} tokens leave no room for a prompt in a context "
                f"of {context}"
            )
        return room

    def check(self, request: Request, room: int, vocabulary: int) -> None:
        """Raises StateTooLong for a prompt that does not fit (nothing is ever cut), ValueError for
        a request beyond the limits or with unknown tokens."""
        if len(request.prompt) > room:
            raise StateTooLong(len(request.prompt), room)
        if request.longest > self.longest:
            raise ValueError(f"samples of {request.longest} tokens; at most {self.longest}")
        if request.samples > self.lanes * self.width:
            raise ValueError(
                f"{request.samples} samples; at most {self.lanes * self.width} at once"
            )
        if len(request.scored) > self.scored or any(len(x) > self.longest for x in request.scored):
            raise ValueError(
                f"at most {self.scored} sequences of {self.longest} tokens are scored at once"
            )
        if not all(
            0 <= token < vocabulary for x in (request.prompt, *request.scored) for token in x
        ):
            raise ValueError(f"a token is not among the {vocabulary} of the network")


@dataclass(frozen=True)
class Metrics:
    """Counted since the engine was made. `tokens`: drawn by steps, first tokens aside."""

    steps: int
    tokens: int
    answers: int
    cache_hits: int
    cache_misses: int
    waiting: int
    running: int
