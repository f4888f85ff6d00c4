"""A site looked at before anything is spent: the joining of `hpc.checks` to sites, roles and Lean.

asked.py       what Slurm's answers mean for a site: partitions, accounts, limits, jobs
probe.py       one small job on a few nodes, or the same on this machine, and what came of it
judged.py      all that the nodes said, as findings
advice.py      what to put into the site file
lean_start.py  on a node: how long Lean takes to start
"""
