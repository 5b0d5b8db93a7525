# ruff: noqa: INP001 - a program, in no package
"""How fast batches become answers, from one XML file to the other, with how much memory, and what the limit was.

    .venv/bin/python bench/batch.py [--lines 10000 --lines 1000000] [--workers 1 --workers 2 --workers 4] [--namespaces]
        [--kept] [--server shared_buffers=4GB]

Runs the bundled PostgreSQL in a temporary directory, with a population of which a part has inscriptions, and workers as
processes of their own, as the façade starts them; with `--namespaces` each in a network namespace, which reaches the
database over a pair of virtual interfaces, as from a host of its own (root only). Intake, and writing of answers while
the workers work, are processes of their own, too, so that the memory of each is told. Of the lines 38 % insert, 22 %
update, 10 % delete and 30 % consult; 10 % give legal data, and 2 % are wrong: unknown numbers, wrong check digits,
contexts that are not granted, legal data of somebody else. CPU is read from /proc: of the workers, and of the
database's processes. With `--kept` the journal is chained and sealed meanwhile, as a service does, which the database's
share then includes; without, that is left for later. `--server` sets the database otherwise than the bundled one is.

Absolute targets are for the design's machine: what is measured is told raw and as that machine would have it, by the
`slowness` of this one before and after each run (`slowness.py`). Ends with 1 when two workers answer fewer lines a
second than `LINES_A_SECOND_MIN`, so scaled, or a process takes more memory than `MEMORY_MIB_MAX`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar
from uuid import UUID, uuid4

import psycopg
from slowness import Machine

from cbss_inscription.app.background import NICENESS, collect_seldom
from cbss_inscription.app.batches import FOLLOW_SECONDS
from cbss_inscription.app.keeping import JournalKeeper
from cbss_inscription.app.settings import read_settings
from cbss_inscription.app.telemetry import SupervisorLog
from cbss_inscription.batch.answers import answers_as_they_come
from cbss_inscription.batch.intake import BatchIntake
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.reading import BatchFormat, open_batch
from cbss_inscription.batch.results import write_results
from cbss_inscription.batch.xml_answers import XmlAnswers
from cbss_inscription.domain.batch import BatchHeader, BatchLegalData, BatchLine, BatchParty
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import ConsultInscriptions, Operation
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission, write_access_rules
from cbss_inscription.governance.journal import new_audit_keys, read_audit_keys
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage.batches import StoredBatches
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.journal import StoredJournal
from cbss_inscription.storage.migration import migrate
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from cbss_inscription.usecases.record_call import Call, record_of

LINES_A_SECOND_MIN = 20_000
"""With two workers, on the design's machine."""
MEMORY_MIB_MAX = 300
CALLS_A_SECOND = 50
ROUNDS = 5
"""Calls alone and calls beside a batch take turns, so that what else goes on meets both."""
SLOWER_MAX = 2.0
"""How much longer one call in a hundred may take while a batch is worked on at the default share."""
SEQUENCES = 997
"""Numbers of one day: the population takes as many days as it needs."""
SENDER = CustomerIdentification(sector=17, institution=1)
CALLER = Caller(
    application_urn="urn:app:bench", cbe_number="0200000012", environment="LOCAL", certificate_fingerprint="00" * 32
)
WAGE, DEBT, UNGRANTED = "PCSA:LIVING_WAGE", "PCSA:DEBT_MEDIATION", "PCSA:OTHER_AID"
GROUND = LegalContext("PCSA:SOCIAL_INQUIRY")
POPULATION = """
    WITH number AS (
        SELECT n, to_char(date '1950-01-01' + (n / 997), 'YYMMDD') || lpad((n %% 997 + 1)::text, 3, '0') AS nine
        FROM generate_series(0, %(persons)s - 1) AS n
    )
    INSERT INTO person (ssin, register, status, last_name, given_names, birth_date, gender_code, phonetic_key)
    SELECT (nine || lpad((97 - nine::bigint %% 97)::text, 2, '0'))::bigint, 'nr', 'active', 'Peeters',
           '{Anna,Maria}', to_char(date '1950-01-01' + (n / 997), 'YYYY-MM-DD'), 2, 'PTRS'
    FROM number
"""
INSCRIPTIONS = """
    INSERT INTO inscription (ssin, customer, inscription_context, periods, last_changes)
    SELECT ssin, '17/1', 'PCSA:DEBT_MEDIATION', '{[2020-01-01,2024-01-01)}', ARRAY[timestamptz '2020-01-01']
    FROM person WHERE ssin % 100 < 50
"""


