"""The life of a number: how files are made, replaced, canceled, taken in, given back and corrected (rules 11 to 23).

Every event is one transaction under a lock that all events share, so that what was looked at still holds when it is
written: two persons never get one number, and no two replacements close a circle between them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol
from uuid import UUID

from msgspec.structs import replace

from cbss_inscription.domain.legal_data import GIVEN_NAMES_MAX, FileStatus, Gender, LegalData, Person, Register
from cbss_inscription.domain.life import FileChange, LifeEvent, LifeRecord
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.person_search import GivenNameMode, PhoneticCriteria
from cbss_inscription.domain.ssin import Series, Ssin, check_digits
from cbss_inscription.domain.ticket_cbss import new_ticket
from cbss_inscription.registers.port import DataAnomalyLog, PersonRegister
from cbss_inscription.registers.resolution import HOPS_MAX, ChainFault, Found, NotActive, Unknown, resolve

NAME_CHARACTERS_MAX: Final = 256
"""Characters of one name in a file that is made or corrected [D]."""
OPERATOR_CHARACTERS_MAX: Final = 64
"""Characters of the name of whoever lets an event happen."""
_SEQUENCE_MAX: Final = 998
"""Men have 001 to 997, women 002 to 998; 000 and 999 are never given (domain.md 1.1)."""
_COUNTER_DAYS: Final = range(10)
"""YY0000, then YY0001 to YY0009: where the counter goes on when that of a date has run out (domain.md 1.2)."""
_DAYS_OF_NOBODY: Final = range(20, 32)
"""YY0020 to YY0031, which that counter never reaches (docs/decisions/0003)."""
_YEARS_OF_NOBODY: Final = range(1940, 2000)
"""Years of birth whose numbers nobody bears under the check digits of a hundred years later (docs/decisions/0003)."""
_CENTURIES: Final = (1900, 2000)
_MONTH_OFFSETS: Final = MappingProxyType({Series.NR: 0, Series.BIS_SEX_UNKNOWN: 2000, Series.BIS_SEX_KNOWN: 4000})


class NumberIssue(StrEnum):
    """Which numbers are given to new files."""

    ISSUED = "issued"
    """Those of the registers: KB91, TI000."""
    NOBODY = "nobody"
    """For files of persons who do not exist: numbers that nobody bears (docs/decisions/0003)."""


class RefusalReason(StrEnum):
    """Why an event does not happen; nothing was written then."""

    UNKNOWN = "unknown"
    NOT_OURS = "not-ours"
    NOT_ACTIVE = "not-active"
    NOT_ACTIVE_THERE = "not-active-there"
    NOTHING_CHANGES = "nothing-changes"
    OTHER_REGISTER = "other-register"
    SUCCESSOR_UNKNOWN = "successor-unknown"
    SUCCESSOR_NOT_ACTIVE = "successor-not-active"
    OTHER_SUCCESSOR = "other-successor"
    LINES_ELSEWHERE = "lines-elsewhere"
    LOOP = ChainFault.LOOP.value
    TOO_LONG = ChainFault.TOO_LONG.value
    NO_NUMBER = "no-number"
    GENDER = "gender"
    NAMES = "names"
    FUTURE_DATE = "future-date"
    DECEASE_BEFORE_BIRTH = "decease-before-birth"


_SENTENCES: Final = MappingProxyType(
    {
        RefusalReason.UNKNOWN: "No register knows the number.",
        RefusalReason.NOT_OURS: "Another service keeps the register of this file: let it happen there, "
        "with the settings of that service.",
        RefusalReason.NOT_ACTIVE: "The number to be replaced or changed has no active file.",
        RefusalReason.NOT_ACTIVE_THERE: "The National Register has no active file of the number.",
        RefusalReason.NOTHING_CHANGES: "The file is so already.",
        RefusalReason.OTHER_REGISTER: "This does not happen to files of that register.",
        RefusalReason.SUCCESSOR_UNKNOWN: "No register knows the number that is to replace it.",
        RefusalReason.SUCCESSOR_NOT_ACTIVE: "The number that is to replace it leads to no active file.",
        RefusalReason.OTHER_SUCCESSOR: "Its register says that another number replaces it.",
        RefusalReason.LINES_ELSEWHERE: "Lines of it, or of the number that is to replace it, went to another number: "
        "which belong to whom is for people to say, by the history.",
        RefusalReason.LOOP: "The number that is to replace it is itself replaced by it, or by itself.",
        RefusalReason.TOO_LONG: f"A chain of more than {HOPS_MAX} replacements would result.",
        RefusalReason.NO_NUMBER: "No number is left for this birth date.",
        RefusalReason.GENDER: "A number of the National Register tells the sex, so it must be known.",
        RefusalReason.NAMES: f"A file has one last name and up to {GIVEN_NAMES_MAX} given names, each of 1 to "
        f"{NAME_CHARACTERS_MAX} printable characters.",
        RefusalReason.FUTURE_DATE: "A date lies in the future.",
        RefusalReason.DECEASE_BEFORE_BIRTH: "The decease lies before the birth.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What happened: to which number, which one carries on now, and our ticket, under which all records of it stand."""

    event: LifeEvent
    ssin: Ssin
    current_ssin: Ssin
    ticket_cbss: UUID
    recorded_at: datetime
    mutations: int = 0
    """Customers that were told."""
    lines: int = 0
    """Lines that went to the number which carries on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Persons like the one that a file was to be made for: none was made (rule 22). At most `CANDIDATES_MAX`."""

    persons: tuple[Person, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why nothing happened."""

    reason: RefusalReason
    status: FileStatus | None = field(default=None, compare=False)
    """What became of the file that is not active, for the sentence alone."""

    @property
    def sentence(self) -> str:
        """The reason for people, without numbers or names."""
        if self.reason is RefusalReason.NOT_ACTIVE and self.status is not None:
            return f"The number to be replaced or changed is {self.status.value} already."
        return _SENTENCES[self.reason]


class FilesUnderLock(Protocol):
    """Our store in one transaction, while no other event happens."""

    async def clock(self) -> datetime:
        """The time now, UTC, in milliseconds."""
        ...

    async def lock(self, ssins: Collection[Ssin]) -> None:
        """Nothing; until the transaction ends, nobody else changes lines of these numbers."""
        ...

    async def file_of(self, ssin: Ssin) -> Person | None:
        """The file of this very number in our store, of whatever register."""
        ...

    async def numbers_between(self, first: int, last: int) -> frozenset[int]:
        """The numbers of files in our store between two numbers, both included."""
        ...

    async def hops_to(self, ssin: Ssin, *, hops_max: int) -> int:
        """How many replacements the longest chain in our store has that leads to `ssin`, counted up to `hops_max`."""
        ...

    async def insert(self, person: Person, record: LifeRecord) -> None:
        """Nothing; the file of a number that had none is written, and its history begins."""
        ...

    async def update(self, person: Person, record: LifeRecord) -> None:
        """Nothing; the file of its number is as given, and its history tells both."""
        ...

    async def record_elsewhere(self, person: Person, record: LifeRecord) -> None:
        """Nothing; the history of a number whose file is not in our store tells what its register says."""
        ...

    async def tell_holders(self, ssin: Ssin, record: LifeRecord, *, current_ssin: Ssin, on_day: date | None) -> int:
        """How many customers were told, each by one mutation: those with a line on the day, or with any when None."""
        ...

    async def where_lines_went(self, ssin: Ssin) -> Ssin | None:
        """The number to which the lines of `ssin` were moved; None when they never were."""
        ...

    async def record_replacement(self, ssin: Ssin, replaced_by: Ssin, record: LifeRecord) -> None:
        """Nothing; from now on the lines of `ssin` go to another number."""
        ...

    async def move_lines(self, ssin: Ssin, record: LifeRecord, *, current_ssin: Ssin) -> int:
        """How many lines went to the current number, each set as the union of both numbers' (rule 19)."""
        ...


class FileStore(Protocol):
    """Where our files are kept, with the lines that hang on their numbers."""

    def opened(self) -> AbstractAsyncContextManager[FilesUnderLock]:
        """The files in a transaction: all of it is written, or nothing."""
        ...

    async def changes_of(self, ssin: Ssin) -> tuple[FileChange, ...]:
        """What happened to the file of a number, the first event first; a bounded number of them."""
        ...


class NumberLife:
    """What can happen to the files of `ours`, the registers that this process keeps.

    `registers` answers for every number, and `national_register` for those of the National Register alone, wherever it
    is. Every method raises `RepertoryUnavailable` when a register does not answer, and `TemporarilyUnavailable` when
    the store does not: nothing was written then.
    """

    def __init__(
        self,
        *,
        files: FileStore,
        registers: PersonRegister,
        national_register: PersonRegister,
        ours: Collection[Register],
        data_anomalies: DataAnomalyLog,
        number_issue: NumberIssue = NumberIssue.ISSUED,
        hops_max: int = HOPS_MAX,
        new_ticket: Callable[[], UUID] = new_ticket,
    ) -> None:
        self._files = files
        self._registers = registers
        self._national_register = national_register
        self._ours = frozenset(ours)
        self._data_anomalies = data_anomalies
        self._number_issue = number_issue
        self._hops_max = hops_max
        self._new_ticket = new_ticket

    async def create(
        self,
        legal_data: LegalData,
        *,
        register: Register = Register.BIS,
        given_name_mode: GivenNameMode = GivenNameMode.FIRST_LETTER_FIRST_GIVENNAME,
        operator: str,
    ) -> Done | Candidates | Refused:
        """A new file with the next free number of its birth date, unless a person like this one is known (rule 22).

        A BIS file is compared with the files of all registers, a National Register file with the National Register's
        (TI000). `given_name_mode` says how much of the given names must be alike for that.
        """
        if register is Register.RAD:
            return Refused(reason=RefusalReason.OTHER_REGISTER)  # RAD files come from the National Register (rule 12)
        if register not in self._ours:
            return Refused(reason=RefusalReason.NOT_OURS)
        if legal_data.last_name is None:
            return Refused(reason=RefusalReason.NAMES)
        gender = legal_data.gender or Gender.UNKNOWN
        if register is Register.NR and gender is Gender.UNKNOWN:
            return Refused(reason=RefusalReason.GENDER)  # domain.md 1.1: the parity of its numbers always tells it
        criteria = PhoneticCriteria(
            last_name=legal_data.last_name,
            given_names=legal_data.given_names,
            given_name_mode=given_name_mode,
            birth_date=legal_data.birth_date,
            gender=gender,
        )
        async with self._files.opened() as files:
            record = await self._record(files, LifeEvent.CREATED, operator)
            today = record.recorded_at.date()
            refusal = _refusal_of_data(legal_data.last_name, legal_data.given_names, legal_data.birth_date, None, today)
            if refusal is not None:
                return refusal
            alike = await (self._national_register if register is Register.NR else self._registers).like(criteria)
            if alike:
                return Candidates(persons=alike)
            ssin = await self._free_number(files, _series(register, gender), gender, legal_data.birth_date)
            if ssin is None:
                return Refused(reason=RefusalReason.NO_NUMBER)
            person = Person(
                ssin=ssin,
                register=register,
                status=FileStatus.ACTIVE,
                last_name=legal_data.last_name,
                given_names=legal_data.given_names,
                birth_date=legal_data.birth_date,
                gender=gender,
                register_inception_date=None if register is Register.NR else today,
            )
            await files.insert(person, record)
            return _done(record, ssin, ssin)

    async def replace(self, ssin: Ssin, replaced_by: Ssin, *, operator: str) -> Done | Refused:
        """The file of `ssin` is continued by another number, and all its lines go where that one's chain ends (19).

        When another register keeps the file, that register must say so already; its lines are moved then. Whoever
        holds a line, past ones too, is told once.
        """
        ticket = self._new_ticket()
        async with self._files.opened() as files:
            former = await files.file_of(ssin)
            is_ours = former is not None and former.register in self._ours
            if former is None or not is_ours:
                elsewhere = await self._replaced_elsewhere(ssin, replaced_by)
                if isinstance(elsewhere, Refused):
                    return elsewhere
                former = elsewhere
            elif former.status is not FileStatus.ACTIVE:
                return Refused(reason=RefusalReason.NOT_ACTIVE, status=former.status)
            successors = await self._successors(files, ssin, replaced_by, ticket)
            if isinstance(successors, Refused):
                return successors
            current = successors[-1]
            await files.lock((ssin, current))
            went = await files.where_lines_went(ssin)
            if await files.where_lines_went(current) is not None or went not in {None, *successors}:
                return self._anomaly(RefusalReason.LINES_ELSEWHERE, RefusalReason.LINES_ELSEWHERE, ticket)
            record = await self._record(files, LifeEvent.REPLACED, operator, ticket)
            if went is not None:
                return _done(record, ssin, current)
            if is_ours:
                await files.update(replace(former, status=FileStatus.REPLACED, replaced_by=replaced_by), record)
            else:
                await files.record_elsewhere(former, record)
            await files.record_replacement(ssin, current, record)
            mutations = await files.tell_holders(ssin, record, current_ssin=current, on_day=None)
            lines = await files.move_lines(ssin, record, current_ssin=current)
            return _done(record, ssin, current, mutations=mutations, lines=lines)

    async def settle(self, ssin: Ssin, *, operator: str) -> bool:
        """Whether all lines of the numbers in the chain of `ssin` are where it ends now, as rule 19 has it.

        For replacements that another register made: they become events here when one of their numbers is met.
        """
        chain = await self._registers.chain_of(ssin, hops_max=self._hops_max)
        for former in chain[:-1]:
            if former.replaced_by is not None and former.register not in self._ours:
                outcome = await self.replace(former.ssin, former.replaced_by, operator=operator)
                if isinstance(outcome, Refused):
                    return False
        return True

    async def cancel(self, ssin: Ssin, *, operator: str) -> Done | Refused:
        """The file is canceled, without a successor and for good (rule 15); its lines stay where they are."""

        def canceled(person: Person, _today: date) -> Person:
            return replace(person, status=FileStatus.CANCELED)

        return await self._change(ssin, LifeEvent.CANCELED, canceled, operator)

    async def rad_in(self, ssin: Ssin, *, day: date | None = None, operator: str) -> Done | Refused:
        """KSZ takes the file over from the National Register, since the day given or today (rule 21).

        When the National Register is elsewhere, its file as it is now is taken into our store.
        """

        def taken_in(person: Person, today: date) -> Person | Refused:
            since = day or today
            if since > today:
                return Refused(reason=RefusalReason.FUTURE_DATE)
            if person.register is Register.RAD:
                return Refused(reason=RefusalReason.NOTHING_CHANGES)
            return replace(person, register=Register.RAD, register_inception_date=since)

        if Register.RAD not in self._ours:
            return Refused(reason=RefusalReason.OTHER_REGISTER)
        if Register.NR in self._ours:
            return await self._change(ssin, LifeEvent.RAD_IN, taken_in, operator, of=(Register.NR, Register.RAD))
        return await self._take_copy(ssin, taken_in, operator)

    async def _take_copy(
        self, ssin: Ssin, taken_in: Callable[[Person, date], Person | Refused], operator: str
    ) -> Done | Refused:
        """A file that the National Register keeps elsewhere is RAD's now, as it is there."""
        async with self._files.opened() as files:
            # Asked before the number is locked: whoever changes its lines waits for us, not for another service.
            chain = await self._national_register.chain_of(ssin, hops_max=0)
            await files.lock((ssin,))
            record = await self._record(files, LifeEvent.RAD_IN, operator)
            ours = await files.file_of(ssin)
            if ours is not None and ours.register is not Register.NR:
                return _refusal_of_ours(ours)
            if not chain:
                return Refused(reason=RefusalReason.UNKNOWN)
            if chain[0].status is not FileStatus.ACTIVE:
                return Refused(reason=RefusalReason.NOT_ACTIVE, status=chain[0].status)
            copy = taken_in(chain[0], record.recorded_at.date())
            if isinstance(copy, Refused):
                return copy
            # A copy of a former stay is in our store still, as a file that is the National Register's.
            await (files.insert if ours is None else files.update)(copy, record)
            return await _told(files, ssin, record)

    async def rad_out(self, ssin: Ssin, *, operator: str) -> Done | Refused:
        """The National Register manages the file again (rule 21), when it has an active one."""
        if Register.RAD not in self._ours:
            return Refused(reason=RefusalReason.OTHER_REGISTER)
        there: tuple[Person, ...] | None = None
        if Register.NR not in self._ours:
            there = await self._national_register.chain_of(ssin, hops_max=0)

        def given_back(person: Person, _today: date) -> Person | Refused:
            # Whom the National Register elsewhere does not know would be known nowhere then.
            if there is not None and (not there or there[0].status is not FileStatus.ACTIVE):
                return Refused(reason=RefusalReason.NOT_ACTIVE_THERE)
            return replace(person, register=Register.NR, register_inception_date=None)

        return await self._change(
            ssin, LifeEvent.RAD_OUT, given_back, operator, of=(Register.NR, Register.RAD), nothing_if=Register.NR
        )

    async def decease(self, ssin: Ssin, decease_date: IncompleteDate, *, operator: str) -> Done | Refused:
        """The file says when its person died, as far as that is known; no line ends by it (rule 23)."""

        def deceased(person: Person, _today: date) -> Person:
            return replace(person, decease_date=decease_date)

        return await self._change(ssin, LifeEvent.DECEASED, deceased, operator)

    async def correct(self, ssin: Ssin, legal_data: LegalData, *, operator: str) -> Done | Refused:
        """The file has the legal data given; what is not given stays. The number stays in any case (rules 9, 10)."""

        def corrected(person: Person, _today: date) -> Person:
            return replace(
                person,
                last_name=person.last_name if legal_data.last_name is None else legal_data.last_name,
                given_names=legal_data.given_names or person.given_names,
                birth_date=legal_data.birth_date or person.birth_date,
                gender=person.gender if legal_data.gender is None else legal_data.gender,
            )

        return await self._change(ssin, LifeEvent.CORRECTED, corrected, operator)

    async def chain_of(self, ssin: Ssin) -> tuple[Person, ...]:
        """The file of a number and those that replace it, in whichever register; see `PersonRegister.chain_of`."""
        return await self._registers.chain_of(ssin, hops_max=self._hops_max)

    async def changes_of(self, ssin: Ssin) -> tuple[FileChange, ...]:
        """What happened to the file of a number; see `FileStore.changes_of`."""
        return await self._files.changes_of(ssin)

    async def _change(
        self,
        ssin: Ssin,
        event: LifeEvent,
        edit: Callable[[Person, date], Person | Refused],
        operator: str,
        *,
        of: Collection[Register] = tuple(Register),
        nothing_if: Register | None = None,
    ) -> Done | Refused:
        """An event in an active file of ours, told to the holders of a line on its day.

        `of`: the registers in whose files it can happen; `nothing_if`: the one in which it has happened already.
        """
        async with self._files.opened() as files:
            await files.lock((ssin,))
            record = await self._record(files, event, operator)
            person = await files.file_of(ssin)
            if person is not None and person.register is nothing_if and person.status is FileStatus.ACTIVE:
                return Refused(reason=RefusalReason.NOTHING_CHANGES)
            if person is None or person.register not in self._ours:
                known = await self._registers.chain_of(ssin, hops_max=0)
                return Refused(reason=RefusalReason.NOT_OURS if known else RefusalReason.UNKNOWN)
            if person.register not in of:
                return Refused(reason=RefusalReason.OTHER_REGISTER)
            if person.status is not FileStatus.ACTIVE:
                is_repeated = event is LifeEvent.CANCELED and person.status is FileStatus.CANCELED
                reason = RefusalReason.NOTHING_CHANGES if is_repeated else RefusalReason.NOT_ACTIVE
                return Refused(reason=reason, status=person.status)
            today = record.recorded_at.date()
            changed = edit(person, today)
            if isinstance(changed, Refused):
                return changed
            if changed == person:
                return Refused(reason=RefusalReason.NOTHING_CHANGES)
            refusal = _refusal_of_change(person, changed, today)
            if refusal is not None:
                return refusal
            await files.update(changed, record)
            return await _told(files, ssin, record)

    async def _record(
        self, files: FilesUnderLock, event: LifeEvent, operator: str, ticket: UUID | None = None
    ) -> LifeRecord:
        """What every record of the event says. To be made under all locks, so that times follow the commits."""
        return LifeRecord(
            event=event,
            ticket_cbss=ticket or self._new_ticket(),
            recorded_at=await files.clock(),
            operator=operator[:OPERATOR_CHARACTERS_MAX],
        )

    async def _replaced_elsewhere(self, ssin: Ssin, replaced_by: Ssin) -> Person | Refused:
        """The file that another register keeps and says to be replaced by this very number."""
        chain = await self._registers.chain_of(ssin, hops_max=0)
        if not chain:
            return Refused(reason=RefusalReason.UNKNOWN)
        if chain[0].status is not FileStatus.REPLACED:
            return Refused(reason=RefusalReason.NOT_OURS)
        if chain[0].replaced_by != replaced_by:
            return Refused(reason=RefusalReason.OTHER_SUCCESSOR)
        return chain[0]

    async def _successors(
        self, files: FilesUnderLock, ssin: Ssin, replaced_by: Ssin, ticket: UUID
    ) -> tuple[Ssin, ...] | Refused:
        """The numbers that follow `ssin` when it is replaced: the lines arrive at the last, whose file is active."""
        chain = await self._registers.chain_of(replaced_by, hops_max=self._hops_max)
        if ssin == replaced_by or ssin in {person.ssin for person in chain}:
            return self._anomaly(RefusalReason.LOOP, ChainFault.LOOP, ticket)
        match resolve(replaced_by, chain, hops_max=self._hops_max):
            case Unknown():
                return Refused(reason=RefusalReason.SUCCESSOR_UNKNOWN)
            case NotActive(fault=ChainFault() as fault):
                is_too_long = fault is ChainFault.TOO_LONG
                refusal = RefusalReason.TOO_LONG if is_too_long else RefusalReason.SUCCESSOR_NOT_ACTIVE
                return self._anomaly(refusal, fault, ticket)
            case NotActive():
                return Refused(reason=RefusalReason.SUCCESSOR_NOT_ACTIVE)
            case Found():
                hops = await files.hops_to(ssin, hops_max=self._hops_max) + len(chain)
                if hops > self._hops_max:
                    return self._anomaly(RefusalReason.TOO_LONG, ChainFault.TOO_LONG, ticket)
                return tuple(person.ssin for person in chain)

    def _anomaly(self, refusal: RefusalReason, reason: ChainFault | RefusalReason, ticket: UUID) -> Refused:
        self._data_anomalies.found_data_anomaly(ticket_cbss=ticket, reason=reason.value)
        return Refused(reason=refusal)

    async def _free_number(
        self, files: FilesUnderLock, series: Series, gender: Gender, birth_date: IncompleteDate | None
    ) -> Ssin | None:
        """The first number that no file of ours has ever had (rule 11); None when all are taken.

        The work is bounded: two sets of a dozen counters, each of at most a thousand numbers.
        """
        for digits, century in _counters(self._number_issue, series, birth_date):
            first = int(f"{digits:06d}00000")
            taken = await files.numbers_between(first, first + 99_999)
            for sequence in _sequences(series, gender):
                first_nine = f"{digits:06d}{sequence:03d}"
                ssin = Ssin(first_nine + check_digits(first_nine, century=century))
                if ssin.number not in taken:
                    return ssin
        return None


def _series(register: Register, gender: Gender) -> Series:
    # KB91 art. 2: month + 20 when the sex was unknown at the time of issue, + 40 when it was known.
    if register is Register.NR:
        return Series.NR
    return Series.BIS_SEX_UNKNOWN if gender is Gender.UNKNOWN else Series.BIS_SEX_KNOWN


def _sequences(series: Series, gender: Gender) -> range:
    # KB91 art. 3: the parity tells the sex, if it was known at the time of issue.
    if series is Series.BIS_SEX_UNKNOWN:
        return range(1, _SEQUENCE_MAX + 1)
    return range(1 if gender is Gender.MALE else 2, _SEQUENCE_MAX + 1, 2)


def _counters(issue: NumberIssue, series: Series, birth_date: IncompleteDate | None) -> Iterator[tuple[int, int]]:
    """The digits yymmdd of each counter, in the order in which they are used, and the century of its check digits."""
    offset = _MONTH_OFFSETS[series]
    year = birth_date.year % 100 * 10_000 + offset if birth_date is not None else offset
    centuries = (2000 if birth_date.year >= 2000 else 1900,) if birth_date is not None else _CENTURIES
    if issue is NumberIssue.NOBODY:
        if birth_date is None or birth_date.year not in _YEARS_OF_NOBODY:
            yield from ((year + day, century) for century in centuries for day in _DAYS_OF_NOBODY)
            return
        centuries = (2000,)
    if birth_date is not None and birth_date.month:
        yield year + birth_date.month * 100 + birth_date.day, centuries[0]
    # Of a person whose birth date is wholly unknown the fictitious one is 1900-00-01, or 2000-00-01 (domain.md 1.2).
    days = _COUNTER_DAYS if birth_date is not None else _COUNTER_DAYS[1:]
    yield from ((year + day, century) for century in centuries for day in days)


def _refusal_of_data(
    last_name: str | None,
    given_names: tuple[str, ...],
    birth_date: IncompleteDate | None,
    decease_date: IncompleteDate | None,
    today: date,
) -> Refused | None:
    names = given_names if last_name is None else (last_name, *given_names)
    if len(given_names) > GIVEN_NAMES_MAX or not all(map(_is_name, names)):
        return Refused(reason=RefusalReason.NAMES)
    # Only known parts speak: the first day that an incomplete date allows must not lie in the future.
    firsts = [(day.year, day.month or 1, day.day or 1) for day in (birth_date, decease_date) if day is not None]
    if any(first > (today.year, today.month, today.day) for first in firsts):
        return Refused(reason=RefusalReason.FUTURE_DATE)
    if birth_date is not None and decease_date is not None and _is_before(decease_date, birth_date):
        return Refused(reason=RefusalReason.DECEASE_BEFORE_BIRTH)
    return None


def _refusal_of_change(former: Person, changed: Person, today: date) -> Refused | None:
    """Why legal data cannot be changed so; what a file said before is not judged, wherever it came from."""
    dates_changed = (changed.birth_date, changed.decease_date) != (former.birth_date, former.decease_date)
    return _refusal_of_data(
        changed.last_name if changed.last_name != former.last_name else None,
        changed.given_names if changed.given_names != former.given_names else (),
        changed.birth_date if dates_changed else None,
        changed.decease_date if dates_changed else None,
        today,
    )


def _is_name(name: str) -> bool:
    return 0 < len(name) <= NAME_CHARACTERS_MAX and name == name.strip() and name.isprintable()


def _is_before(one: IncompleteDate, other: IncompleteDate) -> bool:
    for part, of_other in ((one.year, other.year), (one.month, other.month), (one.day, other.day)):
        if part == 0 or of_other == 0:
            return False
        if part != of_other:
            return part < of_other
    return False


def _refusal_of_ours(person: Person) -> Refused:
    """Why a file that is in our store as ours cannot be taken in."""
    if person.register is not Register.RAD:
        return Refused(reason=RefusalReason.OTHER_REGISTER)
    is_active = person.status is FileStatus.ACTIVE
    return Refused(
        reason=RefusalReason.NOTHING_CHANGES if is_active else RefusalReason.NOT_ACTIVE, status=person.status
    )


async def _told(files: FilesUnderLock, ssin: Ssin, record: LifeRecord) -> Done:
    on_day = record.recorded_at.date()
    mutations = await files.tell_holders(ssin, record, current_ssin=ssin, on_day=on_day)
    return _done(record, ssin, ssin, mutations=mutations)


def _done(record: LifeRecord, ssin: Ssin, current_ssin: Ssin, *, mutations: int = 0, lines: int = 0) -> Done:
    return Done(
        event=record.event,
        ssin=ssin,
        current_ssin=current_ssin,
        ticket_cbss=record.ticket_cbss,
        recorded_at=record.recorded_at,
        mutations=mutations,
        lines=lines,
    )
