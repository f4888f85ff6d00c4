#!/bin/bash

# Parameters
#SBATCH --account=logic
#SBATCH --array=0,2-3
#SBATCH --cpus-per-task=1
#SBATCH --exclude=node7
#SBATCH --job-name=tried:prover
#SBATCH --mem=500M
#SBATCH --no-requeue
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --open-mode=append
#SBATCH --output='/runs/it is/logs/slurm/prover.%A_%a.out'
#SBATCH --partition=cpu
#SBATCH --signal=B:USR2@300
#SBATCH --time=240

# setup
module load cuda
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
trap '' USR2

# command
export SUBMITIT_EXECUTOR=slurm
exec bash '/runs/it is/python' -u -m leanfleet.cli task prover '/runs/it is' --task "${SLURM_ARRAY_TASK_ID:-0}"
