"""`cbss-inscription governance`: operators change the rules in the database with four eyes (SEC-57, SEC-60)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from cbss_inscription.app.reloading import rules_of
from cbss_inscription.app.settings import read_settings
from cbss_inscription.governance.access import AccessRules, read_access_rules, write_access_rules
from cbss_inscription.governance.documents import entries_of
from cbss_inscription.governance.signatures import OperatorKey
from cbss_inscription.sandbox.demonstration import demo_access_rules
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.governance import StoredRecord
from tests.acceptance.conftest import Command, CommandResult
from tests.acceptance.operating import write_settings
from tests.governing import AN, BEN, Office

RULES = demo_access_rules()
REFERENCE = RULES.permissions[0].reference
WHY = "Dossier 2026/17."


@dataclass(kw_only=True)
class Register:
    """A database that is governed, the command line on it, and the keys of its operators by name."""

    command: Command
    directory: Path
    settings: Path
    database: str

    def key(self, name: str) -> Path:
        """The file of an operator's private key; made when it is asked for the first time."""
        file = self.directory / f"{name}.pem"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes({"an": AN, "ben": BEN}.get(name, OperatorKey.generate()).written())
        return file

    def public_key(self, name: str) -> str:
        """The public key of an operator."""
        return OperatorKey.read(self.key(name).read_bytes()).public_key

    def __call__(self, *arguments: object, by: str | None = None) -> CommandResult:
        """What `governance …` does, perhaps by an operator."""
        key = () if by is None else ("--key", self.key(by))
        return self.command("governance", *arguments, *key, "--settings", self.settings)

    def told(self, *arguments: object, by: str | None = None) -> Any:
        """What it tells a program."""
        result = self(*arguments, "--format", "json", by=by)
        assert result.exit_code in (0, 1), result.err
        return json.loads(result.out)

    def knows(self, anchor: str) -> None:
        """Nothing; the anchor stands in the settings."""
        self.settings.write_text(f'{self.settings.read_text()}anchor = "{anchor}"\n')

    def founders(self, first: str = "an", second: str = "ben") -> tuple[str, ...]:
        """The arguments that name the first two."""
        return ("--first", f"{first}={self.key(first)}", "--second", f"{second}={self.key(second)}")

    def file(self, name: str, content: bytes | str) -> Path:
        """A file with this content."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def proposed(self, content: bytes | str, *, by: str = "an") -> int:
        """The number of a proposal of these entries."""
        said = self.told("propose", self.file("proposal.yaml", content), "--reason", WHY, by=by)
        return int(said["proposal"])

    def in_force(self) -> AccessRules:
        """The rules as a worker that starts now has them."""
        return rules_of(read_settings(self.settings))


def permission_with(remarks: str) -> str:
    """A proposal's file: the first demo permission, with these remarks."""
    changed = msgspec.structs.replace(RULES.permissions[0], remarks=remarks)
    text = write_access_rules(AccessRules(version=1, access_rules=(), permissions=(changed,))).decode()
    return text.replace("version: 1\n", "")


@pytest.fixture(scope="module")
def governed_database(postgresql: EmbeddedServer) -> str:
    """A database of this module's own: making one for each test would take longer than the tests."""
    with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
        connection.execute("CREATE DATABASE governed TEMPLATE template STRATEGY file_copy")
    return psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname="governed")


@pytest.fixture
def blank(command: Command, tmp_path: Path, governed_database: str) -> Register:
    """A database in which nothing is governed yet."""
    with psycopg.connect(governed_database) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # the record refuses to be emptied otherwise
        connection.execute("TRUNCATE governance_proposal, governance_decision")
    settings = write_settings(tmp_path, database=governed_database, access_rules=None, more="[governance]")
    return Register(command=command, directory=tmp_path, settings=settings, database=governed_database)


@pytest.fixture
def register(blank: Register) -> Register:
    """A register that an and ben began with the demo rules: as `init` does, without the command's half second."""
    blank.knows(Office.begun(blank.database, *entries_of(RULES)).anchor)
    return blank


