"""How numbers, settings and Markdown are written: the same on every page and in every table."""
