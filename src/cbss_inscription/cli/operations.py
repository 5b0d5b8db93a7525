"""`cbss-inscription consult | insert | update | delete | health`: one signed call each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cbss_inscription.cli.arguments import (
    DATE_FORMATS,
    BirthDate,
    Ca,
    CbeNumber,
    CertificateFile,
    GenderCode,
    GivenNames,
    Institution,
    KeyFile,
    LegalContextName,
    ProfileFile,
    Sector,
    SsinText,
    Ticket,
    Url,
    Xml,
    print_messages,
    read_legal_data,
    read_profile,
)
from cbss_inscription.cli.exit_codes import exit_code_of
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.period import GivenPeriod, InvalidPeriod, Period
from cbss_inscription.domain.ssin import SSIN_DIGITS, without_separators

if TYPE_CHECKING:
    from cbss_inscription.client.api import InscriptionClient
    from cbss_inscription.client.call import Answer
    from cbss_inscription.client.profile import Profile
    from cbss_inscription.domain.results import Result

ContextName = Annotated[str, typer.Argument(metavar="CONTEXT", help="The inscription context.")]
Day = Annotated[datetime, typer.Option("--begin", formats=DATE_FORMATS, help="First day.")]
DayIfAny = Annotated[datetime | None, typer.Option("--begin", formats=DATE_FORMATS, help="First day.")]
LastDay = Annotated[datetime | None, typer.Option("--end", formats=DATE_FORMATS, help="Last day; none = open.")]


def consult(
    ssin: SsinText,
    *,
    context: Annotated[list[str] | None, typer.Option("--context", help="Only this context; may be repeated.")] = None,
    begin: DayIfAny = None,
    end: LastDay = None,
    next_page: Annotated[str | None, typer.Option("--next", help="The page that the last answer named.")] = None,
    xml: Xml = False,
    profile: ProfileFile = None,
    url: Url = None,
    ca: Ca = None,
    certificate: CertificateFile = None,
    key: KeyFile = None,
    cbe_number: CbeNumber = None,
    sector: Sector = None,
    institution: Institution = None,
    legal_context: LegalContextName = None,
    ticket: Ticket = None,
) -> None:
    """The inscriptions that your organisation has for a person."""
    who = read_profile(profile, url, ca, certificate, key, cbe_number, sector, institution, legal_context)
    if end is not None and begin is None:
        raise UsageError("--end needs --begin")
    period = GivenPeriod(begin_date=begin.date(), end_date=_date(end)) if begin is not None else None
    _call(
        who,
        lambda client: client.consult_inscriptions(
            _ssin(ssin), inscription_contexts=context or (), period=period, next_page=next_page, ticket=ticket
        ),
        xml=xml,
    )


def insert(
    ssin: SsinText,
    context: ContextName,
    *,
    begin: Day,
    end: LastDay = None,
    last_name: Annotated[str | None, typer.Option(help="To be validated against the register.")] = None,
    given_name: GivenNames = None,
    birth_date: BirthDate = None,
    gender: GenderCode = None,
    xml: Xml = False,
    profile: ProfileFile = None,
    url: Url = None,
    ca: Ca = None,
    certificate: CertificateFile = None,
    key: KeyFile = None,
    cbe_number: CbeNumber = None,
    sector: Sector = None,
    institution: Institution = None,
    legal_context: LegalContextName = None,
    ticket: Ticket = None,
) -> None:
    """Add an inscription; when legal data are given, only if they match the register's."""
    who = read_profile(profile, url, ca, certificate, key, cbe_number, sector, institution, legal_context)
    legal_data = read_legal_data(last_name, given_name, birth_date, gender)
    _call(
        who,
        lambda client: client.insert_inscription(
            _ssin(ssin),
            inscription_context=context,
            period=_period(begin, end),
            legal_data=None if legal_data == LegalData() else legal_data,
            ticket=ticket,
        ),
        xml=xml,
    )


def update(
    ssin: SsinText,
    context: ContextName,
    *,
    begin: Day,
    end: LastDay = None,
    new_begin: Annotated[datetime, typer.Option(formats=DATE_FORMATS, help="First day from now on.")],
    new_end: Annotated[datetime | None, typer.Option(formats=DATE_FORMATS, help="Last day from now on.")] = None,
    xml: Xml = False,
    profile: ProfileFile = None,
    url: Url = None,
    ca: Ca = None,
    certificate: CertificateFile = None,
    key: KeyFile = None,
    cbe_number: CbeNumber = None,
    sector: Sector = None,
    institution: Institution = None,
    legal_context: LegalContextName = None,
    ticket: Ticket = None,
) -> None:
    """Change the period of one inscription, named by its period as it is now."""
    who = read_profile(profile, url, ca, certificate, key, cbe_number, sector, institution, legal_context)
    _call(
        who,
        lambda client: client.update_inscription(
            _ssin(ssin),
            inscription_context=context,
            period=_period(begin, end),
            new_period=_period(new_begin, new_end),
            ticket=ticket,
        ),
        xml=xml,
    )


def delete(
    ssin: SsinText,
    context: ContextName,
    *,
    begin: DayIfAny = None,
    end: LastDay = None,
    xml: Xml = False,
    profile: ProfileFile = None,
    url: Url = None,
    ca: Ca = None,
    certificate: CertificateFile = None,
    key: KeyFile = None,
    cbe_number: CbeNumber = None,
    sector: Sector = None,
    institution: Institution = None,
    legal_context: LegalContextName = None,
    ticket: Ticket = None,
) -> None:
    """Cut a period out of a context; without --begin and --end, remove the whole context."""
    who = read_profile(profile, url, ca, certificate, key, cbe_number, sector, institution, legal_context)
    period = GivenPeriod(begin_date=_date(begin), end_date=_date(end)) if begin or end else None
    _call(
        who,
        lambda client: client.delete_inscription(
            _ssin(ssin), inscription_context=context, period=period, ticket=ticket
        ),
        xml=xml,
    )


def health(
    *,
    xml: Xml = False,
    profile: ProfileFile = None,
    url: Url = None,
    ca: Ca = None,
    certificate: CertificateFile = None,
    key: KeyFile = None,
) -> None:
    """Is the service well?"""
    who = read_profile(profile, url, ca, certificate, key, None, None, None, None)
    _call(who, lambda client: client.health_check(), xml=xml)


def _call(profile: Profile, operation: Callable[[InscriptionClient], Answer[Result]], *, xml: bool) -> None:
    from rich.console import Console

    from cbss_inscription.cli.tables import print_result
    from cbss_inscription.client.api import InscriptionClient

    with InscriptionClient(profile) as client:
        answer = operation(client)
    if xml:
        print_messages(answer.sent, answer.received)
    else:
        print_result(Console(), answer.result, answer.information_cbss)
    raise typer.Exit(exit_code_of(answer.result))


def _ssin(text: str) -> str:
    """The digits that a person typed: separators are for people (rule 1), check digits the service's matter."""
    if text == "-":
        text = sys.stdin.readline()
    digits = without_separators(text.strip())
    if not (len(digits) == SSIN_DIGITS and digits.isascii() and digits.isdigit()):
        raise UsageError(f"an SSIN has {SSIN_DIGITS} digits")
    return digits


def _period(begin: datetime, end: datetime | None) -> Period:
    try:
        return Period(begin_date=begin.date(), end_date=_date(end))
    except InvalidPeriod as error:
        raise UsageError(f"the period {error}") from error


def _date(day: datetime | None) -> date | None:
    return day.date() if day is not None else None
