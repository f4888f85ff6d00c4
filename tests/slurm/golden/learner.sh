#!/bin/bash

# Parameters
#SBATCH --account=logic
#SBATCH --constraint='a100&nvlink'
#SBATCH --cpus-per-task=8
#SBATCH --exclude=node7
#SBATCH --gpus-per-node=2
#SBATCH --job-name=tried:learner
#SBATCH --mem=1800M
#SBATCH --no-requeue
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output='/runs/it is/logs/slurm/learner.%j.out'
#SBATCH --partition=gpu
#SBATCH --signal=B:USR2@300
#SBATCH --time=60

# setup
module load cuda
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
trap '' USR2

# command
export SUBMITIT_EXECUTOR=slurm
exec bash '/runs/it is/python' -u -m leanfleet.cli task learner '/runs/it is' --task "${SLURM_ARRAY_TASK_ID:-0}"
