#!/bin/bash
# An MPI world that searches; --ntasks-per-node is prover.ranks.
# As `launch` submits it for configs/quickstart.yaml (docs/slurm.md, *By hand*).
#   sbatch --array=0-3 sbatch/prover.sh RUN

#SBATCH --array=0
#SBATCH --cpus-per-task=1
#SBATCH --job-name=leanfleet:prover
#SBATCH --mem=500M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
trap '' USR2

export SUBMITIT_EXECUTOR=slurm
exec bash "$1/python" -u -m leanfleet.cli task prover "${1:?which RUN}" --task "${SLURM_ARRAY_TASK_ID:-0}"
