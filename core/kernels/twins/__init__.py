"""The kernels again in NumPy and plain Python: slow, obvious, and the oracle of the tests."""
