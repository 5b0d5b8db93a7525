"""Values made from files or the database, made anew when those change, while a worker serves (SEC-46, SEC-48, SEC-57).

Nothing here happens in the way of a message: a message takes the value in force, whole; making another one is a
thread's work, and putting it in force one assignment. What cannot be made leaves what there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import msgspec
from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from cbss_inscription.app.background import repeat
from cbss_inscription.app.settings import Settings, read_file
from cbss_inscription.app.start_checks import check_authorities
from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.governance.access import AccessRules, read_access_rules
from cbss_inscription.governance.four_eyes import replay
from cbss_inscription.governance.journal import AuditKeys, read_audit_keys
from cbss_inscription.security.lifetimes import Kind, Lifetime, ending, lifetime_of, server_lifetimes
from cbss_inscription.security.policy import fields_of
from cbss_inscription.security.trust import CertificateLimits, CertificateRules, CertifiedCaller, TrustStore
from cbss_inscription.storage.governance import StoredRecord
from cbss_inscription.storage.migration import check_schema
from cbss_inscription.usecases.ports import AccessRulesSource

SETTLE_SECONDS: Final = 0.2
"""How long a changed file must stay as it is before it is read: whoever writes in place is not done at once."""
ALARM_INTERVAL: Final = timedelta(days=1)
"""How often it is said that something ends, when nothing else is to be said (SEC-05)."""
REASON_CHARS_MAX: Final = 300
"""Characters of a sentence about a broken file that are told."""
CHECK_AGAIN_SECONDS: Final = 60.0
"""How soon a record of governance that was found broken, and has not grown, is checked again."""
DIGEST_CHARACTERS: Final = 16
"""Characters of a digest that are told."""
RULES: Final = "access rules"
"""What the log calls them, wherever they are kept."""
_LONG_NUMBER: Final = re.compile(r"[0-9]{9,}")

_Value = TypeVar("_Value")
_Stamp = tuple[int, int, int, int] | None


class ReloadLog(Protocol):
    """Where an operator reads what became of changed files, and what ends soon."""

    def reloaded(self, *, what: str, digest: str) -> None:
        """One line: what changed files say is in force; `digest` is the same in every worker that read the same."""
        ...

    def reload_failed(self, *, what: str, reason: str) -> None:
        """One line: changed files cannot be used, and what was there before stays in force."""
        ...

    def found_ending(self, *, ending: Sequence[Lifetime], unlisted: Sequence[str], ended: bool) -> None:
        """One line: certificates and revocation lists that end soon or have ended, authorities without a list."""
        ...


class _Line:
    """The newest line for the log: one that cannot be written, on a full disk for one, is there for the next look."""

    def __init__(self) -> None:
        self._write: Callable[[], None] | None = None

    def put(self, write: Callable[[], None]) -> None:
        """Nothing; this is what is to be told, and what was not told before is out of date."""
        self._write = write

    def tell(self) -> None:
        """Nothing; the line, if there is one, is written, or kept. Never raises."""
        if self._write is None:
            return
        try:
            self._write()
        except Exception:  # noqa: BLE001  # there is nowhere to say so, and the worker serves on
            return
        self._write = None


class Reloaded(Generic[_Value]):
    """The value that files make, the newest that could be made. Raises `UsageError` when the first cannot."""

    def __init__(
        self,
        what: str,
        paths: Iterable[str],
        make: Callable[[Sequence[bytes]], _Value],
        *,
        log: ReloadLog,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._what = what
        self._paths = tuple(Path(path) for path in paths)
        self._make = make
        self._log = log
        self._settle_seconds = settle_seconds
        # Looked at before they are read: what is written in between is found by the next look.
        self._seen = self._stamps()
        contents = self._read()
        self._digest = _digest_of(contents)
        self._failed_digest: str | None = None
        self._reason: str | None = None
        self._line = _Line()
        self._current = make(contents)

    def current(self) -> _Value:
        """The value in force now."""
        return self._current

    def look(self) -> None:
        """Nothing; when files changed, what they say is in force, or the log says why not. Blocks; never raises."""
        self._take_what_changed()
        self._line.tell()

    def _take_what_changed(self) -> None:
        stamps = self._stamps()
        if stamps == self._seen and self._reason is None:
            return
        if stamps != self._seen:
            time.sleep(self._settle_seconds)
            if self._stamps() != stamps:
                return  # still being written: the next look comes soon
        try:
            try:
                contents = self._read()
            except UsageError:
                self._failed_digest = None
                raise
            digest = _digest_of(contents)
            if digest == self._failed_digest:
                self._seen = stamps
                return
            if digest != self._digest:
                self._failed_digest = digest
                self._current = self._make(contents)
                self._digest = digest
                self._line.put(partial(self._log.reloaded, what=self._what, digest=digest))
            elif self._reason is not None:  # as it was before it was broken
                self._line.put(partial(self._log.reloaded, what=self._what, digest=digest))
        except UsageError as error:
            self._tell(_told(error))
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a file, the worker serves on
            self._tell(type(error).__qualname__)
        else:
            self._failed_digest = self._reason = None
        self._seen = stamps

    def _tell(self, reason: str) -> None:
        if reason != self._reason:
            self._line.put(partial(self._log.reload_failed, what=self._what, reason=reason))
        self._reason = reason

    def _read(self) -> list[bytes]:
        return [read_file(path) for path in self._paths]

    def _stamps(self) -> tuple[_Stamp, ...]:
        return tuple(_stamp_of(path) for path in self._paths)


def _stamp_of(path: Path) -> _Stamp:
    """What differs when a file was written or replaced; the time of its change, too, which no tool sets back."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _digest_of(contents: Iterable[bytes]) -> str:
    """The same for the same contents in the same order."""
    of_each = b"".join(hashlib.sha256(content).digest() for content in contents)
    return hashlib.sha256(of_each).hexdigest()[:DIGEST_CHARACTERS]


