"""One process type per file: each joins a part of leanfleet to `hpc`'s sockets and run folder.

lean.py      the Lean server, its clients over the wire, and a server inside the own process
hub.py       the run's games, verdicts and rows behind a socket
prover.py    an MPI world that searches
evaluator.py a probe again and again, with the weights of one version each
learner.py   the parent of the ranks that learn from a run
steps.py     those ranks as a step of srun; rank.py one task of it
policy.py    a network's server, clients of all its ranks, and a service inside the own process
policies.py  what `--policy` names, opened
plan.py      which processes a run consists of; preflight.py what can be found out before they start
jobs.py      the same as jobs of Slurm; sites.py where a run runs; task.py what runs inside a job
whole.py     a run as one job: who leaves it first, and how it goes on
snapshot.py  which code those jobs have; staging.py Lean on a node's own disk
begin.py     a run from its configuration, begun or opened again; fork.py from another run
watching.py  what a run says of itself: its hub, or its journal; servers.py its Lean and policy servers
roving.py    requests to whoever serves a role now
serving.py   what serving roles share: signals, keys, sockets, the address, status lines
"""
