"""The prover role: an MPI world whose ranks search, and whose rank 0 also speaks with the hub.

    mpiexec -n 2 leanfleet role prover RUN      (RUN: a run's folder, `prover.ranks: 2`)

SIGTERM and SIGINT drain: unfinished games are handed back at once. Between ranks go the messages that
go to the hub, over MPI. This file only joins `leanfleet.rl` to `hpc`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hpc import mpi
from leanfleet import eventloop
from leanfleet.lean.client import ClientOptions
from leanfleet.messages import (
    GameResult,
    GiveGames,
    HubRequest,
    Offers,
    TakeGames,
    decode_hub_reply,
    decode_hub_request,
    encode,
)
from leanfleet.policies.exploring import ExploringPolicy
from leanfleet.policies.mixed import MixedPolicy
from leanfleet.policies.network import Ask, NetworkPolicy
from leanfleet.policies.versions import newest
from leanfleet.policy import MenuPolicy, Policy
from leanfleet.rl import files
from leanfleet.rl.desk import Desk
from leanfleet.rl.prover import GameConfig, Player
from leanfleet.roles import lean as lean_role
from leanfleet.roles import policy as policy_role
from leanfleet.roles.hub import ask_hub
from leanfleet.roles.opening import run_of
from leanfleet.roles.roving import Roving
from leanfleet.roles.serving import show_until, stop_signal

if TYPE_CHECKING:
    from leanfleet.rl.config import RunConfig

DELIVER_SECONDS = 20.0  # that results get to reach the hub when a world ends
LEAN_PATIENCE_SECONDS = 60.0
_GOODBYE = encode(TakeGames("rank", 0))  # a rank's last message


def run(folder: Path, task: int = 0, attempt: int = 0) -> None:
    """Plays until the run is over or a signal comes. Raises ValueError for an unfit world or run."""
    config = run_of(folder).config
    world = mpi.join(config.prover.ranks)
    name = f"prover.{task}.{attempt} on {socket.gethostname()}"
    eventloop.run(_Rank(config, folder, world, name, task, attempt).play())
    mpi.leave()


@dataclass
class _Rank:
    config: RunConfig
    folder: Path
    world: mpi.World
    name: str
    task: int
    attempt: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self) -> None:
        self.stopped = stop_signal()
        if self.world.rank == 0:
            await self._first()
        else:
            await self._other()
        await self.world.finish()

    # --- rank 0 -------------------------------------------------------------------------------------

    async def _first(self) -> None:
        """Plays, and deals games to the others."""
        config, folder = self.config, self.folder
        hub = Roving(folder / files.ENDPOINTS, folder / files.KEYS, "hub")
        worker = f"{self.name}, {os.getpid()}"
        ahead = config.prover.searches * self.world.size
        desk = Desk(ask_hub(hub), worker, ahead, f"prover.{self.task}", self.attempt)
        left = asyncio.Event()
        serving = asyncio.create_task(self._serve(desk, left))
        talking = asyncio.create_task(desk.run())
        watching = asyncio.create_task(self._watch(desk, [serving, talking]))
        try:
            async with self._player(desk.take, desk.give) as player:
                line = show_until(self.stopped, lambda: _line(player, desk))
                showing = asyncio.create_task(line)
                await player.run(self.stopped)
                showing.cancel()
            await left.wait()  # the other ranks have given back what they had
        finally:
            for each in (watching, serving, talking):
                each.cancel()
            ended = await asyncio.gather(talking, serving, return_exceptions=True)
        lost = await desk.close(DELIVER_SECONDS)
        await hub.close()
        for error in ended:
            if isinstance(error, BaseExceptionGroup):
                raise error.exceptions[0]
            if isinstance(error, Exception):
                raise error
        if lost:
            print(f"{lost} results could not be delivered: their leases expire", flush=True)

    async def _watch(self, desk: Desk, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Stops the games when what they depend on has failed, or the run's folder says over."""
        while not any(task.done() for task in tasks):
            await asyncio.sleep(1.0)
            if (self.folder / files.OVER).exists():
                desk.over = True
        desk.stopping = True  # nobody waits for games that nobody fetches: the other ranks end, too
        self.stopped.set()

    async def _serve(self, desk: Desk, left: asyncio.Event) -> None:
        """What the other ranks ask, until all have said goodbye."""
        here = self.world.size - 1
        dealt: dict[int, set[str]] = {}  # what each rank has
        answers: set[asyncio.Task[None]] = set()
        if not here:
            left.set()
            await asyncio.Event().wait()
        while here:
            rank, data = await self.world.receive()
            message = decode_hub_request(data)
            if isinstance(message, TakeGames) and message.count == 0:
                here -= 1
                await desk.give([], list(dealt.pop(rank, ())))
            elif isinstance(message, TakeGames):
                answer = asyncio.create_task(self._answer(desk, rank, message.count, dealt))
                answers.add(answer)
                answer.add_done_callback(answers.discard)
            elif isinstance(message, GiveGames):
                given = {result.lease for result in message.results} | {*message.handed_back}
                dealt.setdefault(rank, set()).difference_update(given)
                await desk.give(message.results, message.handed_back)
        left.set()
        await asyncio.Event().wait()

    async def _answer(self, desk: Desk, rank: int, count: int, dealt: dict[int, set[str]]) -> None:
        offers = await desk.take(count)
        dealt.setdefault(rank, set()).update(offer.lease for offer in offers.games)
        self.world.send(rank, encode(offers))

    # --- the other ranks ----------------------------------------------------------------------------

    async def _other(self) -> None:
        """Plays what rank 0 deals."""
        offers: asyncio.Queue[Offers] = asyncio.Queue()

        async def listen() -> None:
            while True:
                _, data = await self.world.receive()
                reply = decode_hub_reply(data)
                assert isinstance(reply, Offers)
                await offers.put(reply)

        async def take(count: int) -> Offers:
            self._tell(TakeGames(self.name, count))
            return await offers.get()

        async def give(results: Sequence[GameResult], handed_back: Sequence[str]) -> None:
            self._tell(GiveGames(self.name, tuple(results), tuple(handed_back)))

        listening = asyncio.create_task(listen())
        try:
            async with self._player(take, give) as player:
                await player.run(self.stopped)
        finally:
            listening.cancel()
            self.world.send(0, _GOODBYE)  # rank 0 hands back what is on its way here

    def _tell(self, message: HubRequest) -> None:
        self.world.send(0, encode(message))

    # --- both ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _player(self, take: Callable, give: Callable) -> AsyncIterator[Player]:
        config, folder = self.config, self.folder
        share = self.task * self.world.size + self.world.rank
        game = GameConfig(
            config.lean.limits,
            config.prover.search_seconds,
            config.prover.partial,
            config.learner.rejected_told,
        )
        ends = folder / files.ENDPOINTS, folder / files.KEYS
        options = ClientOptions(patience_seconds=LEAN_PATIENCE_SECONDS)
        async with (
            lean_role.roving(*ends, share, options) as lean,
            policy_role.connect(*ends) as ask,
        ):
            policies = Policies(config, folder / files.WEIGHTS, ask)
            yield Player(lean, policies, game, config.prover.searches, take, give)


class Policies:
    """The policy of each game: the menu alone until there are weights, then both; with a share of
    tactics composed at random where the configuration asks for it."""

    def __init__(self, config: RunConfig, weights: Path, ask: Ask) -> None:
        self._config, self._weights, self._ask = config, weights, ask
        self._trained = False

    def __call__(self, seed: int) -> Policy:
        policy, explore = self._known(seed), self._config.prover.explore
        return ExploringPolicy(policy, explore, seed) if explore else policy

    def _known(self, seed: int) -> Policy:
        weight = self._config.prover.menu_weight
        self._trained = self._trained or newest(self._weights) is not None
        if weight == 1 or not self._trained:
            return MenuPolicy()
        drawing, longest = self._config.policy.drawing, self._config.policy.longest
        network = NetworkPolicy(self._ask, seed, drawing, longest)
        return MixedPolicy(network, weight, scored=self._config.policy.scored)


def _line(player: Player, desk: Desk) -> str:
    parts = [f"{len(player.running)} games running", f"{player.finished} finished by rank 0"]
    if desk.trouble:
        parts.append(f"no hub: {desk.trouble.splitlines()[0][:100]}")
    return " · ".join(parts)
