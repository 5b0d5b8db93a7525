"""`cbss-inscription demo`: what the service does, told step by step on a running sandbox."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cbss_inscription.domain.errors import ServiceUnavailable, UsageError
from cbss_inscription.domain.legal_data import Gender, LegalData, Register
from cbss_inscription.domain.period import IncompleteDate, Period

if TYPE_CHECKING:
    from cbss_inscription.client.api import InscriptionClient
    from cbss_inscription.domain.ssin import Ssin
    from cbss_inscription.registers.life import Candidates, Done, NumberLife, Refused

ATTEMPTS_MAX: Final = 50
"""Persons thought of before the demonstration gives up to find one who is like nobody in the registers."""
_OPERATOR: Final = "demo"
_BIRTHS: Final = (date(1940, 1, 1), date(1999, 12, 30))
_DEMO_APPLICATIONS: Final = ("pcsa-web", "family-fund")

demo = typer.Typer(no_args_is_help=True, help="What the service does, step by step, on a running sandbox.")


@demo.callback()
def _demo() -> None:
    """Keeps `replace` a command of its own, though it is the only one."""


@demo.command()
def replace(
    directory: Annotated[Path, typer.Option(help="Where the sandbox keeps everything.")] = Path(".cbss-sandbox"),
) -> None:
    """A BIS person gets a National Register number: the inscriptions follow, and their holders are told."""
    from rich.console import Console

    from cbss_inscription.cli.tables import print_result
    from cbss_inscription.client.api import InscriptionClient
    from cbss_inscription.client.profile import Profile
    from cbss_inscription.sandbox.demonstration import APPLICATIONS

    settings = directory / "settings.toml"
    if not settings.exists():
        raise UsageError(f"{directory}: no sandbox runs here: start one with `cbss-inscription sandbox`")
    elsewhere = directory / "national-register.toml"
    applications = {item.name: item for item in APPLICATIONS if item.name in _DEMO_APPLICATIONS}
    console = Console()
    with ExitStack() as held:
        clients = {
            name: held.enter_context(InscriptionClient(Profile.read(directory / f"{name}.toml")))
            for name in applications
        }
        after = {name: _end_of_feed(client) for name, client in clients.items()}

        steps = count(1)

        def begin_step(sentence: str) -> None:
            console.rule(f"{next(steps)}  {sentence}")

        begin_step("KSZ makes a BIS file")
        person, former = _created(settings, Register.BIS, _persons())
        console.print(f"SSIN  {former.formatted}", highlight=False)
        for name, client in clients.items():
            begin_step(f"{name} inscribes the person")
            context = applications[name].inscription_contexts[0]
            begin = datetime.now(UTC).date() - timedelta(days=30)
            inserted = client.insert_inscription(former, inscription_context=context, period=Period(begin_date=begin))
            print_result(console, inserted.result, inserted.information_cbss)

        begin_step("The National Register registers the person")
        _, current = _created(elsewhere if elsewhere.exists() else settings, Register.NR, iter([person]))
        console.print(f"SSIN  {current.formatted}", highlight=False)
        begin_step("The BIS number is replaced")
        done = _replaced(settings, former, current)
        console.print(f"{done.lines} lines moved, {done.mutations} organisations told", highlight=False)

        for name, client in clients.items():
            begin_step(f"{name} consults by the former number")
            consulted = client.consult_inscriptions(former)
            print_result(console, consulted.result, consulted.information_cbss)
            begin_step(f"{name} pulls its mutations")
            pulled = client.consult_mutations(after[name])
            print_result(console, pulled.result, pulled.information_cbss)


def _end_of_feed(client: InscriptionClient) -> int:
    last = 0
    for mutation in client.mutations():
        last = mutation.sequence_number
    return last


def _persons() -> Iterator[LegalData]:
    """Persons who do not exist, thought of by chance; the names are common ones of the population's."""
    from cbss_inscription.sandbox.person_names import COMMUNITIES

    communities = list(COMMUNITIES.values())
    days = (_BIRTHS[1] - _BIRTHS[0]).days
    for _ in range(ATTEMPTS_MAX):
        community = secrets.choice(communities)
        gender = secrets.choice((Gender.MALE, Gender.FEMALE))
        yield LegalData(
            last_name=secrets.choice(community.last_names),
            given_names=(secrets.choice(community.men if gender is Gender.MALE else community.women),),
            birth_date=IncompleteDate.of_date(_BIRTHS[0] + timedelta(days=secrets.randbelow(days))),
            gender=gender,
        )


def _created(settings: Path, register: Register, persons: Iterator[LegalData]) -> tuple[LegalData, Ssin]:
    """The first of these persons that is like nobody in the registers, and the number it got."""
    from cbss_inscription.cli.register import with_life
    from cbss_inscription.registers.life import Done

    for person in persons:
        made = with_life(settings, _creation(person, register))
        if isinstance(made, Done):
            return person, made.ssin
    raise ServiceUnavailable("every person thought of is like somebody in the registers: try again")


def _creation(person: LegalData, register: Register) -> Callable[[NumberLife], Awaitable[Done | Candidates | Refused]]:
    return lambda life: life.create(person, register=register, operator=_OPERATOR)


def _replaced(settings: Path, former: Ssin, current: Ssin) -> Done:
    from cbss_inscription.cli.register import with_life
    from cbss_inscription.registers.life import Done

    done = with_life(settings, lambda life: life.replace(former, current, operator=_OPERATOR))
    if not isinstance(done, Done):
        raise ServiceUnavailable("the number was not replaced: somebody else works on the sandbox")
    return done
