"""The client certificate of a TLS connection that somebody in front of us ended, as an HTTP header brings it (SEC-02).

Three ways of writing one certificate: PEM with per cent for what no header may hold (nginx's
`$ssl_client_escaped_cert`), DER in base64 (HAProxy's `ssl_c_der,base64`), and the same between colons (RFC 9440).
Whether the header may be believed at all is for whoever hands it over to know.
"""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import unquote

from cbss_inscription.domain.errors import NotAuthenticated

_PEM: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", re.ASCII
)  # exactly one: of a chain that is handed over, only the first would be judged


def read_client_certificate(text: str | None, *, chars_max: int) -> bytes:
    """The DER of exactly one certificate; what is in it is for `trust` to judge. Raises `NotAuthenticated`."""
    if not text:
        raise NotAuthenticated("client-certificate-missing")
    if len(text) > chars_max:
        raise NotAuthenticated("client-certificate-size")
    plain = unquote(text)  # base64 has no per cent: what is not escaped stays as it is
    pem = _PEM.fullmatch(plain)
    if pem is not None:
        plain = "".join(pem[1].split())
    elif plain[0] == plain[-1] == ":":
        plain = plain[1:-1]
    try:
        return base64.b64decode(plain, validate=True)
    except ValueError:
        raise NotAuthenticated("client-certificate-malformed") from None
