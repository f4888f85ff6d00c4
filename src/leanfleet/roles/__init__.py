"""One process type per file: each joins a part of leanfleet to `hpc`'s sockets and run folder.

lean.py   the Lean server, its clients over the wire, and a server inside the own process
"""
