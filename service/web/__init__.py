"""HTTP into commands, results into HTTP."""
