"""Batches: files of declarations, read by a stream, worked on in chunks, answered line by line (docs/batch.md)."""
