"""The order of the work: what is ready, what is blocked."""
