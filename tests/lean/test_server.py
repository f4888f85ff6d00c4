"""The server: replay after loss, containment, leases, isolation of peers, limits, bad requests.

One test speaks to a real LeanServer by messages, over a pool of stand-ins (see standin.py).
"""

import asyncio

import pytest
from standin import SilentStandIn, StandIn, World

from leanfleet.lean.pool import Pool, PoolOptions
from leanfleet.lean.process import ProcessOptions
from leanfleet.lean.server import LeanServer, ServerOptions
from leanfleet.lean.sessions import Sessions
from leanfleet.lean.state import digest
from leanfleet.lean.supervise import StartOptions
from leanfleet.lean.transport import BadRequest, ServerBusy
from leanfleet.messages import (
    Answers,
    CloseSession,
    Done,
    ErrorKind,
    Forget,
    GetStatus,
    KeepAlive,
    LeanStatus,
    Limits,
    OpenTheorem,
    PathStep,
    ProofState,
    Restore,
    RunTactics,
    StateLost,
    Step,
    Theorem,
    Verdict,
    VerdictReason,
    VerifyProof,
    decode_reply,
    encode,
)

THEOREM = Theorem(name="t", statement="theorem t : True")
SHORT = Limits(seconds=5.0)


class Desk:
    """A server, its world, and a way to ask it: `await desk.ask(request)`."""

    def __init__(
        self, *, search=2, verify=1, process=None, server=None, queue_limit=64, world=StandIn
    ):
        self.now = 0.0
        self.world = World(world)
        options = PoolOptions(
            search=search,
            verify=verify,
            queue_limit=queue_limit,
            process=process or ProcessOptions(grace_seconds=0.05),
            start=StartOptions(backoff_seconds=0.01),
        )
        self.pool = Pool(self.world.make, options, resident=self.world.resident)
        self.options = server or ServerOptions(lease_seconds=30.0)
        self.sessions = Sessions(30.0, clock=lambda: self.now, first_id=1000)
        self.server = LeanServer(self.pool, self.options, sessions=self.sessions)

    async def ask(self, request, peer=b"alice"):
        return decode_reply(await self.server.handle(peer, encode(request)))

    async def open(self, session="s", theorem=THEOREM, peer=b"alice") -> ProofState:
        return await self.ask(OpenTheorem(session, theorem), peer)

    async def run(self, state, tactic, session="s", peer=b"alice", limits=SHORT):
        reply = await self.ask(RunTactics(session, state, (tactic,), limits), peer)
        return reply.answers[0] if isinstance(reply, Answers) else reply

    async def walk(self, *tactics) -> ProofState:
        """The state after these tactics from a newly opened theorem."""
        state = await self.open()
        for tactic in tactics:
            (state,) = (await self.run(state.id, tactic)).groups
        return state

    async def lose_all_processes(self) -> None:
        """Every search process dies; returns when the replacements are ready."""
        before = len(self.world.started("search"))
        for process in self.world.living("search"):
            process.alive = False
        self.pool.ready  # noqa: B018 - looking is how an idle death is noticed
        lost = self.pool.options.search
        await self.until(lambda: len(self.world.started("search")) == before + lost)

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)

    def retained(self) -> int:
        """States that the living Lean processes keep."""
        return sum(len(process.states) for process in self.world.living("search"))


@pytest.fixture
async def desk():
    async with made() as desk:
        yield desk


class made:
    def __init__(self, **arguments):
        self.desk = Desk(**arguments)

    async def __aenter__(self):
        await self.desk.pool.start()
        return self.desk

    async def __aexit__(self, *_):
        await self.desk.server.close(0.0)
        await self.desk.pool.close()


# --- the plain path -------------------------------------------------------------------------------


async def test_open_and_run(desk):
    state = await desk.open()
    assert state.goals[0].target == "t"
    step = await desk.run(state.id, "split 2")
    assert [group.goals[0].target for group in step.groups] == ["t.0", "t.1"]
    assert (await desk.run(step.groups[0].id, "done")).groups == ()
    again = await desk.run(state.id, "left")
    assert again.groups[0].goals[0].target == "t.left", "a state stays as it was"


