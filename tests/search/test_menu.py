"""The menu policy: what it proposes for states of every shape, in which order, and what it costs."""

from __future__ import annotations

import itertools
import math
import random
import re
import time
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from leanfleet.lean.state import parse_goal
from leanfleet.messages import ErrorKind, Goal, Hypothesis, LeanError, Limits, Theorem
from leanfleet.search import menu_polynomial as polynomial
from leanfleet.search.menu import Menu, MenuConfig
from leanfleet.search.menu_slots import EACH
from leanfleet.search.menu_table import TABLE
from leanfleet.search.menu_view import View
from leanfleet.theorem import parse_statement

THEOREMS = Path(__file__).with_name("menu_theorems.txt")

STATES = {
    "conjunction": "p q : Prop\nhp : p\nhq : q\n⊢ p ∧ q",
    "implication": "p q r : Prop\n⊢ p ∧ (q ∨ r) → ¬r → p ∧ q",
    "disjunction": "p q : Prop\nh : p ∨ q\n⊢ q ∨ p",
    "forall": "α : Type\np : α → Prop\nh : ¬∃ x, p x\n⊢ ∀ (x : α), ¬p x",
    "exists": "n : ℕ\nh : 0 < n\n⊢ ∃ m, m < n ∧ n ∣ 2 * m",
    "nested fact": "p q r : Prop\nf : ℕ → Prop\nh : p ∧ (∃ x, f x ∧ q) ∧ (q ∨ r)\n⊢ r",
    "linear": "x y : ℤ\nh₁ : x + y = 10\nh₂ : x - y = 4\n⊢ x = 7",
    "closed": "⊢ 2 ^ 8 % 5 = 1",
    "rational": "x y : ℚ\nh : x + y = 3\n⊢ 2 * x = 6 - 2 * y",
    "remainder": "a : ℤ\n⊢ a ^ 2 % 3 = 0 ∨ a ^ 2 % 3 = 1",
    "power": "n : ℕ\nh : 7 ∣ 2 ^ n - 1\n⊢ 3 ∣ n",
    "range": "a b : ℕ\nh₀ : 1 ≤ a ∧ a ≤ 9\nh₁ : 10 * a + b = a * b + a + b\n⊢ b = 9",
    "exponents": "x y : ℕ\nh : 2 ^ x * 3 ^ y = 1296\n⊢ x + y = 8",
    "product": "x y : ℕ\nh : x * y = 450\nh' : (x + 5) * (y - 3) = 450\n⊢ x = 25",
    "root": "n : ℤ\nh : (n - 1) * n * (n + 1) = 720\n⊢ n = 9",
    "gcd": "n : ℕ\n⊢ (21 * n + 4).gcd (14 * n + 3) = 1",
    "definition": "n : ℕ\nih : total n = n * n\n⊢ total (n + 1) = (n + 1) * (n + 1)",
    "tree": "t : Tree\nxs : List ℕ\nh : t.size = xs.length\n⊢ (mirror t).size = xs.length",
    "branch": "a b : ℕ\n⊢ (if a ≤ b then a else b) ≤ a",
    "functions": "f g : ℕ → ℕ\nh : ∀ (n : ℕ), f n = g n\n⊢ f = fun n => g n",
    "lists": "α : Type\nxs ys : List α\na : α\nh : a ∈ xs\n⊢ a ∈ xs ++ ys",
    "chain": "a b c : ℕ\nh₁ : a ≤ b\nh₂ : b ≤ c\n⊢ a ≤ c",
    "false": "p : Prop\nh : p\nh' : ¬p\n⊢ False",
    "boolean": "a b : Bool\n⊢ (a && b) = (b && a)",
    "unnamed": "case succ\nn✝ : ℕ\na✝ : n✝ * 2 = 4\ninst✝ : Inhabited ℕ\n⊢ n✝ = 2",
    "metavariable": "case right\np : ℕ → Prop\nh : p 3\n⊢ p ?w",
    "values": "n : ℕ\nm : ℕ := n + 1\nh : m = 3\n⊢ n = 2",
}

ROOT_SPLIT = (
    "rcases Int.mul_eq_zero.mp (by grind : (n - 9) * (n ^ 2 + 9 * n + 80) = 0) with h1 | h1"
)


def goals(name: str) -> list[Goal]:
    return [parse_goal(STATES[name])]


def proposed(text: str) -> list[str]:
    return [candidate.tactic for candidate in Menu().candidates([parse_goal(text)])]


