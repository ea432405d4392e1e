"""What is shown of jobs and trials, to programs and to people: read from the store, worked out by core."""
