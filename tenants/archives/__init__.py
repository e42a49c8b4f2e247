"""Archives of rows that are too old to keep: written, chained by hashes, verified."""
