"""Random orders, from random numbers that the caller brings."""


def shuffle(uniform, order):
    """Fill ``order`` with 0, 1, 2, ... in random order (Fisher and Yates; Durstenfeld 1964).

    ``uniform`` holds as many random numbers from 0 to 1, without 1. Each number in turn takes the
    place of one that is there already, or the next free one, all with the same probability; what
    was there moves to the free one.
    """
    for i in range(order.size):
        j = int(uniform[i] * (i + 1))
        order[i] = order[j]
        order[j] = i
