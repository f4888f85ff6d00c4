#!/bin/bash
# hub
#SBATCH --cpus-per-task=1
#SBATCH --job-name=tried:hub
#SBATCH --mem=600M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output='/runs/it is/logs/slurm/whole.%j.out'
#SBATCH --partition=cpu
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=60

#SBATCH hetjob
# lean
#SBATCH --cpus-per-task=3
#SBATCH --job-name=tried:lean
#SBATCH --mem=5000M
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --partition=cpu
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=60

#SBATCH hetjob
# policy
#SBATCH --cpus-per-task=1
#SBATCH --job-name=tried:policy
#SBATCH --mem=1000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --partition=cpu
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=60

#SBATCH hetjob
# learner
#SBATCH --constraint='a100&nvlink'
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=2
#SBATCH --job-name=tried:learner
#SBATCH --mem=1800M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=60

#SBATCH hetjob
# prover
#SBATCH --cpus-per-task=1
#SBATCH --job-name=tried:prover
#SBATCH --mem=500M
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=2
#SBATCH --partition=cpu
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=60

# setup
module load cuda
notices='/runs/it is/sbatch/ends'
# Tasks of a component: ITS NUMBER, HOW MANY, CPUS of each, CPUS of a rank, COMMAND
tasks() {
    srun --het-group="$1" --nodes="$2" --ntasks="$2" --ntasks-per-node=1 --cpus-per-task="$3" \
        --overlap --mem=0 --mpi=none --input=none --unbuffered --wait=0 --kill-on-bad-exit=0 \
        --export="ALL,HPC_HET_GROUP=$1,HPC_RANK_CPUS=$4" bash -c 'exec "$@" "$SLURM_PROCID"' - "${@:5}" &
}
# Before the end all tasks are told. SIGTERM comes to them by itself.
ends='' lost=''
stop() {
    ends=1
    { mkdir -p "$notices" && : > "$notices/$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}"; } ||
        kill -USR2 $(jobs -pr) 2>/dev/null
}
trap stop USR2
trap 'ends=1' TERM

# commands
tasks 0 1 1 1 bash '/runs/it is/python' -u -m leanfleet.cli task hub '/runs/it is' --task
tasks 1 3 3 3 bash '/runs/it is/python' -u -m leanfleet.cli task lean '/runs/it is' --task
tasks 2 1 1 1 bash '/runs/it is/python' -u -m leanfleet.cli task policy '/runs/it is' --task
tasks 3 1 8 8 bash '/runs/it is/python' -u -m leanfleet.cli task learner '/runs/it is' --task
tasks 4 4 2 1 bash '/runs/it is/python' -u -m leanfleet.cli task prover '/runs/it is' --task

# A component that is lost takes the others with it.
while [ -n "$(jobs -pr)" ]; do
    wait -n || [ -n "$ends" ] || { lost=1; stop; }
done
export HPC_LOST="$lost"
exec bash '/runs/it is/python' -u -m leanfleet.cli task whole '/runs/it is'
