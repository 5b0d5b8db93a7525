"""What of HTTP the façade takes, and what it refuses before a message is looked at (SEC-06 to SEC-10)."""

from __future__ import annotations

import asyncio
import gzip
import time
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from cbss_inscription.app.settings import Limits
from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultInscriptions, Request
from cbss_inscription.domain.results import ConsultResult, Result, Status, StatusValue
from cbss_inscription.repertory.port import Admitted
from tests.acceptance.conftest import PATH, PUBLIC_URL, BuildFacade, HttpReply, InProcessFacade, consult, insert

XML = ("content-type", "text/xml; charset=utf-8")


def assert_plain_refusal(reply: HttpReply, status: int) -> None:
    """Fails unless the reply is a sentence as text with this status, that no cache keeps."""
    assert reply.status == status
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.body.endswith(b".")
    assert b"Traceback" not in reply.body


@pytest.mark.parametrize(
    "path", ["/", "", "/CBSSInscription", "/CBSSInscription/v1/", "/CBSSInscription/V1", "/x/../y"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_another_path_is_not_found(facade: InProcessFacade, path: str, method: str) -> None:
    """404 where there is no service; path letters count (SEC-06)."""
    assert_plain_refusal(await facade.request(method, path=path, headers=[XML]), 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post"])
async def test_another_method_is_not_allowed(facade: InProcessFacade, method: str) -> None:
    """405 with Allow for all but GET and POST (SEC-06)."""
    reply = await facade.request(method, headers=[XML])
    assert_plain_refusal(reply, 405)
    assert reply.headers["allow"] == "GET, POST"


# -- size and time -----------------------------------------------------------------------------------------------------


async def test_a_message_of_the_greatest_size_passes_and_one_byte_more_does_not(build_facade: BuildFacade) -> None:
    """413 above body_bytes_max, at the byte, whether the length is stated or not (SEC-09)."""
    async with build_facade(limits=Limits(body_bytes_max=10_000)) as facade:
        for pad, expected in ((0, "MSG00100"), (1, "HTTP 413")):
            for stated in (True, False):
                message = facade.signed(consult(facade.ssin("nr_active")))
                body = message + b"\n" * (10_000 - len(message) + pad)
                length = [("content-length", str(len(body)))] if stated else [("transfer-encoding", "chunked")]
                parts = [body] if stated else [body[start : start + 999] for start in range(0, len(body), 999)]
                reply = await facade.request("POST", headers=[XML, *length], parts=parts)
                assert reply.summary == expected, (pad, stated)


async def test_an_endless_message_is_cut_off_while_it_comes(build_facade: BuildFacade) -> None:
    """What is too large is refused as soon as it is, not at its end, which may never come (SEC-09)."""
    async with build_facade(limits=Limits(body_bytes_max=10_000)) as facade:
        endless = [b"x" * 4_000] * 3 + [3_600.0]
        reply = await asyncio.wait_for(facade.request("POST", headers=[XML], parts=endless), timeout=5)
        assert_plain_refusal(reply, 413)


async def test_a_length_stated_too_large_is_refused_unread(facade: InProcessFacade) -> None:
    """A Content-Length above the limit is 413 before a byte is read (SEC-09)."""
    reply = await facade.request("POST", headers=[XML, ("content-length", "1048577")], parts=[3_600.0])
    assert_plain_refusal(reply, 413)


@pytest.mark.parametrize("length", ["-1", "+5", "5,5", "0x10", " ", "", "\u00b2", "9" * 5_000])
async def test_a_length_that_is_no_number_is_refused(facade: InProcessFacade, length: str) -> None:
    """An odd Content-Length is 400 (SEC-11)."""
    assert_plain_refusal(await facade.request("POST", headers=[XML, ("content-length", length)], parts=[b"x"]), 400)


async def test_a_length_and_chunks_exclude_each_other(facade: InProcessFacade) -> None:
    """Content-Length beside Transfer-Encoding is 400: two readers could see two messages (SEC-11)."""
    message = facade.signed(insert(facade.ssin("nr_active")))
    headers = [XML, ("content-length", str(len(message))), ("transfer-encoding", "chunked")]
    assert_plain_refusal(await facade.request("POST", headers=headers, parts=[message]), 400)
    assert facade.written() == ([], 0)


async def test_a_slow_message_is_given_up(build_facade: BuildFacade) -> None:
    """408 when the body does not arrive whole in body_seconds_max, however lively it trickles (SEC-10)."""
    async with build_facade(limits=Limits(body_seconds_max=0.2)) as facade:
        trickle: list[bytes | float | None] = [part for _ in range(400) for part in (b"x", 0.02)]
        assert_plain_refusal(await facade.request("POST", headers=[XML], parts=trickle), 408)
        assert facade.log_lines() == []


async def test_a_broken_connection_is_no_message(facade: InProcessFacade) -> None:
    """A message that breaks off is never processed, even when what came would be enough (SEC-10)."""
    message = facade.signed(insert(facade.ssin("nr_active")))
    reply = await facade.request("POST", headers=[XML], parts=[message, None])
    assert reply.status == 400
    assert facade.written() == ([], 0)


class _Waiting:
    """A repertory that answers only when it is let go; only what the tests below ask of it."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = 0

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        del asked
        self.asked += 1
        await self.go_on.wait()
        return ConsultResult(status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA))


async def test_more_messages_than_there_is_room_for_are_told_to_come_back(build_facade: BuildFacade) -> None:
    """503 with SOA-02002 when requests_at_once_max are in hand; afterwards the façade serves again (SEC-10)."""
    async with build_facade(limits=Limits(requests_at_once_max=2)) as facade:
        repertory = _Waiting()
        facade.refit(repertory=repertory)
        messages = [facade.signed(consult(facade.ssin("nr_active"))) for _ in range(4)]
        in_hand = [asyncio.create_task(facade.post(message)) for message in messages[:2]]
        while repertory.asked < 2:
            await asyncio.sleep(0.01)
        busy = await facade.post(messages[2])
        assert busy.status == 503
        assert (busy.fault_code, busy.fault_side) == ("SOA-02002", "Server")
        (line,) = facade.log_lines()
        assert line["ticket_cbss"].encode() in busy.body  # the fault's @Id is in the log too
        assert line["reason"] == "requests-at-once"
        assert (await facade.request("GET", query="wsdl")).status == 200
        repertory.go_on.set()
        assert [reply.summary for reply in await asyncio.gather(*in_hand)] == ["MSG00100"] * 2
        assert (await facade.post(messages[3])).summary == "MSG00100"


async def test_slow_senders_do_not_take_the_place_of_others(build_facade: BuildFacade) -> None:
    """Messages that are still arriving, however many, keep no whole message out (SEC-10: slowloris)."""
    async with build_facade(limits=Limits(requests_at_once_max=1)) as facade:
        slow = [
            asyncio.create_task(facade.request("POST", headers=[XML], parts=[b"<", 0.5, b"a/>"])) for _ in range(20)
        ]
        await asyncio.sleep(0.05)
        assert (await facade.send(consult(facade.ssin("nr_active")))).summary == "MSG00100"
        await asyncio.gather(*slow)


async def test_arriving_messages_hold_a_bounded_memory(build_facade: BuildFacade) -> None:
    """503 for what would pass arriving_bytes_max in all messages that are arriving; small ones still pass (SEC-10)."""
    async with build_facade(limits=Limits(arriving_bytes_max=20_000)) as facade:
        slow = asyncio.create_task(facade.request("POST", headers=[XML], parts=[b" " * 12_000, 0.5, b"<a/>"]))
        await asyncio.sleep(0.05)
        assert (await facade.request("POST", headers=[XML], parts=[b" " * 12_000])).status == 503
        assert (await facade.send(consult(facade.ssin("nr_active")))).summary == "MSG00100"
        assert (await slow).status == 500
        assert (await facade.request("POST", headers=[XML], parts=[b" " * 12_000])).status == 500


async def test_a_reply_does_not_wait_for_ever(build_facade: BuildFacade) -> None:
    """A message whose work takes longer than answer_seconds_max is SOA-02002; what comes of it later is not told."""
    async with build_facade(limits=Limits(answer_seconds_max=0.2)) as facade:
        repertory = _Waiting()
        facade.refit(repertory=repertory)
        late = await facade.send(consult(facade.ssin("nr_active")))
        assert (late.fault_code, late.fault_side) == ("SOA-02002", "Server")
        assert facade.log_lines()[-1]["reason"] == "deadline"
        repertory.go_on.set()
        assert (await facade.send(consult(facade.ssin("nr_active")))).summary == "MSG00100"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(None, 15.0), ("3000", 3.0), ("60000", 15.0), ("0", 0.5), ("3 000", 15.0), ("-1", 15.0), ("1" * 8, 15.0)],
)
async def test_sec_10_a_caller_may_shorten_its_time_and_no_more(
    facade: InProcessFacade, monkeypatch: pytest.MonkeyPatch, said: str | None, seconds: float
) -> None:
    """CBSS-Answer-Within in milliseconds shortens the time of an answer, down to half a second (SEC-10).

    What cannot be read, and what is more than ours, changes nothing. The use case learns when the answer must be there.
    """
    seen: list[float | None] = []
    still = SimpleNamespace(monotonic=lambda: 1_000.0, perf_counter=time.perf_counter)
    monkeypatch.setattr("cbss_inscription.soap.pipeline.time", still)

    class Noting:
        async def perform(self, request: Request, exchange: Exchange) -> Result:
            seen.append(exchange.answer_by)
            raise TemporarilyUnavailable("noted")

    facade.application._doors[PATH] = replace(facade.door, operations=Noting())
    headers = [XML] if said is None else [XML, ("cbss-answer-within", said)]
    body = facade.signed(consult(facade.ssin("nr_active")))
    reply = await facade.request("POST", headers=headers, parts=[body])
    assert reply.fault_code == "SOA-02002"
    kept_for_the_record = min(1.0, seconds / 2)
    assert seen == [1_000 + seconds - kept_for_the_record]


async def test_a_long_content_type_is_refused_unread(facade: InProcessFacade) -> None:
    """A Content-Type beyond 128 characters is 415 before any pattern meets it: blanks cost by the square (SEC-07)."""
    for content_type in ("text/xml" + " " * 15_800 + "x", "text/xml" + " " * 120 + "; charset=utf-8"):
        reply = await facade.request("POST", headers=[("content-type", content_type)], parts=[b"<a/>"])
        assert_plain_refusal(reply, 415)


async def test_refused_requests_free_their_place(build_facade: BuildFacade) -> None:
    """A request that is refused, or breaks off, does not count against those at once for ever (SEC-10)."""
    async with build_facade(limits=Limits(requests_at_once_max=1)) as facade:
        for _ in range(3):
            await facade.request("POST", headers=[("content-type", "text/plain")])
            await facade.request("POST", headers=[XML], parts=[b"x", None])
        assert (await facade.send(consult(facade.ssin("nr_active")))).summary == "MSG00100"


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/soap+xml",
        "application/soap+xml; charset=utf-8; action=x",
        "application/xml",
        "text/plain",
        "text/xmlx",
        'multipart/related; type="text/xml"; boundary=x',
        'multipart/related; type="application/xop+xml"; start="<a>"; boundary=x',
        "text/xml; charset=",
        "text/xml; charset=utf-8; charset=utf-16",
        'text/xml; charset="utf-8',
        "text/xml; charset=utf 8",
        "text/xml; action=x",
        "text/xml, text/xml",
        "text/xml; charset=" + "x" * 41,
    ],
)
async def test_another_media_type_is_refused(facade: InProcessFacade, content_type: str | None) -> None:
    """415 for all but text/xml with at most one well-formed charset: no SOAP 1.2, no attachments (SEC-07)."""
    reply = await facade.post(facade.signed(insert(facade.ssin("nr_active"))), content_type=content_type)
    assert_plain_refusal(reply, 415)
    assert facade.written() == ([], 0)


@pytest.mark.parametrize(
    "content_type",
    ["text/xml", "TEXT/XML", 'text/xml;charset="UTF-8"', "text/xml ; charset = utf-8 ;", "text/xml; Charset=Utf-8"],
)
async def test_text_xml_in_any_spelling_is_taken(facade: InProcessFacade, content_type: str) -> None:
    """text/xml is taken with or without charset, in any case, with quotes or without (SEC-07)."""
    reply = await facade.post(facade.signed(consult(facade.ssin("nr_active"))), content_type=content_type)
    assert reply.outcome.code == "MSG00100"


@pytest.mark.parametrize("kind", ["MTOM", "SwA", "MTOM said to be text/xml", "SwA said to be text/xml"])
async def test_sec_07_messages_with_attachments_are_refused(facade: InProcessFacade, kind: str) -> None:
    """A package of parts is no message, whatever its root part and its Content-Type say (SEC-07)."""
    root = "application/xop+xml; charset=utf-8" if kind.startswith("MTOM") else "text/xml; charset=utf-8"
    package = f'multipart/related; boundary=cut; type="{root.partition(";")[0]}"; start="<root>"'
    parts = (
        f"--cut\r\nContent-Type: {root}\r\nContent-ID: <root>\r\n\r\n".encode(),
        facade.signed(insert(facade.ssin("nr_active"))),
        b"\r\n--cut\r\nContent-Type: image/png\r\nContent-ID: <other>\r\n\r\n\x89PNG\r\n--cut--\r\n",
    )
    said = "text/xml" if kind.endswith("text/xml") else package
    reply = await facade.post(b"".join(parts), content_type=said)
    assert reply.summary == ("SOA-03001" if said == "text/xml" else "HTTP 415")
    assert facade.written() == ([], 0)


async def test_sec_08_a_gzip_bomb_is_never_inflated(facade: InProcessFacade) -> None:
    """A megabyte that becomes a gigabyte: 415 unread when it says so, and no XML when it does not (SEC-08)."""
    bomb = gzip.compress(b" " * 2**20) * 990
    assert 900_000 < len(bomb) < 2**20
    for coding in ("gzip", "GZIP", "x-gzip", "identity, gzip"):
        coded = await facade.request("POST", headers=[XML, ("content-encoding", coding)], parts=[3_600.0])
        assert_plain_refusal(coded, 415)
    assert (await facade.post(bomb)).fault_code == "SOA-03001"
    (line,) = facade.log_lines()
    assert line["reason"] == "encoding"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, identity", "x-unknown", ""])
async def test_a_content_coding_is_refused(facade: InProcessFacade, coding: str) -> None:
    """415 for any Content-Encoding but identity: nothing is ever inflated (SEC-08)."""
    message = facade.signed(insert(facade.ssin("nr_active")))
    reply = await facade.request("POST", headers=[XML, ("content-encoding", coding)], parts=[message])
    assert_plain_refusal(reply, 415)


async def test_identity_is_no_coding(facade: InProcessFacade) -> None:
    """Content-Encoding: identity says that there is none (SEC-08)."""
    message = facade.signed(consult(facade.ssin("nr_active")))
    reply = await facade.request("POST", headers=[XML, ("content-encoding", "Identity")], parts=[message])
    assert reply.outcome.code == "MSG00100"


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ([(f"x-{number}", "1") for number in range(99)], 500),
        ([(f"x-{number}", "1") for number in range(100)], 431),
        ([("x", "y" * (16_384 - 36))], 500),
        ([("x", "y" * (16_384 - 35))], 431),
    ],
)
async def test_headers_have_their_limits(facade: InProcessFacade, extra: list[tuple[str, str]], status: int) -> None:
    """At most 100 headers of 16 kB together: 431 above (SEC-09). An empty message that passes is SOA-03001."""
    assert len("".join(XML)) == 35
    assert (await facade.request("POST", headers=[XML, *extra])).status == status


@pytest.mark.parametrize(
    "name",
    [
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "Transfer-Encoding",
        "host",
        "soapaction",
        "SOAPAction",
    ],
)
async def test_a_header_that_decides_must_not_stand_twice(facade: InProcessFacade, name: str) -> None:
    """400 when a header that decides how the message is read stands twice, even with the same value (SEC-11)."""
    usual = {"content-type": "text/xml", "content-length": "0", "content-encoding": "identity", "host": "x"}
    value = usual.get(name, "chunked" if name.lower() == "transfer-encoding" else '""')
    reply = await facade.request("POST", headers=[(name, value), (name, value)])
    assert_plain_refusal(reply, 400)
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "coding", ["", "identity", "gzip", "gzip, chunked", "chunked, chunked", "xchunked", "chunked;a=b"]
)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
async def test_a_transfer_coding_but_chunked_is_refused(facade: InProcessFacade, method: str, coding: str) -> None:
    """400, and nothing more on that connection, for any Transfer-Encoding but chunked, with any method (SEC-11)."""
    reply = await facade.request(method, query="wsdl", headers=[XML, ("transfer-encoding", coding)])
    assert_plain_refusal(reply, 400)
    assert reply.headers["connection"] == "close"


# -- descriptions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["wsdl", "WSDL", "wsdl=", "wsdl=x509", "singleWsdl", "singlewsdl", "singleWsdl=x509"])
async def test_the_description_has_the_public_address(facade: InProcessFacade, query: str) -> None:
    """Every served WSDL names the configured public URL, whatever Host was asked (contract.md 1)."""
    reply = await facade.request("GET", query=query, headers=[("host", "evil.example")])
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    wsdl = etree.fromstring(reply.body)
    (address,) = wsdl.iter("{http://schemas.xmlsoap.org/wsdl/soap/}address")
    assert address.get("location") == PUBLIC_URL + PATH
    assert b"evil.example" not in reply.body
    assert (b"BinarySecurityToken" in reply.body or b"X509Token" in reply.body) == query.endswith("x509")


@pytest.mark.parametrize("query", ["wsdl", "wsdl=x509"])
async def test_every_import_of_a_description_can_be_fetched(facade: InProcessFacade, query: str) -> None:
    """Following every schemaLocation from ?wsdl reaches schemas of this service only, and all are there."""
    waiting, seen = [query], set()
    while waiting:
        asked = waiting.pop()
        reply = await facade.request("GET", query=asked)
        assert reply.status == 200, asked
        for imported in etree.fromstring(reply.body).iter("{http://www.w3.org/2001/XMLSchema}import"):
            parts = urlsplit(imported.get("schemaLocation", ""))
            assert f"{parts.scheme}://{parts.netloc}{parts.path}" == PUBLIC_URL + PATH
            assert list(parse_qs(parts.query)) == ["xsd"]
            if parts.query not in seen:
                seen.add(parts.query)
                waiting.append(parts.query)
    assert len(seen) >= 4


async def test_a_single_description_imports_nothing_from_elsewhere(facade: InProcessFacade) -> None:
    """?singleWsdl stands alone: no schemaLocation in it (contract.md 1)."""
    reply = await facade.request("GET", query="singleWsdl")
    assert b"schemaLocation" not in reply.body


@pytest.mark.parametrize(
    "query",
    [
        "",
        "wsdl=other",
        "xsd",
        "xsd=",
        "xsd=../../etc/passwd",
        "xsd=..%2f..%2fetc%2fpasswd",
        "xsd=/etc/passwd",
        "xsd=CommonV3.xsd%00",
        "xsd=CBSSInscription_v1.wsdl",
        "wsdl&xsd=CommonV3.xsd",
        "x" * 10_000,
        "\xff\xfe",
    ],
)
async def test_a_description_that_does_not_exist_is_not_found(facade: InProcessFacade, query: str) -> None:
    """404 for any other query; no file is opened by a caller's words (SEC-06)."""
    assert_plain_refusal(await facade.request("GET", query=query), 404)


async def test_the_schemas_of_the_other_door_are_not_served(facade: InProcessFacade) -> None:
    """The façade serves its own schemas by name (contract.md 1)."""
    assert (await facade.request("GET", query="xsd=CommonV3.xsd")).status == 200
    assert (await facade.request("GET", query="xsd=InscriptionServiceV1.xsd")).status == 404
