"""`cbss-inscription batch`: files of declarations, for those who send them and for those who answer them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn
from uuid import UUID

import typer
from msgspec import to_builtins
from rich.console import Console

from cbss_inscription.cli.answers import print_json
from cbss_inscription.cli.arguments import Output, OutputFormat, SettingsFile
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.errors import UsageError

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.batch.reading import BatchFormat
    from cbss_inscription.batch.standing import Standing
    from cbss_inscription.client.profile import Profile
    from cbss_inscription.contract.batch import Manifest
    from cbss_inscription.domain.batch import BatchHeader, BatchStatus
    from cbss_inscription.storage.batches import StoredBatches
    from cbss_inscription.storage.database import Database

KSZ: Final = "0244640631"
"""To whom batches are sent unless somebody else is named: KSZ's CBE number."""
LOOK_SECONDS: Final = 1.0
"""How often a batch that is watched is looked at."""
FIRST_LINES: Final = 5
"""Lines of which `check` says how they break the contract, of each code."""
_DECLARATION: Final = "inscriptionBatchRequest/requests/request/"
"""Where each declaration is, in the schema's words."""
_FINISHED: Final = frozenset({"done", "canceled", "refused", "misnamed"})

batch = typer.Typer(no_args_is_help=True, help="Files of many declarations: check, send, watch, fetch the answers.")

BatchFile = Annotated[Path, typer.Argument(metavar="FILE", help="The batch: .xml or .csv, also .gz or .zst.")]
ProfileFile = Annotated[
    Path | None,
    typer.Option("--profile", envvar="CBSS_INSCRIPTION_PROFILE", help="Who sends it, and where to (TOML)."),
]
OperatorSettings = Annotated[
    Path | None, typer.Option("--settings", help="The service's settings file instead: asks its database.")
]
Which = Annotated[
    str,
    typer.Argument(
        metavar="BATCH",
        help="The file that was submitted; with --settings also its name in the folder, SENDER#NUMBER or an id.",
    ),
]
SequenceNumber = Annotated[
    int | None, typer.Option("--sequence-number", min=1, help="Of a CSV file: one more than your batch before.")
]
Receiver = Annotated[str, typer.Option("--receiver", help="Of a CSV file: the key of the organisation it is for.")]
Form = Annotated[str | None, typer.Option("--form", help="xml or csv; by default as the name ends.")]


@batch.command()
def check(file: BatchFile, *, form: Form = None, output: Output = OutputFormat.TEXT) -> None:
    """Read a whole batch as the service would, without sending it: which lines break the contract, and how?"""
    from cbss_inscription.batch.limits import BatchLimits
    from cbss_inscription.batch.reading import BatchFormat, open_batch
    from cbss_inscription.client.dialect import one_line
    from cbss_inscription.domain.errors import MessageRejected, SchemaViolation

    kind = _form_of(file, form)
    header = _header(None, 1, KSZ) if kind is BatchFormat.CSV else None
    counts: dict[str, list[int]] = {}
    reasons: dict[int, str] = {}
    line_count = 0

    def refusing(number: int, error: MessageRejected) -> None:
        found = counts.setdefault(error.code, [])
        found.append(number)
        if len(found) <= FIRST_LINES:
            paths = error.paths if isinstance(error, SchemaViolation) else ()
            reasons[number] = "; ".join(paths).replace(_DECLARATION, "") or error.reason

    with file.open("rb") as source:
        _, lines = open_batch(source, form=kind, limits=BatchLimits(), header=header, refusing=refusing)
        for line in lines:
            line_count = line.number
    outcomes = [
        {
            "code": code,
            "lines": len(found),
            "first_lines": found[:FIRST_LINES],
            "reasons": [reasons[number] for number in found[:FIRST_LINES]],
        }
        for code, found in sorted(counts.items())
    ]
    if output is OutputFormat.JSON:
        print_json({"lines": line_count, "outcomes": outcomes})
    else:
        from cbss_inscription.cli.batch_tables import print_outcomes

        refused = sum(len(found) for found in counts.values())
        sys.stdout.write(f"lines: {line_count}, of which would be refused before any rule: {refused}\n")
        if outcomes:
            print_outcomes(Console(), outcomes)
        for number, reason in sorted(reasons.items()):
            sys.stdout.write(f"line {number}: {one_line(reason)}\n")
    raise typer.Exit(ExitCode.REFUSED if outcomes else ExitCode.DONE)


