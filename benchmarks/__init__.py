"""What measures and shows batchbandit from outside: load, recurring trainings, the demonstration."""
