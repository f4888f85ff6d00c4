"""Lean behind one interface.

Drivers, each one Lean process:
    environment.py  the protocol that every driver keeps
    registry.py     real Lean as WebAssembly in Node; wasm/ is its JavaScript
    native.py       the executable of leanprover-community/repl (native_*.py: replies, verdict)
    fake.py, toy.py a toy logic in pure Python, with faults on order
    child.py        a child process: framing, deadlines, memory, its end
    state.py        goals read from Lean's print, digests; couple.py: coupling by print

What may be proved how:
    allowlist.py    syntax kinds that may run; compose.py: the file that a proof is put into

Many searches on a few processes (docs/lean-server.md):
    transport.py process.py supervise.py pool.py sessions.py rebuild.py server.py client.py
    drivers.py      from the configuration to drivers

This machine's Lean:
    toolchain.py    which Lean and which Node there are
    install.py      the registry Lean: fetched, checked, unpacked, once
    slim.py         89 MB of its glue code become 0.7 MB
"""
