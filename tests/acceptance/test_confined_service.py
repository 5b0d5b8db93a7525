"""A façade with no more than it needs: no rights, nothing to write on, no network but its own (SEC-79)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from cbss_inscription.app.settings import write_privately
from cbss_inscription.governance.journal import new_audit_keys
from cbss_inscription.sandbox.demonstration import APPLICATIONS
from cbss_inscription.sandbox.pki import Credential, TestPki
from cbss_inscription.sandbox.population import make_population
from tests.acceptance.conftest import PERSONS, SEED, rules_of_tests_yaml
from tests.acceptance.operating import write_settings
from tests.acceptance.sandbox_processes import Process, family_of

CHECKOUT = Path(__file__).parents[2]
UNIT = CHECKOUT / "deploy" / "cbss-inscription.service"
CONFINED = Path(__file__).with_name("confined.py")
PROGRAMS = ("unshare", "setpriv", "nsenter", "mount")
ASK_SECONDS_MAX = 120
PORT, OPERATIONS_PORT = 8443, 9443
"""Nobody else has them: the network is the service's own."""

# What the service runs in: a network of its own with loopback alone, every file system that is there read-only, no
# privilege and none to be had, an account that owns its keys and the database's socket. Where Python or this checkout
# is in root's home, which no other account enters, it sees a home with these two alone.
INSIDE = """
set -eu
account=$1 held=$2 python=$3 checkout=$4 loopback_up=$5
shift 5
"$1" -c "$loopback_up"
mount --make-rprivate /
mount -t tmpfs -o mode=755 held "$held"
hidden=""
for place in "$python" "$checkout"; do
    case $place in /root/*)
        hidden="$hidden $place"
        mkdir -p "$held$place"
        mount --bind "$place" "$held$place"
    esac
done
if [ -n "$hidden" ]; then
    mount -t tmpfs -o mode=755 home /root
    for place in $hidden; do
        mkdir -p "$place"
        mount --bind "$held$place" "$place"
    done
fi
for place in $(awk '$3 != "proc" {print $2}' /proc/self/mounts); do
    mount -o remount,bind,ro "$place" 2>/dev/null || true
done
cd /
exec setpriv --reuid "$account" --regid "$account" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \\
    "$@"
"""
LOOPBACK_UP = """
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
"""
CAN_READ = "import os, sys, cbss_inscription.app.serving; os.execv(sys.executable, [sys.executable, '-c', ''])"
ASK = """
import json, sys, time
import httpx
from cbss_inscription.client import InscriptionClient, Profile
profile, ssin, operations = sys.argv[1:]
for _ in range(600):
    try:
        ready = httpx.get(operations, trust_env=False)
        if ready.status_code == 200:
            break
    except httpx.HTTPError:
        pass
    time.sleep(0.1)
with InscriptionClient(Profile.read(profile)) as client:
    result = client.consult_inscriptions(ssin).result
print(json.dumps({"code": result.status.code, "checks": ready.json()["checks"]}))
"""
"""Waits until it is ready, and consults."""


@dataclass(frozen=True, kw_only=True)
class ConfinedService:
    """A façade behind its walls."""

    process: subprocess.Popen[bytes]
    directory: Path
    account: int
    ssin: str

    @property
    def family(self) -> set[Process]:
        """Its processes."""
        return family_of(self.directory / "settings.toml")

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.directory.with_suffix(".log")).read_text(encoding="utf-8")

    def wait_for_network(self) -> None:
        """Nothing, when it has a network of its own: whoever entered before that would be in ours."""
        ours, deadline = _network_of("self"), time.monotonic() + ASK_SECONDS_MAX
        while _network_of(self.process.pid) == ours:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def run_inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in its network, by root."""
        entered = ["nsenter", "--target", str(self.process.pid), "--net", *command]
        return subprocess.run(entered, capture_output=True, text=True, timeout=ASK_SECONDS_MAX, check=False)


def _network_of(process: int | str) -> Path:
    return Path(f"/proc/{process}/ns/net").readlink()


def _account_of(database: str) -> int:
    """The account that may use the database's socket."""
    return Path(str(psycopg.conninfo.conninfo_to_dict(database)["host"])).stat().st_uid


def _walled(account: int, held: Path, *command: object) -> list[str]:
    """The command line that runs a command of ours in those walls; `held` is an empty directory."""
    places = (held, Path(sys.base_prefix), CHECKOUT)
    arguments = [str(argument) for argument in (account, *places, LOOPBACK_UP, *command)]
    return ["unshare", "--net", "--mount", "--", "sh", "-c", INSIDE, "inside", *arguments]


def _refuse_elsewhere(account: int, held: Path) -> None:
    """Skips, with the reason, where these walls cannot be built."""
    if os.geteuid() != 0:
        pytest.skip("only root makes namespaces and gives up its rights")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} of util-linux")
    unshared = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False)
    if unshared.returncode != 0:
        pytest.skip(f"no namespaces here: {unshared.stderr.strip()}")
    read = subprocess.run(
        _walled(account, held, sys.executable, "-c", CAN_READ), capture_output=True, text=True, check=False
    )
    if read.returncode != 0:
        pytest.skip(f"the account {account} cannot read Python or this checkout: {read.stderr.splitlines()[-1:]}")