def rules() -> AccessRules:
    """Access rules that let the caller do everything in two contexts."""
    application = {"application_urn": CALLER.application_urn, "cbe_number": CALLER.cbe_number}
    rule = AccessRule(
        dossier="UD-1",
        **application,
        environment=CALLER.environment,
        operations=tuple(Operation),
        valid_from=date(2000, 1, 1),
    )
    permission = Permission(
        reference="KSZ-1",
        customer_identification=SENDER,
        cbe_number=CALLER.cbe_number,
        application_urns=(CALLER.application_urn,),
        legal_contexts=frozenset({GROUND}),
        inscription_contexts=frozenset({InscriptionContext(WAGE), InscriptionContext(DEBT)}),
        operations=tuple(Operation),
        valid_from=date(2000, 1, 1),
    )
    return AccessRules(version=1, access_rules=(rule,), permissions=(permission,))


@dataclass(frozen=True)
class Rules:
    """An `AccessRulesSource` of one set of rules."""

    rules: AccessRules

    def current(self) -> AccessRules:
        """See `AccessRulesSource`."""
        return self.rules


class Unread:
    """A `DataAnomalyLog` that nobody reads."""

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        """See `DataAnomalyLog`."""
        del ticket_cbss, reason


def digits_of(index: int) -> str:
    """The number of a person of the population."""
    day = date(1950, 1, 1) + timedelta(index // SEQUENCES)
    nine = f"{day:%y%m%d}{index % SEQUENCES + 1:03d}"
    return nine + f"{97 - int(nine) % 97:02d}"


def mixed_lines(count: int, persons: int, *, seed: int, first_number: int = 1) -> Iterator[BatchLine]:
    """So many lines in the mixture that the module describes; another seed makes others."""
    chance = random.Random(seed)  # noqa: S311  # a benchmark's, the same each time
    for number in range(first_number, first_number + count):
        index = chance.randrange(persons)
        ssin, context = digits_of(index), WAGE
        begin = date(2024, 1, 1) + timedelta(chance.randrange(600))
        period = (begin, begin + timedelta(chance.randrange(300)))
        kind, error = chance.random(), chance.random()
        given = BatchLegalData(last_name="Peeters", given_names=("Anna",), gender=2)
        ticket = f"{seed}-{number}"
        if error < 0.005:
            ssin = ssin[:9] + ("00" if ssin[9:] != "00" else "01")
        elif error < 0.010:
            ssin = "98123199759"
        elif error < 0.015:
            context = UNGRANTED
        elif error < 0.020:
            given = BatchLegalData(last_name="Janssens", gender=1)
            kind = 0.0
        if kind < 0.10:
            yield BatchLine(
                number=number, ticket=ticket, operation=Operation.INSERT_INSCRIPTION, ssin=ssin,
                inscription_contexts=(context,), period=period, legal_data=given,
            )  # fmt: skip
        elif kind < 0.38:
            yield BatchLine(
                number=number, ticket=ticket, operation=Operation.INSERT_INSCRIPTION, ssin=ssin,
                inscription_contexts=(context,), period=period,
            )  # fmt: skip
        elif kind < 0.60:
            if int(ssin) % 100 >= 50 and error >= 0.020:  # where there is one to update
                ssin = next(
                    one for step in range(persons) if int(one := digits_of((index + step) % persons)) % 100 < 50
                )
            yield BatchLine(
                number=number, ticket=ticket, operation=Operation.UPDATE_INSCRIPTION, ssin=ssin,
                inscription_contexts=(DEBT if context == WAGE else context,),
                period=(date(2020, 1, 1), date(2023, 12, 31)), new_period=(date(2020, 1, 1), date(2023, 12, 31)),
            )  # fmt: skip
        elif kind < 0.70:
            yield BatchLine(
                number=number, ticket=ticket, operation=Operation.DELETE_INSCRIPTION, ssin=ssin,
                inscription_contexts=(context,), period=(begin, None),
            )  # fmt: skip
        else:
            yield BatchLine(
                number=number, ticket=ticket, operation=Operation.CONSULT_INSCRIPTIONS, ssin=ssin,
                inscription_contexts=(context,),
            )  # fmt: skip


def header(sequence_number: int) -> BatchHeader:
    """The header of a batch."""
    return BatchHeader(
        sender=BatchParty(organization_identification=SENDER),
        receiver=BatchParty(organization_identification=CustomerIdentification(sector=25, institution=0)),
        legal_context=GROUND,
        sequence_number=sequence_number,
    )


def write_file(path: Path, head: BatchHeader, lines: Iterable[BatchLine]) -> None:
    """Nothing; the file is a batch of these lines, as a program would write it."""
    with path.open("w", encoding="utf-8") as file:
        opening = XmlAnswers(head).head().replace("inscriptionBatchResponse", "inscriptionBatchRequest")
        file.write(opening.replace("<responses>", "<requests>"))
        file.writelines(map(as_request, lines))
        file.write("</requests></bat:inscriptionBatchRequest>")


def as_request(line: BatchLine) -> str:
    """A line in XML."""
    assert line.operation is not None
    word = line.operation.value.removesuffix("s").removesuffix("Inscription")
    about = f"<inscriptionContext>{line.inscription_contexts[0]}</inscriptionContext>{_period(line.period, 'period')}"
    if word in {"insert", "update"}:
        about = f"<inscription>{about}</inscription>{_period(line.new_period, 'newPeriod')}"
    given = line.legal_data
    if given is not None:
        about += f"<legalData><name><lastName>{given.last_name}</lastName>"
        about += "".join(f"<givenName>{name}</givenName>" for name in given.given_names)
        about += f"</name><gender><genderCode>{given.gender}</genderCode></gender></legalData>"
    return (
        f"<request><ticket>{line.ticket}</ticket><declaration><{word}><ssin>{line.ssin}</ssin>{about}</{word}>"
        "</declaration></request>\n"
    )


def _period(period: tuple[date | None, date | None] | None, name: str) -> str:
    if period is None:
        return ""
    begin, end = period
    return f"<{name}><beginDate>{begin}</beginDate>{f'<endDate>{end}</endDate>' if end else ''}</{name}>"


def write_settings(
    directory: Path, conninfo: str, chunk_lines: int, *, share: float | None = 1, name: str = "facade"
) -> Path:
    """The settings file of a façade whose workers have this share, or the default one."""
    (directory / "rules.yaml").write_bytes(write_access_rules(rules()))
    if not (directory / "audit.toml").exists():
        (directory / "audit.toml").write_bytes(new_audit_keys("bench"))
    said = "" if share is None else f"share = {share}\n"
    path = directory / f"{name}.toml"
    path.write_text(
        f'environment = "LOCAL"\npublic_url = "https://localhost"\ndatabase = "{conninfo}"\n'
        'access_rules = "rules.yaml"\n'
        '[tls]\ncertificate = "none"\nprivate_key = "none"\n[trust]\napplication_authorities = "none"\n'
        f'[audit]\nkeys = "audit.toml"\n[batch]\n{said}chunk_lines = {chunk_lines}\n',
        encoding="utf-8",
    )
    return path


class Hosts:
    """Network namespaces, each joined to this one by a pair of virtual interfaces: hosts beside that of the database.

    Nothing but the pair reaches what listens on its addresses, which are those set aside for benchmarks (RFC 2544).
    """

    def __init__(self, count: int) -> None:
        self.addresses = [f"198.18.{number}.1" for number in range(count)]
        """Of this side: one for each host."""
        self._names = [f"cbss-bench-{os.getpid()}-{number}" for number in range(count)]

    def __enter__(self) -> Self:
        if shutil.which("ip") is None:
            raise SystemExit("network namespaces: there is no `ip` here (Debian: iproute2)")
        try:
            for number, name in enumerate(self._names):
                ours, theirs = f"cbss{os.getpid()}h{number}"[-15:], f"cbss{os.getpid()}g{number}"[-15:]
                _ip("netns", "add", name)
                _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
                _ip("address", "add", f"{self.addresses[number]}/30", "dev", ours)
                _ip("link", "set", ours, "up")
                _ip("-n", name, "address", "add", f"198.18.{number}.2/30", "dev", theirs)
                _ip("-n", name, "link", "set", theirs, "up")
                _ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            self._remove()
            raise SystemExit(f"network namespaces are not permitted here: {error.stderr.strip()}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for name in self._names:  # with it goes the pair of interfaces
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)  # noqa: S603, S607

    def command(self, number: int) -> list[str]:
        """What runs a command on a host."""
        return ["ip", "netns", "exec", self._names[number]]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)  # noqa: S603, S607


Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something took in a process of its own."""

    seconds: float
    cpu: float
    memory_mib: float


@contextmanager
def measured(work: Callable[..., Value], *arguments: object) -> Iterator[Future[tuple[Value, Cost]]]:
    """What work gives, in a new process that it is begun in, and what it cost."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        yield one.submit(_measured, work, arguments)


