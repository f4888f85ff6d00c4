"""Texts that go to Lean: a header split into imports and rest, a proof put under its statement.

The verdict, the stand-alone `.lean` files and every driver compose through here, so that what a
user pastes is what was judged. Knows nothing of processes.
"""

from __future__ import annotations

import hashlib
import re

from leanfleet.messages import Theorem

PRELUDE = "set_option autoImplicit false\nset_option relaxedAutoImplicit false\n"
"""Stands between the imports and the rest of every header. Without it an unknown identifier in a
statement is a variable, and anything about it can be proved."""

MAX_TEXT_BYTES = 1 << 20  # of one statement, header or proof
MAX_TACTIC_BYTES = 64 << 10

_BLANK = " \t\r\n"  # what Lean and verify.js hold for blank, unlike Python's own idea
_IMPORT = re.compile(r"import\s+(?:all\s+)?([\w.«»]+)[ \t]*(?:--.*)?")


def split_header(header: str) -> tuple[tuple[str, ...], str]:
    """The modules that a header imports, and its text with the import lines blanked.

    Line numbers stay. Init is always imported first, as Lean does.
    """
    modules: list[str] = ["Init"]
    lines = header.split("\n")
    for number, line in enumerate(lines):
        stripped = line.strip()
        if not stripped or stripped.startswith("--"):
            continue
        match = _IMPORT.fullmatch(stripped)
        if match is None:
            break
        if match.group(1) not in modules:
            modules.append(match.group(1))
        lines[number] = ""
    return tuple(modules), "\n".join(lines)


def indent(proof: str) -> str:
    """The text as it stands under `by`: two columns in (verify.js does the same)."""
    lines = proof.replace("\r\n", "\n").rstrip(_BLANK).split("\n")
    return "\n".join(f"  {line}" if line.strip(_BLANK) else "" for line in lines)


def proof_text(theorem: Theorem, proof: str) -> str:
    """The theorem with its proof, ready to paste below the header."""
    return f"{theorem.statement} := by\n{indent(proof)}\n"


def lean_file(theorem: Theorem, proof: str) -> str:
    """A whole `.lean` file that checks alone: imports, prelude, header, theorem, proof."""
    modules, rest = split_header(theorem.header)
    imports = "".join(f"import {name}\n" for name in modules if name != "Init")
    rest = f"{rest.strip()}\n" if rest.strip() else ""
    return f"{imports}{PRELUDE}{rest}\n{proof_text(theorem, proof)}"


def verdict_key(theorem: Theorem, proof: str, lean: str, rules: str, left: int = 0) -> str:
    """Hash of everything a verdict depends on: 32 hex digits."""
    digest = hashlib.sha256()
    asked = (f"{left} goals left",) if left else ()
    for part in (theorem.header, theorem.statement, proof, lean, rules, *asked):
        data = part.encode(errors="surrogatepass")  # of invalid texts too
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:32]