@batch.command()
def sign(
    file: BatchFile,
    *,
    profile: ProfileFile = None,
    sequence_number: SequenceNumber = None,
    receiver: Receiver = KSZ,
    form: Form = None,
) -> None:
    """Sign a batch: its manifest is written beside it, to be put into a folder after the file."""
    from cbss_inscription.batch.packing import WholeFile
    from cbss_inscription.batch.signed_manifest import sign_manifest
    from cbss_inscription.cli.batch_reasons import FILE_NAME_ADVICE
    from cbss_inscription.client.profile import read_signer
    from cbss_inscription.domain.errors import SchemaViolation

    who = _profile(profile)
    manifest = _manifest_of(file, who, sequence_number, receiver, _form_of(file, form))
    try:
        data = sign_manifest(manifest, signer=read_signer(who.certificate, who.private_key), now=datetime.now(UTC))
    except SchemaViolation as error:
        if not any("/file/name:" in path for path in error.paths):
            raise
        raise UsageError(f"{file.name}: {FILE_NAME_ADVICE}") from error
    path = _manifest_path(file)
    with WholeFile(path) as written:
        written.write(data)
    sys.stdout.write(f"{path}: batch {manifest.header.sequence_number}, SHA-256 {manifest.file.sha256}\n")


@batch.command()
def submit(
    file: BatchFile,
    *,
    profile: ProfileFile = None,
    sequence_number: SequenceNumber = None,
    receiver: Receiver = KSZ,
    form: Form = None,
) -> None:
    """Sign a batch and upload it. A file that was submitted before is the same batch again."""
    sign(file, profile=profile, sequence_number=sequence_number, receiver=receiver, form=form)
    resume(file, profile=profile)