async def test_expected_failures_are_values(desk):
    state = await desk.open()
    assert (await desk.run(state.id, "nonsense")).kind is ErrorKind.TACTIC
    bad = await desk.open(theorem=Theorem(name="b", statement="theorem b : bad"))
    assert bad.kind is ErrorKind.STATEMENT
    assert desk.sessions.nodes == 1, "the theorem that failed left nothing behind"


async def test_verdicts(desk):
    good = await desk.ask(VerifyProof(THEOREM, "done"))
    assert isinstance(good, Verdict) and good.accepted
    assert not (await desk.ask(VerifyProof(THEOREM, "sorry"))).accepted
    crash = await desk.ask(VerifyProof(THEOREM, "crash"))
    assert crash.kind is ErrorKind.CRASH
    assert (await desk.ask(VerifyProof(THEOREM, "done"))).accepted, "another process answers"


async def test_the_tactics_of_one_request_are_answered_in_their_order(desk):
    state = await desk.open()
    tactics = ("left", "nonsense", "split 2", "done", "right")
    reply = await desk.ask(RunTactics("s", state.id, tactics, SHORT))
    left, nonsense, split, done, right = reply.answers
    assert nonsense.kind is ErrorKind.TACTIC and done.groups == ()
    targets = [group.goals[0].target for step in (left, split, right) for group in step.groups]
    assert targets == ["t.left", "t.0", "t.1", "t.right"]


async def test_a_crash_in_the_middle_costs_only_its_own_answer(desk):
    state = await desk.open()
    reply = await desk.ask(RunTactics("s", state.id, ("left", "crash", "right"), SHORT))
    left, crash, right = reply.answers
    assert crash.kind is ErrorKind.CRASH
    for step in (left, right):  # whichever process they were made by
        assert isinstance(await desk.run(step.groups[0].id, "done"), Step)


async def test_a_death_that_nobody_explains_costs_only_the_answer_of_its_tactic():
    async with made(search=1, world=SilentStandIn) as desk:
        state = await desk.open()
        reply = await desk.ask(RunTactics("s", state.id, ("left", "crash", "done"), SHORT))
        left, crash, done = reply.answers
        assert crash.kind is ErrorKind.CRASH and crash.fatal
        assert left.groups[0].goals[0].target == "t.left" and done.groups == ()
        assert isinstance(await desk.run(left.groups[0].id, "done"), Step)
        assert len(desk.world.started("search")) == 3, "one lost together, one alone"


async def test_the_number_of_tactics_of_one_request_is_bounded():
    async with made(server=ServerOptions(max_tactics=2)) as desk:
        state = await desk.open()
        for tactics in ((), ("left",) * 3):
            with pytest.raises(BadRequest, match="1 to 2"):
                await desk.ask(RunTactics("s", state.id, tactics, SHORT))


async def test_status_is_live(desk):
    state = await desk.open()
    await desk.run(state.id, "left")
    await desk.run(state.id, "fail")
    status = await desk.ask(GetStatus())
    assert isinstance(status, LeanStatus)
    assert (status.sessions, status.states, status.steps, status.heartbeats) == (1, 2, 2, 7)
    assert status.errors == {"tactic": 1} and status.lean == "1 (stand-in)"
    assert [p.role for p in status.processes] == ["search", "search", "verify"]


# --- replay after loss ----------------------------------------------------------------------------


async def test_a_lost_state_is_replayed_on_another_process(desk):
    state = await desk.walk("left", "right")
    await desk.lose_all_processes()
    step = await desk.run(state.id, "left")
    assert step.groups[0].goals[0].target == "t.left.right.left"
    status = await desk.ask(GetStatus())
    assert status.replays == 1 and status.restarts == {"crash": 2}
    logs = [process.log for process in desk.world.living("search") if process.log]
    assert logs == [["open t", "left", "right", "left"]]


