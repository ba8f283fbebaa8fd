"""What the functions of a plan know of the batch at hand: a vector of int64s for each thread.

It holds addresses, counts, and a few float64s. The constants are places in it. Without Numba, so
that plans can be made before compiled code is loaded.
"""

# Where arrays begin; the interpreter writes them in this order.
ARENA = 0  # values and gradients
PARAMS, DIRECTION, GRADS = 1, 2, 3  # vectors over all parameters
STATE, AVERAGE, SQUARES = 4, 5, 6  # of the optimizer's step
SCRATCH = 7  # a workspace for this thread alone
DATA, TARGETS, LABELS, WEIGHTS = 8, 9, 10, 11  # the data set
ORDER, OUTPUTS = 12, 13  # the numbers of the rows to take, and what comes out for each
SELF = 14  # this vector

# The rows of the batch that this thread takes, and how many there are in all.
FIRST, LAST, ROWS = 16, 17, 18
CHUNK = 19  # rows that one thread takes as a whole
SHARE_BEGIN, SHARE_END = 20, 21  # the parameters whose gradients this thread computes
THREAD, THREADS = 22, 23
ORDER_ROW, OUTPUT_ROW = 24, 25  # where the batch begins in ORDER and in OUTPUTS

# Of the data set: how many targets, labels and weights there are, and where X lies.
TARGET_ROWS, LABEL_ROWS, WEIGHT_ROWS = 26, 27, 28
DATA_BYTES, DATA_DTYPE, DATA_START, DATA_STRIDE = 29, 30, 31, 32

MASK_KEY, MASK_DRAW = 33, 34  # what dropout's masks follow from
STEP = 35  # the number of the optimizer's step, from 1 on

# These three are float64.
LR = 36
TOTAL_WEIGHT = 37  # of the batch
LOSS = 38

# 1 when a function in Python has done all that it should; -1 - i if the call of row i has failed.
DONE = 39

CONTEXT_SIZE = 40


class Phase:
    """What ``run`` shall do for each batch: a sum of these."""

    GATHER = 1  # fetch the rows
    PREDICT = 2  # run the steps forward
    LOSS = 4  # compare each output that has a loss with its target
    FORWARD = GATHER | PREDICT | LOSS
    OUTPUT = 8  # copy the network's outputs out
    BACKWARD = 16  # run the steps backward
    INPUT_GRADIENT = 32  # ... down to the network's input
    UPDATE = 64  # let the optimizer step


class Section:
    """The parts of a plan's program."""

    GATHER = 0
    FORWARD = 1
    LOSS = 2
    LOSS_SUM = 3  # once all threads have written the terms
    OUTPUT = 4
    BACKWARD = 5
    COUNT = 6


class Flag:
    """What the interpreter must know of a call: a sum of these."""

    FOR_INPUT = 1  # it serves the input's gradient only
    PARAMETERS = 2  # it computes a share of the parameters' gradients, from all rows
    CHUNKED = 4  # it is called for each chunk of rows
    BARRIER = 8  # all threads wait for each other before it
    PYTHON = 16  # it takes the GIL, and an exception in it is found afterwards
    VALUES = 32  # it computes the gradient by a value


# What ``run`` returns if something failed: a function, or a thread.
FAILED = -1
