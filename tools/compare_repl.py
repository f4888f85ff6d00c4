"""Where the registry Lean differs from a native one, as a table.

It sends recorded conversations with the native REPL (NAME.in, NAME.expected.out) to the registry
Lean and compares the answers: goals, failure or not, texts of errors and messages, severities and
positions, environment numbers. It judges no answer right or wrong; each kind of difference has a
reason in KINDS, and a difference of no known kind is called so. The output is the same on every
machine with the same registry Lean.

example:
  python tools/compare_repl.py FOLDER --out docs/registry-vs-native.md
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanfleet.lean.registry import RegistryLean
from leanfleet.lean.toolchain import installed
from leanfleet.messages import LeanError

RECORDED = "Lean 4.33.0-rc2 (leanprover-community/repl, commit 8948401)"
ASPECTS = ("goals", "failure", "error text", "messages", "env")
LEFT_OUT = {
    "file": "reads a file that is not part of the recording",
    "pickle": "writes or reads pickled environments, which this project never does",
}
NO_ANSWER = "has no recorded answer"

KINDS = {
    "wording": "Same failure at the same place, told in other words: five releases lie between.",
    "linter": "Reworded linter: 4.28 says `unused variable`, 4.33 that a name is not referenced.",
    "sorry": "A tactic that contains `sorry` is refused here and closes its goal with a warning in "
    "the native REPL: nothing that rests on `sorry` counts in this project.",
    "holes": "The native REPL keeps a proof that still has metavariables as a state without goals; "
    "here the tactic fails, since nothing could ever fill them.",
    "recovery": "The native REPL lets Lean recover from an error (it logs it and puts `sorry`) and "
    "answers with a state; here any logged error fails the tactic.",
    "kernel": "The native REPL type-checks a finished proof at once; here only the verdict does, "
    "with the whole theorem. Search sees the goals closed.",
    "self": "In goals of a command's `sorry` a theorem knows its own name. The native REPL checks a "
    "finished proof at once and notices; the registry Lean has no such check in a step. Search and "
    "verdict open theorems without that name.",
    "block": "4.33 takes an empty block after `by` (and reports what is unsolved) and wants tactics "
    "to the right of column 0; 4.28 reports a parse error, or takes the tactics.",
    "traces": "Traces become messages at the end of a command; a tactic step here does not collect "
    "them.",
    "empty": "A `sorry` where no goal is left is listed here, without goals.",
    "depends": "Not sent: it goes on from a state that only one of the two has.",
    "unexplained": "Not of a known kind: look at it.",
}


@dataclass(frozen=True)
class Difference:
    """One aspect of one exchange; the two sides as short texts."""

    request: int  # counted from 1
    aspect: str
    kind: str
    native: str
    registry: str


@dataclass
class Comparison:
    """What came of one conversation."""

    name: str
    requests: int = 0
    compared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASPECTS, 0))
    differences: list[Difference] = field(default_factory=list)


# --- recordings ---------------------------------------------------------------------------------


def read_requests(text: str) -> list[dict[str, Any]]:
    """Requests of a `.in` file. As the REPL reads them: lines up to an empty one, joined."""
    blocks = re.split(r"\n[ \t]*\n", text.strip("\n") + "\n")
    joined = ("".join(line.rstrip() for line in block.split("\n")) for block in blocks)
    return [json.loads(block) for block in joined if block]


def read_answers(text: str) -> list[dict[str, Any]]:
    """Answers of an `.expected.out` file: JSON values with empty lines between."""
    decoder, answers, at = json.JSONDecoder(), [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        answers.append(value)
    return answers


def left_out(folder: Path) -> dict[str, str]:
    """Names of conversations that are not compared, with the reason."""
    reasons = {}
    for path in sorted(folder.glob("*.in")):
        prefix = next((prefix for prefix in LEFT_OUT if path.stem.startswith(prefix)), None)
        if prefix:
            reasons[path.stem] = LEFT_OUT[prefix]
        elif not path.with_name(f"{path.stem}.expected.out").exists():
            reasons[path.stem] = NO_ANSWER
    return reasons


# --- one conversation ---------------------------------------------------------------------------


class Conversation:
    """Plays one recording. A recorded proof state is a list of our groups here."""

    def __init__(self, lean: RegistryLean, name: str) -> None:
        self.lean = lean
        self.result = Comparison(name)
        self.envs: dict[int, int] = {}  # recorded number -> ours
        self.states: dict[int, list[dict[str, Any]] | None] = {}  # recorded number -> groups

    async def play(self, requests: list[dict], answers: list[dict]) -> Comparison:
        assert len(requests) == len(answers), f"{self.result.name}: {len(requests)} requests"
        for request, answer in zip(requests, answers, strict=True):
            self.result.requests += 1
            await (self._command if "cmd" in request else self._tactic)(request, answer)
        return self.result

    async def _command(self, request: dict, answer: dict) -> None:
        env = request.get("env")
        unknown = -1  # a number that no process has
        ours = await self.lean.run_commands(
            request["cmd"], None if env is None else self.envs.get(env, unknown)
        )
        assert not isinstance(ours, LeanError), ours
        refused = bool(ours.get("unknown"))
        self._compare("failure", "message" in answer, refused, "unexplained")
        if refused or "message" in answer:
            return
        if "env" in answer:
            self.envs[answer["env"]] = ours["env"]
            offset = min(self.envs.values())  # one process plays all conversations
            self._compare("env", answer["env"], ours["env"] - offset, "unexplained")
        theirs = answer.get("sorries", [])
        kind = _command_kind(request["cmd"], answer)
        found = [
            _sorry("\n".join(g["text"] for g in s["goals"]), *_span(request["cmd"], s))
            for s in ours["sorries"]
        ]
        self._compare(
            "goals",
            [_sorry(s["goal"], s["pos"], s["endPos"]) for s in theirs],
            found,
            "empty" if any(goal == "" for goal, *_ in found) else kind,
        )
        for recorded, found in zip(theirs, ours["sorries"], strict=False):
            self.states[recorded["proofState"]] = [found]
        self._compare_messages(answer.get("messages", []), ours["messages"], kind)

    async def _tactic(self, request: dict, answer: dict) -> None:
        groups = self.states.get(request["proofState"])
        new = answer.get("proofState")
        if groups is None:
            self._differ("goals", "depends", request["tactic"], "")
            return
        if not groups:
            self._differ("goals", "depends", request["tactic"], "no goals")
            return
        first, *rest = groups
        ours = await self.lean.run_unchecked(first["state"], request["tactic"])
        failed = isinstance(ours, LeanError)
        kind = _tactic_kind(request["tactic"], answer, failed)
        wrong = _recorded_errors(answer)
        self._compare("failure", bool(wrong), failed, kind or "unexplained")
        if wrong and failed:
            self._compare(
                "error text", _flat("\n".join(wrong)), _flat(ours.message), kind or "wording"
            )
        if failed or wrong:
            return
        after = [*ours["groups"], *rest]
        if new is not None:
            self.states[new] = after
        goals = [goal["text"] for group in after for goal in group["goals"]]
        self._compare("goals", answer.get("goals", []), goals, kind or "unexplained")
        traced = kind or ("traces" if answer.get("traces") else "unexplained")
        self._compare("messages", _traces(answer), ours["messages"], traced)

    # --- comparing ------------------------------------------------------------------------------

    def _compare_messages(self, native: list[dict], registry: list[dict], kind: str) -> None:
        """Severities and places of all; texts, in order, where these are the same."""
        places = [[_place(message) for message in side] for side in (native, registry)]
        self._compare("messages", *places, kind)
        if places[0] != places[1]:
            return
        for a, b in zip(native, registry, strict=False):
            aspect = "error text" if a["severity"] == "error" else "messages"
            self._compare(aspect, _flat(a["data"]), _flat(b["data"]), _text_kind(a["data"]))

    def _compare(self, aspect: str, native: Any, registry: Any, kind: str) -> None:
        self.result.compared[aspect] += 1
        if native != registry:
            self._differ(aspect, kind, native, registry)

    def _differ(self, aspect: str, kind: str, native: Any, registry: Any) -> None:
        difference = Difference(self.result.requests, aspect, kind, _show(native), _show(registry))
        self.result.differences.append(difference)


def _recorded_errors(answer: dict) -> list[str]:
    """Texts of what failed, in a recorded answer to a tactic."""
    errors = [m["data"] for m in answer.get("messages", []) if m["severity"] == "error"]
    if "message" in answer:
        errors.append(answer["message"].removeprefix("Lean error:\n"))
    if (status := answer.get("proofStatus", "")).startswith("Error: "):
        errors.append(status.removeprefix("Error: "))
    return errors


def _tactic_kind(tactic: str, answer: dict, failed: bool) -> str:
    """What a difference in a tactic step would come from; empty for nothing that is known."""
    status = answer.get("proofStatus", "")
    if status.startswith("Error: kernel"):
        return "self" if "free variables" in status else "kernel"
    if re.search(r"\bsorry\b", tactic):
        return "sorry"
    if "metavariable" in status:
        return "holes"
    if failed and "messages" in answer:
        return "recovery"
    return ""


def _command_kind(text: str, answer: dict) -> str:
    """The same for a command."""
    unsolved = any(m["data"].startswith("unsolved goals") for m in answer.get("messages", []))
    empty_block = re.search(r"\bby\s*(\n\S|$)", text)
    return "block" if unsolved and empty_block else "unexplained"


def _text_kind(text: str) -> str:
    return "linter" if "This linter can be disabled" in text else "wording"


def _traces(answer: dict) -> list[str]:
    return answer.get("traces", []) + [m["data"] for m in answer.get("messages", [])]


def _sorry(goal: str, pos: dict, end: dict) -> list[Any]:
    return [goal, [pos["line"], pos["column"]], [end["line"], end["column"]]]


def _span(text: str, sorry: dict) -> tuple[dict, dict]:
    """Lines and columns of a byte span."""
    spots = []
    for offset in sorry["position"]:
        before = text.encode()[:offset].decode()
        column = len(before) - (before.rfind("\n") + 1)
        spots.append({"line": before.count("\n") + 1, "column": column})
    return spots[0], spots[1]


def _place(message: dict) -> str:
    """Severity and span. Lean's JSON says `information` where the REPL says `info`."""
    severity = message["severity"].replace("information", "info")
    spots = [message.get("pos"), message.get("endPos")]
    return severity + "".join(f" {s['line']}:{s['column']}" for s in spots if s)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "fails" if value else "succeeds"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:159]}…"


