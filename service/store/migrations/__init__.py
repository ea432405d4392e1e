"""The committed revisions of the schema and the environment that runs them."""
