"""The commands of ``batchbandit``."""
