"""Arguments that several commands of `audit` take, and how they are read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cbss_inscription.domain.errors import UsageError

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.governance.journal import AuditKeys

From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="DATE|TIME", help="What was received from then on; in UTC unless it says otherwise."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE|TIME", help="What was received before; a day counts until its end."),
]


def read_since(text: str | None) -> datetime | None:
    """The moment that was typed; of a day its beginning, in UTC. Raises `UsageError`."""
    return None if text is None else _moment(text, ends=False)


def read_until(text: str | None) -> datetime | None:
    """The moment that was typed; of a day its end, in UTC. Raises `UsageError`."""
    return None if text is None else _moment(text, ends=True)


def _moment(text: str, *, ends: bool) -> datetime:
    try:
        if len(text) == len("2026-03-01"):
            day = datetime.combine(date.fromisoformat(text), time.min, UTC)
            return day + timedelta(days=1) if ends else day
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"neither a date (2026-03-01) nor a time (2026-03-01T12:00:00): {text!r}") from error


def read_audited(file: Path) -> tuple[Settings, AuditKeys]:
    """The settings in a file and the journal's keys, for a database of this version. Raises `UsageError`."""
    from cbss_inscription.app.settings import read_file, read_settings
    from cbss_inscription.governance.journal import read_audit_keys
    from cbss_inscription.storage.migration import check_schema

    settings = read_settings(file)
    keys = read_audit_keys(read_file(Path(settings.audit.keys)), origin=settings.audit.keys)
    check_schema(settings.database)
    return settings, keys
