"""Compiled kernels, by subject; each has a NumPy twin of its name in ``chainrule.reference``."""
