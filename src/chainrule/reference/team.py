"""Threads that work together."""


def meet(team, members):
    """Wait until all members are here, and tell whether none has failed; here, there is one."""
    return True
