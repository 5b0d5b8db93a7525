"""Which addresses are a door's own (soap/addresses.py)."""

from __future__ import annotations

import pytest

from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.soap.addresses import ANONYMOUS, DoorAddresses

ADDRESSES = DoorAddresses.of(Door.FACADE, ("https://Portal.example", "http://[::1]:8080/inner/"))


@pytest.mark.parametrize(
    "to",
    [
        None,
        *sorted(ANONYMOUS),
        "https://portal.example/CBSSInscription/v1",
        "https://portal.example:443/CBSSInscription/v1",
        "https://portal.example:/CBSSInscription/v1",
        "HTTPS://PORTAL.EXAMPLE/CBSSInscription/v1/",
        "http://[::1]:8080/inner/CBSSInscription/v1",
    ],
)
def test_sec_17_addresses_of_the_door(to: str | None) -> None:
    """Its public address, another that the settings name, nobody's, or none at all (SEC-17)."""
    assert ADDRESSES.include(to)


@pytest.mark.parametrize(
    "to",
    [
        "",
        "urn:to",
        "portal.example/CBSSInscription/v1",
        "/CBSSInscription/v1",
        "https:///CBSSInscription/v1",
        "http://portal.example/CBSSInscription/v1",
        "https://portal.example:8443/CBSSInscription/v1",
        "https://portal.example.evil/CBSSInscription/v1",
        "https://portal.example./CBSSInscription/v1",
        "https://portal.example/cbssinscription/v1",
        "https://portal.example/InscriptionMutations/v1",
        "https://portal.example/CBSSInscription/v1//",
        "https://portal.example/./CBSSInscription/v1",
        "https://portal.example/CBSSInscription%2Fv1",
        "https://portal.example/CBSSInscription/v1?wsdl",
        "https://portal.example/CBSSInscription/v1?",
        "https://portal.example/CBSSInscription/v1#x",
        "https://user@portal.example/CBSSInscription/v1",
        "https://portal.exa\tmple/CBSSInscription/v1",
        "https://portal.exa\nmple/CBSSInscription/v1",
        "https://\u212aportal.example/CBSSInscription/v1",
        "https://portal.example:99999/CBSSInscription/v1",
        "https://portal.example:x/CBSSInscription/v1",
        "https://[portal.example/CBSSInscription/v1",
        "http://www.w3.org/2005/08/addressing/none",
    ],
)
def test_sec_17_addresses_of_others(to: str) -> None:
    """Another scheme, host, port or path, a query, a user, or no address: not this door (SEC-17)."""
    assert not ADDRESSES.include(to)


def test_sec_17_letters_that_only_look_alike() -> None:
    """A letter that becomes an ASCII one in lower case makes no other host of ours (SEC-17)."""
    kelvin = DoorAddresses.of(Door.FACADE, ("https://ksz.example",))
    assert kelvin.include("https://KSZ.example/CBSSInscription/v1")
    assert not kelvin.include("https://\u212asz.example/CBSSInscription/v1")


@pytest.mark.parametrize(
    "base_url", ["", "portal.example", "ftp://portal.example", "https://", "https://portal.example?x"]
)
def test_a_base_url_is_an_address(base_url: str) -> None:
    """A setting that is no http or https URL is an error that quotes it."""
    with pytest.raises(UsageError, match="https URL"):
        DoorAddresses.of(Door.FACADE, (base_url,))
