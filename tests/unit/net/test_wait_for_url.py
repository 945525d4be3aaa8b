"""Tests of the wait for a URL on real sockets."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net import threads, total_timeout
from autonoma_ci.net.wait_for_url import UrlNotReady, wait_for_url
from autonoma_ci.redaction.redactor import NO_SECRETS, Redactor
from tests.support.fault_server import Connection, FaultServer, RequestHandler
from tests.support.faults import close, delay, hang, make_head, reset, send_response, send_slowly

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import CertificateAuthority


class UrlWait:
    """One wait with its log lines and its result. Its time passes only in its pauses."""

    def __init__(
        self, url: str, seconds: float = 20.0, redactor: Redactor = NO_SECRETS, *, same_host_only: bool = False
    ) -> None:
        self.lines: list[str] = []
        self._time = 0.0
        result = wait_for_url(
            url,
            seconds,
            lambda: self._time,
            self._pause,
            self.lines.append,
            redactor,
            same_host_only=same_host_only,
        )
        self.reason, self.hint = result or ("", "")

    def _pause(self, seconds: float) -> None:
        self._time += seconds


def test_redirect_hides_secret_value() -> None:
    """A secret value is removed from the redirect but not from the given URL."""
    with FaultServer(redirect_to("ftp://user:pw@example.com/ab\u200bcd1234/x?y".encode().decode("latin-1"))) as server:
        reason = UrlWait(f"{server.url}/abcd1234", redactor=Redactor(["abcd1234"])).reason
    assert reason.startswith(f"{server.url}/abcd1234 was not ready within 20 s: HTTP 302: insecure redirect to ftp://")
    assert reason.endswith("example.com/***/x")


@pytest.mark.parametrize("login", ["user:s3cret", "user:s3/cret", "user:s3?cret", "s3cret@"])
def test_redirect_hides_login(login: str) -> None:
    """Scheme, host, port and path are shown."""
    with FaultServer(redirect_to(f"ftp://{login}@example.com:8021/path?y")) as server:
        reason = UrlWait(server.url).reason
    assert reason.endswith("HTTP 302: insecure redirect to ftp://example.com:8021/path")


def test_latin_1_redirect_hides_secret_value() -> None:
    """A value in Latin-1 is redacted like one in UTF-8."""
    with FaultServer(redirect_to("ftp://example.com/pässwörd-xk7q")) as server:
        reason = UrlWait(server.url, redactor=Redactor(["pässwörd-xk7q"])).reason
    assert reason.endswith("insecure redirect to ftp://example.com/***")


def serve_in_turn(*handlers: RequestHandler) -> RequestHandler:
    """Handle each request with the next handler. The last one repeats."""
    remaining = list(handlers)

    def handler(connection: Connection) -> bool:
        return (remaining.pop(0) if len(remaining) > 1 else remaining[0])(connection)

    return handler


def redirect_to(location: str, status: int = 302) -> RequestHandler:
    return send_response(status, "", f"Location: {location}")


@pytest.mark.parametrize("status", [200, 204, 301, 304, 399])
def test_url_below_400_is_ready(status: int) -> None:
    """Each status below 400 means that the URL is ready."""
    with FaultServer(send_response(status)) as server:
        url_wait = UrlWait(f"{server.url}/a/b/c")
    assert (url_wait.reason, url_wait.lines) == ("", [])


@pytest.mark.parametrize(
    "failing_handler", [send_response(404), send_response(503), close, reset], ids=["404", "503", "close", "reset"]
)
def test_url_ready_at_third_try_succeeds(failing_handler: RequestHandler) -> None:
    """The wait continues until the third request succeeds."""
    with FaultServer(serve_in_turn(failing_handler, failing_handler, send_response(200))) as server:
        url_wait = UrlWait(f"{server.url}/a/b/c", 60)
    assert url_wait.reason == ""
    assert len(url_wait.lines) == 1
    assert url_wait.lines[0].startswith(f"Waiting for {server.url}/a/b/c, up to ")


@pytest.mark.parametrize(
    ("failing_handler", "reason"),
    [
        (send_response(404), "HTTP 404"),
        (send_response(500), "HTTP 500"),
        (close, "ended before the response"),
    ],
)
def test_timeout_reports_last_response(failing_handler: RequestHandler, reason: str) -> None:
    """The error after the wait contains the last response."""
    with FaultServer(failing_handler) as server:
        url_wait = UrlWait(f"{server.url}/a/b/c")
    assert "was not ready within 20 s: " in url_wait.reason
    assert reason in url_wait.reason


@pytest.mark.slow
@pytest.mark.parametrize("handler", [hang, send_slowly("HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 500)], ids=["hang", "drip"])
def test_unresponsive_url_times_out(handler: RequestHandler) -> None:
    """An incomplete response does not extend the wait."""
    with FaultServer(handler) as server:
        url, started_at = f"{server.url}/a/b/c", time.monotonic()
        result = wait_for_url(url, 1.5, time.monotonic, time.sleep, lambda _: None)
        assert time.monotonic() - started_at < 60
    assert result
    assert "was not ready within 1.5 s: no response in time" in result.reason


def test_refused_connection_is_reported() -> None:
    """A refused connection is reported after the wait."""
    with FaultServer(send_response(200)) as server:
        url = server.url
    url_wait = UrlWait(f"{url}/")
    assert "refused the connection" in url_wait.reason


def test_redirect_to_other_host_is_followed() -> None:
    """A redirect to another host is followed."""
    with (
        FaultServer(send_response(200)) as other_server,
        FaultServer(redirect_to(f"{other_server.url}/x/y/z")) as server,
    ):
        assert UrlWait(f"{server.url}/a/b/c").reason == ""
        assert other_server.connection_count == 1


def test_relative_redirect_is_followed() -> None:
    """A relative redirect is followed."""
    with FaultServer(serve_in_turn(redirect_to("/x/y/z"), send_response(200))) as server:
        assert UrlWait(f"{server.url}/a/b/c").reason == ""


@pytest.mark.parametrize(
    ("target", "shown_target"),
    [
        ("http://localhost:1/x?token=t0p", "http://localhost:1/x"),
        ("//evil.test/x", "http://evil.test/x"),
        ("http://127.0.0.1.evil.test/", "http://127.0.0.1.evil.test"),
        ("http://user@127.0.0.1:1/", "http://127.0.0.1:1"),
        ("http://127.0.0.1\\.evil.test/", "http://127.0.0.1\\.evil.test"),
    ],
)
def test_redirect_to_other_host_is_refused(target: str, shown_target: str) -> None:
    """A URL of the manifest can come from an unknown author, so redirects stay on its host."""
    with FaultServer(redirect_to(target)) as server:
        reason = UrlWait(server.url, same_host_only=True).reason
    assert reason.endswith(f": HTTP 302: redirect to another host, {shown_target}")


def test_redirect_on_same_host_is_followed() -> None:
    """Another path and another port are on the same host."""
    with FaultServer(send_response(200)) as other_server:
        handlers = redirect_to("/x"), redirect_to(f"{other_server.url}/y")
        with FaultServer(serve_in_turn(*handlers)) as server:
            assert UrlWait(server.url, same_host_only=True).reason == ""
        assert other_server.connection_count == 1


def test_redirect_loop_is_not_ready() -> None:
    """A redirect loop counts as not ready."""
    with FaultServer(redirect_to("/a/b/c")) as server:
        assert "more than 10 redirects" in UrlWait(f"{server.url}/a/b/c").reason


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_redirect_to_other_scheme_is_not_ready(target: str) -> None:
    """A redirect to another scheme than HTTP is not followed."""
    with FaultServer(redirect_to(target)) as server:
        assert "insecure redirect to" in UrlWait(f"{server.url}/a/b/c").reason


def test_request_has_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request contains neither credentials nor cookies."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hidden\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    received_headers: list[dict[str, str]] = []

    def record_headers(connection: Connection) -> bool:
        received_headers.append(dict(connection.request.headers))
        return send_response(404, "", "Set-Cookie: a=b; Path=/")(connection)

    with FaultServer(record_headers) as server:
        UrlWait(f"{server.url}/a/b/c", 5.0)
    assert len(received_headers) > 2
    for headers in received_headers:
        assert not {"authorization", "cookie"} & set(headers)
        assert not any(name.startswith("autonoma") for name in headers)


def test_body_is_not_read() -> None:
    """Only the headers of a response are read."""
    megabytes: list[bool] = []

    def send_all(connection: Connection) -> bool:
        connection.send(make_head(200, "Content-Length: 1073741824").encode())
        while len(megabytes) < 1024 and connection.send(bytes(1024 * 1024)):
            megabytes.append(True)
        return False

    with FaultServer(send_all) as server:
        url_wait = UrlWait(f"{server.url}/a/b/c")
    assert url_wait.reason == ""
    # The socket buffers of both sides hold far less.
    assert len(megabytes) < 100


def test_query_of_url_is_not_shown() -> None:
    """Messages contain the URL without query and fragment."""
    with FaultServer(send_response(503)) as server:
        url_wait = UrlWait(f"{server.url}/a/b/c?token=hidden#hidden")
    assert "hidden" not in url_wait.reason + "".join(url_wait.lines)
    assert f"{server.url}/a/b/c " in url_wait.reason


def test_slow_url_is_ready() -> None:
    """A slow response counts as ready."""
    with FaultServer(delay(0.5, send_response(200))) as server:
        assert UrlWait(f"{server.url}/a/b/c").reason == ""


def test_long_wait_logs_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait of 5 minutes logs about ten lines."""
    current_time = 0.0
    lines: list[str] = []

    def sleep(seconds: float) -> None:
        nonlocal current_time
        current_time += seconds

    monkeypatch.setattr("autonoma_ci.net.wait_for_url._probe", lambda url, seconds, redact: UrlNotReady("HTTP 503"))
    result = wait_for_url("https://shop.test/", 300, lambda: current_time, sleep, lines.append)
    assert result == ("https://shop.test was not ready within 5 min: HTTP 503", "")
    assert 9 <= len(lines) <= 11
    assert 290 < current_time <= 300


