"""leanfleet: finds proofs of Lean 4 statements, and learns from every one it finds.

theorem.py   theorems from JSON lines, `.lean` files and the command line
config.py    the experiment's configuration: one strict YAML
messages/    every message between processes
lean/        Lean behind one interface: toolchain, drivers, server, client, verdict
search/      search over proof states (pure)
roles/       one process type per file; the only code here that knows `hpc`, with the CLI
cli.py       the `leanfleet` command
"""
