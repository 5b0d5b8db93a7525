"""The door of the mutation feed, and the feed through SDK, command line and example: from event to reader."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from cbss_inscription.client import (
    AsyncInscriptionClient,
    FaultReceived,
    InscriptionClient,
    LifeEvent,
    Mutation,
    Period,
    Refused,
)
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import AccessRules, write_access_rules
from tests.acceptance.conftest import (
    FUND,
    LIVING_WAGE,
    PCSA,
    PUBLIC_URL,
    SOCIAL_INQUIRY,
    BuildFacade,
    Command,
    HttpReply,
    InProcessFacade,
    consult,
    envelope,
    head_of,
    rules_of_tests,
)
from tests.conftest import STOP_SECONDS_MAX, RunningSandbox

FEED = "urn:cbss-inscription:mutations:v1"
PATH = "/InscriptionMutations/v1"
ACTION = f'"{FEED}/consultMutations"'
DEBT_MEDIATION = "PCSA:DEBT_MEDIATION"
FUND_LEGAL_CONTEXT = "FAMILY_BENEFITS:ENTITLEMENT"
MOMENT = datetime(2026, 3, 1, 9, 20, 31, 20_000, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _empty_feed(populated_database: str) -> None:
    """No customer of the façades in this process has a mutation."""
    with psycopg.connect(populated_database) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # the feed refuses to be emptied otherwise
        connection.execute("TRUNCATE mutation, mutation_counter")


def question(after: object = None, limit: object = None, *, legal_context: str = SOCIAL_INQUIRY, **head: str) -> str:
    """A ConsultMutationsRequest, written by hand."""
    place = f"<afterSequenceNumber>{after}</afterSequenceNumber>" if after is not None else ""
    most = f"<limit>{limit}</limit>" if limit is not None else ""
    return (
        f'<m:ConsultMutationsRequest xmlns:m="{FEED}">{head_of(**head)}<legalContext>{legal_context}</legalContext>'
        f"<criteria>{place}{most}</criteria></m:ConsultMutationsRequest>"
    )


async def post(facade: InProcessFacade, body: bytes, *, path: str = PATH, action: str | None = None) -> HttpReply:
    """The reply of the feed's door."""
    headers = [("content-length", str(len(body))), ("content-type", "text/xml; charset=utf-8")]
    if action is not None:
        headers.append(("soapaction", action))
    return await facade.request("POST", path=path, headers=headers, parts=[body])


async def ask(facade: InProcessFacade, content: str, *, by: str = "pcsa-web", **named: Any) -> HttpReply:
    """The reply of the feed's door to a signed message."""
    return await post(facade, facade.signed(content, by=by), **named)


def page_of(reply: HttpReply) -> tuple[str, str, list[tuple[str, ...]], str, str]:
    """Status, code, mutations (number, event, SSIN, current SSIN, contexts), last number and whether there are more."""
    assert reply.status == 200, reply.body
    element = reply.element
    schema_of(Door.MUTATIONS).validate_response(element)
    told = [
        tuple(str(child.text) for child in mutation if child.tag != "timestamp")
        for mutation in element.iterfind("mutations/mutation")
    ]
    words = (str(element.findtext(path)) for path in ("status/value", "status/code", "lastSequenceNumber", "more"))
    value, code, last, more = words
    return value, code, told, last, more


def write(
    facade: InProcessFacade, told: Sequence[tuple[str, Sequence[str]]], *, customer: str = "17/1", first: int = 1
) -> None:
    """Nothing; the customer's feed has a correction of each of the persons, in these contexts."""
    with psycopg.connect(facade.database) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO mutation VALUES (%s, %s, %s, 'corrected', %s, %s, %s, %s)",
            [
                (customer, number, int(ssin), int(ssin), list(contexts), MOMENT, uuid4())
                for number, (ssin, contexts) in enumerate(told, start=first)
            ],
        )


