"""Every outcome of contract.md section 4 that the façade can give, through the whole door."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.requests import Operation
from tests.acceptance.conftest import (
    FUND,
    LIVING_WAGE,
    OWN_CONTEXT,
    REFUSING_PCSA,
    InProcessFacade,
    Outcome,
    consult,
    delete,
    health,
    insert,
    legal_data_of,
    period_of,
    update,
)

OPEN_LINE = ((LIVING_WAGE, "2026-01-01", None),)


async def test_an_inscription_is_added_consulted_changed_and_removed(facade: InProcessFacade) -> None:
    """What is written is what is read: insert, consult, update, delete of one line (contract.md 3; MSG00000)."""
    ssin = facade.ssin("nr_active")
    done = Outcome(value="OK", code="MSG00000", ssin=ssin)

    inserted = (await facade.send(insert(ssin))).outcome
    assert (inserted.value, inserted.code, inserted.ssin) == (done.value, done.code, ssin)
    assert inserted.lines == OPEN_LINE
    assert (await facade.send(consult(ssin))).outcome.lines == OPEN_LINE

    updated = (await facade.send(update(ssin, new_begin="2026-02-01", new_end="2026-06-30"))).outcome
    assert updated == Outcome(
        value="OK", code="MSG00000", ssin=ssin, lines=((LIVING_WAGE, "2026-02-01", "2026-06-30"),)
    )
    split = (await facade.send(delete(ssin, period=period_of("2026-03-01", "2026-03-31")))).outcome
    assert split.lines == (
        (LIVING_WAGE, "2026-02-01", "2026-02-28"),
        (LIVING_WAGE, "2026-04-01", "2026-06-30"),
    )
    assert (await facade.send(consult(ssin))).outcome.lines == split.lines
    assert (await facade.send(delete(ssin))).outcome == done
    assert (await facade.send(consult(ssin))).outcome == Outcome(value="NO_DATA_FOUND", code="MSG00100", ssin=ssin)
    assert facade.written()[1] == 4


async def test_data_found_and_nothing_known(facade: InProcessFacade) -> None:
    """A consultation says DATA_FOUND MSG00000 or NO_DATA_FOUND MSG00100, of the contexts and period asked."""
    ssin = facade.ssin("bis_active")
    await facade.send(insert(ssin, begin="2026-01-01", end="2026-01-31"))
    found = Outcome(value="DATA_FOUND", code="MSG00000", ssin=ssin, lines=((LIVING_WAGE, "2026-01-01", "2026-01-31"),))
    nothing = Outcome(value="NO_DATA_FOUND", code="MSG00100", ssin=ssin)
    for asked, expected in (
        (consult(ssin), found),
        (consult(ssin, contexts=["PCSA:OTHER_AID", LIVING_WAGE]), found),
        (consult(ssin, contexts=["PCSA:OTHER_AID"]), nothing),
        (consult(ssin, period=period_of("2026-01-31")), found),
        (consult(ssin, period=period_of("2026-02-01")), nothing),
        (consult(ssin, period=period_of("2025-01-01", "2025-12-31")), nothing),
    ):
        assert (await facade.send(asked)).outcome == expected


async def test_another_customers_lines_are_not_shown(facade: InProcessFacade) -> None:
    """A consultation returns the caller's own lines only (contract.md 3, rule 30)."""
    ssin = facade.ssin("nr_active")
    await facade.send(insert(ssin))
    asked = consult(ssin, customer=FUND, legal_context="FAMILY_BENEFITS:ENTITLEMENT")
    assert (await facade.send(asked, by="family-fund")).outcome.code == "MSG00100"
    asked = consult(ssin, customer=REFUSING_PCSA)
    assert (await facade.send(asked)).outcome.code == "MSG00100"


async def test_rule_28_an_installations_own_context_is_known_by_being_granted(facade: InProcessFacade) -> None:
    """A context outside of the catalogue that a permission grants can be used; one that none grants is CBI00201."""
    ssin = facade.ssin("nr_active")
    assert (await facade.send(insert(ssin, context=OWN_CONTEXT))).outcome.code == "MSG00000"
    assert (await facade.send(insert(ssin, context="PCSA:NOBODY_GRANTS"))).outcome.code == "CBI00201"


async def test_a_legal_context_that_is_not_granted_is_not_logged(facade: InProcessFacade) -> None:
    """A legal context is the caller's own text until a permission has it: one that spells a number leaves no trace.

    The fixture looks for every scenario's number in all that was logged (SEC-74).
    """
    ssin = facade.ssin("nr_active")
    assert (await facade.send(consult(ssin, legal_context=ssin))).outcome.code == "MSG00013"
    assert (await facade.send(consult(ssin, legal_context=ssin), by="unknown-urn")).fault_code == "SOA-01002"
    assert [line["legal_context"] for line in facade.log_lines()] == [None, None]
    await facade.send(consult(ssin))
    assert facade.log_lines()[-1]["legal_context"] == "PCSA:SOCIAL_INQUIRY"


