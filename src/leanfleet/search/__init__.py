"""Search over proof states. Pure: no sockets, Lean, torch, logging or clock.

fixed.py   a fixed list of tactics for a state: the simplest policy there is
proof.py   a found proof as a tree, and as the tactic script that a person can paste
"""
