"""Which client holds which states: paths, where each is cached, leases. Pure bookkeeping.

A state is (theorem, path); a Lean process's own id for it is a cache entry in `Node.places`. The
path of a forgotten state is kept as long as a state below it is held, so that the server can
replay it; the Lean state itself is freed at once. Whatever Lean need not keep any longer is
returned as `Freed` pairs, for the pool to forget.

This file refuses to know Lean, processes (they are serial numbers here), sockets and the time
(the clock is an argument). It never awaits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from leanfleet.messages import Limits, PathStep, Theorem

Freed = list[tuple[int, int]]
"""(serial of a process, id inside it) pairs that Lean may forget."""

SessionKey = tuple[bytes, str]
"""The authenticated peer, and the name that this peer chose."""


class Tree:
    """One opened theorem. `home` is the process that ran its latest step, for placement."""

    __slots__ = ("home", "nodes", "theorem")

    def __init__(self, theorem: Theorem) -> None:
        self.theorem = theorem
        self.home: int | None = None
        self.nodes = 0


class Node:
    """One state. Exists while it is live (the client holds it), pinned, or has children."""

    __slots__ = (
        "children",
        "digest",
        "failures",
        "group",
        "id",
        "limits",
        "live",
        "parent",
        "pins",
        "places",
        "session",
        "tactic",
        "tree",
    )

    def __init__(
        self,
        id: int,
        session: Session,
        tree: Tree,
        parent: Node | None,
        step: PathStep,
        limits: Limits,
        digest: str,
    ) -> None:
        self.id = id
        self.session = session
        self.tree = tree
        self.parent = parent  # None: the theorem's first state
        self.tactic, self.group = step.tactic, step.group  # how `parent` led here
        self.limits = limits  # of the call that made it
        self.digest = digest  # "" until it is known
        self.places: dict[int, int] = {}  # process serial → id inside that process
        self.live = False
        self.pins = 0  # requests in flight that need it
        self.children = 0  # nodes whose path leads through it
        self.failures = 0  # times that rebuilding it failed for a machine's reason

    @property
    def wanted(self) -> bool:
        """Whether Lean should keep this state."""
        return self.live or self.pins > 0


class Session:
    """The states of one client. `in_flight` requests keep its lease from ending."""

    __slots__ = ("closed", "expires", "in_flight", "key", "live")

    def __init__(self, key: SessionKey, expires: float) -> None:
        self.key = key
        self.expires = expires  # on the injected clock, in seconds
        self.live: dict[int, Node] = {}
        self.in_flight = 0
        self.closed = False


class Sessions:
    """All sessions of one server.

    `clock()` gives seconds that never go back. Ids start above `first_id`; a server that restarts
    must start elsewhere, so that an old id is unknown instead of naming another state.
    """

    def __init__(
        self, lease_seconds: float, *, clock: Callable[[], float], first_id: int = 0
    ) -> None:
        self.lease_seconds = lease_seconds
        self.nodes = 0  # held states and the paths to them
        self.homes: Counter[int] = Counter()  # process serial → trees at home there
        self._clock = clock
        self._last_id = first_id
        self._sessions: dict[SessionKey, Session] = {}

    # --- sessions and leases --------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def live_states(self) -> int:
        return sum(len(session.live) for session in self._sessions.values())

    def get(self, key: SessionKey) -> Session | None:
        return self._sessions.get(key)

    def enter(self, key: SessionKey) -> Session:
        """A request of this session begins: makes the session if need be and renews its lease."""
        session = self._sessions.get(key)
        if session is None:
            session = self._sessions[key] = Session(key, 0.0)
        session.expires = self._clock() + self.lease_seconds
        session.in_flight += 1
        return session

    def leave(self, session: Session) -> None:
        """The request ended; the lease runs from now."""
        session.in_flight -= 1
        session.expires = self._clock() + self.lease_seconds

    def close(self, key: SessionKey) -> Freed:
        """Ends a session and frees its states. Unknown keys: no effect."""
        session = self._sessions.pop(key, None)
        if session is None:
            return []
        session.closed = True
        return self.forget(session, list(session.live))

    def expire(self) -> Freed:
        """Ends every session whose lease has run out and that has no request in flight."""
        now = self._clock()
        over = [s.key for s in self._sessions.values() if s.expires <= now and not s.in_flight]
        return [pair for key in over for pair in self.close(key)]

    # --- states ---------------------------------------------------------------------------------

    def find(self, session: Session, id: int) -> Node | None:
        """The live state of this session with this id; None when it has none such."""
        return session.live.get(id)

    def root(self, session: Session, theorem: Theorem, limits: Limits, digest: str = "") -> Node:
        """A theorem's first state: pinned once, not yet live."""
        return self._new(session, Tree(theorem), None, PathStep("", 0), limits, digest)

    def child(self, parent: Node, step: PathStep, limits: Limits, digest: str = "") -> Node:
        """The state that `step` leads to from `parent`: pinned once, not yet live."""
        parent.children += 1
        return self._new(parent.session, parent.tree, parent, step, limits, digest)

    def _new(
        self,
        session: Session,
        tree: Tree,
        parent: Node | None,
        step: PathStep,
        limits: Limits,
        digest: str,
    ) -> Node:
        self._last_id += 1
        node = Node(self._last_id, session, tree, parent, step, limits, digest)
        node.pins = 1
        tree.nodes += 1
        self.nodes += 1
        return node

    def hold(self, node: Node) -> None:
        """The client holds this state from now on, until it forgets it or its session ends."""
        assert not node.session.closed, "a state handed to a session that has ended"
        node.live = True
        node.session.live[node.id] = node

    def pin(self, node: Node) -> None:
        """Keeps a state for the time of a request, even if the client forgets it meanwhile."""
        node.pins += 1

    def unpin(self, node: Node) -> Freed:
        node.pins -= 1
        assert node.pins >= 0, "a state unpinned more often than pinned"
        return self._release(node)

    def place(self, node: Node, process: int, local: int) -> None:
        """Lean process number `process` has this state, under its own id `local`."""
        node.places[process] = local
        tree = node.tree
        if tree.home != process:
            self._move(tree, process)

    def forget(self, session: Session, ids: Iterable[int]) -> Freed:
        """The client needs these states no more. Unknown ids are ignored."""
        freed: Freed = []
        for id in ids:
            node = session.live.pop(id, None)
            if node is not None:
                node.live = False
                freed += self._release(node)
        return freed

    def _release(self, node: Node) -> Freed:
        """Frees the Lean states of nodes that nobody wants, and the nodes that lead nowhere."""
        freed: Freed = []
        at: Node | None = node
        while at is not None and not at.wanted:
            freed += at.places.items()
            at.places.clear()
            if at.children:
                break
            self.nodes -= 1
            at.tree.nodes -= 1
            if at.tree.nodes == 0:
                self._move(at.tree, None)
            at = at.parent
            if at is not None:
                at.children -= 1
        return freed

    def _move(self, tree: Tree, home: int | None) -> None:
        if tree.home is not None:
            self.homes[tree.home] -= 1
            if self.homes[tree.home] == 0:
                del self.homes[tree.home]
        if home is not None:
            self.homes[home] += 1
        tree.home = home