REFUSALS = {
    "MSG00011": ("invalid_check", {}),
    "MSG00005": ("unknown", {}),
    "MSG00006": ("replaced", {"customer": REFUSING_PCSA}),
    "CBI00101": ("canceled", {}),
    "MSG00013": ("nr_active", {"legal_context": "PCSA:NOT_GRANTED"}),
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_is_an_ordinary_answer_and_writes_nothing(facade: InProcessFacade, code: str) -> None:
    """What a rule refuses is NO_RESULT for a consultation and NOK for a write, with the code; nothing is written."""
    scenario, head = REFUSALS[code]
    ssin = facade.ssin(scenario)
    for asked, value in (
        (consult(ssin, **head), "NO_RESULT"),
        (insert(ssin, **head), "NOK"),
        (update(ssin, **head), "NOK"),
        (delete(ssin, **head), "NOK"),
    ):
        outcome = (await facade.send(asked)).outcome
        assert (outcome.value, outcome.code, outcome.lines) == (value, code, ())
        if code == "MSG00011":
            assert outcome.information == {"ssin": ssin}
        if code == "MSG00006":
            current = facade.scenarios["replaced"].current
            assert current is not None
            assert outcome.information == {"newSSIN": current.digits}
        if code == "CBI00101":
            assert outcome.canceled == "true"
    assert facade.written() == ([], 0)


@pytest.mark.parametrize(("scenario", "canceled"), [("replaced_by_canceled", "true"), ("long_chain", None)])
async def test_a_chain_that_ends_badly_is_refused(facade: InProcessFacade, scenario: str, canceled: str | None) -> None:
    """A number whose chain ends in a cancelled file or is too long is CBI00101 (rules 16, 17)."""
    outcome = (await facade.send(insert(facade.ssin(scenario)))).outcome
    assert (outcome.value, outcome.code, outcome.canceled) == ("NOK", "CBI00101", canceled)
    assert facade.written() == ([], 0)


@pytest.mark.parametrize("scenario", ["replaced", "replaced_chain"])
async def test_a_replaced_number_is_done_under_its_successor(facade: InProcessFacade, scenario: str) -> None:
    """A replaced number is followed: `ssin @replaces`, and CBI00102 WARNING on writes (rules 17, 18)."""
    asked = facade.ssin(scenario)
    current = facade.scenarios[scenario].current
    assert current is not None
    inserted = (await facade.send(insert(asked))).outcome
    assert (inserted.ssin, inserted.replaces) == (current.digits, asked)
    assert ("CBI00102", "WARNING") in inserted.anomalies
    assert [row[0] for row in facade.written()[0]] == [current.number]
    consulted = (await facade.send(consult(asked))).outcome
    assert (consulted.code, consulted.replaces, consulted.anomalies) == ("MSG00000", asked, ())
    straight = (await facade.send(consult(current.digits))).outcome
    assert (straight.lines, straight.replaces) == (consulted.lines, None)


@pytest.mark.parametrize("scenario", ["nr_active", "bis_active", "rad_active", "incomplete_birth_date"])
async def test_every_kind_of_active_file_is_accepted(facade: InProcessFacade, scenario: str) -> None:
    """No distinction between NR, BIS and RAD: matching legal data give OK without anomaly (rule 13)."""
    found = facade.scenarios[scenario]
    outcome = (await facade.send(insert(found.ssin, legal_data=legal_data_of(found.person)))).outcome
    assert outcome == Outcome(value="OK", code="MSG00000", ssin=found.ssin, lines=OPEN_LINE)


async def test_disagreeing_legal_data_write_nothing_and_name_every_field(facade: InProcessFacade) -> None:
    """CBI00301 names every disagreeing field, never the register's value, and nothing is written (rules 41, 42)."""
    found = facade.scenarios["nr_active"]
    assert found.person is not None
    wrong = legal_data_of(found.person, last_name="Zzyzx", given_names="Qwghlm", birth_date="1901-01-01", gender="2")
    reply = await facade.send(insert(found.ssin, legal_data=wrong))
    assert reply.outcome == Outcome(
        value="NOK",
        code="CBI00301",
        ssin=found.ssin,
        validation_errors=("lastName", "givenName", "birthDate", "genderCode"),
    )
    for value in (found.person.last_name, *found.person.given_names, str(found.person.birth_date)):
        assert value.encode() not in reply.body
    one = (await facade.send(insert(found.ssin, legal_data=legal_data_of(found.person, gender="2")))).outcome
    assert one.validation_errors == ("genderCode",)
    assert facade.written() == ([], 0)


@pytest.mark.parametrize(
    ("scenario", "changes"),
    [("bis_sex_unknown", {"gender": "1"}), ("no_given_names", {"given_names": "Anyone"})],
)
async def test_what_the_register_lacks_is_no_refusal(
    facade: InProcessFacade, scenario: str, changes: dict[str, str]
) -> None:
    """Legal data that cannot be verified give OK with CBI00302 INFORMATION (rules 45, 46)."""
    found = facade.scenarios[scenario]
    outcome = (await facade.send(insert(found.ssin, legal_data=legal_data_of(found.person, **changes)))).outcome
    assert (outcome.value, outcome.anomalies) == ("OK", (("CBI00302", "INFORMATION"),))
    assert outcome.lines == OPEN_LINE


async def test_a_full_birth_date_against_an_incomplete_one_is_partly_verified(facade: InProcessFacade) -> None:
    """A complete birth date that agrees with what the register knows is OK with CBI00302 (rule 45)."""
    found = facade.scenarios["incomplete_birth_date"]
    assert found.person is not None
    known = found.person.birth_date
    assert known is not None
    full = f"{known.year:04d}-{known.month or 3:02d}-{known.day or 4:02d}"
    outcome = (await facade.send(insert(found.ssin, legal_data=legal_data_of(found.person, birth_date=full)))).outcome
    assert (outcome.value, outcome.anomalies) == ("OK", (("CBI00302", "INFORMATION"),))


async def test_identical_and_merged_inscriptions_are_told(facade: InProcessFacade) -> None:
    """The same line again is CBI00401 WARNING; a line that met others is CBI00402 INFORMATION with the result."""
    ssin = facade.ssin("nr_active")
    await facade.send(insert(ssin, begin="2026-01-01", end="2026-01-31"))
    again = (await facade.send(insert(ssin, begin="2026-01-01", end="2026-01-31"))).outcome
    assert (again.value, again.anomalies) == ("OK", (("CBI00401", "WARNING"),))
    merged = (await facade.send(insert(ssin, begin="2026-02-01", end="2026-02-28"))).outcome
    assert (merged.value, merged.anomalies) == ("OK", (("CBI00402", "INFORMATION"),))
    assert merged.lines == ((LIVING_WAGE, "2026-01-01", "2026-02-28"),)


async def test_rule_38_a_declaration_sent_again_gets_the_first_answer(facade: InProcessFacade) -> None:
    """A new message with the same ticket and content is CBI00404 beside the first answer; another content CBI00405."""
    ssin = facade.ssin("nr_active")
    first = (await facade.send(insert(ssin, ticket="my ticket"))).outcome
    await facade.send(delete(ssin))
    again = (await facade.send(insert(ssin, ticket="my ticket", sent="2026-03-02T10:20:30Z"))).outcome
    assert again == replace(first, anomalies=(*first.anomalies, ("CBI00404", "INFORMATION")))
    other = (await facade.send(insert(ssin, ticket="my ticket", begin="2027-01-01"))).outcome
    assert other == Outcome(value="NOK", code="CBI00405")
    assert (await facade.send(consult(ssin))).outcome.code == "MSG00100"


async def test_a_line_that_is_not_there_is_not_changed_or_removed(facade: InProcessFacade) -> None:
    """update and delete of no such line are NOK CBI00403 (contract.md 4)."""
    ssin = facade.ssin("nr_active")
    await facade.send(insert(ssin, begin="2026-01-01", end="2026-01-31"))
    before = facade.written()
    for asked in (
        update(ssin, begin="2026-01-02", end="2026-01-31"),
        update(ssin, context="PCSA:OTHER_AID"),
        delete(ssin, context="PCSA:OTHER_AID"),
        delete(ssin, period=period_of("2026-03-01", "2026-03-31")),
    ):
        outcome = (await facade.send(asked)).outcome
        assert (outcome.value, outcome.code) == ("NOK", "CBI00403")
    assert facade.written() == before


async def test_a_deceased_person_is_told_and_no_refusal(facade: InProcessFacade) -> None:
    """The file of a deceased person is active: OK with MSG00009 INFORMATION (contract.md 4)."""
    outcome = (await facade.send(insert(facade.ssin("deceased")))).outcome
    assert (outcome.value, outcome.anomalies) == ("OK", (("MSG00009", "INFORMATION"),))


@pytest.mark.parametrize("context", ["PCSA:NO_SUCH_CONTEXT", "FAMILY_ALLOWANCES:CHILD"])
async def test_an_unknown_or_foreign_context_is_refused(facade: InProcessFacade, context: str) -> None:
    """An inscription context that is unknown, or not granted to the caller, is CBI00201 for every operation."""
    ssin = facade.ssin("nr_active")
    for asked, value in (
        (consult(ssin, contexts=[LIVING_WAGE, context]), "NO_RESULT"),
        (insert(ssin, context=context), "NOK"),
        (update(ssin, context=context), "NOK"),
        (delete(ssin, context=context), "NOK"),
    ):
        outcome = (await facade.send(asked)).outcome
        assert (outcome.value, outcome.code) == (value, "CBI00201")
    assert facade.written() == ([], 0)


async def test_a_reversed_period_is_content_that_cannot_be(facade: InProcessFacade) -> None:
    """begin > end is MSG00008, naming the field (rule 27, MAGDA 20003)."""
    ssin = facade.ssin("nr_active")
    reversed_period = {"begin": "2026-02-01", "end": "2026-01-31"}
    for asked, value, name in (
        (consult(ssin, period=period_of(**reversed_period)), "NO_RESULT", "period.endDate"),
        (insert(ssin, **reversed_period), "NOK", "period.endDate"),
        (update(ssin, **reversed_period), "NOK", "period.endDate"),
        (update(ssin, new_begin="2026-02-01", new_end="2026-01-31"), "NOK", "newPeriod.endDate"),
        (delete(ssin, period=period_of(**reversed_period)), "NOK", "period.endDate"),
    ):
        outcome = (await facade.send(asked)).outcome
        assert (outcome.value, outcome.code, outcome.information) == (value, "MSG00008", {name: "2026-01-31"})
    assert facade.written() == ([], 0)


class _Unreachable:
    """A repertory whose authentic source is away."""

    async def _refuse(self, asked: object) -> object:
        raise RepertoryUnavailable("national-register")

    consult = insert = update = delete = _refuse


async def test_an_unreachable_source_is_an_answer_that_may_be_retried(facade: InProcessFacade) -> None:
    """CBI00901 NO_RESULT or NOK when an authentic source is away: never "does not exist"; our log alone says what it
    was (rule 54, SEC-61).
    """
    facade.refit(repertory=_Unreachable())
    ssin = facade.ssin("nr_active")
    assert (await facade.send(consult(ssin))).outcome == Outcome(value="NO_RESULT", code="CBI00901")
    for asked in (insert(ssin), update(ssin), delete(ssin)):
        assert (await facade.send(asked)).outcome == Outcome(value="NOK", code="CBI00901")
    assert facade.written() == ([], 0)
    answered = [line for line in facade.log_lines() if line["event"] == "answered"]
    assert [(line["code"], line["reason"]) for line in answered] == [("CBI00901", "national-register")] * 4


@pytest.mark.parametrize("kind", ["PING", "DEFAULT", "DEEP"])
async def test_a_health_check_answers(facade: InProcessFacade, kind: str) -> None:
    """healthCheck answers OK; only PING looks at nothing behind the door (contract.md 3)."""
    response = (await facade.send(health(kind))).response
    text = response.xpath("string()")
    assert "OK" in str(text)
    names = [check.get("id") for check in response.iterfind("{*}SanityCheck")]
    own = ["repertory", "database", "server-certificate", "revocation-lists", "clock", "audit-journal"]
    assert names == ([] if kind == "PING" else own)
    assert facade.log_lines()[-1]["operation"] == Operation.HEALTH_CHECK


async def test_five_hundred_lines_are_a_page_and_next_gives_the_rest(facade: InProcessFacade) -> None:
    """A page has 500 lines; `next`, sent back, gives what follows, without gap or repetition (E22; contract.md 3)."""
    ssin = facade.ssin("nr_active")
    first = datetime(2000, 1, 1, tzinfo=UTC).date()
    days = [first + timedelta(days=2 * number) for number in range(501)]
    with_gaps = "{" + ",".join(f"[{day},{day + timedelta(days=1)})" for day in days) + "}"
    with psycopg.connect(facade.database) as connection:
        connection.execute(
            "INSERT INTO inscription VALUES (%s, '17/1', %s, %s, array_fill(now(), ARRAY[501]))",
            (int(ssin), LIVING_WAGE, with_gaps),
        )
    page = await facade.send(consult(ssin))
    assert len(page.outcome.lines) == 500
    token = page.response.findtext("next")
    assert token is not None
    rest = await facade.send(consult(ssin, next_page=token))
    assert rest.response.findtext("next") is None
    begins = [line[1] for line in (*page.outcome.lines, *rest.outcome.lines)]
    assert begins == [day.isoformat() for day in days]