def _measured(work: Callable[..., Value], arguments: tuple[object, ...]) -> tuple[Value, Cost]:
    began, cpu = time.perf_counter(), time.process_time()
    value = work(*arguments)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return value, Cost(seconds=seconds, cpu=cpu, memory_mib=memory_mib(os.getpid()))


def memory_mib(process_id: int) -> float:
    """The most memory that a process has had; 0 when it has ended."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    words = status.partition("VmHWM:")[2].split()
    return int(words[0]) / 1024 if words else 0.0


def idle_seconds() -> float:
    """For how long the cores of this machine together have had nothing to do."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split(maxsplit=6)
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def take_in(conninfo: str, asked: Path, chunk_lines: int, seed: int) -> UUID:
    """The batch that a file is now."""
    collect_seldom()
    with asked.open("rb") as file:
        head, read = open_batch(file, form=BatchFormat.XML, limits=BatchLimits())
        intake = BatchIntake(conninfo, rules=Rules(rules()), chunk_lines=chunk_lines)
        digest = hashlib.sha256(str(seed).encode()).digest()
        return intake.submit(head, digest=digest, caller=CALLER, lines=read).batch_id


def write_answers(conninfo: str, batch_id: UUID, path: Path) -> int:
    """How many answers are in the file, when the batch is finished."""
    os.nice(NICENESS)
    collect_seldom()

    async def write() -> int:
        database = Database(conninfo, connections_max=1)
        await database.open()
        try:
            told = answers_as_they_come(StoredBatches(database), batch_id, pause=partial(asyncio.sleep, FOLLOW_SECONDS))
            written = await write_results(path, told, header=header(0), form=BatchFormat.XML)
        finally:
            await database.close()
        return written.answers

    return asyncio.run(write())


