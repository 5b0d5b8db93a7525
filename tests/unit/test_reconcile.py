"""What lines prove of a declaration whose reply was lost (repertory/reconcile.py): value by value, without a wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.requests import DeleteInscription, InsertInscription, UpdateInscription, WriteRequest
from cbss_inscription.domain.results import ConsultResult, SsinAnswer, Status, StatusValue
from cbss_inscription.repertory.reconcile import answer_after
from tests.repertory.office import DEBT, GROUND, JANUARY, MARCH, MAY, OWN, WAGE, given, lines_of, ssin_of

SENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, AFTER = SENT - timedelta(milliseconds=1), SENT
HEAD: dict[str, Any] = {
    "information_customer": InformationCustomer(customer_identification=OWN, ticket="T"),
    "legal_context": GROUND,
    "ssin": ssin_of(1).digits,
    "inscription_context": WAGE,
}
INSERT = InsertInscription(**HEAD, period=given(MARCH))
UPDATE = UpdateInscription(**HEAD, period=given(JANUARY), new_period=given(MARCH))
DELETE = DeleteInscription(**HEAD, period=given("2024-01-20..2024-03-10"))


def line(period: str, at: datetime | None = AFTER, **changes: Any) -> Inscription:
    """A line of the context, changed then."""
    return replace(Inscription(inscription_context=WAGE, period=Period.of(given(period)), last_change=at), **changes)


def found(*lines: Inscription, **changes: Any) -> ConsultResult:
    """What a consultation found."""
    status = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
    return replace(ConsultResult(status=status, ssin=SsinAnswer(current=ssin_of(1)), inscriptions=lines), **changes)


REST = line("2024-01-01..2024-01-19")


@pytest.mark.parametrize(
    ("request_", "consulted"),
    [
        pytest.param(INSERT, found(line(MARCH)), id="the line"),
        pytest.param(INSERT, found(line(JANUARY, BEFORE), line(MARCH)), id="the line among others"),
        pytest.param(INSERT, found(line("2024-03-01..")), id="an open line over it"),
        pytest.param(UPDATE, found(line(MARCH), line(MAY, BEFORE)), id="the new line, the old one gone"),
        pytest.param(
            UpdateInscription(**HEAD, period=given(JANUARY), new_period=given("2024-01-01..2024-02-29")),
            found(line("2024-01-01..2024-02-29")),
            id="the line grown",
        ),
        pytest.param(DELETE, found(REST), id="what is left before"),
        pytest.param(DELETE, found(line("2024-03-11..2024-03-31")), id="what is left after"),
    ],
)
def test_sec_70_what_proves_a_declaration(request_: WriteRequest, consulted: ConsultResult) -> None:
    """A line changed since it was sent, which is as it left them, proves a declaration (SEC-70)."""
    answer = answer_after(request_, consulted, since=SENT)
    assert answer is not None
    assert (answer.status.value, answer.status.code) == (StatusValue.OK, OutcomeCode.SUCCESS)
    assert lines_of(answer) == lines_of(consulted)


@pytest.mark.parametrize(
    ("request_", "consulted"),
    [
        pytest.param(INSERT, found(line(MARCH, BEFORE)), id="changed before"),
        pytest.param(INSERT, found(line(MARCH, None)), id="changed nobody knows when"),
        pytest.param(INSERT, found(line("2024-03-02..2024-03-31")), id="a day less at the begin"),
        pytest.param(INSERT, found(line("2024-03-01..2024-03-30")), id="a day less at the end"),
        pytest.param(INSERT, found(line("2024-03-01..2024-03-10"), line("2024-03-11..")), id="in two lines"),
        pytest.param(INSERT, found(line(MARCH, inscription_context=DEBT)), id="another context"),
        pytest.param(INSERT, found(line(MARCH), next="more"), id="a page of several"),
        pytest.param(INSERT, found(line(MARCH), ssin=None), id="no number"),
        pytest.param(
            INSERT,
            found(line(MARCH), status=Status(value=StatusValue.NO_RESULT, code=OutcomeCode.SSIN_CANCELED)),
            id="a refusal",
        ),
        pytest.param(INSERT, found(), id="nothing"),
        pytest.param(UPDATE, found(line(MARCH), line(JANUARY, BEFORE)), id="the old line still there"),
        pytest.param(UPDATE, found(line(MAY)), id="another line"),
        pytest.param(DELETE, found(REST, line("2024-03-05..2024-03-31", BEFORE)), id="a day of it still there"),
        pytest.param(DELETE, found(line("2024-01-01..2024-01-18")), id="no line beside it"),
        pytest.param(DELETE, found(line("2024-01-01..2024-01-19", BEFORE)), id="beside it, changed before"),
        pytest.param(DeleteInscription(**HEAD), found(), id="all of a context"),
    ],
)
def test_sec_70_what_proves_nothing(request_: WriteRequest, consulted: ConsultResult) -> None:
    """Whatever else the lines are, they prove nothing, neither that it was done nor that it was not (SEC-70)."""
    assert answer_after(request_, consulted, since=SENT) is None
