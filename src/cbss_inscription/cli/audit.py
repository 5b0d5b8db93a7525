"""`cbss-inscription audit`: the journal of who asked what about whom: its keys, its proof, and looks into it."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cbss_inscription.cli.answers import print_json
from cbss_inscription.cli.arguments import OperatorName, Output, OutputFormat, SettingsFile, operator_name, read_ssin
from cbss_inscription.cli.audit_arguments import From, Until, read_audited, read_since, read_until
from cbss_inscription.cli.evidence import evidence
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.cli.hold import hold
from cbss_inscription.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cbss_inscription.app.settings import Settings
    from cbss_inscription.governance.journal import AuditKeys, AuditRecord
    from cbss_inscription.governance.timestamps import TimestampTrust
    from cbss_inscription.governance.verification import JournalVerifier

audit = typer.Typer(no_args_is_help=True, help="The audit journal: its keys, its proof, and looks into it.")
audit.add_typer(evidence, name="evidence")
audit.add_typer(hold, name="hold")


@audit.command("make-keys")
def make_keys(
    file: Annotated[Path, typer.Argument(help="The file of keys that the settings name: [audit] keys.")],
    *,
    identifier: Annotated[
        str | None, typer.Option("--id", help="The new key's id; by default the day, such as 2026-03-01.")
    ] = None,
) -> None:
    """Make a new key the current one; the keys that are in the file already stay, for what was written by them."""
    from cbss_inscription.app.settings import read_file, write_privately
    from cbss_inscription.governance.journal import new_audit_keys

    name = identifier or datetime.now(UTC).date().isoformat()
    former = read_file(file) if file.exists() else None
    write_privately(file, new_audit_keys(name, former=former, origin=str(file)))
    sys.stdout.write(f"{file}: numbers are sealed by {name} from now on\n")


@audit.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An exported file: no service or database is needed.")
    ] = None,
    *,
    settings: Annotated[
        Path | None, typer.Option(help="The settings file (TOML): the journal in its database, by its keys.")
    ] = None,
    tsa_ca: Annotated[
        Path | None,
        typer.Option("--tsa-ca", help="The root of the time-stamping authority (PEM); else as the settings say."),
    ] = None,
    policy: Annotated[str | None, typer.Option(help="The policy of its time stamps (object identifier).")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="The file of audit keys, to open every number; else as the settings say.")
    ] = None,
    since: From = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Is the journal what it was? Every change, removal, insertion and exchange is named: status 3 then.

    With --from: what was received since then, after the seal before it. Archive files are not looked at.
    """
    from cbss_inscription.app.settings import read_settings

    if (file is None) == (settings is None):
        raise UsageError("give an exported FILE, or --settings for the journal in the database")
    if file is not None and since is not None:
        raise UsageError("--from is for the journal in the database: of an exported file everything is read")
    described = None if settings is None else read_settings(settings)
    trust, opened = _trust(described, tsa_ca, policy), _keys(described, keys)
    if file is not None:
        verifier = _verify_file(file, trust, opened)
    else:
        verifier = _verify_database(described, trust, opened, since=read_since(since))
    if output is OutputFormat.JSON:
        print_json(_verification_as_json(verifier, is_stamped=trust is not None))
    else:
        sys.stdout.writelines(f"{line}\n" for line in _verification_as_text(verifier, is_stamped=trust is not None))
    raise typer.Exit(ExitCode.REFUSED if verifier.finding_count else ExitCode.DONE)


@audit.command("make-archive-key")
def make_archive_key(
    file: Annotated[Path, typer.Argument(help="The file that the settings name: [audit.archive] key.")],
) -> None:
    """Make the key that archive files are signed by; a file that is there already stays."""
    from cbss_inscription.app.archiving import new_archive_key
    from cbss_inscription.app.settings import write_privately

    if file.exists():
        raise UsageError(f"{file} is there already")
    write_privately(file, new_archive_key())
    sys.stdout.write(f"{file}: archive files are signed by it; keep a copy\n")


