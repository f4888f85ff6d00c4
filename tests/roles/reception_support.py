"""A hub's reception without sockets, and the two questions that most tests of it ask."""

from __future__ import annotations

from pathlib import Path

from leanfleet.config import parse
from leanfleet.messages import Offers, TakeGames, encode
from leanfleet.rl.config import RunConfig
from leanfleet.rl.tickets import Tickets
from leanfleet.roles.hub import Reception

SECRET = b"of the run's hubs"


class NoBoard:
    def finished(self, game, result): ...
    def write(self, status): ...


def reception(hub, folder: Path, until: str, still_ours=lambda: None) -> Reception:
    """`until`: when the run is over, as the configuration says it."""
    text = f"name: t\nlearner: {{start: nowhere}}\nuntil: {until}\nhub: {{lease_seconds: 50}}"
    config = parse(RunConfig, text, "t.yaml")
    return Reception(config, folder, hub, 1, NoBoard(), Tickets(SECRET), still_ours)


async def ask(desk: Reception, message):
    return await desk.answer(encode(message))


async def taken(desk: Reception, worker: str, count: int) -> list[str]:
    """The tickets of so many games."""
    reply = await ask(desk, TakeGames(worker, count))
    assert isinstance(reply, Offers)
    return [offer.lease for offer in reply.games]
