"""Migrations lead to schema.sql, once, whoever else migrates (architecture.md, Data)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import resources

import psycopg
import pytest

from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.domain.phonetics import phonetic_key
from cbss_inscription.storage import migration
from cbss_inscription.storage.chain import link_records
from cbss_inscription.storage.migration import Migration, check_schema, make_phonetic_keys, migrate, migrations

MakeDatabase = Callable[[str], str]

CATALOGS = {
    "relations": "SELECT relname, relkind, relpersistence FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    "columns": "SELECT relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,"
    " attgenerated, attcollation::regcollation::text, pg_get_expr(adbin, adrelid) FROM pg_attribute"
    " JOIN pg_class ON pg_class.oid = attrelid"
    " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
    " WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped",
    "constraints": "SELECT conrelid::regclass::text, conname, contype, convalidated, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "functions": "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace",
    "triggers": "SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(pg_trigger.oid)"
    " FROM pg_trigger WHERE NOT tgisinternal",
    "types": "SELECT typname, typtype FROM pg_type WHERE typnamespace = 'public'::regnamespace",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
}


def catalogs(conninfo: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(conninfo) as connection:
        return {name: sorted(connection.execute(query), key=repr) for name, query in CATALOGS.items()}


def applied(conninfo: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT version, name FROM schema_migration ORDER BY version").fetchall()


@pytest.fixture(scope="module")
def migrated(make_database: MakeDatabase) -> str:
    conninfo = make_database("template0")
    assert migrate(conninfo) == migrations()
    return conninfo


def test_the_migrations_lead_to_schema_sql(migrated: str, make_database: MakeDatabase) -> None:
    """A database that was migrated and one made by schema.sql have the same catalogs, to the last default."""
    from_schema = make_database("template0")
    schema = resources.files("cbss_inscription.storage").joinpath("schema.sql").read_text(encoding="utf-8")
    with psycopg.connect(from_schema) as connection:
        connection.execute(schema)
    of_schema, of_migrations = catalogs(from_schema), catalogs(migrated)
    for kind in ("relations", "columns", "constraints", "indexes", "functions", "triggers"):
        assert of_schema[kind] != []
    assert of_migrations == of_schema


def test_migrations_are_numbered_without_gaps() -> None:
    """The files are numbered from one on, and each has a name and SQL."""
    found = migrations()
    assert [item.version for item in found] == list(range(1, len(found) + 1))
    assert all(item.name and item.sql.strip() for item in found)


def test_migrating_again_changes_nothing(migrated: str) -> None:
    """A second `migrate` applies nothing and leaves every catalog as it was; what is applied is recorded once."""
    before = catalogs(migrated)
    assert migrate(migrated) == ()
    assert catalogs(migrated) == before
    assert applied(migrated) == [(item.version, item.name) for item in migrations()]
    check_schema(migrated)


def test_processes_that_migrate_at_once_wait_for_each_other(make_database: MakeDatabase) -> None:
    """Of three processes that migrate one empty database at once, one applies the migrations and none fails."""
    conninfo = make_database("template0")
    program = (
        "import sys; from cbss_inscription.storage.migration import migrate;"
        " sys.stdin.readline(); print(len(migrate(sys.argv[1])))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, conninfo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(counts) == [0, 0, len(migrations())]
    assert applied(conninfo) == [(item.version, item.name) for item in migrations()]


@pytest.mark.parametrize("step", [migrate, check_schema])
def test_a_newer_database_is_refused(fresh_database: str, step: Callable[[str], object]) -> None:
    """A database of a later program is left as it is: one sentence names both versions."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute("INSERT INTO schema_migration (version, name) VALUES (9999, 'of_tomorrow')")
    before = catalogs(fresh_database)
    with pytest.raises(UsageError, match=rf"version 9999, this program knows {len(migrations())}"):
        step(fresh_database)
    assert catalogs(fresh_database) == before


def test_a_database_without_the_schema_is_told_what_it_lacks(make_database: MakeDatabase) -> None:
    """A check of an empty database names how many migrations are missing, and applies none."""
    conninfo = make_database("template0")
    with pytest.raises(UsageError, match=f"lacks {len(migrations())} migrations"):
        check_schema(conninfo)
    assert catalogs(conninfo)["relations"] == []


