"""Tokens from logits. Each sample has a stream of its own, so no batch changes what is drawn.

Shapes: N rows, V vocabulary, K samples of one request.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

from leanfleet.model.engine.request import Request, Sampling
from leanfleet.seeds import child_seed


def streams(request: Request) -> list[random.Random]:
    """One source of uniform numbers per sample."""
    return [random.Random(child_seed(request.seed, "sample", k)) for k in range(request.samples)]


def first_tokens(logits: Tensor, request: Request, sources: list[random.Random]) -> list[int]:
    """The samples' first tokens from the prompt's logits [V], −∞ where a token is not allowed.

    Fewer than were asked for if they must differ and there are not so many.
    """
    sampling = request.sampling
    if not sampling.distinct_first:
        uniform = torch.tensor([source.random() for source in sources], dtype=torch.float64)
        return draw(logits.expand(len(sources), -1), [sampling] * len(sources), uniform).tolist()
    if sampling.temperature == 0:
        scores = logits.float()
    else:
        # Gumbel-top-k: K draws without replacement (Kool et al. 2019, arXiv 1903.06059).
        kept = _kept(logits[None].float() / sampling.temperature, [sampling])[0]
        generator = torch.Generator().manual_seed(child_seed(request.seed, "first tokens"))
        uniform = torch.rand(kept.shape, generator=generator, dtype=torch.float64)
        gumbel = -(-uniform.clamp(min=1e-300).log()).log()
        scores = kept.double() + gumbel.to(kept.device)
    possible = int(torch.isfinite(scores).sum())
    return scores.topk(min(request.samples, possible)).indices.tolist()


def draw(logits: Tensor, samplings: list[Sampling], uniform: Tensor) -> Tensor:
    """One token per row: logits [N, V], uniform numbers [N] float64 → [N] int64.

    By inverting the cumulative distribution, row by row.
    """
    temperatures = [sampling.temperature for sampling in samplings]
    if all(temperature == 0 for temperature in temperatures):
        return logits.argmax(-1)
    scaled = logits.float()
    if any(temperature != 1 for temperature in temperatures):
        divisor = torch.tensor([temperature or 1.0 for temperature in temperatures])
        scaled = scaled / divisor.to(scaled.device)[:, None]
    cumulative = _kept(scaled, samplings).softmax(-1).cumsum(-1)
    total = cumulative[:, -1]
    target = uniform.to(cumulative.device).float() * total
    # The first token whose cumulative probability exceeds a target below the total: there is one,
    # and it is never one of probability 0.
    target = torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))
    drawn = torch.searchsorted(cumulative, target[:, None], right=True)[:, 0]
    greedy = torch.tensor([temperature == 0 for temperature in temperatures])
    if bool(greedy.any()):
        drawn = torch.where(greedy.to(drawn.device), logits.argmax(-1), drawn)
    return drawn


def _kept(scaled: Tensor, samplings: list[Sampling]) -> Tensor:
    """Logits [N, V] with −∞ for what top-p leaves out."""
    limits = [sampling.top_p for sampling in samplings]
    if all(limit == 1 for limit in limits):
        return scaled
    limit = torch.tensor(limits, device=scaled.device)[:, None]
    ordered, order = scaled.softmax(-1).sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    # A token stays if those before it do not reach the limit; so the likeliest always stays.
    out = torch.zeros_like(ordered, dtype=torch.bool).scatter(-1, order, before >= limit)
    return scaled.masked_fill(out & (limit < 1), float("-inf"))