@pytest.fixture(scope="module")
def service(
    reachable_directory: Path, pki: TestPki, credentials: dict[str, Credential], populated_database: str
) -> Iterator[ConfinedService]:
    """A façade in a network namespace, on a read-only file system, without rights, that answers."""
    account = _account_of(populated_database)
    held = reachable_directory / "held"
    held.mkdir()
    _refuse_elsewhere(account, held)
    directory = reachable_directory / "confined"
    directory.mkdir(mode=0o755)
    now = datetime.now(UTC)
    (directory / "rules.yaml").write_bytes(rules_of_tests_yaml())
    (directory / "authorities.pem").write_bytes(pki.authorities_pem)
    pki.write_revocation_lists(directory, now=now)
    pki.tls_authority.write(directory / "tls-ca.crt.pem", directory / "tls-ca.key.pem")
    pki.server.write(directory / "server.crt.pem", directory / "server.key.pem")
    write_privately(directory / "audit-keys.toml", new_audit_keys("tests"))
    for key in ("server.key.pem", "audit-keys.toml"):
        os.chown(directory / key, account, -1)
    application = APPLICATIONS[0]
    credentials[application.name].write(directory / "caller.crt.pem", directory / "caller.key.pem")
    write_settings(
        directory,
        database=populated_database,
        port=PORT,
        trust='revocation_lists = ["revocation-lists.pem"]',
        more=f"[operations]\nport = {OPERATIONS_PORT}\ndrain_seconds = 0",
    )
    customer = application.customer_identification
    (directory / "profile.toml").write_text(
        f"""url = "https://localhost:{PORT}/CBSSInscription/v1"
ca = "tls-ca.crt.pem"
certificate = "caller.crt.pem"
private_key = "caller.key.pem"
legal_context = "{application.legal_contexts[0]}"
customer_identification = {{ sector = {customer.sector}, institution = {customer.institution} }}
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "facade", "--settings", directory / "settings.toml"]
    walled = _walled(account, held, sys.executable, CONFINED, UNIT, *command)
    with directory.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(walled, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    confined = ConfinedService(
        process=process,
        directory=directory,
        account=account,
        ssin=make_population(persons=PERSONS, seed=SEED).scenarios["nr_active"].ssin,
    )
    try:
        confined.wait_for_network()
        yield confined
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        for left in confined.family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(left.number, signal.SIGKILL)


def test_sec_79_a_confined_facade_answers_signed_requests(service: ConfinedService) -> None:
    """Without rights, network or a place to write, under the unit's filter, it consults and is ready (SEC-79)."""
    ready = f"http://127.0.0.1:{OPERATIONS_PORT}/health/ready"
    done = service.run_inside(sys.executable, "-c", ASK, str(service.directory / "profile.toml"), service.ssin, ready)
    assert done.returncode == 0, service.log + done.stderr
    told = json.loads(done.stdout)
    assert told["code"] == "MSG00100"
    assert all(check["ok"] for check in told["checks"].values()), told


def test_sec_79_its_processes_have_no_rights(service: ConfinedService) -> None:
    """Each runs as an account of its own, without capabilities, and can get none (SEC-79)."""
    family = service.family
    assert len(family) >= 5  # the supervisor, two listeners, a worker of each
    for process in family:
        status = Path(f"/proc/{process.number}/status").read_text(encoding="ascii")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert set(fields["Uid"].split()) == {str(service.account)}
        assert fields["NoNewPrivs"] == "1"
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapBnd"], 16) == 0
        if shutil.which("systemd-analyze") is not None:
            assert fields["Seccomp"] == "2"


def test_sec_79_its_processes_have_no_network_but_loopback(service: ConfinedService) -> None:
    """There is one interface in its world, and no address beyond it that could be reached (SEC-79)."""
    for process in service.family:
        lines = Path(f"/proc/{process.number}/net/dev").read_text(encoding="ascii").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in lines] == ["lo"]
        assert Path(f"/proc/{process.number}/net/route").read_text(encoding="ascii").count("\n") == 1  # its heading


def test_sec_79_its_processes_have_nothing_to_write_on(service: ConfinedService) -> None:
    """No file system with files is writable for it: not its directory, not the temporary one (SEC-79)."""
    (first, *_) = service.family
    for place in (service.directory, Path("/tmp"), Path("/var/tmp"), Path(sys.prefix)):
        target = ["nsenter", "--target", str(first.number), "--mount", "touch", str(place / "written")]
        done = subprocess.run(target, capture_output=True, text=True, timeout=30, check=False)
        assert "Read-only file system" in done.stderr
    assert not (service.directory / "written").exists()


def test_sec_78_its_account_cannot_read_its_memory(service: ConfinedService) -> None:
    """What /proc tells of a process that serves belongs to root, so that its own account cannot open it (SEC-78)."""
    processes = [process for process in service.family if "spawn_main" not in process.command]
    assert processes
    for process in processes:
        memory = f"/proc/{process.number}/mem"
        assert Path(memory).stat().st_uid == 0
        entered = ["setpriv", "--reuid", str(service.account), "--regid", str(service.account), "--clear-groups"]
        done = subprocess.run([*entered, "cat", memory], capture_output=True, text=True, timeout=30, check=False)
        assert "Permission denied" in done.stderr


def test_sec_79_the_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, and its audit finds the service well confined (SEC-79)."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text), encoding="utf-8")
    verified = subprocess.run([program, "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
    # Exposure times ten: 20 is what systemd calls OK at its strictest.
    audited = subprocess.run(
        [program, "security", "--offline=true", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert audited.returncode == 0, audited.stdout
