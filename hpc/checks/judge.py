"""What the participants of a check reported, as findings about what is between them: the folder, clocks,
the network, MPI. What each node is by itself: judge_nodes.py.

Pure: reports in, findings out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hpc.checks.findings import Finding, failed, listed, ok, warning
from hpc.checks.reports import LOGIN, Flavour, Shared
from hpc.checks.shared import HELD, KEPT_OUT

SLOW_SECONDS = 10.0  # until a new file is seen
SKEW_SECONDS, SKEW_BAD_SECONDS = 2.0, 30.0
SYNC_SLOW_MS = 100.0
DISK = (
    "put runs on another shared disk (--folder), or have it mounted with locks and coherent caches"
)


def folder(reports: Mapping[str, Shared], names: Sequence[str], place: str) -> list[Finding]:
    """`names`: of all participants. `place`: the folder that was tried, for people."""
    absent = [name for name in names if name not in reports]
    blind = {
        name: [each for each in names if each in reports and _other(reports, name, each)]
        for name in reports
    }
    unseen = [f"{_who(a)} does not see what {_who(b)} wrote" for a, bs in blind.items() for b in bs]
    early = [f"{_who(name)}: {each.error}" for name, each in reports.items() if each.error]
    if absent or unseen or early:
        said = [f"{_who(name)} said nothing" for name in absent] + unseen + early
        return [
            failed(
                "shared folder",
                f"{place}: {listed(said, 3)}",
                "nodes must see and write the run's folder under the same path: choose another one "
                "(--folder, and --out of launch), or ask where the shared disk is",
            )
        ]
    seen = max(
        (seconds for each in reports.values() for seconds in each.waited.values()), default=0
    )
    found = [_seen(place, len(reports), seen)]
    found.append(_replaced(list(reports.values())))
    found.append(_created(reports))
    found.append(_locks(reports))
    found.append(_times(reports))
    return found


def _other(reports: Mapping[str, Shared], name: str, each: str) -> bool:
    """Another secret than its writer's own."""
    return reports[name].saw.get(each) != reports[each].saw.get(each)


def _seen(place: str, count: int, seconds: float) -> Finding:
    said = f"{place} is seen and written by {count} participants, the longest wait {seconds:.1f} s"
    if seconds <= SLOW_SECONDS:
        return ok("shared folder", said)
    return warning(
        "shared folder",
        said,
        "others see a new file late: restarts and the end of a run take as much longer. A mount with "
        "a shorter attribute cache (NFS: actimeo) would help",
    )


def _replaced(reports: Sequence[Shared]) -> Finding:
    reads = sum(each.reads for each in reports)
    torn, gone = sum(each.torn for each in reports), sum(each.gone for each in reports)
    back = sum(each.backwards for each in reports)
    late = [_who(each.name) for each in reports if not each.was_last]
    said = f"{reads:,} reads of a file while it was replaced: {torn} torn, {gone} without a file"
    if torn or late:
        end = f", {back} older than before" + (
            f"; never the newest: {listed(late)}" if late else ""
        )
        return failed("replaced files", said + end, DISK)
    if gone or back:
        end = f", {back} older than before"
        return warning(
            "replaced files", said + end, f"tried again where that matters; better: {DISK}"
        )
    return ok("replaced files", said)


def _created(reports: Mapping[str, Shared]) -> Finding:
    """Each name was made, and linked, by exactly one."""
    made = Counter(name for each in reports.values() for name in each.made)
    linked = Counter(name for each in reports.values() for name in each.linked)
    twice = [name for counts in (made, linked) for name, count in counts.items() if count > 1]
    if not made or not linked:
        return failed("exclusive files", "no name could be created or linked", DISK)
    if twice:
        return failed(
            "exclusive files",
            f"{len(twice)} names were created by more than one: two hubs could both think that they "
            "own a run",
            DISK,
        )
    return ok("exclusive files", f"{len(made)} created and {len(linked)} linked, each by one alone")


def _locks(reports: Mapping[str, Shared]) -> Finding:
    outcomes = {
        f"{kind} ({_who(name)})": outcome
        for name, each in reports.items()
        for kind, outcome in each.locks.items()
    }
    broken = [f"{what}: {said}" for what, said in outcomes.items() if said not in (HELD, KEPT_OUT)]
    flock = [each for each in broken if each.startswith("flock")]
    if flock:
        return failed(
            "locks",
            f"{listed(broken, 3)}",
            f"two launches could work in one run at once. {DISK} (NFS: local_lock=none, Lustre: flock)",
        )
    if broken:
        return warning("locks", listed(broken, 3), "POSIX locks are not used here; flock holds")
    return ok("locks", f"flock and lockf keep others out ({len(outcomes)} tries)")


