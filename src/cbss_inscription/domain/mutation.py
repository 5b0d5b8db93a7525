"""What the holders of inscriptions are told of the life of numbers (rules 19, 21 to 23)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.ssin import Ssin

MUTATIONS_MAX: Final = 1_000
"""Mutations in one page of the feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """What one holder is told: an event in the life of a number that it knows in these contexts; never the data.

    `sequence_number` counts the holder's mutations from 1, without gaps. `current_ssin` is the number that carries on,
    `ssin` itself unless the event is REPLACED. Who is told: of a replacement every holder of a line, past ones too,
    for their lines moved; of all else the holders of a line on the day of the event, since an inscription is the
    subscription and one that has not begun does not authorise (rule 36) [D].
    """

    sequence_number: int
    event: LifeEvent
    ssin: Ssin
    current_ssin: Ssin
    inscription_contexts: tuple[InscriptionContext, ...]
    recorded_at: datetime
    """UTC, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationPage:
    """A stretch of a customer's feed, as `domain.results.MutationsResult` describes it."""

    mutations: tuple[Mutation, ...]
    last_sequence_number: int
    more: bool
