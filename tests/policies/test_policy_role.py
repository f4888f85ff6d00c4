"""Policy servers over real sockets: ranks that die, clients that stop reading, hostile bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time

import msgspec
import pytest
from networks import CONFIG, SETTINGS, goal, rank, save_weights, serving

from hpc import rendezvous, wire
from leanfleet.cli import main
from leanfleet.lean.transport import BadRequest, ServerBusy, Unreachable
from leanfleet.messages import (
    PAYLOAD_VERSION,
    GetPolicyStatus,
    GetStatus,
    ProposeTactics,
    decode_policy_reply,
    encode,
)
from leanfleet.policies.balance import Balancer
from leanfleet.policies.network import NetworkPolicy
from leanfleet.policies.server import MAX_MESSAGE_BYTES, handle
from leanfleet.policy import PolicyUnavailable
from leanfleet.roles.policy import balanced, connect, status_line, statuses


def asked(i: int) -> ProposeTactics:
    return ProposeTactics(f"n : Nat\nh : n = {i % 7}\n⊢ n < {i}", 1 + i % 8, seed=i)


async def test_a_rank_that_is_killed_mid_run_loses_nothing(tmp_path, weights):
    """All requests are answered, and as they would have been."""
    wire.create_keys(tmp_path / "keys")
    messages = [asked(i) for i in range(120)]
    async with serving(weights) as service:
        expected = await asyncio.gather(*map(balanced(service), messages))
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(rank(tmp_path, weights, 0))
        await stack.enter_async_context(rank(tmp_path, weights, 1))
        ask = await stack.enter_async_context(connect(tmp_path / "endpoints", tmp_path / "keys"))
        known = await statuses(tmp_path / "endpoints", tmp_path / "keys")
        assert len(known) == 2 and all(status.version == 0 for status in known.values())
        answered = []

        async def one(message):
            reply = await ask(message)
            answered.append(message.seed)
            if len(answered) == 20:  # both have work
                os.kill(first.pid, signal.SIGKILL)
            return reply

        found = await asyncio.gather(*map(one, messages))
        assert found == expected
        assert ask.resent > 0
        assert await first.wait() == -signal.SIGKILL
        (left,) = [
            status
            for status in (await statuses(tmp_path / "endpoints", tmp_path / "keys")).values()
            if not isinstance(status, str)
        ]
        assert 0 < left.answers < 120 + ask.resent


async def test_a_served_network_is_a_policy_with_a_status_and_stops_when_told(
    tmp_path, weights, capsys
):
    async with rank(tmp_path, weights) as process:
        (published,) = rendezvous.find(tmp_path / "endpoints", "policy")
        async with connect(tmp_path / "endpoints", tmp_path / "keys") as ask:
            policy = NetworkPolicy(ask, seed=3)
            first = await policy.propose("key", (goal("p : Prop\n⊢ p"),), 8)
            async with serving(weights) as service:
                same = await NetworkPolicy(service, seed=3).propose(
                    "key", (goal("p : Prop\n⊢ p"),), 8
                )
            assert first == same and policy.version == 0
            status = await ask(GetPolicyStatus())
            assert status.answers == 1 and status.tokens > 0 and status.queue_limit == 256
            assert status.cache_misses == 1 and "rows a step" in status_line(status)
        command = ["policy", "status", "--keys", str(tmp_path / "keys"), "--endpoints"]
        code = await asyncio.to_thread(main, [*command, str(tmp_path / "endpoints"), "--json"])
        assert code == 0 and published.endpoint in capsys.readouterr().out
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        assert rendezvous.find(tmp_path / "endpoints", "policy") == []
    code = await asyncio.to_thread(main, [*command, str(tmp_path / "endpoints")])
    assert code == 4 and "no policy server" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["a file", "/proc/nowhere"])
def test_endpoints_that_can_not_be_written(tmp_path, weights, capsys, place):
    (tmp_path / "a file").write_text("")
    (tmp_path / "keys").mkdir(mode=0o700)
    words = ["policy", "serve", "--weights", str(weights), "--keys", str(tmp_path / "keys")]
    assert main([*words, "--endpoints", str(tmp_path / place)]) == 2
    assert str(tmp_path / place) in capsys.readouterr().err


STOPS_READING = """
import asyncio, sys, time
from pathlib import Path
from hpc import rendezvous, wire
from leanfleet.messages import PAYLOAD_VERSION, ProposeTactics, encode

