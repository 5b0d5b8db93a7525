"""Which registers an installation has, and what can happen to their files: without any server around them.

Commands that work on the registers need these and no HTTP, so that is imported only for a register elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbss_inscription.app.settings import NationalRegister, Service, Settings
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import CBSS_REGISTERS, EVERY_REGISTER, Register
from cbss_inscription.registers.authority import AuthorityRegisters
from cbss_inscription.registers.life import NumberIssue, NumberLife
from cbss_inscription.registers.port import DataAnomalyLog, PersonRegister
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.persons import StoredPersons

if TYPE_CHECKING:
    from cbss_inscription.client.asker import CallLog
    from cbss_inscription.registers.national_register import RemoteNationalRegister


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """The registers as one, the National Register alone, and which of them our store keeps."""

    every: PersonRegister
    national: PersonRegister
    ours: frozenset[Register]
    remote: RemoteNationalRegister | None = None
    """The National Register, when it is another service."""

    async def close(self) -> None:
        """Nothing; connections to another service are closed."""
        if self.remote is not None:
            await self.remote.close()


def registers_of(settings: Settings, database: Database, *, log: CallLog) -> Registers:
    """The registers that the settings name. Raises `UsageError` for a file that is missing or broken.

    A façade with an upstream has none: its settings are refused too.
    """
    if settings.upstream is not None:
        raise UsageError("the persons are kept by the [upstream] of these settings: name the settings of that service")
    if settings.service is Service.NATIONAL_REGISTER:
        national = StoredPersons(database, registers={Register.NR})
        return Registers(every=national, national=national, ours=frozenset({Register.NR}))
    if settings.national_register is None:
        return Registers(
            every=StoredPersons(database),
            national=StoredPersons(database, registers={Register.NR}),
            ours=EVERY_REGISTER,
        )
    remote = _remote(settings.national_register, log)
    every = AuthorityRegisters(own=StoredPersons(database, registers=CBSS_REGISTERS), national=remote)
    return Registers(every=every, national=remote, ours=CBSS_REGISTERS, remote=remote)


def _remote(settings: NationalRegister, log: CallLog) -> RemoteNationalRegister:
    from cbss_inscription.app.asking import asker_of
    from cbss_inscription.client.dialect import DoorDialect
    from cbss_inscription.contract.door import Door
    from cbss_inscription.contract.schema import schema_of
    from cbss_inscription.registers.national_register import SOURCE, FileCache, RemoteNationalRegister

    schema_of(Door.PERSON)  # compiled here, not while the first caller waits
    cached = settings.cache_seconds > 0
    return RemoteNationalRegister(
        asker_of(settings, service=SOURCE, dialect=DoorDialect(Door.PERSON), log=log),
        customer_identification=settings.customer_identification,
        legal_context=LegalContext(settings.legal_context),
        cache=FileCache(seconds=settings.cache_seconds, persons_max=settings.cache_persons_max) if cached else None,
    )


def number_life(
    settings: Settings, database: Database, registers: Registers, *, data_anomalies: DataAnomalyLog
) -> NumberLife:
    """What can happen to the files of the registers that our store keeps."""
    return NumberLife(
        files=StoredFiles(database),
        registers=registers.every,
        national_register=registers.national,
        ours=registers.ours,
        data_anomalies=data_anomalies,
        number_issue=NumberIssue.NOBODY if settings.synthetic_numbers else NumberIssue.ISSUED,
    )
