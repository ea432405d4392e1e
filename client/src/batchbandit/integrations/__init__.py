"""Frameworks: what ties a trial to each; one is imported only where its module here is."""
