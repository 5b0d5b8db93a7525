"""The wire contract: its files, its schema, and the mapping between elements and domain values, both ways."""
