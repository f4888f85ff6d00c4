"""What stands where in a run's folder. Names only.

run.json             id, format, content hashes of what the run began with (hpc/run_folder.py)
config.yaml          the run's configuration, resolved
theorems.jsonl       the run's theorems, as they were when it began; probe.jsonl: the probe's
code.json            versions of what runs it
fork.json            of a fork: what it goes on from, and by what its configuration differs
hub.json             seconds that its hubs have been at work; earlier.json: of a fork, those of what it
                     goes on from
snapshot.json        the code and environment of its jobs of Slurm: code/ID, environment/ID; python is
                     the script that they start with (hpc/run_code.py)
site.yaml            where it was launched last, other than here; jobs.json, tasks/ROLE.TASK.json,
                     sbatch/: its jobs of Slurm (hpc/slurm/told.py)
launcher.json        what the launcher says of its processes; launcher.lock who launches
cancel/NAME          what is to be stopped for good
keys/ endpoints/     of the wire; who serves where
journal/             the hub's truth
replay/              shards of rows, and their manifests
learner/             tokenizer, rounds, checkpoints, record.jsonl
weights/v1 v2 …      published by the learner; best.json names the best by the probe
eval/v000001/ …      an evaluation each; eval/eval.jsonl: a line per evaluation
proofs.jsonl         every proof that improved on what was known, with its verdict's key
proofs/NAME.lean     the best proof of each theorem as a file that checks alone; the report makes them
logs/                ROLE.TASK.ATTEMPT.log
tb/ROLE/             TensorBoard
cpu/                 ROLE.TASK.ATTEMPT.PID.json: CPU seconds of each process and its children
over.json            why the run is over; what is finite ends by itself when it is there
unjudged.json        the hub of a run that is over could not say that all claims are judged
summary.json report.html
"""

from __future__ import annotations

CONFIG, CODE = "config.yaml", "code.json"
PROBE, FORK = "probe.jsonl", "fork.json"
CLOCK, EARLIER = "hub.json", "earlier.json"
KEYS, ENDPOINTS = "keys", "endpoints"
JOURNAL, REPLAY = "journal", "replay"
LEARNER, WEIGHTS, BEST = "learner", "weights", "best.json"
DONE = "done.json"  # in LEARNER: it has published its last weights
EVALUATIONS, EVALUATION_LINES = "eval", "eval.jsonl"
PROOFS, LEAN_FILES = "proofs.jsonl", "proofs"
LOGS, TENSORBOARD, CPU = "logs", "tb", "cpu"
OVER, UNJUDGED = "over.json", "unjudged.json"
SUMMARY, REPORT = "summary.json", "report.html"
