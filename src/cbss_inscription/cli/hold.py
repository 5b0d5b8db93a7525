"""`cbss-inscription audit hold`: records that must be kept though their time is over."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer

from cbss_inscription.cli.arguments import OperatorName, SettingsFile, operator_name, read_ssin
from cbss_inscription.cli.audit_arguments import From, Until, read_audited, read_since, read_until
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.errors import UsageError

hold = typer.Typer(no_args_is_help=True, help="Legal holds: what must be kept though its time is over.")


@hold.command()
def add(
    *,
    settings: SettingsFile,
    reason: Annotated[str, typer.Option(help="Why, such as the number of a case.")],
    ssin: Annotated[str | None, typer.Option(help="Records about this person; - reads the number.")] = None,
    since: From = None,
    until: Until = None,
    operator: OperatorName = None,
) -> None:
    """Hold records about a person, of a time, or both: months with one stay online, files with one are not deleted."""
    import psycopg

    from cbss_inscription.storage.database import bounded
    from cbss_inscription.storage.holds import Hold, place_hold
    from cbss_inscription.usecases.record_look import Look, record_of_look

    if ssin is None and since is None and until is None:
        raise UsageError("give --ssin, --from or --until: who would hold everything turns `archive` and `expire` off")
    if not reason.strip() or not reason.isprintable():
        raise UsageError("--reason takes printable characters")
    described, keys = read_audited(settings)
    name, began, hold_id = operator_name(operator), datetime.now(UTC), uuid4()
    digits = None if ssin is None else read_ssin(ssin).digits
    placed = Hold(
        hold_id=hold_id,
        person=None if digits is None else keys.seal(digits, hold_id),
        since=read_since(since),
        until=read_until(until),
        reason=reason,
        operator=name,
        placed_at=began,
    )
    record = record_of_look(
        Look.HOLD,
        keys,
        operator=name,
        criteria=[f"hold={hold_id}", f"reason={reason}"],
        ssin=digits,
        record_count=1,
        began=began,
        now=datetime.now(UTC),
    )
    with psycopg.connect(bounded(described.database), autocommit=True) as connection:
        number = place_hold(connection, placed, record)
    sys.stdout.write(f"hold {number} is placed\n")


@hold.command()
def release(
    number: Annotated[int, typer.Argument(help="The hold's number.")],
    *,
    settings: SettingsFile,
    operator: OperatorName = None,
) -> None:
    """Let a hold go; what it held goes when its time comes, or has come."""
    import psycopg

    from cbss_inscription.storage.database import bounded
    from cbss_inscription.storage.holds import release_hold
    from cbss_inscription.usecases.record_look import Look, record_of_look

    described, keys = read_audited(settings)
    began = datetime.now(UTC)
    record = record_of_look(
        Look.RELEASE,
        keys,
        operator=operator_name(operator),
        criteria=[f"number={number}"],
        record_count=1,
        began=began,
        now=datetime.now(UTC),
    )
    with psycopg.connect(bounded(described.database), autocommit=True) as connection:
        if not release_hold(connection, number, record, now=began):
            raise UsageError(f"there is no hold {number} that holds something")
    sys.stdout.write(f"hold {number} is released\n")


@hold.command("list")
def show(*, settings: SettingsFile) -> None:
    """Every hold, released ones included; the numbers of persons stay sealed."""
    from cbss_inscription.domain.period import timestamp
    from cbss_inscription.storage.holds import holds
    from cbss_inscription.storage.journal_reading import one_moment_of

    described, _ = read_audited(settings)
    with one_moment_of(described.database) as connection:
        found = holds(connection)
    for one in found:
        state = "holds" if one.released_at is None else f"released {timestamp(one.released_at)}"
        what = [
            "everybody" if one.person is None else "one person",
            *(f"{word} {timestamp(moment)}" for word, moment in (("from", one.since), ("until", one.until)) if moment),
        ]
        sys.stdout.write(f"{one.number}  {state}  {' '.join(what)}\n  {one.reason}  by {one.operator}\n")
    raise typer.Exit(ExitCode.DONE if found else ExitCode.NOTHING_FOUND)
