"""Requests that the sandbox logs and lists, without secret values."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.sandbox import RecordedRequest, Sandbox
from autonoma_ci.sandbox.request_log import sanitize
from tests.support.sandbox_client import CREDENTIALS, SandboxClient

SECRET_VALUE = "value-nobody-may-see"


def test_log_line_has_names_and_status(client: SandboxClient, log: list[str]) -> None:
    """A line has method, path, status, source and names of variables."""
    client.request_start("abc", source="gitlab", runtime_metadata={"USER": SECRET_VALUE, "LOCALE": "en"})
    client.get("/folder", limit=3)
    assert log == ["POST /api/test/abc/run 200 source=gitlab variables=USER,LOCALE", "GET /api/folder?limit=3 200"]


def test_values_and_credentials_are_hidden(client: SandboxClient, sandbox: Sandbox, log: list[str]) -> None:
    """Log, repr, page and list show no value and no credential."""
    run_id = client.start_test("abc", runtime_metadata={"USER": SECRET_VALUE})
    client.request_start("abc", runtime_metadata={"USER": [SECRET_VALUE]})
    client.request_start("abc", unknown=SECRET_VALUE)
    page = client.session.get(f"{client.origin}/run/{run_id}", timeout=60).text
    request_list = client.session.get(f"{client.origin}/received", timeout=60).text
    output = "\n".join([*log, repr(sandbox.received), page, request_list])
    assert output.count("USER") >= 4
    for secret_value in (SECRET_VALUE, *CREDENTIALS.values()):
        assert secret_value not in output


def test_received_requests_have_all_fields(client: SandboxClient, sandbox: Sandbox) -> None:
    """A received request has its method, path, status, headers and body."""
    client.request_start("abc", runtime_metadata={"A": "1"})
    (received_request,) = sandbox.received
    assert received_request.headers["autonoma-client-id"] == CREDENTIALS["autonoma-client-id"]
    assert received_request.body == {"id": "abc", "runtime_metadata": {"A": "1"}}
    assert (received_request.method, received_request.path, received_request.status) == (
        "POST",
        "/api/test/abc/run",
        200,
    )


def test_received_is_snapshot(client: SandboxClient, sandbox: Sandbox) -> None:
    """A list of received requests does not grow with later requests."""
    snapshot = sandbox.received
    client.get("/folder")
    assert snapshot == []
    assert len(sandbox.received) == 1


def test_request_list_needs_no_credentials(client: SandboxClient) -> None:
    """The list at /received is JSON and needs no credentials."""
    client.request_start("abc", source="jenkins", runtime_metadata={"A": "1"})
    client.session.headers.clear()
    assert client.session.get(f"{client.origin}/received", timeout=60).json() == [
        {"method": "POST", "path": "/api/test/abc/run", "status": 200, "source": "jenkins", "variables": ["A"]}
    ]


def test_starts_are_counted_with_any_status(client: SandboxClient, sandbox: Sandbox) -> None:
    """Each start request for an id counts, even if it is refused."""
    client.request_start("abc")
    client.request_start("abc", runtime_metadata={"A": 1})
    client.request_start("abc", kind="tag")
    client.get("/test/abc/run")
    assert sandbox.count_starts("abc") == 3
    assert sandbox.count_starts("ab") == 0


def test_log_can_read_received_requests() -> None:
    """The log callback can list the received requests without a deadlock."""
    counts = []
    with Sandbox(log=lambda _: counts.append(len(sandbox.received))) as sandbox, SandboxClient(sandbox) as client:
        client.get("/folder")
    assert counts == [1]


@settings(deadline=None)
@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_log_line_is_short_and_printable(path: str, source: str, variables: dict[str, str]) -> None:
    """No request can add a line or a CI command to the log."""
    body = {"source": source, "runtime_metadata": variables}
    line = RecordedRequest("POST", path, {}, body, 200).line()
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert "##[" not in line
    assert line.startswith("POST ")


def test_log_text_is_sanitized() -> None:
    """Control characters and commands are replaced, and long texts are shortened."""
    assert sanitize("a\x1b[31m\r\n##[error]x\u2028\u202e") == "a?[31m??##?error]x??"
    assert len(sanitize("x" * 10_000)) == 201
