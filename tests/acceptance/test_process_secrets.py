"""Secrets stay in the processes that need them: no core file, no environment, no repr, no log (SEC-78)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from cbss_inscription.app.settings import read_settings
from cbss_inscription.client.profile import Profile, read_signer
from cbss_inscription.sandbox.pki import Credential
from tests.acceptance.sandbox_processes import family_of, listeners_of
from tests.conftest import RunningSandbox


def _key_lines(sandbox: RunningSandbox) -> set[str]:
    """Every line of base64 of every private key in the sandbox."""
    texts = [path.read_text(encoding="ascii") for path in sandbox.path("pki").glob("*.key.pem")]
    assert len(texts) > 4
    return {line for text in texts for line in text.splitlines() if re.fullmatch(r"[\w+/=]{40,}", line)}


def test_sec_78_no_process_of_a_service_leaves_a_core_file(sandbox: RunningSandbox) -> None:
    """Each listener and worker may leave no core file, and what it may is not to be raised again (SEC-78)."""
    numbers = [process.number for process in listeners_of(family_of(sandbox.directory))]
    assert len(numbers) >= 6  # two listeners with two workers each
    for number in numbers:
        limits = Path(f"/proc/{number}/limits").read_text(encoding="ascii")
        assert re.search(r"^Max core file size +0 +0 +bytes", limits, re.MULTILINE)


def test_sec_78_the_memory_of_a_process_is_not_open_to_its_account() -> None:
    """Afterwards the kernel says that the process may not be dumped, and its children inherit the limit (SEC-78)."""
    script = (
        "import ctypes, resource, subprocess\n"
        "from cbss_inscription.app.memory_dumps import forbid_memory_dumps\n"
        "said = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"  # PR_GET_DUMPABLE
        "before = said()\n"
        "forbid_memory_dumps()\n"
        "child = subprocess.run(['sh', '-c', 'ulimit -Hc'], capture_output=True, text=True).stdout.strip()\n"
        "print(before, said(), *resource.getrlimit(resource.RLIMIT_CORE), child)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "0", "0", "0"]


def test_sec_78_no_environment_and_no_command_line_holds_a_key(sandbox: RunningSandbox) -> None:
    """Neither the first environment nor the command line of any process of a sandbox holds a line of a key (SEC-78)."""
    secrets = _key_lines(sandbox)
    for process in family_of(sandbox.directory):
        told = process.command
        if os.geteuid() == 0:
            told += Path(f"/proc/{process.number}/environ").read_text(encoding="utf-8", errors="replace")
        assert not [secret for secret in secrets if secret in told]
        assert "PRIVATE KEY" not in told
        assert "PGPASSWORD" not in told


def test_sec_78_no_log_of_a_service_holds_a_key(sandbox: RunningSandbox) -> None:
    """What the service logged so far, and what the command printed, holds no line of a key (SEC-78)."""
    told = (sandbox.directory / "facade.log").read_text(encoding="utf-8")
    told += sandbox.directory.with_suffix(".out").read_text(encoding="utf-8")
    assert not [secret for secret in _key_lines(sandbox) if secret in told]
    assert "PRIVATE KEY" not in told


def test_sec_78_no_repr_shows_a_secret(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """Settings with a password, signers and credentials show neither it nor their keys when printed (SEC-78)."""
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'environment = "TST"\npublic_url = "https://portal.example"\ndatabase = "dbname=x password=hunter2"\n'
        'access_rules = "rules.yaml"\n[tls]\ncertificate = "c"\nprivate_key = "k"\n'
        '[trust]\napplication_authorities = "a"\n[audit]\nkeys = "k"\n',
        encoding="utf-8",
    )
    profile = Profile.read(sandbox.profile_path())
    certificate, key = profile.certificate, profile.private_key
    shown = [read_settings(settings), profile, read_signer(certificate, key), Credential.read(certificate, key)]
    for one in shown:
        for text in (repr(one), str(one), f"{one}"):
            assert "hunter2" not in text
            assert "PRIVATE" not in text
            assert not re.search(r"private_key=(?!\w*Path)", text)
