"""HTTP without SOAP: the upload of batches, how they stand, and their answers."""
