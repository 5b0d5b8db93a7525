"""Customer identification and tickets: rules 25, 48 and 49 of the rulebook."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.customer import (
    TICKET_LENGTH_MAX,
    TICKET_STORED_LENGTH_MAX,
    CustomerIdentification,
    InformationCustomer,
    InvalidCustomer,
    is_uuid,
)

customers = st.one_of(
    st.integers(0, 9_999_999_999).map(lambda number: CustomerIdentification(cbe_number=f"{number:010d}")),
    st.builds(CustomerIdentification, sector=st.integers(0, 999), institution=st.integers(0, 999)),
)
PCSA = CustomerIdentification(sector=17, institution=1)


@given(customers, customers)
def test_rule_25_the_key_stands_for_one_organisation(
    one: CustomerIdentification, other: CustomerIdentification
) -> None:
    """Two organisations never share a key (rule 25)."""
    assert (one.key == other.key) == (one == other)


@given(customers)
def test_rule_25_the_organisation_is_found_by_its_key(customer: CustomerIdentification) -> None:
    """A key gives back the organisation that it stands for (rule 25)."""
    assert CustomerIdentification.of_key(customer.key) == customer


@pytest.mark.parametrize(
    "key", ["", "17", "17/", "/1", "017/1", "17/01", "1000/1", "17/1000", "-1/1", "17/1/1", "17 / 1", "١٧/1", "x", "12"]
)
def test_rule_25_a_text_that_is_nobodys_key_is_refused(key: str) -> None:
    """Only what `key` writes is read: one organisation has one spelling (rule 25)."""
    with pytest.raises(InvalidCustomer):
        CustomerIdentification.of_key(key)


@pytest.mark.parametrize("cbe_number", ["", "123456789", "01234567890", "0123.456.789", "BE0123456789", "٠١٢٣٤٥٦٧٨٩"])
def test_rule_48_a_cbe_number_has_ten_ascii_digits(cbe_number: str) -> None:
    """A CBE number is ten ASCII digits and nothing else (CommonV3 CbeNumberType, rule 48)."""
    with pytest.raises(InvalidCustomer):
        CustomerIdentification(cbe_number=cbe_number)


@pytest.mark.parametrize(
    ("cbe_number", "sector", "institution"),
    [
        (None, None, None),
        (None, 17, None),
        (None, None, 1),
        ("0123456789", 17, 1),
        ("0123456789", 17, None),
        (None, -1, 1),
        (None, 17, 1000),
        (None, 1000, 0),
    ],
)
def test_rule_48_an_organisation_is_named_in_one_way(
    cbe_number: str | None, sector: int | None, institution: int | None
) -> None:
    """An organisation is a CBE number, or sector and institution of 0 to 999; never both or half (rule 48)."""
    with pytest.raises(InvalidCustomer):
        CustomerIdentification(cbe_number=cbe_number, sector=sector, institution=institution)


@pytest.mark.parametrize(("sector", "institution"), [(0, 0), (17, 0), (17, 1), (999, 999)])
def test_rule_48_zero_is_a_sector_and_an_institution(sector: int, institution: int) -> None:
    """Zero is a sector (the National Register) and an institution (the managing one), not an absence (rule 48)."""
    assert CustomerIdentification(sector=sector, institution=institution).key == f"{sector}/{institution}"


@given(st.uuids())
def test_rule_49_a_uuid_ticket_is_stored_whole(ticket: UUID) -> None:
    """A ticket that is a UUID is stored with all its 36 characters, in the caller's spelling (rule 49)."""
    for text in (str(ticket), str(ticket).upper()):
        assert InformationCustomer(customer_identification=PCSA, ticket=text).ticket_stored == text


@given(st.text(min_size=1, max_size=TICKET_LENGTH_MAX).filter(lambda text: not is_uuid(text)))
def test_rule_49_of_another_ticket_32_characters_are_stored(ticket: str) -> None:
    """Of any other ticket the first 32 characters are stored, while the ticket itself stays whole (rule 49)."""
    information = InformationCustomer(customer_identification=PCSA, ticket=ticket)
    assert information.ticket_stored == ticket[:TICKET_STORED_LENGTH_MAX]
    assert information.ticket == ticket


def test_rule_49_a_ticket_may_be_absent() -> None:
    """Without a ticket nothing is stored (rule 49)."""
    assert InformationCustomer(customer_identification=PCSA).ticket_stored is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0123456789abcdef0123456789abcdef",
        "{01234567-89ab-cdef-0123-456789abcdef}",
        "01234567-89ab-cdef-0123-456789abcdef\n",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "0123456789ab-cdef-0123-4567-89abcdef",
        "urn:uuid:01234567-89ab-cdef-0123-456789abcdef",
    ],
)
def test_rule_49_only_the_schemas_spelling_is_a_uuid(text: str) -> None:
    """A UUID is 36 characters with four hyphens in their places, no other spelling (CommonV3 UUIDType, rule 49)."""
    assert not is_uuid(text)
