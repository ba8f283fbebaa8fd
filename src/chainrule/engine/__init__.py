"""The machine that runs plans: the interpreter, and the memory that it needs."""
