"""The words of the report in four languages: `texts.toml`, which lacks no key in any of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

import msgspec

from cbss_inscription.disclosure.choices import Language


class Texts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every text of one language; `{…}` are filled in by whoever shows it."""

    title: str
    intro: str
    made: str
    reference: str
    numbers: str
    current_number: str
    former_number: str
    span: str
    span_all: str
    span_from: str
    span_until: str
    time_zone: str
    known_title: str
    known_intro: str
    known_none: str
    contacts_title: str
    contacts_intro: str
    contacts_none: str
    mutations_title: str
    mutations_intro: str
    mutations_none: str
    organization: str
    context: str
    begin: str
    end: str
    open_end: str
    last_change: str
    moment: str
    deed: str
    ground: str
    outcome: str
    ticket: str
    event: str
    application: str
    with_certificate_of: str
    operators: str
    unknown: str
    done: str
    refused: str
    rights_title: str
    rights: str
    contact: str
    limits_title: str
    limit_law: str
    limit_others: str
    limit_journal: str
    limit_archived: str
    limit_truncated: str
    limit_unverified: str
    deeds: dict[str, str]
    """By the values of `governance.disclosure.Deed`."""
    events: dict[str, str]
    """By the values of `domain.life.LifeEvent`."""


@cache
def catalogue() -> Mapping[Language, Texts]:
    """The texts of every language. Raises `msgspec.ValidationError` for a file that lacks one."""
    text = resources.files("cbss_inscription.disclosure").joinpath("texts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[Language, Texts])
