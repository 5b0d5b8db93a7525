"""The memory of verdicts under very many certificates, each of them good (SEC-46)."""

import gc
import tracemalloc
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cbss_inscription.sandbox.pki import application_subject, issue_application_certificate
from cbss_inscription.security.trust import CertificateRules, TrustStore

ENTRIES_MAX = 16
GROWTH_BYTES_MAX = 65_536


@pytest.fixture
def store(forge):
    return TrustStore(
        authorities_pem=forge.pki.authorities_pem,
        environment="ACC",
        rules=CertificateRules(cache_entries_max=ENTRIES_MAX),
    )


@pytest.fixture
def another(forge, key):
    """Makes one more certificate of the same application, with a serial number of its own."""
    subject = application_subject(forge.urn, forge.cbe, "Sandbox (TEST)", environment="ACC")

    def make():
        credential = issue_application_certificate(
            subject,
            issuer=forge.pki.application_authority,
            not_before=forge.now - timedelta(days=1),
            not_after=forge.now + timedelta(days=1),
            private_key=key,
        )
        return credential.certificate.public_bytes(Encoding.DER)

    return make


def test_sec_46_the_memory_never_holds_more_than_its_limit(store, another, forge):
    """After each of many distinct certificates there are as many verdicts as allowed, the latest ones (SEC-46)."""
    seen = []
    for number in range(1, 4 * ENTRIES_MAX):
        seen.append(store.check(another(), forge.now).certificate_fingerprint)
        assert len(store._verdicts) == min(number, ENTRIES_MAX)
    assert [fingerprint.hex() for fingerprint in store._verdicts] == seen[-ENTRIES_MAX:]


@pytest.mark.long
def test_sec_46_thousands_of_certificates_take_no_memory(store, another, forge):
    """Ten thousand distinct certificates leave no more behind than the first hundred did (SEC-46)."""
    for _ in range(100):
        store.check(another(), forge.now)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10_000):
            store.check(another(), forge.now)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The entries that were there at the start were made before anything was traced: a limit's worth of them is new.
    assert after - before < GROWTH_BYTES_MAX + ENTRIES_MAX * 4_096
