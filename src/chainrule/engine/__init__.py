"""Running plans: the interpreter, and machines with the memory for one plan each."""
