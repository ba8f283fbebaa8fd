"""How many threads the suites measure."""

THREADS = (1, 2)
