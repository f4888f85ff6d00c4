"""Slurm: what is asked of it, and what it says. Knows no roles.

commands.py   its programs, called with a time limit; what they refuse as an error for people
script.py     a job as the text that sbatch gets, made by submitit
whole.py      several jobs as the text of one heterogeneous job
submit.py     that text submitted, through submitit
queue.py      the states of any number of jobs in one query
accounting.py what jobs have used, where Slurm keeps accounts
ranks.py      ranks of a training as a step of srun: who each is, where they meet
requeue.py    a job that puts itself back into the queue
here.py       the job that this process is in: ids, address, cores, GPUs
told.py       what the jobs of a run say of themselves: a file per task
"""
