"""Training steps of chainrule, measured in turn with whatever does the same work.

The others are in the repository, in ``benchmarks/peers``.
"""