async def test_a_page_of_the_feed_on_the_wire(facade: InProcessFacade) -> None:
    """Numbers from 1, in order, with the echo of head and criteria and the status of a consultation."""
    one, two = facade.ssin("nr_active"), facade.ssin("bis_active")
    write(facade, [(one, [LIVING_WAGE]), (two, [LIVING_WAGE, DEBT_MEDIATION]), (one, [DEBT_MEDIATION])])
    reply = await ask(facade, question(after=1, limit=1), action=ACTION)
    assert page_of(reply) == (
        "DATA_FOUND",
        "MSG00000",
        [("2", "corrected", two, two, LIVING_WAGE, DEBT_MEDIATION)],
        "2",
        "true",
    )
    element = reply.element
    assert head_of().encode() in reply.body.replace(b' xmlns:m="' + FEED.encode() + b'"', b"")
    assert [child.text for child in element.iterfind("criteria/*")] == ["1", "1"]
    assert element.findtext("mutations/mutation/timestamp") == "2026-03-01T09:20:31.020Z"
    assert page_of(await ask(facade, question(after=2)))[2:] == (
        [("3", "corrected", one, one, DEBT_MEDIATION)],
        "3",
        "false",
    )
    assert len(page_of(await ask(facade, question()))[2]) == 3
    answered = [line for line in facade.log_lines() if line["event"] == "answered"]
    assert {(line["operation"], line["customer"]) for line in answered} == {("consultMutations", "17/1")}


async def test_an_empty_feed_and_one_that_was_read_answer_alike(facade: InProcessFacade) -> None:
    """Nothing to tell is NO_DATA_FOUND; beyond the end the place stays where it was asked."""
    assert page_of(await ask(facade, question())) == ("NO_DATA_FOUND", "MSG00100", [], "0", "false")
    write(facade, [(facade.ssin("nr_active"), [LIVING_WAGE])])
    for after in (1, 2, 999_999_999_999_999_999):
        assert page_of(await ask(facade, question(after))) == ("NO_DATA_FOUND", "MSG00100", [], str(after), "false")


async def test_other_customers_mutations_are_never_seen(facade: InProcessFacade) -> None:
    """Each customer has a feed of its own; to ask for another's is SOA-01002 (SEC-58)."""
    ssin = facade.ssin("nr_active")
    write(facade, [(ssin, [LIVING_WAGE])], customer="17/1")
    write(facade, [(ssin, [LIVING_WAGE])] * 2, customer="17/2")
    write(facade, [(ssin, ["FAMILY_ALLOWANCES:CHILD", LIVING_WAGE])] * 3, customer="9000000290")
    assert len(page_of(await ask(facade, question()))[2]) == 1
    fund = page_of(await ask(facade, question(customer=FUND, legal_context=FUND_LEGAL_CONTEXT), by="family-fund"))
    # Of its own, too, it is told the contexts that it is granted and no others.
    expected = [(str(number), "corrected", ssin, ssin, "FAMILY_ALLOWANCES:CHILD") for number in (1, 2, 3)]
    assert (fund[2], fund[3:]) == (expected, ("3", "false"))
    assert (await ask(facade, question(customer=FUND))).fault_code == "SOA-01002"
    assert (await ask(facade, question(customer=PCSA), by="family-fund")).fault_code == "SOA-01002"


def _with_permission(folder: Path, **changes: Any) -> str:
    """The file of access rules in which the first permission is another."""
    rules = rules_of_tests()
    first, *others = rules.permissions
    permissions = (msgspec.structs.replace(first, **changes), *others)
    file = folder / "other-rules.yaml"
    file.write_bytes(
        write_access_rules(AccessRules(version=1, access_rules=rules.access_rules, permissions=permissions))
    )
    return str(file)


async def test_only_contexts_of_the_permission_are_told(build_facade: BuildFacade, tmp_path: Path) -> None:
    """A mutation in other contexts is left out, of one in several the granted are named; no number is a gap."""
    rules = _with_permission(tmp_path, inscription_contexts=frozenset({InscriptionContext(DEBT_MEDIATION)}))
    async with build_facade(access_rules=rules) as facade:
        ssin = facade.ssin("nr_active")
        write(facade, [(ssin, [LIVING_WAGE]), (ssin, [LIVING_WAGE, DEBT_MEDIATION]), (ssin, [LIVING_WAGE])])
        found = page_of(await ask(facade, question()))
        assert found[2:] == ([("2", "corrected", ssin, ssin, DEBT_MEDIATION)], "3", "false")
        assert LIVING_WAGE.encode() not in (await ask(facade, question())).body


async def test_an_application_without_the_operation_is_refused(facade: InProcessFacade) -> None:
    """No access rule for consultMutations, or no rule at all: SOA-01002 (SEC-56), and nothing of the feed is told."""
    write(facade, [(facade.ssin("nr_active"), [LIVING_WAGE])])
    for name in ("pcsa-reader", "unknown-urn", "other-organization", "ended-rule"):
        assert (await ask(facade, question(), by=name)).fault_code == "SOA-01002", name


