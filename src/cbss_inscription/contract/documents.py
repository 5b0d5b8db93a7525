"""The packaged contract files, by the name under which they are served.

Names are a fixed table: no path is ever made from what a caller asks. PROVENANCE.md beside the files says which names
are published, reconstructed or ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cbss_inscription.contract.door import Door

_FOLDER: Final = Path(__file__).resolve().parent / "wsdl"

SCHEMA_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CBSSInscription_v1.xsd": "be/socialsecurity/cbssinscription/v1/CBSSInscription_v1.xsd",
        "InscriptionServiceV1.xsd": "be/fgov/kszbcss/intf/InscriptionService/InscriptionServiceV1.xsd",
        "InscriptionV1.xsd": "be/fgov/kszbcss/types/Inscription/InscriptionV1.xsd",
        "PersonServiceV1.xsd": "be/fgov/kszbcss/intf/PersonService/PersonServiceV1.xsd",
        "PersonV1.xsd": "be/fgov/kszbcss/types/Person/PersonV1.xsd",
        "InscriptionMutations_v1.xsd": "cbss-inscription/mutations/v1/InscriptionMutations_v1.xsd",
        "InscriptionServiceBatchV1.xsd": "be/fgov/kszbcss/intf/InscriptionService/InscriptionServiceBatchV1.xsd",
        "InscriptionBatchManifest_v1.xsd": "cbss-inscription/batch/v1/InscriptionBatchManifest_v1.xsd",
        "CommonV3.xsd": "be/fgov/kszbcss/types/common/CommonV3.xsd",
        "socsec-errors-schema-v1.xsd": "be/socialsecurity/errors/v1/socsec-errors-schema-v1.xsd",
        "monitoring-v1.xsd": "be/fgov/services/monitoring/v1/monitoring-v1.xsd",
        "xml.xsd": "org/w3/www/XML/1998/namespace/xml.xsd",
    }
)
"""Path in the contract folder of each schema, by the last part of its path, which is unique."""

PLAIN_WSDL_PATHS: Final[Mapping[Door, str]] = MappingProxyType(
    {
        Door.FACADE: "be/socialsecurity/cbssinscription/v1/CBSSInscription_v1.wsdl",
        Door.KSZ: "be/fgov/kszbcss/intf/InscriptionService/InscriptionServiceV1.wsdl",
        Door.PERSON: "be/fgov/kszbcss/intf/PersonService/PersonServiceV1.wsdl",
        Door.MUTATIONS: "cbss-inscription/mutations/v1/InscriptionMutations_v1.wsdl",
    }
)
"""The description of each door without policy."""

POLICY_WSDL_PATHS: Final[Mapping[Door, str]] = MappingProxyType(
    {
        Door.FACADE: "be/socialsecurity/cbssinscription/v1/CBSSInscription-X509Sha256_v1.wsdl",
        Door.MUTATIONS: "cbss-inscription/mutations/v1/InscriptionMutations-X509Sha256_v1.wsdl",
    }
)
"""The description with RSZ's X.509 policy; KSZ's doors have none, their security being pluggable."""

DOOR_SCHEMAS: Final[Mapping[Door, tuple[str, ...]]] = MappingProxyType(
    {
        Door.FACADE: ("CBSSInscription_v1.xsd", "socsec-errors-schema-v1.xsd", "monitoring-v1.xsd"),
        Door.KSZ: ("InscriptionServiceV1.xsd",),
        Door.PERSON: ("PersonServiceV1.xsd",),
        Door.MUTATIONS: ("InscriptionMutations_v1.xsd", "socsec-errors-schema-v1.xsd"),
    }
)
"""The schemas that hold the root elements of each door; they import the rest."""

BATCH_SCHEMAS: Final = ("InscriptionServiceBatchV1.xsd", "InscriptionBatchManifest_v1.xsd")
"""The schemas of batches: both files, and the manifest that is signed."""


def read_document(path: str) -> bytes:
    """The content of a file of the tables above."""
    return (_FOLDER / path).read_bytes()


def address_of(path: str) -> str:
    """The `file:` URL of a file of the tables above."""
    return (_FOLDER / path).as_uri()