@batch.command()
def resume(file: BatchFile, *, profile: ProfileFile = None) -> None:
    """Go on with an upload that broke off, by the manifest beside the file: what is there is not sent again."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from cbss_inscription.batch.remote import RemoteBatch
    from cbss_inscription.cli.batch_tables import print_state

    manifest = _read_manifest(file)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RemoteBatch(_profile(profile), manifest) as remote:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("upload", total=manifest.file.size_bytes)
            remote.send(file, sent=lambda count: progress.update(task, completed=count))
        state = remote.look()
    print_state(Console(), state)
    if state.get("state") not in _FINISHED:
        sys.stdout.write(f"next: cbss-inscription batch watch {file}\n")
    elif "result" in state:
        _say_how_to_fetch(file)
    raise typer.Exit(_exit_code_of(state))


@batch.command()
def status(
    which: Which,
    *,
    profile: ProfileFile = None,
    settings: OperatorSettings = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """How does a batch stand? Lines answered, and outcomes with the first lines of each."""
    from cbss_inscription.cli.batch_tables import print_state

    state = _asked(which, profile, settings)
    if output is OutputFormat.JSON:
        print_json(state)
    else:
        print_state(Console(), state)
    raise typer.Exit(_exit_code_of(state))


@batch.command("list")
def list_(*, settings: SettingsFile, output: Output = OutputFormat.TEXT) -> None:
    """Show the batches of a service, newest first."""
    from cbss_inscription.cli.batch_tables import print_state
    from cbss_inscription.cli.database import with_database
    from cbss_inscription.rest.batches import status_as_json
    from cbss_inscription.storage.batches import StoredBatches

    async def look(_: Settings, database: Database) -> list[dict[str, Any]]:
        stored = StoredBatches(database)
        found = [await stored.status(one) for one in await stored.newest()]
        return [status_as_json(one) for one in found if one is not None]

    states = with_database(settings, look)
    if output is OutputFormat.JSON:
        print_json(states)
    else:
        for state in states:
            print_state(Console(), {**state, "outcomes": []})
    raise typer.Exit(ExitCode.DONE if states else ExitCode.NOTHING_FOUND)


@batch.command()
def watch(
    which: Which,
    *,
    profile: ProfileFile = None,
    settings: OperatorSettings = None,
    svg: Annotated[Path | None, typer.Option(help="Where to write the throughput while it was watched (SVG).")] = None,
) -> None:
    """Follow a batch to its end: a bar with rate and remaining time, then the outcomes."""
    from cbss_inscription.cli.batch_tables import print_state, progress_of_lines, show_progress

    if settings is None:
        _profile(profile), _read_manifest(Path(which))  # before there is a bar
    console, began, began_at = Console(stderr=True), time.monotonic(), datetime.now(UTC)
    points: list[tuple[datetime, int]] = []
    with progress_of_lines(console) as progress:
        task = progress.add_task("answered", total=None)

        def looked(state: dict[str, Any]) -> bool:
            is_finished, answered = state.get("state") in _FINISHED, state.get("answered", 0)
            if not (is_finished and points and points[-1][1] == answered):  # after the end there is no rate
                points.append((began_at + timedelta(seconds=time.monotonic() - began), answered))
            show_progress(progress, task, state)
            # At a service the answers are a file, which is there a moment after the last of them.
            is_told = settings is not None or "result" in state or "refusal" in state
            return is_finished and is_told

        state = _asked(which, profile, settings, until=looked)
    print_state(Console(), state)
    if svg is not None:
        svg.write_text(_plot_of(state, points), encoding="utf-8")
    if "result" in state:
        _say_how_to_fetch(Path(which))
    raise typer.Exit(_exit_code_of(state))


@batch.command()
def cancel(which: Which, *, profile: ProfileFile = None, settings: OperatorSettings = None) -> None:
    """Stop a batch: what is begun is finished, nothing else begins, and the last line that is answered is told."""
    from cbss_inscription.cli.batch_tables import print_state

    state = _asked(which, profile, settings, cancels=True)
    print_state(Console(), state)
    if state.get("state") == "done":
        sys.stderr.write("cbss-inscription: nothing was canceled: the batch was at its end before\n")
        raise typer.Exit(ExitCode.NOTHING_FOUND)


@batch.command()
def fetch(
    which: Which,
    file: Annotated[Path, typer.Argument(help="Where the answers go; .gz or .zst packs them (with --settings).")],
    *,
    profile: ProfileFile = None,
    settings: OperatorSettings = None,
    form: Form = None,
) -> None:
    """Write the answers of a batch to a file, in the order of its lines; with --settings, as far as they are by now."""
    if settings is not None:
        _write_answers(which, file, settings, _form_of(file, form))
        return
    from cbss_inscription.batch.remote import RemoteBatch

    with RemoteBatch(_profile(profile), _read_manifest(Path(which))) as remote:
        state = remote.state
        if "result" not in state:
            _no_answers(state)
        form = remote.manifest.file.format
        if file.suffix in {".xml", ".csv", ".gz", ".zst"} and file.suffix != f".{form}":
            raise UsageError(f"{file}: the answers are {form} and not packed, as a service gives them: name it .{form}")
        size = remote.fetch(file)
    sys.stdout.write(f"{file}: {state['result']['answers']} answers, {size} bytes\n")


@batch.command()
def folder(
    *,
    settings: SettingsFile,
    once: Annotated[bool, typer.Option("--once", help="Stop when nothing is left to be done.")] = False,
) -> None:
    """Look after the folder of batches, beside the façade that does so: takes them in, and puts their answers there."""
    from cbss_inscription.app.batch_folder import look_after_folder
    from cbss_inscription.app.memory_dumps import forbid_memory_dumps
    from cbss_inscription.app.telemetry import configure_logging

    forbid_memory_dumps()
    configure_logging()
    look_after_folder(settings, once=once)


@batch.command()
def work(
    settings: SettingsFile,
    *,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Stop when there is nothing to do.")] = False,
) -> None:
    """Work on the batches of a façade, beside whoever else does, here or on any machine that reaches its database."""
    from cbss_inscription.app.batch_work import work_on_batches
    from cbss_inscription.app.memory_dumps import forbid_memory_dumps
    from cbss_inscription.app.telemetry import configure_logging

    forbid_memory_dumps()
    configure_logging()
    answered = work_on_batches(settings, until_idle=until_idle)
    sys.stdout.write(f"lines answered: {answered}\n")


# -- what was typed ----------------------------------------------------------------------------------------------------


def _profile(path: Path | None) -> Profile:
    from cbss_inscription.client.profile import Profile

    if path is None:
        raise UsageError("give --profile FILE")
    return Profile.read(path)


def _manifest_path(file: Path) -> Path:
    from cbss_inscription.batch.folder import MANIFEST_SUFFIX

    return file.with_name(f"{file.name}{MANIFEST_SUFFIX}")


def _form_of(file: Path, form: str | None) -> BatchFormat:
    from cbss_inscription.batch.reading import BatchFormat

    if form is None:
        form = next((end[1:] for end in reversed(file.suffixes) if end in {".xml", ".csv"}), None)
    try:
        return BatchFormat(form or "")
    except ValueError as error:
        raise UsageError(f"{file}: xml or csv? Say --form") from error


def _header(profile: Profile | None, sequence_number: int, receiver: str) -> BatchHeader:
    from cbss_inscription.domain.batch import BatchHeader, BatchParty
    from cbss_inscription.domain.customer import CustomerIdentification, InvalidCustomer
    from cbss_inscription.domain.legal_context import InvalidLegalContext, LegalContext

    try:
        to = CustomerIdentification.of_key(receiver)
        ground = LegalContext((profile.legal_context or "") if profile is not None else "BATCH")
    except InvalidCustomer as error:
        raise UsageError(f"--receiver: {error}") from error
    except InvalidLegalContext as error:
        raise UsageError("the profile names no legal_context, which a CSV file has nowhere else") from error
    sender = to if profile is None else profile.customer_identification
    if sender is None:
        raise UsageError("the profile names no customer_identification, which a CSV file has nowhere else")
    return BatchHeader(
        sender=BatchParty(organization_identification=sender),
        receiver=BatchParty(organization_identification=to),
        legal_context=ground,
        sequence_number=sequence_number,
    )


def _manifest_of(
    file: Path, profile: Profile, sequence_number: int | None, receiver: str, form: BatchFormat
) -> Manifest:
    """What is to be signed of a file. Raises `UsageError`, or `FileRejected` for an XML file without a good head."""
    import hashlib

    from cbss_inscription.batch.limits import BatchLimits
    from cbss_inscription.batch.reading import BatchFormat, open_batch
    from cbss_inscription.contract.batch import Manifest, ManifestFile

    if form is BatchFormat.CSV:
        if sequence_number is None:
            raise UsageError("a CSV file does not say its number: give --sequence-number")
        header = _header(profile, sequence_number, receiver)
    else:
        with file.open("rb") as source:
            header, _ = open_batch(source, form=form, limits=BatchLimits())
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    stated = ManifestFile(name=file.name, format=form, size_bytes=file.stat().st_size, sha256=digest)
    return Manifest(header=header, file=stated)


def _read_manifest(file: Path) -> Manifest:
    """What the manifest beside a file says; it is ours, and signed again whenever it is sent."""
    from cbss_inscription import names, safe_xml
    from cbss_inscription.contract.batch import read_manifest
    from cbss_inscription.contract.schema import batch_schema
    from cbss_inscription.domain.errors import MessageRejected
    from cbss_inscription.envelope.soap11 import read_reply

    path = _manifest_path(file)
    try:
        element = read_reply(safe_xml.parse(path.read_bytes(), charset=None))
        batch_schema().validate(element, names.BATCH_FILE_MANIFEST)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: not there; submit the file, or sign it") from error
    except MessageRejected as error:
        raise UsageError(f"{path}: no manifest ({error.reason})") from error
    return read_manifest(element)


def _asked(
    which: str,
    profile: Path | None,
    settings: Path | None,
    *,
    cancels: bool = False,
    until: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> dict[str, Any]:
    """How a batch stands, looked at again until `until` says that it is enough: at its service, or in the database."""
    if settings is None:
        return _asked_remotely(which, profile, cancels=cancels, until=until)
    import asyncio

    from cbss_inscription.cli.database import with_database
    from cbss_inscription.storage.batches import StoredBatches

    async def work(said: Settings, database: Database) -> dict[str, Any]:
        stored = StoredBatches(database)
        if cancels:
            batch_id = (state := await _state_of(stored, which, said)).get("batch")
            if batch_id is None:
                raise UsageError(f"{which}: it is no batch ({state['state']}), so that there is nothing to cancel")
            await stored.cancel(UUID(batch_id))
        while True:
            if until(state := await _state_of(stored, which, said)):
                return state
            await asyncio.sleep(LOOK_SECONDS)

    return with_database(settings, work)


def _asked_remotely(
    which: str, profile: Path | None, *, cancels: bool, until: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    from cbss_inscription.batch.remote import ATTEMPTS_MAX, RemoteBatch
    from cbss_inscription.client.errors import ServiceUnreachable

    with RemoteBatch(_profile(profile), _read_manifest(Path(which))) as remote:
        state = remote.cancel() if cancels else remote.state
        failures = 0
        while not until(state):
            time.sleep(LOOK_SECONDS * 2**failures)
            try:
                state, failures = remote.look(), 0
            except ServiceUnreachable:  # for a while, and it was reached a moment ago
                failures += 1
                if failures >= ATTEMPTS_MAX:
                    raise
        return state


async def _state_of(stored: StoredBatches, which: str, settings: Settings) -> dict[str, Any]:
    """How a batch stands, or a file that is none yet, or never will be. Raises `UsageError` when there is neither."""
    from cbss_inscription.rest.batches import status_as_json

    said: dict[str, Any] = {}
    status = await _known(stored, which)
    if status is None and "#" not in which:
        standing = _standing(Path(which).name, settings)
        if standing is None:
            raise UsageError(f"there is no batch {which}, and no file of that name in the folder for batches")
        said = {"state": standing.state, "file": standing.name, "where": str(standing.where)}
        if standing.refusal is not None:
            said["refusal"] = to_builtins(standing.refusal)
        if standing.batch is None:
            return said
        status = await stored.status(standing.batch)
    if status is None:
        raise UsageError(f"there is no batch {which}")
    return said | status_as_json(status)


async def _known(stored: StoredBatches, which: str) -> BatchStatus | None:
    """The batch that is meant by an id, by SENDER#NUMBER, or by a file beside which lies the manifest that was sent."""
    from cbss_inscription.domain.customer import CustomerIdentification, InvalidCustomer

    with suppress(ValueError):
        return await stored.status(UUID(which))
    sender, is_numbered, number = which.rpartition("#")
    try:
        if is_numbered and number.isascii() and number.isdigit():
            batch_id = await stored.find(CustomerIdentification.of_key(sender), int(number))
            return None if batch_id is None else await stored.status(batch_id)
    except InvalidCustomer as error:
        raise UsageError(f"{which}: {error}") from error
    try:
        manifest = _read_manifest(Path(which))
    except UsageError:  # none there, or one that was refused for what it is
        return None
    header = manifest.header
    batch_id = await stored.find(header.sender.organization_identification, header.sequence_number)
    status = None if batch_id is None else await stored.status(batch_id)
    # A file that was refused for its number has that of another one.
    return status if status is not None and status.digest.hex() == manifest.file.sha256 else None


