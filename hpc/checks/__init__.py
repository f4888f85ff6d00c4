"""What a machine, a site with Slurm, a shared folder can do: found out, and judged.

findings.py   one result: ok, a warning, failed, each with the next step
answers.py    what Slurm says on a login node: version, partitions, accounts, settings, MPI flavours
reports.py    what is written on nodes and read here: typed files
board.py      small files by which the participants of a try wait for each other
shared.py     a folder tried by several machines at once: names, locks, renames, clocks
clock.py      a clock behind a port, and how far another one is from ours
facts.py      one machine: Python, modules, GPUs, limits, room
ranks.py      a rank of an MPI world says how large it is
node.py       all of that on one node; job.py on all nodes of a job, or twice on this machine
judge.py      what nodes reported, as findings; judge_nodes.py of each node by itself
"""
