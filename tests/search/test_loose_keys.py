"""When two goals are one up to names and the order of hypotheses: the loose hash, on the real Lean."""

import random
from itertools import combinations, permutations

import pytest
import pytest_asyncio

from leanfleet.config import parse_config
from leanfleet.lean.client import StepResult
from leanfleet.lean.toy import parse_statement
from leanfleet.messages import Theorem
from leanfleet.prover import Budget, prove
from leanfleet.roles.lean import local_server
from leanfleet.search.answers import Proposal

REAL = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"


def on_lean(test):
    """One server for all tests of the file."""
    loop = pytest.mark.asyncio(loop_scope="module")
    return pytest.mark.needs("registry_lean")(loop(test))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lean():
    async with local_server(parse_config(REAL, "test").lean) as lean:
        yield lean


async def opened(lean, statement: str):
    state = await lean.open(Theorem("t", f"theorem t {statement}"))
    assert state.goals, state
    return state


async def hashes(lean, statement: str, tactics: list[str]) -> list[tuple[str, str]]:
    """(hash, loose) of the one goal that each tactic leaves."""
    state, found = await opened(lean, statement), []
    for tactic in tactics:
        step = await lean.run_tactic(state, tactic)
        assert isinstance(step, StepResult), (tactic, step.message)
        (group,) = step.groups
        (goal,) = group.goals
        found.append((goal.hash, goal.loose))
    return found


SAME = {
    "names": ("(p q : Prop) : p → q → p", ["intro a b", "intro x y"]),
    "two assumptions": (
        "(p q : Prop) : p → q → p",
        ["intro a b", "(intro a b; revert a; intro a)"],
    ),
    "assumptions that nothing tells apart but what mentions them": (
        "(p q r : Prop) : (p ∧ q) → (q → r) → r ∨ r",
        ["rintro ⟨a, b⟩ c", "(rintro ⟨a, b⟩ c; revert a; intro a)"],
    ),
    "a chain of inequalities between variables that the target does not mention": (
        "(a b c d : Nat) : a < b → b < c → c < d → False",
        ["intro f g h", "(intro f g h; revert g f; intro g f)", "(intro f g h; revert f; intro f)"],
    ),
    "what only the names tell apart": (
        "(p q : Prop) : p → q → p ∨ q",
        ["(intro a b; left)", "(intro a b; right)"],
    ),
    "what `have` made, and from what": (
        "(p : Prop) : p → p",
        ["intro h", "(intro h; have g := h; clear h)", "(intro h; have g : p := id h; clear h)"],
    ),
    "assumptions about the same variable": (
        "(f : Nat → Nat) (n : Nat) : f n = 1 → f 0 = 2 → f (f n) = 3",
        ["intro g h", "(intro g h; revert g; intro g)"],
    ),
    "definitions in the context": (
        "(n : Nat) : n = n",
        ["(let a := n + 1; let b := n + 2)", "(let b := n + 2; let a := n + 1)"],
    ),
}


@pytest.mark.parametrize("case", SAME)
@on_lean
async def test_the_same_goal_in_another_order(lean, case):
    statement, tactics = SAME[case]
    found = await hashes(lean, statement, tactics)
    assert len({loose for _, loose in found}) == 1
    assert case == "names" or len({strict for strict, _ in found}) > 1  # or nothing is tested


