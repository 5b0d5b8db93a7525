# ruff: noqa: INP001 - of programs, in no package
"""How slow this machine is: absolute targets are the design's, for the machine that it measured on."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from cbss_inscription import names
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.sign import Signer, sign

DESIGN_SECONDS: Final = 43e-6
"""One parse (19 µs) and one RSA-2048 verification (24 µs) for 5 kB on the design's machine (performance.md)."""
NOW: Final = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def slowness_of(floor: list[float]) -> float:
    """How much longer than the design's machine this one took for one parse and one verification, never less than 1."""
    return max(1.0, statistics.median(floor) / DESIGN_SECONDS)


class Machine:
    """Where it runs, with an application that signs here.

    The slowness is measured whenever it is asked for, since what else runs here changes.
    """

    def __init__(self) -> None:
        self.pki = TestPki.generate(environment="ACC", now=NOW - timedelta(days=30))
        self.private_key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        credential = self.pki.issue_application_certificate(
            "bench:machine",
            "0206731645",
            "Sandbox (TEST)",
            not_before=NOW - timedelta(days=1),
            private_key=self.private_key,
        )
        self.signer = Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
        message = sign(envelope(lines(1_000)), signer=self.signer, now=NOW)
        self._call = one_parse_and_verification(message, self.private_key)

    def slowness(self, *, rounds: int = 15) -> float:
        """As it is now."""
        return slowness_of(rounds_of({"floor": self._call}, rounds=rounds, seconds=0.05)["floor"])


def one_parse_and_verification(message: bytes, private_key: rsa.RSAPrivateKey) -> Callable[[], object]:
    """What no verifier can do without: the measure of the machine."""
    data = b"x" * 1_000
    signature = private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    public_key = private_key.public_key()

    def call() -> None:
        etree.fromstring(message)
        try:
            public_key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise AssertionError from None

    return call


def rounds_of(calls: dict[str, Callable[[], object]], *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """CPU seconds of one call, each round of each; the calls take turns, a round takes about `seconds` for each."""
    counts: dict[str, int] = {}
    for name, call in calls.items():
        began = time.process_time()
        call()
        counts[name] = max(1, int(seconds / max(time.process_time() - began, 1e-6)))
    taken: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                began = time.process_time()
                for _ in range(counts[name]):
                    call()
                taken[name].append((time.process_time() - began) / counts[name])
            gc.collect()
    finally:
        gc.enable()
    return taken


def envelope(content: str, *, header: str = "", attributes: str = "") -> bytes:
    """A request as it is before it is signed."""
    return (
        f'<soapenv:Envelope xmlns:soapenv="{names.SOAP11}"{attributes}><soapenv:Header>{header}</soapenv:Header>'
        f"<soapenv:Body>{content}</soapenv:Body></soapenv:Envelope>"
    ).encode()


def lines(size_bytes: int) -> str:
    """A Body of about that size, shaped like a request with many lines."""
    line = "<t:line><t:ssin>00000000097</t:ssin><t:context>PCSA:LIVING_WAGE</t:context><t:note>{}</t:note></t:line>"
    text = line.format("x" * 150)
    return f'<t:request xmlns:t="urn:t">{text * max(1, size_bytes // len(text))}</t:request>'