def _told(error: UsageError) -> str:
    """The sentence of a broken file without what might be somebody's: a wrong file may have been put there (SEC-74)."""
    cause = error.__cause__
    text = str(error)
    if cause is not None and not isinstance(cause, OSError | msgspec.ValidationError):
        text = f"{text.partition(': ')[0]}: {type(cause).__qualname__}"
    return _LONG_NUMBER.sub("#", text)[:REASON_CHARS_MAX]


# -- what a service's files make ---------------------------------------------------------------------------------------


def rules_of(settings: Settings) -> AccessRules:
    """The access rules as their file, or the database, says them now. Raises `UsageError`, `TemporarilyUnavailable`."""
    if settings.access_rules is None:
        return GovernedRules(settings).current()
    return _rules_of(settings.access_rules, [read_file(Path(settings.access_rules))])


def trust_of(settings: Settings) -> TrustStore:
    """Whom the service believes, as its files say now. Raises `UsageError`."""
    return _trust_of(settings, [read_file(Path(path)) for path in _trust_files(settings)])


def check_revocation(settings: Settings) -> None:
    """Nothing, unless lists are required and an authority has none. Raises `UsageError`.

    Nobody below that authority would get in: an oversight, said before the first call.
    """
    unlisted = trust_of(settings).unlisted_authorities
    if unlisted:
        raise UsageError(
            f"the authority {unlisted[0]!r} has no revocation list: name its file in revocation_lists, "
            f"or set revocation_required = false"
        )


def certificate_rules_of(settings: Settings) -> CertificateRules:
    """What an application's certificate must look like for the service."""
    said = settings.security.certificates
    return CertificateRules(
        # An algorithm that is allowed brings the keys that it takes.
        curves=frozenset(one.curve_name for one in settings.security.signature_algorithms if one.curve_name),
        extended_key_usages=frozenset(map(ObjectIdentifier, said.extended_key_usages)),
        government_unit=said.government_unit or None,
        revocation_grace_seconds=settings.trust.revocation_grace_seconds,
        **fields_of(said, CertificateLimits),
    )


def reloaded_rules(settings: Settings, *, log: ReloadLog) -> RulesInForce:
    """The access rules in force. Raises `UsageError`, and `TemporarilyUnavailable` for those of a database."""
    if settings.access_rules is None:
        return GovernedRules(settings, log=log)
    return Reloaded(RULES, [settings.access_rules], partial(_rules_of, settings.access_rules), log=log)


