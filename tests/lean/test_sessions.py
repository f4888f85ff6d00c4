"""Which client holds which states: bookkeeping, by random operations."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from leanfleet.lean.sessions import Sessions
from leanfleet.messages import Limits, PathStep, Theorem

THEOREM = Theorem(name="t", statement="theorem t : True")


class SessionsMachine(RuleBasedStateMachine):
    """Whatever clients do, Lean is told to forget exactly what nobody holds, each once."""

    nodes = Bundle("nodes")
    requests = Bundle("requests")

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.sessions = Sessions(10.0, clock=lambda: self.now)
        self.in_lean: set[tuple[int, int]] = set()
        self.in_flight = []
        self.local = 0

    def free(self, freed):
        for pair in freed:
            assert pair in self.in_lean, "freed twice, or never placed"
            self.in_lean.remove(pair)

    def hold(self, node, process):
        self.local += 1
        self.sessions.hold(node)
        self.sessions.place(node, process, self.local)
        self.in_lean.add((process, self.local))
        self.free(self.sessions.unpin(node))
        return node

    @rule(target=nodes, name=st.sampled_from("ab"), process=st.integers(1, 3))
    def open(self, name, process):
        session = self.sessions.enter((b"peer", name))
        root = self.hold(self.sessions.root(session, THEOREM, Limits()), process)
        self.sessions.leave(session)
        return root

    @rule(target=nodes, parent=nodes, group=st.integers(0, 2), process=st.integers(1, 3))
    def step(self, parent, group, process):
        if not parent.live:
            return parent
        self.sessions.pin(parent)
        step = PathStep("left", group)
        child = self.hold(self.sessions.child(parent, step, Limits()), process)
        self.free(self.sessions.unpin(parent))
        return child

    @rule(node=nodes)
    def forget(self, node):
        self.free(self.sessions.forget(node.session, [node.id, -1]))

    @rule(target=requests, node=nodes)
    def begin(self, node):
        if not node.live:
            return None
        request = self.sessions.enter(node.session.key), node
        self.sessions.pin(node)
        self.in_flight.append(request)
        return request

    @rule(request=consumes(requests))
    def end(self, request):
        if request is not None:
            session, node = request
            self.in_flight.remove(request)
            self.free(self.sessions.unpin(node))
            self.sessions.leave(session)

    @rule(name=st.sampled_from("ab"))
    def close(self, name):
        self.free(self.sessions.close((b"peer", name)))

    @rule(seconds=st.sampled_from([3.0, 11.0]))
    def wait(self, seconds):
        self.now += seconds
        self.free(self.sessions.expire())

    @invariant()
    def paths_lead_to_a_theorem(self):
        for session in list(self.sessions._sessions.values()):
            for node in session.live.values():
                while node.parent is not None:
                    assert node.parent.children > 0
                    node = node.parent

    @invariant()
    def lean_keeps_only_what_is_wanted(self):
        assert len(self.in_lean) >= self.sessions.live_states
        assert sum(self.sessions.homes.values()) <= self.sessions.nodes

    def teardown(self):
        """All clients leave, half of the requests before and half after that."""
        for request in self.in_flight[::2]:
            self.end(request)
        for session in list(self.sessions._sessions.values()):
            self.free(self.sessions.close(session.key))
        for request in list(self.in_flight):
            self.end(request)
        assert not self.in_lean and self.sessions.nodes == 0
        assert self.sessions.live_states == 0 and not self.sessions.homes


SessionsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSessions = SessionsMachine.TestCase