async def test_replay_goes_on_from_the_nearest_state_that_is_there(desk):
    parent = await desk.walk("left")
    (child,) = (await desk.run(parent.id, "right")).groups
    await desk.lose_all_processes()
    await desk.run(parent.id, "done")
    await desk.run(child.id, "done")
    (log,) = [process.log for process in desk.world.living("search") if process.log]
    assert log == ["open t", "left", "done", "right", "done"]


async def test_replay_takes_the_right_group_and_keeps_no_others(desk):
    state = await desk.open()
    groups = (await desk.run(state.id, "split 3")).groups
    await desk.ask(Forget("s", (state.id, groups[0].id, groups[1].id)))
    await desk.lose_all_processes()
    step = await desk.run(groups[2].id, "left")
    assert step.groups[0].goals[0].target == "t.2.left"
    await desk.until(lambda: desk.retained() == 2)  # the group and its child, not the way there


async def test_a_replay_that_gives_another_state_is_an_error(desk):
    state = await desk.walk("random", "left")
    await desk.lose_all_processes()
    error = await desk.run(state.id, "left")
    assert error.kind is ErrorKind.CRASH
    assert error.message.startswith("replay gave a different state: after `random`")
    await desk.ask(CloseSession("s"))
    await desk.until(lambda: desk.retained() == 0)


async def test_a_state_whose_replay_kills_processes_is_given_up(desk):
    state = await desk.walk("bomb")
    await desk.lose_all_processes()
    error = await desk.run(state.id, "left")
    assert error.kind is ErrorKind.CRASH and "could not be rebuilt in 2 attempts" in error.message
    assert desk.world.bombs == 3, "once by the search, twice by replay"
    assert (await desk.run(state.id, "left")).kind is ErrorKind.CRASH
    assert desk.world.bombs == 3, "and never again"


async def test_a_crash_costs_the_others_a_replay_and_no_answer():
    async with made(search=1) as desk:
        state = await desk.walk("left")
        tactics = ["slow 0.01", "crash", "right", "left", "done"]
        first, crash, *others = await asyncio.gather(*(desk.run(state.id, t) for t in tactics))
        assert isinstance(first, Step) and crash.kind is ErrorKind.CRASH
        assert [len(step.groups) for step in others] == [1, 1, 0]
        assert desk.world.living("search")[0].log[:2] == ["open t", "left"]


async def test_recycling_is_not_noticed():
    async with made(search=1, process=ProcessOptions(recycle_steps=3)) as desk:
        state = await desk.open()
        for n in range(10):
            (state,) = (await desk.run(state.id, "left")).groups
            assert state.goals[0].target == "t" + ".left" * (n + 1)
        assert desk.pool.restarts["recycled"] >= 3


async def test_a_call_of_a_client_that_is_gone_leaves_nothing():
    async with made(search=1) as desk:
        state = await desk.open()
        running = asyncio.create_task(desk.run(state.id, "slow 0.03"))
        waiting = asyncio.create_task(desk.open())
        await asyncio.sleep(0.01)
        running.cancel()
        waiting.cancel()
        await asyncio.wait([running, waiting])
        await desk.until(lambda: desk.retained() == 1)
        assert desk.sessions.nodes == 1


async def test_the_tactics_that_a_client_no_longer_waits_for_are_not_run():
    async with made(search=1) as desk:
        state = await desk.open()
        tactics = ("left", "slow 1", *("right",) * 50)
        running = asyncio.create_task(desk.ask(RunTactics("s", state.id, tactics, SHORT)))
        await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
        await desk.until(lambda: desk.retained() == 1)
        assert "right" not in desk.world.processes[0].log


@pytest.mark.parametrize(("rounds", "opened"), [(1, False), (2, True)])
async def test_opening_for_a_client_that_is_gone_leaves_nothing(rounds, opened):
    """Gone before its turn, and with the answer on its way."""
    async with made(search=1) as desk:
        lean = desk.world.processes[0]
        opening = asyncio.create_task(desk.open())
        for _ in range(rounds):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
        await desk.until(lambda: lean.forgotten == opened)
        assert ("open t" in lean.log) is opened
        assert desk.sessions.nodes == 0 and desk.retained() == 0


