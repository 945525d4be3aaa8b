"""Waiting for a page on real sockets: it comes up or the time is over, and it learns nothing about us."""

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
from tests.support.faults import after, answer, close, dripped, hang, head, reset

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


def test_a_redirect_shows_no_value() -> None:
    """The page may repeat what a test typed into it. The address that was given is shown."""
    with FaultServer(moved("ftp://user:pw@example.com/ab\u200bcd1234/x?y".encode().decode("latin-1"))) as server:
        why = Waited(f"{server.url}/abcd1234", redactor=Redactor(["abcd1234"])).why
    assert why.startswith(f"{server.url}/abcd1234 did not come up within 20 s: HTTP 302, which leads to ftp://")
    assert why.endswith("example.com/***/x: not https any more")


def test_redirect_in_latin_1_shows_no_value() -> None:
    """Replaced letters would leave a value that is not recognized."""
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
def test_a_page_that_answers_below_400_is_up(status: int) -> None:
    with FaultServer(answer(status)) as server:
        waited = Waited(f"{server.url}/a/b/c")
    assert (waited.why, waited.told) == ("", [])


@pytest.mark.parametrize("down", [answer(404), answer(503), close, reset], ids=["404", "503", "close", "reset"])
def test_a_page_that_comes_up_at_the_third_try_is_waited_for(down: Act) -> None:
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
def test_a_page_that_stays_down_ends_the_wait_with_its_last_answer(down: Act, why: str) -> None:
    with FaultServer(down) as server:
        waited = Waited(f"{server.url}/a/b/c")
    assert "did not come up within 20 s: " in waited.why
    assert why in waited.why


@pytest.mark.parametrize("act", [hang, dripped("HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 500)], ids=["hang", "drip"])
def test_a_page_without_an_answer_ends_the_wait_in_time(act: Act) -> None:
    """The first never answers, and the second would take 150 s for it."""
    with FaultServer(act) as server:
        url, began = f"{server.url}/a/b/c", time.monotonic()
        found = wait_for_url(url, 1.5, time.monotonic, time.sleep, lambda _: None)
        assert time.monotonic() - began < 60
    assert found
    assert "did not come up within 1.5 s: no answer came in time" in found.reason


def test_nobody_at_the_door_is_waited_for_too() -> None:
    with FaultServer(answer(200)) as server:
        url = server.url
    waited = Waited(f"{url}/")
    assert "refused the connection" in waited.why


def test_redirects_are_followed_to_other_hosts() -> None:
    with FaultServer(answer(200)) as other, FaultServer(moved(f"{other.url}/x/y/z")) as server:
        assert Waited(f"{server.url}/a/b/c").why == ""
        assert other.connections == 1


def test_a_relative_redirect_is_followed() -> None:
    with FaultServer(turns(moved("/x/y/z"), answer(200))) as server:
        assert Waited(f"{server.url}/a/b/c").why == ""


def test_a_redirect_in_circles_is_not_up() -> None:
    with FaultServer(moved("/a/b/c")) as server:
        assert "redirects more than 10 times" in Waited(f"{server.url}/a/b/c").why


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_leads_to_the_web_only(target: str) -> None:
    with FaultServer(moved(target)) as server:
        assert "not https any more" in Waited(f"{server.url}/a/b/c").why


def test_the_page_gets_no_credentials_and_no_cookies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_body_is_not_read() -> None:
    megabytes: list[bool] = []

    def send_all(wire: Wire) -> bool:
        wire.send(head(200, "Content-Length: 1073741824").encode())
        while len(megabytes) < 1024 and wire.send(bytes(1024 * 1024)):
            megabytes.append(True)
        return False

    with FaultServer(send_all) as server:
        waited = Waited(f"{server.url}/a/b/c")
    assert waited.why == ""
    # What the sockets of both sides hold is far less.
    assert len(megabytes) < 100


def test_what_may_be_secret_in_the_url_is_not_told() -> None:
    with FaultServer(answer(503)) as server:
        waited = Waited(f"{server.url}/a/b/c?token=hidden#hidden")
    assert "hidden" not in waited.why + "".join(waited.told)
    assert f"{server.url}/a/b/c " in waited.why


def test_a_slow_page_is_up_when_it_answers() -> None:
    with FaultServer(after(0.5, answer(200))) as server:
        assert Waited(f"{server.url}/a/b/c").why == ""


def test_a_long_wait_is_told_of_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_name_that_is_not_resolved_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is there yet that could be shut down at the limit."""
    end = threading.Event()
    monkeypatch.setattr(
        "autonoma_ci.net.wait_for_url._probe",
        lambda url, seconds, redact: UrlNotReady("late") if end.wait(20) else None,
    )
    found = wait_for_url("https://shop.test/", 0.5, time.monotonic, time.sleep, lambda _: None)
    end.set()
    assert found == ("https://shop.test did not come up within 0.5 s: no answer came in time", "")


def test_a_signal_ends_the_wait_at_once() -> None:
    """Nothing was started: there is nothing to wind up."""
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
