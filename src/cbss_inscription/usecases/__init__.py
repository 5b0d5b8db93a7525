"""One module per operation, named after it: every door meets here with a domain request."""