async def main(folder):
    (published,) = rendezvous.find(folder / "endpoints", "policy")
    keys = wire.load_keys(folder / "keys")
    link = wire.WireClient(published.endpoint, client_keys=keys.client,
                           server_public=keys.server_public, payload_version=PAYLOAD_VERSION)
    ask = lambda i: link.request(encode(ProposeTactics("p", 1, i)), seconds=60)
    await ask(0)
    tasks = [asyncio.create_task(ask(i)) for i in range(1, 200)]
    await asyncio.sleep(0)
    print("sent", flush=True)
    time.sleep(600)  # the loop stands still: nothing is read any more

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_client_that_stops_reading_holds_nobody_up(tmp_path, weights):
    async with rank(tmp_path, weights) as process:
        stuck = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", STOPS_READING, str(tmp_path)), stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(60):
                assert await stuck.stdout.readline() == b"sent\n"
            async with connect(tmp_path / "endpoints", tmp_path / "keys") as ask:
                found = await asyncio.gather(*(ask(asked(i)) for i in range(12)))
                status = await ask(GetPolicyStatus())
            assert len(found) == 12 and status.answers >= 13
            assert process.returncode is None and stuck.returncode is None
        finally:
            stuck.kill()
            await stuck.communicate()


async def test_a_client_that_leaves_with_requests_open_holds_nobody_up(tmp_path, weights):
    async with rank(tmp_path, weights, 0, "queue_limit=4") as process:
        (published,) = rendezvous.find(tmp_path / "endpoints", "policy")
        keys = wire.load_keys(tmp_path / "keys")

        def link():
            return wire.WireClient(
                published.endpoint,
                client_keys=keys.client,
                server_public=keys.server_public,
                payload_version=PAYLOAD_VERSION,
            )

        rude = link()
        asking = [
            asyncio.create_task(rude.request(encode(asked(i)), seconds=60)) for i in range(60)
        ]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        await rude.close()  # with requests open: their answers find nobody
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert any(isinstance(result, wire.Unreachable) for result in results) or done
        assert all(isinstance(r, (bytes, wire.Busy, wire.Unreachable)) for r in results)
        async with connect(tmp_path / "endpoints", tmp_path / "keys") as ask:
            found = await asyncio.gather(*(ask(asked(i)) for i in range(12)))
            assert len(found) == 12, "a queue of four is waited for"
        assert process.returncode is None


async def test_hostile_bytes_are_refused_and_others_served_on(tmp_path, weights):
    async with rank(tmp_path, weights):
        (published,) = rendezvous.find(tmp_path / "endpoints", "policy")
        keys = wire.load_keys(tmp_path / "keys")
        link = wire.WireClient(
            published.endpoint,
            client_keys=keys.client,
            server_public=keys.server_public,
            payload_version=PAYLOAD_VERSION,
        )
        bad = msgspec.msgpack.encode({"type": "propose", "state": "p", "samples": 10**6, "seed": 1})
        for payload in (b"", b"\xc1", encode(GetStatus()), bad, os.urandom(1000)):
            with pytest.raises(wire.RequestError) as error:
                await link.request(payload, seconds=30)
            assert error.value.kind == "not_a_request"
        reply = decode_policy_reply(await link.request(encode(asked(1)), seconds=30))
        assert reply.version == 0
        await link.close()
        wire.create_keys(tmp_path / "others")
        for name in ("server.key", "server.pub"):  # it knows the server, the server not it
            (tmp_path / "others" / name).unlink()
        shutil.copy(tmp_path / "keys" / "server.pub", tmp_path / "others" / "server.pub")
        folders = tmp_path / "endpoints", tmp_path / "others"
        async with connect(*folders, patience_seconds=0.2) as ask:
            with pytest.raises(PolicyUnavailable):
                await ask(asked(1))


