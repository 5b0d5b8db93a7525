"""What the tests of batches share: an office that sends lines, online or in a batch, to the same kind of database."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import psycopg
from msgspec.structs import replace

from cbss_inscription.batch.answers import answers
from cbss_inscription.batch.engine import ChunkWorker
from cbss_inscription.batch.files import Chain, FilesTogether
from cbss_inscription.batch.intake import BatchIntake
from cbss_inscription.batch.request import request_of
from cbss_inscription.domain.batch import BatchHeader, BatchLine, BatchParty, BatchStatus, Submitted
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import CbssInscriptionError, RepertoryUnavailable, SchemaViolation
from cbss_inscription.domain.exchange import Caller, Exchange, Trail
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InsertInscription,
    Operation,
    UpdateInscription,
)
from cbss_inscription.domain.results import InscriptionResult
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.governance.journal import AuditKeys
from cbss_inscription.governance.volumes import VolumeMeter
from cbss_inscription.repertory.embedded import EmbeddedRepertory, Successions
from cbss_inscription.storage.batches import StoredBatches
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.journal import StoredJournal
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.storage.population import load_population
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from cbss_inscription.usecases.record_call import Call, record_of
from tests.batch.line_answers import LineAnswer, answers_in
from tests.conftest import FoundDataAnomalies
from tests.repertory.office import AID, CALLER, DEBT, GROUND, OTHER, OWN, WAGE, permission_of, rules_of

KEYS = AuditKeys({"k": (b"1" * 32, b"2" * 32)}, current="k")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
CONTEXTS = (WAGE, DEBT, AID)
RULES_OF_OFFICE = rules_of(permission_of(OWN), permission_of(OTHER))
HOPS_MAX = 2
LINES_MAX = 4
TABLES = (
    "inscription",
    "inscription_history",
    "answered_declaration",
    "replacement",
    "audit_record",
    "audit_chunk",
    "audit_person",
    "volume_count",
    "batch",
    "batch_lane",
    "batch_chunk",
)


class BatchLogKept(FoundDataAnomalies):
    """A `BatchLog` that keeps which lines were defects."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: list[int] = []

    def line_failed(self, *, batch_id: UUID, line: int, error: Exception) -> None:
        """See `BatchLog.line_failed`."""
        self.failed.append(line)


class VolumesUnread:
    """A `VolumeLog` that nobody reads."""

    def volume_reached(self, reached: Any) -> None:
        """See `VolumeLog.volume_reached`."""


@dataclass(frozen=True)
class RulesGiven:
    """An `AccessRulesSource` of one set of rules."""

    rules: AccessRules

    def current(self) -> AccessRules:
        """See `AccessRulesSource.current`."""
        return self.rules


class KeysGiven:
    """An `AuditKeysSource` of the tests' keys."""

    def current(self) -> AuditKeys:
        """See `AuditKeysSource.current`."""
        return KEYS


@dataclass
class SometimesAway:
    """Registers of which some numbers cannot be asked about."""

    registers: FilesTogether
    away: set[Ssin] = field(default_factory=set)
    after: Callable[[], None] = lambda: None

    async def chains_of(self, ssins: Collection[Ssin], *, hops_max: int) -> Mapping[Ssin, Chain]:
        """See `FilesTogether.chains_of`."""
        chains: dict[Ssin, Chain] = dict(await self.registers.chains_of(ssins, hops_max=hops_max))
        for ssin in self.away & chains.keys():
            chains[ssin] = RepertoryUnavailable("away")
        self.after()
        return chains


def header(
    sequence_number: int = 1, *, sender: CustomerIdentification = OWN, legal_context: Any = GROUND
) -> BatchHeader:
    """The header of a batch of this office."""
    return BatchHeader(
        sender=BatchParty(organization_identification=sender),
        receiver=BatchParty(organization_identification=CustomerIdentification(sector=25, institution=0)),
        legal_context=legal_context,
        sequence_number=sequence_number,
    )


def digest_of(sequence_number: int = 1) -> bytes:
    """The digest of that batch's file."""
    return sequence_number.to_bytes(32, "big")