async def test_sec_58_a_permission_without_the_operation_is_refused(build_facade: BuildFacade, tmp_path: Path) -> None:
    """An access rule alone is not enough: the permission must name consultMutations too (SEC-58)."""
    operations = tuple(o for o in rules_of_tests().permissions[0].operations if o != "consultMutations")
    async with build_facade(access_rules=_with_permission(tmp_path, operations=operations)) as facade:
        assert (await ask(facade, question())).fault_code == "SOA-01002"


async def test_a_legal_context_that_is_not_granted_is_msg00013(facade: InProcessFacade) -> None:
    """NO_RESULT with MSG00013, without a mutation, and the reader's place stays where it was."""
    write(facade, [(facade.ssin("nr_active"), [LIVING_WAGE])] * 3)
    for context in ("PCSA:OTHER", FUND_LEGAL_CONTEXT):
        reply = await ask(facade, question(after=2, legal_context=context))
        assert page_of(reply) == ("NO_RESULT", "MSG00013", [], "2", "false")


@pytest.mark.parametrize("criteria", [(0, 0), (0, 1_001), (-1, 1), (10**18, 1), ("x", 1), (0, ""), (0, "1 0")], ids=str)
async def test_criteria_against_the_contract_are_refused(
    facade: InProcessFacade, criteria: tuple[object, object]
) -> None:
    """A limit of 0 or 1 001 and a place that is none are against the schema: SOA-03006."""
    assert (await ask(facade, question(*criteria))).fault_code == "SOA-03006"


async def test_each_door_takes_its_own_messages(facade: InProcessFacade) -> None:
    """A consultation at the feed's door and the feed's question at the façade's are against the WSDL (SEC-16)."""
    ssin = facade.ssin("nr_active")
    assert (await ask(facade, consult(ssin))).fault_code == "SOA-03005"
    assert (await ask(facade, question(), path="/CBSSInscription/v1")).fault_code == "SOA-03005"
    assert (await ask(facade, question(), action='"http://elsewhere/"')).fault_code.startswith("SOA-03")


async def test_the_door_of_the_feed_is_as_safe_as_the_other(facade: InProcessFacade) -> None:
    """Unsigned, expired, foreign and repeated messages are refused; both doors share what was seen (SEC-52)."""
    assert (await post(facade, envelope(question()))).fault_code.startswith("SOA-0")
    old = facade.signed(question(), at=datetime.now(UTC) - timedelta(minutes=20))
    assert (await post(facade, old)).fault_code == "SOA-01001"
    assert (await ask(facade, question(), by="foreign")).fault_code == "SOA-01001"
    signed = facade.signed(question())
    assert (await post(facade, signed)).status == 200
    assert (await post(facade, signed)).fault_code == "SOA-01001"
    assert (await post(facade, signed, path="/CBSSInscription/v1")).fault_code == "SOA-01001"


async def test_the_description_is_served_with_policy_and_address(facade: InProcessFacade) -> None:
    """`?wsdl` and `?wsdl=x509` of the feed's path name its own address; the façade's have nothing of the feed."""
    for query in ("wsdl", "wsdl=x509", "singleWsdl"):
        reply = await facade.request("GET", path=PATH, query=query)
        assert (reply.status, f'location="{PUBLIC_URL}{PATH}"' in reply.body.decode()) == (200, True)
        assert FEED.encode() not in (await facade.request("GET", query=query)).body


async def test_a_long_feed_is_read_in_pages_of_a_thousand(facade: InProcessFacade) -> None:
    """2 500 mutations are three pages; each number comes once, in order, and the first page reads the same again."""
    ssin = facade.ssin("nr_active")
    write(facade, [(ssin, [LIVING_WAGE, DEBT_MEDIATION])] * 2_500)
    after, met, sizes, more = 0, list[int](), [], "true"
    while more == "true":
        *_, told, last, more = page_of(await ask(facade, question(after)))
        met.extend(int(mutation[0]) for mutation in told)
        sizes.append(len(told))
        after = int(last)
    assert (sizes, met) == ([1_000, 1_000, 500], list(range(1, 2_501)))
    assert page_of(await ask(facade, question())) == page_of(await ask(facade, question()))


# -- the whole way: an event, the sandbox, a reader --------------------------------------------------------------------


