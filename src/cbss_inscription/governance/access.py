"""Who may ask what: the access rules of the Uniek dossier and the permissions of KSZ (rules 28, 48; SEC-56 to SEC-60).

Two documents decide, and both must say yes. The *access rule* (RSZ) admits an application, by the URN and CBE number
of its certificate, to operations. The *permission* (KSZ) says for which organisation it may speak, under which legal
contexts, and about which inscription contexts. What neither names is refused.

Here both stand in one YAML file, checked against the values below: an unknown key is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
import yaml

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import NotAuthorized, UsageError
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation

if TYPE_CHECKING:
    from cbss_inscription.domain.exchange import Caller


DEPTH_MAX: Final = 16
"""Levels in one another in a file of access rules; a file that is right has six."""
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class ReplacedNumbers(StrEnum):
    """What is done for this customer when the number asked is replaced by an active one (contract.md section 4)."""

    FOLLOW = "follow"
    """Go on under the current number and say so: CBI00102. The rule of the service description (rule 17)."""
    REFUSE = "refuse"
    """Refuse, naming the current number: MSG00006. The Flemish gateway's way (domain.md 2.2)."""


class LegalDataProfile(StrEnum):
    """How given legal data are compared with the register's (rule 43)."""

    EXACT = "exact"
    """After NFC, white space, case and diacritics are evened out."""
    STRICT = "strict"
    """After NFC and white space only."""


class _Dated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    valid_from: date
    valid_until: date | None = None

    def is_valid_on(self, day: date) -> bool:
        """Whether `day` lies within the validity, both ends included."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


class AccessRule(_Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An application admitted to operations in an environment (Uniek dossier)."""

    dossier: str
    application_urn: str
    cbe_number: str
    environment: str
    operations: tuple[Operation, ...]
    remarks: str | None = None


class Visibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose lines a customer may see beside its own: those of these contexts, of these organisations (rule 30).

    A right to read: nobody's lines can be changed by it. Raises ValueError when it names no context.
    """

    inscription_contexts: frozenset[InscriptionContext]
    organizations: tuple[CustomerIdentification, ...] = ()
    """None named: every organisation."""

    def __post_init__(self) -> None:
        if not self.inscription_contexts:
            raise ValueError("visibility without inscription_contexts shows nothing: leave it out")


class Permission(_Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What KSZ permits: these applications of this organisation (CBE number) speak for this customer, under these
    legal contexts, about these inscription contexts. Without `visibility` it sees its own lines only.
    """

    reference: str
    customer_identification: CustomerIdentification
    cbe_number: str
    application_urns: tuple[str, ...]
    legal_contexts: frozenset[LegalContext]
    inscription_contexts: frozenset[InscriptionContext]
    operations: tuple[Operation, ...]
    replaced_numbers: ReplacedNumbers = ReplacedNumbers.FOLLOW
    legal_data_profile: LegalDataProfile = LegalDataProfile.EXACT
    visibility: Visibility | None = None
    remarks: str | None = None

    @property
    def readable_contexts(self) -> frozenset[InscriptionContext]:
        """The contexts that a consultation may name: granted, or visible at other organisations."""
        seen = self.visibility.inscription_contexts if self.visibility else frozenset[InscriptionContext]()
        return self.inscription_contexts | seen


class AccessRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All access rules and permissions in force, with the version of the file that holds them."""

    version: int
    access_rules: tuple[AccessRule, ...]
    permissions: tuple[Permission, ...]

    def permission_for(
        self,
        caller: Caller,
        operation: Operation,
        customer: CustomerIdentification,
        legal_context: LegalContext,
        *,
        today: date,
        inscription_contexts: Collection[InscriptionContext] = (),
    ) -> Permission | None:
        """The permission under which `caller` may do `operation` for `customer`.

        Where several hold under the legal context: the first that grants all `inscription_contexts` (rule 28); for a
        consultation, else the first under which all of them may be read; or else the first, and the repertory then
        says which context is not granted. When none is named, the first, with the contexts granted by all.
        Visibility is never added up: the permission that is found brings its own or none, so that lines of other
        organisations are seen exactly as one permission words it, and own contexts of another do not widen that.
        None when all but the legal context is granted: the caller is told MSG00013 (contract.md section 4).
        Raises `NotAuthorized` when no access rule admits the application (SEC-56), or when no permission lets it
        speak for the customer (SEC-58), which includes every customer of another CBE number.
        """
        if not self.admits(caller, operation, today=today):
            raise NotAuthorized("no-access-rule")
        bound = [
            permission
            for permission in self.permissions
            if permission.customer_identification == customer
            and permission.cbe_number == caller.cbe_number
            and caller.application_urn in permission.application_urns
            and permission.is_valid_on(today)
        ]
        if not bound:
            raise NotAuthorized("customer-not-bound")
        permitted = [permission for permission in bound if operation in permission.operations]
        if not permitted:
            raise NotAuthorized("operation-not-permitted")
        grounded = [permission for permission in permitted if legal_context in permission.legal_contexts]
        if len(grounded) <= 1:
            return next(iter(grounded), None)
        if not inscription_contexts:
            every = frozenset[InscriptionContext]().union(*(permission.inscription_contexts for permission in grounded))
            return msgspec.structs.replace(grounded[0], inscription_contexts=every)
        holding = [item for item in grounded if item.inscription_contexts.issuperset(inscription_contexts)]
        if operation is Operation.CONSULT_INSCRIPTIONS:
            holding += (item for item in grounded if item.readable_contexts.issuperset(inscription_contexts))
        return holding[0] if holding else grounded[0]

    @property
    def inscription_contexts(self) -> frozenset[InscriptionContext]:
        """Every context that some permission grants or shows."""
        return frozenset[InscriptionContext]().union(*(item.readable_contexts for item in self.permissions))

    def admits(self, caller: Caller, operation: Operation, *, today: date) -> bool:
        """Whether an access rule admits the application to the operation, on that day and in that environment."""
        return self.rule_for(caller, operation, today=today) is not None

    def rule_for(self, caller: Caller, operation: Operation, *, today: date) -> AccessRule | None:
        """The first access rule that admits the application to the operation, on that day and in that environment."""
        return next(
            (
                rule
                for rule in self.access_rules
                if rule.application_urn == caller.application_urn
                and rule.cbe_number == caller.cbe_number
                and rule.environment == caller.environment
                and operation in rule.operations
                and rule.is_valid_on(today)
            ),
            None,
        )


def read_access_rules(text: bytes, *, origin: str) -> AccessRules:
    """The access rules that a YAML file says. Raises `UsageError`, naming `origin` and the key that is wrong."""
    try:
        _check_keys(text)
        return msgspec.yaml.decode(text, type=AccessRules, dec_hook=_decode)
    except (msgspec.MsgspecError, yaml.YAMLError, ValueError, RecursionError) as error:
        # YAML's own messages have several lines, and its constructors raise plain ValueErrors.
        raise UsageError(f"{origin}: {' '.join(str(error).split())}") from error


def write_access_rules(rules: AccessRules) -> bytes:
    """The YAML text that `read_access_rules` reads back as the same value: what is absent or empty is left out
    where that says the same, sets sorted.
    """
    plain = msgspec.to_builtins(rules, enc_hook=_encode, order="deterministic", builtin_types=(date,))
    for permission in plain["permissions"]:
        # Without organisations it is every organisation; an empty list would read as none.
        if permission["visibility"] is not None and not permission["visibility"]["organizations"]:
            permission["visibility"]["organizations"] = None
    text = yaml.dump(_without_absent(plain), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True)
    return text.encode("utf-8")


class _PlainDumper(yaml.SafeDumper):
    """Repeats an equal value instead of pointing to it: the file is for people."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _without_absent(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_absent(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_absent(item) for item in value]
    return value


def _check_keys(text: bytes) -> None:
    """Nothing. Raises ValueError for what reading into values would pass over or not place.

    A key that a mapping has twice (PyYAML takes the last), a day that no calendar has (PyYAML's message names no key),
    levels upon levels (libyaml's nodes are made by recursion without a bound, which ends the process).
    """
    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise ValueError(f"more than {DEPTH_MAX} levels in one another")
    waiting = [yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))]
    met: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in met:  # an alias, perhaps of what it stands in
            continue
        met.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        if isinstance(node, yaml.MappingNode):
            _check_mapping(node)
            waiting.extend(value for _, value in node.value)


def _check_mapping(node: yaml.MappingNode) -> None:
    keys = set()
    for key, value in node.value:
        place = f"`{key.value}` in line {key.start_mark.line + 1}"
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys:
                raise ValueError(f"{place} stands there twice")
            keys.add(key.value)
        if isinstance(value, yaml.ScalarNode) and value.tag.endswith(":timestamp") and _DAY.fullmatch(value.value):
            try:
                date.fromisoformat(value.value)
            except ValueError:
                raise ValueError(f"{place} is no day of the calendar") from None


def _decode(kind: type[object], value: object) -> object:
    if kind in {LegalContext, InscriptionContext} and isinstance(value, str):
        return kind(value)
    raise TypeError(f"{kind.__name__} is not written like that")


def _encode(value: object) -> object:
    if isinstance(value, (LegalContext, InscriptionContext)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an access-rule file")
