"""No value of the domain lets a number or a name out by accident (SEC-74, rule 52)."""

from __future__ import annotations

import io
import json
import logging
import pprint
import traceback
from collections.abc import Callable
from datetime import date

import pytest

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.inscription import InscriptionContext, InvalidInscriptionContext
from cbss_inscription.domain.legal_context import InvalidLegalContext, LegalContext
from cbss_inscription.domain.legal_data import FileStatus, Gender, InvalidPerson, LegalData, Person, Register
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, InvalidDate
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InsertInscription,
    UpdateInscription,
)
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Information,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import InvalidSsin, Ssin

NUMBER = "85073003328"
SUCCESSOR = "17073003384"
SSIN = Ssin.parse(NUMBER)
PERSON = Person(
    ssin=SSIN,
    register=Register.NR,
    status=FileStatus.REPLACED,
    replaced_by=Ssin.parse(SUCCESSOR),
    last_name="Peeters",
    given_names=("Godelieve",),
    birth_date=IncompleteDate.parse("1985-07-30"),
    gender=Gender.FEMALE,
    decease_date=IncompleteDate.parse("2020-02-00"),
)
LEGAL_DATA = LegalData(
    last_name="Peeters",
    given_names=("Godelieve",),
    birth_date=IncompleteDate.parse("1985-07-30"),
    gender=Gender.FEMALE,
)
SECRETS = (
    NUMBER,
    SSIN.formatted,
    SUCCESSOR,
    Ssin.parse(SUCCESSOR).formatted,
    "Peeters",
    "Godelieve",
    "1985",
    "2020-02",
    "FEMALE",
)
CUSTOMER = InformationCustomer(
    ticket="ticket-1", customer_identification=CustomerIdentification(sector=17, institution=1)
)
LEGAL_CONTEXT = LegalContext("PCSA:SOCIAL_INQUIRY")
CONTEXT = InscriptionContext("PCSA:LIVING_WAGE")
PERIOD = GivenPeriod(begin_date=date(2024, 1, 1))

VALUES = {
    "ssin": SSIN,
    "person": PERSON,
    "legal data": LEGAL_DATA,
    "consult": ConsultInscriptions(ssin=NUMBER, information_customer=CUSTOMER, legal_context=LEGAL_CONTEXT),
    "insert": InsertInscription(
        ssin=NUMBER,
        inscription_context=CONTEXT,
        period=PERIOD,
        legal_data=LEGAL_DATA,
        information_customer=CUSTOMER,
        legal_context=LEGAL_CONTEXT,
    ),
    "update": UpdateInscription(
        ssin=NUMBER,
        inscription_context=CONTEXT,
        period=PERIOD,
        new_period=PERIOD,
        information_customer=CUSTOMER,
        legal_context=LEGAL_CONTEXT,
    ),
    "delete": DeleteInscription(
        ssin=NUMBER, inscription_context=CONTEXT, information_customer=CUSTOMER, legal_context=LEGAL_CONTEXT
    ),
    "information": Information(field_name="ssin", field_value=NUMBER),
    "status": Status(
        value=StatusValue.NOK,
        code=OutcomeCode.SSIN_REPLACED_REFUSED,
        information=(Information(field_name="newSSIN", field_value=SUCCESSOR),),
    ),
    "answer": SsinAnswer(current=Ssin.parse(SUCCESSOR), replaces=SSIN),
    "consult result": ConsultResult(
        status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS),
        ssin=SsinAnswer(current=Ssin.parse(SUCCESSOR), replaces=SSIN),
    ),
    "write result": WriteResult(
        status=Status(value=StatusValue.NOK, code=OutcomeCode.LEGAL_DATA_MISMATCH),
        ssin=SsinAnswer(current=SSIN),
        validation_errors=(
            Anomaly(
                code=OutcomeCode.LEGAL_DATA_MISMATCH,
                information=(Information(field_name="lastName", field_value="Peeters"),),
            ),
        ),
    ),
}


def logged(value: object) -> str:
    stream = io.StringIO()
    logger = logging.Logger("masking")  # noqa: LOG001  # a logger of this test alone
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("value %s and %r", value, value)
    return stream.getvalue()


WAYS_OUT: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda value: f"{value} {value!r} {value!s} {value!a}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031  # the old way out is what is tested
    "format": "{}".format,
    "in a container": lambda value: repr([{"key": (value,)}]),
    "pretty print": pprint.pformat,
    "json by repr, as structlog does": lambda value: json.dumps({"value": value}, default=repr),
    "log record": logged,
    "exception": lambda value: "".join(traceback.format_exception(RuntimeError(value))),
    "key error": lambda value: str(KeyError(value)),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("way_out", WAYS_OUT.values(), ids=WAYS_OUT.keys())
def test_rule_52_no_value_shows_a_number_or_a_name(value: object, way_out: Callable[[object], str]) -> None:
    """Neither the number nor any legal datum stands in what a value prints, whichever way it is printed (rule 52)."""
    text = way_out(value)
    assert [secret for secret in SECRETS if secret in text] == []


def test_the_digits_come_out_when_they_are_asked_for_by_name() -> None:
    """Whoever wants the digits says so: `digits`, `number`, `formatted`."""
    assert (SSIN.digits, SSIN.number, SSIN.formatted) == (NUMBER, int(NUMBER), "85.07.30-033.28")


@pytest.mark.parametrize("text", ["85073003329", "85133000105", "85073500107", "8507300332", "Godelieve Peeters"])
def test_a_refused_number_does_not_stand_in_its_exception(text: str) -> None:
    """The exception of a refused number holds a fixed word and nothing of the text, nor does its traceback (SEC-61)."""
    with pytest.raises(InvalidSsin) as refusal:
        Ssin.parse(text)
    assert text not in repr(refusal.value.args)
    assert text not in repr(vars(refusal.value))
    assert text not in "".join(traceback.format_exception(refusal.value))


@pytest.mark.parametrize("text", ["1985-02-30", "1985-13-01", "0000-01-01", "1985-00-30", "30/07/1985"])
def test_a_refused_birth_date_does_not_stand_in_its_exception(text: str) -> None:
    """The exception of a refused date holds no part of it, nor does its traceback (SEC-61)."""
    with pytest.raises(InvalidDate) as refusal:
        IncompleteDate.parse(text)
    assert not any(character.isdigit() for character in repr(refusal.value))
    # Python's own message would be shown as the cause or the context of ours, and it names the numbers.
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__


def test_a_refused_person_does_not_stand_in_its_exception() -> None:
    """The exception of a contradictory file names the rule, not the person (SEC-61)."""
    with pytest.raises(InvalidPerson) as refusal:
        Person(ssin=SSIN, register=Register.NR, status=FileStatus.REPLACED, last_name="Peeters")
    assert [secret for secret in SECRETS if secret in str(refusal.value)] == []


@pytest.mark.parametrize(
    ("kind", "error"),
    [(InscriptionContext, InvalidInscriptionContext), (LegalContext, InvalidLegalContext)],
)
def test_a_refused_context_does_not_stand_in_its_exception(kind: type[str], error: type[ValueError]) -> None:
    """A number sent in the place of a context does not reach the log by its exception (SEC-61)."""
    with pytest.raises(error) as refusal:
        kind(f"{SSIN.formatted}")
    assert [secret for secret in SECRETS if secret in str(refusal.value)] == []
