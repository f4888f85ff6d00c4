"""Machines and networks. Knows nothing of theorems and never imports leanfleet.

wire         authenticated request–reply between processes: ZeroMQ, msgpack envelopes, CURVE
rendezvous   how processes of one run find each other: small files published atomically
"""
