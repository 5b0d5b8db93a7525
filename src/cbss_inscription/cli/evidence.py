"""`cbss-inscription audit evidence`: requests that are kept beside the journal, shown or deleted; both are recorded."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from cbss_inscription.cli.arguments import DATE_FORMATS, OperatorName, SettingsFile, operator_name
from cbss_inscription.cli.audit_arguments import read_audited
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.errors import UsageError

evidence = typer.Typer(no_args_is_help=True, help="Requests that are kept beside the journal: [audit] evidence.")


@evidence.command()
def show(
    ticket: Annotated[UUID, typer.Argument(help="The service's ticket.")],
    *,
    settings: SettingsFile,
    operator: OperatorName = None,
) -> None:
    """Print the request of a ticket as it came; that it was shown is recorded before."""
    from cbss_inscription.storage.evidence import kept_request
    from cbss_inscription.storage.journal_reading import one_moment_of, record_look
    from cbss_inscription.usecases.record_look import Look, record_of_look

    described, keys = read_audited(settings)
    name, began = operator_name(operator), datetime.now(UTC)
    with one_moment_of(described.database) as connection:
        request = kept_request(connection, ticket)
    try:
        message = None if request is None else keys.open_request(request, ticket)
    except ValueError:
        raise UsageError("the request was changed: it does not open under its ticket") from None
    record = record_of_look(
        Look.DISCLOSURE,
        keys,
        operator=name,
        criteria=[f"ticket={ticket}"],
        record_count=0 if message is None else 1,
        began=began,
        now=datetime.now(UTC),
    )
    record_look(described.database, record, received_at=began)
    if message is None:
        sys.stderr.write("No request of this ticket is kept, or its key is gone.\n")
        raise typer.Exit(ExitCode.NOTHING_FOUND)
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()


@evidence.command()
def delete(
    *,
    settings: SettingsFile,
    ticket: Annotated[UUID | None, typer.Option(help="The request of this ticket …")] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=DATE_FORMATS, help="… or all that came before this day, in UTC.")
    ] = None,
    operator: OperatorName = None,
) -> None:
    """Delete requests; the records of their calls stay, and the chain verifies as before. It is recorded."""
    import psycopg

    from cbss_inscription.governance.journal import AuditRecord
    from cbss_inscription.storage.database import bounded
    from cbss_inscription.storage.evidence import delete_requests
    from cbss_inscription.usecases.record_look import Look, record_of_look

    if (ticket is None) == (before is None):
        raise UsageError("give --ticket or --before")
    described, keys = read_audited(settings)
    name, began = operator_name(operator), datetime.now(UTC)
    criterion = f"ticket={ticket}" if before is None else f"before={before:%Y-%m-%d}"

    def record_of(count: int) -> AuditRecord:
        return record_of_look(
            Look.DELETION,
            keys,
            operator=name,
            criteria=[criterion],
            record_count=count,
            began=began,
            now=datetime.now(UTC),
        )

    day = None if before is None else before.replace(tzinfo=UTC)
    with psycopg.connect(bounded(described.database), autocommit=True) as connection:
        count = delete_requests(connection, record_of, ticket=ticket, before=day, now=began)
    sys.stdout.write(f"{count} requests deleted\n")
    raise typer.Exit(ExitCode.DONE if count else ExitCode.NOTHING_FOUND)
