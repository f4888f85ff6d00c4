"""Extraction, replay, minimisation, negation."""

import pytest
from drawn import CLOSED, CRASHED, REFUSED, reply, say, start, to

from leanfleet.search.answers import Reached, State
from leanfleet.search.extract import edge_at, extract
from leanfleet.search.graph import Action, Edge, Graph, OrNode
from leanfleet.search.minimise import Minimiser
from leanfleet.search.negate import StatementSpans, closed_type, negation
from leanfleet.search.proof import Proof, script
from leanfleet.search.replay import Replay, ReplayStatus
from leanfleet.search.search import SearchOutcome
from leanfleet.search.status import spread


def closed(tactic: str) -> Proof:
    return Proof(tactic)


def chain(*tactics: str) -> Proof:
    proof = closed(tactics[-1])
    for tactic in reversed(tactics[:-1]):
        proof = Proof(tactic, (proof,), ((0,),), (("",),))
    return proof


# --- extraction -----------------------------------------------------------------------------------


def test_the_graph_becomes_a_script():
    search = start()
    pair = State("pair", tags=("x", "a"))
    split = Reached((pair, State("b", tags=("b",))), ((0, 2), (1,)))
    say(search, "root", {"refine": split})
    while search.outcome is SearchOutcome.RUNNING:
        if (request := search.next()) is not None:
            reply(search, request, {"exact h" if request.state.key == "pair" else "rfl": CLOSED})
    proof = search.proof()
    assert proof.positions == ((0, 2), (1,)) and proof.tags == (("x", "a"), ("b",))
    assert script(proof) == "refine\nrotate_left\n· rfl\nrotate_left\nexact h"


def test_cycles_never_enter_a_proof():
    search = start()
    say(search, "root", {"on": to("a")})
    say(search, "a", {"back": to("root"), "on": to("b")}, prior={"back": 0.9, "on": 0.1})
    say(search, "b", {"back": to("a"), "end": CLOSED}, prior={"back": 0.9, "end": 0.1})
    assert script(search.proof()) == "on\non\nend"


def lead(parent: OrNode, tactic: str, heartbeats: int, child: OrNode | None) -> OrNode | None:
    positions = ((0,),) if child is not None else ()
    edge = Edge(parent, child, Action(tactic, positions, heartbeats), 0.5, 0.5)
    parent.edges.append(edge)
    if child is not None:
        child.parents.append(edge)
    return child


def test_ties_go_to_fewest_tactics_then_to_least_run_time():
    graph = Graph(State("root"))

    root = graph.root
    slow = lead(root, "slow", 1, graph.node(State("slow")))
    fast = lead(root, "fast", 2, graph.node(State("fast")))
    lead(slow, "end", 50, None)
    lead(fast, "end", 5, None)
    spread([slow, fast])
    assert root.length == 2 and extract(root).tactic == "fast"
    assert edge_at(root, (0,)).action.heartbeats == 5
    with pytest.raises(ValueError, match="no place"):
        edge_at(root, (1,))


def test_a_proof_of_thousands_of_tactics_is_extracted_and_replayed():
    graph = Graph(State("0"))
    for number in range(2_499):
        lead(graph.nodes[str(number)], "on", 1, graph.node(State(str(number + 1))))
    lead(graph.nodes["2499"], "end", 1, None)
    spread([graph.nodes["2499"]])
    proof = extract(graph.root)
    assert proof.length == 2_500 and script(proof).count("\n") == 2_499
    replay = Replay(proof, State("root"))
    while (step := replay.next()) is not None:
        replay.answer(step, CLOSED if step.tactic == "end" else to("x"))
    assert replay.status is ReplayStatus.DONE and replay.replayed().length == 2_500


# --- replay ---------------------------------------------------------------------------------------


def run(replay: Replay, answers: dict) -> Replay:
    while (step := replay.next()) is not None:
        answer = answers[step.tactic]
        replay.answer(step, answer.pop(0) if isinstance(answer, list) else answer)
    return replay


SPLIT = Proof("split", (chain("intro h", "exact h"), closed("rfl")), ((0,), (1,)), (("",), ("",)))


def test_a_replay_gives_rows_and_the_proof_as_lean_shows_it():
    tagged = Reached((State("l", tags=("left",)), State("r", tags=("right",))))
    answers = {"split": tagged, "intro h": to("l2"), "exact h": CLOSED, "rfl": CLOSED}
    replay = run(Replay(SPLIT, State("root")), answers)
    assert replay.status is ReplayStatus.DONE
    rows = [(row.state.key, row.tactic, row.value) for row in replay.rows()]
    assert rows == [
        ("root", "split", -3),
        ("l", "intro h", -2),
        ("l2", "exact h", -1),
        ("r", "rfl", -1),
    ]
    assert replay.replayed().tags == (("left",), ("right",))
    assert script(replay.replayed()) == script(SPLIT)


