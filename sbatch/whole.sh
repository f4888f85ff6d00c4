#!/bin/bash
# A whole run as one heterogeneous job, a component for each role.
# As `launch` submits it for configs/quickstart.yaml where the site says `jobs: together` (docs/slurm.md).
#   sbatch sbatch/whole.sh RUN
# hub
#SBATCH --cpus-per-task=1
#SBATCH --job-name=leanfleet:hub
#SBATCH --mem=600M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

#SBATCH hetjob
# lean
#SBATCH --cpus-per-task=3
#SBATCH --job-name=leanfleet:lean
#SBATCH --mem=5000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

#SBATCH hetjob
# policy
#SBATCH --cpus-per-task=1
#SBATCH --job-name=leanfleet:policy
#SBATCH --mem=1000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

#SBATCH hetjob
# learner
#SBATCH --cpus-per-task=1
#SBATCH --job-name=leanfleet:learner
#SBATCH --mem=1000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

#SBATCH hetjob
# evaluator
#SBATCH --cpus-per-task=1
#SBATCH --job-name=leanfleet:evaluator
#SBATCH --mem=1000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

#SBATCH hetjob
# prover
#SBATCH --cpus-per-task=1
#SBATCH --job-name=leanfleet:prover
#SBATCH --mem=500M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --requeue
#SBATCH --signal=B:USR2@150
#SBATCH --time=240

# setup
notices="${1:?which RUN}"/sbatch/ends
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
tasks 0 1 1 1 bash "$1/python" -u -m leanfleet.cli task hub "${1:?which RUN}" --task
tasks 1 1 3 3 bash "$1/python" -u -m leanfleet.cli task lean "${1:?which RUN}" --task
tasks 2 1 1 1 bash "$1/python" -u -m leanfleet.cli task policy "${1:?which RUN}" --task
tasks 3 1 1 1 bash "$1/python" -u -m leanfleet.cli task learner "${1:?which RUN}" --task
tasks 4 1 1 1 bash "$1/python" -u -m leanfleet.cli task evaluator "${1:?which RUN}" --task
tasks 5 1 2 1 bash "$1/python" -u -m leanfleet.cli task prover "${1:?which RUN}" --task

# A component that is lost takes the others with it.
while [ -n "$(jobs -pr)" ]; do
    wait -n || [ -n "$ends" ] || { lost=1; stop; }
done
export HPC_LOST="$lost"
exec bash "$1/python" -u -m leanfleet.cli task whole "${1:?which RUN}"
