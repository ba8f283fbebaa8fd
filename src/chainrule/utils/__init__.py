"""What every other package may use: checks of arguments and arrays, files, threads."""
