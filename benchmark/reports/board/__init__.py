"""Numbers from records: tables, statistics, comparison with published numbers."""
