"""Publishing and finding servers through a folder."""

import asyncio
import json
import time

import pytest

from hpc.rendezvous import Published, find, publish, wait_for, withdraw
from hpc.wire import KeyPair


def server(role="lean", task=0, attempt=0, **changes) -> Published:
    fields = {
        "run_id": "r1",
        "endpoint": "tcp://127.0.0.1:5555",
        "server_public": KeyPair.generate().public.decode(),
        "pid": 7,
        "host": "node1",
        "started": time.time(),
    }
    return Published(role, task, attempt, **(fields | changes))


def test_what_is_published_is_found_by_role_and_task(tmp_path):
    lean = [server(task=task) for task in (10, 2)]
    for each in [*lean, server(role="lean-x"), server(role="hub")]:
        publish(tmp_path / "endpoints", each)
    assert find(tmp_path / "endpoints", "lean") == [lean[1], lean[0]]
    assert find(tmp_path / "endpoints", "policy") == []
    assert find(tmp_path / "no such folder", "lean") == []


def test_a_later_attempt_replaces_and_the_earlier_cannot_withdraw_it(tmp_path):
    first, second = server(), server(attempt=1)
    publish(tmp_path, first)
    assert publish(tmp_path, second).name == "lean.0.json"
    assert withdraw(tmp_path, first) is False
    assert find(tmp_path, "lean") == [second]
    assert withdraw(tmp_path, second) is True
    assert withdraw(tmp_path, second) is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "../hub"},
        {"role": ""},
        {"role": "a.b"},
        {"task": -1},
        {"server_public": "short"},
        {"endpoint": "tcp://0.0.0.0:5555"},
        {"endpoint": "tcp://*:5555"},
    ],
    ids=repr,
)
def test_unfit_fields_are_refused_before_anything_is_written(tmp_path, changes):
    with pytest.raises(ValueError):
        publish(tmp_path, server(**changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["*", "../x", "lean.*"])
def test_a_role_is_a_name_not_a_pattern(tmp_path, role):
    with pytest.raises(ValueError, match="role"):
        find(tmp_path, role)


DAMAGE = {
    "empty": b"",
    "truncated": b'{"role": "lean", "task"',
    "huge": b" " * 100_000,
    "not text": b"\xff\xfe\x00",
    "wrong type": json.dumps({"role": "lean", "task": "zero"}).encode(),
    "nested": b"[" * 10_000,
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_file_is_named_and_does_not_hide_the_others(tmp_path, content):
    good = server(task=1)
    publish(tmp_path, good)
    (tmp_path / "lean.0.json").write_bytes(content)
    assert find(tmp_path, "lean") == [good]
    with pytest.raises(TimeoutError, match=r"unreadable: lean\.0\.json"):
        await wait_for(tmp_path, "lean", 0.01, count=2)


def test_a_file_under_another_servers_name_is_left_out(tmp_path):
    publish(tmp_path, server(task=1)).rename(tmp_path / "lean.0.json")
    assert find(tmp_path, "lean") == []


async def test_waiting_ends_when_enough_are_there(tmp_path):
    waiting = asyncio.create_task(wait_for(tmp_path / "endpoints", "lean", 10, count=2))
    publish(tmp_path / "endpoints", server(task=0))
    await asyncio.sleep(0.15)
    assert not waiting.done()
    publish(tmp_path / "endpoints", server(task=1))
    assert [each.task for each in await waiting] == [0, 1]


async def test_waiting_in_vain_says_for_what_and_what_there_is(tmp_path):
    publish(tmp_path, server(role="hub"))
    with pytest.raises(TimeoutError, match=r"0\.02 s for 1 server.*'lean'.*hub\.0\.json"):
        await wait_for(tmp_path, "lean", 0.02)
    with pytest.raises(TimeoutError, match="does not exist"):
        await wait_for(tmp_path / "nowhere", "lean", 0.02)
