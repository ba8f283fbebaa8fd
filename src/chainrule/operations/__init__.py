"""What the steps of a plan do: an operation a file, with everything that others know of it."""
