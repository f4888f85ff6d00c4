"""Machines and networks. Knows nothing of theorems and never imports leanfleet.

wire         authenticated request–reply between processes: ZeroMQ, msgpack envelopes, CURVE
journal      records that are whole after any kill, one writer at a time
commit       many callers, one write
snapshots    what a journal's reader knew, so that a start reads only the rest
leases       who works on what, until when: pure
run_folder   a run begun once, private, of one format; run_lock one launch at a time; code what runs
local        processes of this machine, kept running; with_parent and keeper leave no orphan; processes
             finds them by their mark, launched says what they do, tails reads their logs,
             cancel stops some for good
run_code     what a run's jobs run, copied into its folder; run_environment the same of what is
             installed; trees folders copied whole
staging      a folder copied once to a disk of the node
disks        what kind of disk a folder is on
checks       what a machine, a shared folder, a Slurm can do: found out and judged
slurm        jobs: what is asked of Slurm, what it and they say
mpi          bytes between the ranks of an MPI world, never blocking
meter        CPU seconds of a process and all that it started, in a file
rendezvous   how processes of one run find each other: small files published atomically
"""
