"""The measurement of training steps, of chainrule and of other libraries.

The other libraries' implementations are in the repository, in ``benchmarks/peers``.
"""
