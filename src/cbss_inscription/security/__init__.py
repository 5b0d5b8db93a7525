"""The RSZ WS-Security X.509 profile: who sent a message, and exactly which bytes they signed.

`gate` reads the exact grammar of the profile, `trust` judges the certificate, `verify` the signature, `sign` makes
one, `replay` sees that a message counts once. No XMLDSig engine is inside: there is one shape, one algorithm of each
kind, and what leaves this package is the canonical bytes that were hashed, never the tree they came from.
"""