def test_sec_57_rules_change_with_four_eyes_and_every_version_stays(register: Register) -> None:
    """What one proposes and another approves is in force as the next version, and each version can be seen (SEC-57)."""
    number = register.proposed(permission_with("agreed anew"))
    assert register.in_force() == RULES
    approved = register.told("approve", number, "--remark", "As agreed.", by="ben")
    assert approved == {"outcome": "approved", "proposal": number, "version": 2}
    now = register.in_force()
    assert (now.version, now.permissions[0].remarks) == (2, "agreed anew")
    assert now.permissions[1:] == RULES.permissions[1:]
    for version, remarks in ((1, None), (2, "agreed anew")):
        seen = read_access_rules(register("export", "--version", version).out.encode(), origin="x")
        assert (seen.version, seen.permissions[0].remarks) == (version, remarks)
    assert register("export").out.encode() == write_access_rules(now)
    first, second = register.told("log")["decisions"]
    assert (first["version"], first["proposed_by"], first["decided_by"]) == (1, "an", "ben")
    assert {name: second[name] for name in ("version", "proposal", "reason", "remark", "changes")} == {
        "version": 2,
        "proposal": number,
        "reason": WHY,
        "remark": "As agreed.",
        "changes": [{"kind": "permission", "name": REFERENCE, "change": "put"}],
    }
    assert register("verify").out == "2 proposals, 2 versions, no discrepancies\n"


def test_sec_57_nobody_approves_or_rejects_what_is_their_own(register: Register) -> None:
    """The proposer is refused, in one sentence and status 3, and may have it decided by another (SEC-57)."""
    number = register.proposed(permission_with("mine"))
    for verdict in ("approve", "reject"):
        refused = register(verdict, number, by="an")
        assert (refused.exit_code, refused.sentence) == (3, "refused: Who proposed it cannot decide it.")
    assert register.in_force() == RULES
    assert register("reject", number, by="ben").out == f"proposal {number} rejected by ben\n"
    again = register("approve", number, by="ben")
    assert (again.exit_code, again.sentence) == (3, "refused: The proposal is decided already.")
    assert register.in_force() == RULES


def test_sec_57_a_key_that_is_nobodys_proposes_and_decides_nothing(register: Register) -> None:
    """Operators are known by keys: one that nobody enrolled is refused (SEC-57)."""
    number = register.proposed(permission_with("x"))
    file = register.file("other.yaml", permission_with("y"))
    for arguments in (("approve", number), ("propose", file, "--reason", WHY)):
        refused = register(*arguments, by="stranger")
        assert (refused.exit_code, refused.sentence) == (3, "refused: The key is no operator's.")
    assert [item["proposal"] for item in register.told("pending")["proposals"]] == [number]


def test_sec_57_a_stale_proposal_is_refused(register: Register) -> None:
    """A proposal whose entry changed since is shown as stale, and refused at approval (SEC-57)."""
    first, second = register.proposed(permission_with("first")), register.proposed(permission_with("second"), by="ben")
    assert register("approve", first, by="ben").exit_code == 0
    (waiting,) = register.told("pending")["proposals"]
    assert (waiting["proposal"], waiting["stale"]) == (second, [f"permission {REFERENCE}"])
    assert "cannot be approved any more" in register("pending").out
    refused = register.command(
        *("governance", "approve", second, "--key", register.key("an"), "--format", "json"),
        *("--settings", register.settings),
    )
    assert refused.exit_code == 3
    assert json.loads(refused.out)["reason"] == "stale"
    assert register.in_force().permissions[0].remarks == "first"


def test_sec_57_a_register_begins_with_keys_and_a_first_set_of_rules(blank: Register) -> None:
    """Keys from `operator-key`, rules from a file, the anchor that is printed: then the rules are in force (SEC-57)."""
    made = [blank.command("operator-key", "make", blank.directory / f"{name}.pem") for name in ("an", "ben")]
    assert [result.exit_code for result in made] == [0, 0]
    assert blank.command("operator-key", "public", blank.key("an")).out == made[0].out
    file = blank.file("rules.yaml", write_access_rules(RULES))
    begun = blank.told("init", file, *blank.founders())
    blank.knows(begun["anchor"])
    assert blank.in_force() == RULES
    operators = {operator["name"]: operator["public_key"] for operator in blank.told("at", 1)["operators"]}
    assert [operators["an"], operators["ben"]] == [result.out.strip() for result in made]


