"""Profiles: who calls and where to, from a file (client/profile.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbss_inscription.client.profile import TIMEOUT_SECONDS, Profile
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import UsageError

FULL = """
url = "https://portal.example/CBSSInscription/v1"
ca = "pki/ca.pem"
certificate = "/absolute/application.pem"
private_key = "application.key.pem"
legal_context = "PCSA:SOCIAL_INQUIRY"
[customer_identification]
sector = 17
institution = 1
"""


def read(tmp_path: Path, text: str) -> Profile:
    """The profile that this text says."""
    file = tmp_path / "profile.toml"
    file.write_text(text, encoding="utf-8")
    return Profile.read(file)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Relative paths begin at the profile's folder, absolute ones stay; what is not said has its default."""
    profile = read(tmp_path, FULL)
    assert profile.ca == tmp_path / "pki/ca.pem"
    assert profile.certificate == Path("/absolute/application.pem")
    assert profile.private_key == tmp_path / "application.key.pem"
    assert profile.customer_identification == CustomerIdentification(sector=17, institution=1)
    assert profile.timeout_seconds == TIMEOUT_SECONDS


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("url =", "adress =", "adress"),
        ('ca = "pki/ca.pem"', "", "ca"),
        ("sector = 17", 'sector = "17"', "int"),
        ("institution = 1", "", "customer"),
        ("institution = 1", 'institution = 1\ncbe_number = "0206731645"', "customer"),
        ("institution = 1", "institution = 1\ncolour = 1", "colour"),
        ("sector = 17", "sector = 1000", "customer"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, word: str) -> None:
    """An unknown, missing or wrong key is a UsageError of one line that names file and key."""
    assert old in FULL
    with pytest.raises(UsageError) as caught:
        read(tmp_path, FULL.replace(old, new))
    text = str(caught.value)
    assert text.startswith(str(tmp_path / "profile.toml"))
    assert word in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("url", "feed"),
    [
        ("https://portal.example/CBSSInscription/v1", "https://portal.example/InscriptionMutations/v1"),
        ("https://portal.example:9443/a/CBSSInscription/v1/", "https://portal.example:9443/a/InscriptionMutations/v1"),
    ],
)
def test_the_feed_lies_beside_the_service(tmp_path: Path, url: str, feed: str) -> None:
    """The address of the mutation feed has the base of the service's, whatever stands before the path."""
    profile = read(tmp_path, FULL.replace("https://portal.example/CBSSInscription/v1", url))
    assert profile.address_of(Door.FACADE) == url
    assert profile.address_of(Door.MUTATIONS) == feed


def test_the_feed_may_lie_elsewhere(tmp_path: Path) -> None:
    """`mutations_url` says where the feed is; without it, an address behind a gateway of its own gives none."""
    behind = FULL.replace("/CBSSInscription/v1", "/gateway/7")
    profile = read(tmp_path, 'mutations_url = "https://feed.example/x"\n' + behind)
    assert profile.address_of(Door.MUTATIONS) == "https://feed.example/x"
    assert profile.address_of(Door.FACADE) == "https://portal.example/gateway/7"
    for text in (behind, FULL.replace("/v1", "/v1?x=/CBSSInscription/v1x")):
        with pytest.raises(UsageError, match="mutations_url"):
            read(tmp_path, text).address_of(Door.MUTATIONS)