@audit.command()
def archive(*, settings: SettingsFile, operator: OperatorName = None) -> None:
    """Move the months that are not to be online any more into archive files, which are verified and signed before."""
    from cbss_inscription.app.archiving import archive_due_months
    from cbss_inscription.usecases.record_look import Look, record_of_look

    name, began = operator_name(operator), datetime.now(UTC)
    described, keys = read_audited(settings)
    if described.audit.archive is None:
        raise UsageError(f"{settings} has no [audit.archive]")

    def record_of(month: date, record_count: int, digest: str) -> AuditRecord:
        return record_of_look(
            Look.ARCHIVE,
            keys,
            operator=name,
            criteria=[f"month={month:%Y-%m}"],
            record_count=record_count,
            digest=digest,
            began=began,
            now=datetime.now(UTC),
        )

    trust, months = _trust(described, None, None), 0
    for archived in archive_due_months(
        described, described.audit.archive, record_of, keys=keys, trust=trust, now=began
    ):
        months += 1
        sys.stdout.write(f"{archived.month:%Y-%m}: {archived.file_name}, SHA-256 {archived.digest.hex()}\n")
    raise typer.Exit(ExitCode.DONE if months else ExitCode.NOTHING_FOUND)


@audit.command()
def expire(*, settings: SettingsFile, operator: OperatorName = None) -> None:
    """Delete archive files whose months ended ten years ago, unless a record in them is under a hold."""
    from cbss_inscription.app.archiving import expire_files
    from cbss_inscription.usecases.record_look import Look, record_of_look

    name, began = operator_name(operator), datetime.now(UTC)
    described, keys = read_audited(settings)
    if described.audit.archive is None:
        raise UsageError(f"{settings} has no [audit.archive]")

    def record_of(file_name: str, digest: str) -> AuditRecord:
        return record_of_look(
            Look.EXPIRY,
            keys,
            operator=name,
            criteria=[f"file={file_name}"],
            record_count=1,
            digest=digest,
            began=began,
            now=datetime.now(UTC),
        )

    files = 0
    for file_name in expire_files(described, described.audit.archive, record_of, keys=keys, now=began):
        files += 1
        sys.stdout.write(f"{file_name} is deleted\n")
    raise typer.Exit(ExitCode.DONE if files else ExitCode.NOTHING_FOUND)


@audit.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    *,
    settings: SettingsFile,
    since: From = None,
    until: Until = None,
    operator: OperatorName = None,
) -> None:
    """Write a part of the journal to a file that proves itself, numbers sealed; that this was done is recorded."""
    from cbss_inscription.app.private_file import PrivateFile
    from cbss_inscription.governance.audit_export import write_line
    from cbss_inscription.storage.journal_reading import export_lines, one_moment_of, record_look
    from cbss_inscription.usecases.record_look import Look, record_of_look

    name, began = operator_name(operator), datetime.now(UTC)
    described, keys = read_audited(settings)
    if file.exists():
        raise UsageError(f"{file} is there already")
    with PrivateFile(file) as written, one_moment_of(described.database) as connection:
        for line in export_lines(connection, since=read_since(since), until=read_until(until), now=began):
            written.write(write_line(line))
        record = record_of_look(
            Look.EXPORT,
            keys,
            operator=name,
            criteria=_said({"from": since, "until": until}),
            record_count=written.record_count,
            digest=written.digest.hex(),
            began=began,
            now=datetime.now(UTC),
        )
        record_look(described.database, record, received_at=began)
    sys.stdout.write(f"{file}: {written.record_count} records, SHA-256 {written.digest.hex()}\n")


