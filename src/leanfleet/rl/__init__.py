"""Reinforcement learning from verdicts. Knows no Slurm, and no sockets: those are arguments.

config        the YAML of a run
files         what stands where in a run's folder
matchmaker    which theorem next, which way, how long: pure
weights_tree  sampling from many weights that change
records       what the hub's journal holds
ledger        the state of a run's games: a function of its records
hub           hands out games, keeps results, has claims judged
judge         the verdict on a claim, and its rows
replay        the rows as shards; proofs: every proof that improved on what was known
theorems      those of a run, as they were when it began
prover        a rank's games; desk: rank 0's stock of them, and results until the hub has them
evaluation    which versions of the weights are due, and what came of each
board         what TensorBoard shows of a hub
window        which of them a round of training has: pure
rounds        what each round has seen, and its rows as samples
learner       a rank that trains, round after round; with torch
published     the weights that stand in the run's folder
story         what the journal tells a reader, in one pass; bins: its curves in bounded memory
told          what the folder says besides
summary       summary.json: counts that reconcile
report        report.html of a run; lines: its curves as SVG
"""
