"""`cbss-inscription faults`: what goes wrong on order at a running service whose settings allow it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import ServiceUnavailable, UsageError
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import Operation
from cbss_inscription.sandbox.faults import FaultKind, Moment

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS: Final = 10.0
"""How long the operations listener may take."""


class Part(StrEnum):
    """A service of a sandbox."""

    FACADE = "facade"
    REPERTORY = "repertory"
    NATIONAL_REGISTER = "national-register"


faults = typer.Typer(no_args_is_help=True, help="What goes wrong on order, at a service whose settings allow it.")

Url = Annotated[
    str | None, typer.Option(help="The operations listener; left out, that of the sandbox in the directory.")
]
Directory = Annotated[Path, typer.Option(help="The sandbox's directory.")]
At = Annotated[Part, typer.Option("--at", help="Which service of the sandbox.")]
_SANDBOX: Final = Path(".cbss-sandbox")


@faults.command("set")
def set_rule(
    name: Annotated[str, typer.Argument(help="The rule's name; a rule of that name is replaced.")],
    fault: Annotated[FaultKind, typer.Argument(help="What goes wrong.")],
    *,
    door: Annotated[Door | None, typer.Option(help="Only at this door.")] = None,
    operation: Annotated[list[Operation] | None, typer.Option(help="Only this operation; may be repeated.")] = None,
    ssin: Annotated[str | None, typer.Option(help="Only requests about this synthetic number.")] = None,
    share: Annotated[float, typer.Option(help="Which part of them, above 0 to 1.")] = 1.0,
    times: Annotated[int | None, typer.Option(help="So many times at the most.")] = None,
    seconds: Annotated[
        tuple[float, float] | None, typer.Option(metavar="LEAST MOST", help="How long a delay lasts.")
    ] = None,
    after: Annotated[bool, typer.Option("--after", help="When the request was carried out, not before.")] = False,
    code: Annotated[OutcomeCode | None, typer.Option(help="The answer, of the fault `code`.")] = None,
    url: Url = None,
    directory: Directory = _SANDBOX,
    at: At = Part.FACADE,
) -> None:
    """Set a rule; it is asked after those that are there."""
    rule: dict[str, Any] = {
        "fault": fault,
        "door": door,
        "operations": operation or None,
        "ssin": ssin,
        "share": share,
        "times": times,
        "seconds": seconds,
        "moment": Moment.AFTER if after else None,
        "code": code,
    }
    said = {key: value for key, value in rule.items() if value is not None}
    _print(_asked("PUT", f"/{name}", url, directory, at=at, rule=said))


@faults.command("list")
def list_rules(*, url: Url = None, directory: Directory = _SANDBOX, at: At = Part.FACADE) -> None:
    """Every rule, and how many requests it matched and struck."""
    _print(_asked("GET", "", url, directory, at=at))


@faults.command("clear")
def clear_rules(
    name: Annotated[str | None, typer.Argument(help="The rule; left out, all that were set.")] = None,
    *,
    url: Url = None,
    directory: Directory = _SANDBOX,
    at: At = Part.FACADE,
) -> None:
    """Let rules go; those of the settings stay."""
    _print(_asked("DELETE", f"/{name}" if name else "", url, directory, at=at))


def _asked(
    method: str, below: str, url: str | None, directory: Path, *, at: Part, rule: dict[str, Any] | None = None
) -> dict[str, Any]:
    import httpx

    base = url or _operations_url(directory, at=at)
    try:
        answer = httpx.request(method, f"{base}/faults{below}", json=rule, timeout=TIMEOUT_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServiceUnavailable(f"the operations listener does not answer: {base}") from error
    return _read(answer, base)


def _read(answer: httpx.Response, base: str) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        raise UsageError(f"nothing goes wrong on order at {base}: its settings have no [faults]") from None
    if answer.is_error:
        raise UsageError(said["error"])
    return dict(said)


def _operations_url(directory: Path, *, at: Part) -> str:
    path = directory / "sandbox.json"
    try:
        manifest = json.loads(path.read_bytes())
        if at is Part.FACADE:
            return str(manifest["operations"]["url"])
        return str(manifest[at.replace("-", "_")]["operations_url"])
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name the operations listener by --url") from error
    except KeyError:
        raise UsageError(f"{path} names no operations listener of the {at}: start the sandbox with --faults") from None


def _print(answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("rule", "fault", "which", "matched", "struck")
    for rule in answer["rules"]:
        table.add_row(rule["name"], _fault_of(rule), _which(rule), str(rule["matched"]), str(rule["struck"]))
    console = Console()
    console.print(table)
    console.print(f"seed {answer['seed']}", highlight=False)


def _fault_of(rule: dict[str, Any]) -> str:
    words = [rule["fault"], rule.get("moment", "")]
    if "seconds" in rule:
        words.append("{} to {} s".format(*rule["seconds"]))
    return " ".join([*words, rule.get("code", "")]).strip()


def _which(rule: dict[str, Any]) -> str:
    """The criteria in words; of a number only that there is one, for it may be shown to others."""
    words = [rule.get("door", ""), *rule.get("operations", ())]
    words += ["one number"] if "ssin" in rule else []
    words += [f"{rule['share']:.0%} of them"] if "share" in rule else []
    words += [f"{rule['times']} times"] if "times" in rule else []
    return ", ".join(word for word in words if word) or "every request"
