"""A Gymnasium environment over the same Lean as the prover's: for people who bring their own agent.

env.py       ProveEnv: reset to a theorem, step with a tactic
episode.py   one theorem's open states, and the proof that its tactics make: pure
spaces.py    texts as Gymnasium sees them
lean.py      the asynchronous Lean client, asked from synchronous code
__main__.py  an example: python -m leanfleet.gym

Importing it registers `leanfleet/Prove-v0`; importing leanfleet does not. The page is docs/gym.md.
"""

from __future__ import annotations

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "leanfleet.gym needs gymnasium: pip install 'leanfleet[gym]'", name=error.name
    ) from None

from leanfleet.gym.env import ProveEnv

__all__ = ["ENVIRONMENT", "ProveEnv"]

ENVIRONMENT = "leanfleet/Prove-v0"

if ENVIRONMENT not in gymnasium.registry:
    gymnasium.register(ENVIRONMENT, entry_point="leanfleet.gym.env:ProveEnv")