def test_an_old_server_is_refused(migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server older than the schema needs is refused in a sentence that names both versions."""
    monkeypatch.setattr(migration, "SERVER_VERSION_MIN", 99)
    with pytest.raises(UsageError, match=r"PostgreSQL \d+ is too old: 99 or later is needed"):
        migrate(migrated)


def test_a_migration_that_fails_leaves_nothing(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations are applied together or not at all: a failure leaves the database as it was, for another try."""
    conninfo, true = make_database("template0"), migrations()
    broken = Migration(version=len(true) + 1, name="broken", sql="CREATE TABLE half (done integer); SELECT 1 / 0")
    monkeypatch.setattr(migration, "migrations", lambda: (*true, broken))
    with pytest.raises(UsageError, match=r"\Athe database's schema cannot be [^\n]+: division by zero\Z"):
        migrate(conninfo)
    assert catalogs(conninfo)["relations"] == []
    monkeypatch.undo()
    assert migrate(conninfo) == true


def test_a_database_that_cannot_be_reached_is_a_usage_error(migrated: str) -> None:
    """No such database: one sentence of one line."""
    conninfo = psycopg.conninfo.make_conninfo(migrated, dbname="nobody_made_this")
    with pytest.raises(TemporarilyUnavailable, match=r"\Athe database cannot be reached: [^\n]+\Z"):
        migrate(conninfo)


def keys_of(conninfo: str) -> dict[str, str | None]:
    with psycopg.connect(conninfo) as connection:
        return dict(connection.execute("SELECT last_name, phonetic_key FROM person").fetchall())


def hold_files_without_keys(conninfo: str, count: int) -> None:
    """Files as they were before migration 0002, the first number and a great one among them."""
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            "INSERT INTO person (ssin, register, status, last_name, given_names, gender_code)"
            " SELECT 1000000000::bigint * i + 1, 'nr', 'active', 'Van den Berghe ' || chr(64 + i), '{}', 0"
            " FROM generate_series(1, %s) AS i",
            (count,),
        )


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_rule_22_files_of_a_former_version_get_their_phonetic_keys(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """A database at version 1 gets the phonetic keys of all its persons, in batches, and it is said how many."""
    conninfo = make_database("template0")
    with psycopg.connect(conninfo) as connection:
        connection.execute(migrations()[0].sql)
        connection.execute("INSERT INTO schema_migration (version, name) VALUES (1, 'initial')")
    hold_files_without_keys(conninfo, count)
    monkeypatch.setattr(migration, "KEYS_MADE_AT_ONCE", 3)
    assert migrate(conninfo) == migrations()[1:]
    assert make_phonetic_keys(conninfo) == count
    keys = keys_of(conninfo)
    assert keys == {name: phonetic_key(name) for name in keys}
    assert len(keys) == count
    assert make_phonetic_keys(conninfo) == 0
    check_schema(conninfo)


def test_rule_22_phonetic_keys_that_are_there_are_left(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only missing keys are made, wherever they stand among others."""
    hold_files_without_keys(fresh_database, 8)
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE person SET phonetic_key = 'KEPT' WHERE ssin / 1000000000 IN (1, 4, 5, 6)")
    monkeypatch.setattr(migration, "KEYS_MADE_AT_ONCE", 2)
    assert make_phonetic_keys(fresh_database) == 4
    kept = [name for name, key in keys_of(fresh_database).items() if key == "KEPT"]
    assert sorted(name[-1] for name in kept) == ["A", "D", "E", "F"]


def test_sec_75_a_journal_of_a_former_version_gets_room_for_chunks(make_database: MakeDatabase) -> None:
    """Each month of a journal at version 8 gets its partition of chunks, records stay as they are, and the month leaves
    with all of it (SEC-75).
    """
    conninfo = make_database("template0")
    with psycopg.connect(conninfo) as connection:
        for former in migrations()[:8]:
            connection.execute(former.sql)
            connection.execute("INSERT INTO schema_migration VALUES (%s, %s)", (former.version, former.name))
        connection.execute("SELECT make_audit_month('2026-03-01'), make_audit_month('2026-04-01')")
        connection.execute(
            "INSERT INTO audit_record (received_at, ticket_cbss, content)"
            " VALUES ('2026-03-05', gen_random_uuid(), '{}'), ('2026-05-05', gen_random_uuid(), '{}')"
        )
        before = connection.execute("SELECT * FROM audit_record ORDER BY record_number").fetchall()
    assert migrate(conninfo) == migrations()[8:]
    with psycopg.connect(conninfo, autocommit=True) as connection:
        assert connection.execute("SELECT * FROM audit_record ORDER BY record_number").fetchall() == before
        connection.execute("SELECT make_audit_month('2026-05-01'), make_audit_month('2026-04-01')")
        tables = connection.execute("SELECT relid::text FROM pg_partition_tree('audit_chunk') WHERE isleaf ORDER BY 1")
        assert [name for (name,) in tables] == ["audit_chunk_2026_03", "audit_chunk_2026_04", "audit_chunk_default"]
        for table in ("audit_chunk_2026_03", "audit_chunk_default"):
            with pytest.raises(psycopg.errors.RaiseException, match="is append-only"):
                connection.execute(f"DELETE FROM {table}")
        assert link_records(connection) == 2
        connection.execute("INSERT INTO audit_archive VALUES ('2026-03-01', 'file', 1, 1, %s, now())", (b"d" * 32,))
        connection.execute("SELECT drop_audit_month('2026-03-01')")
        assert connection.execute("SELECT to_regclass('audit_chunk_2026_03')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM audit_record").fetchone() == (1,)


def test_an_interrupted_making_of_keys_is_taken_up_again(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch is kept: what ends early leaves a database that is not started on, and the rest is made next time."""
    hold_files_without_keys(fresh_database, 7)
    monkeypatch.setattr(migration, "KEYS_MADE_AT_ONCE", 3)

    def failing(name: str) -> str:
        if name.endswith("E"):
            raise KeyboardInterrupt
        return phonetic_key(name)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(migration, "phonetic_key", failing)
        with pytest.raises(KeyboardInterrupt):
            make_phonetic_keys(fresh_database)
    assert sum(key is not None for key in keys_of(fresh_database).values()) == 3
    with pytest.raises(UsageError, match=r"\Apersons have no phonetic key yet: run `cbss-inscription migrate` first\Z"):
        check_schema(fresh_database)
    assert make_phonetic_keys(fresh_database) == 4
    check_schema(fresh_database)


def test_a_failure_to_write_keys_tells_no_name(fresh_database: str) -> None:
    """What the database says of a row that it refuses is not repeated: it would quote the person."""
    hold_files_without_keys(fresh_database, 1)
    with psycopg.connect(fresh_database) as connection:
        connection.execute("ALTER TABLE person ADD CONSTRAINT refused CHECK (phonetic_key IS NULL)")
    with pytest.raises(UsageError, match=r"\Athe phonetic keys cannot be written: CheckViolation\Z") as refused:
        make_phonetic_keys(fresh_database)
    assert refused.value.__cause__ is None
