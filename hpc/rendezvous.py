"""How the processes of a run find each other: one small JSON file per server, published atomically.

A server binds its port first and then publishes `FOLDER/<role>.<task>.json`; who needs it reads
the folder. A file tells where a process said it was, not that it lives: only an answer does. This
file knows nothing of sockets, and not where in a run folder FOLDER is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import time
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

log = logging.getLogger("hpc.rendezvous")

MAX_FILE_BYTES = 16 << 10
_POLL_SECONDS = 0.1

_NAME = r"^[A-Za-z0-9_-]+$"
_Text = Annotated[str, Meta(max_length=500)]
_Name = Annotated[str, Meta(pattern=_NAME, max_length=100)]


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """One server of a run."""

    role: _Name  # such as hub, policy, lean
    task: Annotated[int, Meta(ge=0)]  # which of the role's processes
    attempt: Annotated[int, Meta(ge=0)]  # how often this task was started before
    run_id: _Text
    endpoint: _Text  # tcp://HOST:PORT that others can connect to
    server_public: Annotated[str, Meta(min_length=40, max_length=40)]  # CURVE key, Z85
    pid: Annotated[int, Meta(ge=0)]
    host: _Text
    started: float  # seconds since 1970, by the host's clock


def publish(folder: str | os.PathLike[str], server: Published) -> Path:
    """Write the file of `server` completely or not at all, replacing an earlier attempt's.

    Raises ValueError if a field is unfit, such as an endpoint that nobody can connect to.
    """
    if re.match(r"tcp://(\*|0\.0\.0\.0|\[::\]):", server.endpoint):
        raise ValueError(
            f"{server.endpoint} is no address to connect to; publish the host's own instead"
        )
    content = msgspec.json.encode(server)
    try:
        msgspec.json.decode(content, type=Published)
    except msgspec.ValidationError as error:
        raise ValueError(f"cannot publish {server}: {error}") from None
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, server.role, server.task)
    temporary = folder / f".{path.name}.{secrets.token_hex(8)}"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def find(folder: str | os.PathLike[str], role: str) -> list[Published]:
    """The servers of `role` published now, by task. Files that cannot be read are logged and
    left out, so that one damaged file does not stop a run."""
    return _scan(Path(folder), role)[0]


async def wait_for(
    folder: str | os.PathLike[str], role: str, seconds: float, *, count: int = 1
) -> list[Published]:
    """The servers of `role` as soon as there are `count`. Raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found, damaged = _scan(Path(folder), role)
        if len(found) >= count:
            return found
        if time.monotonic() >= deadline:
            raise TimeoutError(_missing(Path(folder), role, seconds, count, len(found), damaged))
        await asyncio.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def withdraw(folder: str | os.PathLike[str], server: Published) -> bool:
    """Remove the file of `server`. False if it is gone or a later attempt's already."""
    path = _path(Path(folder), server.role, server.task)
    try:
        if _read(path) != server:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    except ValueError as error:
        log.warning("%s is left where it is: %s", path, error)
        return False
    return True


def _path(folder: Path, role: str, task: int) -> Path:
    if not re.match(_NAME, role):
        raise ValueError(f"{role!r} is no name of a role: letters, digits, - and _ only")
    return folder / f"{role}.{task}.json"


def _scan(folder: Path, role: str) -> tuple[list[Published], list[str]]:
    """The servers of `role`, and what is wrong with the files that are unreadable."""
    found, damaged = [], []
    paths = folder.glob(f"{_path(folder, role, 0).name.split('.')[0]}.*.json")
    for path in sorted(paths):
        try:
            server = _read(path)
        except FileNotFoundError:
            continue  # withdrawn just now
        except (ValueError, OSError) as error:
            damaged.append(f"{path.name}: {error}")
            log.warning("ignored %s: %s", path, error)
            continue
        if path == _path(folder, server.role, server.task):
            found.append(server)
        else:
            damaged.append(f"{path.name}: is about {server.role}.{server.task}")
    return sorted(found, key=lambda server: server.task), damaged


def _read(path: Path) -> Published:
    """Raises ValueError if it is too long or not a `Published`."""
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"over {MAX_FILE_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=Published)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged or of another version: {error}") from None


def _missing(
    folder: Path, role: str, seconds: float, count: int, found: int, damaged: list[str]
) -> str:
    there = sorted(path.name for path in folder.glob("*.json")) if folder.is_dir() else None
    listing = "the folder does not exist" if there is None else f"it holds {there or 'nothing'}"
    bad = f"; unreadable: {'; '.join(damaged)}" if damaged else ""
    return (
        f"waited {seconds:g} s for {count} server(s) of role {role!r} in {folder}, "
        f"found {found} ({listing}{bad}). Is its job running? Its log tells."
    )
