"""Test waiting for a URL on real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net.wait_for_url import UrlNotReady, wait_for_url
from autonoma_ci.redaction.redactor import NO_SECRETS, Redactor
from tests.support.fault_server import Act, FaultServer, Wire
from tests.support.faults import after, answer, close, hang, make_head, reset, send_slowly

if TYPE_CHECKING:
    from pathlib import Path


class Waited:
    """One wait, whose time passes in its pauses alone, and all that it said."""

    def __init__(self, url: str, seconds: float = 20.0, redactor: Redactor = NO_SECRETS) -> None:
        self.told: list[str] = []
        self._now = 0.0
        found = wait_for_url(url, seconds, lambda: self._now, self._pause, self.told.append, redactor)
        self.why = found.reason if found else ""

    def _pause(self, seconds: float) -> None:
        self._now += seconds


def test_redirect_hides_secret_value() -> None:
    """A secret value is removed from the redirect but not from the given URL."""
    with FaultServer(moved("ftp://user:pw@example.com/ab\u200bcd1234/x?y".encode().decode("latin-1"))) as server:
        why = Waited(f"{server.url}/abcd1234", redactor=Redactor(["abcd1234"])).why
    assert why.startswith(f"{server.url}/abcd1234 did not come up within 20 s: HTTP 302, which leads to ftp://")
    assert why.endswith("example.com/***/x: not https any more")


def test_latin_1_redirect_hides_secret_value() -> None:
    """A value in Latin-1 is redacted like one in UTF-8."""
    with FaultServer(moved("ftp://example.com/pässwörd-xk7q")) as server:
        why = Waited(server.url, redactor=Redactor(["pässwörd-xk7q"])).why
    assert "leads to ftp://example.com/***: not https" in why


def turns(*acts: Act) -> Act:
    """Return what deals with one request after the other; the last stays."""
    left = list(acts)

    def act(wire: Wire) -> bool:
        return (left.pop(0) if len(left) > 1 else left[0])(wire)

    return act


def moved(to: str, status: int = 302) -> Act:
    return answer(status, "", f"Location: {to}")


@pytest.mark.parametrize("status", [200, 204, 301, 304, 399])
def test_url_below_400_is_ready(status: int) -> None:
    """Each status below 400 means that the URL is ready."""
    with FaultServer(answer(status)) as server:
        waited = Waited(f"{server.url}/a/b/c")
    assert (waited.why, waited.told) == ("", [])


@pytest.mark.parametrize("down", [answer(404), answer(503), close, reset], ids=["404", "503", "close", "reset"])
def test_url_ready_at_third_try_succeeds(down: Act) -> None:
    """The wait continues until the third request succeeds."""
    with FaultServer(turns(down, down, answer(200))) as server:
        waited = Waited(f"{server.url}/a/b/c", 60)
    assert waited.why == ""
    assert len(waited.told) == 1
    assert waited.told[0].startswith(f"Waiting for {server.url}/a/b/c, up to ")


@pytest.mark.parametrize(
    ("down", "why"),
    [
        (answer(404), "HTTP 404"),
        (answer(500), "HTTP 500"),
        (close, "ended before an answer came"),
    ],
)
def test_timeout_reports_last_response(down: Act, why: str) -> None:
    """The error after the wait contains the last response."""
    with FaultServer(down) as server:
        waited = Waited(f"{server.url}/a/b/c")
    assert "did not come up within 20 s: " in waited.why
    assert why in waited.why


@pytest.mark.slow
@pytest.mark.parametrize("act", [hang, send_slowly("HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 500)], ids=["hang", "drip"])
def test_unresponsive_url_times_out(act: Act) -> None:
    """An incomplete response does not extend the wait."""
    with FaultServer(act) as server:
        url, began = f"{server.url}/a/b/c", time.monotonic()
        found = wait_for_url(url, 1.5, time.monotonic, time.sleep, lambda _: None)
        assert time.monotonic() - began < 60
    assert found
    assert "did not come up within 1.5 s: no answer came in time" in found.reason


def test_refused_connection_is_reported() -> None:
    """A refused connection is reported after the wait."""
    with FaultServer(answer(200)) as server:
        url = server.url
    waited = Waited(f"{url}/")
    assert "refused the connection" in waited.why


def test_redirect_to_other_host_is_followed() -> None:
    """A redirect to another host is followed."""
    with FaultServer(answer(200)) as other, FaultServer(moved(f"{other.url}/x/y/z")) as server:
        assert Waited(f"{server.url}/a/b/c").why == ""
        assert other.connections == 1


def test_relative_redirect_is_followed() -> None:
    """A relative redirect is followed."""
    with FaultServer(turns(moved("/x/y/z"), answer(200))) as server:
        assert Waited(f"{server.url}/a/b/c").why == ""


def test_redirect_loop_is_not_ready() -> None:
    """A redirect loop counts as not ready."""
    with FaultServer(moved("/a/b/c")) as server:
        assert "redirects more than 10 times" in Waited(f"{server.url}/a/b/c").why


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_redirect_to_other_scheme_is_not_ready(target: str) -> None:
    """A redirect to another scheme than HTTP is not followed."""
    with FaultServer(moved(target)) as server:
        assert "not https any more" in Waited(f"{server.url}/a/b/c").why


def test_request_has_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request contains neither credentials nor cookies."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hidden\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[dict[str, str]] = []

    def note(wire: Wire) -> bool:
        seen.append(dict(wire.request.headers))
        return answer(404, "", "Set-Cookie: a=b; Path=/")(wire)

    with FaultServer(note) as server:
        Waited(f"{server.url}/a/b/c", 5.0)
    assert len(seen) > 2
    for headers in seen:
        assert not {"authorization", "cookie"} & set(headers)
        assert not any(name.startswith("autonoma") for name in headers)


def test_body_is_not_read() -> None:
    """Only the headers of a response are read."""
    megabytes: list[bool] = []

    def send_all(wire: Wire) -> bool:
        wire.send(make_head(200, "Content-Length: 1073741824").encode())
        while len(megabytes) < 1024 and wire.send(bytes(1024 * 1024)):
            megabytes.append(True)
        return False

    with FaultServer(send_all) as server:
        waited = Waited(f"{server.url}/a/b/c")
    assert waited.why == ""
    # What the sockets of both sides hold is far less.
    assert len(megabytes) < 100


def test_query_of_url_is_not_shown() -> None:
    """Messages contain the URL without query and fragment."""
    with FaultServer(answer(503)) as server:
        waited = Waited(f"{server.url}/a/b/c?token=hidden#hidden")
    assert "hidden" not in waited.why + "".join(waited.told)
    assert f"{server.url}/a/b/c " in waited.why


def test_slow_url_is_ready() -> None:
    """A slow response counts as ready."""
    with FaultServer(after(0.5, answer(200))) as server:
        assert Waited(f"{server.url}/a/b/c").why == ""


def test_long_wait_logs_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait of 5 minutes logs about ten lines."""
    now = 0.0
    told: list[str] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("autonoma_ci.net.wait_for_url._probe", lambda url, seconds, redact: UrlNotReady("HTTP 503"))
    found = wait_for_url("https://shop.test/", 300, lambda: now, sleep, told.append)
    assert found == ("https://shop.test did not come up within 5 min: HTTP 503", "")
    assert 9 <= len(told) <= 11
    assert 290 < now <= 300


