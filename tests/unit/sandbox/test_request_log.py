"""Requests that the sandbox logs and lists, without secret values."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.sandbox import RecordedRequest, Sandbox
from autonoma_ci.sandbox.request_log import sanitize
from tests.support.sandbox_client import CREDENTIALS, SandboxClient

VALUE = "value-nobody-may-see"


def test_log_line_has_names_and_status(caller: SandboxClient, log: list[str]) -> None:
    """A line has method, path, status, source and names of variables."""
    caller.request_start("abc", source="gitlab", runtime_metadata={"USER": VALUE, "LOCALE": "en"})
    caller.get("/folder", limit=3)
    assert log == ["POST /api/test/abc/run 200 source=gitlab variables=USER,LOCALE", "GET /api/folder?limit=3 200"]


def test_values_and_credentials_are_hidden(caller: SandboxClient, sandbox: Sandbox, log: list[str]) -> None:
    """Log, repr, page and list show no value and no credential."""
    run_id = caller.start_test("abc", runtime_metadata={"USER": VALUE})
    caller.request_start("abc", runtime_metadata={"USER": [VALUE]})
    caller.request_start("abc", unknown=VALUE)
    page = caller.session.get(f"{caller.origin}/run/{run_id}", timeout=60).text
    listed = caller.session.get(f"{caller.origin}/received", timeout=60).text
    shown = "\n".join([*log, repr(sandbox.received), page, listed])
    assert shown.count("USER") >= 4
    for hidden in (VALUE, *CREDENTIALS.values()):
        assert hidden not in shown


def test_received_requests_have_all_fields(caller: SandboxClient, sandbox: Sandbox) -> None:
    caller.request_start("abc", runtime_metadata={"A": "1"})
    (received,) = sandbox.received
    assert received.headers["autonoma-client-id"] == CREDENTIALS["autonoma-client-id"]
    assert received.body == {"id": "abc", "runtime_metadata": {"A": "1"}}
    assert (received.method, received.path, received.status) == ("POST", "/api/test/abc/run", 200)


def test_received_is_snapshot(caller: SandboxClient, sandbox: Sandbox) -> None:
    before = sandbox.received
    caller.get("/folder")
    assert before == []
    assert len(sandbox.received) == 1


def test_request_list_needs_no_credentials(caller: SandboxClient) -> None:
    """The list at /received is JSON and needs no credentials."""
    caller.request_start("abc", source="jenkins", runtime_metadata={"A": "1"})
    caller.session.headers.clear()
    assert caller.session.get(f"{caller.origin}/received", timeout=60).json() == [
        {"method": "POST", "path": "/api/test/abc/run", "status": 200, "source": "jenkins", "variables": ["A"]}
    ]


def test_starts_are_counted_with_any_status(caller: SandboxClient, sandbox: Sandbox) -> None:
    """Each request that starts an id counts, also one with an error."""
    caller.request_start("abc")
    caller.request_start("abc", runtime_metadata={"A": 1})
    caller.request_start("abc", kind="tag")
    caller.get("/test/abc/run")
    assert sandbox.count_starts("abc") == 3
    assert sandbox.count_starts("ab") == 0


def test_log_can_read_received_requests() -> None:
    """The log callback can list the received requests without a deadlock."""
    counts = []
    with Sandbox(log=lambda _: counts.append(len(sandbox.received))) as sandbox, SandboxClient(sandbox) as caller:
        caller.get("/folder")
    assert counts == [1]


@settings(deadline=None)
@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_log_line_is_short_and_printable(path: str, source: str, variables: dict[str, str]) -> None:
    """No request can add a line or a command of a CI system."""
    body = {"source": source, "runtime_metadata": variables}
    line = RecordedRequest("POST", path, {}, body, 200).line()
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert "##[" not in line
    assert line.startswith("POST ")


def test_log_text_is_sanitized() -> None:
    """Control characters, commands of GitHub's runner and long texts are made harmless."""
    assert sanitize("a\x1b[31m\r\n##[error]x\u2028\u202e") == "a?[31m??##?error]x??"
    assert len(sanitize("x" * 10_000)) == 201
