"""`cbss-inscription governance`: who may ask what, changed by one operator and another, every version kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar
from uuid import uuid4

import typer

from cbss_inscription.cli.answers import print_json
from cbss_inscription.cli.arguments import Output, OutputFormat, SettingsFile
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.cli.operator_keys import read_key
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.period import timestamp

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.governance.entries import Entry, GovernedState
    from cbss_inscription.governance.four_eyes import Change, Founder, RecordedProposal, Refused, Verdict
    from cbss_inscription.storage.governance import StoredRecord

T = TypeVar("T")
DIGEST_CHARACTERS: Final = 16
"""Characters of a digest that people are told."""
KeyOption = Annotated[Path, typer.Option("--key", help="Your private key, from `operator-key make`.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for who decides and for the record.")]
RemarkOption = Annotated[str | None, typer.Option("--remark", help="What there is to say about it.")]
Number = Annotated[int, typer.Argument(metavar="PROPOSAL", min=1, help="The number of the proposal.")]

governance = typer.Typer(
    no_args_is_help=True,
    help="Access rules, permissions, tenants and operators in the database: one proposes, another approves.",
)


# -- beginning, proposing, deciding ------------------------------------------------------------------------------------


@governance.command()
def init(
    file: Annotated[Path | None, typer.Argument(help="Access rules (YAML) to begin with.")] = None,
    *,
    first: Annotated[str, typer.Option(metavar="NAME=KEY_FILE", help="An operator, who proposes the beginning …")],
    second: Annotated[str, typer.Option(metavar="NAME=KEY_FILE", help="… and another, who approves it.")],
    reason: ReasonOption = "The beginning.",
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Begin: enrol the first two operators, both with their keys at hand, and print the anchor for the settings."""
    from cbss_inscription.usecases.govern import begin

    read, record = _opened(settings)
    if read.governance is not None and read.governance.anchor is not None:
        raise UsageError(f"{settings} names the anchor of a register that has begun")
    entries = [] if file is None else _entries_of_rules(file)
    begun = _checked(
        lambda: begin(
            record,
            entries,
            register=str(uuid4()),
            first=_founder(first),
            second=_founder(second),
            reason=_told_in_print(reason),
            now=datetime.now(UTC),
        )
    )
    state = _or_refuse(begun, output)
    if output is OutputFormat.JSON:
        print_json({"outcome": "begun", "version": state.version, "register": state.register, "anchor": state.digest})
        return
    sys.stdout.write(
        f"version {state.version}, operators {' and '.join(operator.name for operator in state.operators)}\n"
        f'Put into the settings of every service of this register:\n\n[governance]\nanchor = "{state.digest}"\n'
    )