def _times(reports: Mapping[str, Shared]) -> Finding:
    """What the disk's clock and its writes are like."""
    slowest = max(each.sync_milliseconds for each in reports.values())
    skew = max((each.mtime_ahead for each in reports.values()), key=abs)
    said = f"a safe write of 1 kB takes up to {slowest:.1f} ms; its time is {skew:+.2f} s from ours"
    if abs(skew) > SKEW_SECONDS:
        return warning("disk", said, "the disk's server has another clock: its NTP is worth a look")
    if slowest > SYNC_SLOW_MS:
        return warning(
            "disk", said, "the hub writes its journal at that pace: a faster disk helps it"
        )
    return ok("disk", said)


def network(reports: Mapping[str, Shared], interface: str | None) -> list[Finding]:
    """Connections and clocks between nodes, and from the login node to them."""
    tries = [(a, b, reach) for a, each in reports.items() for b, reach in each.reach.items()]
    if not tries:
        return [
            warning(
                "network",
                "no node told an address, so nothing was tried",
                "see the other findings of the nodes",
            )
        ]
    between = [each for each in tries if each[0] != LOGIN]
    bad = [
        f"{_who(a)} → {_who(b)} ({reach.address}): {reach.error}"
        for a, b, reach in between
        if reach.error
    ]
    from_login = [reach for a, _, reach in tries if a == LOGIN]
    found = []
    where = f" through {interface}" if interface else ""
    if bad:
        found.append(
            failed(
                "network",
                f"{len(bad)} of {len(between)} connections between nodes fail: {listed(bad, 2)}",
                "set `interface` of the site to the network between nodes, or ask for its ports to be "
                "open: roles listen on free ports that the system chooses",
            )
        )
    elif between:
        best = max(reach.milliseconds for _, _, reach in between)
        said = f"{len(between)} connections between nodes{where}, there and back in up to {best:.2f} ms"
        found.append(ok("network", said))
    if from_login and any(reach.error for reach in from_login):
        first = next(reach for reach in from_login if reach.error)
        found.append(
            warning(
                "network of the login node",
                f"{first.address}: {first.error}",
                "`status` will show no counts of the hub, and says so; nothing else needs it",
            )
        )
    elif from_login:
        found.append(ok("network of the login node", f"reached from here: {len(from_login)}"))
    return [*found, *_clocks(tries)]


def _clocks(tries: Sequence[tuple[str, str, object]]) -> list[Finding]:
    known = [(a, b, reach.ahead) for a, b, reach in tries if not reach.error]
    if not known:
        return []
    a, b, ahead = max(known, key=lambda each: abs(each[2]))
    said = f"{_who(b)} is {ahead:+.3f} s from {_who(a)}, the largest of {len(known)}"
    if abs(ahead) > SKEW_BAD_SECONDS:
        return [
            failed(
                "clocks",
                said,
                "tasks would be called silent, or never: have the nodes' clocks set (NTP)",
            )
        ]
    if abs(ahead) > SKEW_SECONDS:
        return [warning("clocks", said, "times in logs will not fit together: NTP is worth a look")]
    return [ok("clocks", said)]


# --- MPI ----------------------------------------------------------------------------------------------


def works(flavour: Flavour) -> bool:
    """Two ranks that know and hear each other."""
    sums = [rank.sum == 3 and rank.size == 2 for rank in flavour.ranks]
    return len(sums) == 2 and all(sums) and not flavour.error


def mpi(
    flavours: Mapping[str, Flavour], chosen: str, launcher: str = "srun --mpi"
) -> list[Finding]:
    """`chosen`: the site's. Others are told, too."""
    good = sorted(name for name, each in flavours.items() if works(each))
    told = ", ".join(f"{name}: {_world(each)}" for name, each in sorted(flavours.items()))
    if not flavours:
        return [
            failed(
                "MPI",
                f"{launcher}=list names no flavour",
                "set prover.ranks: 1, which needs no MPI between ranks, or ask for a Slurm with PMI",
            )
        ]
    if chosen in good:
        return [ok("MPI", told)]
    if good:
        return [failed("MPI", told, f"set `mpi: {good[0]}` in the site")]
    return [
        failed(
            "MPI",
            told,
            "this Python's MPI and Slurm do not know each other: load the site's MPI in `setup` and "
            "build mpi4py with it (pip install --no-binary mpi4py mpi4py), or set prover.ranks: 1",
        )
    ]


def _world(flavour: Flavour) -> str:
    if works(flavour):
        hosts = len({rank.host for rank in flavour.ranks})
        where = f"{hosts} hosts" if hosts > 1 else "1 host"
        return f"a world of 2 on {where} in {flavour.seconds:.1f} s"
    if flavour.error:
        return flavour.error
    if flavour.ranks and all(rank.size == 1 for rank in flavour.ranks):
        return "singletons"
    return f"{len(flavour.ranks)} ranks answered"


def _who(name: str) -> str:
    return "this machine" if name == LOGIN else f"node {name}"