def test_sec_57_it_begins_once_and_by_two(blank: Register) -> None:
    """`init` needs two operators with two keys, and is refused when there is a record already (SEC-57)."""
    alone = blank("init", *blank.founders("an", "an"))
    assert alone.exit_code != 0
    key = blank.key("an")
    twice = blank("init", "--first", f"an={key}", "--second", f"other={key}")
    assert twice.exit_code == 3
    assert "have the same key" in twice.sentence
    begun = blank("init", *blank.founders())
    assert begun.exit_code == 0
    assert begun.out.startswith("version 1, operators an and ben\n")
    again = blank("init", *blank.founders("cleo", "dirk"))
    assert (again.exit_code, again.sentence) == (3, "refused: The register is governed already.")


def test_sec_57_without_the_anchor_nothing_is_served_or_decided(blank: Register) -> None:
    """Who can write the whole database could begin it anew: services and operators are told the anchor (SEC-57)."""
    assert blank("init", *blank.founders()).exit_code == 0
    for arguments in (("pending",), ("verify",), ("export",)):
        result = blank(*arguments)
        assert result.exit_code == 2
        assert "lacks its anchor" in result.err
    blank.knows("0" * 64)
    result = blank("export")
    assert result.exit_code == 2
    assert "it is not the one that the anchor in the settings names" in result.sentence
    assert "names the anchor of a register that has begun" in blank("init", *blank.founders()).sentence


def test_sec_57_withdraw_import_and_diff(register: Register) -> None:
    """A withdrawal takes an entry away; an import makes the whole like a file, and `diff` says before what it would."""
    less = msgspec.structs.replace(RULES, permissions=RULES.permissions[1:])
    file = register.file("less.yaml", write_access_rules(less))
    (change,) = register.told("diff", file)["changes"]
    assert (change["entry"], change["after"]) == (f"permission {REFERENCE}", None)
    imported = register.told("import", file, "--reason", WHY, by="an")
    assert imported["changes"] == [{"kind": "permission", "name": REFERENCE, "change": "withdraw"}]
    assert register("approve", imported["proposal"], by="ben").exit_code == 0
    assert register.in_force() == msgspec.structs.replace(less, version=2)
    assert (register("diff", file).exit_code, register("import", file, "--reason", WHY, by="an").exit_code) == (1, 3)
    dossier = RULES.access_rules[0].dossier
    withdrawn = register.told("withdraw", "--access-rule", dossier, "--reason", WHY, by="ben")
    assert register("approve", withdrawn["proposal"], by="an").exit_code == 0
    assert register.in_force().access_rules == RULES.access_rules[1:]
    since = register.told("diff", "--from", 1)["changes"]
    assert [item["entry"] for item in since] == [f"access-rule {dossier}", f"permission {REFERENCE}"]
    assert register.told("diff", "--from", 2, "--to", 3)["changes"] == since[:1]
    gone = register("withdraw", "--permission", REFERENCE, "--reason", WHY, by="an")
    assert (gone.exit_code, gone.sentence) == (3, f"refused: there is no permission {REFERENCE}: Nothing would change.")


def test_show_tells_people_what_would_change(register: Register) -> None:
    """`show` names each field that differs, before and after, who wants it and why, and how it ended."""
    number = register.proposed(permission_with("hello"))
    shown = register("show", number).out
    assert f"proposal {number} by an  " in shown
    digest = register.told("show", number)["digest"]
    assert (
        f"  reason  {WHY}\n  digest  {digest[:16]}\n  permission {REFERENCE}  changed\n    remarks  none → hello\n"
        in shown
    )
    assert register("approve", number, "--remark", "Fine.", by="ben").exit_code == 0
    after = register("show", number).out
    assert after.startswith(shown)
    assert after.endswith(", version 2: Fine.\n")
    assert register.told("show", number)["decision"]["version"] == 2
    gone = register.told("withdraw", "--permission", REFERENCE, "--reason", WHY, by="an")["proposal"]
    assert f"  permission {REFERENCE}  withdrawn\n    application_urns  [" in register("show", gone).out
    assert "→" not in register("show", gone).out
    assert "version 2  " in register("log").out