@governance.command()
def propose(
    file: Annotated[Path, typer.Argument(help="The entries as they shall be (YAML); others stay as they are.")],
    *,
    key: KeyOption,
    reason: ReasonOption,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Propose to put, or withdraw, the entries that a file names."""
    from cbss_inscription.app.settings import read_file
    from cbss_inscription.governance.documents import read_proposed
    from cbss_inscription.governance.four_eyes import changes_to

    said = read_proposed(read_file(file), origin=str(file))
    _propose(settings, key, reason, output, lambda state: changes_to(state, said.entries, said.withdraw.keys))


@governance.command()
def withdraw(
    *,
    access_rule: Annotated[list[str] | None, typer.Option(help="The dossier of an access rule.")] = None,
    permission: Annotated[list[str] | None, typer.Option(help="The reference of a permission.")] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="The name of a tenant.")] = None,
    operator: Annotated[list[str] | None, typer.Option(help="The name of an operator.")] = None,
    key: KeyOption,
    reason: ReasonOption,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Propose to withdraw entries; each option may be repeated."""
    from cbss_inscription.governance.documents import Withdrawn
    from cbss_inscription.governance.four_eyes import changes_to

    said = Withdrawn(
        access_rules=tuple(access_rule or ()),
        permissions=tuple(permission or ()),
        tenants=tuple(tenant or ()),
        operators=tuple(operator or ()),
    )
    if not said.keys:
        raise UsageError("name what is withdrawn: --access-rule, --permission, --tenant or --operator")
    _propose(settings, key, reason, output, lambda state: changes_to(state, (), said.keys))


@governance.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="All access rules, permissions and tenants as they shall be (YAML).")],
    *,
    key: KeyOption,
    reason: ReasonOption,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Propose what makes the whole like a file: what the file lacks is withdrawn. Operators stay."""
    from cbss_inscription.governance.documents import lacking_in
    from cbss_inscription.governance.four_eyes import changes_to

    entries = _entries_of_rules(file)
    _propose(settings, key, reason, output, lambda state: changes_to(state, entries, lacking_in(entries, state)))


@governance.command()
def approve(
    number: Number,
    *,
    key: KeyOption,
    digest: Annotated[str, typer.Option(help="Only the text whose digest `show` told; its first characters.")] = "",
    remark: RemarkOption = None,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Approve a proposal of another operator: what it says is in force from now on."""
    from cbss_inscription.governance.four_eyes import Verdict

    _decide(settings, number, Verdict.APPROVED, key, remark, output, digest=digest)