@pytest.mark.slow
def test_slow_resolver_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds before any socket exists."""
    release = threading.Event()
    monkeypatch.setattr(
        "autonoma_ci.net.wait_for_url._probe",
        lambda url, seconds, redact: UrlNotReady("late") if release.wait(20) else None,
    )
    result = wait_for_url("https://shop.test/", 0.5, time.monotonic, time.sleep, lambda _: None)
    release.set()
    assert result == ("https://shop.test was not ready within 0.5 s: no response in time", "")


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
        while not server.connection_count and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        started_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=60)
        # The server sends nothing for 45 s.
        assert time.monotonic() - started_at < 30
    assert process.returncode == 143
    assert "Traceback" not in log
    assert "Cancelled before anything was started" in log


def test_pauses_grow_to_limit() -> None:
    """The pauses between the requests grow to five seconds, within the total time."""
    pauses: list[float] = []
    current_time = 0.0

    def sleep(seconds: float) -> None:
        nonlocal current_time
        current_time += seconds
        pauses.append(seconds)

    with FaultServer(send_response(503)) as server:
        result = wait_for_url(server.url, 30.0, lambda: current_time, sleep, lambda _: None)
        assert len(server.received_requests) == len(pauses) + 1
    assert result
    assert pauses == [1.0, 1.5, 2.25, 3.375, 5.0, 5.0, 5.0, 5.0]
    assert current_time < 30.0


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_wait_without_time_has_one_request(seconds: float) -> None:
    """Without time for a pause, one request decides."""
    with FaultServer(serve_in_turn(send_response(503), send_response(200))) as server:
        url_wait = UrlWait(server.url, seconds)
        assert len(server.received_requests) == 1
    assert url_wait.reason.endswith(f"within {seconds} s: HTTP 503")
    assert url_wait.lines == []


def test_slow_name_resolution_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds although no connection exists that could be ended."""

    def time_out(task: object, seconds: float) -> None:
        raise TimeoutError

    monkeypatch.setattr("autonoma_ci.net.wait_for_url.run_in_background", time_out)
    url_wait = UrlWait("https://shop.test/", 1.0)
    assert url_wait.reason == "https://shop.test was not ready within 1.0 s: no response in time"


