"""Compiled kernels, by subject. Each has a NumPy twin of the same name in ``chainrule.reference``."""
