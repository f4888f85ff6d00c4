"""What an engine must say, by the plainest means: one sample at a time, whole rows, no cache.

For tests and benchmarks. It shares with the engine how a cumulative distribution is inverted, and
nothing of how logits are computed.
"""

from __future__ import annotations

import torch

from leanfleet.model.engine.request import Answer, Request, Sample
from leanfleet.model.engine.sampling import draw, first_tokens, streams
from leanfleet.model.network import Network


@torch.inference_mode()
def answer(
    network: Network, request: Request, end: int, version: int = 0, forbidden: tuple[int, ...] = ()
) -> Answer:
    """The answer to one request."""
    prompt = list(request.prompt)
    sources = streams(request)

    def logits_after(tokens: list[int]) -> torch.Tensor:
        row = torch.tensor([prompt + tokens])
        in_prompt = torch.arange(row.shape[1])[None] < len(prompt)
        return network(row, prompt=in_prompt).logits[0, -1].float()

    def allowed(logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        logits[list(forbidden)] = float("-inf")
        return logits

    in_prompt = torch.ones(1, len(prompt), dtype=torch.bool)
    output = network(torch.tensor([prompt]), prompt=in_prompt)
    samples, cut = [], 0
    start = logits_after([])
    for number, first in enumerate(first_tokens(allowed(start), request, sources)):
        tokens = [first]
        total = float(start.log_softmax(-1)[first])
        while tokens[-1] != end and len(tokens) < request.longest:
            logits = logits_after(tokens)
            uniform = torch.tensor([sources[number].random()], dtype=torch.float64)
            token = int(draw(allowed(logits)[None], [request.sampling], uniform)[0])
            total += float(logits.log_softmax(-1)[token])
            tokens.append(token)
        if tokens[-1] == end:
            samples.append(Sample(tuple(tokens[:-1]), total))
        else:
            cut += 1
    scores = tuple(
        sum(
            float(logits_after(list(sequence[:at])).log_softmax(-1)[token])
            for at, token in enumerate(sequence)
        )
        for sequence in request.scored
    )
    value_logits = output.value_logits[0, request.value_at].float().tolist()
    return Answer(tuple(samples), cut, tuple(value_logits), version, scores)
