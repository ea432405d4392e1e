"""What to decide: no I/O, no clock, no HTTP; randomness only from a state passed in."""
