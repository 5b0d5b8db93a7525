"""Who may ask what: the access rules of the Uniek dossier and the permissions of KSZ (rules 28, 48; SEC-56 to SEC-60).

Two documents decide, and both must say yes. The *access rule* (RSZ) admits an application, by the URN and CBE number
of its certificate, to operations. The *permission* (KSZ) says for which organisation it may speak, under which legal
contexts, and about which inscription contexts. What neither names is refused.

Both stand in one YAML file, or in the database under four eyes (`governance.four_eyes`); either way they are the values
below, and an unknown key is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
import yaml

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import NotAuthorized, UsageError
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.inscription_contexts import KNOWN_CONTEXTS
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.tenants import DEFAULT_TENANT, Application, Belonging, Tenant, check_tenants

if TYPE_CHECKING:
    from cbss_inscription.domain.exchange import Caller


DEPTH_MAX: Final = 16
"""Levels in one another in a file of access rules; a file that is right has six."""
VOLUME_LIMIT_MAX: Final = 10**12
"""Requests of one window that can be agreed on: far beyond any, and counted in a bigint."""
_Value = TypeVar("_Value")
_Entry = TypeVar("_Entry", bound=Belonging)
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


class VolumeWindow(StrEnum):
    """For how long requests are counted together."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class VolumeMode(StrEnum):
    """What becomes of a request beyond an agreed volume."""

    SOFT = "soft"
    """It is answered, and the operator is told."""
    HARD = "hard"
    """It is refused."""


