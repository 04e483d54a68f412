"""How long a plan takes, and what is left of it."""
