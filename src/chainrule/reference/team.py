"""Threads that work together."""

MEETINGS, FAILED = 8, -(1 << 62)


def meet(team, members):
    """Wait until all members are here, and tell whether none has failed; here, there is one."""
    return team[MEETINGS] >= 0


def fail(team):
    """Let no member wait any longer, nor go on after the next meeting."""
    team[MEETINGS] = FAILED


def has_failed(team):
    """Tell whether a member has failed."""
    return team[MEETINGS] < 0
