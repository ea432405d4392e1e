"""A real PyTorch training that recurs against a real server: ``make demo-training``."""
