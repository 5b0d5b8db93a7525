"""Services that know us by a certificate in the TLS handshake: real ones, over a real socket (SEC-03, SEC-69)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cbss_inscription.app.addresses import takes_tls
from cbss_inscription.app.settings import ClientTls, Upstream
from cbss_inscription.app.upstream import upstream_of
from cbss_inscription.client.profile import ClientCertificate, Profile
from cbss_inscription.client.transport import tls_context
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.errors import RepertoryUnavailable, UsageError
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import InsertInscription
from cbss_inscription.domain.results import Health
from cbss_inscription.names import WSSE
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.repertory.upstream import UpstreamRepertory
from tests.repertory.far_house import ONE, House
from tests.repertory.houses import Calls, Pki
from tests.repertory.office import CALLER, GROUND, JANUARY, OWN, WAGE, given, permission_of, ssin_of
from tests.wire import context_of, head_of, listening


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Files of a test PKI."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


class Door:
    """A repertory that lets in who shows a certificate of an application, and keeps what it was sent."""

    def __init__(self, pki: Pki, **versions: ssl.TLSVersion) -> None:
        folder = pki.folder
        self.context = context_of(
            folder / "server.crt.pem", folder / "server.key.pem", authorities=folder / "authorities.pem"
        )
        for name, version in versions.items():
            setattr(self.context, name, version)
        self.house = House()
        self.messages: list[bytes] = []
        self.subjects: list[Any] = []

    async def respond(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        self.messages.append(message)
        self.subjects.append(writer.get_extra_info("peercert")["subject"])
        reply = await self.house.reply_to(message)
        writer.write(head_of(len(reply)) + reply)
        await writer.drain()


def upstream(pki: Pki, port: int, log: Calls, **settings: Any) -> UpstreamRepertory:
    """The façade's way there, by these settings."""
    folder = pki.folder
    shown = ClientTls(certificate=str(folder / "facade.crt.pem"), private_key=str(folder / "facade.key.pem"))
    said: dict[str, Any] = {"signed": False, "tls": shown, **settings}
    return upstream_of(Upstream(url=f"https://localhost:{port}/x", ca=str(folder / "tls-ca.crt.pem"), **said), log=log)


def insertion() -> Admitted[InsertInscription]:
    information = InformationCustomer(customer_identification=OWN, ticket="T1", timestamp_sent=datetime.now(UTC))
    request = InsertInscription(
        information_customer=information,
        legal_context=GROUND,
        ssin=ssin_of(ONE).digits,
        inscription_context=WAGE,
        period=given(JANUARY),
    )
    exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime.now(UTC), caller=CALLER)
    return Admitted(request=request, ssin=ssin_of(ONE), permission=permission_of(OWN), exchange=exchange)


async def insert(repertory: UpstreamRepertory) -> str:
    """The code of a declaration."""
    try:
        return (await repertory.insert(insertion())).status.code
    finally:
        await repertory.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name)
async def test_sec_03_the_upstream_sees_our_certificate(pki: Pki, version: ssl.TLSVersion) -> None:
    """Over TLS 1.2 and 1.3 an upstream that asks who connects is shown our certificate; nothing is signed (SEC-03)."""
    door = Door(pki, minimum_version=version, maximum_version=version)
    async with listening(door.respond, context=door.context) as port:
        assert await insert(upstream(pki, port, Calls())) == "MSG00000"
    (subject,) = door.subjects
    assert "nowhere:inscription:facade" in str(subject)
    assert WSSE.encode() not in door.messages[0]


async def test_sec_03_a_message_may_be_signed_besides(pki: Pki) -> None:
    """Who wants token and certificate is given both, and they may be two certificates (SEC-03)."""
    door = Door(pki)
    signing = {"certificate": str(pki.folder / "facade.crt.pem"), "private_key": str(pki.folder / "facade.key.pem")}
    async with listening(door.respond, context=door.context) as port:
        assert await insert(upstream(pki, port, Calls(), signed=True, **signing)) == "MSG00000"
    assert WSSE.encode() in door.messages[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name)
