"""Time stamps fetched from an authority over HTTP (RFC 3161, section 3.4): bounded, and believed only when verified."""

from __future__ import annotations

import ssl
import time
from typing import Final

import httpx

from cbss_inscription.app.settings import Timestamping
from cbss_inscription.domain.errors import ServiceUnavailable
from cbss_inscription.governance.timestamps import TimestampTrust, TokenRefused, request_for

TOKEN_BYTES_MAX: Final = 65_536
"""Bytes of an answer; with a chain of certificates they have some six thousand."""
STAMP_SECONDS_MAX: Final = 10.0
"""From the connection to the last byte of an answer."""
READ_SECONDS_MAX: Final = 5.0
"""For one operation on the connection: also how long a deadline can be passed by."""


class TimestampClient:
    """Asks one authority. Neither redirects nor proxies, unless `proxy` names one."""

    def __init__(
        self,
        settings: Timestamping,
        trust: TimestampTrust,
        *,
        bytes_max: int = TOKEN_BYTES_MAX,
        seconds_max: float = STAMP_SECONDS_MAX,
    ) -> None:
        self._settings = settings
        self._trust = trust
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max

    def stamp(self, statement: str) -> bytes:
        """The authority's answer over a statement, verified. Raises `ServiceUnavailable` with the reason."""
        request = request_for(statement)
        answer = self._ask(request.as_bytes())
        try:
            self._trust.check(answer, statement, request=request)
        except TokenRefused as refused:
            raise ServiceUnavailable(f"the time stamp is refused: {refused.reason}") from None
        return answer

    def _ask(self, request: bytes) -> bytes:
        deadline = time.monotonic() + self._seconds_max
        try:
            with (
                httpx.Client(
                    verify=ssl.create_default_context(cafile=self._settings.tls_ca),
                    timeout=min(READ_SECONDS_MAX, self._seconds_max),
                    trust_env=False,
                    proxy=self._settings.proxy,
                    follow_redirects=False,
                ) as client,
                client.stream(
                    "POST",
                    self._settings.url,
                    content=request,
                    # No compression: what is counted is what is kept.
                    headers={"content-type": "application/timestamp-query", "accept-encoding": "identity"},
                ) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise ServiceUnavailable(f"HTTP status {response.status_code}")
                return self._read(response, deadline)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise ServiceUnavailable(type(error).__qualname__) from None

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        answer = bytearray()
        for part in response.iter_raw():
            answer += part
            if len(answer) > self._bytes_max:
                raise ServiceUnavailable(f"more than {self._bytes_max} bytes")
            if time.monotonic() > deadline:
                raise ServiceUnavailable(f"takes longer than {self._seconds_max:g} seconds")
        return bytes(answer)