def reloaded_trust(settings: Settings, *, log: ReloadLog) -> Reloaded[TrustStore]:
    """Authorities and revocation lists in force, as one set: lists are signed by authorities. Raises `UsageError`."""
    return Reloaded("trust", _trust_files(settings), partial(_trust_of, settings), log=log)


def reloaded_audit_keys(settings: Settings, *, log: ReloadLog) -> Reloaded[AuditKeys]:
    """The keys of the journal in force: a `usecases.ports.AuditKeysSource`. Raises `UsageError`."""

    def keys_of(contents: Sequence[bytes]) -> AuditKeys:
        (keys,) = contents
        return read_audit_keys(keys, origin=settings.audit.keys)

    return Reloaded("audit keys", [settings.audit.keys], keys_of, log=log)


def _rules_of(origin: str, contents: Sequence[bytes]) -> AccessRules:
    (rules,) = contents
    return read_access_rules(rules, origin=origin)


def _trust_of(settings: Settings, contents: Sequence[bytes]) -> TrustStore:
    authorities, *lists = contents
    store = TrustStore(
        authorities_pem=authorities,
        environment=settings.environment,
        revocation_lists=lists,
        revocation_required=settings.trust.revocation_required,
        rules=certificate_rules_of(settings),
    )
    check_authorities(store.lifetimes, environment=settings.environment)
    return store


def _trust_files(settings: Settings) -> list[str]:
    return [settings.trust.application_authorities, *settings.trust.list_files]


class RulesInForce(AccessRulesSource, Protocol):
    """The access rules in force, wherever they are kept."""

    def look(self) -> None:
        """Nothing; when they changed, what they are now is in force, or the log says why not. Blocks; never raises."""
        ...


class GovernedRules:
    """The access rules that operators approved, of the newest version that could be checked (SEC-57).

    Raises `UsageError` when the first cannot: no record, a broken one, another than the anchor's, no schema for it.
    """

    def __init__(
        self, settings: Settings, *, log: ReloadLog | None = None, check_again_seconds: float = CHECK_AGAIN_SECONDS
    ) -> None:
        governance = settings.governance
        assert governance is not None
        if governance.anchor is None:
            raise UsageError("[governance] lacks its anchor: `cbss-inscription governance init` prints it")
        check_schema(settings.database)
        self._anchor = governance.anchor
        self._record = StoredRecord(settings.database)
        self._log = log
        self._check_again_seconds = check_again_seconds
        self._reason: str | None = None
        self._line = _Line()
        self._checked_in_vain: tuple[tuple[int, str], float] | None = None
        self._digests: tuple[str, ...] = ()
        self._current = self._load()

    def current(self) -> AccessRules:
        """The rules in force now."""
        return self._current

    def look(self) -> None:
        """See `RulesInForce.look`. A record that was found broken is checked again when it has another end, or later.

        It never goes back: a record that ends before the version in force, or tells that version otherwise, is broken.
        """
        self._take_what_changed()
        self._line.tell()

    def _take_what_changed(self) -> None:
        head = None
        try:
            head = self._record.head()
            if head == (len(self._digests), self._digests[-1]):
                if self._reason is None:
                    return
            elif self._is_known_broken(head):
                return
            else:
                self._current = self._load()
        except UsageError as error:
            self._checked_in_vain = None if head is None else (head, time.monotonic())
            self._tell(_told(error))
        except TemporarilyUnavailable as error:
            self._tell(error.reason)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the database, the worker serves on
            self._tell(type(error).__qualname__)
        else:
            if self._log is not None:
                digest = self._digests[-1][:DIGEST_CHARACTERS]
                self._line.put(partial(self._log.reloaded, what=RULES, digest=digest))
            self._checked_in_vain = self._reason = None

    def _load(self) -> AccessRules:
        state = replay(self._record.read(), anchor=self._anchor)
        if not state.version:
            raise UsageError("nothing is governed yet: run `cbss-inscription governance init`")
        if state.digests[: len(self._digests)] != self._digests:
            raise UsageError(
                f"the record of the register is broken: it does not continue version {len(self._digests)}, "
                "which was in force"
            )
        rules = state.access_rules()
        self._digests = state.digests
        return rules

    def _is_known_broken(self, head: tuple[int, str] | None) -> bool:
        if self._checked_in_vain is None or self._checked_in_vain[0] != head:
            return False
        return time.monotonic() - self._checked_in_vain[1] < self._check_again_seconds

    def _tell(self, reason: str) -> None:
        if reason != self._reason and self._log is not None:
            self._line.put(partial(self._log.reload_failed, what=RULES, reason=reason))
        self._reason = reason


