"""`cbss-inscription mutations`: what happened to the numbers that the organisation knows, page by page."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cbss_inscription.cli.arguments import (
    Ca,
    CbeNumber,
    CertificateFile,
    Institution,
    KeyFile,
    LegalContextName,
    OutputFormat,
    ProfileFile,
    Sector,
    Ticket,
    Url,
    Xml,
    print_messages,
    read_profile,
)
from cbss_inscription.cli.exit_codes import ExitCode, exit_code_of
from cbss_inscription.domain.mutation import MUTATIONS_MAX
from cbss_inscription.domain.period import timestamp

if TYPE_CHECKING:
    from cbss_inscription.client.call import Answer
    from cbss_inscription.domain.results import MutationsResult

FOLLOW_SECONDS_MIN = 0.1
"""The shortest pause between two questions at the end of the feed."""


def mutations(
    *,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this number; nothing else remembers it.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=MUTATIONS_MAX, help="Mutations in a page.")] = MUTATIONS_MAX,
    every: Annotated[bool, typer.Option("--all", help="Every page, not only the first.")] = False,
    follow: Annotated[
        float | None,
        typer.Option(
            min=FOLLOW_SECONDS_MIN, metavar="SECONDS", help="Every page, and those to come: asks again so often."
        ),
    ] = None,
    output: Annotated[
        OutputFormat, typer.Option("--format", help="Tables, or a JSON object on a line for each page.")
    ] = OutputFormat.TEXT,
    xml: Xml = False,
    profile: ProfileFile = None,
    url: Url = None,
    ca: Ca = None,
    certificate: CertificateFile = None,
    key: KeyFile = None,
    cbe_number: CbeNumber = None,
    sector: Sector = None,
    institution: Institution = None,
    legal_context: LegalContextName = None,
    ticket: Ticket = None,
) -> None:
    """What happened to the numbers that your organisation knows: replaced, canceled, deceased …

    Status 0 when a page had a mutation, 1 when there was none; --follow ends with Ctrl-C.
    """
    from cbss_inscription.client.api import InscriptionClient

    who = read_profile(profile, url, ca, certificate, key, cbe_number, sector, institution, legal_context)
    found = False
    with InscriptionClient(who) as client:
        while True:
            answer = client.consult_mutations(after, limit=limit, ticket=ticket)
            result = answer.result
            code = exit_code_of(result)
            # Who follows wants to read what happens, not again and again that nothing did.
            if follow is None or result.mutations or code is ExitCode.REFUSED:
                _print_page(answer, output, xml=xml)
            if code is ExitCode.REFUSED:
                raise typer.Exit(code)
            found = found or bool(result.mutations)
            after = result.last_sequence_number
            if result.more and (every or follow is not None):
                continue
            if follow is None:
                break
            time.sleep(follow)
    raise typer.Exit(ExitCode.DONE if found else ExitCode.NOTHING_FOUND)


def _print_page(answer: Answer[MutationsResult], output: OutputFormat, *, xml: bool) -> None:
    if xml:
        print_messages(answer.sent, answer.received)
    elif output is OutputFormat.TEXT:
        from rich.console import Console

        from cbss_inscription.cli.tables import print_result

        print_result(Console(), answer.result, answer.information_cbss)
    else:
        sys.stdout.write(json.dumps(_as_json(answer.result)) + "\n")
    sys.stdout.flush()


def _as_json(result: MutationsResult) -> dict[str, object]:
    return {
        "status": result.status.value,
        "code": result.status.code,
        "mutations": [
            {
                "sequence_number": mutation.sequence_number,
                "event": mutation.event,
                "ssin": mutation.ssin.digits,
                "current_ssin": mutation.current_ssin.digits,
                "inscription_contexts": list(mutation.inscription_contexts),
                "recorded_at": timestamp(mutation.recorded_at),
            }
            for mutation in result.mutations
        ],
        "last_sequence_number": result.last_sequence_number,
        "more": result.more,
    }
