"""What participants of a check write into its folder, and what is asked of them.

Written by nodes, which are ours, and read like anything from a disk: typed and bounded (hpc.files).
"""

from __future__ import annotations

from msgspec import Struct

WANTED, JOB = "wanted.json", "job.json"
LOGIN = "login"
"""The participant that is no node: where the check was started."""


class Wanted(Struct, frozen=True):
    """wanted.json: written before the job is submitted. Seconds are limits."""

    nodes: int
    imports: tuple[str, ...] = ()
    commands: dict[str, tuple[str, ...]] = {}  # programs whose last line of output is kept
    interface: str | None = None
    srun: tuple[str, ...] = ()  # more arguments of an MPI world
    together_seconds: float = 60.0  # to wait for the other participants
    command_seconds: float = 180.0
    mpi_seconds: float = 45.0
    folder: str = ""  # whose free space is told

    @property
    def names(self) -> tuple[str, ...]:
        """Of all participants."""
        return (LOGIN, *(str(number) for number in range(self.nodes)))


class Reach(Struct, frozen=True):
    """One machine seen from another through TCP."""

    address: str
    milliseconds: float = 0.0  # there and back, the best
    ahead: float = 0.0  # seconds by which its clock is ahead of ours
    error: str = ""


class Shared(Struct):
    """shared.NAME.json: how the folder looked to one participant."""

    name: str
    host: str = ""
    saw: dict[str, str] = {}  # participant → the secret that it wrote
    waited: dict[str, float] = {}  # seconds that others were waited for, by step
    reads: int = 0  # of a file that another one kept replacing
    torn: int = 0  # of these, neither the old nor the new text
    gone: int = 0  # and no file at all
    backwards: int = 0  # and an older text than before
    was_last: bool = False  # the last text was seen in the end
    made: tuple[str, ...] = ()  # files that several wanted to create, and this one did
    linked: tuple[str, ...] = ()  # the same by a link
    locks: dict[str, str] = {}  # `flock of 0` → held, kept out, let in, or an error
    mtime_ahead: float = 0.0  # seconds: a new file's time against our clock
    sync_milliseconds: float = 0.0  # of a small file, written safely: the median
    reach: dict[str, Reach] = {}
    error: str = ""


class Imported(Struct, frozen=True):
    version: str = ""
    error: str = ""
    seconds: float = 0.0


class Ran(Struct, frozen=True):
    """A command: exit code, and its last line."""

    code: int
    output: str
    seconds: float


class Facts(Struct):
    """node.NAME.json: one machine by itself. Megabytes. An `error` leaves the rest empty."""

    name: str
    host: str = ""
    python: str = ""
    executable: str = ""
    address: str = ""
    address_error: str = ""
    interfaces: dict[str, str] = {}  # those that are up, with their address
    cores: int = 0  # that this process may use
    cores_given: int = 0  # by Slurm; 0 where it does not say
    memory_mb: int = 0
    gpus_given: int = 0  # by Slurm
    gpus_named: int = 0  # in CUDA_VISIBLE_DEVICES
    imports: dict[str, Imported] = {}
    torch_gpus: int = -1  # that torch sees; -1: was not asked
    torch_cuda: str = ""  # the version that torch was built for
    programs: tuple[str, ...] = ()  # of Slurm, that are there
    requeue: str = ""  # "yes", or why the job can't put itself back
    free_mb: dict[str, int] = {}
    shm_mb: int = -1
    limits: dict[str, int] = {}  # soft; -1: none
    ran: dict[str, Ran] = {}
    error: str = ""


class Rank(Struct, frozen=True):
    """One line of a rank."""

    rank: int
    size: int
    sum: int  # of all ranks' numbers, by MPI
    host: str


class Flavour(Struct, frozen=True):
    """mpi.NAME.json: two ranks started with this one."""

    name: str
    ranks: tuple[Rank, ...] = ()
    seconds: float = 0.0
    error: str = ""


class JobSaid(Struct, frozen=True):
    """job.json: written last."""

    job: str = ""
    host: str = ""
    flavours: tuple[str, ...] = ()
    error: str = ""
