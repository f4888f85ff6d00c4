"""The constants of wasm/layout.js against the installed build: another build fails here, loudly.

Wrong constants need not crash: they can read a neighbouring field and answer nonsense. So known
things are read through every constant that search and verdict rest on (layout_probe.js).
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest

from leanfleet.lean import registry

pytestmark = pytest.mark.needs("registry_lean")

CODE = Path(registry.__file__).parent / "wasm"


@pytest.fixture(scope="module")
def finder(root):
    """tools/find_wasm_patch.py."""
    spec = importlib.util.spec_from_file_location("finder", root / "tools/find_wasm_patch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def layout(registry_lean) -> dict:
    """The constants, as Node reads them."""
    script = f"process.stdout.write(JSON.stringify(require({json.dumps(str(CODE / 'layout.js'))})))"
    return json.loads(_run([str(registry_lean.node), "-e", script]))


@pytest.fixture(scope="module")
def probe(registry_lean) -> dict:
    """What layout_probe.js read through the constants."""
    command = registry.command_line(registry_lean)
    shell, node = command[:4], [word for word in command[4:-1] if "permission" not in word]
    node = [word for word in node if not word.startswith("--allow")]
    script = Path(__file__).with_name("layout_probe.js")
    return json.loads(_run([*shell, *node, str(script), str(CODE), str(registry_lean.wasm_dir)]))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# --- the file -----------------------------------------------------------------------------------


def test_the_patch_is_where_the_tool_finds_it(layout, finder, registry_lean):
    data = registry_lean.wasm.read_bytes()
    (patch,) = layout["WASM_PATCHES"]
    assert patch["offset"] == finder.find(data)
    assert (patch["from"], patch["to"]) == (finder.FROM.hex(), finder.TO.hex())
    assert data[patch["offset"] :][: len(finder.FROM)] == finder.FROM


def test_every_function_that_is_called_is_exported(finder, registry_lean):
    """By name, over all of wasm/: a renamed function fails here and not in the middle of a proof."""
    exports = {name for name, _, _ in finder.Module(registry_lean.wasm.read_bytes()).exports()}
    assert len(exports) > 200_000
    text = "\n".join(path.read_text("utf-8") for path in sorted(CODE.glob("*.js")))
    text = re.sub(r"^ *(//|\*|/\*).*$", "", text, flags=re.MULTILINE)  # comments
    used = set(re.findall(r"'((?:l_|lean_)\w+)'", text))
    used |= set(re.findall(r"\bexports\.(\w+)", text)) - {"lean_apply_1"}
    assert len(used) > 50
    missing = {name for name in used if not {name, f"{name}___boxed"} & exports}
    assert not missing


# --- what Lean's objects look like ----------------------------------------------------------------


def test_lean_says_which_build_it_is(probe):
    assert re.match(r"4\.28\.0.*38f3c0c4", probe["version"])


def test_constants_of_every_kind_are_read_right(probe):
    """Name, universe parameters and type: what the verdict compares."""
    found = {
        name: (constant["kind"], constant["levelParams"])
        for name, constant in probe["constants"].items()
    }
    assert found == {
        "propext": ("axiom", []),
        "Nat.add": ("defn", []),
        "Nat": ("induct", []),
        "Nat.succ": ("ctor", []),
        "Nat.rec": ("rec", ["u"]),
        "Quot.mk": ("quot", ["u"]),
        "Function.comp": ("defn", ["u", "v", "w"]),
    }
    assert all(name == constant["name"] for name, constant in probe["constants"].items())
    types = {name: constant["type"] for name, constant in probe["constants"].items()}
    assert types["Nat.add"] == "forallE Nat, forallE Nat, Nat"
    assert (
        types["propext"] == "forallE sort, forallE sort, forallE ((Iff #1) #0), (((Eq sort) #2) #1)"
    )


def test_a_theorem_and_its_sorry_are_found(probe):
    assert probe["theorem"] == {
        "kind": "thm",
        "name": "probe",
        "sites": 1,
        "text": "p : Prop\nhp : p\n⊢ let n := 37;\n  n = n ∧ p",
    }
    assert probe["ownConstants"] == ["probe"], "what was declared since the imports"


def test_a_goal_is_read_right(probe):
    """MetavarDecl, LocalContext, LocalDecl and Expr: what the structural hash walks over."""
    goal = probe["goal"]
    assert [(local["kind"], local["userName"], local["type"]) for local in goal["locals"]] == [
        ("cdecl", "p", "sort"),
        ("cdecl", "hp", "fvar"),
        ("ldecl", "n", "Nat"),
    ]
    assert goal["locals"][2]["value"] == "(((OfNat.ofNat Nat) lit) (instOfNatNat lit))"
    assert goal["type"] == "((And (((Eq Nat) fvar) fvar)) fvar)"


def test_flags_of_expressions_are_what_lean_says(probe):
    """[our reading, Lean's own function], where they are set and where they are not."""
    assert probe["goal"]["flags"]["hasFVar"] == [True, True]
    assert probe["goal"]["mvarFlags"]["hasExprMVar"] == [True, True]
    for flags in (probe["goal"]["flags"], probe["goal"]["mvarFlags"]):
        assert all(ours == leans for ours, leans in flags.values()), flags


def test_scopes_syntax_strings_and_tags_are_read_right(probe):
    assert probe["scope"] == {"namespace": "Outer.Inner", "openDecls": 1}
    assert probe["syntax"] == {"error": None, "kind": "Lean.Parser.Tactic.paren", "word": "("}
    assert probe["string"] == "∀ é 𝔽"
    assert all(probe["tags"].values()), probe["tags"]


def test_live_memory_counts_an_allocation_and_its_end(probe):
    """A string of 100,000 bytes comes in a block of at most twice that."""
    assert 100_000 <= probe["live"]["grown"] <= 200_000
    assert probe["live"]["left"] == 0
