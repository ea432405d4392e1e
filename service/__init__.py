"""How core is asked, kept and shown: web, engine and store."""
