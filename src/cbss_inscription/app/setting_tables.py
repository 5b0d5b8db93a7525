"""The table of a settings file against the kinds that settings are made of, and what the environment says instead.

Every mistake is found, not only the first, each with the place of its setting: `tls.port`. Nothing is read here: the
file and the environment are `app.settings`' to read.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from cbss_inscription.domain.errors import UsageError

OVERRIDE_PREFIX: Final = "CBSS_INSCRIPTION__"
"""What the name of an environment variable begins with that says a setting: `CBSS_INSCRIPTION__TLS__PORT`."""
_BETWEEN_TABLES: Final = "__"
_PEM: Final = "-----BEGIN"
_PLACE: Final = re.compile(r" - at `\$(?P<place>.*)`\Z")

Table = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong with a setting, or with a table as a whole."""

    place: str
    """The setting's name below its tables; empty for the whole file."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overridden:
    """What the environment said."""

    origins: Mapping[str, str]
    """The settings that it says, by their places (`tls.port`), with the variable of each."""
    problems: tuple[str, ...]
    """A sentence for each variable that says no setting."""


def mistakes_in(table: Table, kind: type[msgspec.Struct], place: str = "") -> Iterator[Mistake]:
    """Everything in the table that makes it no `kind`; what a kind asks of several settings, once each is good."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    good = True
    for name in [name for name in table if name not in fields]:
        good = False
        yield Mistake(place=_below(place, name), sentence=f"there is no such setting{_instead(name, fields)}")
    for name, field in fields.items():
        within = table_kind_of(field.type)
        if name not in table:
            found = [Mistake(place=_below(place, name), sentence="is missing")] if field.required else []
        elif within is not None and isinstance(table[name], dict):
            found = list(mistakes_in(table[name], within, _below(place, name)))
        else:
            found = list(_converted(table[name], field.type, _below(place, name)))
        good = good and not found
        yield from found
    if good:
        yield from _converted(table, kind, place)


def _converted(value: object, kind: object, place: str) -> Iterator[Mistake]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        further = _PLACE.search(text)
        sentence = text if further is None else text[: further.start()]
        yield Mistake(place=place if further is None else place + further["place"], sentence=sentence)


def _instead(name: str, fields: Mapping[str, object]) -> str:
    close = get_close_matches(name, fields, n=1)
    return f" (is it {close[0]}?)" if close else ""


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def table_kind_of(kind: object) -> type[msgspec.Struct] | None:
    """What the settings of a table are, when a setting of this kind is a table, present or not; else None."""
    plain = _without_none(kind)
    return plain if isinstance(plain, type) and issubclass(plain, msgspec.Struct) else None


def _is_text(kind: object) -> bool:
    plain = _without_none(kind)
    return isinstance(plain, type) and issubclass(plain, str)


def _without_none(kind: object) -> object:
    """The kind itself, of one that may be absent or has a range."""
    if get_origin(kind) is Annotated:
        return _without_none(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        rest = [one for one in get_args(kind) if one is not NoneType]
        return _without_none(rest[0]) if len(rest) == 1 else kind
    return kind


# --- the environment ------------------------------------------------------------------------------------------------


def override(table: Table, environment: Mapping[str, str], kind: type[msgspec.Struct]) -> Overridden:
    """What the environment says; the table says the same from now on.

    A variable's name is the prefix, then tables and setting in capitals with two underscores between them.
    """
    origins: dict[str, str] = {}
    problems = []
    for variable in sorted(name for name in environment if name.startswith(OVERRIDE_PREFIX)):
        try:
            place, said = _setting_of(variable.removeprefix(OVERRIDE_PREFIX).split(_BETWEEN_TABLES), kind)
            value = _value_of(environment[variable], said)
        except UsageError as error:
            problems.append(f"{variable}: {error}")
            continue
        inner: object = table
        for name in place[:-1]:
            inner = inner.setdefault(name, {}) if isinstance(inner, dict) else None
        if isinstance(inner, dict):  # else the file says something else where a table belongs, and is told so
            inner[place[-1]] = value
        origins[".".join(place)] = variable
    return Overridden(origins=origins, problems=tuple(problems))


def _setting_of(parts: list[str], kind: type[msgspec.Struct]) -> tuple[list[str], object]:
    """The names that lead to a setting, and its kind. Raises `UsageError` when there is none of that name."""
    place: list[str] = []
    said: object = kind
    for part in parts:
        within = table_kind_of(said)
        kinds = {} if within is None else {field.encode_name: field.type for field in msgspec.structs.fields(within)}
        name = part.lower()
        if name not in kinds or part != part.upper():
            raise UsageError(f"there is no such setting{_instead(name, kinds)}")
        place.append(name)
        said = kinds[name]
    if table_kind_of(said) is not None:
        raise UsageError(f"this is a table: name a setting in it, after {_BETWEEN_TABLES}")
    return place, said


def _value_of(text: str, kind: object) -> object:
    """The value that a text is: one for a text as it stands or in TOML's quotes, anything else as TOML writes it.

    Raises `UsageError`, which never tells the value.
    """
    if _PEM in text:
        raise UsageError("name the file of a key or certificate: its text does not belong into the environment")
    if _is_text(kind) and text[:1] not in {'"', "'"}:
        return text
    try:
        read = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        read = {}
    if read.keys() != {"value"}:  # a text of several lines could say more
        raise UsageError("this is no value as TOML writes it")
    return read["value"]


# --- to be read by people -------------------------------------------------------------------------------------------


def places_in(table: Table, kind: type[msgspec.Struct], place: str = "") -> Iterator[str]:
    """The places of the settings that a table says."""
    for field in msgspec.structs.fields(kind):
        within, said, name = table_kind_of(field.type), table.get(field.encode_name), _below(place, field.encode_name)
        if within is not None and isinstance(said, dict):
            yield from places_in(said, within, name)
        elif said is not None:
            yield name


def settings_in(value: msgspec.Struct, place: str = "") -> Iterator[tuple[str, object]]:
    """Every setting that has a value, defaults too, by place and in the order of their kinds; tables are gone into."""
    for field in msgspec.structs.fields(type(value)):
        said, name = getattr(value, field.name), _below(place, field.encode_name)
        if isinstance(said, msgspec.Struct):
            yield from settings_in(said, name)
        elif said is not None:
            yield name, msgspec.to_builtins(said, order="deterministic")


def written(value: object) -> str:
    """A value as TOML writes it, on one line."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return "true" if value else "false"
        case dict():
            said = [f"{written(name)} = {written(one)}" for name, one in value.items() if one is not None]
            return f"{{ {', '.join(said)} }}" if said else "{}"
        case list() | tuple():
            return f"[{', '.join(map(written, value))}]"
        case _:
            return str(value)
