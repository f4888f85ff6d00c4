"""The transformer: tokens in, logits of the next token and of the value out, in one forward pass.

It knows shapes and weights. What a token attends to is an `Attend` (attention.py); which positions
are read is its caller's business. Making one allocates weights and sets none: `initialise` or a
loader does.

Shapes: B rows, T tokens, W width, V vocabulary, N value bins.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from leanfleet.model.attention import Attend, FullAttention
from leanfleet.model.block import Block
from leanfleet.model.config import ModelConfig
from leanfleet.model.layers import Embedding, Linear, RMSNorm
from leanfleet.model.rope import Rope


class Output(NamedTuple):
    """`logits` [B, T, V] of the next token; `value_logits` [B, T, N] of the distance to a proof.

    A value is meant where a prompt has its value position (`prompt.Prompt.value_at`).
    """

    logits: Tensor
    value_logits: Tensor


class Network(nn.Module):
    """Decoder-only: RoPE, RMSNorm, grouped queries, SwiGLU, and a linear value head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.head = None
        if not config.tied_embeddings:
            self.head = Linear(config.width, config.vocabulary, bias=False)
        self.value_head = Linear(config.width, config.value_bins)
        self.rope = Rope(config)

    def forward(
        self,
        tokens: Tensor,
        prompt: Tensor | None = None,
        segment: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Output:
        """Whole rows at once: tokens [B, T] int. Padding goes on the right.

        `prompt`, `segment` [B, T]: see `FullAttention`. `positions` [B, T]: 0, 1, 2 … in each row
        when left out; rows packed from several texts give positions that restart.
        """
        rows, length = tokens.shape
        if positions is None:
            positions = torch.arange(length, device=tokens.device).expand(rows, length)
        attend = FullAttention(self.config, length, tokens.device, prompt, segment)
        hidden = self.hidden(tokens, positions, attend)
        return Output(self.logits(hidden), self.value_logits(hidden))

    def hidden(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Tokens and positions [B, T] → the normed residual stream [B, T, W].

        With a cache as `attend`, tokens are only the new ones. A caller that wants logits of some
        positions selects them here, before the large product with the vocabulary.
        """
        x = self.embedding(tokens)
        angles = self.rope(positions)
        for block in self.blocks:
            x = block(x, angles, attend)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """[…, W] → logits of the next token […, V]."""
        if self.head is not None:
            return self.head(hidden)
        return nn.functional.linear(hidden, self.embedding.weight)

    def value_logits(self, hidden: Tensor) -> Tensor:
        """[…, W] → logits of the distance to a proof […, N]."""
        return self.value_head(hidden)
