#!/bin/bash
# A pool of Lean processes for the searches and the verdicts of a run.
# As `launch` submits it for configs/quickstart.yaml (docs/slurm.md, *By hand*).
#   sbatch --array=0-3 sbatch/lean.sh RUN

#SBATCH --array=0
#SBATCH --cpus-per-task=3
#SBATCH --job-name=leanfleet:lean
#SBATCH --mem=5000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
trap '' USR2

export SUBMITIT_EXECUTOR=slurm
exec bash "$1/python" -u -m leanfleet.cli task lean "${1:?which RUN}" --task "${SLURM_ARRAY_TASK_ID:-0}"
