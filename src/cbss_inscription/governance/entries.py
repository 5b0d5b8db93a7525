"""What is governed: access rules, permissions, tenants and operators, each known by its name, and the state of all.

A state is what the approved changes, one after the other, have left; it never changes itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import msgspec

from cbss_inscription.governance.access import AccessRule, AccessRules, Permission, decode, plain
from cbss_inscription.governance.signatures import PublicKey, canonical
from cbss_inscription.governance.tenants import Tenant, TenantName

NAME_CHARACTERS_MAX: Final = 200
"""Characters of the name that an entry is known by."""
REGISTER_OPERATORS_MIN: Final = 2
"""Operators of the register that there must be: with fewer, nothing could be approved ever again."""


class EntryKind(StrEnum):
    """What an entry is."""

    ACCESS_RULE = "access-rule"
    PERMISSION = "permission"
    TENANT = "tenant"
    OPERATOR = "operator"


class Operator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person who may propose and decide, known by a key; of one tenant, or of the register itself (None)."""

    name: TenantName
    public_key: PublicKey
    tenant: str | None = None
    remarks: str | None = None


Entry = AccessRule | Permission | Tenant | Operator
TYPES: Final[Mapping[EntryKind, type[Entry]]] = MappingProxyType(
    {
        EntryKind.ACCESS_RULE: AccessRule,
        EntryKind.PERMISSION: Permission,
        EntryKind.TENANT: Tenant,
        EntryKind.OPERATOR: Operator,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class EntryKey:
    """By which an entry is known."""

    kind: EntryKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def key_of(entry: Entry) -> EntryKey:
    """The key of an entry: the dossier, the reference, or the name."""
    match entry:
        case AccessRule():
            return EntryKey(EntryKind.ACCESS_RULE, entry.dossier)
        case Permission():
            return EntryKey(EntryKind.PERMISSION, entry.reference)
        case Tenant():
            return EntryKey(EntryKind.TENANT, entry.name)
        case Operator():
            return EntryKey(EntryKind.OPERATOR, entry.name)


def check_name(key: EntryKey) -> None:
    """Nothing. Raises ValueError for a name that cannot be told or typed."""
    if not (0 < len(key.name) <= NAME_CHARACTERS_MAX and key.name.isprintable() and key.name == key.name.strip()):
        raise ValueError(f"the name of an {key.kind} has 1 to {NAME_CHARACTERS_MAX} printable characters")


def content_of(entry: Entry) -> dict[str, Any]:
    """The entry as it is written into a proposal."""
    return plain(entry)


def read_entry(kind: EntryKind, content: Mapping[str, Any]) -> Entry:
    """The entry that a content says. Raises ValueError, with the key that is wrong."""
    try:
        return msgspec.convert(content, TYPES[kind], dec_hook=decode)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def digest_of_content(content: Mapping[str, Any]) -> str:
    """SHA-256 of a content as it was written, in hexadecimal, whatever a later program reads in it."""
    return hashlib.sha256(canonical(content)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernedEntry:
    """An entry with its content as it was written."""

    entry: Entry
    content: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernedState:
    """Every entry at one version, in the order in which they came."""

    register: str = ""
    """The id of the register whose record it is; empty before the first version."""
    digests: tuple[str, ...] = ()
    """Of the approvals that made the versions, from the first to this one."""
    entries: Mapping[EntryKey, GovernedEntry] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """How many approvals led here; 0 before the first."""
        return len(self.digests)

    @property
    def digest(self) -> str:
        """Of the approval that made this version; empty before the first."""
        return self.digests[-1] if self.digests else ""

    def content(self, key: EntryKey) -> Mapping[str, Any] | None:
        """The content of an entry; None when it is not there."""
        governed = self.entries.get(key)
        return None if governed is None else governed.content

    def digest_in(self, key: EntryKey) -> str | None:
        """The digest of the content of an entry; None when it is not there."""
        content = self.content(key)
        return None if content is None else digest_of_content(content)

    def of_kind(self, kind: EntryKind) -> tuple[Entry, ...]:
        """The entries of one kind."""
        return tuple(governed.entry for key, governed in self.entries.items() if key.kind is kind)

    def operator(self, name: str) -> Operator | None:
        """The operator of this name."""
        governed = self.entries.get(EntryKey(EntryKind.OPERATOR, name))
        return governed.entry if governed is not None and isinstance(governed.entry, Operator) else None

    def operator_of_key(self, public_key: str) -> Operator | None:
        """The operator who is known by this key."""
        return next((operator for operator in self.operators if operator.public_key == public_key), None)

    @property
    def operators(self) -> tuple[Operator, ...]:
        """All operators."""
        return tuple(entry for entry in self.of_kind(EntryKind.OPERATOR) if isinstance(entry, Operator))

    def access_rules(self) -> AccessRules:
        """The rules of this version. Raises ValueError when an entry names what is not of its tenant."""
        kinds: dict[type[Entry], list[Any]] = {kind: [] for kind in TYPES.values()}
        for governed in self.entries.values():
            kinds[type(governed.entry)].append(governed.entry)
        return AccessRules(
            version=self.version,
            access_rules=tuple(kinds[AccessRule]),
            permissions=tuple(kinds[Permission]),
            tenants=tuple(kinds[Tenant]),
        )

    def check(self) -> None:
        """Nothing. Raises ValueError, naming what cannot be: see `access_rules`; and who could not govern."""
        rules = self.access_rules()
        tenants = {tenant.name for tenant in rules.tenants}
        keys: dict[str, str] = {}
        for operator in self.operators:
            if operator.tenant is not None and operator.tenant not in tenants:
                raise ValueError(
                    f"the operator {operator.name} belongs to the tenant {operator.tenant}, which is not listed"
                )
            other = keys.setdefault(operator.public_key, operator.name)
            if other != operator.name:
                raise ValueError(f"the operators {other} and {operator.name} have the same key")
        if sum(operator.tenant is None for operator in self.operators) < REGISTER_OPERATORS_MIN:
            raise ValueError(f"fewer than {REGISTER_OPERATORS_MIN} operators of the register would be left")


def entries_by_key(entries: Iterable[Entry]) -> dict[EntryKey, Entry]:
    """The entries by their keys. Raises ValueError for a key that stands twice, and for a name that cannot be told."""
    found: dict[EntryKey, Entry] = {}
    for entry in entries:
        key = key_of(entry)
        check_name(key)
        if key in found:
            raise ValueError(f"{key} stands there twice")
        found[key] = entry
    return found
