"""Energy: what it is measured with."""
