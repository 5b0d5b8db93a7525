"""The catalogue of outcome codes against contract.md section 4."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from uuid import UUID

import pytest

from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    FileRejected,
    MalformedMessage,
    MessageRejected,
    MustUnderstand,
    RepertoryUnavailable,
    SequenceViolation,
    ServiceUnavailable,
    VersionMismatch,
)
from cbss_inscription.domain.outcome_codes import (
    CATALOGUE,
    LANGUAGES,
    TEXT_LENGTH_MAX,
    CatalogueEntry,
    OutcomeCode,
    Provenance,
    Severity,
)
from cbss_inscription.envelope.fault import Fault

CODES_OF_THE_CONTRACT = {
    *("MSG00000", "MSG00100", "MSG00011", "MSG00005", "MSG00006", "MSG00008", "MSG00009", "MSG00013", "MSG00003"),
    *("CBI00101", "CBI00102", "CBI00201", "CBI00202", "CBI00301", "CBI00302"),
    *("CBI00401", "CBI00402", "CBI00403", "CBI00404", "CBI00405", "CBI00901"),
    *("SOA-00001", "SOA-01001", "SOA-01002", "SOA-02001", "SOA-02002"),
    *("SOA-03001", "SOA-03002", "SOA-03003", "SOA-03004", "SOA-03005", "SOA-03006", "SOA-03007"),
}
ENTRIES = list(CATALOGUE.values())


def texts_of(entry: CatalogueEntry) -> Iterator[tuple[str, str]]:
    """Every text of an entry with its language."""
    for texts in (entry.texts, entry.cause, entry.remedy):
        yield from texts.items()


def errors_with_a_code() -> Iterator[type[MessageRejected | ServiceUnavailable]]:
    """Every error of the tree that reaches the wire with a code."""
    pending: list[type[CbssInscriptionError]] = [CbssInscriptionError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if issubclass(kind, MessageRejected | ServiceUnavailable):
            yield kind


def test_the_catalogue_knows_every_code_of_the_contract_and_no_other() -> None:
    """The codes are those of contract.md section 4."""
    assert {str(code) for code in OutcomeCode} == CODES_OF_THE_CONTRACT


def test_every_code_has_its_entry() -> None:
    """Each code has one entry, which names it, in the order of the codes."""
    assert list(CATALOGUE) == list(OutcomeCode) == [entry.code for entry in ENTRIES]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_every_entry_speaks_four_languages(entry: CatalogueEntry) -> None:
    """Text, cause and remedy are there in en, nl, fr and de, in four different wordings."""
    for texts in (entry.texts, entry.cause, entry.remedy):
        assert tuple(texts) == LANGUAGES
        assert len(set(texts.values())) == len(LANGUAGES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_every_text_fits_the_wire(entry: CatalogueEntry) -> None:
    """A text is one line of at most 256 characters, a sentence, and a code at most 16 (CommonV3)."""
    assert len(entry.code) <= 16
    for _, text in texts_of(entry):
        assert len(text) <= TEXT_LENGTH_MAX
        assert text == " ".join(text.split())
        assert text[0].isupper()
        assert text.endswith(".")
        assert text.isprintable()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_no_text_holds_or_awaits_a_value(entry: CatalogueEntry) -> None:
    """A text is fixed: no place for a value to be put in, and no number that could be one (SEC-61)."""
    for _, text in texts_of(entry):
        assert not re.search(r"[{}%<>|]|\d{2}", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_codes_say_the_same(language: str) -> None:
    """Each code's text is its own in every language."""
    texts = [entry.texts[language] for entry in ENTRIES]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_number_is_called_by_its_official_name(language: str) -> None:
    """The SSIN is called INSZ, NISS and ENSS in the three languages of the country (domain.md section 5)."""
    names = {"en": "SSIN", "nl": "INSZ", "fr": "NISS", "de": "ENSS"}
    foreign = {name for other, name in names.items() if other != language}
    assert names[language] in CATALOGUE[OutcomeCode.SSIN_UNKNOWN].texts[language]
    for entry, name in product(ENTRIES, foreign):
        assert not any(re.search(rf"\b{name}\b", text) for spoken, text in texts_of(entry) if spoken == language)


