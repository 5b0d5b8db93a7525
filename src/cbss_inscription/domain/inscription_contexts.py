"""The catalogue of known inscription contexts: how the organisations of a sector may know a person (rules 28 and 29).

The names follow one convention, `SECTOR:QUALITY` in capitals, and are ours [D]: KSZ hands out its own names with a
permission and publishes no list. The sectors, the former numeric quality codes and their meanings are attested
(domain.md 3.2); codes whose meaning is not attested there are left out. An installation may grant other contexts: a
name that is not in this catalogue is unknown to the sandbox and to the screens, not forbidden to a permission.

Quality code 999 marks the lines of a replaced number; only the system sets it, so it has no context (rule 29).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cbss_inscription.domain.inscription import InscriptionContext

SECTOR_FAMILY_ALLOWANCES: Final = 7
"""Family allowances."""
SECTOR_NSSO: Final = 12
"""National Social Security Office (RSZ, ONSS, LSS)."""
SECTOR_PCSA: Final = 17
"""Public centres for social action (OCMW, CPAS, ÖSHZ)."""

QUALITY_DEFINITIVE: Final = 0
"""Quality code of a definitive inscription without further meaning, in every sector."""
QUALITY_PROVISIONAL: Final = 902
"""Quality code of a provisional inscription, in every sector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextEntry:
    """What is to be known of one context; `labels` has the keys en, nl, fr and de."""

    context: InscriptionContext
    sector: int
    quality_code: int
    labels: Mapping[str, str]


def _entry(name: str, sector: int, quality_code: int, *, en: str, nl: str, fr: str, de: str) -> ContextEntry:
    return ContextEntry(
        context=InscriptionContext(name),
        sector=sector,
        quality_code=quality_code,
        labels=MappingProxyType({"en": en, "nl": nl, "fr": fr, "de": de}),
    )


def _every_sector(prefix: str, sector: int) -> tuple[ContextEntry, ContextEntry]:
    return (
        _entry(
            f"{prefix}:DEFINITIVE",
            sector,
            QUALITY_DEFINITIVE,
            en="Definitive inscription",
            nl="Definitieve inschrijving",
            fr="Inscription définitive",
            de="Definitive Einschreibung",
        ),
        _entry(
            f"{prefix}:PROVISIONAL",
            sector,
            QUALITY_PROVISIONAL,
            en="Provisional inscription",
            nl="Voorlopige inschrijving",
            fr="Inscription provisoire",
            de="Provisorische Einschreibung",
        ),
    )