@pytest.mark.parametrize(("seconds", "limit"), [(20.0, 10.0), (4.0, 4.0), (0.2, 1.0)])
def test_request_has_own_limit(seconds: float, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request has at most ten seconds, and at least one second of a short wait."""
    limits: list[float] = []

    def record_limit(task: object, limit: float) -> None:
        limits.append(limit)

    monkeypatch.setattr("autonoma_ci.net.wait_for_url.run_in_background", record_limit)
    assert UrlWait("https://shop.test/", seconds).reason == ""
    assert limits == [limit]


def test_missing_thread_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread for the timeout, nothing is sent."""

    def fail(work: object, arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    with FaultServer(send_response(200)) as server:
        monkeypatch.setattr(threads, "_idle_threads", deque())
        monkeypatch.setattr(total_timeout, "deadlines", total_timeout.Deadlines())
        monkeypatch.setattr(_thread, "start_new_thread", fail)
        url_wait = UrlWait(server.url, 1.0)
        assert server.connection_count == 0
    assert url_wait.reason.endswith("no thread could be started: the number of processes or the memory is limited")


def test_permanent_error_has_remedy(certificates: CertificateAuthority) -> None:
    """The log and the result have the remedy for an error that a retry does not fix."""
    with FaultServer(send_response(200), tls=certificates.create_expired_context()) as server:
        url = server.url.removesuffix("/api")
        url_wait = UrlWait(url)
    remedy = "Set REQUESTS_CA_BUNDLE to a PEM file"
    assert "cannot be trusted" in url_wait.reason
    assert remedy in url_wait.hint
    assert url_wait.lines[0].startswith(f"Waiting for {url}, up to ")
    assert remedy in url_wait.lines[0]


@pytest.mark.usefixtures("trusted_authority")
def test_trusted_page_is_ready(certificates: CertificateAuthority) -> None:
    """A page with the certificate of a trusted authority is ready."""
    with FaultServer(send_response(200), tls=certificates.create_valid_context()) as server:
        assert UrlWait(server.url).reason == ""


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
@pytest.mark.usefixtures("trusted_authority")
def test_redirect_to_http_is_not_ready(certificates: CertificateAuthority, scheme: str) -> None:
    """A redirect from https to http is not followed, and its query is not shown."""
    target = "http://127.0.0.1:1/next?token=s3cret-value#s3cret-value"
    with FaultServer(redirect_to(target), tls=certificates.create_valid_context()) as server:
        url_wait = UrlWait(server.url.replace("https", scheme))
    assert url_wait.reason.endswith(": HTTP 302: insecure redirect to http://127.0.0.1:1/next")
    assert "s3cret-value" not in "".join(url_wait.lines)


def test_last_redirect_to_other_scheme_is_shown() -> None:
    """The insecure redirect is a better reason than the number of redirects."""
    handlers = [redirect_to(f"/{number}") for number in range(10)]
    with FaultServer(serve_in_turn(*handlers, redirect_to("ftp://shop.test/a"))) as server:
        url_wait = UrlWait(server.url, 0.0)
    assert url_wait.reason.endswith(": HTTP 302: insecure redirect to ftp://shop.test/a")


def test_ten_redirects_are_followed() -> None:
    """The limit is ten redirects."""
    with FaultServer(serve_in_turn(*(redirect_to(f"/{number}") for number in range(10)), send_response(200))) as server:
        assert UrlWait(server.url).reason == ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("?token=s3cret-value", ""),
        ("/#s3cret-value", ""),
        ("/a/?b#c?d", "/a"),
        ("/a@b", "/a@b"),
        ("/" + "x" * 500, "/" + "x" * 100),
    ],
)
def test_shown_url_has_no_secret_part(path: str, expected: str) -> None:
    """Messages have the URL without login, query and fragment, and at most 200 characters of it."""
    with FaultServer(send_response(503)) as server:
        url_wait = UrlWait(f"http://user:s3cret-value@127.0.0.1:{server.port}{path}", 3.0)
    for text in (url_wait.reason, *url_wait.lines):
        assert f"http://127.0.0.1:{server.port}{expected}" in text
        assert "s3cret-value" not in text
        assert "user" not in text
        assert "x" * 200 not in text


@pytest.mark.parametrize("location", ["ftp://shop.test/\x1b[31m::error::x", "ftp://shop.test/" + "x" * 5000])
def test_hostile_redirect_is_harmless(location: str) -> None:
    """The text of a redirect has no control characters and a limited length."""
    with FaultServer(redirect_to(location)) as server:
        url_wait = UrlWait(server.url, 3.0)
    for text in (url_wait.reason, *url_wait.lines):
        assert text.isprintable()
        assert len(text) < 600


@pytest.mark.parametrize("location", ["//[::1", "http://127.0.0.1:99999/", "http://shop.test:port/", "http://:80/"])
def test_invalid_redirect_is_not_ready(location: str) -> None:
    """A location that is no URL is a reason and no error."""
    with FaultServer(redirect_to(location)) as server:
        assert UrlWait(server.url, 3.0).reason.startswith(f"{server.url} was not ready within 3.0 s: ")