def test_sec_57_an_approval_may_be_of_one_text_alone(register: Register) -> None:
    """With the digest that `show` told, nothing is approved that took its place meanwhile, signed or not (SEC-57)."""
    number = register.proposed(permission_with("hello"))
    digest = register.told("show", number)["digest"]
    refused = register("approve", number, "--digest", "0" * 16, by="ben")
    assert (refused.exit_code, refused.sentence) == (
        3,
        "refused: The proposal is not the one that was looked at: look again.",
    )
    assert register("approve", number, "--digest", digest[:16], by="ben").exit_code == 0


def test_sec_57_operators_come_and_go_by_proposals(register: Register) -> None:
    """A third operator is enrolled by two, may decide from then on, and not after being withdrawn (SEC-57)."""
    enrol = f"operators: [{{name: cleo, public_key: {register.public_key('cleo')}}}]\n"
    assert register("approve", register.proposed(enrol), by="ben").exit_code == 0
    assert register("approve", register.proposed(permission_with("1")), by="cleo").exit_code == 0
    out = register.told("withdraw", "--operator", "cleo", "--reason", WHY, by="an")
    waiting = register.proposed(permission_with("2"), by="cleo")
    assert register("approve", out["proposal"], by="ben").exit_code == 0
    refused = register("approve", waiting, by="ben")
    assert refused.exit_code == 3
    assert "Who proposed it is no operator any more" in refused.sentence
    last = register("withdraw", "--operator", "an", "--reason", WHY, by="ben")
    assert last.exit_code == 3
    assert "fewer than 2 operators of the register would be left" in last.sentence
    assert [item["name"] for item in register.told("at", 2)["operators"]] == ["an", "ben", "cleo"]
    assert "name: cleo" not in register("at", 4).out


def test_sec_57_an_export_is_signed_and_verified(register: Register) -> None:
    """A signed export verifies by what the register knows or by a public key, and not when a byte differs (SEC-57)."""
    file = register.directory / "export.yaml"
    assert register("export", "--output", file, "--signer-key", register.key("ben")).exit_code == 0
    assert read_access_rules(file.read_bytes(), origin="x") == RULES
    assert register("verify", file).out.startswith("version 1, signed by ben ")
    alone = ("governance", "verify", file, "--public-key")
    assert register.command(*alone, register.public_key("ben")).exit_code == 0
    assert register.command(*alone, register.public_key("an")).exit_code == 3
    file.write_bytes(file.read_bytes().replace(b"version: 1", b"version: 2"))
    for result in (register("verify", file), register.command(*alone, register.public_key("ben"))):
        assert (result.exit_code, result.sentence) == (3, "The file is not what was signed, or not by this key.")
    stranger = register("export", "--output", file, "--signer-key", register.key("stranger"))
    assert (stranger.exit_code, stranger.sentence) == (2, "the key is no operator's at version 1")


def test_sec_77_a_private_key_is_its_owners_alone(register: Register) -> None:
    """A key is made for its owner alone, never overwritten, and not used when others may read it (SEC-77, SEC-78)."""
    key = register.key("an")
    assert key.stat().st_mode & 0o777 == 0o600
    assert "no key is overwritten" in register.command("operator-key", "make", key).sentence
    key.chmod(0o640)
    file = register.file("p.yaml", permission_with("x"))
    result = register("propose", file, "--reason", WHY, by="an")
    assert result.exit_code == 2
    assert "is not its owner's alone" in result.sentence