# --- all of them --------------------------------------------------------------------------------


async def compare(folder: Path, lean: RegistryLean) -> list[Comparison]:
    """Plays every conversation of a folder, in order of their names, on a started Lean."""
    results, skipped = [], left_out(folder)
    for path in sorted(folder.glob("*.in")):
        if path.stem not in skipped:
            answers = path.with_name(f"{path.stem}.expected.out").read_text("utf-8")
            conversation = Conversation(lean, path.stem)
            results.append(
                await conversation.play(
                    read_requests(path.read_text("utf-8")), read_answers(answers)
                )
            )
    return results


def render(results: list[Comparison], skipped: dict[str, str], registry: str) -> str:
    """The page."""
    requests = sum(result.requests for result in results)
    equal = [result.name for result in results if not result.differences]
    lines = [
        "# The registry Lean and a native one",
        "",
        "Made by `tools/compare_repl.py`; a test keeps it up to date. The recorded conversations",
        "of the native REPL's own test suite were sent to the registry Lean.",
        "",
        f"- recorded: {RECORDED}",
        f"- registry: {registry}",
        f"- {len(results)} conversations with {requests} requests; {len(equal)} without a difference",
        "",
        "A cell says how many comparisons agreed of how many there were; `·` stands for none.",
        "Always different and not counted: the name of the severity (`info`, here `information`),",
        "groups instead of one list of goals, and the extras `tactics`, `infotree`, `proofStatus`,",
        "which are not offered here.",
        "",
        f"| conversation | requests | {' | '.join(ASPECTS)} | differs in |",
        f"|---|---|{'---|' * len(ASPECTS)}---|",
    ]
    for result in results:
        counted = [d.aspect for d in result.differences if d.kind != "depends"]
        lost = {aspect: counted.count(aspect) for aspect in ASPECTS}
        cells = [f"{n - lost[a]}/{n}" if n else "·" for a, n in result.compared.items()]
        kinds = ", ".join(dict.fromkeys(d.kind for d in result.differences)) or "nothing"
        lines.append(f"| {result.name} | {result.requests} | {' | '.join(cells)} | {kinds} |")
    lines += ["", "## Kinds of difference", "", "| kind | times | reason |", "|---|---|---|"]
    for kind, reason in KINDS.items():
        times = sum(d.kind == kind for result in results for d in result.differences)
        if times:
            lines.append(f"| {kind} | {times} | {reason} |")
    lines += ["", "## Every difference", ""]
    for result in results:
        for d in result.differences:
            lines.append(f"- **{result.name}**, request {d.request}, {d.aspect} ({d.kind})")
            lines.append(f"  - native: {_code(d.native)}")
            lines.append(f"  - registry: {_code(d.registry)}")
    lines += ["", "## Left out", "", "| conversation | reason |", "|---|---|"]
    lines += [f"| {name} | {reason} |" for name, reason in skipped.items()]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else "nothing"


async def make_page(folder: Path) -> str:
    """Plays everything in one process and renders the page. Raises LeanStartError, ValueError."""
    paths = installed()
    if paths is None:
        raise ValueError("no registry Lean on this machine: `leanfleet lean install`")
    if not any(folder.glob("*.expected.out")):
        raise ValueError(f"{folder} has no recorded conversations (*.in, *.expected.out)")
    lean = RegistryLean(paths)
    await lean.start()
    try:
        return render(await compare(folder, lean), left_out(folder), paths.version)
    finally:
        await lean.close()


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 after writing the page, 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(
        prog="compare_repl.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="with NAME.in and NAME.expected.out")
    parser.add_argument("--out", type=Path, help="file to write (default: standard output)")
    options = parser.parse_args(arguments)
    try:
        page = asyncio.run(make_page(options.folder))
    except (ValueError, RuntimeError) as error:
        print(f"compare_repl.py: {error}", file=sys.stderr)
        return 2
    if options.out:
        options.out.write_text(page, "utf-8")
    else:
        print(page, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
