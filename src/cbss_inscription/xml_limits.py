"""How large and how oddly shaped foreign XML may be: values alone, for whoever only names them and parses nothing."""

from __future__ import annotations

from typing import Annotated

import msgspec


class XmlShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How oddly shaped a foreign document may be; the defaults are the design's (SEC-21..25).

    The ranges are what a settings file may say: at the least of each a request of the contract still passes, at the
    most of each a hostile message still costs no more than its size allows (bench/security.py). At the most of some,
    libxml2 refuses first: it reads 255 elements deep, and 10 MB of text.
    """

    depth_max: Annotated[int, msgspec.Meta(ge=16, le=128)] = 32
    """Elements from the root to the deepest one, the root being 1 (SEC-21)."""
    elements_max: Annotated[int, msgspec.Meta(ge=200, le=30_000)] = 20_000
    """Elements in the document (SEC-22)."""
    attributes_per_element_max: Annotated[int, msgspec.Meta(ge=8, le=64)] = 32
    """Attributes of one element, namespace declarations apart; exclusive C14N is quadratic in them (SEC-23)."""
    attributes_max: Annotated[int, msgspec.Meta(ge=200, le=100_000)] = 40_000
    """Attributes in the document (SEC-23)."""
    namespaces_per_element_max: Annotated[int, msgspec.Meta(ge=8, le=64)] = 32
    """Namespace declarations of one element (SEC-24)."""
    namespaces_max: Annotated[int, msgspec.Meta(ge=50, le=5_000)] = 2_000
    """Namespace declarations in the document (SEC-24)."""
    name_chars_max: Annotated[int, msgspec.Meta(ge=64, le=1_024)] = 256
    """A prefix, or the local name of an element or attribute, in characters (SEC-25)."""
    value_chars_max: Annotated[int, msgspec.Meta(ge=256, le=65_536)] = 8_192
    """An attribute's value or a namespace URI, in characters (SEC-25)."""
    text_chars_max: Annotated[int, msgspec.Meta(ge=8_192, le=4_194_304)] = 262_144
    """An uninterrupted run of text, in characters (SEC-25)."""
    comments_max: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 1_000
    """Comments before, in or after the root element; ours, beside SEC-22: walking over many of them is slow."""


class XmlLimits(XmlShape, frozen=True, kw_only=True):
    """How large and how oddly shaped a foreign document may be."""

    size_bytes_max: int = 1_048_576
    """The whole message, in bytes as received (SEC-09)."""
