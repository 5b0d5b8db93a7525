"""How a file stands by the folder that it was put into, for whoever asks by its name; nothing in the folder changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from cbss_inscription.batch.folder import MANIFEST_SUFFIX, Refusal, batch_of_place, may_be_called
from cbss_inscription.domain.errors import UsageError

_UPLOAD: Final = re.compile(r"[0-9a-f]{32}~")
_TOLD_APART: Final = re.compile(r"~[0-9a-f]{8}")
"""Behind the name of a file that was refused when another of that name had been."""
NAMES_TOLD_MAX: Final = 5
"""Names that somebody is told who asked by too short a one."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file is, and what is known of it there."""

    name: str
    """As it is called in the folder: what came by an upload has that in its name."""
    state: str
    """`arriving`: its manifest is not there yet; `waiting`: to be taken in; `misnamed`: it will never be, by that name;
    `refused`; `taken`: it is a batch.
    """
    where: Path
    batch: UUID | None = None
    refusal: Refusal | None = None


class _Answered(msgspec.Struct, frozen=True, kw_only=True):
    batch: UUID


def standing_of(root: Path, name: str) -> Standing | None:
    """How the file of this name stands, as it was put there last; None when there is none of that name.

    A file that came by an upload is found by its own name, as long as there is one of it only. Raises `UsageError` when
    there are several, and OSError for a folder that one may not look into.
    """
    found: dict[str, Standing] = {}
    for standing in _standings(root, name):
        found.setdefault(standing.name, standing)
    if name in found or not found:
        return found.get(name)
    if len(found) > 1:
        told = ", ".join(sorted(found)[:NAMES_TOLD_MAX])
        raise UsageError(f"{name}: {len(found)} files of that name were uploaded; say which: {told}")
    return next(iter(found.values()))


def _standings(root: Path, name: str) -> Iterator[Standing]:
    """All that the folder has by this name, what was put there last first."""
    incoming, work, out, refused = (root / folder for folder in ("in", "work", "out", "refused"))
    for path in _named(incoming, name, MANIFEST_SUFFIX):
        called = path.name.removesuffix(MANIFEST_SUFFIX)
        yield Standing(name=called, state="waiting" if may_be_called(called) else "misnamed", where=incoming)
    for path in _named(incoming, name, ""):
        state = "arriving" if may_be_called(path.name) else "misnamed"
        yield Standing(name=path.name, state=state, where=incoming)
    for place in _newest(one for one in work.iterdir() if not one.name.startswith(".")):
        called = place.name.rpartition("~")[0]
        if _is_called(called, name):
            batch = batch_of_place(place)
            yield Standing(name=called, state="waiting" if batch is None else "taken", where=work, batch=batch)
    ends = [*_named(out, name, ".answers.json"), *_refusals(refused, name)]
    for path in _newest(ends):
        if path.parent == refused:
            refusal = msgspec.json.decode(path.read_bytes(), type=Refusal)
            yield Standing(name=refusal.file, state="refused", where=path, refusal=refusal)
        else:
            answered = msgspec.json.decode(path.read_bytes(), type=_Answered)
            called = path.name.removesuffix(".answers.json")
            yield Standing(name=called, state="taken", where=path, batch=answered.batch)


def _named(folder: Path, name: str, suffix: str) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(suffix) and _is_called(path.name, name + suffix)]


def _refusals(folder: Path, name: str) -> Iterator[Path]:
    for path in folder.iterdir():
        called, is_refusal, _ = path.name.partition(".refused.json")
        if is_refusal and (
            _is_called(called, name) or (_is_called(called[:-9], name) and _TOLD_APART.match(called[-9:]))
        ):
            yield path


def _is_called(found: str, name: str) -> bool:
    return found == name or (_UPLOAD.match(found) is not None and found.partition("~")[2] == name)


def _newest(paths: Iterator[Path] | list[Path]) -> list[Path]:
    times = []
    for path in paths:
        try:
            times.append((path.stat().st_mtime, path))
        except FileNotFoundError:  # taken, or taken away, while we looked
            continue
    return [path for _, path in sorted(times, reverse=True)]
