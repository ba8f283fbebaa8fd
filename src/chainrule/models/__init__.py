"""Networks, their summaries, and the files that they are saved in."""
