"""An ONNX folder as an engine: it takes and answers what `engine.engine.Engine` does.

The exported graph knows no padding, so the rows of a call have one length: a step answers one
request, its samples together, after one call for its prompt. Requests wait for each other. Weights
are those of the folder; other ones are another engine's. Samples have the same random streams as
in the engine, so the same request gives the same text but where two probabilities are as good as
equal.

Shapes: K running samples, V vocabulary; of a cache see `onnx_network`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np
import torch

from leanfleet.model.engine.limits import Limits, Metrics
from leanfleet.model.engine.prefill import Prefix, PrefixCache
from leanfleet.model.engine.request import Answer, Request, Sample
from leanfleet.model.engine.sampling import draw, first_tokens, streams
from leanfleet.model.onnx_network import OnnxNetwork
from leanfleet.model.prompt import Prompt


class OnnxEngine:
    """`end`: the token that ends a sample; `forbidden`: tokens never drawn."""

    def __init__(
        self,
        network: OnnxNetwork,
        end: int,
        limits: Limits | None = None,
        version: int = 0,
        forbidden: Iterable[int] = (),
    ) -> None:
        self.limits, self.version = limits or Limits(), version
        self._network, self._end = network, end
        self._room = self.limits.room(network.config.context)
        self._forbidden = torch.zeros(network.config.vocabulary, dtype=torch.bool)
        self._forbidden[list(forbidden)] = True
        self._forbidden[end] = False
        self._waiting: deque[tuple[int, Request]] = deque()
        self._cache = PrefixCache(self._prefill, self.limits.cache_tokens)
        self._names = self._steps = self._tokens = self._answers = 0

    @property
    def busy(self) -> bool:
        """Whether a step has something to do."""
        return bool(self._waiting)

    @property
    def metrics(self) -> Metrics:
        """The counts so far; `steps` are calls of the graph after the prompts'."""
        return Metrics(
            steps=self._steps,
            tokens=self._tokens,
            answers=self._answers,
            cache_hits=self._cache.hits,
            cache_misses=self._cache.misses,
            waiting=len(self._waiting),
            running=0,
        )

    def submit(self, request: Request) -> int:
        """Queues a request; the name its answer will have. Raises as `Limits.check`."""
        self.limits.check(request, self._room, self._network.config.vocabulary)
        self._names += 1
        self._waiting.append((self._names, request))
        return self._names

    def swap(self, network: Any, version: int) -> NoReturn:
        """Raises ValueError: an exported graph holds its weights."""
        raise ValueError(
            f"version {version} can't be put into an ONNX folder: its weights are fixed"
        )

    def step(self) -> list[tuple[int, Answer]]:
        """Answers the request that has waited longest."""
        if not self._waiting:
            return []
        name, request = self._waiting.popleft()
        answer = self._answer(request)
        self._answers += 1
        return [(name, answer)]

    def run(self) -> dict[int, Answer]:
        """Steps until nothing is left."""
        done: dict[int, Answer] = {}
        while self.busy:
            done.update(self.step())
        return done

    def _prefill(self, prompts: Sequence[Prompt]) -> list[Prefix]:
        return [self._prefix(prompt) for prompt in prompts]

    def _prefix(self, prompt: Prompt) -> Prefix:
        output = self._network(np.array([prompt.ids], np.int64), self._network.empty(1))
        keys, values = (
            torch.from_numpy(np.concatenate(output.cache[kind::2])) for kind in range(2)
        )
        logits = torch.from_numpy(output.logits[0, -1].copy())
        return Prefix(keys, values, logits, tuple(output.value_logits[0, prompt.value_at].tolist()))

    @torch.inference_mode()
    def _answer(self, request: Request) -> Answer:
        (prefix,) = self._cache.get([Prompt(request.prompt, request.value_at)])
        sources = streams(request)
        firsts = first_tokens(self._only_allowed(prefix.logits), request, sources)
        logs = prefix.logits.log_softmax(-1)
        texts = [[token] for token in firsts]
        totals = [float(logs[token]) for token in firsts]
        rows = [row for row in range(len(texts)) if self._runs(texts[row], request)]
        cache = [
            np.repeat(part.numpy()[None], len(rows), 0)
            for layer in zip(prefix.keys, prefix.values, strict=True)
            for part in layer
        ]
        while rows:
            output = self._network(np.array([[texts[row][-1]] for row in rows], np.int64), cache)
            self._steps += 1
            self._tokens += len(rows)
            logits = torch.from_numpy(output.logits[:, -1])
            uniform = torch.tensor([sources[row].random() for row in rows], dtype=torch.float64)
            drawn = draw(self._only_allowed(logits), [request.sampling] * len(rows), uniform)
            chosen = logits.log_softmax(-1).gather(-1, drawn[:, None])[:, 0].tolist()
            for row, token, log_probability in zip(rows, drawn.tolist(), chosen, strict=True):
                texts[row].append(token)
                totals[row] += log_probability
            kept = [place for place, row in enumerate(rows) if self._runs(texts[row], request)]
            cache = output.cache
            if len(kept) < len(rows):
                cache = [part[kept] for part in cache]
                rows = [rows[place] for place in kept]
        samples = tuple(
            Sample(tuple(text[:-1]), total)
            for text, total in zip(texts, totals, strict=True)
            if text[-1] == self._end
        )
        return Answer(samples, len(texts) - len(samples), prefix.value_logits, self.version)

    def _runs(self, text: list[int], request: Request) -> bool:
        return text[-1] != self._end and len(text) < request.longest

    def _only_allowed(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.masked_fill(self._forbidden, float("-inf"))