# --- what it proposes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state, expected",
    [
        ("conjunction", ["constructor", "simp_all", "grind"]),
        ("implication", ["intro h h1", "rintro ⟨h, (h1 | h1)⟩ h2"]),
        ("disjunction", ["left", "right", "rcases h with h1 | h1", "by_cases h1 : q"]),
        ("forall", ["intro x h1", "rintro x h1"][:1]),
        ("exists", ["refine ⟨n, ?_⟩", "refine ⟨0, ?_⟩", "refine ⟨(n + 1), ?_⟩", "refine ⟨(n / 2), ?_⟩"]),
        ("nested fact", ["obtain ⟨h1, ⟨x, ⟨h2, h3⟩⟩, (h4 | h4)⟩ := h"]),
        ("linear", ["omega", "grind", "simp [h₁, h₂]"]),
        ("closed", ["decide", "rfl"]),
        ("definition", ["unfold total", "simp [total]", "grind [total]", "rw [ih]"][:3]),
        ("tree", ["unfold Tree.size", "unfold mirror", "induction t", "fun_induction mirror t"]),
        ("branch", ["split", "by_cases h : a ≤ b"]),
        ("functions", ["funext x", "have h1 := h 0"]),
        ("lists", ["induction xs with | nil => ?_ | cons a1 as ih => ?_"]),
        ("chain", ["calc a ≤ b := ?_\n _ ≤ c := ?_"]),
        ("false", ["contradiction", "apply h'", "have h1 := h' h"]),
        ("boolean", ["cases a <;> cases b <;> rfl"]),
        ("unnamed", ["rename_i x h"]),
        ("root", [ROOT_SPLIT]),
    ],
)  # fmt: skip
def test_templates_are_filled_from_the_state(state, expected):
    tactics = proposed(STATES[state])
    assert [tactic for tactic in expected if tactic not in tactics] == []


def test_an_exact_match_comes_first():
    assert proposed("p q : Prop\nh : q\nh' : p\n⊢ q")[0] == "exact h"


def test_divisibility_is_taken_apart():
    tactics = proposed("a b : ℕ\nh : a ∣ b\nh' : a ∣ b + 1\n⊢ a = 1")
    assert "obtain ⟨k, rfl⟩ := h" in tactics
    assert "obtain ⟨k, hk⟩ := h'" in tactics


def test_a_universal_fact_is_applied_and_its_result_taken_apart():
    tactics = proposed("α : Type\nr : α → α → Prop\na : α\nh : ∀ (x : α), ∃ y, r x y\n⊢ r a a")
    assert "have ⟨y, h1⟩ := h a" in tactics


def test_witnesses_that_solve_the_equation_come_first():
    tactics = proposed("⊢ ∃ x y, 5 * x + 7 * y = 1")
    assert tactics[0] in ("simp", "refine ⟨3, -2, ?_⟩")
    assert "refine ⟨3, -2, ?_⟩" in tactics[:3]
    assert "refine ⟨12, ?_⟩" in proposed("⊢ ∃ n, n * n = 144 ∧ 3 < n")[:3]


def test_dear_closers_are_gated_by_shape():
    tactics = proposed("α : Type\np q : α → Prop\nx : α\nh : p x\n⊢ q x")
    assert not {"omega", "decide", "rfl", "norm_cast", "split"} & set(tactics)
    assert "decide" not in proposed("n : ℕ\n⊢ n + 0 = n")
    assert "omega" not in proposed("k : ℕ\n⊢ 2 ^ (4032064 + 2 ^ 2008) % 10 = k")


def test_groups_can_be_rotated():
    group = [*goals("metavariable"), *goals("linear")]
    assert "rotate_left" in [candidate.tactic for candidate in Menu().candidates(group)]
    assert "rotate_left" not in proposed(STATES["metavariable"])


@pytest.mark.parametrize(
    "base, modulus, part",
    [
        (2, 7, "n % 3 = 0 ∨ n % 3 = 1 ∨ n % 3 = 2"),  # purely periodic
        (10, 9, "10 ^ n % 9 = 1"),  # constant
        (2, 10, "2 ^ k % 10 = 1 ∧ k = 0 ∨ 2 ^ k % 10 = 2 ∧ k % 4 = 1 ∧ 1 ≤ k"),  # with a tail
    ],
)
def test_powers_are_reduced_by_their_period(base, modulus, part):
    tactics = proposed(f"n : ℕ\n⊢ {base} ^ n % {modulus} ≠ {modulus - 1}")
    assert any(part in tactic for tactic in tactics)


