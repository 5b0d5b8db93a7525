"""Values and rules of the domain: pure, synchronous, knowing neither XML nor SQL nor HTTP."""
