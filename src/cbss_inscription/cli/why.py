"""`cbss-inscription why`: why a call ended as it did, by which rule, and who can change that."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from cbss_inscription.cli.answers import print_json
from cbss_inscription.cli.arguments import (
    DATE_FORMATS,
    OperatorName,
    Output,
    OutputFormat,
    SettingsFile,
    operator_name,
)
from cbss_inscription.cli.database import with_database
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.customer import is_uuid, stored_ticket
from cbss_inscription.domain.errors import UsageError

if TYPE_CHECKING:
    from cbss_inscription.app.decided_rules import Authors
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.governance.journal import AuditKeys, AuditRecord
    from cbss_inscription.storage.database import Database
    from cbss_inscription.usecases.explain_decision import Explanation

CUSTOMER_TICKET_DAYS: Final = 1
"""How far back a customer's ticket is looked for, when nothing is said: there is no index of them."""
_CHANGES: Final = {
    "nobody": "nothing needs to change",
    "sender": "the sender, by the request",
    "RSZ": "RSZ, by the Uniek dossier (the access rule{rule})",
    "KSZ": "KSZ, by the permission{permission}",
    "register": "the register that keeps the person's file",
    "operator": "the operator of the service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is printed of one call."""

    explanation: Explanation
    numbers: list[str | None]
    """Opened, in the order of the record's persons; none when they stay sealed."""
    authors: tuple[Authors, ...]


def why(
    ticket: Annotated[str, typer.Argument(help="Our ticket (ticket_cbss, @Id of a fault), or the customer's own.")],
    *,
    settings: SettingsFile,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=DATE_FORMATS, help="For a customer's ticket: the first day, in UTC; else yesterday."
        ),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=DATE_FORMATS, help="The last day, in UTC; else today.")
    ] = None,
    show_number: Annotated[
        bool, typer.Option("--show-number", help="Open the numbers of persons, where the keys are there.")
    ] = False,
    operator: OperatorName = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Why a call ended as it did: by which rule, what it lacks, who can change that. The look is recorded first."""
    name = operator_name(operator)
    began = datetime.now(UTC)
    first, last = _time(since, until, now=began)

    async def work(described: Settings, database: Database) -> list[_Told]:
        from cbss_inscription.app.decided_rules import decided_rules
        from cbss_inscription.app.settings import read_file
        from cbss_inscription.governance.journal import read_audit_keys
        from cbss_inscription.soap.remedies import REMEDIES
        from cbss_inscription.storage.journal import StoredJournal
        from cbss_inscription.usecases.explain_decision import explain_decision
        from cbss_inscription.usecases.record_look import Look, record_of_look

        keys = read_audit_keys(read_file(Path(described.audit.keys)), origin=described.audit.keys)
        records = await _records(database, ticket, first, last)
        numbers = [_numbers(record, keys) if show_number else [] for record in records]
        look = record_of_look(
            Look.READ,
            keys,
            operator=name,
            # Not what was typed: a customer's ticket is its own text, and may hold anything.
            criteria=[f"ticket_cbss={record.ticket_cbss}" for record in records],
            shown=[digits for opened in numbers for digits in opened if digits is not None],
            record_count=len(records),
            numbers_shown=show_number,
            began=began,
            now=datetime.now(UTC),
        )
        await StoredJournal(database).write(look, received_at=began)
        found = []
        for record, opened in zip(records, numbers, strict=True):
            decided = decided_rules(described, record.decision)
            explanation = explain_decision(record, decided.rules, remedies=REMEDIES)
            found.append(_Told(explanation=explanation, numbers=opened, authors=decided.authors))
        return found

    found = with_database(settings, work)
    if output is OutputFormat.JSON:
        print_json([_as_json(told) for told in found])
    else:
        texts = ["\n".join(_as_text(told)) for told in found]
        sys.stdout.write(
            "\n\n".join(texts or ["No call of this ticket is in the journal, or not in that time."]) + "\n"
        )
    raise typer.Exit(ExitCode.DONE if found else ExitCode.NOTHING_FOUND)


async def _records(database: Database, ticket: str, since: datetime, until: datetime) -> tuple[AuditRecord, ...]:
    """Those of our ticket, or else of the customer's in that time."""
    from cbss_inscription.storage.journal_lookup import record_of_ticket, records_of_customer_ticket

    if is_uuid(ticket):
        record = await record_of_ticket(database, UUID(ticket))
        if record is not None:
            return (record,)
    return await records_of_customer_ticket(database, stored_ticket(ticket), since=since, until=until)