# --- order --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_priors_are_positive_and_fall_and_nothing_comes_twice(state):
    found = list(Menu().candidates(goals(state)))
    priors = [candidate.prior for candidate in found]
    assert len(found) > 8
    assert all(0 < prior < math.inf for prior in priors)
    assert priors == sorted(priors, reverse=True)
    assert len({candidate.tactic for candidate in found}) == len(found)


@pytest.mark.parametrize("state", STATES)
def test_the_same_goals_give_the_same_candidates(state):
    assert list(Menu().candidates(goals(state))) == list(Menu().candidates(goals(state)))


def test_the_iterator_goes_on_where_it_stopped_and_ends():
    candidates = Menu().candidates(goals("linear"))
    first = list(itertools.islice(candidates, 8))
    rest = list(candidates)
    assert [*first, *rest] == list(Menu().candidates(goals("linear")))
    assert next(candidates, None) is None


def test_the_limit_cuts_the_least_likely():
    few = list(Menu(MenuConfig(limit=5)).candidates(goals("linear")))
    assert few == list(Menu().candidates(goals("linear")))[:5]


def test_an_empty_group_is_refused():
    with pytest.raises(ValueError, match="at least one goal"):
        Menu().candidates([])


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_inaccessible_names_are_never_mentioned(state):
    assert not [tactic for tactic in proposed(STATES[state]) if "✝" in tactic]


@pytest.mark.parametrize("state", STATES)
def test_names_of_hypotheses_stand_in_the_state(state):
    """With every hypothesis renamed, no old name is left in any tactic."""
    goal = parse_goal(STATES[state])
    old = [n for h in goal.hypotheses for n in h.names if "✝" not in n]
    new = {name: f"zz{index}" for index, name in enumerate(old)}

    def rename(text: str) -> str:
        return re.sub(r"[\w'₀-₉✝]+", lambda match: new.get(match[0], match[0]), text)

    tactics = proposed(rename(STATES[state]))
    used = {word for tactic in tactics for word in re.findall(r"zz\d+", tactic)}
    allowed = set(new.values())
    invented = {w for w in used - allowed if not re.match(rf"zz[{len(old)}-9]|zz\d\d", w)}
    assert invented == set()
    assert used or not old


@pytest.mark.parametrize("state", STATES)
def test_new_names_are_fresh(state):
    taken = {n for h in parse_goal(STATES[state]).hypotheses for n in h.names}
    for tactic in proposed(STATES[state]):
        for names in re.findall(r"^(?:intro|rename_i|funext|ext|rintro) ([^<]+)$", tactic):
            assert not taken & set(re.findall(r"[\w'₀-₉]+", names)), tactic


# --- value --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "targets, value",
    [
        (["a = b"], -1),
        (["p ∧ q"], -2),
        (["∀ x, p x → ∃ y, ¬q x y"], -5),
        (["p ∧ q", "r ↔ s"], -3),
        (["¬" * 19 + "p"], -20),
        (["¬" * 40 + "p"], -20),
    ],
)
def test_value_counts_connectives(targets, value):
    assert Menu().value([Goal(text=f"⊢ {t}", target=t) for t in targets]) == value


# --- hostile states -----------------------------------------------------------------------------

