"""`cbss-inscription explain FILE`: what the service sees in a signed request, step by step, and what to change.

With `--url` the description that a running service serves is read first, and the file compared with it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cbss_inscription.cli.arguments import Output, OutputFormat
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from cbss_inscription.governance.access import AccessRules
    from cbss_inscription.security.explain import SignedPart, Step
    from cbss_inscription.security.policy import SecurityPolicy
    from cbss_inscription.security.trust import TrustStore
    from cbss_inscription.soap.addresses import DoorAddresses
    from cbss_inscription.soap.explain import Told

FETCH_SECONDS_MAX: Final = 30.0
"""How long reading a service's description may take."""
SHOWN_BYTES_MAX: Final = 2_000
"""Canonical bytes of a part that are shown; --canonical writes them all."""
_COLOURS: Final = {"ok": "green", "refused": "bold red", "differs": "bold yellow"}
_OWN_DATA: Final = "may hold personal data of this message"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """The service that would judge the message, as far as it was described."""

    policy: SecurityPolicy
    trust: TrustStore | None
    rules: AccessRules | None
    door: Door
    addresses: DoorAddresses | None


def explain(
    file: Annotated[Path, typer.Argument(help="The signed request, as it would be sent; - is standard input.")],
    *,
    settings: Annotated[
        Path | None, typer.Option(help="A service's settings file: authorities, environment, limits, access rules.")
    ] = None,
    authorities: Annotated[
        Path | None, typer.Option(help="Instead of --settings: the environment's authorities, PEM.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option(help="With --authorities: the environment, as in the certificates' OU.")
    ] = None,
    revocation_list: Annotated[
        list[Path] | None, typer.Option(help="With --authorities: a revocation list, PEM or DER; may be repeated.")
    ] = None,
    revocation_required: Annotated[
        bool, typer.Option("--revocation-required", help="With --authorities: whether a fresh list is required.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="A running service: its ?wsdl=x509 is read, and the file compared with it.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="With --url: the CA bundle to trust for TLS, PEM; the machine's by default.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The service's clock, such as 2026-03-01T09:20:31Z; now.")
    ] = None,
    door: Annotated[
        Door | None, typer.Option(help="The door that it is sent to; the settings' own, or facade.")
    ] = None,
    charset: Annotated[str | None, typer.Option(help="The charset of the Content-Type, when it has one.")] = None,
    soap_action: Annotated[str | None, typer.Option(help="The SOAPAction that goes with it, without quotes.")] = None,
    canonical: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help=f"Where to write the canonical bytes of each part whose digest differs; they {_OWN_DATA}.",
        ),
    ] = None,
    format_: Output = OutputFormat.TEXT,
) -> None:
    """Say step by step what the service sees in a signed request, and what to change; the file is not sent."""
    from cbss_inscription.contract.schema import schema_of
    from cbss_inscription.soap.explain import explain as explain_message

    now = datetime.now(UTC) if at is None else _read_time(at)
    if ca is not None and url is None:
        raise UsageError("--ca goes with --url")
    service = _service(settings, authorities, environment, revocation_list or [], revocation_required, door, url)
    message = _read_message(file, most=service.policy.xml_limits.size_bytes_max)
    compared: tuple[Step, ...] = ()
    if url is not None:
        compared = _compared(message, url, ca=ca, charset=charset, soap_action=soap_action or None)
    told = explain_message(
        message,
        charset=charset,
        soap_action=soap_action or None,
        policy=service.policy,
        trust=service.trust,
        schema=schema_of(service.door),
        rules=service.rules,
        addresses=service.addresses,
        now=now,
    )
    advice = _advice(compared)
    told = replace(told, steps=(*compared, *told.steps))
    if told.reason is None and advice:
        told = replace(told, remedy=" ".join(advice.values()))
    written = {} if canonical is None else _write_parts(told.steps, canonical)
    if format_ is OutputFormat.JSON:
        sys.stdout.write(json.dumps(_as_json(told, advice, written), ensure_ascii=False, indent=2) + "\n")
    else:
        _print(told, advice, written)
    if told.reason is not None or advice:
        raise typer.Exit(ExitCode.REJECTED)


# --- what was given ---------------------------------------------------------------------------------------------------


