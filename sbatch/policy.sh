#!/bin/bash
# The network of a run, for all its searches.
# As `launch` submits it for configs/quickstart.yaml (docs/slurm.md, *By hand*).
#   sbatch sbatch/policy.sh RUN

#SBATCH --array=0
#SBATCH --cpus-per-task=1
#SBATCH --job-name=leanfleet:policy
#SBATCH --mem=1000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
trap '' USR2

export SUBMITIT_EXECUTOR=slurm
exec bash "$1/python" -u -m leanfleet.cli task policy "${1:?which RUN}" --task "${SLURM_ARRAY_TASK_ID:-0}"
