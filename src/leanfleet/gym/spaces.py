"""Texts as Gymnasium sees them: of a bounded length, of a fixed set of characters.

The set is what Lean's goals are printed with. A character beyond it is shown as `�`; the exact text
stands in the step's info. It refuses to know Lean.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from gymnasium import spaces
from gymnasium.error import CustomSpaceError
from gymnasium.vector.utils import create_shared_memory

MOST_OPEN = 1_000_000  # states, as the space bounds their number
REPLACEMENT, CUT = "�", "…"

_BLOCKS = (  # first and last code point
    (0x20, 0x7E),  # ASCII
    (0xA0, 0x17F),  # Latin
    (0x370, 0x3FF),  # Greek
    (0x1D2C, 0x1D6A),  # raised and lowered letters
    (0x2010, 0x205E),  # dashes, quotes, daggers, bullets
    (0x2070, 0x209C),  # raised and lowered digits
    (0x2100, 0x214F),  # ℕ, ℤ, ℝ …
    (0x2190, 0x23FF),  # arrows, operators, brackets
    (0x25A0, 0x25FF),  # shapes
    (0x27C0, 0x27FF),  # ⟨ ⟩, long arrows
    (0x2900, 0x2BFF),  # more arrows, brackets and operators
    (0x1D400, 0x1D7FF),  # 𝓤, 𝕜 …
)


@cache
def characters() -> str:
    """The line break, and the printable characters of the blocks."""
    found = (chr(code) for first, last in _BLOCKS for code in range(first, last + 1))
    known = (one for one in found if one.isprintable() or one == "\xa0")
    return "\n" + "".join(known) + REPLACEMENT


@cache
def _known() -> frozenset[str]:
    return frozenset(characters())


class LeanText(spaces.Text):
    """A Text whose thousands of characters are not printed."""

    def __repr__(self) -> str:
        return f"LeanText({self.min_length}, {self.max_length})"


@create_shared_memory.register(LeanText)
def _not_shared(space: LeanText, n: int = 1, ctx: object = None) -> object:
    # Gymnasium reads texts from shared memory once, before any is there, and then shows that for ever.
    raise CustomSpaceError(
        "texts can't be in shared memory: AsyncVectorEnv(…, shared_memory=False)"
    )


def text_space(longest: int, shortest: int = 0) -> LeanText:
    """Raises ValueError for a longest text of no characters."""
    if longest < 1:
        raise ValueError(f"texts of at most {longest} characters: give 1 or more")
    return LeanText(longest, min_length=shortest, charset=characters())


def observation_space(longest: int) -> spaces.Dict:
    """`goals`: what the next tactic acts on, as Lean prints it. `open`: states yet to be proved [1]."""
    return spaces.Dict(
        {
            "goals": text_space(longest),
            "open": spaces.Box(0, MOST_OPEN, shape=(1,), dtype=np.int64),
        }
    )


def observation(text: str, open_states: int, longest: int) -> dict[str, object]:
    """Of that space: longer texts are cut, with `…` at their end."""
    known = _known()
    shown = "".join(one if one in known else REPLACEMENT for one in text[:longest])
    if len(text) > longest:
        shown = shown[: longest - 1] + CUT
    return {"goals": shown, "open": np.array([min(open_states, MOST_OPEN)], dtype=np.int64)}