async def test_sec_03_without_our_certificate_nothing_is_done(pki: Pki, version: ssl.TLSVersion) -> None:
    """Nothing to show, or what its authorities do not know: no message arrives, the caller has an outage (SEC-03)."""
    door = Door(pki, minimum_version=version, maximum_version=version)
    stranger = ClientTls(certificate=str(pki.folder / "server.crt.pem"), private_key=str(pki.folder / "server.key.pem"))
    async with listening(door.respond, context=door.context) as port:
        for shown in (None, stranger):
            log = Calls()
            # With TLS 1.3 our side is done before theirs has looked: what was sent then was not taken.
            with pytest.raises(Exception, match="repertory-") as caught:
                await insert(upstream(pki, port, log, tls=shown))
            assert isinstance(caught.value, RepertoryUnavailable) == (version is ssl.TLSVersion.TLSv1_2)
            assert {call.outcome for call in log.calls} <= {"untrusted", "broken", "unreachable"}
    assert door.messages == []


@contextlib.contextmanager
def demanding(pki: Pki, version: ssl.TLSVersion) -> Iterator[str]:
    """The URL of a listener that turns one connection without certificate away, and says so, as nginx or HAProxy do."""
    context = Door(pki, minimum_version=version, maximum_version=version).context

    def turn_away(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ssl.SSLError):
            context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=turn_away, args=[listener])
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}/x"
        thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name)
def test_decision_32_a_service_that_wants_a_certificate_is_there(pki: Pki, version: ssl.TLSVersion) -> None:
    """Who looks has no key: of a service that wants a certificate, that it says so is enough (decision 32)."""
    ours, foreign = str(pki.folder / "tls-ca.crt.pem"), str(pki.folder / "authorities.pem")
    for ca, wants_certificate, is_there in (
        (ours, True, True),
        (ours, False, version is ssl.TLSVersion.TLSv1_3),  # where our side is done before theirs has looked
        (foreign, True, False),
    ):
        with demanding(pki, version) as url:
            assert takes_tls(url, ca=ca, wants_certificate=wants_certificate) is is_there


async def test_a_look_shows_the_certificate_too(pki: Pki) -> None:
    """A health check is a message like any other."""
    door = Door(pki)
    async with listening(door.respond, context=door.context) as port:
        repertory = upstream(pki, port, Calls())
        assert (await repertory.look()).health is Health.OK
        await repertory.close()


def test_files_that_do_not_serve_are_named(pki: Pki, tmp_path: Path) -> None:
    """A missing file, a key of another certificate, an encrypted one: one sentence, by the names of the files."""
    folder, broken = pki.folder, tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\n", encoding="ascii")
    ca = folder / "tls-ca.crt.pem"
    for certificate, key, sentence in (
        (folder / "none.pem", folder / "facade.key.pem", "none.pem: there is no such file"),
        (folder / "facade.crt.pem", folder / "none.pem", "none.pem: there is no such file"),
        (folder / "facade.crt.pem", folder / "server.key.pem", "facade.crt.pem and .*server.key.pem are no PEM"),
        (broken, folder / "facade.key.pem", "broken.pem and .* are no PEM certificate with its key"),
    ):
        with pytest.raises(UsageError, match=sentence):
            tls_context(ca, ClientCertificate(certificate=certificate, private_key=key))


def test_a_profile_may_name_one(tmp_path: Path) -> None:
    """An application too may show a certificate: `[tls]` of a profile, paths relative to the file."""
    file = tmp_path / "profile.toml"
    file.write_text(
        'url = "https://x/y"\nca = "ca.pem"\ncertificate = "a.pem"\nprivate_key = "a.key"\n'
        '[tls]\ncertificate = "tls.pem"\nprivate_key = "/absolute/tls.key"\n',
        encoding="utf-8",
    )
    assert Profile.read(file).tls == ClientCertificate(
        certificate=tmp_path / "tls.pem", private_key=Path("/absolute/tls.key")
    )
