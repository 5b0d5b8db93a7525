"""The SDK against the sandbox and against servers that misbehave: answers, and the documented exceptions."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import re
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cbss_inscription.client import (
    Answer,
    AsyncInscriptionClient,
    CallFailed,
    FaultReceived,
    GivenPeriod,
    InscriptionClient,
    LegalData,
    Period,
    Profile,
    ReplyUnreadable,
    ServiceUnreachable,
    transport,
)
from cbss_inscription.client.call import REPLY_BYTES_MAX
from cbss_inscription.client.errors import Obstacle
from cbss_inscription.domain.errors import UsageError
from tests.conftest import RunningSandbox, free_port

CONTEXT = "PCSA:LIVING_WAGE"
YEAR = Period(begin_date=date(2026, 1, 1), end_date=date(2026, 12, 31))
KINDS = ("sync", "async")


def call(kind: str, profile: Profile, operation: str, *arguments: Any, **named: Any) -> Answer[Any]:
    """The answer of one client's method, blocking or not."""
    if kind == "sync":
        with InscriptionClient(profile) as client:
            return getattr(client, operation)(*arguments, **named)  # type: ignore[no-any-return]  # by name

    async def run() -> Answer[Any]:
        async with AsyncInscriptionClient(profile) as client:
            return await getattr(client, operation)(*arguments, **named)  # type: ignore[no-any-return]  # by name

    return asyncio.run(run())


def failure(kind: str, profile: Profile, *, ssin: str = "85073003328") -> CallFailed:
    """Why an insertion full of personal data failed; fails when any text of the exception has some (SEC-74)."""
    with pytest.raises(CallFailed) as caught:
        call(
            kind,
            profile,
            "insert_inscription",
            ssin,
            inscription_context=CONTEXT,
            period=YEAR,
            legal_data=LegalData(last_name="Zzyzx", given_names=("Qwghlm",)),
        )
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for secret in (ssin, "Zzyzx", "Qwghlm"):
        assert secret not in text
    return caught.value


# -- against the sandbox -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_operation_through_the_sdk(sandbox: RunningSandbox, stranger: str, kind: str) -> None:
    """Insert, consult, update, delete, health: typed answers, the same for both clients."""
    profile = sandbox.profile()
    inserted = call(kind, profile, "insert_inscription", stranger, inscription_context=CONTEXT, period=YEAR)
    assert inserted.result.status.code == "MSG00000"
    assert [line.period for line in inserted.result.inscriptions] == [YEAR]
    consulted = call(kind, profile, "consult_inscriptions", stranger, inscription_contexts=[CONTEXT])
    assert consulted.result.inscriptions == inserted.result.inscriptions
    later = Period(begin_date=date(2026, 2, 1))
    updated = call(
        kind, profile, "update_inscription", stranger, inscription_context=CONTEXT, period=YEAR, new_period=later
    )
    assert [line.period for line in updated.result.inscriptions] == [later]
    period = GivenPeriod(begin_date=None, end_date=date(2026, 2, 28))
    cut = call(kind, profile, "delete_inscription", stranger, inscription_context=CONTEXT, period=period)
    assert [line.period.begin_date for line in cut.result.inscriptions] == [date(2026, 3, 1)]
    deleted = call(kind, profile, "delete_inscription", stranger, inscription_context=CONTEXT)
    assert deleted.result.inscriptions == ()
    assert call(kind, profile, "health_check").result.health == "OK"
    tickets = {answer.information_cbss.ticket_cbss for answer in (inserted, consulted, updated, cut, deleted)}  # type: ignore[union-attr]  # all have one
    assert len(tickets) == 5


def test_both_clients_give_the_same_answer(sandbox: RunningSandbox) -> None:
    """sync and async read the same result for the same question, for every scenario."""
    for scenario in sandbox.manifest["scenarios"].values():
        answers = [
            call(
                kind,
                sandbox.profile(),
                "consult_inscriptions",
                scenario["ssin"],
                inscription_contexts=["PCSA:SUPERVISOR"],
            )
            for kind in KINDS
        ]
        assert answers[0].result == answers[1].result


def test_an_answer_has_both_messages_and_hides_them(sandbox: RunningSandbox, stranger: str) -> None:
    """`sent` and `received` are the bytes on the wire; a repr shows neither, nor a number (SEC-74)."""
    answer = call("sync", sandbox.profile(), "consult_inscriptions", stranger, ticket="my ticket")
    assert b"<ticket>my ticket</ticket>" in answer.sent
    assert b"<ticket>my ticket</ticket>" in answer.received
    assert stranger not in repr(answer)


