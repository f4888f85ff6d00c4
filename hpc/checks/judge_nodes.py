"""What each node reported of itself, as findings: Python, modules, GPUs, limits, room, requeue.

Pure: reports in, findings out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from hpc.checks.findings import Finding, failed, listed, ok, warning
from hpc.checks.reports import Facts, Ran

LEAST_FREE_MB, LITTLE_FREE_MB = 500, 10_000
LITTLE_SHM_MB = 1_000
FEW_FILES = 1_024  # fewer open files than this are too few


def python(nodes: Mapping[str, Facts], here: str) -> list[Finding]:
    """`here`: this machine's version."""
    broken = [f"{_who(each)}: {each.error}" for each in nodes.values() if each.error]
    found = []
    if broken:
        found.append(
            failed(
                "Python",
                listed(broken, 3),
                "the same environment must be there on nodes: make it on the shared disk, and let "
                "`setup` load what it needs (module load …)",
            )
        )
    versions = _groups(nodes, lambda each: each.python)
    others = {version: who for version, who in versions.items() if version and version != here}
    if others:
        told = ", ".join(f"{version} on {listed(who)}" for version, who in others.items())
        found.append(
            failed(
                "Python",
                f"{here} here, {told}",
                "let `setup` of the site load the Python that this environment was made with",
            )
        )
    return found or [ok("Python", f"{here} on {_nodes(nodes)} ({_first(nodes).executable})")]


def imports(nodes: Mapping[str, Facts]) -> list[Finding]:
    broken = [
        f"{_who(node)}: {name}: {each.error}"
        for node in nodes.values()
        for name, each in node.imports.items()
        if each.error
    ]
    if broken:
        return [
            failed(
                "modules",
                listed(broken, 2),
                "install what is missing into the environment, or load its libraries in `setup`",
            )
        ]
    slowest: dict[str, float] = {}
    for node in nodes.values():
        for name, each in node.imports.items():
            slowest[name] = max(slowest.get(name, 0.0), each.seconds)
    versions = {
        name: {node.imports[name].version for node in nodes.values() if name in node.imports}
        for name in slowest
    }
    differ = [
        f"{name}: {', '.join(sorted(each))}" for name, each in versions.items() if len(each) > 1
    ]
    if differ:
        return [failed("modules", listed(differ), "one environment on a disk that all nodes share")]
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest.items())
    return [ok("modules", f"imported in {told}")] if told else []


def gpus(nodes: Mapping[str, Facts], wanted: int) -> list[Finding]:
    """`wanted`: of a node, as the site says for the role that was tried."""
    if not wanted:
        return []
    found = []
    for node in nodes.values():
        if node.error:
            continue
        given, named = node.gpus_given, node.gpus_named
        said = f"{_who(node)}: Slurm gave {given}, CUDA_VISIBLE_DEVICES names {named}"
        if node.gpus_given != wanted or node.gpus_named != wanted:
            hint = "`gpus` of the role and the partition's GRES must agree (sinfo -o '%P %G')"
            found.append(failed("GPUs", f"{said}, {wanted} were asked for", hint))
        elif node.torch_gpus != wanted:
            seen = f"{said}, torch sees {max(0, node.torch_gpus)}"
            hint = "see whether the node's driver fits the CUDA that torch was built for"
            if not node.torch_cuda:
                hint = "this torch was built without CUDA: install one with it, or ask for no GPU"
            found.append(failed("GPUs", seen, hint))
    told = (
        f"{wanted} on each of {_nodes(nodes)}, by Slurm and by torch ({_first(nodes).torch_cuda})"
    )
    return found[:1] or [ok("GPUs", told)]


def cores(nodes: Mapping[str, Facts]) -> list[Finding]:
    few = [
        f"{_who(each)}: {each.cores_given} given, {each.cores} usable"
        for each in nodes.values()
        if each.cores_given > each.cores
    ]
    if few:
        return [
            warning(
                "cores", listed(few), "see the site's TaskPlugin, or lines of `setup` that bind"
            )
        ]
    there = sorted({each.cores for each in nodes.values() if not each.error})
    return [ok("cores", f"{' or '.join(map(str, there))} usable by a task")] if there else []


def limits(nodes: Mapping[str, Facts]) -> list[Finding]:
    few = [
        f"{_who(each)}: {each.limits['nofile']}"
        for each in nodes.values()
        if 0 <= each.limits.get("nofile", -1) < FEW_FILES
    ]
    held = [
        f"{_who(e)}: {e.limits['as'] >> 20} MB"
        for e in nodes.values()
        if e.limits.get("as", -1) >= 0
    ]
    found = []
    if few:
        found.append(
            warning(
                "open files", listed(few), "add `ulimit -n 4096` to `setup`: a hub has many sockets"
            )
        )
    if held:
        found.append(
            warning(
                "address space",
                listed(held),
                "WebAssembly reserves far more than it uses: `ulimit -v unlimited` in `setup`",
            )
        )
    small = [
        f"{_who(each)}: {each.shm_mb} MB"
        for each in nodes.values()
        if 0 <= each.shm_mb < LITTLE_SHM_MB
    ]
    if small:
        found.append(
            warning(
                "/dev/shm",
                listed(small),
                "ranks on one node exchange through it: ask for more, or NCCL_SHM_DISABLE=1",
            )
        )
    node = _first(nodes)
    files = node.limits.get("nofile", -1)
    told = f"{'unlimited' if files < 0 else f'{files:,}'} open files, /dev/shm {node.shm_mb:,} MB"
    return found or [ok("limits", told)]