@governance.command()
def reject(
    number: Number,
    *,
    key: KeyOption,
    remark: RemarkOption = None,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Reject a proposal of another operator: it is never in force."""
    from cbss_inscription.governance.four_eyes import Verdict

    _decide(settings, number, Verdict.REJECTED, key, remark, output)


def _propose(
    settings: Path,
    key: Path,
    reason: str,
    output: OutputFormat,
    changes_of: Callable[[GovernedState], tuple[Change, ...] | Refused],
) -> None:
    from cbss_inscription.governance.four_eyes import read_proposal
    from cbss_inscription.usecases.govern import propose_changes

    read, record = _opened(settings)
    proposed = _or_refuse(
        _checked(
            lambda: propose_changes(
                record,
                changes_of,
                anchor=_anchor(read),
                reason=_told_in_print(reason),
                key=read_key(key),
                now=datetime.now(UTC),
            )
        ),
        output,
    )
    changes = [_change_in_short(change) for change in read_proposal(proposed).changes]
    if output is OutputFormat.JSON:
        print_json({"outcome": "proposed", "proposal": proposed.number, "changes": changes})
        return
    sys.stdout.write(f"proposal {proposed.number} by {proposed.proposed_by}\n")
    for change in changes:
        sys.stdout.write(_line(f"{change['change']} {change['kind']} {change['name']}") + "\n")


def _decide(
    settings: Path,
    number: int,
    verdict: Verdict,
    key: Path,
    remark: str | None,
    output: OutputFormat,
    *,
    digest: str = "",
) -> None:
    from cbss_inscription.usecases.govern import decide_proposal

    read, record = _opened(settings)
    decided = _checked(
        lambda: decide_proposal(
            record,
            number,
            verdict,
            anchor=_anchor(read),
            remark=None if remark is None else _told_in_print(remark),
            key=read_key(key),
            now=datetime.now(UTC),
            digest=digest,
        )
    )
    if decided is None:
        _nothing_found(f"There is no proposal {number}.")
    decision = _or_refuse(decided, output)
    if output is OutputFormat.JSON:
        print_json({"outcome": verdict.value, "proposal": number, "version": decision.version})
        return
    made = "" if decision.version is None else f", version {decision.version}"
    sys.stdout.write(f"proposal {number} {verdict} by {decision.decided_by}{made}\n")


# -- looking -----------------------------------------------------------------------------------------------------------


@governance.command()
def pending(*, settings: SettingsFile, output: Output = OutputFormat.TEXT) -> None:
    """List the proposals that nobody has decided yet."""
    read, record = _opened(settings)
    rows = record.read()
    state = _state(read, rows)
    rows = tuple(row for row in rows if row.decision is None)
    if output is OutputFormat.JSON:
        print_json({"proposals": [_proposal_as_json(row, state) for row in rows]})
    elif rows:
        for row in rows:
            _print_proposal(row, state)
    else:
        sys.stderr.write("cbss-inscription: Every proposal is decided.\n")
    raise typer.Exit(ExitCode.DONE if rows else ExitCode.NOTHING_FOUND)


@governance.command()
def show(number: Number, *, settings: SettingsFile, output: Output = OutputFormat.TEXT) -> None:
    """Show a proposal: each entry before and after it, and how it was decided."""
    from cbss_inscription.governance.four_eyes import read_decision, replay

    read, record = _opened(settings)
    rows = record.read()
    proposed = next((row for row in rows if row.number == number), None)
    if proposed is None:
        _nothing_found(f"There is no proposal {number}.")
    decision = read_decision(proposed)
    state = replay(rows, anchor=_anchor(read), until=None if decision is None else decision.in_force)
    if output is OutputFormat.JSON:
        print_json(_proposal_as_json(proposed, state))
    else:
        _print_proposal(proposed, state)


@governance.command()
def log(*, settings: SettingsFile, output: Output = OutputFormat.TEXT) -> None:
    """List every decision in order: the versions, and what was rejected between them."""
    from cbss_inscription.governance.four_eyes import read_decision, read_proposal

    read, record = _opened(settings)
    rows = record.read()
    digests = _state(read, rows).digests
    decided = []
    for row in rows:
        decision = read_decision(row)
        if decision is not None:
            decided.append((read_proposal(row), decision))
    decided.sort(key=lambda pair: (pair[1].version or pair[1].in_force, pair[1].version is None, pair[1].decided_at))
    if output is OutputFormat.JSON:
        print_json(
            {
                "decisions": [
                    {
                        "version": decision.version,
                        "digest": None if decision.version is None else digests[decision.version - 1],
                        "proposal": proposal.number,
                        "proposed_by": proposal.proposed_by,
                        "proposed_at": timestamp(proposal.proposed_at),
                        "reason": proposal.reason,
                        "changes": [_change_in_short(change) for change in proposal.changes],
                        "verdict": decision.verdict.value,
                        "decided_by": decision.decided_by,
                        "decided_at": timestamp(decision.decided_at),
                        "remark": decision.remark,
                    }
                    for proposal, decision in decided
                ]
            }
        )
        return
    for proposal, decision in decided:
        made = "rejected" if decision.version is None else f"version {decision.version}"
        sys.stdout.write(
            f"{made}  {_moment(decision.decided_at)}  proposal {proposal.number} by {proposal.proposed_by}, "
            f"{decision.verdict} by {decision.decided_by}: {_line(proposal.reason)}\n"
        )


@governance.command()
def at(
    version: Annotated[int, typer.Argument(min=1, help="The version.")],
    *,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Show everything as it was at a version: access rules, permissions, tenants and operators."""
    from cbss_inscription.governance.documents import write_state
    from cbss_inscription.governance.entries import EntryKind

    read, record = _opened(settings)
    state = _state(read, record.read(), until=version)
    if output is OutputFormat.TEXT:
        sys.stdout.write(write_state(state).decode("utf-8"))
        return
    of_kinds = {
        name: [governed.content for key, governed in state.entries.items() if key.kind is kind]
        for name, kind in (
            ("access_rules", EntryKind.ACCESS_RULE),
            ("permissions", EntryKind.PERMISSION),
            ("tenants", EntryKind.TENANT),
            ("operators", EntryKind.OPERATOR),
        )
    }
    print_json({"version": state.version, "digest": state.digest, **of_kinds})


@governance.command()
def export(
    *,
    to: Annotated[Path | None, typer.Option("--output", help="The file; none = standard output.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Of this version; none = the one in force.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only what is this tenant's.")] = None,
    signer_key: Annotated[Path | None, typer.Option(help="Sign it: FILE.sig beside the file, for `verify`.")] = None,
    settings: SettingsFile,
) -> None:
    """Write access rules, permissions and tenants as one YAML file, which `import` and `access_rules` read."""
    from cbss_inscription.governance.access import write_access_rules
    from cbss_inscription.governance.documents import sign_export

    if signer_key is not None and to is None:
        raise UsageError("a signature stands beside a file: give --output")
    read, record = _opened(settings)
    state = _state(read, record.read(), until=version)
    rules = state.access_rules()
    text = write_access_rules(rules if tenant is None else rules.of_tenant(tenant))
    if to is None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        return
    if signer_key is not None:
        key = read_key(signer_key)
        operator = state.operator_of_key(key.public_key)
        if operator is None:
            raise UsageError(f"the key is no operator's at version {state.version}")
        sealed = sign_export(text, state=state, operator=operator, key=key, now=datetime.now(UTC))
        _signature_of(to).write_bytes(sealed)
    to.write_bytes(text)


@governance.command()
def diff(
    file: Annotated[Path | None, typer.Argument(help="What `import` of this file would change.")] = None,
    *,
    since: Annotated[
        int | None, typer.Option("--from", min=1, help="Instead: what changed from this version …")
    ] = None,
    until: Annotated[int | None, typer.Option("--to", min=1, help="… to this one; none = the one in force.")] = None,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Show what differs, entry by entry; status 1 when nothing does."""
    if (file is None) == (since is None) or (file is not None and until is not None):
        raise UsageError("give a file, or --from VERSION and perhaps --to VERSION")
    read, record = _opened(settings)
    rows = record.read()
    state = _state(read, rows, until=since)
    if file is not None:
        later = _contents_after_import(file, state)
    else:
        later = {str(key): governed.content for key, governed in _state(read, rows, until=until).entries.items()}
    former = {str(key): governed.content for key, governed in state.entries.items()}
    differing = [
        (name, former.get(name), later.get(name))
        for name in dict.fromkeys((*former, *later))
        if former.get(name) != later.get(name)
    ]
    if output is OutputFormat.JSON:
        print_json(
            {"changes": [{"entry": name, "before": before, "after": after} for name, before, after in differing]}
        )
    else:
        for name, before, after in differing:
            _print_change(name, before, after)
        if not differing:
            sys.stderr.write("cbss-inscription: Nothing differs.\n")
    raise typer.Exit(ExitCode.DONE if differing else ExitCode.NOTHING_FOUND)


@governance.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An exported file, to be compared with its signature.")] = None,
    *,
    signature: Annotated[Path | None, typer.Option(help="Its signature; none = FILE.sig.")] = None,
    public_key: Annotated[
        str | None, typer.Option(help="The signer's public key; none = as the register has it.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="The settings file (TOML) that names the database.")
    ] = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Check the whole record in the database, signature by signature; or an exported file against its signature."""
    if file is not None:
        _verify_export(file, signature or _signature_of(file), public_key, settings, output)
    if settings is None or signature is not None or public_key is not None:
        raise UsageError("give --settings to check the record, or FILE to check an export")
    from cbss_inscription.governance.four_eyes import discrepancies

    read, record = _opened(settings)
    rows = record.read()
    found = discrepancies(rows, anchor=_anchor(read))
    versions = sum(row.decision is not None and row.decision.version is not None for row in rows)
    if output is OutputFormat.JSON:
        print_json({"proposals": len(rows), "versions": versions, "discrepancies": list(found)})
    else:
        for sentence in found:
            sys.stdout.write(f"{_line(sentence)}\n")
        sys.stdout.write(f"{len(rows)} proposals, {versions} versions, {len(found) or 'no'} discrepancies\n")
    raise typer.Exit(ExitCode.REFUSED if found else ExitCode.DONE)


def _verify_export(
    file: Path, signature: Path, public_key: str | None, settings: Path | None, output: OutputFormat
) -> NoReturn:
    from cbss_inscription.app.settings import read_file
    from cbss_inscription.governance.documents import is_sealed, read_seal

    signed = read_seal(read_file(signature), origin=str(signature))
    seal = signed.seal
    if public_key is None:
        if settings is None:
            raise UsageError("whose signature? Give --settings, or the signer's --public-key")
        read, record = _opened(settings)
        state = _state(read, record.read(), until=seal.version)
        operator = state.operator(seal.signed_by) if state.register == seal.register else None
        public_key = "" if operator is None else operator.public_key
    is_whole = is_sealed(read_file(file), signed, public_key=public_key)
    if output is OutputFormat.JSON:
        said = {"register": seal.register, "version": seal.version, "signed_by": seal.signed_by}
        print_json({"outcome": "signed" if is_whole else "refused", **said, "signed_at": timestamp(seal.signed_at)})
    elif is_whole:
        sys.stdout.write(f"version {seal.version}, signed by {_line(seal.signed_by)} {_moment(seal.signed_at)}\n")
    else:
        sys.stderr.write("cbss-inscription: The file is not what was signed, or not by this key.\n")
    raise typer.Exit(ExitCode.DONE if is_whole else ExitCode.REFUSED)


# -- common to them ----------------------------------------------------------------------------------------------------


def _opened(settings: Path) -> tuple[Settings, StoredRecord]:
    """The settings, and the record in their database. Raises `UsageError` for a schema that is not this version's."""
    from cbss_inscription.app.settings import read_settings
    from cbss_inscription.storage.governance import StoredRecord
    from cbss_inscription.storage.migration import check_schema

    read = read_settings(settings)
    if read.governance is None:
        raise UsageError(f"{settings} has the access rules in a file, not in the database: put [governance] there")
    check_schema(read.database)
    return read, StoredRecord(read.database)


def _anchor(settings: Settings) -> str:
    if settings.governance is None or settings.governance.anchor is None:
        raise UsageError("[governance] lacks its anchor: `cbss-inscription governance init` prints it")
    return settings.governance.anchor


def _state(settings: Settings, rows: Sequence[RecordedProposal], *, until: int | None = None) -> GovernedState:
    """The state of a version; `NOTHING_FOUND` ends the command when there is no such version."""
    from cbss_inscription.governance.four_eyes import replay

    state = replay(rows, anchor=_anchor(settings), until=until)
    if not state.version or (until is not None and state.version < until):
        _nothing_found("There is no such version." if state.version else "Nothing is governed yet.")
    return state


def _founder(text: str) -> Founder:
    from cbss_inscription.governance.four_eyes import Founder

    name, found, file = text.partition("=")
    if not found:
        raise UsageError("an operator who begins is NAME=KEY_FILE")
    return Founder(name=name, key=read_key(Path(file)))


def _entries_of_rules(file: Path) -> Sequence[Entry]:
    from cbss_inscription.app.settings import read_file
    from cbss_inscription.governance.access import read_access_rules
    from cbss_inscription.governance.documents import entries_of

    return entries_of(read_access_rules(read_file(file), origin=str(file)))


def _contents_after_import(file: Path, state: GovernedState) -> dict[str, Mapping[str, Any]]:
    from cbss_inscription.governance.entries import EntryKind, content_of, entries_by_key

    later = _checked(lambda: entries_by_key(_entries_of_rules(file)))
    stay = {str(key): one.content for key, one in state.entries.items() if key.kind is EntryKind.OPERATOR}
    return stay | {str(key): content_of(entry) for key, entry in later.items()}


def _told_in_print(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise UsageError("a reason or remark is one line of printable characters")
    return text


def _checked(work: Callable[[], T]) -> T:
    """What `work` gives; what no entry can say is a `UsageError`."""
    try:
        return work()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _or_refuse(outcome: T | Refused, output: OutputFormat) -> T:
    """The outcome; a refusal is told, and ends the command with status 3."""
    from cbss_inscription.governance.four_eyes import Refused

    if not isinstance(outcome, Refused):
        return outcome
    about = None if outcome.about is None else _line(outcome.about)
    if output is OutputFormat.JSON:
        said = {"reason": outcome.reason.value, "sentence": outcome.reason.sentence, "about": about}
        print_json({"outcome": "refused", **said})
    else:
        sys.stderr.write(f"cbss-inscription: refused: {f'{about}: ' if about else ''}{outcome.reason.sentence}\n")
    raise typer.Exit(ExitCode.REFUSED)


def _nothing_found(sentence: str) -> NoReturn:
    sys.stderr.write(f"cbss-inscription: {sentence}\n")
    raise typer.Exit(ExitCode.NOTHING_FOUND)


def _signature_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sig")


def _line(text: str) -> str:
    from cbss_inscription.client.dialect import one_line

    return one_line(text)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _change_in_short(change: Change) -> dict[str, object]:
    return {"kind": change.kind.value, "name": change.name, "change": "withdraw" if change.put is None else "put"}


def _proposal_as_json(proposed: RecordedProposal, state: GovernedState) -> dict[str, object]:
    """The proposal, each entry as it was in `state`, before it, and as it would be after it."""
    from cbss_inscription.governance.four_eyes import read_decision, read_proposal

    proposal, decision = read_proposal(proposed), read_decision(proposed)
    return {
        "proposal": proposal.number,
        "digest": proposed.digest,
        "proposed_by": proposal.proposed_by,
        "proposed_at": timestamp(proposal.proposed_at),
        "reason": proposal.reason,
        "changes": [
            {"kind": change.kind.value, "name": change.name, "before": state.content(change.key), "after": change.put}
            for change in proposal.changes
        ],
        "stale": [str(change.key) for change in proposal.changes if state.digest_in(change.key) != change.was],
        "decision": None
        if decision is None
        else {
            "verdict": decision.verdict.value,
            "decided_by": decision.decided_by,
            "decided_at": timestamp(decision.decided_at),
            "remark": decision.remark,
            "version": decision.version,
        },
    }


def _print_proposal(proposed: RecordedProposal, state: GovernedState) -> None:
    from cbss_inscription.governance.four_eyes import read_decision, read_proposal

    proposal, decision = read_proposal(proposed), read_decision(proposed)
    sys.stdout.write(
        f"proposal {proposal.number} by {proposal.proposed_by}  {_moment(proposal.proposed_at)}\n"
        f"  reason  {_line(proposal.reason)}\n  digest  {proposed.digest[:DIGEST_CHARACTERS]}\n"
    )
    for change in proposal.changes:
        _print_change(str(change.key), state.content(change.key), change.put)
        if state.digest_in(change.key) != change.was:
            sys.stdout.write("    It has changed since: this cannot be approved any more.\n")
    if decision is not None:
        made = "" if decision.version is None else f", version {decision.version}"
        remark = "" if decision.remark is None else f": {_line(decision.remark)}"
        sys.stdout.write(
            f"  {decision.verdict} by {decision.decided_by}  {_moment(decision.decided_at)}{made}{remark}\n"
        )


def _print_change(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
    """Nothing; one entry stands on standard output, with what differs in it."""
    what = "withdrawn" if after is None else "new" if before is None else "changed"
    sys.stdout.write(f"  {_line(name)}  {what}\n")
    former, later = before or {}, after or {}
    for key in dict.fromkeys((*former, *later)):
        if former.get(key) != later.get(key):
            # Of an entry that comes or goes, what it says; of one that changes, both.
            said = [_shown(content.get(key)) for content in (before, after) if content is not None]
            sys.stdout.write(f"    {key}  {' → '.join(said)}\n")


def _shown(value: object) -> str:
    import msgspec

    if value is None:
        return "none"
    return _line(value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8"))