def _standing(name: str, settings: Settings) -> Standing | None:
    """How the file stands in the folder that the settings name, if they do."""
    from cbss_inscription.batch.standing import standing_of

    if settings.batch is None or settings.batch.directory is None:
        return None
    try:
        return standing_of(Path(settings.batch.directory), name)
    except FileNotFoundError:  # nobody looked after it yet
        return None
    except OSError as error:
        raise UsageError(f"{settings.batch.directory}: {error.strerror}; ask as the service's account") from error


def _say_how_to_fetch(file: Path) -> None:
    form = _read_manifest(file).file.format
    sys.stdout.write(f"next: cbss-inscription batch fetch {file} {file.name.partition('.')[0]}.answers.{form}\n")


def _plot_of(state: dict[str, Any], points: list[tuple[datetime, int]]) -> str:
    """The throughput as it was watched; of a batch that was at its end before, all that is known: its average."""
    from cbss_inscription.cli.batch_plot import plot
    from cbss_inscription.cli.batch_tables import seconds_of, state_line

    if points[0][1] == points[-1][1] and seconds_of(state) is not None:
        ends = (datetime.fromisoformat(state[name]).astimezone(UTC) for name in ("began_at", "finished_at"))
        points = list(zip(ends, (0, state["answered"]), strict=True))
    return plot("Lines answered a second", state_line(state).plain, points)