IS_OPEN = "SELECT true FROM batch WHERE batch_id = %(batch_id)s AND finished_at IS NULL"
UNCHAINED = """
SELECT coalesce(sum(record_count), 0)::integer FROM audit_chunk
WHERE record_number > (SELECT record_number FROM audit_chain)
"""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How far the journal was chained and sealed behind a batch."""

    late: int
    """Records that were not chained yet when the last line was done."""
    seconds: float
    """From then on until they were, and sealed."""


def keep(conninfo: str, settings: Path, batch_id: UUID) -> Kept:
    """What became of the journal while a batch was worked on; returns when all of it is chained and sealed."""
    with Path(os.devnull).open("wb") as unread, psycopg.connect(conninfo, autocommit=True) as connection:
        keeper = JournalKeeper(read_settings(settings), log=SupervisorLog(unread))
        keeper.start()
        while connection.execute(IS_OPEN, {"batch_id": batch_id}).fetchone() is not None:
            time.sleep(0.1)
        began, (late,) = time.perf_counter(), connection.execute(UNCHAINED).fetchone() or (0,)
        while connection.execute(UNCHAINED).fetchone() != (0,):
            time.sleep(0.1)
        keeper.finish()
        keeper.stop()
        return Kept(late=late, seconds=time.perf_counter() - began)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one batch took."""

    lines: int
    workers: int
    hosts: int
    """Network namespaces that they were in; 0: that of the database."""
    intake: Cost
    work: Cost
    """Of all workers; the memory is that of the largest."""
    answers: Cost
    """From when the workers began."""
    server_cpu: float
    slowness: float
    idle: float
    """Seconds of all cores together, while the workers worked, in which nobody used them."""
    keeping: tuple[Kept, Cost] | None
    """Where the journal was kept meanwhile."""

    @property
    def seconds(self) -> float:
        """From the first line read to the last answer written, which are written while the workers work."""
        return self.intake.seconds + self.answers.seconds

    @property
    def rate(self) -> float:
        """Lines a second at work."""
        return self.lines / self.work.seconds

    @property
    def scaled_rate(self) -> float:
        """As the design's machine would have it."""
        return self.rate * self.slowness

    @property
    def memory_mib(self) -> float:
        """Of the largest process."""
        return max(self.intake.memory_mib, self.work.memory_mib, self.answers.memory_mib)

    def _micros(self) -> dict[str, float]:
        cpu = {"intake": self.intake.cpu, "workers": self.work.cpu, "database": self.server_cpu}
        return {name: one * 1e6 / self.lines for name, one in (cpu | {"answers": self.answers.cpu}).items()}

    def text(self) -> str:
        """One line."""
        micros = ", ".join(f"{name} {one:.1f} ({one / self.slowness:.1f})" for name, one in self._micros().items())
        return (
            f"{self.lines:>9} lines, {self.workers} workers{f' on {self.hosts} hosts' if self.hosts else ''}: "
            f"{self.lines / self.seconds:.0f}/s in all, {self.rate:.0f}/s at work, scaled {self.scaled_rate:.0f}/s; "
            f"CPU µs a line (scaled by {self.slowness:.2f}): {micros}; "
            f"MiB: intake {self.intake.memory_mib:.0f}, a worker {self.work.memory_mib:.0f}, "
            f"answers {self.answers.memory_mib:.0f}; limit: {self.limit()}{self._kept()}"
        )

    def _kept(self) -> str:
        if self.keeping is None:
            return ""
        kept, cost = self.keeping
        return (
            f"; journal kept meanwhile by {cost.cpu * 1e6 / self.lines:.1f} µs a line in {cost.memory_mib:.0f} MiB, "
            f"{kept.late} records chained after the last line was done, in {kept.seconds:.1f} s"
        )

    def row(self) -> str:
        """One row of a table in Markdown."""
        raw = " / ".join(f"{one:.0f}" for one in self._micros().values())
        scaled = " / ".join(f"{one / self.slowness:.0f}" for one in self._micros().values())
        workers = f"{self.workers}{f', {self.hosts} hosts' if self.hosts else ''}"
        sizes = f"{self.intake.memory_mib:.0f} / {self.work.memory_mib:.0f} / {self.answers.memory_mib:.0f}"
        return (
            f"| {self.lines} | {workers} | {self.rate:.0f} | {self.scaled_rate:.0f} | {raw} | {scaled} | {sizes} "
            f"| {self.limit()} |"
        )

    def limit(self) -> str:
        """What was busy while the workers worked."""
        cores = os.cpu_count() or 1
        busy = (self.work.cpu + self.answers.cpu + self.server_cpu) / (self.work.seconds * cores)
        if busy > 0.85:
            larger = "the workers" if self.work.cpu > self.server_cpu else "the database"
            return f"all {cores} cores ({busy:.0%} busy), most of it {larger}"
        others = 1 - busy - self.idle / (self.work.seconds * cores)
        if others > 0.15:
            return f"other programs, which had {others:.0%} of all cores (ours: {busy:.0%})"
        one = self.work.cpu / self.work.seconds / self.workers
        return f"workers that wait for the database ({one:.0%} of a core each; {busy:.0%} of all cores busy)"


