"""The machine that runs plans: its instruction set, and the interpreter."""