class AgreedVolume(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests in a window KSZ agreed to (SEC-57): of one operation, or of all together."""

    window: VolumeWindow
    limit: Annotated[int, msgspec.Meta(ge=1, le=VOLUME_LIMIT_MAX)]
    operation: Operation | None = None
    mode: VolumeMode = VolumeMode.HARD


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
    tenant: str = DEFAULT_TENANT
    remarks: str | None = None

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return f"the access rule {self.dossier!r}"

    @property
    def applications(self) -> tuple[Application, ...]:
        """The one that it admits."""
        return (Application(application_urn=self.application_urn, cbe_number=self.cbe_number),)

    @property
    def customers(self) -> tuple[CustomerIdentification, ...]:
        """None: for whom an application speaks is the permissions' to say."""
        return ()

    @property
    def readable_contexts(self) -> frozenset[InscriptionContext]:
        """None, likewise."""
        return frozenset()


class Visibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose lines a customer may see beside its own: those of these contexts, of these organisations (rule 30).

    A right to read: nobody's lines can be changed by it. Raises ValueError when it names no context.
    """

    inscription_contexts: frozenset[InscriptionContext]
    organizations: tuple[CustomerIdentification, ...] = ()
    """None named: every organisation of the tenant."""

    def __post_init__(self) -> None:
        if not self.inscription_contexts:
            raise ValueError("visibility without inscription_contexts shows nothing: leave it out")

    @property
    def leaves_organizations_out(self) -> bool:
        """Whether the tenant has, or may have, an organisation that is not seen."""
        return bool(self.organizations)


class VisibilityOfTenant(Visibility, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A visibility that named no organisations, with all those of its tenant named, and so no other tenant's."""

    @property
    def leaves_organizations_out(self) -> bool:
        """No: for the tenant there are no others."""
        return False


class Permission(_Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What KSZ permits: these applications of this organisation (CBE number) speak for this customer, under these
    legal contexts, about these inscription contexts. Without `visibility` it sees its own lines only; without
    `volumes` no number of requests was agreed. Raises ValueError when two volumes are of the same window and operation.
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
    volumes: tuple[AgreedVolume, ...] = ()
    tenant: str = DEFAULT_TENANT
    remarks: str | None = None

    def __post_init__(self) -> None:
        if len({(volume.window, volume.operation) for volume in self.volumes}) < len(self.volumes):
            raise ValueError("two volumes are of the same window and operation")

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return f"the permission {self.reference!r}"

    @property
    def applications(self) -> tuple[Application, ...]:
        """Those that may use it."""
        return tuple(Application(application_urn=urn, cbe_number=self.cbe_number) for urn in self.application_urns)

    @property
    def customers(self) -> tuple[CustomerIdentification, ...]:
        """For whom they speak, and those whose lines they are shown by name."""
        return (self.customer_identification, *(self.visibility.organizations if self.visibility else ()))

    @property
    def readable_contexts(self) -> frozenset[InscriptionContext]:
        """The contexts that a consultation may name: granted, or visible at other organisations."""
        if self.visibility is None:
            return self.inscription_contexts
        return self.inscription_contexts | self.visibility.inscription_contexts


class AccessRefusal(StrEnum):
    """Why the rules say no: a fixed word for the log and the record."""

    NO_ACCESS_RULE = "no-access-rule"
    CUSTOMER_NOT_BOUND = "customer-not-bound"
    OPERATION_NOT_PERMITTED = "operation-not-permitted"
    LEGAL_CONTEXT_NOT_GRANTED = "legal-context-not-granted"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDecision:
    """What the rules say to a question, and what of them decided (SEC-60)."""

    version: int
    """Of the rules."""
    access_rule: AccessRule | None
    """The one that admits the application to the operation."""
    permission: Permission | None
    """The one that grants it; None when it is refused."""
    refusal: AccessRefusal | None
    looked_at: tuple[str, ...]
    """The references of the permissions that held up to the point where it was decided."""

    @property
    def tenant(self) -> str | None:
        """Whose access rule and permission they are."""
        return None if self.access_rule is None else self.access_rule.tenant


class AccessRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """All access rules and permissions in force, with their version.

    Raises ValueError when one names what is not of its tenant; where none is listed, there is one without bounds.
    """

    version: int
    access_rules: tuple[AccessRule, ...]
    permissions: tuple[Permission, ...]
    tenants: tuple[Tenant, ...] = ()

    def __post_init__(self) -> None:
        check_tenants(self.tenants, (*self.access_rules, *self.permissions))

    def decide(
        self,
        caller: Caller,
        operation: Operation,
        customer: CustomerIdentification,
        legal_context: LegalContext,
        *,
        today: date,
        inscription_contexts: Collection[InscriptionContext] = (),
    ) -> AccessDecision:
        """Whether `caller` may do `operation` for `customer`, under which permission, and by which rules.

        Where several hold under the legal context: the first that grants all `inscription_contexts` (rule 28); for a
        consultation, else the first under which all of them may be read; or else the first, and the repertory then
        says which context is not granted. When none is named, the first, with the contexts granted by all.
        Visibility is never added up: the permission that is found brings its own or none, so that lines of other
        organisations are seen exactly as one permission words it, and own contexts of another do not widen that.
        It is never wider than the tenant either.
        """
        rule = self.rule_for(caller, operation, today=today)

        def refused(refusal: AccessRefusal, looked_at: Collection[Permission]) -> AccessDecision:
            return AccessDecision(
                version=self.version,
                access_rule=rule,
                permission=None,
                refusal=refusal,
                looked_at=tuple(permission.reference for permission in looked_at),
            )

        if rule is None:
            return refused(AccessRefusal.NO_ACCESS_RULE, ())
        bound = [
            permission
            for permission in self._permissions_of.get((caller.application_urn, caller.cbe_number), ())
            if permission.customer_identification == customer and permission.is_valid_on(today)
        ]
        if not bound:
            return refused(AccessRefusal.CUSTOMER_NOT_BOUND, ())
        permitted = [permission for permission in bound if operation in permission.operations]
        if not permitted:
            return refused(AccessRefusal.OPERATION_NOT_PERMITTED, bound)
        grounded = [permission for permission in permitted if legal_context in permission.legal_contexts]
        if not grounded:
            return refused(AccessRefusal.LEGAL_CONTEXT_NOT_GRANTED, permitted)
        found = _chosen(grounded, operation, inscription_contexts)
        return AccessDecision(
            version=self.version,
            access_rule=rule,
            permission=self._kept_within_tenant(found),
            refusal=None,
            looked_at=tuple(permission.reference for permission in grounded),
        )

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
        """The permission under which `caller` may do `operation` for `customer`, as `decide` finds it.

        None when all but the legal context is granted: the caller is told MSG00013 (contract.md section 4).
        Raises `NotAuthorized` when no access rule admits the application (SEC-56), or when no permission lets it
        speak for the customer (SEC-58), which includes every customer of another CBE number.
        """
        decision = self.decide(
            caller, operation, customer, legal_context, today=today, inscription_contexts=inscription_contexts
        )
        if decision.refusal not in {None, AccessRefusal.LEGAL_CONTEXT_NOT_GRANTED}:
            raise NotAuthorized(decision.refusal.value)
        return decision.permission

    @property
    def inscription_contexts(self) -> frozenset[InscriptionContext]:
        """Every context that some permission grants or shows."""
        return frozenset[InscriptionContext]().union(*(item.readable_contexts for item in self.permissions))

    def contexts_known_to(self, tenant: str) -> frozenset[InscriptionContext]:
        """The contexts that exist for a tenant (rule 28): those of its catalogue.

        Where no tenants are listed: the built-in catalogue, and whatever some permission grants or shows.
        """
        if not self.tenants:
            return frozenset(KNOWN_CONTEXTS) | self.inscription_contexts
        named = self._tenant_named(tenant)
        return frozenset() if named is None else named.known_contexts

    def admits(self, caller: Caller, operation: Operation, *, today: date) -> bool:
        """Whether an access rule admits the application to the operation, on that day and in that environment."""
        return self.rule_for(caller, operation, today=today) is not None

    def rule_for(self, caller: Caller, operation: Operation, *, today: date) -> AccessRule | None:
        """The first access rule that admits the application to the operation, on that day and in that environment."""
        return next(
            (
                rule
                for rule in self._rules_of.get((caller.application_urn, caller.cbe_number), ())
                if rule.environment == caller.environment and operation in rule.operations and rule.is_valid_on(today)
            ),
            None,
        )

    def of_tenant(self, name: str) -> AccessRules:
        """What is one tenant's alone."""
        return AccessRules(
            version=self.version,
            access_rules=tuple(rule for rule in self.access_rules if rule.tenant == name),
            permissions=tuple(permission for permission in self.permissions if permission.tenant == name),
            tenants=tuple(tenant for tenant in self.tenants if tenant.name == name),
        )

    @cached_property
    def _rules_of(self) -> dict[tuple[str, str], list[AccessRule]]:
        """The access rules of each application, by URN and CBE number: a register may have thousands."""
        return _by_application(self.access_rules)

    @cached_property
    def _permissions_of(self) -> dict[tuple[str, str], list[Permission]]:
        """The permissions of each application, likewise."""
        return _by_application(self.permissions)

    def _kept_within_tenant(self, permission: Permission) -> Permission:
        """The permission, every organisation of its tenant named where its visibility names none."""
        visibility = permission.visibility
        tenant = self._tenant_named(permission.tenant)
        if visibility is None or visibility.organizations or tenant is None:
            return permission
        within = VisibilityOfTenant(
            inscription_contexts=visibility.inscription_contexts, organizations=tenant.customers
        )
        return msgspec.structs.replace(permission, visibility=within)

    def _tenant_named(self, name: str) -> Tenant | None:
        return next((tenant for tenant in self.tenants if tenant.name == name), None)


def _by_application(entries: Collection[_Entry]) -> dict[tuple[str, str], list[_Entry]]:
    found: dict[tuple[str, str], list[_Entry]] = {}
    for entry in entries:
        for application in dict.fromkeys(entry.applications):
            found.setdefault((application.application_urn, application.cbe_number), []).append(entry)
    return found


def _chosen(
    grounded: list[Permission], operation: Operation, inscription_contexts: Collection[InscriptionContext]
) -> Permission:
    if len(grounded) == 1:
        return grounded[0]
    if not inscription_contexts:
        every = frozenset[InscriptionContext]().union(*(permission.inscription_contexts for permission in grounded))
        return msgspec.structs.replace(grounded[0], inscription_contexts=every)
    holding = [item for item in grounded if item.inscription_contexts.issuperset(inscription_contexts)]
    if operation is Operation.CONSULT_INSCRIPTIONS:
        holding += (item for item in grounded if item.readable_contexts.issuperset(inscription_contexts))
    return holding[0] if holding else grounded[0]


def read_access_rules(text: bytes, *, origin: str) -> AccessRules:
    """The access rules that a YAML file says. Raises `UsageError`, naming `origin` and the key that is wrong."""
    return read_yaml(text, AccessRules, origin=origin)


def read_yaml(text: bytes, kind: type[_Value], *, origin: str) -> _Value:
    """The value that a YAML text says. Raises `UsageError`, naming `origin` and the key that is wrong."""
    try:
        _check_keys(text)
        return msgspec.yaml.decode(text, type=kind, dec_hook=decode)
    except (msgspec.MsgspecError, yaml.YAMLError, ValueError, RecursionError) as error:
        # YAML's own messages have several lines, and its constructors raise plain ValueErrors.
        raise UsageError(f"{origin}: {' '.join(str(error).split())}") from error


def write_access_rules(rules: AccessRules) -> bytes:
    """The YAML text that `read_access_rules` reads back as the same value: what is absent or empty is left out
    where that says the same, sets sorted.
    """
    return write_yaml(said_by(rules))


def said_by(rules: AccessRules) -> dict[str, Any]:
    """What a YAML file of the rules says, as `plain`."""
    return plain(rules, builtin_types=(date,)) | {
        name: [plain(entry, builtin_types=(date,)) for entry in entries]
        for name, entries in (("access_rules", rules.access_rules), ("permissions", rules.permissions))
    }


def write_yaml(said: Mapping[str, Any]) -> bytes:
    """The YAML text of what `plain` gives."""
    return yaml.dump(dict(said), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True).encode("utf-8")


def plain(entry: msgspec.Struct, *, builtin_types: tuple[type[object], ...] = ()) -> dict[str, Any]:
    """The entry as mappings, lists, texts and numbers, sets sorted, without what is as when it is left out."""
    said = msgspec.to_builtins(entry, enc_hook=_encode, order="deterministic", builtin_types=builtin_types)
    visibility = said.get("visibility")
    if visibility is not None and not visibility["organizations"]:
        # Without organisations it is every organisation; an empty list would read as none.
        visibility["organizations"] = None
    for name in ("volumes", "tenants"):
        said[name] = said.get(name) or None
    if said.get("tenant") == DEFAULT_TENANT:
        said["tenant"] = None
    kept: dict[str, Any] = _without_absent(said)
    return kept


class _PlainDumper(yaml.SafeDumper):
    """Repeats an equal value instead of pointing to it: the file is for people."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _without_absent(value: Any) -> Any:  # noqa: ANN401  # whatever YAML has
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


def decode(kind: type[object], value: object) -> object:
    """msgspec's `dec_hook` for what is a text of its own kind."""
    if kind in {LegalContext, InscriptionContext} and isinstance(value, str):
        return kind(value)
    raise TypeError(f"{kind.__name__} is not written like that")


def _encode(value: object) -> object:
    if isinstance(value, (LegalContext, InscriptionContext)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an access-rule file")