_ENTRIES: Final = (
    *_every_sector("FAMILY_ALLOWANCES", SECTOR_FAMILY_ALLOWANCES),
    _entry(
        "FAMILY_ALLOWANCES:BENEFICIARY",
        SECTOR_FAMILY_ALLOWANCES,
        101,
        en="Beneficiary",
        nl="Rechthebbende",
        fr="Bénéficiaire",
        de="Berechtigte Person",
    ),
    _entry(
        "FAMILY_ALLOWANCES:RECIPIENT_TYPE_1",
        SECTOR_FAMILY_ALLOWANCES,
        102,
        en="Recipient of the allowance, type 1",
        nl="Bijslagtrekkende, type 1",
        fr="Allocataire, type 1",
        de="Zulagenempfänger, Typ 1",
    ),
    _entry(
        "FAMILY_ALLOWANCES:RECIPIENT_TYPE_2",
        SECTOR_FAMILY_ALLOWANCES,
        103,
        en="Recipient of the allowance, type 2",
        nl="Bijslagtrekkende, type 2",
        fr="Allocataire, type 2",
        de="Zulagenempfänger, Typ 2",
    ),
    _entry(
        "FAMILY_ALLOWANCES:CHILD",
        SECTOR_FAMILY_ALLOWANCES,
        104,
        en="Child giving right to the allowance",
        nl="Rechtgevend kind",
        fr="Enfant bénéficiaire",
        de="Anspruchsbegründendes Kind",
    ),
    _entry(
        "FAMILY_ALLOWANCES:THIRD_PERSON_TYPE_1",
        SECTOR_FAMILY_ALLOWANCES,
        105,
        en="Third person, type 1",
        nl="Derde persoon, type 1",
        fr="Tierce personne, type 1",
        de="Drittperson, Typ 1",
    ),
    _entry(
        "FAMILY_ALLOWANCES:THIRD_PERSON_TYPE_2",
        SECTOR_FAMILY_ALLOWANCES,
        106,
        en="Third person, type 2",
        nl="Derde persoon, type 2",
        fr="Tierce personne, type 2",
        de="Drittperson, Typ 2",
    ),
    _entry(
        "FAMILY_ALLOWANCES:UNDER_INQUIRY",
        SECTOR_FAMILY_ALLOWANCES,
        107,
        en="Person under inquiry",
        nl="Persoon in onderzoek",
        fr="Personne en recherche",
        de="Person in Untersuchung",
    ),
    *_every_sector("NSSO", SECTOR_NSSO),
    _entry(
        "NSSO:DIMONA",
        SECTOR_NSSO,
        30,
        en="Person in a Dimona declaration (immediate declaration of employment)",
        nl="Persoon in een Dimona-aangifte (onmiddellijke aangifte van tewerkstelling)",
        fr="Personne dans une déclaration Dimona (déclaration immédiate de l'emploi)",
        de="Person in einer Dimona-Meldung (unmittelbare Beschäftigungsmeldung)",
    ),
    *_every_sector("PCSA", SECTOR_PCSA),
    _entry(
        "PCSA:FILE_IN_EXAMINATION",
        SECTOR_PCSA,
        1,
        en="File in examination",
        nl="Dossier in onderzoek",
        fr="Dossier en examen",
        de="Akte in Untersuchung",
    ),
    _entry(
        "PCSA:LIVING_WAGE",
        SECTOR_PCSA,
        2,
        en="Living wage (social integration income)",
        nl="Leefloon",
        fr="Revenu d'intégration",
        de="Eingliederungseinkommen",
    ),
    _entry(
        "PCSA:EQUIVALENT_LIVING_WAGE",
        SECTOR_PCSA,
        3,
        en="Equivalent of the living wage",
        nl="Equivalent leefloon",
        fr="Équivalent du revenu d'intégration",
        de="Dem Eingliederungseinkommen gleichgestellte Hilfe",
    ),
    _entry(
        "PCSA:OTHER_AID",
        SECTOR_PCSA,
        4,
        en="Other aid",
        nl="Andere hulp",
        fr="Autre aide",
        de="Sonstige Hilfe",
    ),
    _entry(
        "PCSA:COHABITANT",
        SECTOR_PCSA,
        5,
        en="Cohabitant",
        nl="Inwonende",
        fr="Cohabitant",
        de="Mitbewohner",
    ),
    _entry(
        "PCSA:EMPLOYED_THROUGH_PCSA",
        SECTOR_PCSA,
        6,
        en="Person employed through a PCSA",
        nl="Persoon tewerkgesteld via een OCMW",
        fr="Personne occupée par l'intermédiaire d'un CPAS",
        de="Durch ein ÖSHZ beschäftigte Person",
    ),
    _entry(
        "PCSA:DEBT_MEDIATION",
        SECTOR_PCSA,
        7,
        en="Debt mediation or budget guidance",
        nl="Schuldbemiddeling of budgetbegeleiding",
        fr="Médiation de dettes ou accompagnement budgétaire",
        de="Schuldnerberatung oder Budgetbegleitung",
    ),
    _entry(
        "PCSA:SERVICE_FILE",
        SECTOR_PCSA,
        8,
        en="Service file",
        nl="Dienstendossier",
        fr="Dossier de services",
        de="Dienstakte",
    ),
    _entry(
        "PCSA:OTHER_GUIDANCE",
        SECTOR_PCSA,
        9,
        en="Other form of guidance",
        nl="Andere vorm van begeleiding",
        fr="Autre forme d'accompagnement",
        de="Sonstige Begleitung",
    ),
    _entry(
        "PCSA:SUPERVISOR",
        SECTOR_PCSA,
        11,
        en="Supervisor",
        nl="Begeleider",
        fr="Encadrant",
        de="Begleiter",
    ),
    _entry(
        "PCSA:PARTICIPANT",
        SECTOR_PCSA,
        12,
        en="Participant",
        nl="Deelnemer",
        fr="Participant",
        de="Teilnehmer",
    ),
    _entry(
        "PCSA:COLLABORATOR_UNDER_INQUIRY",
        SECTOR_PCSA,
        20,
        en="Collaborator under inquiry",
        nl="Medewerker in onderzoek",
        fr="Collaborateur en enquête",
        de="Mitarbeiter in Untersuchung",
    ),
    _entry(
        "PCSA:COLLABORATOR_DEFINITIVE",
        SECTOR_PCSA,
        21,
        en="Collaborator, definitive",
        nl="Medewerker, definitief",
        fr="Collaborateur, définitif",
        de="Mitarbeiter, definitiv",
    ),
    _entry(
        "PCSA:HEATING_ALLOWANCE",
        SECTOR_PCSA,
        40,
        en="Beneficiary of the heating allowance",
        nl="Begunstigde van de verwarmingstoelage",
        fr="Bénéficiaire de l'allocation de chauffage",
        de="Empfänger der Heizkostenbeihilfe",
    ),
)

KNOWN_CONTEXTS: Final[Mapping[InscriptionContext, ContextEntry]] = MappingProxyType(
    {entry.context: entry for entry in _ENTRIES}
)
"""The entry of every known context, by sector and quality code."""
