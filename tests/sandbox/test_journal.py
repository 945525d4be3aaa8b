"""What the sandbox tells of the requests: names of variables, never their values nor a credential."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.sandbox import RecordedRequest, Sandbox
from autonoma_ci.sandbox.request_log import sanitize
from tests.sandbox.caller import CREDENTIALS, Caller

VALUE = "value-nobody-may-see"


def test_a_log_line_has_method_path_status_source_and_names(caller: Caller, log: list[str]) -> None:
    caller.start("abc", source="gitlab", runtime_metadata={"USER": VALUE, "LOCALE": "en"})
    caller.get("/folder", limit=3)
    assert log == ["POST /api/test/abc/run 200 source=gitlab variables=USER,LOCALE", "GET /api/folder?limit=3 200"]


def test_no_value_and_no_credential_shows_in_log_repr_page_or_list(
    caller: Caller, sandbox: Sandbox, log: list[str]
) -> None:
    run_id = caller.run("abc", runtime_metadata={"USER": VALUE})
    caller.start("abc", runtime_metadata={"USER": [VALUE]})
    caller.start("abc", unknown=VALUE)
    page = caller.session.get(f"{caller.origin}/run/{run_id}", timeout=60).text
    listed = caller.session.get(f"{caller.origin}/received", timeout=60).text
    shown = "\n".join([*log, repr(sandbox.received), page, listed])
    assert shown.count("USER") >= 4
    for hidden in (VALUE, *CREDENTIALS.values()):
        assert hidden not in shown


def test_received_holds_what_came_in(caller: Caller, sandbox: Sandbox) -> None:
    caller.start("abc", runtime_metadata={"A": "1"})
    (received,) = sandbox.received
    assert received.headers["autonoma-client-id"] == CREDENTIALS["autonoma-client-id"]
    assert received.body == {"id": "abc", "runtime_metadata": {"A": "1"}}
    assert (received.method, received.path, received.status) == ("POST", "/api/test/abc/run", 200)


def test_received_is_a_snapshot(caller: Caller, sandbox: Sandbox) -> None:
    before = sandbox.received
    caller.get("/folder")
    assert before == []
    assert len(sandbox.received) == 1


def test_the_list_over_http_is_json_and_needs_no_credentials(caller: Caller) -> None:
    caller.start("abc", source="jenkins", runtime_metadata={"A": "1"})
    caller.session.headers.clear()
    assert caller.session.get(f"{caller.origin}/received", timeout=60).json() == [
        {"method": "POST", "path": "/api/test/abc/run", "status": 200, "source": "jenkins", "variables": ["A"]}
    ]


def test_starts_counts_every_request_to_run_an_id_whatever_its_answer(caller: Caller, sandbox: Sandbox) -> None:
    caller.start("abc")
    caller.start("abc", runtime_metadata={"A": 1})
    caller.start("abc", kind="tag")
    caller.get("/test/abc/run")
    assert sandbox.count_starts("abc") == 3
    assert sandbox.count_starts("ab") == 0


def test_a_log_may_ask_what_was_received() -> None:
    counts = []
    with Sandbox(log=lambda _: counts.append(len(sandbox.received))) as sandbox, Caller(sandbox) as caller:
        caller.get("/folder")
    assert counts == [1]


@settings(deadline=None)
@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_a_line_is_one_short_printable_line_that_no_runner_obeys(
    path: str, source: str, variables: dict[str, str]
) -> None:
    body = {"source": source, "runtime_metadata": variables}
    line = RecordedRequest("POST", path, {}, body, 200).line()
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert "##[" not in line
    assert line.startswith("POST ")


def test_a_command_of_githubs_runner_and_a_long_text_are_defused() -> None:
    assert sanitize("a\x1b[31m\r\n##[error]x\u2028\u202e") == "a?[31m??##?error]x??"
    assert len(sanitize("x" * 10_000)) == 201