def _read_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("--at takes a moment such as 2026-03-01T09:20:31Z") from None
    if moment.tzinfo is None:
        raise UsageError("--at needs a time zone: Z, for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise UsageError("--at takes a moment in the years 1 to 9999") from None


def _read_message(file: Path, *, most: int) -> bytes:
    """At most one byte more than the service takes: what is behind it changes nothing."""
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(most + 1)
        with file.open("rb") as stream:
            return stream.read(most + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def _service(
    settings: Path | None,
    authorities: Path | None,
    environment: str | None,
    revocation_lists: Sequence[Path],
    revocation_required: bool,  # noqa: FBT001  # all of them are the command's own options, in its order
    door: Door | None,
    url: str | None,
) -> _Service:
    from cbss_inscription.app.reloading import rules_of, trust_of
    from cbss_inscription.app.settings import read_file, read_settings
    from cbss_inscription.app.wiring import addresses_of, policy_of
    from cbss_inscription.security.policy import SecurityPolicy
    from cbss_inscription.security.trust import TrustStore

    if settings is not None:
        if authorities or environment or revocation_lists or revocation_required:
            raise UsageError("give --settings FILE, or --authorities and --environment, not both")
        read = read_settings(settings)
        door = door or read.service.door
        return _Service(
            policy=policy_of(read),
            trust=trust_of(read),
            rules=rules_of(read),
            door=door,
            addresses=addresses_of(read, door),
        )
    door = door or _door_of(url) or Door.FACADE
    if url is not None and not (authorities or environment or revocation_lists or revocation_required):
        return _Service(policy=SecurityPolicy(), trust=None, rules=None, door=door, addresses=None)
    if authorities is None or environment is None:
        raise UsageError("give --settings FILE, or --authorities FILE and --environment NAME, or --url alone")
    return _Service(
        policy=SecurityPolicy(),
        trust=TrustStore(
            authorities_pem=read_file(authorities),
            environment=environment,
            revocation_lists=[read_file(path) for path in revocation_lists],
            revocation_required=revocation_required,
        ),
        rules=None,
        door=door,
        addresses=None,
    )


def _door_of(url: str | None) -> Door | None:
    """The door that a service's URL leads to, by its path."""
    return next((one for one in Door if url is not None and url.rstrip("/").endswith(one.path)), None)


def _compared(
    message: bytes, url: str, *, ca: Path | None, charset: str | None, soap_action: str | None
) -> tuple[Step, ...]:
    """The file beside the description that the service at `url` serves. Raises `UsageError` and `CallFailed`."""
    from ssl import create_default_context

    from cbss_inscription.client.transport import fetch, tls_context
    from cbss_inscription.soap.description import POLICY_QUERY, compare, read_description

    if not url.startswith("https://") or "?" in url:
        raise UsageError("--url takes the address of a service such as https://host/CBSSInscription/v1")
    described = f"{url}?{POLICY_QUERY}"
    context = create_default_context() if ca is None else tls_context(ca)
    data = fetch(described, context=context, seconds_max=FETCH_SECONDS_MAX)
    description = read_description(data, origin=described)
    return compare(description, message, url=described, charset=charset, soap_action=soap_action)


def _advice(compared: Sequence[Step]) -> Mapping[str, str]:
    """For each step that differs from the service's description, what to do about it."""
    from cbss_inscription.security.explain import Verdict
    from cbss_inscription.soap.description import ADVICE

    return {step.name: ADVICE[step.name] for step in compared if step.verdict is Verdict.DIFFERS}


# --- what is told -----------------------------------------------------------------------------------------------------


def _write_parts(steps: Sequence[Step], directory: Path) -> dict[str, Path]:
    """The file that each part was written to, readable for its owner only."""
    written: dict[str, Path] = {}
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in (step.part for step in steps if step.part is not None):
            path = directory / f"{part.name}.canonical.xml"
            path.unlink(missing_ok=True)
            path.touch(mode=0o600, exist_ok=False)
            path.write_bytes(part.canonical)
            written[part.name] = path
    except OSError as error:
        raise UsageError(f"{error.filename or directory}: {error.strerror}") from error
    return written


def _beginning(part: SignedPart) -> str:
    """The first of the canonical bytes, with nothing in it that a terminal would obey."""
    text = part.canonical[:SHOWN_BYTES_MAX].decode("utf-8", "replace")
    shown = "".join(letter if letter.isprintable() or letter == "\n" else f"\\u{{{ord(letter):x}}}" for letter in text)
    return shown if len(part.canonical) <= SHOWN_BYTES_MAX else f"{shown}…"


def _as_json(told: Told, advice: Mapping[str, str], written: dict[str, Path]) -> dict[str, object]:
    return {
        "accepted": told.reason is None,
        "code": told.code,
        "reason": told.reason,
        "change": told.remedy,
        "differs": dict(advice),
        "steps": [_step_as_json(step, written) for step in told.steps],
    }


def _step_as_json(step: Step, written: dict[str, Path]) -> dict[str, object]:
    shown: dict[str, object] = {
        "name": str(step.name),
        "verdict": step.verdict.value,
        "reason": step.reason,
        "facts": [{"name": fact.name, "value": fact.value} for fact in step.facts],
    }
    if step.part is not None:
        path = written.get(step.part.name)
        shown["canonical"] = {"notice": _OWN_DATA} | (
            {"file": str(path)} if path is not None else {"beginning": _beginning(step.part)}
        )
    return shown


def _print(told: Told, advice: Mapping[str, str], written: dict[str, Path]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)  # a digest or a URI is there to be copied
    for step in told.steps:
        words = [(step.verdict.value, _COLOURS.get(step.verdict.value, "dim"))]
        reason = f"  {step.reason}" if step.reason else ""
        console.print(Text.assemble(f"{step.name}  ", *words, reason), highlight=False)
        for fact in step.facts:
            console.print(Text.assemble(f"    {fact.name}: ", fact.value), highlight=False)
        if step.part is not None:
            _print_part(console, step.part, written)
    console.print()
    if told.reason is not None:
        console.print(Text(f"The service would refuse it: {told.code}, in its log {told.reason}."), highlight=False)
        for sentence in advice.values():
            console.print(Text(sentence), highlight=False)
    console.print(Text(told.remedy), highlight=False)


def _print_part(console: Console, part: SignedPart, written: dict[str, Path]) -> None:
    from rich.text import Text

    path = written.get(part.name)
    if path is not None:
        console.print(Text(f"    canonical bytes in {path}: they {_OWN_DATA}"), highlight=False)
        return
    console.print(Text(f"    canonical bytes, which {_OWN_DATA} (--canonical writes them whole):"), highlight=False)
    for line in _beginning(part).split("\n"):
        console.print(Text(f"    | {line}"), highlight=False)
