"""An office that declares and consults in few words: what the tests of the repertory ask with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Self
from uuid import uuid4

import msgspec
import psycopg

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import FileStatus, Gender, LegalData, Person, Register
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InsertInscription,
    Operation,
    UpdateInscription,
)
from cbss_inscription.domain.results import ConsultResult, InscriptionResult, WriteResult
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from tests.repertory.memory import MemoryLines

WAGE, DEBT, AID = (InscriptionContext(f"PCSA:{name}") for name in ("LIVING_WAGE", "DEBT_MEDIATION", "OTHER_AID"))
GROUND, OTHER_GROUND = LegalContext("PCSA:SOCIAL_INQUIRY"), LegalContext("PCSA:LIVING_WAGE_GRANT")
OWN = CustomerIdentification(sector=17, institution=1)
OTHER = CustomerIdentification(sector=17, institution=2)
THIRD = CustomerIdentification(cbe_number="0200000012")
JANUARY, MARCH, MAY = "2024-01-01..2024-01-31", "2024-03-01..2024-03-31", "2024-05-01..2024-05-31"
CALLER = Caller(
    application_urn="urn:app:one",
    cbe_number="0200000012",
    environment="Acceptation",
    certificate_fingerprint="00" * 32,
)


def ssin_of(index: int) -> Ssin:
    """The number of the person with this index, 1 to 998."""
    first_nine = f"850730{index:03d}"
    return Ssin.parse(first_nine + check_digits(first_nine, century=1900))


def person_of(index: int, *, successor: int | None = None, canceled: bool = False, **changes: Any) -> Person:
    """The file of that person: active, unless it is said otherwise."""
    file = Person(
        ssin=ssin_of(index),
        register=Register.NR,
        status=FileStatus.CANCELED if canceled else FileStatus.ACTIVE if successor is None else FileStatus.REPLACED,
        replaced_by=None if successor is None else ssin_of(successor),
        last_name="Vandenbroeckelaere",
        given_names=("Wilhelmina", "Josephine"),
        birth_date=IncompleteDate(1985, 7, 30),
        gender=Gender.FEMALE,
    )
    return msgspec.structs.replace(file, **changes)


def permission_of(
    customer: CustomerIdentification, contexts: Iterable[InscriptionContext] = (WAGE, DEBT), **changes: Any
) -> Permission:
    """A permission of that customer, for every operation under both legal contexts."""
    values: dict[str, Any] = {
        "reference": f"KSZ-{customer.key}",
        "customer_identification": customer,
        "cbe_number": CALLER.cbe_number,
        "application_urns": (CALLER.application_urn,),
        "legal_contexts": frozenset({GROUND, OTHER_GROUND}),
        "inscription_contexts": frozenset(contexts),
        "operations": tuple(Operation),
        "valid_from": date(2000, 1, 1),
    }
    return Permission(**(values | changes))


def rules_of(*permissions: Permission) -> AccessRules:
    """Access rules that admit the caller to everything, under these permissions."""
    rule = AccessRule(
        dossier="UD-1",
        application_urn=CALLER.application_urn,
        cbe_number=CALLER.cbe_number,
        environment=CALLER.environment,
        operations=tuple(Operation),
        valid_from=date(2000, 1, 1),
    )
    return AccessRules(version=1, access_rules=(rule,), permissions=permissions)


def given(text: str) -> GivenPeriod:
    """`2024-01-01..2024-02-01`, `2024-01-01..` (open), `..2024-02-01` (whatever before)."""
    begin, end = (date.fromisoformat(part) if part else None for part in text.split(".."))
    return GivenPeriod(begin_date=begin, end_date=end)


def lines_of(result: InscriptionResult) -> list[str]:
    """The periods of the answer's lines, as `given` reads them."""
    return [f"{line.period.begin_date}..{line.period.end_date or ''}" for line in result.inscriptions]


def codes_of(result: WriteResult) -> list[str]:
    """The codes of the answer's anomalies."""
    return [anomaly.code.value for anomaly in result.anomalies]