def addresses(nodes: Mapping[str, Facts], interface: str | None) -> list[Finding]:
    """What servers on nodes would publish."""
    broken = [
        f"{_who(each)}: {each.address_error}" for each in nodes.values() if each.address_error
    ]
    told = ", ".join(f"{name} {each}" for name, each in _first(nodes).interfaces.items())
    if broken:
        return [failed("interface", listed(broken, 2), f"set `interface` to one of: {told}")]
    mine = [f"{_who(each)} {each.address}" for each in nodes.values() if each.address]
    alone = [each for each in nodes.values() if each.address.startswith("127.")]
    if alone and len({each.host for each in nodes.values()}) > 1:
        found = f"{listed([_who(each) for each in alone])} would publish 127.0.0.1"
        return [warning("interface", found, f"set `interface` to one of: {told}")]
    where = interface or "by the node's name"
    return [ok("interface", f"{where}: {listed(mine)}; there are {told}")] if mine else []


def room(nodes: Mapping[str, Facts]) -> list[Finding]:
    found, told = [], {}
    for node in nodes.values():
        for path, free in node.free_mb.items():
            told[path] = min(free, told.get(path, free))
    for path, free in told.items():
        said = f"{path}: {free:,} MB free"
        if free < LEAST_FREE_MB:
            found.append(failed("room", said, "make room, or choose another disk"))
        elif free < LITTLE_FREE_MB:
            found.append(
                warning("room", said, "checkpoints and the journal grow: make room in time")
            )
    return found or [ok("room", ", ".join(f"{path} {free:,} MB" for path, free in told.items()))]


def requeue(nodes: Mapping[str, Facts], wanted: bool, allowed: bool) -> list[Finding]:
    """`wanted`: `requeue` of the site. `allowed`: JobRequeue of the cluster."""
    node = _first(nodes)
    missing = [name for name in ("scontrol", "squeue", "sbatch") if name not in node.programs]
    if not wanted:
        if "sbatch" in missing:
            return [_no_way_on(node)]
        return [ok("requeue", "off in the site: a job that ends early submits its follower")]
    if node.requeue == "yes" and allowed:
        return [ok("requeue", "a job can put itself back into the queue")]
    why = "JobRequeue is 0" if not allowed else f"{_who(node)}: {node.requeue}"
    if "sbatch" in missing:
        return [_no_way_on(node)]
    return [
        warning(
            "requeue", why, "set `requeue: false`: a job that ends early submits a follower instead"
        )
    ]


def _no_way_on(node: Facts) -> Finding:
    return failed(
        "requeue",
        f"{_who(node)} has neither a scontrol that works nor sbatch",
        "nodes can't submit: after a time limit or a preemption `leanfleet resume RUN` must be called; "
        "`minutes` as long as the partition allows makes that rare",
    )


def command(
    nodes: Mapping[str, Facts],
    what: str,
    name: str,
    judge: Callable[[Ran], tuple[str, str]],
    next: str,
) -> list[Finding]:
    """What a program said. `judge`: of its output what to show, and a next step where it is too slow.
    `next`: where it failed."""
    rans = [(node, node.ran[what]) for node in nodes.values() if what in node.ran]
    broken = [f"{_who(node)}: {ran.output}" for node, ran in rans if ran.code != 0]
    if broken:
        return [failed(name, listed(broken, 2), next)]
    if not rans:
        return []
    judged = [judge(ran) for _, ran in rans]
    said = listed(
        [f"{_who(node)}: {text}" for (node, _), (text, _) in zip(rans, judged, strict=True)]
    )
    hint = "".join([each for _, each in judged if each][:1])
    return [warning(name, said, hint) if hint else ok(name, said)]


def _groups(nodes: Mapping[str, Facts], key: Callable[[Facts], str]) -> dict[str, Sequence[str]]:
    found = defaultdict(list)
    for each in nodes.values():
        found[key(each)].append(_who(each))
    return found


def _first(nodes: Mapping[str, Facts]) -> Facts:
    whole = [each for each in nodes.values() if not each.error]
    return (whole or list(nodes.values()))[0]


def _nodes(nodes: Mapping[str, Facts]) -> str:
    return "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"


def _who(node: Facts) -> str:
    return node.host or f"node {node.name}"
