"""Answers on the screen: what a service wrote is shown as text and never obeyed (cli/tables.py)."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime
from io import StringIO
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cbss_inscription.cli.tables import print_result
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Health,
    HealthCheckResult,
    Information,
    Result,
    SanityCheck,
    Status,
    StatusValue,
    WriteResult,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = {
    "a closing tag": "[/foo]",
    "a style": "[bold red]x[/]",
    "a link": "[link=http://127.0.0.1/]x[/link]",
    "a backslash": "\\",
    "an emoji's name": ":heart:",
    "several lines": "a\nOK  MSG00000\r\nb",
    "a C1 control": "\u009b2J",
    "a change of direction": "\u202ex",
}


def shown(result: Result) -> str:
    """What print_result writes to a console."""
    console = Console(file=StringIO(), width=2_000)
    print_result(console, result, InformationCbss(ticket_cbss=UUID(int=1), timestamp_receive=NOW, timestamp_reply=NOW))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def results_with(text: str, context: str = "PCSA:LIVING_WAGE") -> list[Result]:
    """An answer of every kind with `text` wherever a service may write one."""
    information = (Information(field_name=text, field_value=text), Information(field_name=text))
    line = Inscription(
        inscription_context=InscriptionContext(context),
        period=Period(begin_date=date(2026, 1, 1)),
        organization=CustomerIdentification(sector=17, institution=1),
        last_change=NOW,
    )
    return [
        ConsultResult(
            status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS, information=information),
            data_filters=(text,),
            inscriptions=(line,),
            next=text,
        ),
        WriteResult(
            status=Status(value=StatusValue.NOK, code=OutcomeCode.CONTENT_INVALID, information=information),
            validation_errors=(Anomaly(code=OutcomeCode.LEGAL_DATA_MISMATCH, information=information),),
            anomalies=(Anomaly(code=OutcomeCode.DECEASED, information=information),),
        ),
        HealthCheckResult(
            health=Health.NOK,
            component=text,
            location=text,
            checks=(SanityCheck(name=text, health=Health.NOK, milliseconds=1, detail=text),),
        ),
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_services_text_is_shown_as_it_is(text: str) -> None:
    """No mark-up, no emoji and no terminal control is made of it; what cannot be printed becomes a blank (SEC-68)."""
    seen = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    for result in results_with(text):
        out = shown(result)
        assert out.replace("\n", "").isprintable()
        assert seen in out
        assert not any(line.strip() == "OK  MSG00000" for line in out.split("\n"))


@given(st.text(max_size=40))
def test_every_text_can_be_shown(text: str) -> None:
    """Whatever a service writes, the answer is shown and every character of it is printable."""
    for result in results_with(text):
        assert shown(result).replace("\n", "").isprintable()


def test_a_contexts_name_is_shown_as_it_is() -> None:
    """A context may be called like an emoji, `A:HEART:B`, and keeps its name in the table."""
    assert "A:heart:B" in shown(results_with("x", context="A:heart:B")[0])


def test_the_next_page_is_one_word_for_the_shell() -> None:
    """The command that the hint suggests does nothing but fetch the page, whatever the service called it."""
    hint = next(line for line in shown(results_with("2; rm x $(y)")[0]).splitlines() if "--next" in line)
    assert shlex.split(hint.partition("--next ")[2]) == ["2; rm x $(y)"]
