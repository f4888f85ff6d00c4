"""ProveEnv: a theorem is an episode, a tactic is a step, a verdict is the end.

Reward −1 for each tactic, also for one that fails: the return is minus the number of tactics. When
nothing is left open, the tactics are composed to a script and a Lean process that does not search
judges it; only its acceptance terminates an episode. Everything else truncates it. It refuses to know
how an agent chooses.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium.error import ClosedEnvironmentError, InvalidAction, ResetNeeded

from leanfleet.attempt import VERIFY_LIMITS
from leanfleet.config import LeanConfig
from leanfleet.gym.episode import Episode
from leanfleet.gym.lean import LeanThread, OpenLean
from leanfleet.gym.spaces import observation, observation_space, text_space
from leanfleet.lean.client import Handle, LeanUnavailable, StepResult
from leanfleet.messages import ErrorKind, LeanError, Theorem, Verdict
from leanfleet.search.answers import Reached, State
from leanfleet.search.proof import script
from leanfleet.theorems.named import named

MACHINE_TRIES = 3  # of opening a theorem, and of a verdict, when the machine fails

Observation = dict[str, Any]
Info = dict[str, Any]


class ProveEnv(gymnasium.Env[Observation, str]):
    """`gymnasium.make("leanfleet/Prove-v0", theorems="probe")`, after `import leanfleet.gym`.

    theorems: a shipped split, `probe`, a file or folder of theorems, or theorems themselves. lean: the
    fields of `LeanConfig`; one process searches and one verifies unless it says more. open_lean: where
    Lean is instead, such as a server of a cluster. max_tactics: steps until an episode is truncated.
    Raises ValueError for unfit arguments. Lean starts at the first reset.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        theorems: str | Sequence[Theorem] = "probe",
        *,
        lean: LeanConfig | Mapping[str, Any] | None = None,
        open_lean: OpenLean | None = None,
        max_tactics: int = 64,
        max_characters: int = 16_384,
        max_tactic_characters: int = 1_024,
        render_mode: str | None = None,
    ) -> None:
        if max_tactics < 1:
            raise ValueError(f"max_tactics is {max_tactics}: give 1 or more")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"there is no render mode {render_mode!r}; there is ansi")
        self.theorems = _by_name(theorems)
        self.max_tactics, self.max_characters = max_tactics, max_characters
        self.render_mode = render_mode
        self.observation_space = observation_space(max_characters)
        self.action_space = text_space(max_tactic_characters, shortest=1)
        self._config = _lean_config(lean)
        self._open_lean = open_lean or self._local_lean
        self._names = list(self.theorems)
        self._lean: LeanThread | None = None
        self._closed = False
        self._theorem: Theorem | None = None
        self._episode: Episode | None = None  # None: there is none, or it is over
        self._tactics: list[str] = []  # that were accepted
        self._steps = 0

    # --- Gymnasium's verbs --------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """To the theorem that `options={"theorem": NAME}` names, else to one drawn uniformly.

        Raises ValueError for an unknown theorem and for one that Lean does not elaborate,
        LeanStartError when Lean can't be started, ClosedEnvironmentError after `close`.
        """
        self._check_open()
        super().reset(seed=seed)
        theorem = self._chosen(options or {})
        if self._lean is None:
            self._lean = LeanThread(self._open_lean)
        before, self._episode = self._episode, None
        root = self._lean.call(self._opened(theorem, before))
        self._theorem, self._episode = theorem, Episode(root)
        self._tactics, self._steps = [], 0
        return self._observe()

    def step(self, action: str) -> tuple[Observation, float, bool, bool, Info]:
        """Runs a tactic on the first open state. One that fails leaves it, and `info["error"]` says why.

        Raises InvalidAction for what is no text, ResetNeeded when the episode is over, LeanUnavailable
        when no Lean answers.
        """
        self._check_open()
        if not isinstance(action, str):
            raise InvalidAction(f"a tactic is a text, not {type(action).__name__}")
        if self._episode is None or self._lean is None:
            raise ResetNeeded("there is no episode: call reset() first")
        tactic = str(action)
        answer = self._lean.call(self._run(self._episode, tactic))
        self._steps += 1
        more: Info = {}
        terminated = False
        if isinstance(answer, LeanError):
            more["error"] = _error(answer)
        else:
            self._tactics.append(tactic)
            more["messages"] = tuple(answer.messages)
            if self._episode.current is None:
                terminated, judged = self._judged(self._episode)
                more |= judged
        stuck = self._episode.current is None and not terminated
        truncated = not terminated and (stuck or self._steps >= self.max_tactics)
        seen, info = self._observe()
        if terminated or truncated:
            self._lean.call(self._lean.lean.forget(_handles(self._episode)))
            self._episode = None
        return seen, -1.0, terminated, truncated, info | more

    def render(self) -> str | None:
        """The statement, the tactics so far and what is open, as text."""
        if self.render_mode is None:
            return None
        if self._theorem is None:
            raise ResetNeeded("there is nothing to show: call reset() first")
        lines = [f"{self._theorem.statement} := by", *self._tactics]
        states = self._episode.open if self._episode else []
        goals = [goal.text for state in states for goal in _goals(state)]
        return "\n\n".join(["\n".join(lines), *goals]) + "\n"

    def close(self) -> None:
        """Ends Lean. May be called again; nothing else may be after it."""
        self._closed, self._episode = True, None
        lean, self._lean = self._lean, None
        if lean is not None:
            lean.close()

    # --- inside -------------------------------------------------------------------------------------

    def _local_lean(self):
        from leanfleet.roles.lean import local_server  # knows sockets, which this package need not

        return local_server(self._config)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedEnvironmentError("the environment is closed: make a new one")

    def _chosen(self, options: dict[str, Any]) -> Theorem:
        if unknown := sorted(set(options) - {"theorem"}):
            raise ValueError(f"reset has no option {unknown[0]!r}; there is theorem")
        if "theorem" not in options:
            return self.theorems[self._names[int(self.np_random.integers(len(self._names)))]]
        name = options["theorem"]
        if name not in self.theorems:
            near = difflib.get_close_matches(str(name), self._names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(
                f"there is no theorem {name!r} among the {len(self._names)} of this environment{hint}"
            )
        return self.theorems[name]

    async def _opened(self, theorem: Theorem, before: Episode | None) -> State:
        lean = self._lean.lean
        if before is not None:
            await lean.forget(_handles(before))
        for _ in range(MACHINE_TRIES):
            root = await lean.open(theorem, self._config.limits)
            if isinstance(root, Handle):
                return _state(root)
            if not root.kind.is_machine:
                raise ValueError(
                    f"Lean does not elaborate {theorem.name} ({root.kind}): {root.message}; leave it out"
                )
        raise LeanUnavailable(f"{theorem.name} can't be opened: {root.kind}: {root.message}")

    async def _run(self, episode: Episode, tactic: str) -> StepResult | LeanError:
        """Runs the tactic, and has the episode go on when it is accepted."""
        try:
            tactic.encode()
        except UnicodeEncodeError as error:
            return LeanError(ErrorKind.PARSE, f"the tactic is not UTF-8 (character {error.start})")
        handle = episode.current.handle
        lean = self._lean.lean
        answer = await lean.run_tactic(handle, tactic, self._config.limits)
        if isinstance(answer, LeanError):
            return answer
        reached = Reached(tuple(map(_state, answer.groups)), answer.positions)
        try:
            episode.advance(tactic, reached)
        except ValueError as error:
            return LeanError(ErrorKind.CRASH, str(error))
        await lean.forget([handle])
        return answer

    def _judged(self, episode: Episode) -> tuple[bool, Info]:
        """Whether it is proved, and what the info says of that."""
        try:
            proof = script(episode.proof())
        except ValueError as error:
            return False, {"error": {"kind": "script", "message": str(error)}}
        found = self._lean.call(self._verdict(proof))
        if isinstance(found, LeanError):
            return False, {"proof": proof, "error": _error(found)}
        verdict = {
            "accepted": found.accepted,
            "reason": str(found.reason),
            "message": found.message,
            "axioms": tuple(found.axioms),
            "key": found.key,
            "lean": found.lean,
        }
        more: Info = {"proof": proof, "verdict": verdict}
        if not found.accepted:
            message = f"{found.reason}: {found.message}"
            more["error"] = {"kind": "refused", "message": message}
        return found.accepted, more

    async def _verdict(self, proof: str) -> Verdict | LeanError:
        for _ in range(MACHINE_TRIES):
            found = await self._lean.lean.verify(self._theorem, proof, VERIFY_LIMITS)
            if isinstance(found, Verdict) or not found.kind.is_machine:
                break
        return found

    def _observe(self) -> tuple[Observation, Info]:
        current = self._episode.current
        goals = tuple(goal.text for goal in _goals(current)) if current else ()
        waiting = len(self._episode.open)
        info: Info = {"theorem": self._theorem.name, "goals": goals, "tactics": self._steps}
        return observation("\n\n".join(goals), waiting, self.max_characters), info


def _by_name(theorems: str | Sequence[Theorem]) -> dict[str, Theorem]:
    found = named(theorems).theorems if isinstance(theorems, str) else tuple(theorems)
    if not found:
        raise ValueError("there are no theorems to prove")
    by_name: dict[str, Theorem] = {}
    for theorem in found:
        if by_name.setdefault(theorem.name, theorem) is not theorem:
            raise ValueError(f"two theorems have the name {theorem.name}")
    return by_name


def _lean_config(lean: LeanConfig | Mapping[str, Any] | None) -> LeanConfig:
    if isinstance(lean, LeanConfig):
        return lean
    return LeanConfig(**{"processes": 1, "verify_processes": 1, **(lean or {})})


def _state(handle: Handle) -> State:
    return State(handle.digest, tags=tuple(goal.case or "" for goal in handle.goals), handle=handle)


def _goals(state: State):
    return state.handle.goals


def _handles(episode: Episode) -> list[Handle]:
    return [state.handle for state in episode.open]


def _error(error: LeanError) -> dict[str, str]:
    return {"kind": str(error.kind), "message": error.message}
