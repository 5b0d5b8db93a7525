"""TV-70 to TV-79: the Timestamp and the clock. What WSS4J's own tests of timestamps try is among them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from cbss_inscription import names
from cbss_inscription.domain.errors import NotAuthenticated
from tests.vectors.vector import ACCEPTED, REQUEST, Bench, Expected, Variant, add, refused, the, vectors

GRAMMAR: Final = refused(NotAuthenticated, "timestamp-grammar")
SYNTAX: Final = refused(NotAuthenticated, "timestamp-syntax")
EXPIRED: Final = refused(NotAuthenticated, "timestamp-expired")
FUTURE: Final = refused(NotAuthenticated, "timestamp-future")
LIFETIME: Final = refused(NotAuthenticated, "timestamp-lifetime")
ORDER: Final = refused(NotAuthenticated, "timestamp-order")


def _written(
    bench: Bench, name: str, expected: Expected, *, created: str | None = None, expires: str | None = None
) -> Variant:
    """A message whose signer wrote these texts into its Timestamp."""
    root = bench.tree()
    for tag, text in ((names.WSU_CREATED, created), (names.WSU_EXPIRES, expires)):
        if text is not None:
            the(root, tag).text = text
    return Variant(name=name, message=bench.resigned(root), expected=expected)


@vectors(70, "SEC-50")
def children(bench: Bench) -> Iterator[Variant]:
    """Created and Expires once each and in this order, and nothing else: no other element, no text."""
    for name in (
        "no-expires",
        "no-created",
        "empty",
        "expires-in-front",
        "two-created",
        "two-expires",
        "custom-element",
        "element-in-created",
        "text",
        "no-namespace",
    ):
        root = bench.tree()
        timestamp = the(root, names.WSU_TIMESTAMP)
        created, expires = timestamp
        match name:
            case "no-expires":
                timestamp.remove(expires)
            case "no-created":
                timestamp.remove(created)
            case "empty":
                del timestamp[:]
            case "expires-in-front":
                timestamp.insert(0, expires)
            case "two-created":
                created.addnext(bench.forge.copy(created))
            case "two-expires":
                expires.addnext(bench.forge.copy(expires))
            case "custom-element":
                add(timestamp, "{urn:x}Nonce", "x")
            case "element-in-created":
                add(created, "{urn:x}x")
            case "text":
                created.tail = "x"
            case _:
                created.tag = "Created"
        yield Variant(name=name, message=bench.resigned(root), expected=GRAMMAR)


@vectors(71, "SEC-29", "SEC-50")
def attributes(bench: Bench) -> Iterator[Variant]:
    """No attribute but wsu:Id, no ValueType; one Timestamp, and not two."""
    for name, tag, attribute, value in (
        ("value-type-of-created", names.WSU_CREATED, "ValueType", f"{names.XSD}/dateTime"),
        ("value-type-of-expires", names.WSU_EXPIRES, "ValueType", f"{names.XSD}/dateTime"),
        ("id-of-created", names.WSU_CREATED, names.WSU_ID, "created"),
        ("attribute-of-the-timestamp", names.WSU_TIMESTAMP, "x", "y"),
    ):
        root = bench.tree()
        the(root, tag).set(attribute, value)
        yield Variant(name=name, message=bench.resigned(root), expected=GRAMMAR)
    root = bench.tree()
    timestamp = the(root, names.WSU_TIMESTAMP)
    twin = bench.forge.copy(timestamp)
    twin.set(names.WSU_ID, "another")
    timestamp.addnext(twin)
    yield Variant(
        name="two-timestamps", message=bench.resigned(root), expected=refused(NotAuthenticated, "security-grammar")
    )
    root = bench.tree()
    bench.forge.security(root).remove(the(root, names.WSU_TIMESTAMP))
    yield Variant(
        name="no-timestamp", message=bench.resigned(root), expected=refused(NotAuthenticated, "security-grammar")
    )


@vectors(72, "SEC-50")
def spellings(bench: Bench) -> Iterator[Variant]:
    """An instant is spelled in full: date, `T`, time to the second, `Z`, nothing around it."""
    for name, text in (
        ("empty", ""),
        ("word", "now"),
        ("date-only", "2026-03-02"),
        ("no-seconds", "2026-03-02T09:30Z"),
        ("small-z", "2026-03-02T09:30:00z"),
        ("small-t", "2026-03-02t09:30:00Z"),
        ("blank-for-t", "2026-03-02 09:30:00Z"),
        ("blank-before", " 2026-03-02T09:30:00Z"),
        ("line-behind", "2026-03-02T09:30:00Z\n"),
        ("one-digit-each", "2026-3-2T9:30:0Z"),
        ("basic-format", "20260302T093000Z"),
        ("unix-time", "1772443800"),
        ("rfc-1123", "Mon, 02 Mar 2026 09:30:00 GMT"),
    ):
        yield _written(bench, f"created-{name}", SYNTAX, created=text)
        yield _written(bench, f"expires-{name}", SYNTAX, expires=text)


@vectors(73, "SEC-50")
def fractions(bench: Bench) -> Iterator[Variant]:
    """None to nine decimals of a second are read; ten, none after the point, or a comma are not."""
    for name, fraction, expected in (
        ("none", "", ACCEPTED),
        ("one", ".5", ACCEPTED),
        ("three", ".000", ACCEPTED),
        ("nine", ".123456789", ACCEPTED),
        ("ten", ".0000000000", SYNTAX),
        ("point-only", ".", SYNTAX),
        ("comma", ",5", SYNTAX),
    ):
        yield _written(bench, name, expected, created=f"2026-03-02T09:30:00{fraction}Z")


@vectors(74, "SEC-50")
def offsets(bench: Bench) -> Iterator[Variant]:
    """UTC, written `Z`: an offset is refused, be it zero."""
    for name, created, expires in (
        ("zero", "2026-03-02T09:30:00+00:00", "2026-03-02T09:31:00+00:00"),
        ("minus-zero", "2026-03-02T09:30:00-00:00", "2026-03-02T09:31:00-00:00"),
        ("brussels", "2026-03-02T10:30:00+01:00", "2026-03-02T10:31:00+01:00"),
        ("none", "2026-03-02T09:30:00", "2026-03-02T09:31:00"),
        ("name", "2026-03-02T09:30:00UTC", "2026-03-02T09:31:00UTC"),
    ):
        yield _written(bench, name, SYNTAX, created=created, expires=expires)


@vectors(75, "SEC-50")
def impossible(bench: Bench) -> Iterator[Variant]:
    """An instant that does not exist, or that two programs may read as two: second 60, 24:00:00, 30 February."""
    for name, text in (
        ("second-60", "2026-03-02T09:30:60Z"),
        ("leap-second", "2016-12-31T23:59:60Z"),
        ("second-61", "2026-03-02T09:30:61Z"),
        ("minute-60", "2026-03-02T09:60:00Z"),
        ("24-00-00", "2026-03-01T24:00:00Z"),
        ("25-00-00", "2026-03-02T25:00:00Z"),
        ("30-february", "2026-02-30T09:30:00Z"),
        ("29-february", "2026-02-29T09:30:00Z"),
        ("month-13", "2026-13-02T09:30:00Z"),
        ("month-0", "2026-00-02T09:30:00Z"),
        ("day-0", "2026-03-00T09:30:00Z"),
        ("year-0", "0000-03-02T09:30:00Z"),
    ):
        yield _written(bench, f"created-{name}", SYNTAX, created=text)
        yield _written(bench, f"expires-{name}", SYNTAX, expires=text)


@vectors(76, "SEC-50")
def other_years_and_digits(bench: Bench) -> Iterator[Variant]:
    """A year of five digits, before Christ or of another calendar; digits that are not ASCII."""
    for name, text in (
        ("year-10000", "10000-03-02T09:30:00Z"),
        ("year-12026", "12026-03-02T09:30:00Z"),
        ("minus", "-2026-03-02T09:30:00Z"),
        ("plus", "+2026-03-02T09:30:00Z"),
        ("thai-digits", "๒๐๒๖-๐๓-๐๒T๐๙:๓๐:๐๐Z"),
        ("arabic-digits", "٢٠٢٦-٠٣-٠٢T٠٩:٣٠:٠٠Z"),
        ("full-width-digits", "２０２６-03-02T09:30:00Z"),
    ):
        yield _written(bench, name, SYNTAX, created=text)
    buddhist = {"created": "2569-03-02T09:30:00Z", "expires": "2569-03-02T09:31:00Z"}
    yield _written(bench, "buddhist-year", FUTURE, **buddhist)
    yield _written(
        bench, "last-year-there-is", LIFETIME, created="2026-03-02T09:30:00Z", expires="9999-12-31T23:59:59Z"
    )


def _arriving(bench: Bench, name: str, seconds: float, expected: Expected, *, lifetime_seconds: int = 60) -> Variant:
    """A message that arrives so many seconds after it was created."""
    message = bench.signed(REQUEST, lifetime_seconds=lifetime_seconds)
    return Variant(name=name, message=message, expected=expected, now=bench.now + timedelta(seconds=seconds))


@vectors(77, "SEC-51")
def expiry(bench: Bench) -> Iterator[Variant]:
    """A message counts until just before it expires, whatever its lifetime."""
    for lifetime in (1, 60, 300):
        for name, late, expected in (
            ("at-once", 0, ACCEPTED),
            ("a-second-before", lifetime - 1, ACCEPTED),
            ("a-microsecond-before", lifetime - 0.000001, ACCEPTED),
            ("at-its-end", lifetime, EXPIRED),
            ("a-second-after", lifetime + 1, EXPIRED),
            ("a-day-after", 86_400, EXPIRED),
        ):
            yield _arriving(bench, f"{lifetime}-seconds-{name}", late, expected, lifetime_seconds=lifetime)


@vectors(78, "SEC-51")
def future(bench: Bench) -> Iterator[Variant]:
    """A message may be created up to 60 seconds ahead of our clock."""
    for name, early, expected in (
        ("30-seconds", -30, ACCEPTED),
        ("59-seconds", -59, ACCEPTED),
        ("60-seconds", -60, ACCEPTED),
        ("just-over-60-seconds", -60.000001, FUTURE),
        ("61-seconds", -61, FUTURE),
        ("120-seconds", -120, FUTURE),
    ):
        yield _arriving(bench, name, early, expected)


@vectors(79, "SEC-51")
def lifetimes(bench: Bench) -> Iterator[Variant]:
    """From Created to Expires are more than nothing and at most 300 seconds."""
    for name, expires, expected in (
        ("299-seconds", "09:34:59Z", ACCEPTED),
        ("300-seconds", "09:35:00Z", ACCEPTED),
        ("just-over-300-seconds", "09:35:00.000001Z", LIFETIME),
        ("301-seconds", "09:35:01Z", LIFETIME),
        ("a-day", "23:59:59Z", LIFETIME),
        ("nothing", "09:30:00Z", ORDER),
        ("less-than-nothing", "09:29:59Z", ORDER),
        ("a-microsecond", "09:30:00.000001Z", ACCEPTED),
    ):
        yield _written(bench, name, expected, created="2026-03-02T09:30:00Z", expires=f"2026-03-02T{expires}")