@dataclass(kw_only=True)
class Works:
    """A database, and all that works on its batches and answers its online requests."""

    conninfo: str
    rules: AccessRules
    caller: Caller = CALLER
    chunk_lines: int = 1_000
    lanes: int = 1
    files: FilesTogether | None = None
    successions: Successions | None = None
    attempts_max: int = 1_000
    evidence_of: Collection[Operation] = ()
    connections_max: int = 4
    log: BatchLogKept = field(default_factory=BatchLogKept)
    meter: VolumeMeter = field(default_factory=lambda: VolumeMeter(log=VolumesUnread()))

    async def __aenter__(self) -> Self:
        self.database = Database(self.conninfo, connections_max=self.connections_max)
        await self.database.open()
        self.behind = psycopg.connect(self.conninfo, autocommit=True)
        self.batches = StoredBatches(self.database)
        self.journal = StoredJournal(self.database, worker=self.meter.worker)
        self.persons = StoredPersons(self.database)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.behind.close()
        await self.database.close()

    @property
    def intake(self) -> BatchIntake:
        """The way in."""
        return BatchIntake(
            self.conninfo,
            rules=RulesGiven(self.rules),
            chunk_lines=self.chunk_lines,
            lanes=self.lanes,
            clock=lambda: NOW,
        )

    @property
    def worker(self) -> ChunkWorker:
        """What works."""
        return ChunkWorker(
            batches=self.batches,
            files=self.files or self.persons,
            lines=StoredInscriptions(self.database),
            successions=self.successions,
            rules=RulesGiven(self.rules),
            known_contexts=lambda _: CONTEXTS,
            volumes=self.meter,
            journal=self.journal,
            audit_keys=KeysGiven(),
            log=self.log,
            service="CBSSInscription",
            clock=lambda: NOW,
            evidence_of=self.evidence_of,
            lines_max=LINES_MAX,
            hops_max=HOPS_MAX,
            attempts_max=self.attempts_max,
        )

    def submit(self, lines: Iterable[BatchLine], sequence_number: int = 1, **said: Any) -> Submitted:
        """The batch of these lines."""
        return self.intake.submit(
            header(sequence_number, **said), digest=digest_of(sequence_number), caller=self.caller, lines=lines
        )

    async def work(self) -> int:
        """How many chunks were worked on until nothing was left to do now."""
        chunks = 0
        while await self.worker.work() is not None:
            chunks += 1
        return chunks

    async def batch(self, lines: Iterable[BatchLine], sequence_number: int = 1, **said: Any) -> list[LineAnswer]:
        """The answers to these lines, as a batch that is worked on to its end."""
        submitted = self.submit(lines, sequence_number, **said)
        await self.work()
        return await self.answers(submitted.batch_id)

    async def answers(self, batch_id: UUID, from_line: int = 1) -> list[LineAnswer]:
        """The answers that are told by now, as values."""
        told = [
            line.number async for block in answers(self.batches, batch_id, from_line=from_line) for line, _ in block
        ]
        stored = {
            answer.line.number: answer
            async for chunks in self.batches.packed_blocks(batch_id, from_line=1)
            for chunk in chunks
            for answer in answers_in(*chunk)
        }
        return [stored[number] for number in told]

    async def status(self, batch_id: UUID) -> BatchStatus:
        """How the batch stands."""
        status = await self.batches.status(batch_id)
        assert status is not None
        return status

    async def online(self, lines: Iterable[BatchLine], **said: Any) -> list[InscriptionResult | CbssInscriptionError]:
        """The endings of these lines as requests, one after the other, each with its record."""
        repertory = EmbeddedRepertory(
            registers=self.persons,
            lines=StoredInscriptions(self.database),
            known_contexts=lambda _: CONTEXTS,
            data_anomalies=self.log,
            lines_max=LINES_MAX,
            hops_max=HOPS_MAX,
        )
        of_batch = header(**said)
        endings = []
        for line in lines:
            exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=NOW, caller=self.caller, trail=Trail())
            request: Any = None
            ending: Any = SchemaViolation("batch-line")
            if line.refused is None:
                request = request_of(line, of_batch)
                do = {
                    ConsultInscriptions: consult_inscriptions,
                    InsertInscription: insert_inscription,
                    UpdateInscription: update_inscription,
                    DeleteInscription: delete_inscription,
                }[type(request)]
                try:
                    ending = await do(  # type: ignore[operator]
                        request, exchange, rules=self.rules, repertory=repertory, volumes=self.meter
                    )
                except CbssInscriptionError as error:
                    ending = error
            endings.append(ending)
            call = Call(
                ticket_cbss=exchange.ticket_cbss,
                timestamp_receive=NOW,
                timestamp_reply=NOW,
                service="CBSSInscription",
                caller=self.caller,
                request=request,
                trail=exchange.trail,
                ending=ending,
                request_digest="",
                response_digest="",
            )
            await self.journal.write(record_of(call, KEYS), received_at=NOW)
        return endings

    def try_again(self) -> None:
        """Nothing; it is time to try what waits for a source."""
        self.behind.execute("UPDATE batch_lane SET retry_at = clock_timestamp()")

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What stands in the tables."""
        return self.behind.execute(query, parameters).fetchall()

    def empty(self) -> None:
        """Nothing; the tables are as new, but for the persons, and so is the meter."""
        with self.behind.transaction():
            self.behind.execute("SET LOCAL session_replication_role = replica")
            self.behind.execute(";".join(f"DELETE FROM {table}" for table in TABLES))
        self.meter = VolumeMeter(log=VolumesUnread())
        self.journal = StoredJournal(self.database, worker=self.meter.worker)
        self.log = BatchLogKept()

    def load(self, persons: Sequence[Person]) -> None:
        """Nothing; these persons are there."""
        load_population(self.conninfo, persons, recipe="test")

    def state(self) -> dict[str, Any]:
        """All that declarations leave behind, without what differs from one time to another."""
        records = [json.loads(content) for (content,) in self.rows("SELECT content FROM audit_journal ORDER BY 1")]
        for record in records:
            for name in ("ticket_cbss", "timestamp_reply", "request_digest", "response_digest"):
                del record[name]
            for person in record["persons"]:
                del person["sealed"]
        return {
            "lines": self.rows(
                "SELECT ssin, customer, inscription_context, periods::text FROM inscription ORDER BY 1, 2, 3"
            ),
            "history": self.rows(
                "SELECT ssin, customer, inscription_context, operation, before::text, after::text, customer_ticket,"
                " legal_context, application_urn, cbe_number FROM inscription_history ORDER BY change_number"
            ),
            "times": self.rows(
                "SELECT ssin, inscription_context, (SELECT count(DISTINCT time) FROM unnest(last_changes) AS time)"
                " FROM inscription WHERE cardinality(last_changes) < 2 ORDER BY 1, 2"
            ),
            "tickets": self.rows("SELECT customer, ticket, content FROM answered_declaration ORDER BY 1, 2"),
            "volumes": self.rows(
                "SELECT hour, permission, application_urn, customer, legal_context, operation, calls, refused"
                " FROM volume_count ORDER BY 2, 4, 6"
            ),
            "found": self.rows(
                "SELECT hash, count(*)"
                " FROM (SELECT person_hash FROM audit_person UNION SELECT unnest(person_hashes) FROM audit_chunk)"
                " AS known (hash)"
                " CROSS JOIN audit_records_found_by(ARRAY[hash], NULL, NULL) GROUP BY 1 ORDER BY 1"
            ),
            "records": sorted(json.dumps(record, sort_keys=True) for record in records),
        }


def plain(result: Any) -> Any:
    """A result without the times of its lines, which are those of the database's clock."""
    if isinstance(result, CbssInscriptionError):
        return result.code  # type: ignore[attr-defined]
    lines = tuple(replace(line, last_change=None) for line in result.inscriptions)
    return replace(result, inscriptions=lines)


def told(answer: LineAnswer) -> Any:
    """The same of an answer."""
    return answer.fault if answer.result is None else plain(answer.result)


def insertion(number: int, ssin: str, begin: date, end: date | None = None, **said: Any) -> BatchLine:
    """A line that adds a period, of one day unless it is said otherwise."""
    values: dict[str, Any] = {
        "operation": Operation.INSERT_INSCRIPTION,
        "inscription_contexts": (str(WAGE),),
        "period": (begin, end or begin),
    }
    return BatchLine(number=number, ssin=ssin, **(values | said))


def consultation(number: int, ssin: str, *contexts: str) -> BatchLine:
    """A line that asks for all lines."""
    return BatchLine(
        number=number, ssin=ssin, operation=Operation.CONSULT_INSCRIPTIONS, inscription_contexts=tuple(contexts)
    )
