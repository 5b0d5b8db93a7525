"""PostgreSQL: named queries and their parameters in, rows as domain values out; no rules."""
