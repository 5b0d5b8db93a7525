"""The SOAP doors: what arrives over HTTP, the stations in order, and the published description."""