def test_a_client_may_be_shared_by_threads(sandbox: RunningSandbox, stranger: str) -> None:
    """One blocking client serves several threads at once; every answer belongs to its own question."""
    with InscriptionClient(sandbox.profile()) as client, ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda number: client.consult_inscriptions(stranger, ticket=f"ticket-{number}"), range(24))
        )
    assert len({answer.information_cbss.ticket_cbss for answer in answers if answer.information_cbss}) == 24
    for number, answer in enumerate(answers):
        assert f"<ticket>ticket-{number}</ticket>".encode() in answer.received


def test_a_fault_is_an_exception_with_code_and_ticket(sandbox: RunningSandbox, stranger: str) -> None:
    """FaultReceived says code, side, ticket and whether to retry; the ticket is in the façade's log (SEC-61)."""
    for kind in KINDS:
        files = sandbox.manifest["refused_certificates"]["expired"]
        profile = msgspec.structs.replace(
            sandbox.profile(), certificate=sandbox.path(files["certificate"]), private_key=sandbox.path(files["key"])
        )
        fault = failure(kind, profile, ssin=stranger)
        assert isinstance(fault, FaultReceived)
        assert (fault.code, fault.fault_code, fault.is_ours, fault.retry) == ("SOA-01001", "Client", True, False)
        assert fault.message
        assert fault.ticket in {line.get("ticket_cbss") for line in sandbox.log_lines()}


# -- no way to the service ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_port_is_unreachable(sandbox: RunningSandbox, kind: str) -> None:
    """ServiceUnreachable names the host when nobody listens."""
    place = f"localhost:{free_port()}"
    error = failure(kind, msgspec.structs.replace(sandbox.profile(), url=f"https://{place}/CBSSInscription/v1"))
    assert isinstance(error, ServiceUnreachable)
    assert place in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_another_authority_is_unreachable(sandbox: RunningSandbox, kind: str) -> None:
    """A server certificate of another CA than the profile's is not trusted, whatever the system trusts (SEC-04)."""
    other = sandbox.path("pki/application-root.crt.pem")
    error = failure(kind, msgspec.structs.replace(sandbox.profile(), ca=other))
    assert isinstance(error, ServiceUnreachable)
    assert "not trusted" in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_another_name_is_unreachable(
    sandbox: RunningSandbox, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server certificate without the host's name is not trusted (SEC-04)."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: look_up(
            "127.0.0.1" if host in {"portal.example", b"portal.example"} else host, *rest, **named
        ),
    )
    url = sandbox.url.replace("localhost", "portal.example")
    error = failure(kind, msgspec.structs.replace(sandbox.profile(), url=url))
    assert isinstance(error, ServiceUnreachable)
    assert "portal.example" in str(error)
    assert "not trusted" in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_server_is_unreachable_after_the_timeout(sandbox: RunningSandbox, kind: str) -> None:
    """ServiceUnreachable when no reply comes in timeout_seconds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        error = failure(kind, msgspec.structs.replace(sandbox.profile(), url=url, timeout_seconds=0.2))
    assert isinstance(error, ServiceUnreachable)
    assert "in time" in str(error)


TRICKLES: dict[str, tuple[bytes, bytes]] = {
    "body": (b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 1000\r\n\r\n", b"x"),
    "chunks": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "header lines": (b"HTTP/1.1 200 OK\r\n", b"x-more: to come\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@contextlib.contextmanager
def trickling_server(start: bytes, drop: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that answers every caller with `start`, and then for some seconds drop by drop."""

    def trickle() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                connection = stack.enter_context(connection)
                connection = stack.enter_context(tls.wrap_socket(connection, server_side=True)) if tls else connection
                connection.recv(65_536)
                connection.sendall(start)
                for _ in range(40):
                    connection.sendall(drop)
                    time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TRICKLES)
def test_a_server_that_trickles_is_unreachable_after_the_timeout(sandbox: RunningSandbox, name: str, kind: str) -> None:
    """timeout_seconds is for the whole call: a reply drop by drop, each in time, does not prolong it."""
    with trickling_server(*TRICKLES[name]) as port:
        profile = msgspec.structs.replace(sandbox.profile(), url=f"http://127.0.0.1:{port}/", timeout_seconds=0.4)
        error = failure(kind, profile)
    assert isinstance(error, ServiceUnreachable)
    assert str(error) == f"127.0.0.1:{port} did not reply in time"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["body", "header lines"])
