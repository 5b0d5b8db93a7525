"""The order of enforcement: a message that is wrong in two ways gets the earlier refusal (contract.md section 4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations

from tests.acceptance.conftest import (
    FUND,
    BuildFacade,
    HttpReply,
    InProcessFacade,
    action_of,
    insert,
    legal_data_of,
)


@dataclass
class Draft:
    """An insertion in which things can be made wrong one by one."""

    by: str = "pcsa-web"
    at: datetime | None = None
    content_type: str = "text/xml"
    padding: int = 0
    scenario: str = "nr_active"
    arguments: dict[str, str] = field(default_factory=dict)
    legal_changes: dict[str, str] = field(default_factory=dict)
    before_signing: list[Callable[[str], str]] = field(default_factory=list)
    after_signing: list[Callable[[bytes], bytes]] = field(default_factory=list)

    async def send(self, facade: InProcessFacade) -> HttpReply:
        """The reply to the message as it is now."""
        person = facade.scenarios["nr_active"].person
        legal_data = legal_data_of(person, **self.legal_changes)
        content = insert(facade.ssin(self.scenario), legal_data=legal_data, **self.arguments)
        for change in self.before_signing:
            content = change(content)
        message = facade.signed(content, by=self.by, at=self.at)
        for alter in self.after_signing:
            message = alter(message)
        message += b" " * self.padding
        return await facade.post(message, content_type=self.content_type, action=action_of("insertInscription"))


def _tamper(message: bytes) -> bytes:
    return re.sub(rb"(SignatureValue>)(....)", lambda found: found[1] + found[2][::-1], message, count=1)


@dataclass(frozen=True)
class Step:
    """A station of the order, how to fall foul of it, and what is answered."""

    name: str
    answer: str
    spoil: Callable[[Draft], object]
    about: str
    """Two steps about the same thing cannot be wrong at once."""


STEPS = (
    Step("media type", "HTTP 415", lambda d: setattr(d, "content_type", "application/soap+xml"), "http"),
    Step("size", "HTTP 413", lambda d: setattr(d, "padding", 1_048_576), "size"),
    Step(
        "XML gate",
        "SOA-03004",
        lambda d: d.after_signing.append(lambda m: m.replace(b"<soap:Env", b"<!DOCTYPE x []><soap:Env", 1)),
        "prolog",
    ),
    Step("certificate", "SOA-01001", lambda d: setattr(d, "by", "foreign"), "certificate"),
    Step("signature", "SOA-01001", lambda d: d.after_signing.append(_tamper), "signature"),
    Step("timestamp", "SOA-01001", lambda d: setattr(d, "at", datetime.now(UTC) - timedelta(hours=1)), "time"),
    Step(
        "schema",
        "SOA-03006",
        lambda d: d.before_signing.append(lambda text: text.replace("</declaration>", "<x/></declaration>")),
        "shape",
    ),
    Step("access rule", "SOA-01002", lambda d: setattr(d, "by", "unknown-urn"), "certificate"),
    Step("customer", "SOA-01002", lambda d: d.arguments.update(customer=FUND), "customer"),
    Step("legal context", "MSG00013", lambda d: d.arguments.update(legal_context="PCSA:OTHER"), "legal context"),
    Step("SSIN structure", "MSG00011", lambda d: setattr(d, "scenario", "invalid_check"), "ssin"),
    Step("existence", "MSG00005", lambda d: setattr(d, "scenario", "unknown"), "ssin"),
    Step("replacement", "CBI00101", lambda d: setattr(d, "scenario", "canceled"), "ssin"),
    Step("inscription context", "CBI00201", lambda d: d.arguments.update(context="PCSA:NO_SUCH"), "context"),
    Step("legal data", "CBI00301", lambda d: d.legal_changes.update(last_name="Zzyzx"), "legal data"),
    Step("period", "MSG00008", lambda d: d.arguments.update(begin="2026-02-01", end="2026-01-01"), "period"),
)


async def test_each_step_refuses_alone(facade: InProcessFacade) -> None:
    """Each station of the order refuses with its own answer; without a fault the message is carried out."""
    answers = {}
    for step in STEPS:
        draft = Draft()
        step.spoil(draft)
        answers[step.name] = (await draft.send(facade)).summary
    assert answers == {step.name: step.answer for step in STEPS}
    assert facade.written() == ([], 0)
    assert (await Draft().send(facade)).summary == "MSG00000"


async def test_of_two_faults_the_earlier_is_answered(facade: InProcessFacade) -> None:
    """Pair by pair, the order is that of contract.md section 4, and nothing is written."""
    found, expected = {}, {}
    for earlier, later in combinations(STEPS, 2):
        if earlier.about == later.about:
            continue
        draft = Draft()
        later.spoil(draft)
        earlier.spoil(draft)
        found[earlier.name, later.name] = (await draft.send(facade)).summary
        expected[earlier.name, later.name] = earlier.answer
    assert len(found) > 100
    assert found == expected
    assert facade.written() == ([], 0)


async def test_a_repeated_message_is_refused_before_its_content_is_read(facade: InProcessFacade) -> None:
    """Replay comes before schema: the second time a message against the schema is SOA-01001 (SEC-52)."""
    message = facade.signed(insert("CANARY00000"))
    assert (await facade.post(message)).fault_code == "SOA-03006"
    assert (await facade.post(message)).fault_code == "SOA-01001"


async def test_a_forged_copy_does_not_use_up_the_genuine_message(facade: InProcessFacade) -> None:
    """Only a message whose signature holds is remembered: a forgery sent first blocks nothing (SEC-52)."""
    message = facade.signed(insert(facade.ssin("nr_active")))
    assert (await facade.post(_tamper(message))).fault_code == "SOA-01001"
    assert (await facade.post(message)).outcome.value == "OK"


async def test_an_absent_empty_or_right_soap_action_is_accepted(facade: InProcessFacade) -> None:
    """SOAPAction may be absent, empty, or the operation's own, with quotes or without (SEC-14, R1127)."""
    for action in (None, "", '""', action_of("insertInscription"), action_of("insertInscription").strip('"')):
        reply = await facade.send(insert(facade.ssin("nr_active")), action=action)
        assert reply.outcome.value == "OK", action


async def test_a_spoofed_soap_action_never_chooses_the_operation(facade: InProcessFacade) -> None:
    """The Body decides: with the action of another operation nothing is done, and the log has the Body's (SEC-14)."""
    for action in ("deleteInscription", "consultInscriptions", "healthCheck", "InsertInscription"):
        reply = await facade.send(insert(facade.ssin("nr_active")), action=action_of(action))
        assert reply.fault_code == "SOA-03004"
        assert facade.log_lines()[-1]["operation"] == "insertInscription"
    assert facade.written() == ([], 0)


async def test_a_forwarded_identity_is_not_believed(build_facade: BuildFacade) -> None:
    """Headers that a proxy would set change nothing: who calls is in the signature (SEC-02)."""
    async with build_facade() as facade:
        body = facade.signed(insert(facade.ssin("nr_active")), by="unknown-urn")
        forged = [
            ("X-SSL-Client-S-DN", "CN=socialassistance:casefile:web"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Client-Cert", "socialassistance:casefile:web"),
        ]
        headers = [("content-type", "text/xml"), ("content-length", str(len(body))), *forged]
        assert (await facade.request("POST", headers=headers, parts=[body])).fault_code == "SOA-01002"
