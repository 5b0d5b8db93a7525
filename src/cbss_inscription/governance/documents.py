"""Documents of governance that people read and pass on: a proposal's YAML file, and an export with its signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.access import (
    AccessRule,
    AccessRules,
    Permission,
    read_yaml,
    said_by,
    write_yaml,
)
from cbss_inscription.governance.entries import (
    Entry,
    EntryKey,
    EntryKind,
    GovernedState,
    Operator,
    content_of,
    key_of,
)
from cbss_inscription.governance.four_eyes import Moment
from cbss_inscription.governance.signatures import OperatorKey, Signed, canonical, is_signed_by
from cbss_inscription.governance.tenants import Tenant


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The entries that a file withdraws, by their names."""

    access_rules: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[EntryKey, ...]:
        """Their keys."""
        return tuple(
            EntryKey(kind, name)
            for kind, names in (
                (EntryKind.ACCESS_RULE, self.access_rules),
                (EntryKind.PERMISSION, self.permissions),
                (EntryKind.TENANT, self.tenants),
                (EntryKind.OPERATOR, self.operators),
            )
            for name in names
        )


class ProposedEntries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file proposes: these entries as they shall be, those withdrawn, and all others left as they are."""

    access_rules: tuple[AccessRule, ...] = ()
    permissions: tuple[Permission, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    operators: tuple[Operator, ...] = ()
    withdraw: Withdrawn = Withdrawn()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries that shall be; tenants first, as people would read them."""
        return (*self.tenants, *self.operators, *self.access_rules, *self.permissions)


def read_proposed(text: bytes, *, origin: str) -> ProposedEntries:
    """What a proposal's file says. Raises `UsageError`, naming `origin` and the key that is wrong."""
    return read_yaml(text, ProposedEntries, origin=origin)


def entries_of(rules: AccessRules) -> tuple[Entry, ...]:
    """The entries of a whole set of rules."""
    return (*rules.tenants, *rules.access_rules, *rules.permissions)


def lacking_in(entries: Iterable[Entry], state: GovernedState) -> Iterator[EntryKey]:
    """What of a state a whole set of rules does not have; operators are in no such set."""
    had = {key_of(entry) for entry in entries}
    return (key for key in state.entries if key.kind is not EntryKind.OPERATOR and key not in had)


def write_state(state: GovernedState) -> bytes:
    """Everything of a version as YAML, for people: what `write_access_rules` writes, and the operators."""
    said = said_by(state.access_rules()) | {"operators": [content_of(operator) for operator in state.operators]}
    return write_yaml(said)


class ExportSeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file an operator signed, of which version of which register."""

    register: str
    version: int
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    signed_by: str
    signed_at: Moment


class SignedSeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A seal with the signature on its canonical text, in base64: the content of a signature file."""

    seal: ExportSeal
    signature: str


def sign_export(text: bytes, *, state: GovernedState, operator: Operator, key: OperatorKey, now: datetime) -> bytes:
    """The signature file of an exported text."""
    seal = ExportSeal(
        register=state.register,
        version=state.version,
        sha256=hashlib.sha256(text).hexdigest(),
        signed_by=operator.name,
        signed_at=now,
    )
    signature = base64.b64encode(key.sign(Signed.EXPORT, canonical(seal))).decode("ascii")
    return msgspec.json.format(canonical(SignedSeal(seal=seal, signature=signature))) + b"\n"


def read_seal(text: bytes, *, origin: str) -> SignedSeal:
    """What a signature file says. Raises `UsageError`."""
    try:
        return msgspec.json.decode(text, type=SignedSeal)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{origin} is no signature of an export: {error}") from None


def is_sealed(text: bytes, signed: SignedSeal, *, public_key: str) -> bool:
    """Whether the seal is on this text, and its signature that of this key."""
    try:
        signature = base64.b64decode(signed.signature, validate=True)
    except (ValueError, binascii.Error):
        return False
    is_on_text = signed.seal.sha256 == hashlib.sha256(text).hexdigest()
    return is_on_text and is_signed_by(public_key, Signed.EXPORT, canonical(signed.seal), signature)
