"""Keys of a run: private, made once, the same for everyone who asks."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq

from hpc.wire import KeyPair, create_keys, load_keys


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_modes_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        create_keys(tmp_path / "run" / "keys")
    finally:
        os.umask(before)
    folder = tmp_path / "run" / "keys"
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {
        "server.key": 0o600,
        "client.key": 0o600,
        "server.pub": 0o600,
    }


def test_keys_are_real_pairs_and_are_kept(tmp_path):
    create_keys(tmp_path / "keys")
    keys = load_keys(tmp_path / "keys")
    assert zmq.curve_public(keys.server.secret) == keys.server.public == keys.server_public
    assert zmq.curve_public(keys.client.secret) == keys.client.public != keys.server.public
    create_keys(tmp_path / "keys")
    assert load_keys(tmp_path / "keys") == keys


def test_all_processes_that_create_at_once_end_with_the_same_keys(tmp_path):
    def create_and_load(_):
        create_keys(tmp_path / "keys")
        return load_keys(tmp_path / "keys")

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(create_and_load, range(16)))
    assert len(keys) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 3, "temporary files were left"


def test_a_host_without_the_servers_secret(tmp_path):
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "server.key").unlink()
    keys = load_keys(tmp_path / "keys")
    assert keys.server is None and len(keys.server_public) == 40


@pytest.mark.parametrize("act", [create_keys, load_keys])
def test_a_folder_that_others_can_read_is_refused_with_the_remedy(tmp_path, act):
    create_keys(tmp_path / "keys")
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(ValueError, match=r"chmod 700 .*keys"):
        act(tmp_path / "keys")


def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path):
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "client.key").chmod(0o644)
    with pytest.raises(ValueError, match=r"chmod 600 .*client\.key"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("content", [b"", b"{", b'{"public": "a", "secret": "b"}', b"\xff" * 99])
def test_a_damaged_key_is_named(tmp_path, content):
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "client.key").write_bytes(content)
    with pytest.raises(ValueError, match=r"client\.key"):
        load_keys(tmp_path / "keys")


def test_missing_keys_say_what_makes_them(tmp_path):
    with pytest.raises(ValueError, match="create_keys"):
        load_keys(tmp_path / "none")
    (tmp_path / "empty").mkdir(mode=0o700)
    with pytest.raises(ValueError, match="create_keys"):
        load_keys(tmp_path / "empty")


def test_keys_of_two_runs_mixed_up(tmp_path):
    create_keys(tmp_path / "one")
    create_keys(tmp_path / "two")
    (tmp_path / "two" / "server.pub").rename(tmp_path / "one" / "server.pub")
    with pytest.raises(ValueError, match="different key pairs"):
        load_keys(tmp_path / "one")


def test_the_secret_is_not_printed():
    pair = KeyPair.generate()
    assert pair.secret.decode() not in repr(pair) + str(pair)
