"""What lies behind the façade may be hostile: nothing of it breaks an answer, and nothing of a caller reaches it."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cbss_inscription.app.settings import NationalRegister
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultInscriptions
from cbss_inscription.domain.results import ConsultResult, Information, Status, StatusValue
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.sandbox.pki import Credential, TestPki
from tests.acceptance.conftest import BuildFacade, InProcessFacade, consult, insert

# -- what the façade writes of what it was told ------------------------------------------------------------------------


class _Says:
    """A repertory that answers a consultation with this text."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        del asked
        told = Information(field_name="told", field_value=self._text)
        return ConsultResult(
            status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA, information=(told,))
        )


@pytest.mark.parametrize("letter", ["\x00", "\x01", "\x0b", "\x1b", "\udc80", "\ufffe", "\uffff"])
async def test_sec_67_what_xml_cannot_carry_does_not_leave(facade: InProcessFacade, letter: str) -> None:
    """A control character or lone surrogate from behind is SOA-00001: neither sent nor silently left out (SEC-67)."""
    facade.refit(repertory=_Says(f"Zzyzx{letter}"))
    reply = await facade.send(consult(facade.ssin("nr_active")))
    assert (reply.fault_code, reply.fault_side) == ("SOA-00001", "Server")
    assert facade.log_lines()[-1]["exceptions"][0]["kind"] in {"ValueError", "UnicodeEncodeError"}


@pytest.mark.parametrize(
    "text",
    [
        "</fieldValue></information><code>MSG00000</code>",
        "<!-- ",
        "]]>",
        "<![CDATA[",
        "<?php ?>",
        "&#0;",
        "&lt;b&gt;",
        "&unknown;",
        "\" onload='x'",
        "\u202edlrow",
        "\U0001d11e",
        "a\tb\nc\rd\u0085e\u2028f",
    ],
)
async def test_sec_67_markup_from_behind_is_text(facade: InProcessFacade, text: str) -> None:
    """Whatever looks like markup, entities or line ends comes out as the very text that it is (SEC-67)."""
    facade.refit(repertory=_Says(text))
    outcome = (await facade.send(consult(facade.ssin("nr_active")))).outcome
    assert outcome.information == {"told": text}
    assert outcome.code == "MSG00100"


async def test_sec_67_an_over_long_text_is_cut(facade: InProcessFacade) -> None:
    """A text from behind that is longer than the contract allows is cut, and the response valid (SEC-67)."""
    facade.refit(repertory=_Says("&<é𝄞" * 100_000))
    assert (await facade.send(consult(facade.ssin("nr_active")))).outcome.information == {"told": "&<é𝄞" * 64}


# -- what the façade tells of its callers ------------------------------------------------------------------------------


@asynccontextmanager
async def listening_register(pki: TestPki, directory: Path) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The address of a National Register that answers nothing of use, and every request that it was sent."""
    certificate, key = directory / "server.crt.pem", directory / "server.key.pem"
    pki.server.write(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        assert length
        requests.append(head + await reader.readexactly(int(length[1])))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/PersonService/v1/person", requests
    finally:
        server.close()
        await server.wait_closed()


def encoded(credential: Credential) -> bytes:
    return base64.b64encode(credential.certificate.public_bytes(Encoding.DER))


async def test_sec_69_nothing_of_the_caller_goes_to_the_register(
    build_facade: BuildFacade, pki: TestPki, credentials: dict[str, Credential], tmp_path: Path
) -> None:
    """The façade asks in its own name: one Security header, its own; no certificate, ticket or header of a caller's."""
    own = credentials["integrator"]
    own.write(tmp_path / "own.crt.pem", tmp_path / "own.key.pem")
    (tmp_path / "ca.pem").write_bytes(pki.tls_authority.certificate_pem)
    async with listening_register(pki, tmp_path) as (url, requests):
        register = NationalRegister(
            url=url,
            ca=str(tmp_path / "ca.pem"),
            certificate=str(tmp_path / "own.crt.pem"),
            private_key=str(tmp_path / "own.key.pem"),
            customer_identification=CustomerIdentification(cbe_number="9000000389"),
            legal_context="REPERTORY:IDENTIFICATION",
        )
        async with build_facade(national_register=register) as facade:
            ssin = facade.ssin("nr_active")
            sent = [facade.signed(write(ssin, ticket="the-callers-own")) for write in (consult, insert)]
            for message in sent:
                headers = [
                    ("content-type", "text/xml"),
                    ("authorization", "Basic c2VjcmV0"),
                    ("cookie", "secret=1"),
                    ("x-forwarded-for", "192.0.2.1"),
                ]
                reply = await facade.request("POST", headers=headers, parts=[message])
                assert reply.outcome.code == "CBI00901"
    assert len(requests) == len(sent)
    for request, message in zip(requests, sent, strict=True):
        head, _, body = request.partition(b"\r\n\r\n")
        assert {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]} == {
            *(b"host", b"accept-encoding"),
            *(b"content-type", b"content-length", b"soapaction", b"cbss-answer-within"),
        }
        asked, callers = etree.fromstring(body), etree.fromstring(message)
        assert [token.text.encode() for token in asked.iter("{*}BinarySecurityToken")] == [encoded(own)]
        assert len(list(asked.iter("{*}Security"))) == 1
        assert asked.findtext(".//cbeNumber") == "9000000389"
        for name in ("BinarySecurityToken", "SignatureValue", "DigestValue", "ticket", "legalContext", "institution"):
            for element in callers.iter(f"{{*}}{name}", name):
                assert (element.text or "") not in {found.text for found in asked.iter(f"{{*}}{name}", name)}
        assert b"the-callers-own" not in request
        assert encoded(credentials["pcsa-web"]) not in request
        assert b"secret" not in request
        assert b"192.0.2.1" not in request
