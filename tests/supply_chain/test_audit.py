"""`make audit`: what is found, what is waived, and that no answer is never a good answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from supply_chain.audit import NoResult, judged, read_report, read_waivers
from tests.supply_chain.conftest import Run

TODAY = date(2027, 1, 15)
WAIVER = '[[waiver]]\nid = "CVE-2027-0001"\npackage = "h11"\nreason = "we send none"\nuntil = 2027-03-01\n'
REQUIREMENTS = (
    f"h11==0.16.0 --hash=sha256:{'1' * 64}\n"
    f"idna==3.20 --hash=sha256:{'2' * 64}\n"
    f"colorama==0.4.6 ; sys_platform == 'win32' --hash=sha256:{'3' * 64}\n"
)
# As OSV answers; the id and its CVE are nobody's.
ADVISORY: dict[str, Any] = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2027-0001"],
    "summary": "h11 forgets",
    "modified": "2027-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "h11", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.17.0"}]}],
        }
    ],
}


class Osv:
    """OSV on loopback: what it was asked, and what it answers of h11."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name = query["package"]["name"]
                outer.asked.append(f"{name} {query['version']}")
                body = json.dumps({"vulns": [ADVISORY]} if name == "h11" else {}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                del args

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/query"


@pytest.fixture
def osv() -> Iterator[Osv]:
    """A service that answers."""
    service = Osv()
    thread = threading.Thread(target=service.server.serve_forever)
    thread.start()
    yield service
    service.server.shutdown()
    thread.join()
    service.server.server_close()


@pytest.fixture
def audit(tool: Run, tmp_path: Path) -> Run:
    """Runs the audit of two packages, with the waivers given, against an address."""

    def run(url: str, waivers: str = "") -> Any:
        (tmp_path / "locked.txt").write_text(REQUIREMENTS)
        (tmp_path / "waivers.toml").write_text(waivers)
        files = ("--requirements", tmp_path / "locked.txt", "--waivers", tmp_path / "waivers.toml")
        # XDG_CACHE_HOME: what pip-audit remembers of one test it must not answer to another.
        service = ("--service", "osv", "--osv-url", url)
        return tool("supply_chain/audit.py", *files, *service, XDG_CACHE_HOME=str(tmp_path))

    return run


def lasting(until: str) -> str:
    """The waiver, until another day."""
    return WAIVER.replace("2027-03-01", until)


def test_sec_82_a_known_vulnerability_fails_the_audit(audit: Run, osv: Osv) -> None:
    """Every package is looked up; a vulnerability is told with its cure, and fails unless it is waived (SEC-82)."""
    done = audit(osv.url)
    assert sorted(osv.asked) == ["h11 0.16.0", "idna 3.20"]
    assert done.returncode == 1, done.stderr
    assert "VULNERABLE  CVE-2027-0001 = GHSA-aaaa-bbbb-cccc: h11 0.16.0, mended in 0.17.0" in done.stdout
    assert "2 packages looked up (osv), 1 vulnerabilities open" in done.stdout

    until = datetime.now(UTC).date() + timedelta(days=30)
    waived = audit(osv.url, lasting(str(until)))
    assert waived.returncode == 0, waived.stderr
    assert f"h11 0.16.0, mended in 0.17.0; until {until}: we send none" in waived.stdout


def test_sec_82_no_service_is_no_result(audit: Run) -> None:
    """When nobody answers the audit fails and says so, with nothing that looks like a result (SEC-82)."""
    service = Osv()
    service.server.server_close()
    done = audit(service.url)
    assert done.returncode == 2
    assert done.stderr.startswith("NO RESULT (osv): pip-audit ended with ")
    assert done.stdout == ""


def test_sec_82_a_waiver_that_is_over_fails_before_anybody_is_asked(audit: Run, osv: Osv) -> None:
    """A waiver whose day is past fails the audit, named with its day (SEC-82)."""
    done = audit(osv.url, lasting("2026-01-31"))
    assert (done.returncode, osv.asked) == (2, [])
    assert "the waiver CVE-2027-0001 of h11 ended on 2026-01-31" in done.stderr


def report(*packages: dict[str, Any]) -> str:
    """A report in pip-audit's JSON."""
    return json.dumps({"dependencies": list(packages), "fixes": []})


# As pip-audit 2.10.1 wrote them in the tests above, and where the registry serves no advisories.
CLEAN = {"name": "idna", "version": "3.20", "vulns": []}
FOUND = {
    "name": "h11",
    "version": "0.16.0",
    "vulns": [
        {
            "id": "CVE-2027-0001",
            "fix_versions": ["0.17.0"],
            "aliases": ["GHSA-aaaa-bbbb-cccc"],
            "description": "h11 forgets",
        }
    ],
}
SKIPPED = {"name": "lxml", "skip_reason": "Dependency not found on PyPI and could not be audited: lxml (6.1.3)"}


def test_sec_82_a_waiver_lets_its_vulnerability_pass_and_no_other() -> None:
    """A waiver covers by any name of the vulnerability, and only of its package (SEC-82)."""
    for name in ("CVE-2027-0001", "GHSA-aaaa-bbbb-cccc"):
        waivers = read_waivers(WAIVER.replace("CVE-2027-0001", name), today=TODAY)
        audit = judged(report(CLEAN, FOUND), waivers)
        assert audit.is_clean
        assert [(one.package, waiver.reason) for one, waiver in audit.waived] == [("h11", "we send none")]
    for other in (WAIVER.replace("h11", "idna"), WAIVER.replace("0001", "0002")):
        audit = judged(report(CLEAN, FOUND), read_waivers(other, today=TODAY))
        assert [one.id for one in audit.open] == ["CVE-2027-0001"]
        assert not audit.is_clean


def test_sec_82_a_waiver_without_ground_fails() -> None:
    """When what was waived is not found any more, the waiver has to go (SEC-82)."""
    audit = judged(report(CLEAN), read_waivers(WAIVER, today=TODAY))
    assert audit.open == ()
    assert [waiver.id for waiver in audit.unused] == ["CVE-2027-0001"]
    assert not audit.is_clean


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (report(CLEAN, SKIPPED), "1 of 2 packages had no answer: lxml"),
        (report(), "looked up no package"),
        ("", "no report"),
        ("[]", "no report"),
        ("{}", "no report"),
    ],
)
def test_sec_82_a_package_without_an_answer_is_no_result(said: str, reason: str) -> None:
    """A package that was skipped, for which pip-audit ends with 0, is no result, as is an empty report (SEC-82)."""
    with pytest.raises(NoResult, match=reason):
        read_report(said)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (lasting("2027-01-14"), "ended on 2027-01-14"),
        (lasting("2027-04-16"), "further than 90 days"),
        (lasting('"2027-03-01"'), "without quotes"),
        (lasting("2027-03-01T00:00:00Z"), "without quotes"),
        (WAIVER.replace("we send none", " "), "a reason"),
        (WAIVER.replace('reason = "we send none"\n', ""), "reason"),
        (WAIVER + "ever = true\n", "ever"),
        (WAIVER.replace("[[waiver]]", "[[waver]]"), "waver"),
        ("[[waiver]", "cannot be read"),
        (WAIVER.replace('"h11"', "11"), "an id, a package"),
    ],
)
def test_sec_82_a_waiver_must_say_what_why_and_until_when(text: str, reason: str) -> None:
    """A waiver is refused that is over, reaches further than 90 days, or lacks its reason, day or package (SEC-82)."""
    with pytest.raises(NoResult, match=reason):
        read_waivers(text, today=TODAY)


def test_sec_82_a_waiver_holds_on_its_last_day() -> None:
    """The day it names is the last on which a waiver holds, and 90 days ahead is not too far (SEC-82)."""
    for until in ("2027-01-15", "2027-04-15"):
        (waiver,) = read_waivers(lasting(until), today=TODAY)
        assert waiver.until == date.fromisoformat(until)