# --- restoring by the client ----------------------------------------------------------------------


async def test_restore_builds_a_state_from_its_path(desk):
    before = await desk.walk("left", "split 1")
    path = (PathStep("left", 0), PathStep("split 1", 0))
    restored = await desk.ask(Restore("other", THEOREM, path, digest(before)))
    assert restored.goals == before.goals and restored.id != before.id
    assert (await desk.run(restored.id, "done", session="other")).groups == ()


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ((PathStep("right", 0),), "its goals are now"),
        ((PathStep("nonsense", 0),), "it now fails"),
        ((PathStep("split 2", 5),), "it leaves 2 groups"),
    ],
)
async def test_restoring_to_something_else_is_a_crash_error(desk, path, fault):
    before = await desk.walk("left")
    error = await desk.ask(Restore("other", THEOREM, path, digest(before)))
    assert error.kind is ErrorKind.CRASH
    assert "different state" in error.message and fault in error.message
    assert desk.sessions.nodes == 2, "only what the other session holds"


# --- sessions, leases, peers ----------------------------------------------------------------------


async def test_unknown_states_are_lost(desk):
    assert await desk.run(17, "left") == StateLost(17)
    state = await desk.open()
    await desk.ask(Forget("s", (state.id, state.id, 99)))
    assert await desk.run(state.id, "left") == StateLost(state.id)


async def test_ids_of_a_restarted_server_are_others():
    async with made() as one, made() as two:
        one.server, two.server = LeanServer(one.pool), LeanServer(two.pool)
        assert (await one.open()).id != (await two.open()).id


async def test_one_peer_cannot_touch_anothers_session(desk):
    state = await desk.open("s", peer=b"alice")
    assert await desk.run(state.id, "left", "s", peer=b"bob") == StateLost(state.id)
    await desk.ask(Forget("s", (state.id,)), peer=b"bob")
    await desk.ask(CloseSession("s"), peer=b"bob")
    assert (await desk.run(state.id, "left", "s", peer=b"alice")).groups


async def test_a_silent_clients_states_are_freed(desk):
    state = await desk.walk("left")
    desk.now = 29.0
    assert await desk.ask(KeepAlive("s")) == Done()
    desk.now = 58.0
    desk.server.end_leases()
    assert (await desk.run(state.id, "right")).groups, "renewed at 29"
    desk.now = 88.5
    desk.server.end_leases()
    assert len(desk.sessions) == 0 and desk.sessions.nodes == 0
    await desk.until(lambda: desk.retained() == 0)
    assert await desk.run(state.id, "right") == StateLost(state.id)


async def test_a_running_tactic_keeps_the_lease(desk):
    state = await desk.open()
    call = asyncio.create_task(desk.run(state.id, "slow 0.03"))
    await asyncio.sleep(0.01)
    desk.now = 1000.0
    desk.server.end_leases()
    assert (await call).groups


async def test_a_session_closed_during_a_tactic_keeps_nothing(desk):
    state = await desk.open()
    call = asyncio.create_task(desk.run(state.id, "slow 0.03"))
    await asyncio.sleep(0.01)
    await desk.ask(CloseSession("s"))
    assert await call == StateLost(state.id)
    await desk.until(lambda: desk.retained() == 0 and desk.sessions.nodes == 0)


async def test_a_state_forgotten_during_its_tactic_still_answers(desk):
    state = await desk.open()
    call = asyncio.create_task(desk.run(state.id, "slow 0.03"))
    await asyncio.sleep(0.01)
    await desk.ask(Forget("s", (state.id,)))
    (child,) = (await call).groups
    assert (await desk.run(child.id, "left")).groups


