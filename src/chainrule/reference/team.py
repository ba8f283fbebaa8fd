"""Threads that work together."""

FAILED = -(1 << 62)


def meet(team, members):
    """Wait until all members are here, and tell whether none has failed; here, there is one."""
    return team[0] >= 0


def fail(team):
    """Let no member wait any longer, nor go on after the next meeting."""
    team[:] = FAILED