DIFFERENT = {
    "one more assumption": (
        "(p q : Prop) : p → q → p",
        ["intro a b", "(intro a b; clear b)", "(intro a b; have c := b)"],
    ),
    "a variable for another": (
        "(a b : Nat) : (a < b ∧ b < a) → a = 1",
        ["rintro ⟨g, -⟩", "rintro ⟨-, h⟩", "rintro ⟨g, h⟩"],
    ),
    "a definition, which tactics may unfold, and an assumption": (
        "(n : Nat) : n = n",
        ["let a := n", "have a := n", "let a := n + 1"],
    ),
    "another target": ("(p q : Prop) : p → p ∨ q", ["(intro a; left)", "(intro a; right)"]),
    "what the print hides": (
        "(n : Nat) : n = n",
        ["(have h : (0 : Nat) = 0 := rfl)", "(have h : (0 : Int) = 0 := rfl)"],
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
@on_lean
async def test_goals_that_differ_in_more(lean, case):
    found = await hashes(lean, *DIFFERENT[case])
    assert len({loose for _, loose in found}) == len(found)


def renamed(edges, order) -> frozenset:
    return frozenset((order[a], order[b]) for a, b in edges)


def isomorphic(one, two, size: int, fixed: int) -> bool:
    """Whether renaming the variables from `fixed` on makes one set of relations the other."""
    return any(
        renamed(one, (*range(fixed), *order)) == two for order in permutations(range(fixed, size))
    )


async def loose_of(lean, edges, names: str, rng: random.Random) -> str:
    """Of a goal with a relation and one assumption for each edge, in any order."""
    shuffled = rng.sample(sorted(edges), len(edges))
    facts = " ".join(f"(h{n} : R {names[a]} {names[b]})" for n, (a, b) in enumerate(shuffled))
    variables = " ".join(rng.sample(names, len(names)))
    state = await opened(
        lean, f"(R : Nat → Nat → Prop) ({variables} : Nat) {facts} : R {names[0]} {names[0]}"
    )
    return state.goals[0].loose


@on_lean
async def test_goals_with_one_hash_are_one_goal(lean):
    """On random graphs of assumptions: against all renamings of the variables."""
    rng, found = random.Random(3), []
    for _ in range(40):
        edges = frozenset((rng.randrange(5), rng.randrange(5)) for _ in range(rng.randint(2, 6)))
        order = (0, *rng.sample(range(1, 5), 4))
        for each in (edges, renamed(edges, order)):
            found.append((each, await loose_of(lean, each, "abcde", rng)))
    for (one, first), (two, second) in combinations(found, 2):
        # that equal goals always get one hash is no promise, but on these they do
        assert (first == second) == isomorphic(one, two, 5, 1), (one, two)


@on_lean
async def test_what_local_looks_cannot_tell_apart_is_told_apart(lean):
    """One ring of six beside two rings of three: each variable alone looks the same in both."""
    ring = frozenset((i, i % 6 + 1) for i in range(1, 7))
    rings = frozenset((i, i % 3 + 1 if i < 4 else (i - 3) % 3 + 4) for i in range(1, 7))
    rng = random.Random(1)
    names = "abcdefg"
    assert await loose_of(lean, ring, names, rng) != await loose_of(lean, rings, names, rng)


class Says:
    """A policy that says the same of every state."""

    def __init__(self, *tactics):
        self.proposal = Proposal(-3.0, [(text, 0.5) for text in tactics], exhausted=True)

    async def propose(self, key, goals, count):
        return self.proposal


@on_lean
async def test_a_search_has_one_edge_for_them(lean):
    policy = Says("intro a b", "intro x y", "(intro a b; revert a; intro a)", "intro a")
    theorem = Theorem("t", "theorem t (p q r : Prop) : p → q → r")
    result = await prove(lean, theorem, Budget(simulations=1), policy=policy)
    root = result.search.graph.root
    # the shortest keeps its text and has the others' priors
    assert [(e.action.tactic, e.prior) for e in root.edges] == [
        ("intro a b", 1.0),
        ("intro a", 0.5),
    ]
    assert result.search.statistics.merged == 2


def test_the_toy_logic_knows_no_order_either():
    def loose(text: str) -> tuple[str, str]:
        (goal,) = parse_statement(f"theorem t {text}")[1].goals
        return goal.hash, goal.loose

    one, two = loose("(h : p) (g : q) : p"), loose("(a : q) (b : p) : p")
    assert one[0] != two[0] and one[1] == two[1]
    assert loose("(h : p) (g : q) : q")[1] != one[1]
