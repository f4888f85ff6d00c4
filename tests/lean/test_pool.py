"""The pool: turns, placement, bounded waiting, deadlines, retirement, recycling."""

import asyncio

import pytest
from standin import World

from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.pool import Pool, PoolOptions
from leanfleet.lean.process import ProcessOptions
from leanfleet.lean.supervise import StartOptions
from leanfleet.lean.transport import ServerBusy
from leanfleet.messages import ErrorKind, LeanError, Limits, Theorem

THEOREM = Theorem(name="t", statement="theorem t : True")
SHORT = Limits(seconds=0.05)
QUICK_START = StartOptions(start_seconds=0.5, backoff_seconds=0.01)


def options(search=1, verify=0, grace=0.05, process=None, **more) -> PoolOptions:
    process = process or ProcessOptions(grace_seconds=grace)
    more = {"start": QUICK_START, "ready_wait_seconds": 2.0} | more
    return PoolOptions(search=search, verify=verify, process=process, **more)


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def started(world):
    """`await started(options)`: a started pool, closed after the test."""
    pools = []

    async def start(given: PoolOptions) -> Pool:
        pool = Pool(world.make, given, resident=world.resident)
        pools.append(pool)
        await pool.start()
        return pool

    yield start
    for pool in pools:
        await pool.close()


def opening(theorem=THEOREM):
    async def work(process):
        return process, await process.open(theorem, Limits())

    return work


def running(state, tactic, limits=SHORT):
    async def work(process):
        return await process.run_tactic(state, tactic, limits)

    return work


async def at(pool, process, state, tactic, limits=SHORT):
    places = {process.serial: state}
    return await pool.run(running(state, tactic, limits), places=places)


async def until(condition, what):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what


# --- readiness ------------------------------------------------------------------------------------


async def test_it_is_ready_only_after_the_imports(world):
    world.start_gate = asyncio.Event()
    pool = Pool(world.make, options(search=2, verify=1))
    starting = asyncio.create_task(pool.start())
    await asyncio.sleep(0.02)
    assert not starting.done() and not pool.ready
    assert {p.state for p in pool.status()} == {"starting"}
    world.start_gate.set()
    await starting
    assert pool.ready and pool.lean == "1 (stand-in)"
    assert [p.role for p in pool.status()] == ["search", "search", "verify"]
    await pool.close()
    assert not pool.ready and all(process.closed for process in world.processes)


async def test_a_pool_that_cannot_start_says_why_instead_of_hanging(world):
    world.start_failures = 10
    with pytest.raises(LeanStartError, match="the library is not there"):
        await Pool(world.make, options()).start()


async def test_a_start_that_never_ends_is_given_up(world):
    world.start_gate = asyncio.Event()
    given = options(start=StartOptions(start_seconds=0.05))
    with pytest.raises(LeanStartError, match=r"not ready 0\.05 s after its start"):
        await Pool(world.make, given).start()
    assert all(process.closed for process in world.processes)


async def test_starts_that_fail_are_repeated_and_seen(started, world):
    world.start_failures = 1
    pool = await started(options(search=2))
    assert pool.trouble == "the library is not there"
    assert sorted(p.state for p in pool.status()) == ["dead", "idle"]
    await until(lambda: not pool.trouble, "the second try succeeds")
    assert pool.restarts["start failed"] == 1


async def test_no_process_and_no_hope_of_one_is_busy_at_once(started, world):
    pool = await started(options())
    world.start_failures = 1000
    process, state = await pool.run(opening())
    await at(pool, process, state.id, "crash")
    await until(lambda: pool.trouble, "the replacement fails to start")
    with pytest.raises(ServerBusy, match="the library is not there"):
        await pool.run(opening())


# --- placement ------------------------------------------------------------------------------------


async def test_new_theorems_spread_and_states_stay(started):
    pool = await started(options(search=2))
    homes: dict[int, int] = {}
    for _ in range(4):
        process, _ = await pool.run(opening(), homes=homes)
        homes[process.serial] = homes.get(process.serial, 0) + 1
    assert sorted(homes.values()) == [2, 2]
    process, state = await pool.run(opening(), homes=homes)
    for _ in range(5):
        step = await at(pool, process, state.id, "left")
        assert step.groups[0].goals[0].target == "t.left"