@pytest.fixture
def told(sandbox: RunningSandbox, command: Command) -> Iterator[Mapping[str, Any]]:
    """A new BIS person with lines of pcsa-web in two contexts, who then died: the mutation, and where it begins."""
    before = end_of_feed(sandbox)
    settings = ("--settings", sandbox.directory / "settings.toml", "--operator", "tester", "--format", "json")
    name = f"Feed{uuid4().hex[:12]}".translate(str.maketrans("0123456789", "ghijklmnop"))
    made = command("register", "create", "--last-name", name, "--birth-date", "1985-07-30", "--gender", "1", *settings)
    assert made.exit_code == 0, made.err
    ssin = str(json.loads(made.out)["ssin"])
    with InscriptionClient(sandbox.profile()) as client:
        for context in (LIVING_WAGE, DEBT_MEDIATION):
            inserted = client.insert_inscription(
                ssin, inscription_context=context, period=Period(begin_date=date(2020, 1, 1))
            )
            assert inserted.result.status.code == "MSG00000"
    died = command("register", "decease", ssin, "2026-01-05", *settings)
    assert died.exit_code == 0, died.err
    yield {"after": before, "ssin": ssin, "name": name}
    # SEC-74: no log line of the façade has the number or the name.
    log = (sandbox.directory / "facade.log").read_text(encoding="utf-8")
    assert ssin not in log
    assert Ssin.parse(ssin).formatted not in log
    assert name not in log


def end_of_feed(sandbox: RunningSandbox) -> int:
    """The last number of pcsa-web's feed."""
    with InscriptionClient(sandbox.profile()) as client:
        last, more = 0, True
        while more:
            result = client.consult_mutations(last).result
            last, more = result.last_sequence_number, result.more
        return last


def test_an_event_reaches_its_holder_through_both_clients(sandbox: RunningSandbox, told: Mapping[str, Any]) -> None:
    """A decease recorded by an operator is one mutation for the organisation that has lines, and for no other."""
    after, ssin = told["after"], Ssin.parse(told["ssin"])
    with InscriptionClient(sandbox.profile()) as client:
        (mutation,) = client.mutations(after)
        assert client.consult_mutations(after).result.mutations == (mutation,)
        assert list(client.mutations(after + 1)) == []
    assert (mutation.sequence_number, mutation.event) == (after + 1, LifeEvent.DECEASED)
    assert (mutation.ssin, mutation.current_ssin) == (ssin, ssin)
    assert set(mutation.inscription_contexts) == {LIVING_WAGE, DEBT_MEDIATION}
    assert told["ssin"] not in repr(mutation)

    async def collected() -> list[Mutation]:
        async with AsyncInscriptionClient(sandbox.profile()) as client:
            assert (await client.consult_mutations(after, limit=1)).result.mutations == (mutation,)
            return [item async for item in client.mutations(after)]

    assert asyncio.run(collected()) == [mutation]
    with InscriptionClient(sandbox.profile("family-fund")) as fund:
        assert told["ssin"] not in {item.ssin.digits for item in fund.mutations()}


def test_what_the_clients_raise(sandbox: RunningSandbox) -> None:
    """No operation: a fault; a wrong legal context: an answer that refuses, and `Refused` where mutations are given."""
    with InscriptionClient(sandbox.profile("pcsa-reader")) as reader, pytest.raises(FaultReceived) as caught:
        reader.consult_mutations()
    assert caught.value.code == "SOA-01002"
    with InscriptionClient(sandbox.profile()) as client:
        assert client.consult_mutations(5, legal_context="PCSA:OTHER").result.status.code == "MSG00013"
        with pytest.raises(Refused, match="MSG00013"):
            next(client.mutations(legal_context="PCSA:OTHER"))


def test_the_command_shows_a_table(sandbox: RunningSandbox, command: Command, told: Mapping[str, Any]) -> None:
    """`mutations` prints a row for each mutation, SSINs with separators, and where to go on: 0 found, 1 nothing."""
    profile = ("--profile", sandbox.profile_path())
    shown = command("mutations", *profile, "--after", told["after"])
    assert (shown.exit_code, shown.err) == (0, "")
    assert re.search(r"^DATA_FOUND  MSG00000  ", shown.out, re.MULTILINE)
    number, formatted = told["after"] + 1, re.escape(Ssin.parse(told["ssin"]).formatted)
    assert re.search(rf"(?m)^ *{number}  deceased  {formatted}  ", shown.out)
    assert "→ same" in shown.out
    assert f"--after {number}\n" in shown.out
    nothing = command("mutations", *profile, "--after", number)
    assert (nothing.exit_code, nothing.err) == (1, "")
    assert "NO_DATA_FOUND  MSG00100" in nothing.out


