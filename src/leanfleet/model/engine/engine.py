"""Continuous batching: requests join at the next step, rows leave when they end.

Weights are swapped between steps: running requests finish on the old weights, waiting and new ones
start on the new, and every answer names its version. It is driven by one thread and starts none:
`submit`, then `step` until nothing is left. Queues with limits, deadlines and sockets are a
server's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import torch

from leanfleet.model.engine.cohort import Cohort
from leanfleet.model.engine.limits import Limits, Metrics
from leanfleet.model.engine.request import Answer, Request
from leanfleet.model.network import Network

__all__ = ["Engine", "Limits", "Metrics"]


class Engine:
    """`end`: the token that ends a sample; `forbidden`: tokens never drawn.

    A network's weights are read when it comes, and copied in part: to change them, `swap`.
    """

    def __init__(
        self,
        network: Network,
        end: int,
        limits: Limits | None = None,
        version: int = 0,
        forbidden: Iterable[int] = (),
    ) -> None:
        self.limits = limits or Limits()
        self._end = end
        self._room = self.limits.room(network.config.context)
        self._allowed = torch.ones(network.config.vocabulary, dtype=torch.bool)
        self._allowed[list(forbidden)] = False
        self._allowed[end] = True
        self._waiting: deque[tuple[int, Request]] = deque()
        self._cohorts = [self._cohort(network, version)]
        self._names = self._steps = self._answers = 0
        self._past_tokens = self._past_hits = self._past_misses = 0

    @property
    def version(self) -> int:
        """Of the weights that the next request starts on."""
        return self._cohorts[-1].version

    @property
    def busy(self) -> bool:
        """Whether a step has something to do."""
        return bool(self._waiting) or any(cohort.running for cohort in self._cohorts)

    def submit(self, request: Request) -> int:
        """Queues a request; the name its answer will have. Raises as `Limits.check`."""
        self.limits.check(request, self._room, len(self._allowed))
        self._names += 1
        self._waiting.append((self._names, request))
        return self._names

    def swap(self, network: Network, version: int) -> None:
        """New weights from the next step on. Raises ValueError if their shape is another."""
        old, new = (_shape(each) for each in (self._cohorts[-1].network, network))
        other = [f"{key} {new[key]}, not {old[key]}" for key in old if new[key] != old[key]]
        if other:
            raise ValueError(f"weights of another shape: {'; '.join(other)}")
        self._cohorts.append(self._cohort(network, version))
        self._retire()

    def step(self) -> list[tuple[int, Answer]]:
        """Admits what fits, draws one token for every row; the answers that are complete."""
        done: list[tuple[int, Answer]] = []
        newest = self._cohorts[-1]
        if self._waiting:
            done += newest.admit(self._that_fit(newest))
        for cohort in self._cohorts:
            done += cohort.step()
        self._retire()
        self._steps += 1
        self._answers += len(done)
        return done

    def _that_fit(self, cohort: Cohort) -> list[tuple[int, Request]]:
        """Taken from those waiting, in order."""
        free = cohort.free
        taken = []
        while self._waiting and (lanes := cohort.lanes_for(self._waiting[0][1])) <= free:
            free -= lanes
            taken.append(self._waiting.popleft())
        return taken

    def run(self) -> dict[int, Answer]:
        """Steps until nothing is left."""
        done: dict[int, Answer] = {}
        while self.busy:
            done.update(self.step())
        return done

    @property
    def metrics(self) -> Metrics:
        """The counts so far."""
        cohorts = self._cohorts
        return Metrics(
            steps=self._steps,
            tokens=self._past_tokens + sum(cohort.tokens for cohort in cohorts),
            answers=self._answers,
            cache_hits=self._past_hits + sum(cohort.cache.hits for cohort in cohorts),
            cache_misses=self._past_misses + sum(cohort.cache.misses for cohort in cohorts),
            waiting=len(self._waiting),
            running=sum(cohort.running for cohort in cohorts),
        )

    def _cohort(self, network: Network, version: int) -> Cohort:
        limits = self.limits
        return Cohort(
            network.eval(),
            version,
            self._end,
            self._allowed,
            limits.lanes,
            limits.width,
            self._room,
            limits.longest,
            limits.cache_tokens,
        )

    def _retire(self) -> None:
        """Lets go of old weights on which nothing runs."""
        for cohort in self._cohorts[:-1]:
            if not cohort.running:
                self._past_tokens += cohort.tokens
                self._past_hits += cohort.cache.hits
                self._past_misses += cohort.cache.misses
                self._cohorts.remove(cohort)


def _shape(network: Network) -> dict[str, object]:
    """What two networks must share, whatever they are called and whatever was left to a default."""
    config = network.config
    given = {"kv_heads": config.kv_head_count, "head_width": config.head_dim}
    shape = config.model_dump(exclude={"name", "parameters", "flops_per_token"})
    return shape | given