async def test_among_equals_the_process_with_the_header_is_chosen(started):
    pool = await started(options(search=2))
    first = Theorem(name="a", statement="theorem a : True", header="import A")
    other = Theorem(name="b", statement="theorem b : True", header="import B")
    with_a, _ = await pool.run(opening(first), header="import A")
    with_b, _ = await pool.run(opening(other), header="import B", homes={with_a.serial: 1})
    assert with_a is not with_b
    for _ in range(3):
        again, _ = await pool.run(opening(first), header="import A")
        assert again is with_a


async def test_the_header_does_not_starve_the_others(started):
    pool = await started(options(search=2))
    process, _ = await pool.run(opening(), header="h")
    other, _ = await pool.run(opening(), header="h", homes={process.serial: 1})
    assert other is not process


async def test_a_long_queue_gives_work_away(started):
    pool = await started(options(search=2, steal_margin=2))
    process, state = await pool.run(opening())

    async def where(lean):
        await asyncio.sleep(0.01)
        return lean.serial

    places = {process.serial: state.id}
    used = await asyncio.gather(*(pool.run(where, places=places) for _ in range(6)))
    assert len(set(used)) == 2 and used.count(process.serial) > 2


async def test_verdicts_come_from_processes_that_never_search(started, world):
    pool = await started(options(search=1, verify=1))

    async def work(process):
        return await process.verify(THEOREM, "done", Limits())

    assert (await pool.run(work, role="verify")).accepted
    await pool.run(opening())
    (search,), (verify,) = world.living("search"), world.living("verify")
    assert search.log == ["open t"] and verify.log == ["verify done"]


# --- bounded waiting ------------------------------------------------------------------------------


async def test_too_much_waiting_is_busy_with_a_time_to_come_back(started):
    pool = await started(options(queue_limit=3))
    process, state = await pool.run(opening())
    calls = [asyncio.create_task(at(pool, process, state.id, "slow 0.02")) for _ in range(4)]
    await asyncio.sleep(0)
    assert pool.queued == 3
    with pytest.raises(ServerBusy) as busy:
        await pool.run(opening())
    assert busy.value.retry_after_seconds > 0
    assert all(step.groups for step in await asyncio.gather(*calls))
    assert pool.queued == 0


async def test_a_caller_that_leaves_the_queue_costs_nothing(started, world):
    pool = await started(options())
    process, state = await pool.run(opening())
    first = asyncio.create_task(at(pool, process, state.id, "slow 0.05"))
    second = asyncio.create_task(at(pool, process, state.id, "left"))
    await asyncio.sleep(0.01)
    assert pool.queued == 1
    second.cancel()
    await asyncio.sleep(0)
    assert pool.queued == 0
    await first
    assert "left" not in world.processes[0].log and pool.queued == 0


async def test_a_caller_that_leaves_as_its_answer_comes_loses_only_the_result(started, world):
    pool = await started(options())
    process, state = await pool.run(opening())
    call = asyncio.create_task(at(pool, process, state.id, "left"))
    lean = world.processes[0]
    while "left" not in lean.log:
        await asyncio.sleep(0)
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: lean.forgotten == 1, "the state that nobody got is freed")
    assert process.states == 1


async def test_a_caller_that_leaves_during_its_turn_loses_only_the_result(started, world):
    pool = await started(options())
    process, state = await pool.run(opening())
    call = asyncio.create_task(at(pool, process, state.id, "slow 0.03"))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    lean = world.processes[0]
    await until(lambda: lean.forgotten == 1, "the state that nobody got is freed")
    assert lean.alive and process.states == 1


# --- the end of a process -------------------------------------------------------------------------


async def test_a_crash_answers_only_the_call_that_caused_it(started, world):
    pool = await started(options(search=2))
    process, state = await pool.run(opening())
    crash = asyncio.create_task(at(pool, process, state.id, "crash"))
    queued = [
        asyncio.create_task(pool.run(opening(), places={process.serial: state.id}))
        for _ in range(2)
    ]
    error = await crash
    assert isinstance(error, LeanError) and error.kind is ErrorKind.CRASH
    for moved, reply in await asyncio.gather(*queued):
        assert moved is not process and reply.goals
    await until(lambda: len(world.living("search")) == 2, "a replacement is started")
    assert pool.restarts["crash"] == 1


