"""What a thread group's array holds: where each number stands, and what it says.

Without Numba, so that the engine can prepare a group before compiled code is loaded.
"""

# What several threads write at the same time lies in cache lines of its own.
WAITING = 0  # how many threads wait at the barrier
GENERATION = 8  # how often all threads have passed the barrier; negative after a failure
STATE = 16  # GATHERING, CLOSED, or how many threads share the batches
JOINED = 24  # how many threads have come to take part, besides the first one
LEFT = 32  # how many of them take part no longer
DISMISSED = 40  # 1 from the batch on that the first thread does alone again
FIRST_BATCH = 48  # the one from which on the threads share the work

# What the first thread is told. Times are in nanoseconds.
WANTED = 56  # how many threads shall share the batches, with the first one
LONGEST_WAIT = 57  # how long the first thread waits for the others, before the first batch
TIME_ALONE = 58  # what a batch takes one thread; 0 if that is not known
TOLERANCE = 59  # how much longer all batches may take than one thread would need

# What it has measured.
SHARED_BATCHES = 64
SHARED_TIME = 65

GROUP_SIZE = 72

GATHERING, CLOSED = 0, -1  # states
FAILED = -(1 << 62)  # a generation
