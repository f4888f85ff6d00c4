"""Search graphs as rows: the proof, merged states, cycles, what has no room."""

from searches import Shown, searched, shown, wide

from leanfleet.messages import Goal, Hypothesis
from leanfleet.search.search import SearchOutcome
from leanfleet.treepage.rows import LEFT_OFF, MAX_CHARS, cut, graph_rows

PROOF = {
    "root": {"split": ["left", "right"], "wander": ["away"], "bad": None},
    "left": {"close left": []},
    "right": {"rewrite": ["same"], "loop": ["root"]},
    "same": {"close": []},
    "away": {"other way": ["same"], "back": ["root"]},
}


def by_target(rows):
    return {state.goals[0].target: state for state in rows.states}


def tactic(state, text):
    (edge,) = [edge for edge in state.edges if edge.tactic == text]
    return edge


def test_a_proof_is_marked_on_every_branch_and_comes_first():
    search = searched(PROOF)
    assert search.outcome is SearchOutcome.PROVED
    rows = graph_rows(search)
    root = rows.states[0]
    assert root.goals[0].target == "root" and root.proof and root.length == 3
    assert root.edges[0].tactic == "split" and root.edges[0].proof
    assert [edge.proof for edge in root.edges].count(True) == 1
    states = by_target(rows)
    for key, text in [("left", "close left"), ("right", "rewrite"), ("same", "close")]:
        assert states[key].proof and tactic(states[key], text).proof
    assert root.useless == ("bad",) and root.useless_count == 1


def test_values_of_what_is_proved_are_exact():
    states = by_target(graph_rows(searched(PROOF)))
    assert tactic(states["root"], "split").value == -3
    assert tactic(states["right"], "rewrite").value == -2
    assert tactic(states["same"], "close").value == -1
    assert [branch.value for branch in tactic(states["root"], "split").branches] == [-1, -2]


def test_figures_are_those_of_the_search():
    search = searched(wide(3), simulations=60)
    rows = graph_rows(search)
    root, edges = rows.states[0], search.graph.root.edges
    assert root.visits == 60 and root.expansions == search.graph.root.expansions
    found = {edge.tactic: edge for edge in root.edges}
    for edge in edges:
        row = found[edge.action.tactic]
        assert row.visits == edge.visits and row.status == edge.child.status.value
        assert abs(row.share - edge.weight / sum(e.weight for e in edges)) < 1e-3
        assert row.value is None if not edge.visits else abs(row.value - edge.mean + 1) < 1e-2
    visits = [edge.visits for edge in root.edges]
    assert visits == sorted(visits, reverse=True)


def test_every_state_has_one_home_that_leads_to_the_root():
    moves = {
        "root": {"a": ["x"], "b": ["y"], "twice": ["x", "x"]},
        "x": {"c": ["z"], "up": ["root"]},
        "y": {"d": ["z"], "e": ["x", "z"]},
        "z": {"f": ["y"], "g": None},
    }
    rows = graph_rows(searched(moves, simulations=40))
    assert len(rows.states) == 4
    for number, state in enumerate(rows.states):
        if number == 0:
            assert state.home == ()
            continue
        parent, edge, place = state.home
        assert parent < number  # so homes are a tree, whatever the cycles
        assert rows.states[parent].edges[edge].leads[place] == number


def test_depth_is_the_fewest_tactics():
    moves = {
        "root": {"long": ["a"], "short": ["z"]},
        "a": {"on": ["b"]},
        "b": {"on": ["z"]},
        "z": {"no": None},
    }
    states = by_target(graph_rows(searched(moves)))
    assert {key: state.depth for key, state in states.items()} == {
        "root": 0, "a": 1, "b": 2, "z": 1,
    }  # fmt: skip


def test_the_least_visited_states_are_left_off_and_counted():
    search = searched(wide(4), simulations=120)
    rows = graph_rows(search, max_states=20)
    assert len(rows.states) == 20
    assert rows.left_off == len(search.graph.nodes) - 20
    leads = [lead for state in rows.states for edge in state.edges for lead in edge.leads]
    assert LEFT_OFF in leads and max(leads) < 20
    kept = {state.number for state in rows.states}
    most = max(
        (node for node in search.graph.nodes.values() if node.parents), key=lambda n: n.visits
    )
    assert most.number in kept


def test_goals_share_their_hypotheses():
    both, h = Hypothesis(("a", "b"), "Nat"), Hypothesis(("h",), "p", "t")
    goals = (
        Goal(text="", target="q", hypotheses=(both, h), case="left"),
        Goal(text="", target="r", hypotheses=(Hypothesis(("b",), "Nat"),)),
    )
    rows = graph_rows(searched({}, {"root": Shown(goals)}))
    assert rows.hypotheses == (("a", "Nat", ""), ("b", "Nat", ""), ("h", "p", "t"))
    first, second = rows.states[0].goals
    assert (first.target, first.case, first.hypotheses) == ("q", "left", (0, 1, 2))
    assert (second.target, second.case, second.hypotheses) == ("r", "", (1,))


def test_a_search_that_has_not_begun_and_one_without_any_tactic():
    for moves, simulations in (({}, 0), ({"root": {"bad": None}}, 5)):
        rows = graph_rows(searched(moves, simulations=simulations))
        assert len(rows.states) == 1 and rows.states[0].edges == ()
    assert rows.states[0].status == "dead"


def test_long_and_broken_texts_are_cut():
    assert cut("x" * 10) == "x" * 10
    assert cut("x" * (MAX_CHARS + 7)).endswith("(7 more characters)")
    assert cut("a\ud800b") == "a?b"
    rows = graph_rows(searched({}, {"root": shown("y" * 100_000)}))
    assert len(rows.states[0].goals[0].target) < MAX_CHARS + 100
