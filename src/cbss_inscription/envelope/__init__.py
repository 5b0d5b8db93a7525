"""SOAP 1.1: the element inside a verified Body, the envelope around a reply, the fault."""
