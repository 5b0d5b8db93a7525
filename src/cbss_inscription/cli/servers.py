"""`cbss-inscription sandbox`, `facade`, `repertory`, `national-register`: programs that stay up until told to stop."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cbss_inscription.cli.arguments import SettingsFile
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.sandbox.population import NumberSpace

if TYPE_CHECKING:
    from cbss_inscription.app.sandbox import Sandbox
    from cbss_inscription.app.settings import Service
    from cbss_inscription.storage.population import Rows

_LOOK_SECONDS: Final = 0.5


class _ConsoleReport:
    """An `app.sandbox.Report` on standard error."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, sentence: str) -> None:
        self._console.print(f"{sentence} …", highlight=False)

    def counted(self, sentence: str, rows: Iterable[Rows], total: int) -> Iterable[Rows]:
        columns = (TextColumn(f"{sentence} …"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(sentence, total=total)
            done = 0
            for block in rows:
                yield block
                done += block.count
                progress.update(task, completed=done)
            progress.update(task, total=done)


def sandbox(
    *,
    directory: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".cbss-sandbox"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The TLS port; 0 takes a free one.")] = 8443,
    plain_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="A second port without TLS, on loopback only.")
    ] = None,
    operations_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Liveness, readiness and metrics, on loopback only; 0 takes a free port."),
    ] = None,
    batch_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Batches: a port to upload them to, and a folder; 0 takes a free port."),
    ] = None,
    persons: Annotated[int, typer.Option(help="Persons in the population.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed makes other persons.")] = 1,
    numbers: Annotated[
        NumberSpace,
        typer.Option(help="Numbers that nobody bears yet, or ever; the latter pass other validators too."),
    ] = NumberSpace.FUTURE,
    inscriptions: Annotated[int, typer.Option(min=0, help="Inscriptions per person, on average, from the start.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes of each port.")] = 1,
    national_register: Annotated[
        bool, typer.Option("--national-register", help="The National Register as a service of its own.")
    ] = False,
    repertory: Annotated[
        bool, typer.Option("--repertory", help="The repertory as a service of its own, which the façade asks.")
    ] = False,
    faults: Annotated[
        bool, typer.Option("--faults", help="Requests go wrong on order; implies an operations port.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Let go what was written when another population takes its place.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Insert and consult once as proof, then stop.")] = False,
    database: Annotated[
        str | None, typer.Option(help="A PostgreSQL ≥ 15 by connection string, instead of the bundled one.")
    ] = None,
    pg_bin: Annotated[
        Path | None, typer.Option(help="Programs of a PostgreSQL ≥ 15 to run instead of the bundled ones.")
    ] = None,
) -> None:
    """A whole CBSSInscription on this machine: database, persons, certificates, façade."""
    from cbss_inscription.app.sandbox import SandboxOptions, running_sandbox

    options = SandboxOptions(
        directory=directory,
        port=port,
        plain_port=plain_port,
        operations_port=operations_port,
        batch_port=batch_port,
        persons=persons,
        seed=seed,
        number_space=numbers,
        inscriptions=inscriptions,
        workers=workers,
        national_register=national_register,
        repertory=repertory,
        faults=faults,
        database=database,
        pg_bin=pg_bin,
        anew=anew,
    )
    console = Console(stderr=True)
    began = time.monotonic()
    with _stoppable(console), running_sandbox(options, _ConsoleReport(console)) as running:
        console.print(f"The sandbox answers after {time.monotonic() - began:.1f} s.", highlight=False)
        if once:
            _prove(running)
            return
        _explain(console, running)

        def check() -> None:
            for sentence in running.check():
                console.print(sentence, highlight=False)

        _wait(check)


def facade(
    settings: Annotated[Path, typer.Option(help="The settings file (TOML).")],
) -> None:
    """The façade alone, in front of a database or an upstream that is there: what production runs."""
    from cbss_inscription.app.settings import Service

    _serve(settings, Service.FACADE)


def repertory(
    settings: Annotated[Path, typer.Option(help="The settings file (TOML).")],
) -> None:
    """A repertory alone: KSZ's door, a service of its own that façades stand in front of."""
    from cbss_inscription.app.settings import Service

    _serve(settings, Service.REPERTORY)


def national_register(
    settings: Annotated[Path, typer.Option(help="The settings file (TOML).")],
) -> None:
    """A National Register alone: a service of its own that façades ask for persons."""
    from cbss_inscription.app.settings import Service

    _serve(settings, Service.NATIONAL_REGISTER)


def _serve(settings: Path, service: Service) -> None:
    from cbss_inscription.app.memory_dumps import forbid_memory_dumps
    from cbss_inscription.app.serving import serving
    from cbss_inscription.domain.errors import ServiceUnavailable

    forbid_memory_dumps()
    console = Console(stderr=True)
    with _stoppable(console, interrupts=1) as stopping, serving(settings, service=service) as listeners:
        console.print(f"The {service} answers: {listeners.url}", highlight=False, soft_wrap=True, markup=False)
        for warning in listeners.warnings:
            console.print(f"Warning: {warning}.", highlight=False, soft_wrap=True, markup=False)

        def check() -> None:
            if listeners.ended():
                raise ServiceUnavailable("a listener ended unexpectedly; its log says why")
            for listener in listeners.restart_silent():
                console.print(f"The {listener} listener gave no answer and was started anew.", highlight=False)

        try:
            _wait(check)
        except KeyboardInterrupt:
            stopping.interrupts = 1
            try:
                if listeners.drain_seconds:
                    console.print("Draining: a second signal stops at once.", highlight=False)
                listeners.drain()
            finally:
                stopping.interrupts = 0
            raise