def _exit_code_of(state: dict[str, Any]) -> ExitCode:
    """The status with which a command ends that tells how a batch stands: refused it never gets any further."""
    return ExitCode.REJECTED if state.get("state") in {"refused", "misnamed"} else ExitCode.DONE


def _no_answers(state: dict[str, Any]) -> NoReturn:
    why = "it was refused" if "refusal" in state else f"not all are there yet: {state.get('state')}"
    sys.stderr.write(f"cbss-inscription: there are no answers, for {why}; `batch status` says more\n")
    raise typer.Exit(ExitCode.REJECTED if "refusal" in state else ExitCode.NOTHING_FOUND)


def _write_answers(which: str, file: Path, settings: Path, form: BatchFormat) -> None:
    from cbss_inscription.app.background import collect_seldom
    from cbss_inscription.batch.answers import answers
    from cbss_inscription.batch.packing import Packing
    from cbss_inscription.batch.results import ResultManifest, manifest_of, write_result_manifest, write_results
    from cbss_inscription.cli.database import with_database
    from cbss_inscription.storage.batches import StoredBatches

    async def work(said: Settings, database: Database) -> ResultManifest:
        stored = StoredBatches(database)
        state = await _state_of(stored, which, said)
        if state.get("batch") is None:
            _no_answers(state)
        batch_id = UUID(state["batch"])
        status = await stored.status(batch_id)
        assert status is not None
        packing = Packing.of_name(file.name)
        told = answers(stored, batch_id)
        results = await write_results(file, told, header=status.header, form=form, packing=packing)
        return manifest_of(results, status=status, now=datetime.now(UTC))

    collect_seldom()
    written = with_database(settings, work)
    write_result_manifest(file.with_name(f"{file.name}.json"), written)
    sys.stdout.write(f"{file}: {written.answers} of {written.input_lines} lines answered, {written.state}\n")
