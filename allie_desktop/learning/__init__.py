"""The worker process: one learning episode, from a frozen plan to a candidate, then it exits."""
