"""Deterministic simulation: the real processes, engine, connectors and simulated vendors in one process, from one seed.

See docs/decisions/0007-simulation-on-the-real-database.md for its shape.
"""
