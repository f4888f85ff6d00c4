"""Tokens from logits. Each sample has a stream of its own, so no batch changes what is drawn.

Shapes: N rows, V vocabulary, K samples of one request.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

from leanfleet.model.engine.request import Request, Sampling
from leanfleet.seeds import child_seed

_BLOCK = 64
_TINY = 1e-20


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
    drawn = _inverted(_kept(scaled, samplings).softmax(-1), uniform)
    greedy = torch.tensor([temperature == 0 for temperature in temperatures])
    if bool(greedy.any()):
        drawn = torch.where(greedy.to(drawn.device), logits.argmax(-1), drawn)
    return drawn


def draw_and_score(
    logits: Tensor, forbidden: Tensor, samplings: list[Sampling], uniform: Tensor
) -> tuple[Tensor, Tensor]:
    """As `draw`, of what is not among `forbidden` [F]; and each drawn token's log P by the logits as
    they are, forbidden tokens included: [N] each."""
    plain = [each.temperature == 1 and each.top_p == 1 for each in samplings]
    if all(plain):
        return _plainly(logits, forbidden, uniform)
    if not any(plain):
        return _with_care(logits, forbidden, samplings, uniform)
    # Each row by its own way, so that no other request changes what is drawn.
    way = torch.tensor(plain)
    ours, others = way.nonzero()[:, 0], (~way).nonzero()[:, 0]
    found = (
        _plainly(logits[ours.to(logits.device)], forbidden, uniform[ours]),
        _with_care(
            logits[others.to(logits.device)],
            forbidden,
            [samplings[row] for row in others.tolist()],
            uniform[others],
        ),
    )
    back = torch.cat((ours, others)).argsort().to(logits.device)
    drawn, scores = (torch.cat(parts)[back] for parts in zip(*found, strict=True))
    return drawn, scores


def _plainly(logits: Tensor, forbidden: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """At temperature 1 and without top-p: one pass of exponentials gives both."""
    shares = logits.softmax(-1).index_fill_(-1, forbidden, 0.0)
    drawn, share = _found(shares, uniform)
    scores = share.log()
    # Not possible, or nearly all is forbidden: what is left has lost its digits.
    few = share < _TINY
    if bool(few.any()):
        rows = few.nonzero()[:, 0]
        ones = [Sampling()] * len(rows)
        drawn[rows], scores[rows] = _with_care(logits[rows], forbidden, ones, uniform[rows.cpu()])
    return drawn, scores


def _with_care(
    logits: Tensor, forbidden: Tensor, samplings: list[Sampling], uniform: Tensor
) -> tuple[Tensor, Tensor]:
    drawn = draw(logits.index_fill(-1, forbidden, float("-inf")), samplings, uniform)
    return drawn, logits.log_softmax(-1).gather(-1, drawn[:, None])[:, 0]


def _inverted(shares: Tensor, uniform: Tensor) -> Tensor:
    """The first token of each row whose cumulative share [N, V] exceeds a part of the total."""
    drawn, share = _found(shares, uniform)
    possible = share > 0
    if not bool(possible.all()):
        drawn = torch.where(possible, drawn, shares.argmax(-1))
    return drawn


def _found(shares: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """That token and its share: 0 if rounding leads to one that is not possible, some 3 in 10
    million times.

    In blocks: a sum is many times faster than a running one.
    """
    rows, count = shares.shape
    more = -count % _BLOCK
    padded = torch.nn.functional.pad(shares, (0, more)) if more else shares
    blocks = padded.view(rows, -1, _BLOCK)
    sums = blocks.sum(-1)
    upto = sums.cumsum(-1)
    target = upto[:, -1:] * uniform.to(shares.device, torch.float32)[:, None]
    block = _first_above(upto, target)
    # Rounded sums: the difference may be a little below 0.
    aim = (target - (upto - sums).gather(-1, block)).clamp_(min=0)
    inside = blocks.gather(1, block[..., None].expand(-1, -1, _BLOCK))[:, 0].cumsum(-1)
    drawn = torch.add(_first_above(inside, aim), block, alpha=_BLOCK)
    share = padded.gather(-1, drawn)[:, 0]
    return drawn[:, 0].clamp_(max=count - 1) if more else drawn[:, 0], share


def _first_above(cumulative: Tensor, target: Tensor) -> Tensor:
    """[N, M] and [N, 1] → [N, 1]; the last if there is none."""
    found = torch.searchsorted(cumulative, target, right=True)
    return found.clamp_(max=cumulative.shape[-1] - 1)


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