@pytest.mark.slow
def test_slow_resolver_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds before any socket exists."""
    end = threading.Event()
    monkeypatch.setattr(
        "autonoma_ci.net.wait_for_url._probe",
        lambda url, seconds, redact: UrlNotReady("late") if end.wait(20) else None,
    )
    found = wait_for_url("https://shop.test/", 0.5, time.monotonic, time.sleep, lambda _: None)
    end.set()
    assert found == ("https://shop.test did not come up within 0.5 s: no answer came in time", "")


def test_signal_ends_wait() -> None:
    """SIGTERM ends the wait at once."""
    with FaultServer(hang) as server:
        environ = {
            "PATH": os.environ["PATH"],
            "AUTONOMA_CLIENT_ID": "id",
            "AUTONOMA_CLIENT_SECRET": "secret",
            "AUTONOMA_API_URL": server.url,
            "AUTONOMA_TEST_IDS": "a",
            "AUTONOMA_WAIT_FOR_URL": f"{server.url}/a/b/c",
        }
        command = [sys.executable, "-c", "from autonoma_ci.cli import main; main()"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        until = time.monotonic() + 60
        while not server.connections and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=60)
        # The server says nothing for 45 s, so whoever waits for it is later.
        assert time.monotonic() - began < 30
    assert process.returncode == 143
    assert "Traceback" not in log
    assert "Cancelled before anything was started" in log