def test_sec_77_a_key_may_have_a_passphrase(blank: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encrypted key is used with its passphrase and with no other (SEC-77)."""
    said = iter(["one", "one", "one", "two", "a", "b"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(said))
    file = blank.directory / "secret.pem"
    made = blank.command("operator-key", "make", file, "--passphrase")
    assert b"ENCRYPTED" in file.read_bytes()
    assert blank.command("operator-key", "public", file).out == made.out
    assert "its passphrase is another" in blank.command("operator-key", "public", file).sentence
    other = blank.directory / "other.pem"
    assert blank.command("operator-key", "make", other, "--passphrase").sentence == "the two passphrases differ"
    assert not other.exists()


WRONG: list[tuple[Callable[[Register], tuple[object, ...]], str]] = [
    (lambda r: ("propose", r.file("x.yaml", "permissions: [{reference: R}]"), "--reason", WHY), "permissions[0]"),
    (lambda r: ("propose", r.file("x.yaml", "permision: []"), "--reason", WHY), "permision"),
    (
        lambda r: ("propose", r.file("x.yaml", permission_with("x")), "--reason", " "),
        "one line of printable characters",
    ),
    (lambda r: ("propose", r.file("x.yaml", permission_with("x")), "--reason", "x" * 1001), "length <= 1000"),
    (
        lambda r: ("propose", r.file("x.yaml", f"{permission_with('x')}withdraw: {{permissions: [{REFERENCE}]}}")),
        "--reason",
    ),
    (lambda r: ("withdraw", "--reason", WHY), "name what is withdrawn"),
    (lambda r: ("diff",), "give a file, or --from"),
    (lambda r: ("export", "--signer-key", "x.pem"), "give --output"),
    (lambda r: ("verify", r.file("x.yaml", ""), "--signature", r.file("x.sig", "{}")), "no signature of an export"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_meant_is_refused_in_words(
    register: Register, arguments: Callable[[Register], tuple[object, ...]], sentence: str
) -> None:
    """A file or an argument that is wrong ends the command with status 2, and it says what."""
    given = arguments(register)
    result = register(*given, by="an" if given[0] in ("propose", "withdraw") else None)
    assert result.exit_code == 2
    assert sentence in " ".join(result.err.split())
    assert len(StoredRecord(register.database).read()) == 1


@pytest.mark.parametrize(
    "arguments", [("show", 9), ("approve", 9), ("at", 9), ("export", "--version", 9), ("pending",)]
)
def test_what_is_not_there_is_status_1(register: Register, arguments: tuple[object, ...]) -> None:
    """A proposal or version that is not there, and nothing that waits, is "nothing found" (decision 6)."""
    result = register(*arguments, by="an" if arguments[0] == "approve" else None)
    assert (result.exit_code, result.out) == (1, "")
    assert result.sentence


def test_settings_name_one_source_of_rules(register: Register) -> None:
    """Rules are in a file or in the database: both, or neither, is refused in one sentence."""
    text = register.settings.read_text()
    register.settings.write_text(f'access_rules = "rules.yaml"\n{text}')
    assert "name access_rules or [governance]" in register("log").sentence
    register.settings.write_text(text.partition("[governance]")[0])
    assert "name access_rules or [governance]" in register("log").sentence
    register.settings.write_text(f'access_rules = "rules.yaml"\n{text.partition("[governance]")[0]}')
    assert "has the access rules in a file" in register("log").sentence


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE governance_proposal SET content = replace(content, 'agreed', 'greedy')", "approved is another text"),
        ("UPDATE governance_decision SET signature = decode(repeat('00', 64), 'hex') WHERE version = 2", "not signed"),
        ("DELETE FROM governance_decision WHERE version = 1", "version 1 is missing"),
    ],
)
def test_sec_57_a_record_that_was_tampered_with_is_refused(register: Register, tampering: str, found: str) -> None:
    """A row changed or removed behind the program's back is found by `verify`, and no service starts on it (SEC-57)."""
    assert register("approve", register.proposed(permission_with("agreed")), by="ben").exit_code == 0
    with psycopg.connect(register.database) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # without the triggers and keys
        connection.execute(tampering)
    result = register("verify")
    assert result.exit_code == 3
    assert found in result.out
    assert register("export").exit_code == 2
    assert register("propose", register.file("p.yaml", permission_with("z")), "--reason", WHY, by="an").exit_code == 2


def test_an_export_of_a_tenant_has_nothing_of_others(register: Register) -> None:
    """`--tenant` leaves out what is not that tenant's: of one that is not there, everything."""
    text = register("export", "--tenant", "nobody").out.encode()
    assert read_access_rules(text, origin="x") == AccessRules(version=1, access_rules=(), permissions=())
    assert register("export", "--tenant", "default").out.encode() == write_access_rules(RULES)
