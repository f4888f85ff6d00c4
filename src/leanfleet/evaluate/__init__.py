"""An evaluation to trust: many attempts at many theorems, and what may be said of them.

content.py  which theorems exactly: the content hash
"""
