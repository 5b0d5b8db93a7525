"""A sandbox mends what was damaged in its directory, starts anew what hangs, and takes nothing that somebody wrote."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cbss_inscription.app.sandbox import (
    Beside,
    Sandbox,
    SandboxOptions,
    _prepare_database,
    _prepare_pki,
    _refuse_loss,
    renew_revocation_lists,
)
from cbss_inscription.domain.errors import NotAuthenticated, UsageError
from cbss_inscription.domain.legal_data import Register
from cbss_inscription.sandbox.pki import Credential
from cbss_inscription.security.lifetimes import ending
from cbss_inscription.security.trust import TrustStore
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


def test_sec_44_revocation_lists_are_issued_anew_every_day(tmp_path: Path) -> None:
    """A sandbox left running for weeks has fresh lists, with the revoked certificate on them; a damaged one runs on."""
    _prepare_pki(tmp_path, Told())
    folder, now = tmp_path / "pki", datetime.now(UTC)
    file = folder / "revocation-lists.pem"
    revoked = Credential.read(folder / "revoked.crt.pem", folder / "revoked.key.pem").certificate
    first = file.read_bytes()
    renew_revocation_lists(folder, now=now + timedelta(hours=23))
    assert file.read_bytes() == first
    for days in range(1, 22):
        then = now + timedelta(days=days)
        renew_revocation_lists(folder, now=then)
        os.utime(file, (then.timestamp(), then.timestamp()))
        trust = TrustStore(
            authorities_pem=(folder / "authorities.pem").read_bytes(),
            environment="LOCAL",
            revocation_lists=[file.read_bytes()],
            revocation_required=True,
        )
        assert ending(trust.lifetimes, then) == ()
        with pytest.raises(NotAuthenticated, match="certificate-revoked"):
            trust.check(revoked.public_bytes(Encoding.DER), then)
    (folder / "application-ca.key.pem").unlink()
    renew_revocation_lists(folder, now=now + timedelta(days=30))


def test_a_file_in_the_place_of_the_pki_is_replaced(tmp_path: Path) -> None:
    """Where `pki` is no folder, one is made."""
    (tmp_path / "pki").write_text("x", encoding="utf-8")
    _prepare_pki(tmp_path, Told())
    assert (tmp_path / "pki" / "authorities.pem").is_file()


@pytest.mark.parametrize("name", ["server.key.pem", "authorities.pem", "revocation-lists.pem"])
def test_every_file_of_the_pki_counts(tmp_path: Path, name: str) -> None:
    """A key or the authorities' file that is gone has the PKI made anew, too."""
    _prepare_pki(tmp_path, Told())
    (tmp_path / "pki" / name).unlink()
    told = Told()
    _prepare_pki(tmp_path, told)
    assert (tmp_path / "pki" / name).is_file()
    assert told.steps[0] == "The test PKI is damaged"


EVERY_REGISTER = frozenset(Register)
WRITTEN = {
    "changes of inscriptions (1)": (
        "INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at, "
        "ticket_cbss) VALUES (1, '17/1', 'X:Y', 'insertInscription', '{}', '{}', now(), gen_random_uuid())"
    ),
    "events of numbers (1)": (
        "INSERT INTO person_history (ssin, event, after, changed_at, ticket_cbss, operator) "
        "VALUES (1, 'created', '{}', now(), gen_random_uuid(), 'o')"
    ),
    "mutations (1)": ("INSERT INTO mutation VALUES ('17/1', 1, 1, 'canceled', 1, '{X:Y}', now(), gen_random_uuid())"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_somebody_wrote_is_kept_from_another_population(fresh_database: str, tmp_path: Path, kind: str) -> None:
    """Another recipe on a database that has a change, an event or a mutation is refused; `anew` consents."""
    options = SandboxOptions(directory=tmp_path, persons=100, inscriptions=1)
    other = SandboxOptions(directory=tmp_path, persons=100, inscriptions=2)
    _prepare_database(fresh_database, options, Told(), EVERY_REGISTER)
    # What came with the population is nobody's work.
    _refuse_loss(fresh_database, other, EVERY_REGISTER, is_ours=True)
    with psycopg.connect(fresh_database) as connection:
        connection.execute(WRITTEN[kind])
    for asked, registers in ((other, EVERY_REGISTER), (options, frozenset({Register.BIS, Register.RAD}))):
        with pytest.raises(UsageError, match=f"{re.escape(kind)}.*--anew"):
            _refuse_loss(fresh_database, asked, registers, is_ours=True)
    _refuse_loss(fresh_database, options, EVERY_REGISTER, is_ours=True)
    consenting = SandboxOptions(directory=tmp_path, persons=100, inscriptions=2, anew=True)
    _refuse_loss(fresh_database, consenting, EVERY_REGISTER, is_ours=True)
    told = Told()
    _prepare_database(fresh_database, consenting, told, EVERY_REGISTER)
    assert "its inscriptions, history and mutations too" in told.steps[0]
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM person_history").fetchone() == (0,)


class Silent:
    """The listeners of a service that gave no answer, once, and is another process since."""

    def __init__(self) -> None:
        self.process_ids: tuple[int, ...] = (7,)
        self._silent = True

    def ended(self) -> bool:
        return False

    def restart_silent(self) -> tuple[str, ...]:
        if not self._silent:
            return ()
        self._silent = False
        self.process_ids = (8,)
        return ("tls",)


def test_a_service_that_was_started_anew_is_told_and_its_process_is_in_the_manifest(tmp_path: Path) -> None:
    """`check` says once who was started anew; sandbox.json names the National Register's new process, and the rest."""
    manifest = {"database": "dbname=x", "ca": "ca.pem", "national_register": {"url": "https://x", "pid": 7}}
    (tmp_path / "sandbox.json").write_text(json.dumps(manifest), encoding="utf-8")
    sandbox = Sandbox(
        directory=tmp_path,
        facade_url="https://x",
        mutations_url="https://x",
        plain_url=None,
        register_url="https://x",
        repertory_url=None,
        operations_url=None,
        batch_url=None,
        scenarios={},
        _server=None,
        _listeners=Silent(),  # type: ignore[arg-type]
        _beside={Beside.NATIONAL_REGISTER: Silent()},  # type: ignore[dict-item]
    )
    assert sandbox.check() == (
        "The façade gave no answer for 45 seconds and was started anew.",
        "The National Register gave no answer for 45 seconds and was started anew. It is process 8 now.",
    )
    assert sandbox.check() == ()
    manifest["national_register"] = {"url": "https://x", "pid": 8}
    assert json.loads((tmp_path / "sandbox.json").read_bytes()) == manifest
