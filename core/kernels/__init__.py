"""Compiled kernels over whole arrays of many jobs; ``twins`` holds the same functions in NumPy and Python."""
