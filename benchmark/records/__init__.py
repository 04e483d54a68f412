"""The schema of a record and the store of records."""
