"""The command line: the outermost door; it starts the others, and calls the service through the SDK."""