class TrustInForce:
    """A `security.trust.CertificateTrust`: each certificate is judged by the store in force at that moment.

    A store remembers its own verdicts; the one that takes its place has none (SEC-46).
    """

    def __init__(self, source: Reloaded[TrustStore]) -> None:
        self._source = source

    def check(self, certificate_der: bytes, now: datetime) -> CertifiedCaller:
        """See `CertificateTrust.check`."""
        return self._source.current().check(certificate_der, now)


class ContextsInForce:
    """The inscription contexts that exist for a tenant by the rules in force (rule 28)."""

    def __init__(self, rules: AccessRulesSource) -> None:
        self._rules = rules
        self._known: tuple[AccessRules, dict[str, frozenset[InscriptionContext]]] | None = None

    def __call__(self, tenant: str) -> frozenset[InscriptionContext]:
        """See `AccessRules.contexts_known_to`; made once for each set of rules."""
        rules = self._rules.current()
        if self._known is None or self._known[0] is not rules:
            self._known = (rules, {})
        by_tenant = self._known[1]
        if tenant not in by_tenant:
            by_tenant[tenant] = rules.contexts_known_to(tenant)
        return by_tenant[tenant]


# -- the background task -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class EndAlarm:
    """Says once a day, and whenever it changes, what ends soon, has ended or is not there (SEC-05, SEC-44)."""

    log: ReloadLog
    _told: object = None
    _told_at: datetime | None = None

    def look(self, lifetimes: Iterable[Lifetime], *, unlisted: Sequence[str], now: datetime) -> None:
        """Nothing; one line is logged when there is something to say that was not said within a day."""
        found = ending(lifetimes, now)
        state = (tuple((one, one.has_ended(now)) for one in found), tuple(unlisted))
        fresh = self._told_at is not None and now - self._told_at < ALARM_INTERVAL
        if state == self._told and fresh:
            return
        self._told, self._told_at = state, now
        if found or unlisted:
            ended = bool(unlisted) or any(one.has_ended(now) for one in found)
            self.log.found_ending(ending=found, unlisted=unlisted, ended=ended)


async def keep_in_force(
    settings: Settings,
    *,
    trust: Reloaded[TrustStore],
    rules: RulesInForce,
    audit_keys: Reloaded[AuditKeys],
    log: ReloadLog,
) -> None:
    """Never returns: every `reload_seconds` it looks at files and database, in a thread, and at what ends."""
    alarm = EndAlarm(log)

    def look() -> None:
        trust.look()
        rules.look()
        audit_keys.look()
        store = trust.current()
        lifetimes = (*store.lifetimes, *lifetimes_of_server(settings.tls.certificate))
        alarm.look(lifetimes, unlisted=store.unlisted_authorities, now=datetime.now(UTC))

    await repeat(
        partial(asyncio.to_thread, look),
        seconds=lambda: settings.reload_seconds,
        failed=lambda kind: log.reload_failed(what="watch", reason=kind),
    )


def lifetimes_of_server(path: str) -> tuple[Lifetime, ...]:
    """What `server_lifetimes` finds in the file; nothing, when it cannot be read."""
    try:
        return server_lifetimes(read_file(Path(path)))
    except UsageError:  # it was whole when the listener started, and the listener reads it no more
        return ()


def lifetimes_of_signing(settings: Settings) -> tuple[Lifetime, ...]:
    """The validity of each certificate by which we ask another service, under that service's name in the settings."""
    found = []
    for name, path in settings.signing_certificates.items():
        with contextlib.suppress(UsageError, ValueError):  # it was whole at the start, and is read no more
            certificate = x509.load_pem_x509_certificates(read_file(Path(path)))[0]
            found.append(replace(lifetime_of(certificate, Kind.SIGNING_CERTIFICATE), name=name))
    return tuple(found)
