"""Reinforcement learning from verdicts. Knows no Slurm, and no sockets: those are arguments.

matchmaker    which theorem next, which way, how long: pure
weights_tree  sampling from many weights that change
"""
