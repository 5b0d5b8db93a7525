"""Arguments that several commands take, and how they are read."""

from __future__ import annotations

import getpass
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cbss_inscription.domain.customer import CustomerIdentification, InvalidCustomer
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.period import IncompleteDate, InvalidDate
from cbss_inscription.domain.ssin import InvalidSsin, Ssin

if TYPE_CHECKING:
    from cbss_inscription.client.profile import Profile

DATE_FORMATS: Final = ["%Y-%m-%d"]
"""How a day is typed."""


class OutputFormat(StrEnum):
    """For whom an answer is printed: people, or programs."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[OutputFormat, typer.Option("--format", help="For people or for programs.")]
SettingsFile = Annotated[Path, typer.Option("--settings", help="The settings file (TOML) that names the database.")]
SsinText = Annotated[
    str, typer.Argument(metavar="SSIN", help="The number, with or without separators; - reads it from standard input.")
]

GivenNames = Annotated[list[str] | None, typer.Option("--given-name", help="In their order; may be repeated.")]
BirthDate = Annotated[str | None, typer.Option(help="yyyy-mm-dd; 00 for what is unknown.")]
GenderCode = Annotated[int | None, typer.Option(min=0, max=2, help="0 unknown, 1 male, 2 female.")]

OperatorName = Annotated[
    str | None, typer.Option("--operator", help="Who does this, for the history; else the account's name.")
]

_CONNECTION = "Who calls, and where to"

ProfileFile = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        envvar="CBSS_INSCRIPTION_PROFILE",
        help="A profile file (TOML) with what follows.",
        rich_help_panel=_CONNECTION,
    ),
]
Url = Annotated[str | None, typer.Option("--url", help="The service's address.", rich_help_panel=_CONNECTION)]
Ca = Annotated[
    Path | None, typer.Option("--ca", help="CA bundle of the server's certificate.", rich_help_panel=_CONNECTION)
]
CertificateFile = Annotated[
    Path | None, typer.Option("--certificate", help="The application's certificate.", rich_help_panel=_CONNECTION)
]
KeyFile = Annotated[Path | None, typer.Option("--key", help="Its private key.", rich_help_panel=_CONNECTION)]
CbeNumber = Annotated[
    str | None, typer.Option("--cbe-number", help="The customer, by CBE number …", rich_help_panel=_CONNECTION)
]
Sector = Annotated[int | None, typer.Option("--sector", help="… or by sector", rich_help_panel=_CONNECTION)]
Institution = Annotated[int | None, typer.Option("--institution", help="and institution.", rich_help_panel=_CONNECTION)]
LegalContextName = Annotated[
    str | None, typer.Option("--legal-context", help="The legal context of the call.", rich_help_panel=_CONNECTION)
]
Ticket = Annotated[
    str | None, typer.Option("--ticket", help="Your own ticket; a UUID is made.", rich_help_panel=_CONNECTION)
]
Xml = Annotated[bool, typer.Option("--xml", help="Print both messages as sent and received, no table.")]


def read_ssin(text: str) -> Ssin:
    """The number that a person typed, separators or not (rule 1); `-` is the first line of standard input.

    Raises `UsageError`: where no service looks at its check digits, the command does.
    """
    try:
        return Ssin.parse_human(sys.stdin.readline().strip() if text == "-" else text.strip())
    except InvalidSsin as error:
        raise UsageError(f"not an SSIN: its {error.reason} is wrong") from error


def read_incomplete_date(text: str, *, called: str = "that") -> IncompleteDate:
    """The date that a person typed, zeros for what is unknown. Raises `UsageError`, which calls it so."""
    try:
        return IncompleteDate.parse(text)
    except InvalidDate as error:
        raise UsageError(f"{called} is no date: yyyy-mm-dd, yyyy-mm-00 or yyyy-00-00") from error


def read_legal_data(
    last_name: str | None, given_names: list[str] | None, birth_date: str | None, gender: int | None
) -> LegalData:
    """The legal data that were typed; empty when none were. Raises `UsageError`."""
    return LegalData(
        last_name=last_name,
        given_names=tuple(given_names or ()),
        birth_date=read_incomplete_date(birth_date, called="the birth date") if birth_date is not None else None,
        gender=Gender(gender) if gender is not None else None,
    )


def operator_name(given: str | None) -> str:
    """The name that was given, or that of the account. Raises `UsageError` for none, or one that cannot be kept."""
    from cbss_inscription.registers.life import OPERATOR_CHARACTERS_MAX

    if given is None:
        try:
            given = getpass.getuser()
        except (OSError, KeyError) as error:
            raise UsageError("this account has no name: give --operator") from error
    if not (0 < len(given) <= OPERATOR_CHARACTERS_MAX and given.isprintable()):
        raise UsageError(f"--operator takes 1 to {OPERATOR_CHARACTERS_MAX} printable characters")
    return given


def read_profile(
    file: Path | None,
    url: str | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    cbe_number: str | None,
    sector: int | None,
    institution: int | None,
    legal_context: str | None,
) -> Profile:
    """The profile in the file, if one is named, with what the command line says instead."""
    import msgspec

    from cbss_inscription.client.profile import Profile

    customer: CustomerIdentification | None = None
    if (cbe_number, sector, institution) != (None, None, None):
        try:
            customer = CustomerIdentification(cbe_number=cbe_number, sector=sector, institution=institution)
        except InvalidCustomer as error:
            raise UsageError(f"the customer: {error}") from error
    if file is not None:
        said = {
            "url": url,
            "ca": ca,
            "certificate": certificate,
            "private_key": key,
            "customer_identification": customer,
            "legal_context": legal_context,
        }
        return msgspec.structs.replace(
            Profile.read(file), **{name: value for name, value in said.items() if value is not None}
        )
    if url is None or ca is None or certificate is None or key is None:
        raise UsageError("give --profile FILE, or all of --url, --ca, --certificate and --key")
    return Profile(
        url=url,
        ca=ca,
        certificate=certificate,
        private_key=key,
        customer_identification=customer,
        legal_context=legal_context,
    )


def print_messages(sent: bytes, received: bytes) -> None:
    """Nothing; both messages stand on standard output as they passed."""
    for message in (sent, received):
        sys.stdout.buffer.write(message.rstrip(b"\n") + b"\n")
    sys.stdout.buffer.flush()