class Bench:
    """A database with a population, and the workers that are tried on it."""

    def __init__(
        self,
        directory: Path,
        server: EmbeddedServer,
        *,
        persons: int,
        chunk_lines: int,
        hosts: Hosts | None = None,
        is_kept: bool = False,
    ) -> None:
        assert server.process_id is not None
        self._conninfo = server.connection_string
        self._postmaster = server.process_id
        self._persons = persons
        self._chunk_lines = chunk_lines
        self._directory = directory
        self._hosts = hosts
        self._is_kept = is_kept
        self._machine = Machine()
        self._settings = [
            self._write_settings(number) for number in range(1 if hosts is None else len(hosts.addresses))
        ]
        self._keys = (directory / "audit.toml").read_bytes()
        self._sequence = 0

    def prepare(self) -> None:
        """Nothing; the population is there."""
        with psycopg.connect(self._conninfo) as connection:
            connection.execute(POPULATION, {"persons": self._persons})
            connection.execute(INSCRIPTIONS)
        self._settle()

    def _settle(self) -> None:
        """Nothing; the server has done what it owes for what was written."""
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")

    def run(self, lines: int, workers: int) -> Figures:
        """What a batch of so many lines takes with so many workers."""
        self._sequence += 1
        seed = self._sequence
        asked, answered = self._directory / "asked.xml", self._directory / "answered.xml"
        write_file(asked, header(seed), mixed_lines(lines, self._persons, seed=seed))
        slowness = self._machine.slowness()
        with measured(take_in, self._conninfo, asked, self._chunk_lines, seed) as taken:
            batch_id, intake = taken.result()
        asked.unlink()
        server_cpu, idle, began = self._server_cpu(), idle_seconds(), time.perf_counter()
        with measured(write_answers, self._conninfo, batch_id, answered) as written, ExitStack() as beside:
            kept = (
                beside.enter_context(measured(keep, self._conninfo, self._settings[0], batch_id))
                if self._is_kept
                else None
            )
            work = self._work(workers)
            server_cpu, idle = self._server_cpu() - server_cpu, idle_seconds() - idle
            counted, writing = written.result()
            writing = replace(writing, seconds=time.perf_counter() - began)
            keeping = None if kept is None else kept.result()
        answered.unlink()
        if counted != lines:
            raise SystemExit(f"{counted} answers to {lines} lines")
        return Figures(
            lines=lines,
            workers=workers,
            hosts=0 if self._hosts is None else min(workers, len(self._hosts.addresses)),
            intake=intake,
            work=work,
            answers=writing,
            server_cpu=server_cpu,
            idle=idle,
            keeping=keeping,
            slowness=(slowness + self._machine.slowness()) / 2,
        )

    def _work(self, workers: int) -> Cost:
        """What workers took until nothing was left to do."""
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        running, largest = [self._start(number) for number in range(workers)], 0.0
        while any(process.poll() is None for process in running):
            largest = max(largest, *(memory_mib(process.pid) for process in running))
            time.sleep(0.05)
        if any(process.returncode for process in running):
            raise SystemExit("a worker failed")
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(seconds=seconds, cpu=cpu, memory_mib=largest)

    def _write_settings(self, host: int, *, share: float | None = 1) -> Path:
        conninfo = self._conninfo
        if self._hosts is not None:
            conninfo = psycopg.conninfo.make_conninfo(conninfo, host=self._hosts.addresses[host])
        return write_settings(self._directory, conninfo, self._chunk_lines, share=share, name=f"facade{host}")

    async def calls(self, seconds: float) -> list[float]:
        """The times of consultations, with their records, that come at `CALLS_A_SECOND` for so long, sorted."""
        database = Database(self._conninfo)
        await database.open()
        repertory = EmbeddedRepertory(
            registers=StoredPersons(database),
            lines=StoredInscriptions(database),
            known_contexts=rules().contexts_known_to,
            data_anomalies=Unread(),
        )
        journal, keys = StoredJournal(database), read_audit_keys(self._keys, origin="bench")
        times: list[float] = []

        async def call(index: int) -> None:
            began = time.perf_counter()
            request = ConsultInscriptions(
                information_customer=InformationCustomer(customer_identification=SENDER),
                legal_context=GROUND,
                ssin=digits_of(index),
            )
            now = datetime.now(UTC)
            exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=now, caller=CALLER)
            result = await consult_inscriptions(request, exchange, rules=rules(), repertory=repertory)
            record = record_of(
                Call(
                    ticket_cbss=exchange.ticket_cbss, timestamp_receive=now, timestamp_reply=datetime.now(UTC),
                    service="bench", caller=CALLER, request=request, trail=exchange.trail, ending=result,
                    request_digest="", response_digest="",
                ),
                keys,
            )  # fmt: skip
            await journal.write(record, received_at=now)
            times.append(time.perf_counter() - began)

        try:
            async with asyncio.TaskGroup() as group:
                for index in range(int(seconds * CALLS_A_SECOND)):
                    group.create_task(call(index * 7919 % self._persons))
                    await asyncio.sleep(1 / CALLS_A_SECOND)
        finally:
            await database.close()
        return sorted(times)

    def calls_beside_a_batch(self, seconds: float) -> tuple[list[float], list[float]]:
        """The times of calls without a batch, and beside one that never ends, at the default share, sorted."""
        self._sequence += 1
        intake = BatchIntake(self._conninfo, rules=Rules(rules()), chunk_lines=self._chunk_lines)
        intake.submit(
            header(self._sequence),
            digest=hashlib.sha256(b"beside").digest(),
            caller=CALLER,
            lines=mixed_lines(200_000, self._persons, seed=self._sequence),
        )
        self._write_settings(0, share=None)
        self._settle()
        alone, beside = list[float](), list[float]()
        for _ in range(ROUNDS):
            alone += asyncio.run(self.calls(seconds / ROUNDS))
            worker = self._start(0)
            try:
                time.sleep(3)  # until it works
                beside += asyncio.run(self.calls(seconds / ROUNDS))
            finally:
                worker.kill()
                worker.wait()
        return sorted(alone), sorted(beside)

    def _server_cpu(self) -> float:
        """CPU seconds of the database so far, those of sessions that ended included."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if int(stat.parent.name) == self._postmaster:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == self._postmaster:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        host = number % len(self._settings)
        where = [] if self._hosts is None else self._hosts.command(host)
        command = [sys.executable, "-m", "cbss_inscription.cli.main", "batch", "work", "--until-idle"]
        return subprocess.Popen(  # noqa: S603  # our own command
            [*where, *command, "--settings", str(self._settings[host])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


TABLE = """
| lines | workers | lines/s | scaled | µs of CPU a line: intake / workers / database / answers | scaled | MiB: intake / a worker / answers | limit |
|---|---|---|---|---|---|---|---|
"""  # noqa: E501


@contextmanager
def server_for(
    directory: Path, hosts: Hosts | None, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[EmbeddedServer]:
    """A server with the schema, which listens where the hosts reach it, and nowhere else."""
    directory.chmod(0o711)
    listening = {} if hosts is None else {"listen_addresses": ",".join(hosts.addresses)}
    with EmbeddedServer(directory, settings={**settings, **listening}) as server:
        if hosts is not None:
            rules_of_access = server.data_directory / "pg_hba.conf"
            said = rules_of_access.read_text(encoding="utf-8")
            rules_of_access.write_text(f"host all all 198.18.0.0/15 trust\n{said}", encoding="utf-8")
            with psycopg.connect(server.connection_string, autocommit=True) as connection:
                connection.execute("SELECT pg_reload_conf()")
        migrate(server.connection_string)
        yield server


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, action="append")
    parser.add_argument("--workers", type=int, action="append")
    parser.add_argument("--persons", type=int, default=500_000)
    parser.add_argument("--seconds", type=float, default=40.0, help="of calls, alone and beside a batch")
    parser.add_argument("--chunk-lines", type=int, default=1_000)
    parser.add_argument("--namespaces", action="store_true", help="each worker in a network namespace, as on a host")
    parser.add_argument("--kept", action="store_true", help="the journal is chained and sealed meanwhile")
    parser.add_argument("--server", action="append", default=[], metavar="NAME=VALUE", help="a setting of PostgreSQL")
    given = parser.parse_args()
    found: list[Figures] = []
    many = given.workers or (1, 2, 4)
    with ExitStack() as held:
        hosts = held.enter_context(Hosts(max(many))) if given.namespaces else None
        directory = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="cbss-bench-")))
        server = held.enter_context(server_for(directory, hosts, dict(one.split("=", 1) for one in given.server)))
        bench = Bench(
            directory,
            server,
            persons=given.persons,
            chunk_lines=given.chunk_lines,
            hosts=hosts,
            is_kept=given.kept,
        )
        bench.prepare()
        for lines in given.lines or (10_000, 1_000_000):
            for workers in many:
                found.append(bench.run(lines, workers))
                sys.stdout.write(found[-1].text() + "\n")
                sys.stdout.flush()
        alone, beside = bench.calls_beside_a_batch(given.seconds)
    sys.stdout.write(TABLE + "".join(f"{one.row()}\n" for one in found) + "\n")
    of_batches, of_calls = verdict(found), verdict_of_calls(alone, beside)
    return of_batches or of_calls


def verdict_of_calls(alone: Sequence[float], beside: Sequence[float]) -> int:
    """1 when calls take too long beside a batch; prints how long they take."""

    def quantile(times: Sequence[float], part: float) -> float:
        return times[min(int(len(times) * part), len(times) - 1)] * 1000

    for name, times in (("alone", alone), ("beside a batch", beside)):
        sys.stdout.write(
            f"calls {name}: median {quantile(times, 0.5):.1f} ms, p95 {quantile(times, 0.95):.1f} ms, "
            f"p99 {quantile(times, 0.99):.1f} ms\n"
        )
    return 1 if quantile(beside, 0.99) > SLOWER_MAX * quantile(alone, 0.99) else 0


def verdict(found: Sequence[Figures]) -> int:
    """1 when a target is missed, and which."""
    missed = [
        f"{one.memory_mib:.0f} MiB of a process at {one.lines} lines"
        for one in found
        if one.memory_mib > MEMORY_MIB_MAX
    ]
    with_two = [one.scaled_rate for one in found if one.workers == 2 and one.lines >= 100_000]
    if with_two and max(with_two) < LINES_A_SECOND_MIN:
        missed.append(f"{max(with_two):.0f} lines/s, scaled, with two workers")
    for what in missed:
        sys.stdout.write(f"missed: {what}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