@pytest.mark.parametrize("kind", list(errors_with_a_code()), ids=lambda kind: kind.__name__)
def test_every_code_that_is_raised_stands_in_the_catalogue(
    kind: type[MessageRejected | ServiceUnavailable],
) -> None:
    """An error's code has an entry that agrees on whose fault it is and whether to try again.

    Three differ, and no other: SOAP 1.1 has faultcodes of its own for two kinds of Client faults (section 4.4.1), and
    an unreachable source is an ordinary NO_RESULT or NOK, a fault only where no use case answers it.
    """
    entry = CATALOGUE[OutcomeCode(kind.code)]
    assert entry.severity is Severity.FATAL
    assert entry.retryable == (kind.retry if issubclass(kind, ServiceUnavailable) else False)
    differing = {
        MustUnderstand: ("MustUnderstand", "Client"),
        VersionMismatch: ("VersionMismatch", "Client"),
        RepertoryUnavailable: ("Server", None),
    }
    side = "Server" if issubclass(kind, ServiceUnavailable) else "Client"
    assert (kind.fault_code, entry.fault_side) == differing.get(kind, (side, side))


def example_of(kind: type[MessageRejected | ServiceUnavailable]) -> MessageRejected | ServiceUnavailable:
    """An error of this kind."""
    if kind is FileRejected:
        return FileRejected(MalformedMessage("reason"))
    if kind is SequenceViolation:
        return SequenceViolation("sequence-gap", expected=1)
    return kind("reason")


@pytest.mark.parametrize("kind", [None, *errors_with_a_code()])
def test_a_fault_says_what_the_catalogue_says(kind: type[MessageRejected | ServiceUnavailable] | None) -> None:
    """The fault of an error, and of a defect, has the catalogue's advice on trying again."""
    fault = Fault.of(example_of(kind) if kind else None, ticket=UUID(int=1), environment="LOCAL")
    assert fault.retry == CATALOGUE[fault.code].retryable
    assert (fault.fault_code == "Server") == (CATALOGUE[fault.code].fault_side != "Client")


def test_faults_are_the_soa_codes_and_the_internal_error() -> None:
    """Only the codes of the SOA family and MSG00003 travel in faults; business outcomes are ordinary responses."""
    faults = {entry.code for entry in ENTRIES if entry.fault_side is not None}
    assert faults == {code for code in OutcomeCode if code.startswith("SOA-")} | {OutcomeCode.INTERNAL_ERROR}


def test_our_own_codes_are_marked_as_ours() -> None:
    """Codes with the prefix CBI are ours; those of KSZ and RSZ are published."""
    for entry in ENTRIES:
        assert (entry.provenance is Provenance.OURS) == entry.code.startswith("CBI")
        assert (entry.provenance is Provenance.PUBLISHED) == entry.code.startswith(("MSG", "SOA-"))


def test_an_outcome_that_stops_nothing_is_not_fatal() -> None:
    """Exactly the outcomes beside which the request is carried out are less than FATAL (contract.md section 4)."""
    carried_out = {entry.code: entry.severity for entry in ENTRIES if entry.severity is not Severity.FATAL}
    assert carried_out == {
        OutcomeCode.SUCCESS: Severity.INFORMATION,
        OutcomeCode.NO_DATA: Severity.INFORMATION,
        OutcomeCode.DECEASED: Severity.INFORMATION,
        OutcomeCode.SSIN_REPLACED: Severity.WARNING,
        OutcomeCode.LEGAL_DATA_NOT_VERIFIABLE: Severity.INFORMATION,
        OutcomeCode.INSCRIPTION_IDENTICAL: Severity.WARNING,
        OutcomeCode.INSCRIPTION_MERGED: Severity.INFORMATION,
        OutcomeCode.TICKET_REPEATED: Severity.INFORMATION,
    }


def test_only_what_passes_may_be_tried_again() -> None:
    """A volume, a source and a service that is away for a while come back; nothing else is worth repeating."""
    assert {entry.code for entry in ENTRIES if entry.retryable} == {
        OutcomeCode.VOLUME_EXCEEDED,
        OutcomeCode.SOURCE_UNREACHABLE,
        OutcomeCode.TEMPORARILY_NOT_AVAILABLE,
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failed_authentication_tells_nothing_of_its_cause(language: str) -> None:
    """The text of SOA-01001 names no part of the message security (SEC-62)."""
    told = re.compile(r"signature|digest|handtekening|signatur|certifi|zertifikat|timestamp", re.IGNORECASE)
    assert not told.search(CATALOGUE[OutcomeCode.NOT_AUTHENTICATED].texts[language])


def test_the_catalogue_cannot_be_changed() -> None:
    """The catalogue and its texts are read-only."""
    entry = CATALOGUE[OutcomeCode.SUCCESS]
    with pytest.raises(TypeError):
        CATALOGUE[OutcomeCode.SUCCESS] = entry  # type: ignore[index]
    with pytest.raises(TypeError):
        entry.texts["en"] = ""  # type: ignore[index]
