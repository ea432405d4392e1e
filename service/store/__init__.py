"""What is kept: schema, migrations, and the statements that load and write whole batches. Decides nothing."""