@audit.command()
def search(
    *,
    settings: SettingsFile,
    ssin: Annotated[str | None, typer.Option(help="About this person; - reads the number from standard input.")] = None,
    ticket: Annotated[UUID | None, typer.Option(help="The service's ticket: the @Id of a fault.")] = None,
    customer_ticket: Annotated[str | None, typer.Option(help="The caller's own ticket.")] = None,
    application: Annotated[str | None, typer.Option(metavar="URN", help="The application that called.")] = None,
    customer: Annotated[
        str | None, typer.Option(metavar="KEY", help="The organisation it called for: 0123456789 or 17/1.")
    ] = None,
    since: From = None,
    until: Until = None,
    archived: Annotated[
        bool, typer.Option("--archived", help="Look into archive files, too: each of the time is read to its end.")
    ] = False,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="Show the numbers of persons, as far as their keys are there.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many records at most.")] = 100,
    operator: OperatorName = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Look for records, oldest first; that somebody looked, and for what, is recorded before anything is shown."""
    from cbss_inscription.app.archiving import search_with_archives
    from cbss_inscription.storage.journal_reading import Criteria, one_moment_of, record_look, search_records
    from cbss_inscription.usecases.record_look import Look, record_of_look

    name, began = operator_name(operator), datetime.now(UTC)
    described, keys = read_audited(settings)
    person = None if ssin is None else read_ssin(ssin).digits
    criteria = Criteria(
        person_hashes=None if person is None else keys.hashes(person),
        ticket_cbss=ticket,
        customer_ticket=customer_ticket,
        application_urn=application,
        customer=customer,
        since=read_since(since),
        until=read_until(until),
    )
    if not archived:
        with one_moment_of(described.database) as connection:
            found = search_records(connection, criteria, record_count_max=limit)
    elif described.audit.archive is not None:
        found = search_with_archives(described, described.audit.archive, criteria, record_count_max=limit)
    else:
        raise UsageError(f"{settings} has no [audit.archive]")
    said = {
        "ticket": ticket,
        "customer_ticket": customer_ticket,
        "application": application,
        "customer": customer,
        "from": since,
        "until": until,
        "archived": archived or None,
    }
    look = record_of_look(
        Look.SEARCH,
        keys,
        operator=name,
        criteria=_said(said),
        ssin=person,
        record_count=len(found),
        numbers_shown=numbers,
        began=began,
        now=datetime.now(UTC),
    )
    record_look(described.database, look, received_at=began)
    shown = keys if numbers else None
    if output is OutputFormat.JSON:
        print_json([_record_as_json(record, shown) for record in found])
    else:
        sys.stdout.writelines(f"{line}\n" for record in found for line in _record_as_text(record, shown))
    raise typer.Exit(ExitCode.DONE if found else ExitCode.NOTHING_FOUND)


# -- what was typed ----------------------------------------------------------------------------------------------------


def _said(criteria: Mapping[str, object]) -> list[str]:
    """The criteria that were given, as a record of the look keeps them."""
    return [f"{name}={value}" for name, value in criteria.items() if value is not None]


def _trust(settings: Settings | None, file: Path | None, policy: str | None) -> TimestampTrust | None:
    from cbss_inscription.app.settings import read_file
    from cbss_inscription.governance.timestamps import TimestampTrust

    if file is not None:
        return TimestampTrust.of_pem(read_file(file), policy=policy, origin=str(file))
    stamping = None if settings is None else settings.audit.timestamping
    if stamping is None:
        if policy is not None:
            raise UsageError("--policy goes with --tsa-ca")
        return None
    return TimestampTrust.of_pem(read_file(Path(stamping.ca)), policy=policy or stamping.policy, origin=stamping.ca)


def _keys(settings: Settings | None, file: Path | None) -> AuditKeys | None:
    from cbss_inscription.app.settings import read_file
    from cbss_inscription.governance.journal import read_audit_keys

    path = file if file is not None or settings is None else Path(settings.audit.keys)
    return None if path is None else read_audit_keys(read_file(path), origin=str(path))


# -- verification ------------------------------------------------------------------------------------------------------


def _verify_file(file: Path, trust: TimestampTrust | None, keys: AuditKeys | None) -> JournalVerifier:
    from cbss_inscription.governance.audit_export import LINE_BYTES_MAX, verify_export

    with file.open("rb") as opened:
        lines: Iterable[bytes] = iter(lambda: opened.readline(LINE_BYTES_MAX + 1), b"")
        return verify_export(lines, trust=trust, keys=keys, origin=str(file))


def _verify_database(
    settings: Settings | None, trust: TimestampTrust | None, keys: AuditKeys | None, *, since: datetime | None
) -> JournalVerifier:
    from cbss_inscription.app.archiving import check_archives, read_archive_key
    from cbss_inscription.storage.archive import archived_months
    from cbss_inscription.storage.journal_reading import one_moment_of, verify_journal
    from cbss_inscription.storage.migration import check_schema

    assert settings is not None
    check_schema(settings.database)
    with one_moment_of(settings.database) as connection:
        verifier = verify_journal(connection, trust=trust, keys=keys, since=since)
        archives = archived_months(connection) if since is None else []
    described = settings.audit.archive
    if archives and described is None:
        raise UsageError("months are archived: [audit.archive] must say where")
    if described is not None and archives:
        public_key = read_archive_key(Path(described.key)).public_key()
        check_archives(archives, Path(described.directory), public_key, verifier)
    return verifier


def _verification_as_text(verifier: JournalVerifier, *, is_stamped: bool) -> Iterable[str]:
    for finding in verifier.findings:
        yield f"{finding.kind}: {finding.place}" + (f" ({finding.detail})" if finding.detail else "")
    if verifier.finding_count > len(verifier.findings):
        yield f"… and {verifier.finding_count - len(verifier.findings)} more"
    stamps = f"{verifier.stamp_count} of them time-stamped" if is_stamped else "whose time stamps were not looked at"
    yield f"{verifier.record_count} records, {verifier.seal_count} seals, {stamps}"
    if verifier.archived_count:
        yield f"{verifier.archived_count} of the records are in archive files: verify those one by one, too"
    if verifier.unsealed_count:
        yield f"{verifier.unsealed_count} records are under no seal yet"
    if verifier.first_sequence_number > 1:
        yield f"Read from link {verifier.first_sequence_number} on; what came before stands by the seal before it."
    yield "Something is wrong with the journal." if verifier.finding_count else "The journal is what it was."


def _verification_as_json(verifier: JournalVerifier, *, is_stamped: bool) -> dict[str, object]:
    return {
        "first_link": verifier.first_sequence_number,
        "records": verifier.record_count,
        "archived_records": verifier.archived_count,
        "unsealed_records": verifier.unsealed_count,
        "seals": verifier.seal_count,
        "time_stamps": verifier.stamp_count if is_stamped else None,
        "finding_count": verifier.finding_count,
        "findings": [
            {"kind": finding.kind.value, "place": finding.place, "detail": finding.detail}
            for finding in verifier.findings
        ],
    }


# -- records -----------------------------------------------------------------------------------------------------------


def _numbers(record: AuditRecord, keys: AuditKeys) -> list[str | None]:
    try:
        return [keys.open(person, UUID(record.ticket_cbss)) for person in record.persons]
    except ValueError:
        raise UsageError("a number in the journal does not open: `audit verify` names it") from None


def _record_as_json(record: AuditRecord, keys: AuditKeys | None) -> dict[str, object]:
    import msgspec

    described: dict[str, object] = msgspec.to_builtins(record)
    if keys is not None:
        described["numbers"] = _numbers(record, keys)
    return described


def _record_as_text(record: AuditRecord, keys: AuditKeys | None) -> Iterable[str]:
    from cbss_inscription.client.dialect import one_line

    received = record.timestamp_receive.replace("T", " ").removesuffix("Z")
    result = " ".join(part for part in (record.outcome.value, record.outcome.code, record.outcome.reason) if part)
    yield f"{received} UTC  {record.operation or 'no operation'}  {one_line(result)}"
    who = (record.application_urn or "an unknown caller") if record.look is None else record.look.operator
    yield f"  by {one_line(who)}" + (f"  for {one_line(record.customer)}" if record.customer else "")
    if record.legal_context is not None:
        yield f"  {one_line(' '.join((record.legal_context, *record.inscription_contexts)))}"
    if record.persons:
        numbers = (
            [] if keys is None else [number or "sealed by a key that is gone" for number in _numbers(record, keys)]
        )
        yield f"  about {', '.join(numbers) or f'{len(record.persons)} numbers'}"
    yield f"  ticket {record.ticket_cbss}" + (
        f"  customer's {one_line(record.customer_ticket)}" if record.customer_ticket else ""
    )