@dataclass(kw_only=True)
class Office:
    """Asks about persons by their index, for a customer, under a ticket."""

    repertory: Repertory
    conninfo: str
    memory: MemoryLines | None = None
    """The lines, where they are in no database."""
    rules: AccessRules = field(default_factory=lambda: rules_of(permission_of(OWN), permission_of(OTHER)))
    customer: CustomerIdentification = OWN

    def at(self, customer: CustomerIdentification, *permissions: Permission) -> Self:
        """The same for another customer, and perhaps under other permissions."""
        return replace(self, customer=customer, rules=rules_of(*permissions) if permissions else self.rules)

    def insertion(
        self,
        index: int,
        period: str,
        *,
        ticket: str | None = None,
        context: InscriptionContext = WAGE,
        legal_data: LegalData | None = None,
        legal_context: LegalContext = GROUND,
    ) -> InsertInscription:
        """The request of an insertion."""
        head = self._head(index, ticket, legal_context)
        return InsertInscription(**head, inscription_context=context, period=given(period), legal_data=legal_data)

    async def insert(self, index: int, period: str, legal_data: LegalData | None = None, **said: Any) -> WriteResult:
        """The answer to an insertion."""
        request = self.insertion(index, period, legal_data=legal_data, **said)
        return await insert_inscription(request, self._exchange(), rules=self.rules, repertory=self.repertory)

    async def update(
        self, index: int, period: str, new: str, *, ticket: str | None = None, context: InscriptionContext = WAGE
    ) -> WriteResult:
        """The answer to an update."""
        request = UpdateInscription(
            **self._head(index, ticket), inscription_context=context, period=given(period), new_period=given(new)
        )
        return await update_inscription(request, self._exchange(), rules=self.rules, repertory=self.repertory)

    async def delete(
        self, index: int, period: str | None = None, *, ticket: str | None = None, context: InscriptionContext = WAGE
    ) -> WriteResult:
        """The answer to a deletion."""
        request = DeleteInscription(
            **self._head(index, ticket), inscription_context=context, period=None if period is None else given(period)
        )
        return await delete_inscription(request, self._exchange(), rules=self.rules, repertory=self.repertory)

    async def consult(
        self, index: int, *contexts: InscriptionContext, period: str | None = None, after: str | None = None
    ) -> ConsultResult:
        """The answer to a consultation."""
        request = ConsultInscriptions(
            **self._head(index, None),
            inscription_contexts=contexts,
            period=None if period is None else given(period),
            next=after,
        )
        return await consult_inscriptions(request, self._exchange(), rules=self.rules, repertory=self.repertory)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What is behind the repertory."""
        with psycopg.connect(self.conninfo) as connection:
            return connection.execute(query, parameters).fetchall()

    def count(self, table: str) -> int:
        """The rows of a table, or what memory has instead."""
        if self.memory is not None:
            return self.memory.count(table)
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def _head(self, index: int, ticket: str | None, legal_context: LegalContext = GROUND) -> dict[str, Any]:
        # Each message is sent at a time of its own, as a resend is.
        information = InformationCustomer(
            customer_identification=self.customer, ticket=ticket, timestamp_sent=datetime.now(UTC)
        )
        return {
            "information_customer": information,
            "legal_context": legal_context,
            "ssin": ssin_of(index).digits,
        }

    def _exchange(self) -> Exchange:
        return Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime(2024, 6, 1, tzinfo=UTC), caller=CALLER)


def move_lines(connection: psycopg.Connection[Any], old: int, new: int) -> None:
    """Nothing; the lines of `old` stand under `new` and the replacement is noted, in the transaction of `connection`.

    Only what a repertory looks at: `new` must have no line of the same key.
    """
    parameters = {"old": ssin_of(old).number, "new": ssin_of(new).number}
    connection.execute("UPDATE inscription SET ssin = %(new)s WHERE ssin = %(old)s", parameters)
    connection.execute(
        "INSERT INTO replacement (ssin, replaced_by, replaced_at, ticket_cbss)"
        " VALUES (%(old)s, %(new)s, now(), gen_random_uuid())",
        parameters,
    )


def empty_tables(conninfo: str) -> None:
    """Nothing; no line, no history, no ticket and no replacement is left."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # without the trigger that keeps history
        for table in ("inscription", "inscription_history", "answered_declaration", "replacement"):
            connection.execute(f"DELETE FROM {table}")