def _time(since: datetime | None, until: datetime | None, *, now: datetime) -> tuple[datetime, datetime]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = since.replace(tzinfo=UTC) if since is not None else today - timedelta(days=CUSTOMER_TICKET_DAYS)
    last = until.replace(tzinfo=UTC) if until is not None else today
    if last < first:
        raise UsageError("--until lies before --from")
    return first, last + timedelta(days=1)


def _numbers(record: AuditRecord, keys: AuditKeys) -> list[str | None]:
    """The numbers in a record, in their order; None for one whose key was destroyed."""
    try:
        return [keys.open(person, UUID(record.ticket_cbss)) for person in record.persons]
    except ValueError as error:
        raise UsageError(f"record {record.ticket_cbss}: {error}") from error


# -- what is printed ---------------------------------------------------------------------------------------------------


def _as_text(told: _Told) -> Iterator[str]:
    from cbss_inscription.client.dialect import one_line

    explanation, numbers = told.explanation, told.numbers
    record, outcome = explanation.record, explanation.record.outcome
    yield f"{outcome.value}  {explanation.code or '-'}  {explanation.text}"
    for name, value in _facts(explanation, numbers):
        yield f"  {name:<18}  {one_line(value)}"
    for code, text in explanation.anomalies:
        yield f"  {'told besides':<18}  {code}  {text}"
    for sentence in explanation.failed:
        yield f"  {'failed':<18}  {one_line(sentence)}"
    for changer in explanation.changers:
        yield f"  {'can be changed by':<18}  {one_line(_changer(changer.value, record))}"
    for one in told.authors:
        made = f"{one.rule}: version {one.version}, proposed by {one.proposed_by}, approved by {one.approved_by}"
        yield f"  {'made by':<18}  {one_line(made)}"
    for warning in explanation.warnings:
        yield f"  {'mind':<18}  {one_line(warning)}"


def _facts(explanation: Explanation, numbers: list[str | None]) -> Iterable[tuple[str, str]]:
    record, decision = explanation.record, explanation.record.decision
    facts: dict[str, str | None] = {
        "ticket": record.ticket_cbss,
        "customer ticket": record.customer_ticket,
        "received": record.timestamp_receive,
        "service": record.service,
        "operator": record.look.operator if record.look else None,
        "application": record.application_urn,
        "CBE number": record.cbe_number,
        "environment": record.environment,
        "operation": record.operation,
        "customer": record.customer,
        "legal context": record.legal_context,
        "contexts": ", ".join(record.inscription_contexts) or None,
        "reason": record.outcome.reason,
        "cause": explanation.cause,
        "remedy": explanation.remedy,
        "decided by": explanation.decided_by,
        "rules version": None if decision is None else str(decision.version),
        "access rule": None if decision is None else decision.access_rule,
        "permission": None if decision is None else decision.permission,
    }
    yield from ((name, value) for name, value in facts.items() if value is not None)
    for place, person in enumerate(record.persons):
        roles = ", ".join(role for role in ("asked", "current") if getattr(person, role)) or "told"
        shown = f"sealed by the key {person.key}"
        if numbers:
            shown = numbers[place] or f"sealed by the key {person.key}, which is not there any more"
        yield f"number ({roles})", shown


def _changer(word: str, record: AuditRecord) -> str:
    decision = record.decision
    rule = f" {decision.access_rule}" if decision and decision.access_rule else ""
    permission = f" {decision.permission}" if decision and decision.permission else ""
    return _CHANGES[word].format(rule=rule, permission=permission)


def _as_json(told: _Told) -> dict[str, Any]:
    import msgspec

    explanation, numbers = told.explanation, told.numbers
    return {
        "record": msgspec.to_builtins(explanation.record),
        "numbers": numbers,
        "code": explanation.code,
        "text": explanation.text,
        "cause": explanation.cause,
        "remedy": explanation.remedy,
        "decided_by": explanation.decided_by,
        "anomalies": [{"code": code, "text": text} for code, text in explanation.anomalies],
        "failed": list(explanation.failed),
        "can_be_changed_by": [_changer(changer.value, explanation.record) for changer in explanation.changers],
        "rules_made_by": msgspec.to_builtins(told.authors),
        "warnings": list(explanation.warnings),
    }