@pytest.mark.parametrize(
    "answers, place",
    [
        ({"split": REFUSED}, ()),
        ({"split": to("l")}, ()),  # one group, not two
        ({"split": to("l", "r"), "intro h": to("l2"), "exact h": REFUSED, "rfl": CLOSED}, (0, 0)),
        ({"split": to("l", "r"), "intro h": CLOSED, "rfl": CLOSED}, (0,)),
    ],
)
def test_a_replay_says_where_it_failed(answers, place):
    replay = run(Replay(SPLIT, State("root")), answers)
    assert replay.status is ReplayStatus.FAILED and replay.failed_at == place
    assert repr(SPLIT.at(place).tactic) in replay.reason


def test_machine_errors_of_a_replay_are_tried_again_and_refute_nothing():
    answers = {"t": [CRASHED, CRASHED, CLOSED]}
    assert run(Replay(closed("t"), State("root")), answers).status is ReplayStatus.DONE
    replay = run(Replay(closed("t"), State("root")), {"t": CRASHED})
    assert replay.status is ReplayStatus.MACHINE and replay.failed_at is None


# --- minimisation ---------------------------------------------------------------------------------


def minimised(proof: Proof, accepts, checks: int = 100) -> Proof:
    minimiser = Minimiser(proof, checks=checks)
    while (candidate := minimiser.candidate()) is not None:
        minimiser.verdict(accepts(candidate))
    return minimiser.proof


def test_tactics_that_are_not_needed_are_dropped():
    proof = chain("have", "intro h", "skip", "simp", "exact h")
    found = minimised(proof, lambda p: "intro h" in script(p))
    assert script(found) == "intro h\nexact h"


def test_a_split_gives_way_to_one_of_its_branches():
    found = minimised(SPLIT, lambda p: "intro h" in script(p))
    assert script(found) == "intro h\nexact h"
    assert minimised(SPLIT, lambda p: False) == SPLIT


def test_nothing_single_can_be_dropped_afterwards():
    proof = chain("a", "b", "c", "d")

    def accepts(candidate: Proof) -> bool:
        return {"b", "d"} <= set(script(candidate).split("\n"))

    found = minimised(proof, accepts)
    assert script(found) == "b\nd"
    assert minimised(found, accepts) == found


def test_checks_are_counted():
    asked = []
    minimised(chain("a", "b", "c", "d"), lambda p: bool(asked.append(p)), checks=2)
    assert len(asked) == 2


# --- negation -------------------------------------------------------------------------------------


def spans(statement: str, binders: str, conclusion: str) -> StatementSpans:
    data = statement.encode()
    found = []
    for part in (binders, conclusion):
        start = data.rindex(part.encode())
        found.append((start, start + len(part.encode())))
    return StatementSpans(*found)


def test_the_negation_of_a_theorem():
    statement = "theorem t {α : Type} (xs : List α) (h : xs ≠ []) : 0 < xs.length"
    binders = "{α : Type} (xs : List α) (h : xs ≠ [])"
    found = negation("t_false", statement, spans(statement, binders, "0 < xs.length"))
    assert found == f"theorem t_false : ¬ (∀ {binders}, 0 < xs.length)"


def test_a_theorem_without_binders_is_negated_as_it_stands():
    statement = "theorem t : ∀ n, n = 0"
    found = closed_type(statement, StatementSpans((9, 9), (12, len(statement.encode()))))
    assert found == "(∀ n, n = 0)"


def test_a_comment_does_not_swallow_the_bracket():
    statement = "theorem t (n : Nat) -- a number\n  : n = 0 -- false"
    found = closed_type(statement, spans(statement, "(n : Nat) -- a number", "n = 0 -- false"))
    assert found == "(∀ (n : Nat) -- a number\n  , n = 0 -- false\n  )"


@pytest.mark.parametrize(
    "binders, conclusion", [((0, 5), (3, 8)), ((0, 5), (9, 99)), ((5, 5), (9, 9))]
)
def test_spans_that_do_not_fit_are_refused(binders, conclusion):
    with pytest.raises(ValueError):
        closed_type("theorem t : p", StatementSpans(binders, conclusion))
    with pytest.raises(ValueError, match="character in two"):
        closed_type("∀∀∀", StatementSpans((0, 0), (1, 4)))