def migrate(
    settings: SettingsFile,
) -> None:
    """Bring the façade's database to the schema of this version."""
    from cbss_inscription.app.settings import read_settings
    from cbss_inscription.storage.migration import make_phonetic_keys
    from cbss_inscription.storage.migration import migrate as migrate_database

    database = read_settings(settings).database
    applied = migrate_database(database)
    for migration in applied:
        sys.stdout.write(f"applied {migration.version:04d} {migration.name}\n")
    key_count = make_phonetic_keys(database)
    if key_count:
        sys.stdout.write(f"phonetic keys made: {key_count}\n")
    if not applied and not key_count:
        sys.stdout.write("nothing to do: the schema is this version's\n")


def version() -> None:
    """The version of the program, and of the libraries of other languages that it loads."""
    from cbss_inscription import __version__
    from cbss_inscription.app.native import MINIMUM, dotted, loaded_libraries

    sys.stdout.write(f"cbss-inscription {__version__}\n")
    for one in loaded_libraries():
        sys.stdout.write(f"{one.library} {dotted(one.version)} (at least {dotted(MINIMUM[one.library])})\n")


class _stoppable:  # noqa: N801  # reads as a sentence where it is used
    """Ctrl-C, SIGTERM and the end of the terminal end the block in order, and the command with status 0.

    So many of them interrupt what is under way; each that does takes one off that itself, so that none slips between.
    Those that come after let what is in hand be finished and the journal sealed, however often somebody says that it
    should stop: that takes no longer than an answer and some seconds, and left before its end it would leave listeners
    without an owner.
    """

    def __init__(self, console: Console, *, interrupts: float = math.inf) -> None:
        self._console = console
        self.interrupts = interrupts
        """How many signals still interrupt."""

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Else `nohup`, or a shell in the background, said that it does not count.
            if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: object) -> None:
        del number, frame
        if self.interrupts > 0:
            self.interrupts -= 1
            raise KeyboardInterrupt

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is KeyboardInterrupt:
            self._console.print("Stopped.", highlight=False)
            raise typer.Exit(ExitCode.DONE)


def _wait(check: Callable[[], None]) -> None:
    while True:
        time.sleep(_LOOK_SECONDS)
        check()


def _prove(running: Sandbox) -> None:
    """One signed insert and one signed consult over TLS, as any application would do them."""
    from cbss_inscription.cli.tables import print_result
    from cbss_inscription.client.api import InscriptionClient
    from cbss_inscription.client.profile import Profile
    from cbss_inscription.domain.period import Period
    from cbss_inscription.sandbox.demonstration import APPLICATIONS

    console = Console()
    application = APPLICATIONS[0]
    ssin = running.scenarios["nr_active"].ssin
    context = application.inscription_contexts[0]
    with InscriptionClient(Profile.read(running.profile_path(application))) as client:
        console.rule("insertInscription")
        inserted = client.insert_inscription(
            ssin, inscription_context=context, period=Period(begin_date=datetime.now(UTC).date())
        )
        print_result(console, inserted.result, inserted.information_cbss)
        console.rule("consultInscriptions")
        consulted = client.consult_inscriptions(ssin)
        print_result(console, consulted.result, consulted.information_cbss)
    line = next((line for line in consulted.result.inscriptions if line.inscription_context == context), None)
    if line is None or line not in inserted.result.inscriptions:
        sys.stderr.write("The line that was inserted does not come back.\n")
        raise typer.Exit(ExitCode.UNAVAILABLE)


def _explain(console: Console, running: Sandbox) -> None:
    from cbss_inscription.sandbox.demonstration import APPLICATIONS

    profile = running.profile_path(APPLICATIONS[0])
    shown = profile.relative_to(Path.cwd()) if profile.is_relative_to(Path.cwd()) else profile
    ssin = running.scenarios["nr_active"].ssin
    context = APPLICATIONS[0].inscription_contexts[0]
    console.print(
        f"\n"
        f"The façade    {running.facade_url}  (?wsdl, ?wsdl=x509, ?singleWsdl)\n"
        f"its mutations {running.mutations_url}\n"
        + (f"without TLS   {running.plain_url}\n" if running.plain_url else "")
        + (f"operations    {running.operations_url}/health/ready, /metrics\n" if running.operations_url else "")
        + (
            f"batches       {running.batch_url}, or the folder {running.directory / 'batches'}\n"
            if running.batch_url
            else ""
        )
        + (f"repertory     {running.repertory_url}\n" if running.repertory_url else "")
        + (f"National Reg. {running.register_url}\n" if running.register_url else "")
        + f"what is where {running.manifest}\n"
        f"\n"
        f"In another terminal:\n"
        f"  cbss-inscription insert  --profile {shown} {ssin} {context} --begin 2026-01-01\n"
        f"  cbss-inscription consult --profile {shown} {ssin}\n"
        f"\n"
        f"Every person is synthetic. Ctrl-C stops.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