async def test_nothing_is_left_after_all_clients_leave(desk):
    for session in "abc":
        state = await desk.open(session)
        for _ in range(5):
            state = (await desk.run(state.id, "split 3", session)).groups[1]
    await desk.lose_all_processes()
    await desk.run(state.id, "left", "c")
    for session in "abc":
        await desk.ask(CloseSession(session))
    await desk.until(lambda: desk.retained() == 0)
    status = await desk.ask(GetStatus())
    assert (status.states, status.sessions) == (0, 0)
    assert [p.states for p in status.processes] == [0, 0, 0] and not desk.sessions.homes


# --- bounds and bad requests ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"hello", encode(RunTactics("s", 1, ("left",)))[:-3], encode(Done())]
)
async def test_what_is_no_request_is_refused(desk, payload):
    with pytest.raises(BadRequest) as refused:
        await desk.server.handle(b"alice", payload)
    assert refused.value.kind == "malformed"
    assert (await desk.open()).goals, "and the server goes on"


async def test_text_that_is_not_utf_8_is_refused(desk):
    payload = encode(RunTactics("s", 1, ("left",))).replace(b"left", b"\xff\xfe\xfd\xfc")
    with pytest.raises(BadRequest):
        await desk.server.handle(b"alice", payload)


async def test_sizes_are_bounded():
    options = ServerOptions(
        max_message_bytes=5000, max_theorem_bytes=100, max_tactic_bytes=50, max_path=3
    )
    async with made(server=options) as desk:
        with pytest.raises(BadRequest) as refused:
            await desk.server.handle(b"alice", b"x" * 5001)
        assert refused.value.kind == "too_large"
        long = Theorem(name="t", statement="theorem t : " + "x" * 100)
        assert (await desk.open(theorem=long)).kind is ErrorKind.STATEMENT
        long = Theorem(name="t", statement="theorem t : x", header="x" * 100)
        assert (await desk.open(theorem=long)).kind is ErrorKind.HEADER
        state = await desk.open()
        reply = await desk.ask(RunTactics("s", state.id, ("left", "x" * 51, "right"), SHORT))
        left, long, right = reply.answers
        assert long.kind is ErrorKind.PARSE and left.groups and right.groups
        verdict = await desk.ask(VerifyProof(THEOREM, "x" * 801))
        assert not verdict.accepted and verdict.reason is VerdictReason.PARSE
        with pytest.raises(BadRequest):
            await desk.ask(Restore("s", THEOREM, (PathStep("left", 0),) * 4))


async def test_limits_are_cut_down_to_the_servers():
    async with made(server=ServerOptions(max_seconds=0.05), search=1) as desk:
        state = await desk.open()
        error = await desk.run(state.id, "hang", limits=Limits(seconds=1e6))
        assert error.kind is ErrorKind.TIMEOUT


@pytest.mark.parametrize("limits", [Limits(0, 1.0), Limits(10, 0.0), Limits(10, float("nan"))])
async def test_impossible_limits_are_refused(desk, limits):
    with pytest.raises(BadRequest):
        await desk.ask(OpenTheorem("s", THEOREM, limits))


async def test_a_session_needs_a_name_of_its_own(desk):
    for name in ("", "x" * 1000):
        with pytest.raises(BadRequest):
            await desk.open(name)


async def test_states_and_sessions_are_bounded():
    async with made(server=ServerOptions(max_states=3, max_sessions=2)) as desk:
        state = await desk.walk("left", "left")
        with pytest.raises(ServerBusy, match="states are held"):
            await desk.run(state.id, "left")
        await desk.ask(KeepAlive("other"))
        with pytest.raises(ServerBusy, match="sessions are open"):
            await desk.ask(KeepAlive("third"))


async def test_no_verdicts_without_verify_processes():
    async with made(verify=0) as desk:
        with pytest.raises(BadRequest) as refused:
            await desk.ask(VerifyProof(THEOREM, "done"))
        assert refused.value.kind == "no_verifier"


async def test_closing_finishes_what_runs_and_takes_nothing_new(desk):
    state = await desk.open()
    call = asyncio.create_task(desk.run(state.id, "slow 0.03"))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(desk.server.close(5.0))
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy, match="shutting down"):
        await desk.open()
    await closing
    assert call.done() and (await call).groups
