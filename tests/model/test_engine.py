"""The engine against plain generation, request by request, whatever the batch."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
import torch

from leanfleet.model.config import ModelConfig
from leanfleet.model.engine import reference
from leanfleet.model.engine.engine import Engine, Limits
from leanfleet.model.engine.request import Request, Sample, Sampling, merge
from leanfleet.model.engine.sampling import draw, draw_and_score
from leanfleet.model.initialise import new_network
from leanfleet.model.prompt import StateTooLong

END = 1
FORBIDDEN = (0, 2, 3)
SHAPES = {
    "plain": {},
    "grouped": {"kv_heads": 2, "qk_norm": True, "qkv_bias": True},
    "windowed": {"window": 7, "windowed_layers": (0, 2)},
    "prefix": {"prefix_lm": True, "kv_heads": 1},
}


def network_of(shape: str = "plain", seed: int = 1):
    config = ModelConfig(
        **(
            {
                "name": "test",
                "layers": 3,
                "width": 64,
                "heads": 4,
                "inner_width": 96,
                "vocabulary": 40,
                "context": 96,
            }
            | SHAPES[shape]
        )
    )
    network = new_network(config, seed)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.mul_(4)
        network.embedding.weight.mul_(0.5)  # logits of moderate size: sampling has a choice
    return network


def requests(count: int, **options) -> list[Request]:
    """Of every kind: lengths, numbers of samples, caps, temperatures."""
    rng = random.Random(3)
    found = []
    for number in range(count):
        prompt = tuple(rng.randrange(4, 40) for _ in range(rng.choice([1, 5, 16, 17, 30, 60])))
        sampling = Sampling(
            temperature=rng.choice([0.0, 0.7, 1.0, 1.3]),
            top_p=rng.choice([1.0, 1.0, 0.9, 0.5]),
            distinct_first=rng.random() < 0.4,
        )
        plain = {
            "prompt": prompt,
            "value_at": rng.randrange(len(prompt)),
            "samples": rng.choice([1, 2, 3, 4, 8]),
            "longest": rng.choice([1, 4, 9, 20]),
            "seed": number,
            "sampling": sampling,
        }
        found.append(Request(**(plain | options)))
    return found


def engine_of(network, **limits) -> Engine:
    plain = {"lanes": 6, "width": 4, "longest": 20}
    return Engine(network, END, Limits(**(plain | limits)), forbidden=FORBIDDEN)


def answers(engine: Engine, asked: list[Request]) -> list:
    names = [engine.submit(request) for request in asked]
    done = engine.run()
    assert sorted(done) == sorted(names)
    return [done[name] for name in names]


def assert_same(found, expected, within: float = 1e-3) -> None:
    assert [sample.ids for sample in found.samples] == [s.ids for s in expected.samples]
    assert found.cut == expected.cut
    for one, other in zip(found.samples, expected.samples, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=within)
    assert found.value_logits == pytest.approx(expected.value_logits, abs=within)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_answer_is_that_of_plain_generation(shape):
    network = network_of(shape)
    asked = requests(20)
    found = answers(engine_of(network), asked)
    for request, one in zip(asked, found, strict=True):
        assert_same(one, reference.answer(network, request, END, forbidden=FORBIDDEN))
    everything = [sample for one in found for sample in one.samples]
    assert len(everything) > 9 and sum(one.cut for one in found) > 9
    assert any(sample.ids for sample in everything)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_no_batch_changes_an_answer(shape):
    """On the CPUs this was written on, not even in the last bit of a log-probability."""
    network = network_of(shape)
    asked = requests(24)
    together = answers(engine_of(network, lanes=48), asked)
    narrow = answers(engine_of(network, lanes=2, width=4, cache_tokens=0), asked)
    shuffled = list(range(len(asked)))
    random.Random(1).shuffle(shuffled)
    mixed = answers(engine_of(network, lanes=9), [asked[i] for i in shuffled])
    alone = [answers(engine_of(network), [request])[0] for request in asked]
    for i, expected in enumerate(together):
        for found in (narrow[i], mixed[shuffled.index(i)], alone[i]):
            assert_same(found, expected, within=1e-5)


def test_requests_join_while_others_run():
    network = network_of()
    asked = requests(20, longest=20)
    expected = answers(engine_of(network), asked)
    engine = engine_of(network)
    names, done = [], {}
    for request in asked:
        names.append(engine.submit(request))
        done.update(engine.step())
    done.update(engine.run())
    for name, one in zip(names, expected, strict=True):
        assert_same(done[name], one, within=1e-5)
    assert not engine.busy and engine.metrics.answers == 20


def test_a_prompt_is_computed_once_for_all_its_samples_and_kept():
    engine = engine_of(network_of())
    first = requests(1, prompt=(5, 6, 7), value_at=1, samples=8)[0]
    again = requests(1, prompt=(5, 6, 7), value_at=1, samples=8, seed=99)[0]
    cold, warm, other = answers(engine, [first, first, again])
    assert (engine.metrics.cache_misses, engine.metrics.cache_hits) == (1, 2)
    assert cold == warm
    assert cold.value_logits == other.value_logits


def test_the_prefix_cache_is_bounded():
    engine = engine_of(network_of(), cache_tokens=20)
    short, long = (requests(1, prompt=tuple(range(4, 4 + n)), value_at=0)[0] for n in (9, 30))
    for request in (short, long, short):
        answers(engine, [request])
    # The long one never fitted and pushed nothing out.
    assert (engine.metrics.cache_misses, engine.metrics.cache_hits) == (2, 1)


# --- weights --------------------------------------------------------------------------------------


def test_weights_swapped_between_steps_change_no_running_request():
    old, new = network_of(seed=1), network_of(seed=2)
    asked = requests(16, longest=20, samples=4)
    expected = [answers(engine_of(network), asked) for network in (old, new)]
    assert expected[0] != expected[1]
    engine = engine_of(old)
    names = [engine.submit(request) for request in asked]
    done = dict(engine.step())
    assert engine.metrics.running
    engine.swap(new, version=7)
    assert engine.version == 7
    done.update(engine.run())
    assert sorted(done) == names
    versions = [done[name].version for name in names]
    assert set(versions) == {0, 7} and versions == sorted(versions)
    for index, name in enumerate(names):
        kept = expected[versions[index] == 7][index]
        assert_same(done[name], kept, within=1e-5)
    misses = engine.metrics.cache_misses
    answers(engine, asked[:1])
    assert engine.metrics.cache_misses == misses + 1  # the old weights' cache is gone


def test_weights_of_another_shape_are_refused():
    plain = network_of()
    with pytest.raises(ValueError, match="another shape: kv_heads 2, not 4"):
        engine_of(plain).swap(network_of("grouped"), 1)
    spelled = {"kv_heads": plain.config.heads, "head_width": plain.config.head_dim, "name": "other"}
    same = new_network(plain.config.model_copy(update=spelled), 2)
    engine_of(plain).swap(same, 1)


# --- sampling -------------------------------------------------------------------------------------


def test_log_probabilities_are_those_of_the_network():
    network = network_of()
    request = requests(1, prompt=(5, 9, 30), value_at=2, samples=8, longest=20, seed=4)[0]
    for sampling in (Sampling(), Sampling(0.7, 0.8, True)):
        asked = Request(**{**vars(request), "sampling": sampling})
        found = answers(engine_of(network), [asked])[0]
        assert found.samples
        for sample in found.samples:
            row = torch.tensor([[5, 9, 30, *sample.ids, END]])
            with torch.no_grad():
                logs = network(row).logits[0, 2:-1].log_softmax(-1)
            exact = logs.gather(-1, row[0, 3:, None]).sum().item()
            assert sample.log_probability == pytest.approx(exact, abs=1e-3)


def test_distinct_first_tokens_are_distinct():
    network = network_of()
    options = {"prompt": (5, 9), "value_at": 0, "longest": 1, "samples": 37}
    request = requests(1, sampling=Sampling(distinct_first=True), **options)[0]
    found = answers(engine_of(network, lanes=12), [request])[0]
    # 37 tokens are allowed, one of them the end: it is drawn exactly once.
    assert (len(found.samples), found.cut) == (1, 36)
    more = Request(**{**vars(request), "samples": 40})
    assert answers(engine_of(network, lanes=12), [more])[0].cut == 36


def test_what_is_drawn_has_the_probabilities_asked_for():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    count = 4000
    uniform = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def shares(sampling: Sampling) -> list[float]:
        drawn = draw(logits.expand(count, -1), [sampling] * count, uniform).tolist()
        return [Counter(drawn)[token] / count for token in range(4)]

    assert shares(Sampling()) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    assert shares(Sampling(top_p=0.8)) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert shares(Sampling(top_p=0.81)) == pytest.approx([0.526, 0.316, 0.158, 0], abs=0.03)
    assert shares(Sampling(top_p=1e-9)) == [1, 0, 0, 0]
    assert shares(Sampling(temperature=0)) == [1, 0, 0, 0]
    squared = [0.25, 0.09, 0.0225, 0.0025]
    expected = [share / sum(squared) for share in squared]
    assert shares(Sampling(temperature=0.5)) == pytest.approx(expected, abs=0.03)


def test_a_token_of_probability_zero_is_never_drawn():
    logits = torch.tensor([float("-inf"), 0.0, float("-inf"), 1.0, float("-inf")])
    for uniform in (0.0, 0.2, 0.999999999, 1 - 2**-53):
        drawn = draw(logits[None], [Sampling()], torch.tensor([uniform], dtype=torch.float64))
        assert drawn.item() in (1, 3)


def test_forbidden_tokens_are_not_drawn_and_count_in_the_probability():
    """Where they have nearly everything, too."""
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(64, 150, generator=generator)
    forbidden = torch.tensor([3, 70, 149])
    logits[::5, 70] += 200.0
    allowed = logits.index_fill(1, forbidden, float("-inf"))
    uniform = torch.rand(64, dtype=torch.float64, generator=generator)
    for samplings in ([Sampling()] * 64, [Sampling(), Sampling(0.7, 0.9)] * 32):
        drawn, scores = draw_and_score(logits, forbidden, samplings, uniform)
        assert not set(drawn.tolist()) & set(forbidden.tolist()) and len(set(drawn.tolist())) > 20
        assert drawn.tolist() == draw(allowed, samplings, uniform).tolist()
        expected = logits.double().log_softmax(-1).gather(1, drawn[:, None])[:, 0]
        assert (scores - expected).abs().max() < 1e-4
    assert (expected < -150).any()


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_at_the_edge_of_a_block_nothing_impossible_is_drawn(top_p):
    """Tokens are looked for in blocks of 64 by sums, and sums are rounded."""
    count = 4096
    forbidden = torch.arange(0, count, 64)
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        logits = 2 * torch.randn(count, generator=generator)
        allowed = logits.index_fill(0, forbidden, float("-inf"))
        upto = allowed.softmax(-1).view(-1, 64).sum(-1).cumsum(-1).double()
        uniform = (upto[:-1] / upto[-1]).clamp(max=1 - 2**-53)
        rows, samplings = logits.expand(len(uniform), -1), [Sampling(top_p=top_p)] * len(uniform)
        drawn, scores = draw_and_score(rows, forbidden, samplings, uniform)
        assert not (drawn % 64 == 0).any() and torch.isfinite(scores).all()
        ordered, order = allowed.softmax(-1).sort(descending=True, stable=True)
        kept = order[ordered.cumsum(-1) - ordered < top_p]
        assert torch.isin(drawn, kept).all()


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(0.7), Sampling(0.0), Sampling(distinct_first=True)]
)
@pytest.mark.parametrize("token", [None, FORBIDDEN[0]])
def test_weights_that_are_not_finite_answer_nothing(sampling, token):
    """All of them, or those of a token that is never drawn."""
    network = network_of()
    with torch.no_grad():
        network.embedding.weight[slice(None) if token is None else token] = float("nan")
    request = requests(1, prompt=(5, 9), value_at=0, samples=4, longest=8, sampling=sampling)[0]
    with pytest.raises(FloatingPointError, match="not finite"):
        answers(engine_of(network), [request])


def test_distinct_first_tokens_follow_the_distribution():
    """The first of draws without replacement is an ordinary draw."""
    network = network_of()
    options = {"prompt": (5, 9), "value_at": 0, "longest": 2, "samples": 2}
    with torch.no_grad():
        logits = network(torch.tensor([[5, 9]])).logits[0, -1].clone()
    logits[list(FORBIDDEN)] = float("-inf")
    best = int(logits.argmax())
    share = float(logits.softmax(-1)[best])
    from leanfleet.model.engine.sampling import first_tokens, streams

    hits, rounds = 0, 1500
    for seed in range(rounds):
        request = requests(1, sampling=Sampling(distinct_first=True), **options)[0]
        request = Request(**{**vars(request), "seed": seed})
        tokens = first_tokens(logits, request, streams(request))
        assert len(set(tokens)) == 2
        hits += tokens[0] == best
    assert 0.05 < share < 0.95
    assert hits / rounds == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / rounds))


def test_merging_adds_sequences_of_one_text_and_counts_repetitions_once():
    samples = tuple(
        Sample(ids, math.log(p))
        for ids, p in [((1, 2), 0.2), ((3,), 0.1), ((1, 2), 0.2), ((4,), 0.3), ((9,), 0.1)]
    )
    text = {(1, 2): "simp", (3,): "simp", (4,): "rfl", (9,): None}
    found = [(one.key, one.count, one.probability) for one in merge(samples, text.get)]
    assert found == [("simp", 3, pytest.approx(0.3)), ("rfl", 1, pytest.approx(0.3))]
    assert [one.count for one in merge(samples)] == [2, 1, 1, 1]


# --- limits ---------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_and_nothing_is_cut():
    engine = engine_of(network_of())
    exact = requests(1, prompt=tuple([5] * 76), value_at=0)[0]
    assert answers(engine, [exact])
    for changed, message in (
        ({"prompt": tuple([5] * 77)}, "77 tokens or more, and the context leaves room for 76"),
        ({"longest": 21}, "samples of 21 tokens; at most 20"),
        ({"samples": 25}, "25 samples; at most 24"),
        ({"prompt": (40,)}, "not among the 40"),
        ({"prompt": (-1,)}, "not among the 40"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            engine.submit(Request(**{**vars(exact), **changed}))
        assert isinstance(caught.value, StateTooLong) == (len(changed.get("prompt", ())) == 77)
    assert not engine.busy


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Sampling(temperature=-1), "temperature"),
        (lambda: Sampling(temperature=float("nan")), "temperature"),
        (lambda: Sampling(top_p=0), "top_p"),
        (lambda: Request((), 0, 1, 1, 0), "empty prompt"),
        (lambda: Request((5,), 1, 1, 1, 0), "outside the prompt"),
        (lambda: Request((5,), 0, 0, 1, 0), "at least one sample"),
        (lambda: Limits(lanes=0), "limits must be positive"),
        (lambda: engine_of(network_of(), longest=96), "leave no room for a prompt"),
    ],
)
def test_mistakes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- given sequences ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_given_sequences_are_as_likely_as_plain_forward_passes_say(shape):
    network = network_of(shape)
    sequences = ((END,), (5, END), (9, 4, 17, 8, 30, 6, 7, 5, 4, 11, END), (12, 13))
    asked = requests(6, scored=sequences, longest=20)
    together = answers(engine_of(network), asked)
    for request, found in zip(asked, together, strict=True):
        expected = reference.answer(network, request, END, forbidden=FORBIDDEN)
        assert_same(found, expected)
        assert found.scores == pytest.approx(expected.scores, abs=1e-3)
        (alone,) = answers(engine_of(network), [request])
        assert alone.scores == found.scores  # to the last bit
    assert answers(engine_of(network), requests(1))[0].scores == ()


def test_a_sample_is_as_likely_as_the_same_sequence_scored():
    network = network_of()
    (request,) = requests(1, samples=8, longest=20)
    (found,) = answers(engine_of(network), [request])
    sequences = tuple((*sample.ids, END) for sample in found.samples)
    scored = Request(request.prompt, request.value_at, 1, 20, 1, scored=sequences)
    (again,) = answers(engine_of(network), [scored])
    assert again.scores == pytest.approx([s.log_probability for s in found.samples], abs=1e-3)


@pytest.mark.parametrize(
    ("scored", "said"),
    [
        (((4,) * 21,), "20 tokens are scored"),
        (((4,),) * 257, "at most 256 sequences"),
        (((40,),), "not among the 40"),
        (((),), "without tokens"),
    ],
)
def test_sequences_that_can_not_be_scored(scored, said):
    with pytest.raises(ValueError, match=said):
        engine_of(network_of()).submit(Request((5,), 0, 1, 4, 1, scored=scored))
