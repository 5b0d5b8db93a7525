"""The SDK: typed calls of CBSSInscription, sync and async, with the same names as the operations.

    from cbss_inscription.client import InscriptionClient, Profile, Period

    with InscriptionClient(Profile.read("profile.toml")) as client:
        answer = client.consult_inscriptions("40010100145")
        for inscription in answer.result.inscriptions:
            print(inscription.inscription_context, inscription.period.begin_date)

A business refusal is an answer (`answer.result.status`); what could not be processed raises (`client.errors`).
"""

from cbss_inscription.client.api import AsyncInscriptionClient, InscriptionClient
from cbss_inscription.client.call import Answer
from cbss_inscription.client.errors import CallFailed, FaultReceived, Refused, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.client.profile import Profile
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.mutation import LifeEvent, Mutation
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, Period

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
