"""Revocation lists from a URL: fetched into a file in the background, bounded and checked (SEC-44, SEC-45)."""

from __future__ import annotations

import http.server
import io
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from cbss_inscription.app.fetching import RevocationFetcher
from cbss_inscription.app.settings import Audit, RevocationSource, Settings, TlsListener, Trust
from cbss_inscription.app.telemetry import SupervisorLog
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.sandbox.pki import TestPki

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def own():
    return TestPki.generate(environment="ACC", now=NOW)


class Publisher:
    """An HTTP server that gives what it is told to, and counts who asks."""

    def __init__(self):
        self.status, self.body, self.slow, self.asked, self.headers = 200, b"", False, 0, {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if outer.slow:
                    for byte in outer.body[:40]:
                        try:
                            self.wfile.write(bytes([byte]))
                        except OSError:
                            return
                        time.sleep(0.05)
                else:
                    self.wfile.write(outer.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/ca.crl"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def publisher():
    one = Publisher()
    yield one
    one.close()


@pytest.fixture
def log():
    return io.BytesIO()


@pytest.fixture
def fetcher(tmp_path, own, publisher, log):
    (tmp_path / "authorities.pem").write_bytes(own.authorities_pem)

    def make(**limits):
        settings = Settings(
            environment="ACC",
            public_url="https://x",
            database="",
            access_rules="",
            audit=Audit(keys=""),
            tls=TlsListener(certificate="", private_key=""),
            trust=Trust(
                application_authorities=str(tmp_path / "authorities.pem"),
                revocation_sources=(RevocationSource(url=publisher.url, file=str(tmp_path / "ca.crl")),),
                fetch_seconds=10.0,
            ),
        )
        return RevocationFetcher(settings, log=SupervisorLog(log), **limits)

    return make


def told(log):
    return [(line["event"], line.get("reason", "")) for line in map(json.loads, log.getvalue().splitlines())]


def again(fetcher):
    """Asks now, whenever the next time would be."""
    fetcher._due.clear()
    fetcher.look()


def test_sec_44_a_new_list_takes_the_place_of_the_old_one(tmp_path, own, publisher, fetcher, log):
    """The first is fetched before the service starts, the next when its time has come, the same changes nothing."""
    file = tmp_path / "ca.crl"
    first, second = own.issue_revocation_list(now=NOW - timedelta(hours=1)), own.issue_revocation_list([7], now=NOW)
    publisher.body = first
    one = fetcher()
    one.fetch_missing()
    assert file.read_bytes() == first
    one.look()
    assert publisher.asked == 1  # its time has not come
    publisher.body = second
    again(one)
    again(one)
    assert (file.read_bytes(), publisher.asked) == (second, 3)
    assert told(log) == [("revocation list fetched", "")] * 2
    assert {path.name for path in tmp_path.iterdir()} == {"authorities.pem", "ca.crl"}


@pytest.mark.parametrize("what", ["older", "foreign", "stale", "html", "too long", "status", "redirect", "slow"])
def test_sec_45_what_is_not_a_good_list_leaves_the_file(tmp_path, own, publisher, fetcher, log, what):
    """Older, another key's, stale, no list, too many bytes or seconds, no 200: the file stays; told once."""
    file = tmp_path / "ca.crl"
    good = own.issue_revocation_list([7], now=NOW - timedelta(hours=1))
    file.write_bytes(good)
    publisher.body = own.issue_revocation_list(now=NOW)
    limits = {}
    match what:
        case "older":
            publisher.body = own.issue_revocation_list(now=NOW - timedelta(hours=2))
        case "foreign":
            publisher.body = TestPki.generate(environment="ACC", now=NOW).issue_revocation_list(now=NOW)
        case "stale":
            publisher.body = own.issue_revocation_list(now=NOW, next_update=NOW + timedelta(seconds=1))
            limits["clock"] = lambda: NOW + timedelta(minutes=1)
        case "html":
            publisher.body = b"<html>sign in</html>"
        case "too long":
            limits["bytes_max"] = len(publisher.body) - 1
        case "status":
            publisher.status = 503
        case "redirect":
            publisher.status, publisher.headers = 302, {"location": publisher.url}
        case "slow":
            publisher.slow, limits["seconds_max"] = True, 0.3
    one = fetcher(**limits)
    one.fetch_missing()
    one.look()
    again(one)
    assert file.read_bytes() == good
    ((event, reason),) = told(log)
    assert event == "revocation list not fetched"
    assert publisher.url in reason
    assert publisher.asked == 2


def test_sec_45_without_a_list_and_without_a_publisher_the_service_does_not_start(fetcher, publisher):
    """Where there is no file yet, what cannot be fetched is one sentence with the URL."""
    publisher.status = 404
    with pytest.raises(UsageError, match=r"ca\.crl: HTTP status 404"):
        fetcher().fetch_missing()


def test_sec_45_it_is_a_thread_of_its_own(tmp_path, own, publisher, fetcher):
    """Between start and stop the list is fetched without anybody's asking; after stop, no more."""
    publisher.body = own.issue_revocation_list(now=NOW)
    one = fetcher()
    one.start()
    for _ in range(200):
        if (tmp_path / "ca.crl").exists():
            break
        time.sleep(0.02)
    one.stop()
    assert (tmp_path / "ca.crl").read_bytes() == publisher.body
    assert not one._thread.is_alive()


def test_a_source_is_http(tmp_path):
    """Another scheme than http or https is no address of a list."""
    with pytest.raises(ValueError, match="https://"):
        RevocationSource(url="file:///etc/passwd", file="x")
