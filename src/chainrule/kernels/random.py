"""Random numbers that follow from a counter, and random orders."""

import numpy as np

from chainrule.kernels.jit import kernel

LOW_WORD, WORD_BITS = np.uint64(0xFFFFFFFF), np.uint64(32)
MULTIPLY_0, MULTIPLY_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@kernel
def philox(counter0, counter1, counter2, counter3, key0, key1):
    # Words in 64 bits: a product of 32 by 32 bits is one instruction for a whole vector.
    a, b, c, d = np.uint64(counter0), np.uint64(counter1), np.uint64(counter2), np.uint64(counter3)
    k0, k1 = np.uint64(key0), np.uint64(key1)
    for _ in range(7):
        first, second = MULTIPLY_0 * a, MULTIPLY_1 * c
        a, b = (second >> WORD_BITS) ^ b ^ k0, second & LOW_WORD
        c, d = (first >> WORD_BITS) ^ d ^ k1, first & LOW_WORD
        k0, k1 = (k0 + WEYL_0) & LOW_WORD, (k1 + WEYL_1) & LOW_WORD
    return a, b, c, d


@kernel
def shuffle(uniform, orders):
    for number in range(len(orders)):
        numbers, order = uniform[number], orders[number]
        for i in range(order.size):
            j = np.int64(numbers[i] * (i + 1))
            order[i] = order[j]
            order[j] = i
