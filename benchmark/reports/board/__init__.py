"""Numbers from records: tables, statistics, comparison with reported numbers."""
