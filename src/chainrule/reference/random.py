"""Random numbers that follow from a counter, and random orders."""

import numpy as np

WORD, BITS = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter0, counter1, counter2, counter3, key0, key1):
    """Return the four words that Philox 4x32 makes of a counter and a key in seven rounds.

    All are of 32 bits, numbers or arrays. Each round multiplies two words by constants, and mixes
    the halves of the products with the others. Seven rounds are the fewest that pass all of
    TestU01's BigCrush (Salmon et al., *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011).
    """
    a, b, c, d, k0, k1 = map(np.uint64, (counter0, counter1, counter2, counter3, key0, key1))
    for i in range(7):
        first, second = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        key = (k0 + np.uint64(i * 0x9E3779B9)) & WORD, (k1 + np.uint64(i * 0xBB67AE85)) & WORD
        a, b = (second >> BITS) ^ b ^ key[0], second & WORD
        c, d = (first >> BITS) ^ d ^ key[1], first & WORD
    return a, b, c, d


def shuffle(uniform, orders):
    """Fill each row with 0, 1, 2, ... in random order (Fisher and Yates; Durstenfeld 1964).

    ``uniform`` holds as many random numbers from 0 to 1, without 1. Each number in turn takes the
    place of one that is there already, or the next free one, all with the same probability; what
    was there moves to the free one.
    """
    for numbers, order in zip(uniform, orders, strict=True):
        for i in range(order.size):
            j = int(numbers[i] * (i + 1))
            order[i] = order[j]
            order[j] = i
