"""A sandbox mends what was damaged in its directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from cbss_inscription.app.sandbox import _prepare_pki
from cbss_inscription.sandbox.pki import Credential
from cbss_inscription.storage.population import Rows


class Told:
    """An `app.sandbox.Report` that keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, sentence: str) -> None:
        self.steps.append(sentence)

    def counted(self, sentence: str, rows: Iterable[Rows], total: int) -> Iterable[Rows]:
        del sentence, total
        return rows


def test_a_pki_is_kept_while_it_is_whole_and_made_anew_when_it_is_not(tmp_path: Path) -> None:
    """Certificates are made once; a file that is cut, missing or none at all has the whole PKI made again."""
    told = Told()
    _prepare_pki(tmp_path, told)
    certificate, key = tmp_path / "pki" / "pcsa-web.crt.pem", tmp_path / "pki" / "pcsa-web.key.pem"
    first = certificate.read_bytes()
    _prepare_pki(tmp_path, told)
    assert certificate.read_bytes() == first
    assert told.steps == ["The test PKI is made"]
    certificate.write_bytes(first[:100])
    _prepare_pki(tmp_path, told)
    assert certificate.read_bytes() != first
    assert Credential.read(certificate, key).certificate is not None
    assert told.steps[1:] == ["The test PKI is damaged", "The test PKI is made"]


def test_a_file_in_the_place_of_the_pki_is_replaced(tmp_path: Path) -> None:
    """Where `pki` is no folder, one is made."""
    (tmp_path / "pki").write_text("x", encoding="utf-8")
    _prepare_pki(tmp_path, Told())
    assert (tmp_path / "pki" / "authorities.pem").is_file()


@pytest.mark.parametrize("name", ["server.key.pem", "authorities.pem"])
def test_every_file_of_the_pki_counts(tmp_path: Path, name: str) -> None:
    """A key or the authorities' file that is gone has the PKI made anew, too."""
    _prepare_pki(tmp_path, Told())
    (tmp_path / "pki" / name).unlink()
    told = Told()
    _prepare_pki(tmp_path, told)
    assert (tmp_path / "pki" / name).is_file()
    assert told.steps[0] == "The test PKI is damaged"