async def test_newer_weights_are_served_without_a_restart(tmp_path, tokenizer):
    folder = tmp_path / "weights"
    save_weights(folder / "v1", tokenizer)
    async with rank(tmp_path, folder):
        async with connect(tmp_path / "endpoints", tmp_path / "keys") as ask:
            assert (await ask(asked(1))).version == 1
            save_weights(folder / "v2", tokenizer, seed=2)
            async with asyncio.timeout(60):
                while (reply := await ask(asked(1))).version == 1:
                    await asyncio.sleep(0.05)
        async with serving(folder / "v2") as service:
            assert (await service(asked(1))).tactics == reply.tactics


async def test_bytes_that_are_too_many_or_no_request():
    async def never(message):
        raise AssertionError

    for payload in (b"\x00" * (MAX_MESSAGE_BYTES + 1), b"\x80"):
        with pytest.raises(BadRequest):
            await handle(never, payload)


# --- the balancer alone -----------------------------------------------------------------------------


class Rank:
    """Answers its own name; `trouble` are raised first. `most`: how many it ever had at once."""

    def __init__(self, name, *trouble):
        self.name, self.trouble = name, list(trouble)
        self.now = self.most = self.asked = 0

    async def __call__(self, message):
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            if self.trouble:
                raise self.trouble.pop(0)
            return self.name
        finally:
            self.now -= 1


async def test_the_rank_with_the_fewest_open_requests_is_asked():
    ranks = {name: Rank(name) for name in "abc"}
    ask = Balancer(lambda: ranks)
    await asyncio.gather(*(ask(asked(i)) for i in range(30)))
    assert [rank.most for rank in ranks.values()] == [10, 10, 10]


async def test_a_lost_rank_is_left_alone_for_a_while_and_its_request_put_to_another():
    ranks = {"a": Rank("a", Unreachable("gone")), "b": Rank("b")}
    ask = Balancer(lambda: ranks)
    assert [await ask(asked(i)) for i in range(5)] == ["b"] * 5
    assert ranks["a"].asked == 1 and ask.resent == 1


async def test_busy_is_waited_for_and_other_ranks_asked_meanwhile():
    ranks = {"a": Rank("a", ServerBusy("full", 30.0)), "b": Rank("b", ServerBusy("full", 0.02))}
    ask = Balancer(lambda: ranks)
    assert await ask(asked(1)) == "b"
    assert (ranks["a"].asked, ranks["b"].asked) == (1, 2)


async def test_nobody_and_refusals_are_typed():
    for ranks, word in (
        ({}, "there is no policy server"),
        ({"a": Rank("a", *[Unreachable("gone")] * 9)}, "gone"),
        ({"a": Rank("a", *[ServerBusy("full", 0.01)] * 99)}, "full"),
        ({"a": Rank("a", BadRequest("impossible", "never"))}, "refuses .impossible.: never"),
    ):
        began = time.monotonic()
        with pytest.raises(PolicyUnavailable, match=word):
            await Balancer(lambda ranks=ranks: ranks, patience_seconds=0.2)(asked(1))
        assert time.monotonic() - began < 60, "the patience, not for ever"


async def test_ranks_that_come_later_are_found():
    ranks = {}
    ask = Balancer(lambda: dict(ranks), patience_seconds=60)
    asking = asyncio.create_task(ask(asked(1)))
    await asyncio.sleep(0.02)
    assert not asking.done()
    ranks["late"] = Rank("late")
    assert await asking == "late"


def test_config_of_the_tests_is_that_of_the_served_ranks():
    assert all(f"{getattr(CONFIG, s.split('=')[0])}" == s.split("=")[1] for s in SETTINGS[:3])
