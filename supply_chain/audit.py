"""Whether something that is locked has a known vulnerability that nobody waived: `make audit`.

    .tools/supply-chain/bin/python supply_chain/audit.py --requirements FILE [--service pypi|osv]

Ends with 0 when every package was looked up and nothing is left, with 1 when a vulnerability is, or a waiver has no
ground (any more), with 2 when there is no result. pip-audit alone ends with 0 when its service does not know a package,
even when it knows none: here a package without an answer is no result.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

WAIVERS: Final = Path(__file__).with_name("waivers.toml")
WAIVER_DAYS_MAX: Final = 90
"""How far ahead a waiver's end may lie: what is let pass is thought over four times a year."""
AUDIT_SECONDS_MAX: Final = 600.0
ANSWER_SECONDS_MAX: Final = 20
_NAMED_MAX: Final = 10


class NoResult(Exception):
    """Nothing can be said: the service was not reached, does not know a package, or a file is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Somebody's decision that a vulnerability of a package does not touch us, until a day."""

    id: str
    package: str
    reason: str
    until: date

    def covers(self, vulnerability: Vulnerability) -> bool:
        """Whether it is about this vulnerability, by any of its names."""
        return self.package == vulnerability.package and self.id in {vulnerability.id, *vulnerability.aliases}

    def __str__(self) -> str:
        return f"{self.id} of {self.package}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """What pip-audit reports of one package."""

    id: str
    aliases: tuple[str, ...]
    package: str
    version: str
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        mended = f"mended in {', '.join(self.fixed_in)}" if self.fixed_in else "not mended yet"
        return f"{' = '.join((self.id, *self.aliases))}: {self.package} {self.version}, {mended}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What came out: how many packages had an answer, what was found, and which waivers were used for it."""

    package_count: int
    open: tuple[Vulnerability, ...]
    waived: tuple[tuple[Vulnerability, Waiver], ...]
    unused: tuple[Waiver, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to do."""
        return not self.open and not self.unused


def read_waivers(text: str, *, today: date) -> tuple[Waiver, ...]:
    """The waivers of a file. Raises `NoResult` when one has another shape, is out of date or reaches too far."""
    try:
        found = tomllib.loads(text)
        unknown = found.keys() - {"waiver"}
        waivers = tuple(Waiver(**entry) for entry in found.get("waiver", []))
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise NoResult(f"the waivers cannot be read: {error}") from error
    if unknown:
        raise NoResult(f"the waivers have what nobody knows: {', '.join(sorted(unknown))}")
    for waiver in waivers:
        _check(waiver, today)
    return waivers


def _check(waiver: Waiver, today: date) -> None:
    if not all(isinstance(word, str) and word.strip() for word in (waiver.id, waiver.package, waiver.reason)):
        raise NoResult(f"the waiver {waiver} must have an id, a package and a reason")
    # A datetime is a date to isinstance, but cannot be compared with one.
    if type(waiver.until) is not date:
        raise NoResult(f"the waiver {waiver} must end on a date such as 2027-01-31, without quotes")
    if waiver.until < today:
        raise NoResult(f"the waiver {waiver} ended on {waiver.until}: mend it, or decide again")
    if (waiver.until - today).days > WAIVER_DAYS_MAX:
        raise NoResult(f"the waiver {waiver} reaches further than {WAIVER_DAYS_MAX} days")


def read_report(text: str) -> tuple[int, tuple[Vulnerability, ...]]:
    """How many packages pip-audit's JSON has an answer for, and what it found.

    Raises `NoResult` when it is no report, is about no package, or one of them was not looked up.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        raise NoResult("pip-audit gave no report") from error
    if not packages:
        raise NoResult("pip-audit looked up no package")
    skipped = [package["name"] for package in packages if "vulns" not in package]
    if skipped:
        few = ", ".join(skipped[:_NAMED_MAX]) + (", …" if len(skipped) > _NAMED_MAX else "")
        raise NoResult(f"{len(skipped)} of {len(packages)} packages had no answer: {few}")
    return len(packages), tuple(
        Vulnerability(
            id=found["id"],
            aliases=tuple(found["aliases"]),
            package=package["name"],
            version=package["version"],
            fixed_in=tuple(found["fix_versions"]),
        )
        for package in packages
        for found in package["vulns"]
    )


def judged(report: str, waivers: Sequence[Waiver]) -> Audit:
    """The report of pip-audit, seen with the waivers."""
    count, found = read_report(report)
    waived = tuple((one, waiver) for one in found for waiver in waivers if waiver.covers(one))
    used = {waiver for _, waiver in waived}
    covered = {one for one, _ in waived}
    return Audit(
        package_count=count,
        open=tuple(one for one in found if one not in covered),
        waived=waived,
        unused=tuple(waiver for waiver in waivers if waiver not in used),
    )


def _report_of_pip_audit(requirements: Path, service: Iterable[str]) -> str:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements)]
    # Every requirement is pinned with its hashes, so that nothing is resolved, downloaded or installed.
    command += ["--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    command += ["--timeout", str(ANSWER_SECONDS_MAX), *service]
    try:
        done = subprocess.run(  # noqa: S603 - our own words, and paths as arguments
            command, capture_output=True, text=True, check=False, timeout=AUDIT_SECONDS_MAX
        )
    except subprocess.TimeoutExpired as error:
        raise NoResult(f"pip-audit did not end within {AUDIT_SECONDS_MAX:.0f} seconds") from error
    if not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NoResult(f"pip-audit ended with {done.returncode}: {last}")
    return done.stdout


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requirements", type=Path, required=True, help="what is locked, with hashes")
    parser.add_argument("--waivers", type=Path, default=WAIVERS)
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="who is asked")
    parser.add_argument("--osv-url", help="where OSV answers, when not in its own place")
    given = parser.parse_args(arguments)
    service = ["--vulnerability-service", given.service]
    service += ["--osv-url", given.osv_url] if given.osv_url else []
    try:
        waivers = read_waivers(given.waivers.read_text(encoding="utf-8"), today=datetime.now(UTC).date())
        audit = judged(_report_of_pip_audit(given.requirements, service), waivers)
    except NoResult as error:
        sys.stderr.write(f"NO RESULT ({given.service}): {error}\n")
        return 2
    for vulnerability in audit.open:
        _say(f"VULNERABLE  {vulnerability}")
    for vulnerability, waiver in audit.waived:
        _say(f"waived      {vulnerability}; until {waiver.until}: {waiver.reason}")
    for waiver in audit.unused:
        _say(f"NO GROUND   the waiver {waiver}: nothing of the kind is found any more, take it away")
    _say(f"{audit.package_count} packages looked up ({given.service}), {len(audit.open)} vulnerabilities open")
    return 0 if audit.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
