"""The layout of a thread group's shared array.

Without Numba, so that the engine can prepare a group before compiled code is loaded.
"""

# Numbers that several threads write at the same time have separate cache lines.
WAITING = 0  # the number of threads that wait at the barrier
GENERATION = 8  # how often all threads have passed the barrier; negative after a failure
STATE = 16  # GATHERING, CLOSED, or the number of threads that share the batches
JOINED = 24  # the number of threads that have joined, besides the first one
LEFT = 32  # the number of threads that have left
DISMISSED = 40  # 1 when the first thread continues alone
FIRST_BATCH = 48  # the first batch that the threads share

# Input to the first thread. Times are in nanoseconds.
WANTED = 56  # the number of threads to share the batches, including the first one
LONGEST_WAIT = 57  # how long the first thread waits for the others, before the first batch
TIME_ALONE = 58  # the time of a batch with one thread; 0 if unknown
TOLERANCE = 59  # how much longer all batches may take than with one thread

# Measurements by the first thread.
SHARED_BATCHES = 64
SHARED_TIME = 65

GROUP_SIZE = 72

GATHERING, CLOSED = 0, -1  # states
FAILED = -(1 << 62)  # a generation