def test_a_tls_server_that_trickles_is_unreachable_after_the_timeout(
    sandbox: RunningSandbox, name: str, kind: str
) -> None:
    """timeout_seconds is for the whole call over TLS too."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sandbox.path("pki/server.crt.pem"), sandbox.path("pki/server.key.pem"))
    with trickling_server(*TRICKLES[name], tls) as port:
        profile = msgspec.structs.replace(sandbox.profile(), url=f"https://localhost:{port}/", timeout_seconds=0.4)
        error = failure(kind, profile)
    assert isinstance(error, ServiceUnreachable)
    assert str(error) == f"localhost:{port} did not reply in time"


def test_each_call_of_one_client_has_its_own_time(
    sandbox: RunningSandbox, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept connection has the next call's deadline, not that of the call that opened it."""
    hours = itertools.count()
    with InscriptionClient(sandbox.profile()) as client:
        for _ in range(3):
            later = next(hours) * 3600.0
            monkeypatch.setattr(transport, "monotonic", lambda later=later: time.monotonic() + later)
            assert client.consult_inscriptions(stranger).result.status.code == "MSG00100"


def test_the_environment_sets_no_proxy(sandbox: RunningSandbox, stranger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the environment are not used: a call goes where the profile says (SEC-68)."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert call("sync", sandbox.profile(), "consult_inscriptions", stranger).result.status.code == "MSG00100"


# -- a server that misbehaves ------------------------------------------------------------------------------------------

Behaviour = Callable[[bytes], tuple[int, dict[str, str], bytes]]


class FakeServer:
    """A service on loopback that answers as it is told, and counts the calls."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.behaviour: Behaviour = lambda request: (200, {}, b"")
        self.calls = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/CBSSInscription/v1"


@pytest.fixture(scope="module")
def fake_server() -> Iterator[FakeServer]:
    """A server in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["content-length"]))
            fake.calls += 1
            status, headers, body = fake.behaviour(request)
            self.send_response(status)
            for name, value in {"content-type": "text/xml; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # a caller that has heard enough hangs up
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeServer(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def _genuine(request: bytes) -> bytes:
    """A right answer to an insertion: OK, without lines."""
    head, legal, declaration = (
        re.search(rb"<(%s)>.*</\1>" % name, request, re.DOTALL)
        for name in (b"informationCustomer", b"legalContext", b"declaration")
    )
    assert head
    assert legal
    assert declaration
    return (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        b'<q:InsertInscriptionResponse xmlns:q="http://socialsecurity.be/cbssinscription/v1">'
        + head[0]
        + b"<informationCBSS><ticketCBSS>6f9619ff-8b86-4d01-b42d-00cf4fc964ff</ticketCBSS>"
        b"<timestampReceive>2026-01-01T00:00:00Z</timestampReceive>"
        b"<timestampReply>2026-01-01T00:00:00Z</timestampReply></informationCBSS>"
        + legal[0]
        + declaration[0]
        + b"<status><value>OK</value><code>MSG00000</code></status>"
        b"</q:InsertInscriptionResponse></s:Body></s:Envelope>"
    )


def _changed(pattern: bytes, new: bytes) -> Behaviour:
    def behave(request: bytes) -> tuple[int, dict[str, str], bytes]:
        body, count = re.subn(pattern, new, _genuine(request), count=1, flags=re.DOTALL)
        assert count == 1
        return 200, {}, body

    return behave


def _fixed(status: int, body: bytes, **headers: str) -> Behaviour:
    return lambda request: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def _echo_request(request: bytes) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, request


MISBEHAVIOURS: dict[str, tuple[Behaviour, str]] = {
    "another ticket": (_changed(rb"<ticket>[^<]*", b"<ticket>another"), "other-ticket"),
    "no ticket": (_changed(rb"<ticket>.*</ticket>", b""), "other-ticket"),
    "another time": (_changed(rb"<timestampSent>[^<]*", b"<timestampSent>2020-01-01T00:00:00Z"), "other-ticket"),
    "another number asked": (_changed(rb"<declaration><ssin>\d*", b"<declaration><ssin>98472899765"), "other-question"),
    "another day asked": (_changed(rb"<beginDate>[^<]*", b"<beginDate>1999-12-31"), "other-question"),
    "another legal context": (_changed(rb"<legalContext>[^<]*", b"<legalContext>OTHER"), "other-question"),
    "another customer": (_changed(rb"<institution>1<", b"<institution>2<"), "other-ticket"),
    "another operation": (
        lambda request: (
            200,
            {},
            _genuine(request).replace(b"InsertInscriptionResponse", b"DeleteInscriptionResponse"),
        ),
        "other-operation",
    ),
    "the request itself": (_echo_request, ""),
    "a value that is none": (_changed(b"<value>OK", b"<value>PERHAPS"), "response-schema"),
    "HTML": (_fixed(200, b"<html><body>Zzyzx 85073003328</body></html>", content_type="text/html"), ""),
    "no XML": (_fixed(200, b"85073003328"), ""),
    "nothing": (_fixed(200, b""), ""),
    "cut off": (lambda request: (200, {}, _genuine(request)[:-20]), ""),
    "a DOCTYPE": (
        lambda request: (200, {}, b'<!DOCTYPE s:Envelope [<!ENTITY x "85073003328">]>' + _genuine(request)),
        "",
    ),
    "two bodies": (_changed(rb"(<s:Body>.*</s:Body>)", rb"\1\1"), ""),
    "a redirect": (_fixed(307, b"", location="http://127.0.0.1:9/stolen"), "http-status-307"),
    "not found": (_fixed(404, b"85073003328"), "http-status-404"),
    "a failure that says it was done": (lambda request: (500, {}, _genuine(request)), "http-status-500"),
    "a control character": (_changed(b"<value>OK", b"<value>OK&#1;"), ""),
    "a lone surrogate": (_changed(b"<value>OK", b"<value>OK\xed\xa0\x80"), ""),
    "compressed": (
        lambda request: (200, {"content-encoding": "gzip"}, gzip.compress(_genuine(request))),
        "content-encoding",
    ),
    "too large": (lambda request: (200, {}, _genuine(request) + b" " * REPLY_BYTES_MAX), "size"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_a_reply_that_is_no_answer_is_unreadable(
    sandbox: RunningSandbox, fake_server: FakeServer, name: str, kind: str
) -> None:
    """ReplyUnreadable with a fixed reason, without anything of the reply, after exactly one call (SEC-68, SEC-70)."""
    fake_server.behaviour, reason = MISBEHAVIOURS[name]
    fake_server.calls = 0
    error = failure(kind, msgspec.structs.replace(sandbox.profile(), url=fake_server.url))
    assert isinstance(error, ReplyUnreadable)
    assert reason in error.reason
    assert re.fullmatch(r"[a-z0-9-]+", error.reason)
    assert fake_server.calls == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_fake_server_can_answer_well(sandbox: RunningSandbox, fake_server: FakeServer, kind: str) -> None:
    """The answer that the misbehaviours are made from is accepted, so that each of them is refused for itself."""
    fake_server.behaviour = lambda request: (200, {}, _genuine(request))
    profile = msgspec.structs.replace(sandbox.profile(), url=fake_server.url)
    answer = call(kind, profile, "insert_inscription", "85073003328", inscription_context=CONTEXT, period=YEAR)
    assert answer.result.status.code == "MSG00000"


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_is_cut_is_unreachable_and_not_tried_again(
    sandbox: RunningSandbox, fake_server: FakeServer, kind: str
) -> None:
    """A reply shorter than announced: ServiceUnreachable after exactly one call (SEC-70)."""
    fake_server.behaviour = lambda request: (200, {"content-length": "100000", "connection": "close"}, b"<s:Envelope")
    fake_server.calls = 0
    error = failure(kind, msgspec.structs.replace(sandbox.profile(), url=fake_server.url, timeout_seconds=0.5))
    assert isinstance(error, ServiceUnreachable)
    assert fake_server.calls == 1


def _whole_request(connection: socket.socket) -> bytes:
    """The next request of a connection, with its body; nothing when the caller hung up."""
    request = b""
    while True:
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if end and length and len(body) >= int(length[1]):
            return request
        part = connection.recv(65_536)
        if not part:
            return b""
        request += part


@contextlib.contextmanager
def cutting_server() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server that answers a connection's first request and hangs up on its second; all requests."""
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            with contextlib.suppress(OSError), connection:
                requests.append(_whole_request(connection))
                body = _genuine(requests[-1])
                head = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: %d\r\n\r\n" % len(body)
                connection.sendall(head + body)
                if request := _whole_request(connection):
                    requests.append(request)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", requests
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_sec_70_a_declaration_on_a_kept_connection_that_is_cut_is_not_sent_again(
    sandbox: RunningSandbox, kind: str
) -> None:
    """Nobody knows whether it was done, so it goes out once: the application asks again with its ticket (SEC-70)."""
    with cutting_server() as (url, requests):
        profile = msgspec.structs.replace(sandbox.profile(), url=url)
        asked: dict[str, Any] = {"inscription_context": CONTEXT, "period": YEAR}

        def insert_twice() -> None:
            with InscriptionClient(profile) as client:
                assert client.insert_inscription("85073003328", **asked).result.status.code == "MSG00000"
                with pytest.raises(ServiceUnreachable) as caught:
                    client.insert_inscription("85073003328", **asked)
            assert caught.value.obstacle is Obstacle.BROKEN

        async def insert_twice_in_coroutines() -> None:
            async with AsyncInscriptionClient(profile) as client:
                assert (await client.insert_inscription("85073003328", **asked)).result.status.code == "MSG00000"
                with pytest.raises(ServiceUnreachable) as caught:
                    await client.insert_inscription("85073003328", **asked)
            assert caught.value.obstacle is Obstacle.BROKEN

        insert_twice() if kind == "sync" else asyncio.run(insert_twice_in_coroutines())
    assert len(requests) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [500, 503])
def test_a_server_fault_says_whether_to_retry(
    sandbox: RunningSandbox, fake_server: FakeServer, status: int, kind: str
) -> None:
    """A Server fault with Retry is FaultReceived with is_ours False; other gateways' faults without detail too."""
    error = (
        b'<e:SystemError xmlns:e="http://socialsecurity.be/errors/v1" Id="t-1"><e:Origin>Provider</e:Origin>'
        b"<e:Code>SOA-02002</e:Code><e:Message>Try later.</e:Message><e:Retry>true</e:Retry></e:SystemError>"
    )
    frame = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        b"<faultcode>s:Server</faultcode><faultstring>SOA-02002</faultstring>%s</s:Fault></s:Body></s:Envelope>"
    )
    profile = msgspec.structs.replace(sandbox.profile(), url=fake_server.url)
    fake_server.behaviour = _fixed(status, frame % (b"<detail>%s</detail>" % error))
    fault = failure(kind, profile)
    assert isinstance(fault, FaultReceived)
    assert (fault.code, fault.retry, fault.is_ours, fault.ticket) == ("SOA-02002", True, False, "t-1")
    fake_server.behaviour = _fixed(status, frame % b"")
    fault = failure(kind, profile)
    assert isinstance(fault, FaultReceived)
    assert (fault.code, fault.retry, fault.ticket) == ("SOA-02002", False, None)


def test_an_argument_without_a_place_in_the_contract_is_told_before_anything_is_sent(
    sandbox: RunningSandbox, fake_server: FakeServer
) -> None:
    """UsageError for what cannot be said: no call is made (SDK)."""
    fake_server.calls = 0
    profile = msgspec.structs.replace(sandbox.profile(), url=fake_server.url)
    bare = msgspec.structs.replace(profile, customer_identification=None, legal_context=None)
    with InscriptionClient(profile) as client, InscriptionClient(bare) as nobody:
        for attempt in (
            lambda: client.consult_inscriptions("85073003328", ticket=""),
            lambda: client.consult_inscriptions("85073003328", ticket="x" * 37),
            lambda: client.consult_inscriptions("85073003328", ticket="\x00"),
            lambda: client.consult_inscriptions("85073003328", inscription_contexts=["-"]),
            lambda: client.consult_inscriptions("85073003328", legal_context="?"),
            lambda: client.insert_inscription(
                "85073003328", inscription_context=CONTEXT, period=YEAR, legal_data=LegalData(last_name="Zzyzx\x00")
            ),
            lambda: nobody.consult_inscriptions("85073003328"),
        ):
            with pytest.raises(UsageError) as caught:
                attempt()
            text = "".join(traceback.format_exception(caught.value, chain=True))
            assert "85073003328" not in str(caught.value)
            assert "Zzyzx" not in str(caught.value)
            assert "Zzyzx\x00" not in text
    assert fake_server.calls == 0


def test_a_url_that_is_none_is_told_at_once(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """UsageError when the profile's URL is no address of a service."""
    for url in ("", "localhost", "ftp://localhost/", "https://", "https://[::", "file:///etc/passwd"):
        with pytest.raises(UsageError):
            InscriptionClient(msgspec.structs.replace(sandbox.profile(), url=url))
        with pytest.raises(UsageError):
            AsyncInscriptionClient(msgspec.structs.replace(sandbox.profile(), url=url))
