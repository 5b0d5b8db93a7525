"""What the listener for batches does beside the traffic: trust and rules anew, old uploads gone, whatever fails."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest

from cbss_inscription.app import batches
from cbss_inscription.app.batches import build_uploads
from cbss_inscription.app.settings import read_settings
from cbss_inscription.app.telemetry import configure_logging
from cbss_inscription.batch.signed_manifest import sign_manifest
from cbss_inscription.contract.batch import Manifest, ManifestFile
from cbss_inscription.governance.access import write_access_rules
from cbss_inscription.sandbox.pki import REVOCATION_LISTS, Credential, TestPki
from cbss_inscription.security.sign import Signer
from tests.acceptance.conftest import alive, rules_of_tests
from tests.batch.files import HEADER

LOOKS_MAX = 400
RULES = "rules.yaml"
AUTHORITIES = "authorities.pem"
TAKEN, UNKNOWN, FORBIDDEN = 201, 401, 403

Ask = Callable[[], Awaitable[int]]


class Disk(io.StringIO):
    """Where the log goes: nothing can be written while it is full."""

    is_full = False
    refused = 0

    def write(self, text: str) -> int:
        if self.is_full:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


@pytest.fixture
def disk(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """In the place of `log`, which puts back how it was logged before."""
    stream = Disk()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging()
    return stream


@pytest.fixture
async def ask(
    settings: Path, empty_repertory: str, signers: dict[str, Signer], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ask]:
    """Opens an upload that nobody opened before, at a listener that looks at its files ten times a second."""
    monkeypatch.setattr(batches, "FORGET_SECONDS", 0.05)
    directory = settings.with_name("batches")
    directory.mkdir()
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f'reload_seconds = 0.1\n{text}\n[batch]\ndirectory = "{directory}"\n', encoding="utf-8")
    application = build_uploads(read_settings(settings))
    numbers = itertools.count()

    async with (
        alive(application),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url="https://test") as http,
    ):

        async def opened() -> int:
            digest = hashlib.sha256(str(next(numbers)).encode()).hexdigest()
            file = ManifestFile(name="b.xml", format="xml", size_bytes=1_000, sha256=digest)
            manifest = Manifest(header=HEADER, file=file)
            signed = sign_manifest(manifest, signer=signers["pcsa-web"], now=datetime.now(UTC))
            return (await http.post("/InscriptionBatch/v1/batches", content=signed)).status_code

        yield opened


def replaced(path: Path, data: bytes) -> None:
    """Another file takes the place of this one, as careful programs write."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.rename(path)


def told(disk: Disk) -> list[tuple[str, str]]:
    """What was said of reloading, each event with what it is about."""
    lines = [json.loads(line) for line in disk.getvalue().splitlines()]
    return [(line["event"], line["what"]) for line in lines if line["event"].startswith("reload")]


async def until(is_so: Callable[[], bool]) -> None:
    """Nothing, once it is so; fails when it never is."""
    for _ in range(LOOKS_MAX):
        if is_so():
            return
        await asyncio.sleep(0.05)
    pytest.fail("never so")


def rules_without_permissions() -> bytes:
    """Nobody may do anything."""
    return write_access_rules(msgspec.structs.replace(rules_of_tests(), permissions=()))


def lists_that_revoke(pki: TestPki, credential: Credential) -> bytes:
    """A list with this certificate, and the root's."""
    now = datetime.now(UTC)
    number = credential.certificate.serial_number
    return pki.issue_revocation_list([number], now=now) + pki.issue_revocation_list(
        now=now, issuer=pki.application_root
    )


@pytest.mark.parametrize("name", [AUTHORITIES, RULES])
async def test_sec_48_a_broken_file_is_told_and_a_good_one_after_it_is_in_force_for_uploads(
    ask: Ask, disk: Disk, settings: Path, pki: TestPki, credentials: dict[str, Credential], name: str
) -> None:
    """Cut, the file changes nothing but the log; the next good one lets the sender in no more (SEC-48)."""
    file, what = settings.with_name(name), "access rules" if name == RULES else "trust"
    whole = file.read_bytes()
    assert await ask() == TAKEN
    replaced(file, b"{[" + whole[: len(whole) - 40])
    await until(lambda: told(disk) == [("reload failed", what)])
    assert await ask() == TAKEN
    if name == RULES:
        replaced(file, rules_without_permissions())
    else:
        replaced(settings.with_name(REVOCATION_LISTS), lists_that_revoke(pki, credentials["pcsa-web"]))
        replaced(file, whole)
    await until(lambda: told(disk)[1:] == [("reloaded", what)])
    assert await ask() == (FORBIDDEN if name == RULES else UNKNOWN)


async def test_sec_48_a_look_that_fails_is_not_the_last_one_for_uploads(ask: Ask, disk: Disk, settings: Path) -> None:
    """While not even the log can be written no look succeeds; afterwards the rules of the moment come into force
    (SEC-48).
    """
    file = settings.with_name(RULES)
    disk.is_full = True
    replaced(file, b"{[")
    await until(lambda: disk.refused > 0)
    disk.is_full = False
    assert await ask() == TAKEN
    replaced(file, rules_without_permissions())
    await until(lambda: ("reloaded", "access rules") in told(disk))
    assert await ask() == FORBIDDEN


async def test_uploads_are_forgotten_again_after_their_folder_was_away(ask: Ask, disk: Disk, settings: Path) -> None:
    """A folder that is away is told once; when it is there again, the upload that nobody went on with goes."""
    uploads, away = settings.with_name("batches") / "uploads", settings.with_name("away")
    assert await ask() == TAKEN
    (upload,) = uploads.iterdir()
    uploads.rename(away)
    await until(lambda: told(disk) == [("reload failed", "uploads")])
    for path in (away / upload.name, *(away / upload.name).iterdir()):
        os.utime(path, (0, 0))
    away.rename(uploads)
    await until(lambda: not upload.exists())
    assert told(disk) == [("reload failed", "uploads")]