@pytest.mark.parametrize(
    ("tactic", "kind", "reason"),
    [("hang", ErrorKind.TIMEOUT, "timeout"), ("raise", ErrorKind.CRASH, "crash")],
)
async def test_a_driver_that_fails_is_ended_and_replaced(started, world, tactic, kind, reason):
    pool = await started(options())
    process, state = await pool.run(opening())
    error = await at(pool, process, state.id, tactic)
    assert error.kind is kind and error.fatal
    again, reply = await pool.run(opening())
    assert again is not process and reply.goals
    assert pool.restarts[reason] == 1 and world.processes[0].closed


async def test_leans_own_cancel_keeps_the_process(started):
    pool = await started(options())
    process, state = await pool.run(opening())
    assert (await at(pool, process, state.id, "timeout")).kind is ErrorKind.TIMEOUT
    assert (await at(pool, process, state.id, "left")).groups
    assert not pool.restarts


async def test_a_process_that_died_while_idle_harms_nobody(started, world):
    pool = await started(options())
    await pool.run(opening())
    world.processes[0].alive = False
    _, reply = await pool.run(opening())
    assert reply.goals and pool.restarts["crash"] == 1


async def test_a_process_over_its_memory_is_drained_then_replaced(started, world):
    process_options = ProcessOptions(grace_seconds=0.05, memory_bytes=1000)
    pool = await started(options(search=2, process=process_options))
    process, state = await pool.run(opening())
    calls = [
        asyncio.create_task(at(pool, process, state.id, tactic))
        for tactic in ("grow 2000", "left", "right")
    ]
    grown, *queued = await asyncio.gather(*calls)
    assert grown.groups and all(step.groups for step in queued), "its queue is drained"
    assert world.processes[process.serial - 1].log.count("left") == 1
    other, _ = await pool.run(opening(), places={process.serial: state.id})
    assert other is not process, "it takes no new work"
    await until(lambda: pool.restarts["memory"] == 1, "it is replaced")


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_process_that_is_too_large_from_the_start_is_told_of(
    started, world, caplog, at_once
):
    process_options = ProcessOptions(grace_seconds=0.05, memory_bytes=100 << 20)
    pool = await started(options(process=process_options))
    world.processes[0].rss = (200 if at_once else 50) << 20
    process, state = await pool.run(opening())
    world.processes[0].rss = 200 << 20
    if not at_once:
        await at(pool, process, state.id, "left")
    await until(lambda: pool.restarts["memory"] == 1, "it is replaced")
    said = "(search) holds 200 MB after its first call, and is replaced over 100 MB"
    assert (said in caplog.text) is at_once


@pytest.mark.parametrize(
    "limit", [ProcessOptions(recycle_steps=3), ProcessOptions(recycle_states=4)]
)
async def test_a_process_is_recycled_after_many_steps_or_states(started, world, limit):
    pool = await started(options(process=limit))
    process, state = await pool.run(opening())
    for _ in range(3):
        assert (await at(pool, process, state.id, "left")).groups
    await until(lambda: len(world.started("search")) == 2, "a fresh process")
    assert pool.restarts == {"recycled": 1}


async def test_forgotten_states_are_freed_many_at_a_time(started, world):
    pool = await started(options())
    process, state = await pool.run(opening())
    step = await at(pool, process, state.id, "split 10")
    for group in step.groups:
        pool.discard([(process.serial, group.id), (process.serial, group.id), (99, 1)])
    lean = world.processes[0]
    await until(lambda: lean.forgotten == 10, "all are freed")
    assert lean.log.count("forget") == 1 and process.states == 1


async def test_a_process_that_dies_of_freeing_costs_no_call(started, world):
    pool = await started(options(search=2))
    process, state = await pool.run(opening())
    step = await at(pool, process, state.id, "split 100")
    lean = world.processes[process.serial - 1]

    async def dying(states):
        lean.die()

    lean.forget = dying
    pool.discard((process.serial, group.id) for group in step.groups)
    moved, reply = await pool.run(opening(), places={process.serial: state.id})
    assert moved is not process and reply.goals
    assert pool.restarts["crash"] == 1
