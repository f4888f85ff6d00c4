"""A network as a search's policy, in the own process: samples, seeds, states it can't be asked about."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest
from networks import CONFIG, goal, network, save_weights, serving

from leanfleet.lean.transport import BadRequest, ServerBusy, Unreachable
from leanfleet.messages import (
    Drawing,
    NoPrompt,
    NoPromptKind,
    ProposeTactics,
    Theorem,
    WriteProofs,
)
from leanfleet.model.engine.request import Request, Sampling, merge
from leanfleet.model.tokenizer import WrongTokenizer
from leanfleet.policies.balance import Balancer
from leanfleet.policies.follow import Follower
from leanfleet.policies.network import NetworkPolicy, state_text
from leanfleet.policies.weights import identity, load, locate, open_weights
from leanfleet.policy import MenuPolicy

GOALS = (goal("p q : Prop\nh : p ∧ q\n⊢ q ∧ p"),)


def asked(state: str = "⊢ p", samples: int = 8, seed: int = 7, **options) -> ProposeTactics:
    return ProposeTactics(state, samples, seed, **options)


async def test_a_proposal_is_what_the_engine_says_of_the_printed_state(weights, tokenizer):
    async with serving(weights) as service:
        found = await service(asked(state_text(GOALS), 6, 11))
        opened = open_weights(weights, CONFIG)
        prompt = opened.prompter.state(state_text(GOALS), opened.room)
        request = Request(prompt.ids, prompt.value_at, 6, CONFIG.longest, 11, Sampling())
        opened.engine.submit(request)
        (expected,) = opened.engine.run().values()
    texts = merge(expected.samples, lambda ids: _text(tokenizer, ids))
    assert [each.text for each in found.tactics] == [each.key for each in texts]
    assert len(found.tactics) > 1 and found.cut == expected.cut
    assert all(0 < each.probability <= 1 for each in found.tactics)
    assert found.tokens == sum(len(s.ids) + 1 for s in expected.samples) + found.cut * 12
    assert -63 <= found.value <= 0 and found.version == 0


def _text(tokenizer, ids):
    try:
        return tokenizer.decode(ids).strip() or None
    except UnicodeDecodeError:
        return None


async def test_a_search_gets_other_samples_when_it_asks_again_and_the_same_in_a_second_run(weights):
    async with serving(weights) as service:
        runs = []
        for _ in range(2):
            policy = NetworkPolicy(service, seed=5)
            runs.append([await policy.propose("key", GOALS, 4) for _ in range(3)])
            assert policy.tokens > 0 and policy.without_network == 0
        assert runs[0] == runs[1]
        assert runs[0][0].tactics != runs[0][1].tactics
        assert len({proposal.value for proposal in runs[0]}) == 1
        assert all(proposal.exhausted is None for proposal in runs[0])
        other = await NetworkPolicy(service, seed=6).propose("key", GOALS, 4)
        assert other.tactics != runs[0][0].tactics


async def test_candidates_are_as_probable_as_the_same_tactics_drawn(weights, tokenizer):
    async with serving(weights) as service:
        policy = NetworkPolicy(service, seed=5)
        drawn = await policy.propose("key", GOALS, 8)
        texts = [text for text, _ in drawn.tactics] + ["exact h", "x " * 500, "y" * 5000]
        again, found = await policy.scored("key", GOALS, 8, texts)
        alone = await NetworkPolicy(service, seed=5).scored("key", GOALS, 8, ())
        reply = await service(asked(state_text(GOALS), 1, candidates=tuple(texts[:-1])))
    assert again.tactics != drawn.tactics and alone == (drawn, [])
    assert all(0 <= each <= 1 for each in found) and 0 < found[-3] < 1
    assert found[-2:] == [0.0, 0.0]  # too many tokens, and too long for a message
    assert found[:-2] == pytest.approx([math.exp(each) for each in reply.scores[:-1]])
    assert reply.scores[-1] is None
    opened = open_weights(weights, CONFIG)
    prompt = opened.prompter.state(state_text(GOALS), opened.room)
    ids = (*tokenizer.encode("exact h"), opened.prompter.end)
    opened.engine.submit(Request(prompt.ids, prompt.value_at, 1, 12, 1, scored=(ids,)))
    (expected,) = opened.engine.run().values()
    assert math.log(found[-3]) == pytest.approx(expected.scores[0], rel=1e-3)


async def test_what_was_not_answered_is_asked_the_same_again():
    seeds = []

    async def ask(message):
        seeds.append(message.seed)
        raise ServerBusy("full") if len(seeds) == 1 else Unreachable("gone")

    policy = NetworkPolicy(ask, seed=5)
    for error in (ServerBusy, Unreachable):
        with pytest.raises(error):
            await policy.propose("key", GOALS, 4)
    assert seeds[0] == seeds[1]


async def test_a_state_that_does_not_fit_gets_the_menus_answer_and_is_counted(weights):
    long = (goal("h : " + " ∧ ".join(f"p{i}" for i in range(200)) + "\n⊢ True"),)
    endless = (goal("⊢ " + "p" * 2**20),)
    async with serving(weights) as service:
        policy = NetworkPolicy(service, seed=5)
        for key, goals in (("long", long), ("endless", endless), ("long", long)):
            found = await policy.propose(key, goals, 4)
            if key == "endless":
                continue
            assert found.tactics, "the menu's"
        first = await MenuPolicy().propose("long", long, 8)
        assert found.tactics == first.tactics[4:8], "asked again it goes on"
        assert policy.without_network == 2 and policy.tokens == 0
        reply = await service(asked(long[0].text))
        assert isinstance(reply, NoPrompt) and reply.kind is NoPromptKind.TOO_LONG
        assert reply.tokens > reply.room == 160 - 12
        assert service.status().no_prompt == 2


async def test_special_tokens_in_a_states_text_are_plain_text(weights, tokenizer):
    async with serving(weights) as service:
        text = 'h : s = "<|end|><|tactic|>exact h<|state|>"\n⊢ p'
        prompt = service.opened.prompter.state(text, 148)
        specials = set(tokenizer.specials.values())
        assert [token for token in prompt.ids if token in specials] == [
            tokenizer.roles.state,
            tokenizer.roles.value,
            tokenizer.roles.tactic,
        ]
        assert tokenizer.decode(prompt.ids) == text
        found = await service(asked(text))
        assert not any("<|" in each.text for each in found.tactics)


async def test_many_searches_share_an_engine_and_each_gets_what_it_gets_alone(weights):
    async with serving(weights) as service:
        messages = [asked(f"n{i} : Nat\n⊢ n{i} = {i}", 1 + i % 8, seed=i) for i in range(40)]
        together = await asyncio.gather(*map(service, messages))
        status = service.status()
        assert status.batch > 6 and status.answers == 40 and status.steps < 40 * 12
        assert [await service(message) for message in messages] == together
        assert service.status().cache_hits >= 40
    with pytest.raises(Unreachable):
        await service(messages[0])


async def test_the_event_loop_goes_on_while_the_engine_works(weights):
    async with serving(weights) as service:
        engine, entered, go_on = service.opened.engine, threading.Event(), threading.Event()
        step = engine.step

        def slow():
            entered.set()
            assert go_on.wait(60)
            return step()

        engine.step = slow
        asking = asyncio.create_task(service(asked()))
        assert await asyncio.to_thread(entered.wait, 60)
        await asyncio.sleep(0.01)  # the loop is free while the step has not ended
        assert not asking.done()
        go_on.set()
        assert (await asking).tactics is not None


async def test_a_full_queue_is_a_typed_busy_and_waiting_requests_whose_caller_left_never_run(
    weights,
):
    config = CONFIG.model_copy(update={"queue_limit": 3, "lanes": 1})
    async with serving(weights, config) as service:
        engine, entered, go_on = service.opened.engine, threading.Event(), threading.Event()
        step = engine.step

        def held():
            entered.set()
            assert go_on.wait(60)
            return step()

        engine.step = held
        running = asyncio.create_task(service(asked(samples=4, seed=0)))
        assert await asyncio.to_thread(entered.wait, 60)
        waiting = [asyncio.create_task(service(asked(samples=4, seed=1 + i))) for i in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ServerBusy):
            await service(asked(samples=4, seed=9))
        waiting[0].cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(running, *waiting[1:])
        status = service.status()
        assert status.busy == 1 and status.answers == 3
        assert service.thread.counts().dropped == 1


async def test_an_engine_that_fails_tells_all_who_wait(weights):
    async with serving(weights) as service:

        def broken():
            raise RuntimeError("out of memory")

        service.opened.engine.step = broken
        found = await asyncio.gather(
            *(service(asked(seed=i)) for i in range(3)), return_exceptions=True
        )
        assert all(isinstance(error, Unreachable) for error in found)
        assert "out of memory" in str(found[0])
        with pytest.raises(Unreachable, match="out of memory"):
            await service(asked())


async def test_what_an_engine_can_never_do_is_a_bad_request(weights):
    async with serving(weights) as service:
        for message, word in (
            (asked(samples=33), "at most 32"),
            (asked(longest=13), "at most 12"),
            (WriteProofs(Theorem("t", "theorem t : p"), 1, 0), "tactic at a time"),
        ):
            with pytest.raises(BadRequest, match=word):
                await service(message)
        assert (await service(asked(drawing=Drawing(temperature=0.0)))).version == 0


# --- weights that are replaced ----------------------------------------------------------------------


async def test_newer_weights_are_served_as_they_come_and_running_requests_end_on_the_old(
    tokenizer, tmp_path
):
    folder = tmp_path / "weights"
    save_weights(folder / "v1", tokenizer, seed=1)
    async with serving(folder) as service:
        follower = Follower(service, folder, CONFIG)
        assert not await follower.look()
        old = await service(asked())
        save_weights(folder / "v3", tokenizer, seed=2)
        asking = [asyncio.create_task(service(asked(seed=i))) for i in range(20)]
        await asyncio.sleep(0)
        assert await follower.look()
        during = await asyncio.gather(*asking)
        new = await service(asked())
        assert (old.version, new.version) == (1, 3) and old.tactics != new.tactics
        assert {reply.version for reply in during} <= {1, 3}
        alone = {}
        for version in (1, 3):
            async with serving(folder / f"v{version}") as one:
                alone[version] = [await one(asked(seed=i)) for i in range(20)]
        for i, reply in enumerate(during):
            assert reply.tactics == alone[reply.version][i].tactics
        assert service.status().swaps == 1 and service.status().version == 3


async def test_weights_that_do_not_fit_are_refused_and_the_old_are_served_on(
    tokenizer, texts, tmp_path
):
    from leanfleet.model.tokenizer_train import train_tokenizer

    folder = tmp_path / "weights"
    save_weights(folder / "v1", tokenizer)
    other = train_tokenizer(texts, 601)
    async with serving(folder) as service:
        follower = Follower(service, folder, CONFIG)
        before = await service(asked())
        save_weights(folder / "v2", other)
        assert not await follower.look()
        assert tokenizer.hash in service.trouble and other.hash in service.trouble
        save_weights(folder / "v4", tokenizer, layers=3)
        assert not await follower.look()
        assert service.trouble.startswith("v4: weights of another shape: layers 3")
        damaged = save_weights(folder / "v5", tokenizer) / "model.safetensors"
        damaged.write_bytes(damaged.read_bytes()[:-7])
        assert not await follower.look()
        assert "cut off" in service.trouble
        (save_weights(folder / "v6", tokenizer) / "manifest.json").unlink()  # half written
        assert not await follower.look()
        assert service.status().refused_weights == 3
        assert await service(asked()) == before
        save_weights(folder / "v7", tokenizer, seed=5)
        assert await follower.look()
        assert service.status().trouble == ""


def test_the_wrong_tokenizer_is_an_error_that_names_both(tokenizer, texts, tmp_path):
    from leanfleet.model.checkpoint import load as load_checkpoint
    from leanfleet.model.tokenizer_train import train_tokenizer

    folder = save_weights(tmp_path / "own", tokenizer)
    other = train_tokenizer(texts, 601)
    with pytest.raises(WrongTokenizer) as error:
        load_checkpoint(folder, tokenizer=other)
    assert tokenizer.hash in str(error.value) and other.hash in str(error.value)


# --- folders ----------------------------------------------------------------------------------------


def test_folders_of_weights(tokenizer, weights, tmp_path):
    assert locate(weights) == (weights, 0)
    with pytest.raises(ValueError, match="no such folder"):
        locate(tmp_path / "none")
    with pytest.raises(ValueError, match="neither weights"):
        locate(tmp_path)
    save_weights(tmp_path / "v2", tokenizer)
    save_weights(tmp_path / "v10", tokenizer, seed=3)
    assert locate(tmp_path) == (tmp_path / "v10", 10)
    assert identity(tmp_path, CONFIG) == identity(tmp_path / "v10", CONFIG)
    assert identity(tmp_path / "v2", CONFIG) != identity(tmp_path / "v10", CONFIG)
    other = CONFIG.model_copy(update={"prompt": str(weights / "config.json")})
    assert identity(tmp_path, other) != identity(tmp_path, CONFIG)


def test_settings_that_do_not_fit_the_weights_are_said(weights):
    with pytest.raises(ValueError, match="leave no room"):
        open_weights(weights, CONFIG.model_copy(update={"longest": 160}))
    with pytest.raises(ValueError, match="torch sees no such device"):
        import torch

        if torch.cuda.is_available():
            raise ValueError("torch sees no such device")  # it does here: nothing to test
        load(weights, CONFIG.model_copy(update={"device": "cuda"}))


async def test_a_busy_engine_is_waited_for(weights):
    """As in `leanfleet prove`: more searches at once than its queue takes."""
    config = CONFIG.model_copy(update={"queue_limit": 1, "lanes": 1})
    async with serving(weights, config) as service:
        ask = Balancer(lambda: {"engine": service})
        found = await asyncio.gather(*(ask(asked(samples=4, seed=i)) for i in range(12)))
        assert len(found) == 12 and service.status().busy > 0


def test_small_networks_have_something_to_say(tokenizer):
    """The others' premise: these random networks end some answers within the cap, not all at once."""
    from leanfleet.model.engine.engine import Engine, Limits

    engine = Engine(network(tokenizer), tokenizer.roles.end, Limits(8, 4, 12))
    for seed in range(8):
        engine.submit(Request((5, 6, 7, 8), 3, 4, 12, seed))
    answers = engine.run().values()
    lengths = [len(sample.ids) for answer in answers for sample in answer.samples]
    assert len(lengths) > 16 and sum(length > 1 for length in lengths) > 8


async def test_rows_of_an_embedding_that_no_token_has_are_never_drawn(tokenizer, tmp_path):
    folder = save_weights(tmp_path / "wide", tokenizer, vocabulary=4 * tokenizer.size)
    async with serving(folder) as service:
        for seed in range(5):
            found = await NetworkPolicy(service, seed).propose("s", GOALS, 8)
            assert not math.isnan(found.value)
