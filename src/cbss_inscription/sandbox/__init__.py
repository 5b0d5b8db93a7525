"""What lets a developer try the service with nothing real: a test PKI and synthetic persons."""