def test_the_command_writes_json_for_programs(
    sandbox: RunningSandbox, command: Command, told: Mapping[str, Any]
) -> None:
    """`--format json` writes one object on a line for each page; `--all` every page, each with at most --limit."""
    settings = ("--settings", sandbox.directory / "settings.toml", "--operator", "tester")
    assert command("register", "decease", told["ssin"], "2026-01-06", *settings).exit_code == 0
    arguments = ("--profile", sandbox.profile_path(), "--after", told["after"], "--limit", 1, "--format", "json")
    one = command("mutations", *arguments)
    (page,) = map(json.loads, one.out.splitlines())
    assert (page["status"], page["code"], page["more"]) == ("DATA_FOUND", "MSG00000", True)
    (mutation,) = page["mutations"]
    assert mutation.pop("recorded_at").endswith("Z")
    assert sorted(mutation.pop("inscription_contexts")) == [DEBT_MEDIATION, LIVING_WAGE]
    assert mutation == {
        "sequence_number": told["after"] + 1,
        "event": "deceased",
        "ssin": told["ssin"],
        "current_ssin": told["ssin"],
    }
    pages = [json.loads(line) for line in command("mutations", *arguments, "--all").out.splitlines()]
    assert pages[0]["mutations"][0]["ssin"] == told["ssin"]
    assert [page["last_sequence_number"] for page in pages] == [told["after"] + 1, told["after"] + 2]
    assert [page["more"] for page in pages] == [True, False]


def test_the_command_tells_what_is_refused(sandbox: RunningSandbox, command: Command) -> None:
    """A rule is status 3, a fault 2 and one sentence, a limit of 0 or 1 001 a mistake of the command line: 2."""
    profile = ("--profile", sandbox.profile_path())
    refused = command("mutations", *profile, "--legal-context", "PCSA:OTHER", "--follow", "1")
    assert (refused.exit_code, "MSG00013" in refused.out) == (3, True)
    assert "--after" not in refused.out
    fault = command("mutations", "--profile", sandbox.profile_path("pcsa-reader"))
    assert (fault.exit_code, fault.sentence.startswith("SOA-01002")) == (2, True)
    for limit in (0, 1_001):
        assert command("mutations", *profile, "--limit", limit).exit_code == 2
    assert command("mutations", *profile, "--after", -1).exit_code == 2


def test_the_command_follows_the_feed(sandbox: RunningSandbox, command: Command, told: Mapping[str, Any]) -> None:
    """`--follow` prints what is there, then what comes, until it is interrupted; it asks again after each pause."""
    arguments = ["mutations", "--profile", str(sandbox.profile_path()), "--after", str(told["after"])]
    follower = subprocess.Popen(
        [sys.executable, "-m", "cbss_inscription.cli.main", *arguments, "--follow", "0.2", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert follower.stdout is not None
        first = json.loads(follower.stdout.readline())
        assert [item["event"] for item in first["mutations"]] == ["deceased"]
        settings = ("--settings", sandbox.directory / "settings.toml", "--operator", "tester")
        assert command("register", "correct", told["ssin"], "--gender", "2", *settings).exit_code == 0
        second = json.loads(follower.stdout.readline())
        assert [item["event"] for item in second["mutations"]] == ["corrected"]
        assert second["mutations"][0]["sequence_number"] == first["last_sequence_number"] + 1
    finally:
        follower.send_signal(2)
        _, err = follower.communicate(timeout=STOP_SECONDS_MAX)
    assert (follower.returncode, err) == (130, "")


def test_the_example_goes_on_where_it_was(sandbox: RunningSandbox, told: Mapping[str, Any], tmp_path: Path) -> None:
    """The example handles every mutation once: a second run begins after the last one of the first."""
    place = tmp_path / "place"
    place.write_text(str(told["after"]), encoding="utf-8")
    example = Path(__file__).parents[2] / "examples" / "mutation_feed.py"
    outs = [
        subprocess.run(
            [sys.executable, example, sandbox.directory, place], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for _ in range(2)
    ]
    number = told["after"] + 1
    assert outs == [f"{number} deceased PCSA:DEBT_MEDIATION, PCSA:LIVING_WAGE\nup to {number}\n", f"up to {number}\n"]
