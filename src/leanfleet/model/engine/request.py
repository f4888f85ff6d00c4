"""What an engine is asked and what it answers. Plain values: ids in, ids out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 takes the likeliest token.

    `top_p`: the fewest likeliest tokens whose probability reaches it; 1 keeps all.
    `distinct_first`: the first tokens of a request's samples differ (drawn without replacement);
    there are then at most as many samples as there are tokens to draw from.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    distinct_first: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")


@dataclass(frozen=True)
class Request:
    """`samples` sequences after one prompt. `longest`: tokens of each, the end included.

    `value_at`: the index in the prompt where the value is read. `scored`: sequences, end tokens
    included, whose probability is asked for besides.
    """

    prompt: tuple[int, ...]
    value_at: int
    samples: int
    longest: int
    seed: int
    sampling: Sampling = field(default_factory=Sampling)
    scored: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("an empty prompt")
        if not 0 <= self.value_at < len(self.prompt):
            raise ValueError(f"value_at {self.value_at} is outside the prompt")
        if self.samples < 1 or self.longest < 1:
            raise ValueError("a request needs at least one sample of at least one token")
        if not all(self.scored):
            raise ValueError("a sequence without tokens can't be scored")


@dataclass(frozen=True)
class Sample:
    """One finished sequence: `ids` without the end token.

    `log_probability`: the network's own, the end token included, before temperature and top-p.
    """

    ids: tuple[int, ...]
    log_probability: float


@dataclass(frozen=True)
class Answer:
    """`samples` in the order of their numbers; `cut`: those that reached the cap and are discarded.

    `value_logits`: of the distance to a proof. `version`: of the weights that all of it came from.
    `scores`: log-probabilities of the request's `scored`.
    """

    samples: tuple[Sample, ...]
    cut: int
    value_logits: tuple[float, ...]
    version: int
    scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Merged:
    """What several samples say alike: `probability` of the different sequences, `count` of all."""

    key: str | tuple[int, ...]
    probability: float
    count: int


def merge(samples: tuple[Sample, ...], decode=None) -> list[Merged]:
    """Samples with one text as one, in the order of their first appearance.

    Different sequences that spell the same text add their probabilities; the same sequence drawn
    twice is the same event and counts once. `decode` gives a sequence's text, or None for one that
    has none (it is left out); without it sequences are compared.
    """
    found: dict[str | tuple[int, ...], dict[tuple[int, ...], float]] = {}
    counts: dict[str | tuple[int, ...], int] = {}
    for sample in samples:
        key = sample.ids if decode is None else decode(sample.ids)
        if key is None:
            continue
        found.setdefault(key, {})[sample.ids] = math.exp(sample.log_probability)
        counts[key] = counts.get(key, 0) + 1
    return [Merged(key, sum(each.values()), counts[key]) for key, each in found.items()]
