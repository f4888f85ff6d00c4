"""The client: handles that outlive sessions and servers, patience with busy and absent ones."""

import asyncio
import random

import pytest
from standin import World

from leanfleet.lean.client import ClientOptions, Handle, LeanClient, LeanUnavailable, StepResult
from leanfleet.lean.pool import Pool, PoolOptions
from leanfleet.lean.process import ProcessOptions
from leanfleet.lean.server import LeanServer, ServerOptions
from leanfleet.lean.transport import BadRequest, ServerBusy, Unreachable
from leanfleet.messages import (
    CloseSession,
    ErrorKind,
    Forget,
    KeepAlive,
    Limits,
    Restore,
    RunTactics,
    Theorem,
    decode_request,
)

THEOREM = Theorem(name="t", statement="theorem t : True")


class Line:
    """A transport from a client to the server of the moment, with faults and a record."""

    def __init__(self):
        self.world = World()
        options = PoolOptions(search=1, verify=1, process=ProcessOptions(grace_seconds=0.05))
        self.pool = Pool(self.world.make, options, resident=self.world.resident)
        self.server = LeanServer(self.pool, ServerOptions(lease_seconds=30.0))
        self.faults: list[Exception] = []  # the next requests fail so
        self.sent = []

    def restart_server(self):
        """All sessions are gone; the Lean processes are left as they are."""
        self.server = LeanServer(self.pool, ServerOptions(lease_seconds=30.0))

    async def request(self, payload: bytes, seconds: float) -> bytes:
        self.sent.append(decode_request(payload))
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)
        return await self.server.handle(b"me", payload)

    def count(self, kind) -> int:
        return sum(isinstance(message, kind) for message in self.sent)

    def client(self, **options) -> LeanClient:
        patience = {"patience_seconds": 5.0, "forget_after_seconds": 0.01} | options
        return LeanClient(self.request, ClientOptions(**patience), jitter=random.Random(1))


@pytest.fixture
async def line():
    line = Line()
    await line.pool.start()
    yield line
    await line.pool.close()


@pytest.fixture
async def lean(line):
    async with line.client() as client:
        yield client


async def test_a_short_search(lean):
    root = await lean.open(THEOREM)
    assert isinstance(root, Handle) and root.goals[0].target == "t" and root.path == ()
    step = await lean.run_tactic(root, "split 2")
    assert isinstance(step, StepResult)
    assert [[(s.tactic, s.group) for s in group.path] for group in step.groups] == [
        [("split 2", 0)],
        [("split 2", 1)],
    ]
    assert (await lean.run_tactic(step.groups[1], "done")).groups == ()
    assert (await lean.run_tactic(root, "nonsense")).kind is ErrorKind.TACTIC
    assert (await lean.verify(THEOREM, "done")).accepted
    assert (await lean.status()).sessions == 1


async def test_leaving_frees_everything(line):
    async with line.client() as lean:
        await lean.run_tactic(await lean.open(THEOREM), "left")
        assert (await lean.status()).states == 2
    assert isinstance(line.sent[-1], CloseSession)
    assert line.server.status().states == 0 and line.server.status().sessions == 0


async def test_handles_outlive_the_server(line, lean):
    root = await lean.open(THEOREM)
    (child,) = (await lean.run_tactic(root, "left")).groups
    line.restart_server()
    step = await lean.run_tactic(child, "right")
    assert step.groups[0].goals[0].target == "t.left.right"
    assert line.count(Restore) == 1


async def test_calls_that_lost_the_same_state_share_one_restoring(line, lean):
    root = await lean.open(THEOREM)
    line.restart_server()
    steps = await asyncio.gather(*(lean.run_tactic(root, "left") for _ in range(5)))
    assert all(step.groups for step in steps)
    assert line.count(Restore) == 1


async def test_a_state_that_is_lost_again_and_again_is_a_machines_error(line, lean):
    root = await lean.open(THEOREM)
    request = line.request

    async def forgetful(payload, seconds):
        if isinstance(decode_request(payload), RunTactics):
            line.restart_server()
        return await request(payload, seconds)

    lean._request = forgetful
    error = await lean.run_tactic(root, "left")
    assert error.kind is ErrorKind.CRASH and error.kind.is_machine


async def test_restoring_to_another_state_is_a_machines_error(line, lean):
    (child,) = (await lean.run_tactic(await lean.open(THEOREM), "random")).groups
    line.restart_server()
    line.world.living("search")[0].pid = 99
    line.world.resident = lambda pid: 0
    line.pool._resident = lambda pid: 0
    for process in line.pool._by_serial.values():
        process._resident = lambda pid: 0
    error = await lean.run_tactic(child, "left")
    assert error.kind is ErrorKind.CRASH and "different state" in error.message


async def test_a_handle_of_another_client_is_rebuilt_here(line, lean):
    async with line.client() as other:
        handle = await other.open(THEOREM)
        assert (await lean.run_tactic(handle, "left")).groups


async def test_forgetting_is_batched_and_not_waited_for(line, lean):
    root = await lean.open(THEOREM)
    step = await lean.run_tactic(root, "split 5")
    for group in step.groups:
        await lean.forget([group])
    assert line.count(Forget) == 0
    async with asyncio.timeout(20):
        while line.server.status().states > 1:
            await asyncio.sleep(0.005)
    assert line.count(Forget) == 1
    assert (await lean.run_tactic(step.groups[3], "left")).groups, "it is rebuilt when used"


async def test_many_forgotten_states_are_sent_at_once(line):
    async with line.client(forget_at_once=3, forget_after_seconds=60.0) as lean:
        step = await lean.run_tactic(await lean.open(THEOREM), "split 3")
        await lean.forget(step.groups)
        await asyncio.sleep(0.01)
        assert line.count(Forget) == 1


async def test_busy_is_waited_out(line, lean):
    line.faults = [ServerBusy("full", 0.01), ServerBusy("full", 0.01)]
    assert isinstance(await lean.open(THEOREM), Handle)


async def test_an_absent_server_is_waited_for(line, lean):
    root = await lean.open(THEOREM)
    line.faults = [Unreachable("connection lost")]
    assert (await lean.run_tactic(root, "left")).groups


async def test_patience_ends(line):
    async with line.client(patience_seconds=0.05) as lean:
        line.faults = [ServerBusy("full", 0.02)] * 50
        with pytest.raises(LeanUnavailable, match=r"no Lean for 0\.05 s: full"):
            await lean.open(THEOREM, Limits(seconds=0.01))
        line.faults = []
        assert isinstance(await lean.open(THEOREM), Handle)


async def test_a_refusal_is_not_repeated(line, lean):
    line.faults = [BadRequest("too_large", "10 bytes, the limit is 5")]
    with pytest.raises(LeanUnavailable, match="refuses .too_large.: 10 bytes"):
        await lean.open(THEOREM)
    assert len(line.sent) == 1


async def test_an_idle_session_is_kept_alive(line):
    async with line.client(keep_alive_seconds=0.01) as lean:
        await lean.open(THEOREM)
        async with asyncio.timeout(20):
            while line.count(KeepAlive) < 2:
                await asyncio.sleep(0.005)
        line.faults = [Unreachable("gone")]
        async with asyncio.timeout(20):  # a lost one does no harm
            while line.faults:
                await asyncio.sleep(0.005)
