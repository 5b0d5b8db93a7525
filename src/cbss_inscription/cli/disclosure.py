"""`cbss-inscription disclosure`: what a person is told of who knows them and who asked about them (rule 53)."""

from __future__ import annotations

import hashlib
import re
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cbss_inscription.cli.arguments import DATE_FORMATS, SettingsFile, SsinText, operator_name, read_ssin
from cbss_inscription.cli.database import with_database
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.disclosure.choices import DocumentFormat, Language
from cbss_inscription.domain.errors import UsageError

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.governance.disclosure import DisclosureReport
    from cbss_inscription.storage.database import Database

REFERENCE_CHARACTERS_MAX: Final = 64
"""Characters of the reference: a file number, and no story."""


def disclosure(
    ssin: SsinText,
    *,
    settings: SettingsFile,
    operator: Annotated[str, typer.Option(help="Who makes the report; kept in the journal, not told in it.")],
    reference: Annotated[str, typer.Option(help="The number of the person's request: no name, no SSIN.")],
    language: Annotated[Language, typer.Option(help="The language of the person.")],
    kind: Annotated[DocumentFormat, typer.Option("--format", help="To read, to sort, or for programs.")] = (
        DocumentFormat.HTML
    ),
    since: Annotated[
        datetime | None, typer.Option("--from", formats=DATE_FORMATS, help="Requests from this day on, Belgian time.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=DATE_FORMATS, help="Requests until the end of this day.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Where to write it, for you only; else standard output.")] = None,
) -> None:
    """Tell a person who knows them, in which context and period, and who asked or changed that, when and why."""
    number, who = read_ssin(ssin), operator_name(operator)
    if not (0 < len(reference) <= REFERENCE_CHARACTERS_MAX and reference.isprintable() and reference.strip()):
        raise UsageError(f"--reference takes 1 to {REFERENCE_CHARACTERS_MAX} printable characters")
    if number.digits in re.sub(r"\D", "", reference):
        raise UsageError("--reference holds the person's number, which the journal keeps sealed only: give another")
    first = None if since is None else since.date()
    last = None if until is None else until.date()
    if first is not None and last is not None and last < first:
        raise UsageError("--until lies before --from")
    began = datetime.now(UTC)

    async def work(described: Settings, database: Database) -> tuple[DisclosureReport, bytes]:
        from cbss_inscription.app.settings import read_file
        from cbss_inscription.disclosure.document import document_of, write_document
        from cbss_inscription.governance.disclosure import report_of
        from cbss_inscription.governance.journal import read_audit_keys
        from cbss_inscription.registers.resolution import HOPS_MAX
        from cbss_inscription.storage.disclosure import facts_of_person
        from cbss_inscription.storage.journal import StoredJournal
        from cbss_inscription.usecases.record_look import Look, record_of_look

        keys = read_audit_keys(read_file(Path(described.audit.keys)), origin=described.audit.keys)
        facts = await facts_of_person(
            database,
            number,
            hashes_of=keys.hashes,
            since=None if first is None else _midnight(first),
            until=None if last is None else _midnight(last + timedelta(days=1)),
            hops_max=HOPS_MAX,
        )
        report = report_of(facts, keys, described.disclosure.not_disclosed)
        document = document_of(
            report,
            language,
            reference=reference,
            first_day=first,
            last_day=last,
            organizations=described.disclosure.organizations,
            contact=described.contact,
            now=began,
        )
        written = write_document(document, kind)
        told = {"language": language, "format": kind, "from": first, "until": last, "withheld": report.withheld}
        record = record_of_look(
            Look.PERSON_REPORT,
            keys,
            operator=who,
            criteria=[
                f"reference={reference}",
                *(f"{name}={value}" for name, value in told.items() if value is not None),
            ],
            ssin=number.digits,
            shown=[one.digits for one in facts.numbers],
            record_count=len(report.contacts),
            numbers_shown=True,
            digest=hashlib.sha256(written).hexdigest(),
            began=began,
            now=datetime.now(UTC),
        )
        await StoredJournal(database).write(record, received_at=began)
        return report, written

    report, written = with_database(settings, work)
    _give(written, file)
    if report.withheld:
        sys.stderr.write(
            f"cbss-inscription: not disclosed, as the settings say: {report.withheld} (the report is silent)\n"
        )
    raise typer.Exit(ExitCode.DONE)


def _midnight(day: date) -> datetime:
    """When a day begins in Belgium."""
    from cbss_inscription.disclosure.document import BELGIUM

    return datetime.combine(day, time(), BELGIUM).astimezone(UTC)


def _give(written: bytes, file: Path | None) -> None:
    from cbss_inscription.app.settings import write_privately

    if file is None:
        sys.stdout.write(written.decode("utf-8"))
        return
    try:
        write_privately(file, written)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    sys.stdout.write(f"{file}\n")
