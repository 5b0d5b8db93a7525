"""Authorities, revocation lists and access rules are reloaded while the façade serves (SEC-44, SEC-46, SEC-48)."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cbss_inscription.app import reloading
from cbss_inscription.app.settings import Trust
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import write_access_rules
from cbss_inscription.sandbox.demonstration import APPLICATIONS
from cbss_inscription.sandbox.pki import REVOCATION_LISTS, Credential, TestPki
from cbss_inscription.security.sign import Signer
from tests.acceptance.conftest import BuildFacade, InProcessFacade, consult, rules_of_tests

LOOKS_MAX = 400
AUTHORITIES = "authorities.pem"
RULES = "rules.yaml"


def replaced(path: Path, data: bytes) -> None:
    """Another file takes the place of this one, as careful programs write."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.rename(path)


def in_place(path: Path, data: bytes) -> None:
    """The file is emptied and written, as editors and `cp` do, in two pieces."""
    with path.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        os.fsync(file.fileno())
        file.write(data[len(data) // 2 :])


WAYS = pytest.mark.parametrize("write", [replaced, in_place])
Write = Callable[[Path, bytes], None]


@pytest.fixture
def reloading_facade(build_facade: BuildFacade, tmp_path: Path) -> Callable[[], Any]:
    """A façade that looks at its files ten times a second."""
    trust = Trust(
        application_authorities=str(tmp_path / AUTHORITIES), revocation_lists=(str(tmp_path / REVOCATION_LISTS),)
    )

    @asynccontextmanager
    async def build() -> AsyncIterator[InProcessFacade]:
        async with build_facade(trust=trust, reload_seconds=0.1) as facade:
            yield facade

    return build


def lines_of(facade: InProcessFacade, event: str) -> list[dict[str, Any]]:
    return [line for line in facade.log_lines() if line["event"] == event]


async def logged(facade: InProcessFacade, event: str, *, count: int = 1) -> dict[str, Any]:
    """The line of the log that tells the event for the `count`-th time, once it is there."""
    for _ in range(LOOKS_MAX):
        found = lines_of(facade, event)
        if len(found) >= count:
            return found[count - 1]
        await asyncio.sleep(0.05)
    raise AssertionError(f"never logged: {event}")


async def said(facade: InProcessFacade, by: str = "pcsa-web") -> str:
    """In a word, what becomes of a consultation now."""
    reply = await facade.send(consult(facade.ssin("nr_active")), by=by)
    return reply.summary if reply.status == 200 else str(facade.log_lines()[-1]["reason"])


@WAYS
async def test_sec_48_a_new_authority_is_admitted(
    reloading_facade: Any, pki: TestPki, tmp_path: Path, write: Write
) -> None:
    """A second authority and its lists, written beside the first while the façade runs, bring its callers in."""
    now = datetime.now(UTC)
    second = TestPki.generate(environment="LOCAL", now=now)
    # Another key of the same names: as when an authority is renewed.
    web = APPLICATIONS[0]
    credential = second.issue_application_certificate(
        web.application_urn, web.cbe_number, web.organization_name, not_before=now
    )
    async with reloading_facade() as facade:
        facade.signers = facade.signers | {
            "second": Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
        }
        assert await said(facade, by="second") == "certificate-untrusted"
        write(tmp_path / AUTHORITIES, pki.authorities_pem + second.authorities_pem)
        assert (await logged(facade, "reloaded"))["what"] == "trust"
        lists = (tmp_path / REVOCATION_LISTS).read_bytes()
        write(
            tmp_path / REVOCATION_LISTS,
            lists
            + second.issue_revocation_list(now=now)
            + second.issue_revocation_list(now=now, issuer=second.application_root),
        )
        await logged(facade, "reloaded", count=2)
        assert await said(facade, by="second") == "MSG00100"
        assert await said(facade) == "MSG00100"
        assert lines_of(facade, "reload failed") == []


@WAYS
async def test_sec_46_a_certificate_that_is_revoked_is_refused_at_the_next_look(
    reloading_facade: Any, pki: TestPki, credentials: dict[str, Credential], tmp_path: Path, write: Write
) -> None:
    """A verdict that is remembered does not outlive the list: the revoked one is refused, another is not."""
    async with reloading_facade() as facade:
        assert [await said(facade), await said(facade)] == ["MSG00100"] * 2
        now = datetime.now(UTC)
        number = credentials["pcsa-web"].certificate.serial_number
        write(
            tmp_path / REVOCATION_LISTS,
            pki.issue_revocation_list([number], now=now)
            + pki.issue_revocation_list(now=now, issuer=pki.application_root),
        )
        await logged(facade, "reloaded")
        assert await said(facade) == "certificate-revoked"
        assert await said(facade, by="pcsa-reader") == "MSG00100"


@pytest.mark.parametrize("name", [AUTHORITIES, REVOCATION_LISTS, RULES])
async def test_sec_48_a_broken_or_missing_file_keeps_the_old_set_and_is_told_once(
    reloading_facade: Any, tmp_path: Path, name: str
) -> None:
    """Cut, then gone, then whole: the façade answers all the time, and each reason is one line."""
    file = tmp_path / name
    whole = file.read_bytes() if file.exists() else b""
    async with reloading_facade() as facade:
        whole = file.read_bytes()
        replaced(file, b"{[" + whole[: len(whole) - 40])
        told = await logged(facade, "reload failed")
        assert told["what"] == ("access rules" if name == RULES else "trust")
        assert told["level"] == "error"
        await asyncio.sleep(0.5)
        assert len(lines_of(facade, "reload failed")) == 1
        assert await said(facade) == "MSG00100"
        file.unlink()
        assert "No such file" in (await logged(facade, "reload failed", count=2))["reason"]
        assert await said(facade) == "MSG00100"
        replaced(file, whole)
        await logged(facade, "reloaded")
        assert await said(facade) == "MSG00100"
        assert len(lines_of(facade, "reload failed")) == 2


@WAYS
async def test_sec_48_rules_that_change_take_effect(reloading_facade: Any, tmp_path: Path, write: Write) -> None:
    """An operation that is withdrawn from the access rule is refused from the next look on, without a restart."""
    async with reloading_facade() as facade:
        assert await said(facade) == "MSG00100"
        rules = rules_of_tests()
        first, *others = rules.access_rules
        less = tuple(one for one in first.operations if one is not Operation.CONSULT_INSCRIPTIONS)
        changed = msgspec.structs.replace(
            rules, access_rules=(msgspec.structs.replace(first, operations=less), *others)
        )
        write(tmp_path / RULES, write_access_rules(changed))
        assert (await logged(facade, "reloaded"))["what"] == "access rules"
        assert await said(facade) == "no-access-rule"
        assert await said(facade, by="pcsa-reader") == "MSG00100"


async def test_rule_28_a_context_is_known_once_it_is_granted(reloading_facade: Any, tmp_path: Path) -> None:
    """A context of no catalogue that new rules grant is known from then on, and unknown again after them."""
    async with reloading_facade() as facade:
        rules = rules_of_tests()
        web, *others = rules.permissions
        context = "NOWHERE:NEW_CONTEXT"
        granted = msgspec.structs.replace(
            web, inscription_contexts=web.inscription_contexts | {type(next(iter(web.inscription_contexts)))(context)}
        )

        async def asked() -> str:
            return (await facade.send(consult(facade.ssin("nr_active"), contexts=[context]))).summary

        assert await asked() == "CBI00201"
        replaced(tmp_path / RULES, write_access_rules(msgspec.structs.replace(rules, permissions=(granted, *others))))
        await logged(facade, "reloaded")
        assert await asked() == "MSG00100"
        replaced(tmp_path / RULES, write_access_rules(rules))
        await logged(facade, "reloaded", count=2)
        assert await asked() == "CBI00201"


async def test_sec_45_nothing_is_read_or_fetched_while_a_message_is_answered(
    reloading_facade: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judging a certificate, known or not, opens no connection and reads no file in the message's thread."""
    async with reloading_facade() as facade:
        loop_thread = threading.get_ident()
        opened: list[str] = []
        connect, read_file = socket.socket.connect, reloading.read_file

        def no_socket(self: socket.socket, address: Any) -> None:
            if self.family != socket.AF_UNIX:  # PostgreSQL
                opened.append(str(address))
            connect(self, address)

        def no_file(path: Path) -> bytes:
            if threading.get_ident() == loop_thread:
                opened.append(str(path))
            return read_file(path)

        monkeypatch.setattr(socket.socket, "connect", no_socket)
        monkeypatch.setattr(reloading, "read_file", no_file)
        assert await said(facade) == "MSG00100"
        assert await said(facade, by="foreign") == "certificate-untrusted"
        assert opened == []


async def test_sec_44_a_stale_list_refuses_and_is_told(reloading_facade: Any, pki: TestPki, tmp_path: Path) -> None:
    """A list whose nextUpdate and grace are over lets nobody in, and an error line names it, once."""
    async with reloading_facade() as facade:
        now = datetime.now(UTC)
        old, end = now - timedelta(days=7), now - timedelta(hours=2)
        replaced(
            tmp_path / REVOCATION_LISTS,
            pki.issue_revocation_list(now=old, next_update=end)
            + pki.issue_revocation_list(now=now, issuer=pki.application_root),
        )
        line = await logged(facade, "trust ends")
        assert (line["level"], [one["kind"] for one in line["ending"]]) == ("error", ["revocation-list"])
        assert "Issuing" in line["ending"][0]["name"]
        assert await said(facade) == "revocation-stale"
        await asyncio.sleep(0.4)
        assert len(lines_of(facade, "trust ends")) == 1
