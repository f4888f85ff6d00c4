"""Lean behind one interface.

environment.py  the protocol that every driver keeps
toolchain.py    which Lean and which Node this machine has
install.py      the registry Lean: fetched, checked, unpacked, once
slim.py         89 MB of its glue code become 0.7 MB
"""
