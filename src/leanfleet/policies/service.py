"""Requests of `messages/` answered by one engine: prompt, samples, texts, merged.

The same object stands behind a socket (`server.py`) and inside a prover's own process. It gives each
answer the version of the weights that it came from. What can't be asked of the network is answered
with NoPrompt and counted; nothing is ever cut.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from leanfleet.lean.transport import BadRequest
from leanfleet.messages import (
    Drawing,
    GetPolicyStatus,
    NoPrompt,
    NoPromptKind,
    PolicyReply,
    PolicyRequest,
    PolicyStatus,
    Proposed,
    ProposeTactics,
    Sampled,
    Tactic,
    WriteProofs,
    Written,
)
from leanfleet.model.engine.request import Answer, Request, Sampling, merge
from leanfleet.model.prompt import Prompt, StateTooLong
from leanfleet.policies.thread import EngineThread

if TYPE_CHECKING:
    from leanfleet.policies.weights import Opened


class PolicyService:
    """`await service(message)` is the reply. Start and close it around its use."""

    def __init__(
        self, opened: Opened, *, company_seconds: float = 0.002, queue_limit: int = 256
    ) -> None:
        self.opened = opened
        self.thread = EngineThread(
            opened.engine, company_seconds=company_seconds, queue_limit=queue_limit
        )
        self.no_prompt = 0
        self.refused_weights = 0
        self.trouble = ""
        self._started = time.monotonic()

    async def __aenter__(self) -> PolicyService:
        self.thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.thread.close()

    async def __call__(self, message: PolicyRequest) -> PolicyReply:
        """Raises ServerBusy, Unreachable; BadRequest for what this engine never can do."""
        if isinstance(message, GetPolicyStatus):
            return self.status()
        prompter = self.opened.prompter
        wanted = "tactic" if isinstance(message, ProposeTactics) else "proof"
        if prompter.format.writes != wanted:
            raise BadRequest(
                "other_kind", f"{self.opened.name} writes a {prompter.format.writes} at a time"
            )
        try:
            if isinstance(message, ProposeTactics):
                prompt = prompter.state(message.state, self.opened.room)
            else:
                prompt = prompter.theorem(message.theorem, self.opened.room)
        except StateTooLong as error:
            return self._no_prompt(NoPromptKind.TOO_LONG, error, error.tokens, error.room)
        except ValueError as error:
            return self._no_prompt(NoPromptKind.SPECIAL, error)
        longest = message.longest or self.opened.engine.limits.longest
        try:
            scored = self._candidates(message, longest)
            answer = await self.thread.ask(_request(message, prompt, longest, scored))
        except StateTooLong as error:
            return self._no_prompt(NoPromptKind.TOO_LONG, error, error.tokens, error.room)
        except ValueError as error:
            raise BadRequest("impossible", str(error)) from None
        if isinstance(message, WriteProofs):
            return self._written(answer, longest)
        return self._proposed(answer, longest, scored)

    def status(self) -> PolicyStatus:
        counts, metrics = self.thread.counts(), self.opened.engine.metrics
        return PolicyStatus(
            policy=self.opened.name,
            prompt=self.opened.prompter.format.name,
            writes=self.opened.prompter.format.writes,
            longest=self.opened.engine.limits.longest,
            tokenizer=self.opened.prompter.tokenizer.hash,
            version=self.opened.engine.version,
            requests=counts.requests + self.no_prompt,
            answers=metrics.answers,
            no_prompt=self.no_prompt,
            busy=counts.busy,
            queued=counts.queued,
            queue_limit=self.thread.queue_limit,
            running=metrics.running,
            steps=metrics.steps,
            tokens=metrics.tokens,
            batch=metrics.tokens / max(1, metrics.steps),
            tokens_per_second=metrics.tokens / max(1e-9, counts.seconds),
            cache_hits=metrics.cache_hits,
            cache_misses=metrics.cache_misses,
            swaps=counts.swaps,
            refused_weights=self.refused_weights,
            trouble=self.trouble,
            uptime_seconds=time.monotonic() - self._started,
            busy_seconds=counts.seconds,
        )

    # --- answers ----------------------------------------------------------------------------------

    def _no_prompt(
        self, kind: NoPromptKind, error: ValueError, tokens: int = 0, room: int = 0
    ) -> NoPrompt:
        self.no_prompt += 1
        return NoPrompt(kind, str(error)[:500], self.opened.engine.version, tokens, room)

    def _candidates(
        self, message: ProposeTactics | WriteProofs, longest: int
    ) -> tuple[tuple[int, ...] | None, ...]:
        """The candidates' tokens, the end included; None for one that the network can't write."""
        prompter = self.opened.prompter

        def tokens(text: str) -> tuple[int, ...] | None:
            try:
                found = (*prompter.tokenizer.encode(text), prompter.end)
            except ValueError:  # a special token in the text
                return None
            return found if len(found) <= longest else None

        wanted = message.candidates if isinstance(message, ProposeTactics) else ()
        return tuple(tokens(text) for text in wanted)

    def _proposed(
        self, answer: Answer, longest: int, scored: Sequence[tuple[int, ...] | None]
    ) -> Proposed:
        merged = merge(answer.samples, self._text)
        kept = sum(one.count for one in merged)
        scores = iter(answer.scores)
        has_head = self.opened.prompter.format.value == "head"
        return Proposed(
            tactics=tuple(Tactic(str(m.key), min(1.0, m.probability), m.count) for m in merged),
            value=_value(answer.value_logits) if has_head else None,
            tokens=sum(len(sample.ids) + 1 for sample in answer.samples) + answer.cut * longest,
            cut=answer.cut,
            garbled=len(answer.samples) - kept,
            version=answer.version,
            scores=tuple(None if each is None else next(scores) for each in scored),
        )

    def _written(self, answer: Answer, longest: int) -> Written:
        samples = tuple(
            Sampled(self._text(sample.ids), len(sample.ids) + 1, sample.log_probability)
            for sample in answer.samples
        )
        fenced = self.opened.prompter.format.answer == "fenced"
        return Written(samples, answer.cut, longest, fenced, answer.version)

    def _text(self, ids: Sequence[int]) -> str | None:
        """What tokens spell; None for bytes that are no text, and for nothing at all."""
        try:
            text = self.opened.prompter.tokenizer.decode(ids)
        except UnicodeDecodeError:
            return None
        if self.opened.prompter.format.writes == "tactic":
            text = text.strip()
        return text or None


def _request(
    message: ProposeTactics | WriteProofs,
    prompt: Prompt,
    longest: int,
    scored: Sequence[tuple[int, ...] | None],
) -> Request:
    drawing: Drawing = message.drawing
    return Request(
        prompt=prompt.ids,
        value_at=prompt.value_at,
        samples=message.samples,
        longest=longest,
        seed=message.seed,
        sampling=Sampling(drawing.temperature, drawing.top_p, drawing.distinct_first),
        scored=tuple(each for each in scored if each is not None),
    )


def _value(logits: Sequence[float]) -> float:
    """V = −E[distance] of logits over the distances 0, 1, 2 …"""
    top = max(logits)
    weights = [math.exp(logit - top) for logit in logits]
    return -sum(i * weight for i, weight in enumerate(weights)) / sum(weights)
