"""Threads that work together."""


def meet(team, members):
    """Wait until all members are here; the NumPy backend has one."""
