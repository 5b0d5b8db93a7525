"""Fault injection as a part of a service: its rules and counts in files that all processes of the service share.

One directory per service. `rules.json` has the rules that the control API set, replaced as a whole; the rules of the
settings stand before them. A count is a file that grows by a byte: appending is atomic and tells each process the
ordinal of its own byte, so the workers agree without a lock, and one that is killed leaves nothing by halves.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec

from cbss_inscription.app.settings import Faults, write_privately
from cbss_inscription.app.telemetry import StructuredFaultLog
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.sandbox.faults import FaultRule, check_rules
from cbss_inscription.soap.faults import DisturbedApplication, DisturbedDoor, DisturbedOperations
from cbss_inscription.soap.http import Receive, Scope, SoapApplication, SoapDoor
from cbss_inscription.soap.pipeline import SecuredDoor
from cbss_inscription.xml_limits import XmlLimits

RULES_FILE: Final = "rules.json"
RULE_BYTES_MAX: Final = 65_536
"""Of a rule that is set."""
_OURS: Final = re.compile(r"\.?rules\.json(\.new)?|[a-z0-9-]+\.(matched|struck)")
"""The names of all files that are ever in the directory."""
FAULTS_PATH: Final = "/faults"
"""Where the operations listener has the control API."""


class FaultFiles:
    """The rules of a service and how often each was met; a `sandbox.faults.Tallies`."""

    def __init__(self, faults: Faults) -> None:
        self._standing = faults.rules
        self._directory = Path(faults.directory)
        self._read: tuple[tuple[int, int] | None, tuple[FaultRule, ...]] = (None, ())

    def begin(self) -> None:
        """Nothing; no rule is set and nothing was counted: the service begins, and its seed with it.

        Raises `UsageError` as `check_directory` does.
        """
        self.check_directory()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            for file in self._directory.iterdir():
                file.unlink()
        except OSError as error:
            raise UsageError(f"{self._directory}: {error.strerror}") from error

    def check_directory(self) -> None:
        """Nothing, when only files of ours are in the directory, or it is not there. Raises `UsageError`.

        It is emptied at each start: whoever names that of the settings by mistake must not lose keys by it.
        """
        try:
            names = sorted(file.name for file in self._directory.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(f"{self._directory}: {error.strerror}") from error
        others = [name for name in names if not _OURS.fullmatch(name)]
        if others:
            raise UsageError(
                f"{self._directory} is emptied at each start, and {others[0]} is no file of [faults]: "
                f"let faults.directory name a directory of its own"
            )

    def rules(self) -> tuple[FaultRule, ...]:
        """Those of the settings, then those that were set, in the order in which they are asked."""
        return (*self._standing, *self._set())

    def _set(self) -> tuple[FaultRule, ...]:
        path = self._directory / RULES_FILE
        try:
            status = path.stat()
        except OSError:
            return ()
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._read[0]:
            self._read = (stamp, msgspec.json.decode(path.read_bytes(), type=tuple[FaultRule, ...]))
        return self._read[1]

    def matched(self, rule: str) -> int:
        """See `Tallies.matched`."""
        return self._counted(rule, "matched")

    def struck(self, rule: str) -> int:
        """See `Tallies.struck`."""
        return self._counted(rule, "struck")

    def _counted(self, rule: str, what: str) -> int:
        file = os.open(self._directory / f"{rule}.{what}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, b".")
            return os.lseek(file, 0, os.SEEK_CUR)  # where our own byte ended, whoever wrote since
        finally:
            os.close(file)

    def listed(self) -> list[dict[str, Any]]:
        """Every rule as JSON has it, with its counts, and whether it stands in the settings."""
        return [
            {**msgspec.to_builtins(rule), **self._counts(rule), "standing": rule in self._standing}
            for rule in self.rules()
        ]

    def _counts(self, rule: FaultRule) -> dict[str, int]:
        counts = {"matched": 0, "struck": 0}
        for what in counts:
            with contextlib.suppress(OSError):
                counts[what] = (self._directory / f"{rule.name}.{what}").stat().st_size
        if rule.times is not None:
            counts["struck"] = min(counts["struck"], rule.times)
        return counts

    def set(self, rule: FaultRule) -> None:
        """Nothing; the rule is the last, in the place of one with its name, and counts anew. Raises `UsageError`."""
        if rule.name in {one.name for one in self._standing}:
            raise UsageError(f"the rule {rule.name} stands in the settings")
        rules = (*(one for one in self._set() if one.name != rule.name), rule)
        check_rules((*self._standing, *rules))
        self._forget_counts(rule.name)
        self._write(rules)

    def clear(self, name: str | None = None) -> int:
        """How many rules went that had been set: the one of that name, or all. Those of the settings stay."""
        rules = self._set()
        left = tuple(one for one in rules if name not in {None, one.name})
        self._write(left)
        for rule in rules:
            if rule not in left:
                self._forget_counts(rule.name)
        return len(rules) - len(left)

    def _write(self, rules: tuple[FaultRule, ...]) -> None:
        write_privately(self._directory / RULES_FILE, msgspec.json.encode(rules))

    def _forget_counts(self, name: str) -> None:
        for what in ("matched", "struck"):
            (self._directory / f"{name}.{what}").unlink(missing_ok=True)


def disturbed(application: SoapApplication, *, faults: Faults) -> DisturbedApplication:
    """The application with what the settings let go wrong around it, whose doors are `disturbed_doors`."""
    return DisturbedApplication(application, takes_orders=faults.header, drop=drop_connection)


def disturbed_doors(doors: Mapping[str, SecuredDoor], *, faults: Faults, limits: XmlLimits) -> dict[str, SoapDoor]:
    """The doors, each by its path, with what the settings let go wrong around them; `limits` are those of messages."""
    files, log = FaultFiles(faults), StructuredFaultLog()
    return {
        path: DisturbedDoor(
            within=replace(door, operations=DisturbedOperations(within=door.operations)),
            door=door.door,
            rules=files.rules,
            seed=faults.seed,
            tallies=files,
            limits=limits,
            log=log,
        )
        for path, door in doors.items()
    }


def drop_connection(scope: Scope) -> None:
    """Nothing; the connection of an HTTP request is closed, both ways, without another byte.

    ASGI gives no hold of it, so it is found among this process's own sockets by both of its ends. Linux only.
    """
    caller, ours = ((host, int(port)) for host, port in (scope["client"], scope["server"]))  # granian gives texts
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed meanwhile, is no socket, or is not connected
            if not str(entry.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as connection:
                if (connection.getpeername()[:2], connection.getsockname()[:2]) == (caller, ours):
                    connection.shutdown(socket.SHUT_RDWR)
                    return


class FaultControl:
    """The control API: GET what there is, PUT a rule, DELETE one or all that were set."""

    def __init__(self, faults: Faults) -> None:
        self._files = FaultFiles(faults)
        self._seed = faults.seed

    def has(self, path: str) -> bool:
        """Whether the path is the control API's."""
        return path == FAULTS_PATH or path.startswith(f"{FAULTS_PATH}/")

    async def answer(self, scope: Scope, receive: Receive) -> tuple[HTTPStatus, bytes]:
        """The status and JSON for a request at a path that it `has`."""
        name = scope["path"].removeprefix(FAULTS_PATH).removeprefix("/")
        try:
            match scope["method"], name:
                case "GET", "":
                    pass
                case "PUT", _ if name:
                    self._files.set(_read_rule(name, await _body(receive)))
                case "DELETE", _:
                    if not self._files.clear(name or None) and name:
                        return HTTPStatus.NOT_FOUND, _json({"error": "no rule of that name was set"})
                case _:
                    return HTTPStatus.METHOD_NOT_ALLOWED, _json({"error": "GET or DELETE, or PUT with a rule's name"})
        except UsageError as error:
            return HTTPStatus.BAD_REQUEST, _json({"error": str(error)})
        return HTTPStatus.OK, _json({"seed": self._seed, "rules": self._files.listed()})


def _read_rule(name: str, body: bytes) -> FaultRule:
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
        return msgspec.convert({**said, "name": name}, FaultRule)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"no rule: {error}") from None


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if len(body) > RULE_BYTES_MAX:
            raise UsageError(f"a rule has at most {RULE_BYTES_MAX} bytes")
        if not event.get("more_body", False):
            return bytes(body)


def _json(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"