HOSTILE = {
    "huge target": Goal(text="", target="a + " * 25_000 + "a"),
    "huge connectives": Goal(text="", target="p ∧ " * 2_000 + "p"),
    "deep brackets": Goal(text="", target="(" * 3_900 + "x" + ")" * 3_900),
    "empty target": Goal(text="", target=""),
    "blank target": Goal(text="", target=" \n "),
    "many hypotheses": Goal(
        text="", target="x = 1", hypotheses=tuple(
            Hypothesis((f"h{i}",), f"x{i} ∧ y ∨ ∃ z, z = {i}") for i in range(5_000))),
    "one name for all": Goal(
        text="", target="h = 1", hypotheses=tuple(Hypothesis(("h",), "ℕ") for _ in range(3_000))),
    "many names": Goal(
        text="", target="x1 = 1", hypotheses=(Hypothesis(tuple(f"x{i}" for i in range(9_000)), "ℕ"),)),
    "huge fact": Goal(text="", target="p", hypotheses=(Hypothesis(("h",), "q → " * 30_000 + "p"),)),
    "weird names": Goal(
        text="", target="«a b» = h.x", hypotheses=(
            Hypothesis(("«a b»", "h.x", "fun", "_", "", "$x", "{y}", "x✝", "α₁'", "?w"), "ℕ"),
            Hypothesis(("$h", "⊢", "h\n"), "$x = {0} ∧ ${y}"))),
    "numbers": Goal(
        text="", target="x ^ 99999999999 % 10 ^ 9999 = 9" * 5, hypotheses=(
            Hypothesis(("x", "y"), "ℕ"), Hypothesis(("h",), f"x * y ^ 8 = {10**60}"),
            Hypothesis(("h'",), "(x + y + 1) ^ 8 ^ 8 = (x + y) ^ 8 * (x - y) ^ 8"))),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_states_cost_little(name):
    started = time.process_time()
    found = list(Menu().candidates([HOSTILE[name]] * 3))
    value = Menu().value([HOSTILE[name]] * 3)
    spent = time.process_time() - started
    assert len(found) <= MenuConfig().limit
    assert all(len(candidate.tactic) <= 2_000 for candidate in found)
    assert -20 <= value <= -1
    assert spent < 20  # no blow-up; a fraction of a second everywhere


_texts = st.text(alphabet="abnx01 ∀∃¬∧∨→↔=≤∣%^*+-()⟨⟩,:.ℕℤℚ\n$✝«»", max_size=50)


@settings(max_examples=60, deadline=None)
@given(_texts, st.lists(st.tuples(st.lists(_texts, min_size=1, max_size=3), _texts), max_size=4))
def test_any_print_is_answered(target, hypotheses):
    context = tuple(Hypothesis(tuple(names), kind) for names, kind in hypotheses)
    goal = Goal(text="", target=target, hypotheses=context)
    for candidate in Menu().candidates([goal]):
        assert candidate.prior > 0
    assert -20 <= Menu().value([goal]) <= -1


# --- the table ----------------------------------------------------------------------------------


def test_rows_name_functions_and_features_that_exist():
    view = View(goals("linear"))
    for row in TABLE:
        assert row.each in EACH, row
        assert 0 < row.prior <= 1, row
        for name in row.when.split():
            assert isinstance(getattr(view, name.removeprefix("!")), bool), row


def test_no_row_comes_twice():
    keys = [(row.template, row.each, row.when) for row in TABLE]
    assert len(set(keys)) == len(keys)


# --- polynomials --------------------------------------------------------------------------------


@given(st.integers(-20, 20), st.lists(st.integers(-9, 9), min_size=1, max_size=4))
def test_a_root_is_found_and_divided_out(root, values):
    cubic = [0, *values]  # (x - root) * values
    for power, value in enumerate(values):
        cubic[power] -= root * value
    found = polynomial.integer_root(cubic)
    if any(cubic):
        assert found is not None
        rest = polynomial.divide_by_root(cubic, found)
        point = 7
        assert (point - found) * sum(v * point**p for p, v in enumerate(rest)) == sum(
            v * point**p for p, v in enumerate(cubic)
        )


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_reading_a_polynomial_keeps_its_value(x, y):
    text = "(x - 2 * y) ^ 2 * 3 - -x * (y + 4) + ↑x - 7"
    poly = polynomial.parse(text)
    assert poly is not None
    expected = (x - 2 * y) ** 2 * 3 - -x * (y + 4) + x - 7
    assert polynomial.evaluate(poly, {"x": x, "y": y}) == expected


def test_a_polynomial_is_written_as_lean_prints_it():
    assert polynomial.write([80, 9, 1], "n") == "n ^ 2 + 9 * n + 80"
    assert polynomial.write([-3, 0, -2], "n") == "-2 * n ^ 2 - 3"
    assert polynomial.write([], "n") == "0"


# --- real Lean ----------------------------------------------------------------------------------


def theorems() -> list[Theorem]:
    """The paragraphs of the data file."""
    found = []
    for block in THEOREMS.read_text("utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if lines:
            start = next(i for i, line in enumerate(lines) if line.startswith("theorem"))
            header = "\n".join(lines[:start])
            found.append(parse_statement("\n".join(lines[start:]), header))
    return found


def test_the_data_file_has_theorems_of_many_topics():
    names = [theorem.name for theorem in theorems()]
    assert len(names) == len(set(names)) >= 40


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lean(registry_lean):
    from leanfleet.lean.registry import RegistryLean

    driver = RegistryLean(registry_lean)
    await driver.start()
    yield driver
    await driver.close()


PARSE_ONLY = Limits(heartbeats=1, seconds=2.0)
"""Too little to run anything: parsing and the allow-list come first and are not counted."""


@pytest.mark.needs("registry_lean")
@pytest.mark.asyncio(loop_scope="module")
async def test_every_tactic_parses_and_is_allowed(lean):
    """Each kind of tactic once, for the states of the data file and those one step further."""
    seen: set[str] = set()
    refused: list[str] = []
    rng = random.Random(1)
    for theorem in theorems():
        root = await lean.open(theorem, Limits())
        assert not isinstance(root, LeanError), (theorem.name, root)
        states = [root]
        for tactic in ("intros", "constructor"):
            step = await lean.run_tactic(root.id, tactic, Limits(2_000, 2.0))
            if not isinstance(step, LeanError):
                states += step.groups
        for state in states:
            candidates = list(Menu().candidates(state.goals))
            for candidate in rng.sample(candidates, min(40, len(candidates))):
                form = re.sub(r"\b[a-z]\w?[\d₀-₉]*\b", "x", candidate.tactic)
                if form in seen:
                    continue
                seen.add(form)
                answer = await lean.run_tactic(state.id, candidate.tactic, PARSE_ONLY)
                if getattr(answer, "kind", None) in (ErrorKind.PARSE, ErrorKind.FORBIDDEN):
                    refused.append(f"{candidate.tactic}: {answer.message}")
        await lean.forget([state.id for state in states])
    assert refused == []
    assert len(seen) > 200


@pytest.mark.needs("registry_lean")
@pytest.mark.asyncio(loop_scope="module")
async def test_every_library_name_exists(lean):
    texts = [row.template for row in TABLE]
    texts += [tactic for state in STATES.values() for tactic in proposed(state)]
    pattern = r"(?<![\w.$])(?:Nat|Int|Rat|List|Lean|Classical|Function|Or|And)(?:\.\w+)+"
    names = {name for text in texts for name in re.findall(pattern, text)}
    names = {re.sub(r"\.(mp|mpr|symm)$", "", name) for name in names} | {"and_imp", "congrFun"}
    assert len(names) > 25
    root = await lean.open(parse_statement("theorem t : True"), Limits())
    unknown = []
    for name in sorted(names):
        answer = await lean.run_tactic(root.id, f"have := @{name}", Limits())
        if isinstance(answer, LeanError) and "nknown" in answer.message:
            unknown.append(name)
    assert unknown == []


FIRST_EIGHT = (
    "de_morgan_classical", "even_or_odd", "am_gm_two", "quadratic_root", "six_divides", "gcd_linear",
    "five_divides_powers", "no_square_mod_four", "small_product", "filter_shorter", "bool_xor",
    "option_some",
)  # fmt: skip


@pytest.mark.needs("registry_lean")
@pytest.mark.asyncio(loop_scope="module")
async def test_some_theorems_fall_to_one_tactic_of_the_first_batches(lean):
    """Sixteen candidates of the root, as a search would ask for them."""
    left = []
    for theorem in theorems():
        if theorem.name not in FIRST_EIGHT:
            continue
        root = await lean.open(theorem, Limits())
        for candidate in itertools.islice(Menu().candidates(root.goals), 16):
            step = await lean.run_tactic(root.id, candidate.tactic, Limits())
            if not isinstance(step, LeanError) and not step.groups:
                break
        else:
            left.append(theorem.name)
    assert left == ["even_or_odd"]  # it needs a witness first


@pytest.mark.needs("registry_lean")
@pytest.mark.asyncio(loop_scope="module")
async def test_steps_of_several_tactics_lead_to_a_proof(lean):
    """Every tactic of these proofs is on the menu of the state it is used in."""
    proofs = {
        "exists_square": ["refine ⟨12, ?_⟩", "decide"],
        "cantor": [
            "refine ⟨(fun x => ¬f x x), ?_⟩", "intro a h", "have h1 := congrFun h a", "grind",
        ],
        "dvd_chain": ["obtain ⟨k, rfl⟩ := h₂", "grind"],
        "surjective_compose": [
            "intro c", "have ⟨b, h⟩ := hg c", "subst h", "have ⟨a, h⟩ := hf b", "grind",
        ],
        "product_of_bounds": ["apply Nat.mul_le_mul", "exact h₁", "exact h₂"],
    }  # fmt: skip
    by_name = {theorem.name: theorem for theorem in theorems()}
    for name, proof in proofs.items():
        waiting = [await lean.open(by_name[name], Limits())]
        for tactic in proof:
            state = waiting.pop(0)
            menu = [candidate.tactic for candidate in Menu().candidates(state.goals)]
            assert tactic in menu, (name, tactic, state.goals)
            step = await lean.run_tactic(state.id, tactic, Limits())
            assert not isinstance(step, LeanError), (name, tactic, step)
            waiting = [*step.groups, *waiting]
        assert waiting == [], name
