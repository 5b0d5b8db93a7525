"""The SDK: typed calls of CBSSInscription, sync and async, with the same names as the operations.

    from cbss_inscription.client import InscriptionClient, Profile, Period

    with InscriptionClient(Profile.read("profile.toml")) as client:
        answer = client.consult_inscriptions("40010100145")
        for inscription in answer.result.inscriptions:
            print(inscription.inscription_context, inscription.period.begin_date)

A business refusal is an answer (`answer.result.status`); what could not be processed raises (`client.errors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cbss_inscription.client.errors import CallFailed, FaultReceived, Refused, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import Mutation
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, Period

if TYPE_CHECKING:
    from cbss_inscription.client.api import AsyncInscriptionClient, InscriptionClient
    from cbss_inscription.client.call import Answer
    from cbss_inscription.client.profile import Profile

__all__ = [
    "Answer",
    "AsyncInscriptionClient",
    "CallFailed",
    "FaultReceived",
    "Gender",
    "GivenPeriod",
    "IncompleteDate",
    "InscriptionClient",
    "LegalData",
    "LifeEvent",
    "Mutation",
    "Period",
    "Profile",
    "Refused",
    "ReplyUnreadable",
    "ServiceUnreachable",
]

_LATER: Final = {
    "Answer": "call",
    "AsyncInscriptionClient": "api",
    "InscriptionClient": "api",
    "Profile": "profile",
}
"""What is imported when it is asked for: HTTP, XML and cryptography take longer to import than most commands to run."""

if not TYPE_CHECKING:  # a type checker would take every name for one that may be here

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return found
