"""Where the threads of a group wait for each other; plain Python runs in one thread."""

GENERATION, FAILED = 8, -(1 << 62)  # where the group's array says that something has failed


def barrier(group, threads):
    """Wait until all threads are here; return whether nothing has failed."""
    return group[GENERATION] >= 0


def fail(group):
    """End all waiting: barriers return False from now on."""
    group[GENERATION] = FAILED


def has_failed(group):
    """Tell whether a thread, or a user's function, has failed."""
    return group[GENERATION] < 0
