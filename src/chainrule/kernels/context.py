"""The context of a thread: a vector of int64s that describes its present batch to the functions.

It holds addresses, counts, and a few float64s. The constants are indices into it. Without Numba, so
that plans can be made before compiled code is loaded.
"""

# Addresses of arrays; the interpreter writes them in this order.
ARENA = 0  # values and gradients
PARAMS, DIRECTION, GRADS = 1, 2, 3  # vectors over all parameters
STATE, AVERAGE, SQUARES = 4, 5, 6  # of the optimizer's step
SCRATCH = 7  # the thread's workspace
DATA, TARGETS, LABELS, WEIGHTS = 8, 9, 10, 11  # the data set
ORDER, OUTPUTS = 12, 13  # the indices of the rows, and the outputs for them
SELF = 14  # this vector
BUFFERS = 15  # the vector over all buffers, which are saved, but not trained

# The thread's rows of the batch, and the number of all its rows.
FIRST, LAST, ROWS = 16, 17, 18
CHUNK = 19  # rows in a chunk, which is never divided among threads
PARTITION_BEGIN, PARTITION_END = 20, 21  # the parameters whose gradients this thread computes
THREAD, THREADS = 22, 23
ORDER_ROW, OUTPUT_ROW = 24, 25  # the batch's first row in ORDER and in OUTPUTS

# Of the data set: the numbers of targets, labels and weights, and the layout of X.
TARGET_ROWS, LABEL_ROWS, WEIGHT_ROWS = 26, 27, 28
DATA_BYTES, DATA_DTYPE, DATA_START, DATA_STRIDE = 29, 30, 31, 32

MASK_KEY, MASK_DRAW = 33, 34  # the key and the counter of the random dropout masks
STEP = 35  # the number of the optimizer's step, counted from 1

# These four are float64.
LR = 36
TOTAL_WEIGHT = 37  # of the batch
LOSS = 38
SCALED_LR = 39  # the learning rate of the parameters that are updated, where it is not LR

# 1 after a Python function has returned; -1 - i if the call of row i has failed.
DONE = 40

# 1 if the gradients of tables, of which each batch takes some rows, are 0 before it.
CLEARED = 41

CONTEXT_SIZE = 42

# Behind all others, what DATA and the four words of its layout say, for each input after the first.
INPUT_WORDS = 5


def words_of_input(number: int) -> tuple[int, ...]:
    """Return the words of an input's address, bytes, dtype, start and stride.

    >>> words_of_input(1), words_of_input(2)
    ((42, 43, 44, 45, 46), (47, 48, 49, 50, 51))
    """
    if number == 0:
        return DATA, DATA_BYTES, DATA_DTYPE, DATA_START, DATA_STRIDE
    first = CONTEXT_SIZE + INPUT_WORDS * (number - 1)
    return tuple(range(first, first + INPUT_WORDS))


class Phase:
    """The phases that ``run`` executes for each batch: a sum of these."""

    GATHER = 1  # fetch the rows
    PREDICT = 2  # run the steps forward
    LOSS = 4  # compute the losses and the gradients by the outputs
    OUTPUT = 8  # copy the network's outputs out
    BACKWARD = 16  # run the steps backward
    INPUT_GRADIENT = 32  # ... down to the network's input
    UPDATE = 64  # make the optimizer's step
    BUFFERS = 128  # update the buffers, as running means; part of a forward pass
    CHECK = 256  # before all others, by one thread only: look whether the data is finite
    CHECK_VECTORS = 512  # ... and the parameters and their direction
    FORWARD = GATHER | PREDICT | LOSS | BUFFERS


class Section:
    """The parts of a plan's program."""

    GATHER = 0
    FORWARD = 1
    LOSS = 2
    LOSS_SUM = 3  # once all threads have written the terms
    BUFFERS = 4  # if the loss is finite, by the first thread alone
    OUTPUT = 5
    BACKWARD = 6
    COUNT = 7


class Flag:
    """Properties of a call that the interpreter reads: a sum of these."""

    FOR_INPUT = 1  # it is needed for the input's gradient only
    PARAMETERS = 2  # it computes a partition of the parameters' gradients, from all rows
    CHUNKED = 4  # it is called for each chunk of rows
    BARRIER = 8  # all threads wait for each other before it
    PYTHON = 16  # it takes the GIL, and may raise an exception
    VALUES = 32  # it computes the gradient by a value, or what rows give to one by a parameter
    FOR_PARAMETERS = 64  # it is needed for the parameters' gradients only


# Chunks of rows of a batch, if sums over chunks are needed; up to twice as many less one, as whole
# tiles of rows are divided.
CHUNKS = 8

# The result of ``run`` if a function or a thread has failed.
FAILED = -1

# The result of ``run`` if the data is not finite; nothing has changed then.
NOT_FINITE = -2
