"""Revocation lists fetched from where authorities publish them, into files, by one process alone (SEC-44, SEC-45).

The process that starts the workers runs this in a thread; workers read the files like any others. No message waits for
it, none causes it: what is fetched is what the settings name, when the time has come.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import httpx

from cbss_inscription.app.settings import RevocationSource, Settings, Trust, read_file
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.security.trust import check_revocation_list

FETCHED_BYTES_MAX: Final = 16_777_216
"""Bytes of a revocation list."""
FETCH_SECONDS_MAX: Final = 30.0
"""From the connection to the last byte of a revocation list."""
READ_SECONDS_MAX: Final = 10.0
"""For one operation on the connection: also how long a deadline can be passed by."""
RETRY_SECONDS: Final = 60.0
"""How soon a list that could not be fetched is asked for again; sooner when `fetch_seconds` is less."""
STOP_SECONDS_MAX: Final = 1.0
"""How long a fetch is waited for when the service stops; it writes nothing by halves."""


class FetchLog(Protocol):
    """Where an operator reads what became of fetching."""

    def fetched(self, *, url: str) -> None:
        """One line: a list that is new is in its file."""
        ...

    def fetch_failed(self, *, url: str, reason: str) -> None:
        """One line: the file is as it was; said again only when the reason changes."""
        ...


class RevocationFetcher:
    """Keeps the files of `revocation_sources` up to date, in a thread, between `start` and `stop`."""

    def __init__(
        self,
        settings: Settings,
        *,
        log: FetchLog,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        seconds_max: float = FETCH_SECONDS_MAX,
        bytes_max: int = FETCHED_BYTES_MAX,
    ) -> None:
        self._trust: Trust = settings.trust
        self._log = log
        self._clock = clock
        self._seconds_max = seconds_max
        self._bytes_max = bytes_max
        self._reasons: dict[str, str] = {}
        self._due: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def fetch_missing(self) -> None:
        """Nothing; every source has a file now. Raises `UsageError`: one has none, and cannot be fetched."""
        for source in self._trust.revocation_sources:
            if not Path(source.file).exists():
                self._fetch(source)
                self._due[source.file] = time.monotonic() + self._trust.fetch_seconds

    def start(self) -> None:
        """Nothing; from now on lists are fetched in the background, if there are sources."""
        if self._trust.revocation_sources:
            self._thread = threading.Thread(target=self._run, name="revocation-fetcher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Nothing; no fetch begins any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS_MAX)

    def look(self) -> None:
        """Nothing; each source whose time has come was asked. Never raises."""
        for source in self._trust.revocation_sources:
            if self._stopping.is_set() or time.monotonic() < self._due.get(source.file, 0.0):
                continue
            wait = self._trust.fetch_seconds
            try:
                self._fetch(source)
            except UsageError as error:
                self._fail(source, str(error))
                wait = min(wait, RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001  # a disk that is full, say: the next time may do better
                self._fail(source, type(error).__qualname__)
                wait = min(wait, RETRY_SECONDS)
            else:
                self._reasons.pop(source.file, None)
            self._due[source.file] = time.monotonic() + wait

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(1.0)

    def _fail(self, source: RevocationSource, reason: str) -> None:
        if self._reasons.get(source.file) != reason:
            self._log.fetch_failed(url=source.url, reason=reason)
        self._reasons[source.file] = reason

    def _fetch(self, source: RevocationSource) -> None:
        """Nothing; the file holds what the URL gives, which was checked before. Raises `UsageError`."""
        file = Path(source.file)
        data = self._download(source)
        former = read_file(file) if file.exists() else None
        if data == former:
            return
        authorities = read_file(Path(self._trust.application_authorities))
        try:
            check_revocation_list(data, authorities_pem=authorities, former=former, now=self._clock())
        except UsageError as error:
            raise UsageError(f"{source.url}: {error}") from None
        new = file.with_name(f".{file.name}.new")
        with new.open("wb") as written:
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        new.replace(file)
        self._log.fetched(url=source.url)

    def _download(self, source: RevocationSource) -> bytes:
        deadline = time.monotonic() + self._seconds_max
        try:
            context = ssl.create_default_context(cafile=source.ca)
            with (
                httpx.Client(
                    verify=context,
                    timeout=min(READ_SECONDS_MAX, self._seconds_max),
                    trust_env=False,
                    follow_redirects=False,
                ) as client,
                # No compression: what is counted is what is kept.
                client.stream("GET", source.url, headers={"accept-encoding": "identity"}) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise UsageError(f"{source.url}: HTTP status {response.status_code}")
                return self._read(response, source, deadline)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise UsageError(f"{source.url}: {type(error).__qualname__}") from None

    def _read(self, response: httpx.Response, source: RevocationSource, deadline: float) -> bytes:
        data = bytearray()
        for part in response.iter_raw():
            data += part
            if len(data) > self._bytes_max:
                raise UsageError(f"{source.url}: more than {self._bytes_max} bytes")
            if time.monotonic() > deadline:
                raise UsageError(f"{source.url}: takes longer than {self._seconds_max:g} seconds")
        return bytes(data)
