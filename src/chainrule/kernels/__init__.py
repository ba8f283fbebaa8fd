"""Compiled kernels, by subject, with NumPy twins of their names in ``chainrule.reference``."""
