"""The listeners of a façade, and the supervisor that looks after them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time

import msgspec
import pytest

from cbss_inscription.app.serving import Listeners, serving
from cbss_inscription.client import CallFailed, InscriptionClient
from cbss_inscription.domain.results import Health
from tests.conftest import RunningSandbox, free_port


def test_a_listener_that_does_not_answer_any_more_is_started_anew(sandbox: RunningSandbox) -> None:
    """A listener that hangs, workers and all, is killed and replaced; one that answers is left alone (SEC-10)."""
    port = free_port()
    text = (sandbox.directory / "settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    settings = sandbox.directory / "hanging.toml"
    settings.write_text(re.sub(r"(?m)^port = \d+", f"port = {port}", text), encoding="utf-8")
    listeners = Listeners(settings, probe_seconds=0.0, silent_seconds_max=0.5)
    listeners.start()
    try:
        first = listeners._processes["tls"]
        assert [listeners.restart_silent() for _ in range(3)] == [(), (), ()]
        os.killpg(first.pid, signal.SIGSTOP)
        for _ in range(50):
            if listeners.restart_silent():
                break
            time.sleep(0.1)
        assert first.returncode == -signal.SIGKILL
        assert not listeners.ended()
        profile = sandbox.profile()
        url = profile.url.replace(re.findall(r":\d+", profile.url)[0], f":{port}")
        with InscriptionClient(msgspec.structs.replace(profile, url=url)) as client:
            for _ in range(100):
                with contextlib.suppress(CallFailed):
                    assert client.health_check().result.health is Health.OK
                    break
                time.sleep(0.1)
            else:
                pytest.fail("the listener that was started anew does not answer")
        assert listeners.restart_silent() == ()
    finally:
        listeners.stop()


def test_what_is_wrong_though_it_serves_is_warned_of(sandbox: RunningSandbox) -> None:
    """Of unseen files of a National Register elsewhere, and of seals without time stamps (SEC-72); else of nothing."""
    text = (sandbox.directory / "settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    text = re.sub(r"(?m)^port = \d+", f"port = {free_port()}", text)
    elsewhere = (
        '\n[national_register]\nurl = "https://localhost:1/x"\nca = "pki/tls-ca.crt.pem"\nlegal_context = "A:B"\n'
        'certificate = "pki/pcsa-web.crt.pem"\nprivate_key = "pki/pcsa-web.key.pem"\n'
        'customer_identification = { cbe_number = "9000000290" }\n'
    )
    settings = sandbox.directory / "warned.toml"
    for content, words in (
        (text, []),
        (text.partition("[audit.t")[0] + elsewhere, ["time stamps", "National Register"]),
    ):
        settings.write_text(content, encoding="utf-8")
        with serving(settings) as listeners:
            assert len(listeners.warnings) == len(words)
            assert all(word in warning for word, warning in zip(words, listeners.warnings, strict=True))
