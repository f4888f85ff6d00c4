"""The transformer by itself: who sees whom, caches, packing, seeds."""

from __future__ import annotations

import pytest
import torch

from leanfleet.model.cache import SlotCache
from leanfleet.model.config import ModelConfig, RopeScaling
from leanfleet.model.initialise import new_network
from leanfleet.seeds import child_seed

SHAPES = {
    "plain": {},
    "grouped": {"kv_heads": 2, "qk_norm": True, "qkv_bias": True},
    "windowed": {"window": 5, "windowed_layers": (1,)},
    "prefix": {"prefix_lm": True},
    "prefix and window": {"prefix_lm": True, "window": 3, "windowed_layers": (0, 2)},
    "untied, stretched": {
        "tied_embeddings": False,
        "rope_scaling": RopeScaling(kind="yarn", factor=4.0, original_context=16),
    },
}


def config(**options) -> ModelConfig:
    plain = {
        "name": "test",
        "layers": 3,
        "width": 64,
        "heads": 4,
        "inner_width": 96,
        "vocabulary": 100,
        "context": 64,
    }
    return ModelConfig(**(plain | options))


@pytest.fixture(params=list(SHAPES))
def network(request):
    return sharpened(new_network(config(**SHAPES[request.param]), seed=1))


def sharpened(network):
    """Weights large enough that attention is not nearly uniform: who sees whom then shows."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.mul_(5)
    return network


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 100, shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def influence(network, length: int, prompt: torch.Tensor | None) -> list[set[int]]:
    """For each position, the positions whose token changes its logits."""
    tokens = rows(1, length)
    before = network(tokens, prompt=prompt).logits[0]
    found: list[set[int]] = [set() for _ in range(length)]
    for changed in range(length):
        other = tokens.clone()
        other[0, changed] = (other[0, changed] + 1) % 100
        after = network(other, prompt=prompt).logits[0]
        for position in range(length):
            if not torch.equal(before[position], after[position]):
                found[position].add(changed)
    return found


def test_attention_is_causal():
    network = sharpened(new_network(config(), 1))
    assert influence(network, 6, None) == [set(range(i + 1)) for i in range(6)]


def test_inside_a_prompt_attention_goes_both_ways_and_nowhere_else():
    network = sharpened(new_network(config(prefix_lm=True), 1))
    prompt = torch.arange(7)[None] < 4
    expected = [set(range(4))] * 4 + [set(range(i + 1)) for i in (4, 5, 6)]
    assert influence(network, 7, prompt) == expected
    # Without the option the same mask changes nothing.
    causal = sharpened(new_network(config(), 1))
    assert influence(causal, 7, prompt) == [set(range(i + 1)) for i in range(7)]


def test_a_window_shows_the_nearest_keys_only():
    network = sharpened(new_network(config(layers=1, window=3, windowed_layers=(0,)), 1))
    assert influence(network, 7, None) == [set(range(max(0, i - 2), i + 1)) for i in range(7)]


@torch.no_grad()
def test_with_a_cache_token_by_token_is_the_same_as_whole_rows(network):
    tokens, lengths = rows(3, 24), torch.tensor([6, 9, 2])
    in_prompt = torch.arange(24)[None] < lengths[:, None]
    whole = network(tokens, prompt=in_prompt)
    cache = SlotCache(network.config, slots=5, positions=40)
    slots = torch.tensor([4, 0, 2])
    start = torch.arange(9).expand(3, 9)
    hidden = [network.hidden(tokens[:, :9], start, cache.view(slots, start, 9, lengths))]
    for index in range(9, 24):
        at = torch.full((3, 1), index)
        view = cache.view(slots, at, 30, lengths)
        hidden.append(network.hidden(tokens[:, index : index + 1], at, view))
    joined = torch.cat(hidden, 1)
    assert torch.allclose(network.logits(joined), whole.logits, atol=1e-4)
    assert torch.allclose(network.value_logits(joined), whole.value_logits, atol=1e-4)


@torch.no_grad()
def test_rows_of_a_cache_may_stand_at_different_positions():
    network = sharpened(new_network(config(), 1))
    long, short = rows(1, 12, seed=1), rows(1, 5, seed=2)
    cache = SlotCache(network.config, slots=2)
    for slot, tokens in ((0, long), (1, short)):
        at = torch.arange(tokens.shape[1])[None]
        network.hidden(tokens, at, cache.view(torch.tensor([slot]), at, tokens.shape[1]))
    following, at = torch.tensor([[7], [9]]), torch.tensor([[12], [5]])
    together = network.logits(
        network.hidden(following, at, cache.view(torch.tensor([0, 1]), at, 32))
    )
    for row, tokens in enumerate((long, short)):
        alone = network(torch.cat((tokens, following[row : row + 1]), 1)).logits[0, -1]
        assert torch.allclose(together[row, 0], alone, atol=1e-4)


def test_a_reach_beyond_the_cache_is_refused():
    cache = SlotCache(config(), slots=1, positions=8)
    assert cache.bytes == 2 * 3 * 1 * 4 * 8 * 16 * 4
    with pytest.raises(ValueError, match="reach 9 is beyond the cache's 8 positions"):
        cache.view(torch.tensor([0]), torch.tensor([[8]]), 9)


@torch.no_grad()
def test_packed_rows_are_the_same_as_rows_of_their_own(network):
    first, second = rows(1, 7, seed=3), rows(1, 10, seed=4)
    prompts = [torch.arange(7)[None] < 3, torch.arange(10)[None] < 6]
    packed = network(
        torch.cat((first, second), 1),
        prompt=torch.cat(prompts, 1),
        segment=torch.tensor([[0] * 7 + [1] * 10]),
        positions=torch.cat((torch.arange(7), torch.arange(10)))[None],
    )
    alone = [
        network(tokens, prompt=prompt)
        for tokens, prompt in zip((first, second), prompts, strict=True)
    ]
    joined = torch.cat([output.logits for output in alone], 1)
    assert torch.allclose(packed.logits, joined, atol=1e-4)


@torch.no_grad()
def test_padding_on_the_right_changes_nothing(network):
    tokens = rows(1, 9)
    prompt = torch.arange(9)[None] < 4
    padded = torch.cat((tokens, torch.zeros(1, 6, dtype=torch.long)), 1)
    padded_prompt = torch.cat((prompt, torch.zeros(1, 6, dtype=torch.bool)), 1)
    short = network(tokens, prompt=prompt).logits
    long = network(padded, prompt=padded_prompt).logits
    assert torch.allclose(short, long[:, :9], atol=1e-4)


def test_gradients_reach_every_weight(network):
    output = network(rows(2, 8), prompt=torch.arange(8)[None].expand(2, 8) < 4)
    (output.logits.square().mean() + output.value_logits.square().mean()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and bool(weight.grad.abs().sum() > 0), name


# --- weights --------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_others_others():
    first, again, other = (new_network(config(), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


def test_a_layer_more_changes_no_other_embedding():
    few, many = new_network(config(), 1), new_network(config(layers=4), 1)
    assert torch.equal(few.embedding.weight, many.embedding.weight)
    assert torch.equal(few.blocks[1].attention.qkv.weight, many.blocks[1].attention.qkv.weight)


def test_weights_are_drawn_with_their_deviation():
    network = new_network(config(width=256, heads=4, inner_width=512), 3)
    assert network.embedding.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert network.blocks[0].mlp.down.weight.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.05)
    assert bool((network.norm.weight == 1).all())


def test_a_network_in_half_precision_keeps_its_frequencies():
    network = new_network(config(), 1, torch.bfloat16)
    assert network.rope.frequencies.dtype == torch.float32
    output = network(rows(1, 5))
    assert output.logits.dtype == torch.bfloat16
    exact = new_network(config(), 1)(rows(1, 5)).logits
    assert torch.allclose(output.logits.float(), exact, atol=0.05)


def test_child_seeds_are_named_and_stable():
    assert child_seed(7, "weights", "norm") == child_seed(7, "weights", "norm")
    different = [
        child_seed(7, "a", "b"), child_seed(7, "ab"), child_seed(7, "b", "a"), child_seed(8, "ab"),
        child_seed(7, 1), child_seed(7, "1"),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert all(0 <= seed < 2**63 for seed in different)
    # Written down once: another value would make old seeds mean other runs.
    assert child_seed(0, "weights", "norm.weight") == 6766063275366413978
