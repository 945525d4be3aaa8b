"""Tests of the changed files from GitHub's API."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.changes import compare
from autonoma_ci.ci.changes.compare import CompareError, compare_changes
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.ci.rest import http
from autonoma_ci.ci.rest.http import RestLimits
from autonoma_ci.ci.systems.github import SYSTEM
from autonoma_ci.clock import Clock
from autonoma_ci.models import BuildContext, ChangeBase, ComparedFiles
from autonoma_ci.redaction.redactor import Secret
from tests.support.ci_environments import HEAD, MERGE, TARGET
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import close, hang, make_head, send_huge_body, send_response, send_slowly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.fault_server import Connection, ReceivedRequest, RequestHandler

TOKEN = Secret("s3cret-value")
CONTEXT = BuildContext("github", sha=HEAD, branch="feature/cart", change_number="7", repository="acme/shop")
BASE = ChangeBase(branch="main")
CHECKOUT_HINT = "Check out the commits of the change, as with `fetch-depth: 0`."
API_HINT = "Check GITHUB_API_URL, or run the step again later."


def make_comparison(*files: object, **changes: Any) -> dict[str, Any]:
    """Return the body of a response, as GitHub documents it."""
    return {
        "status": "diverged",
        "ahead_by": 1,
        "behind_by": 2,
        "total_commits": 1,
        "base_commit": {"sha": TARGET},
        "merge_base_commit": {"sha": MERGE},
        "commits": [{"sha": HEAD}],
        "files": list(files),
        **changes,
    }


def make_file(name: object = "a.txt", **changes: Any) -> dict[str, Any]:
    """Return a modified file."""
    return {"sha": HEAD, "filename": name, "status": "modified", "patch": "@@ -1 +1 @@", **changes}


def respond(body: object, status: int = 200, *headers: str) -> RequestHandler:
    return send_response(status, body if isinstance(body, str) else json.dumps(body), *headers)


def run_comparison(
    handler: RequestHandler, base: ChangeBase = BASE, context: BuildContext = CONTEXT, clock: Clock | None = None
) -> tuple[ComparedFiles | CompareError, list[ReceivedRequest]]:
    """Compare with a server on loopback, and return the result and the requests."""
    with FaultServer(handler) as server:
        environ = {"GITHUB_API_URL": server.url}
        try:
            return compare_changes(environ, context, base, TOKEN, clock or FakeClock()), server.received_requests
        except CompareError as error:
            return error, server.received_requests


def get_doubt(body: object, base: ChangeBase = BASE, status: int = 200, *headers: str) -> tuple[str, str]:
    """Return reason and remedy of a response without certain files."""
    error, _ = run_comparison(respond(body, status, *headers), base)
    assert isinstance(error, CompareError)
    return error.reason, error.remedy


def test_files_have_all_paths() -> None:
    """A renamed file has both paths, and a path is an exact text."""
    body = make_comparison(
        make_file("services/checkout/a b.ts"),
        make_file('q"\n.txt', status="added"),
        make_file("new/ä.md", status="renamed", previous_filename="old/ä.md"),
        make_file("copy.md", status="copied", previous_filename="source.md"),
        make_file("gone.md", status="removed"),
        make_file("image.png", status="changed"),
    )
    paths = {"services/checkout/a b.ts", 'q"\n.txt', "new/ä.md", "old/ä.md", "copy.md", "source.md", "gone.md"}
    result, requests = run_comparison(respond(body))
    assert result == ComparedFiles(frozenset({*paths, "image.png"}), MERGE)
    assert len(requests) == 1


def test_request_has_three_dots_and_token() -> None:
    """The request follows GitHub's documentation, and asks for one commit because only files are read."""
    _, [request] = run_comparison(respond(make_comparison(make_file())))
    assert f"{request.method} {request.path}" == (f"GET /api/repos/acme/shop/compare/main...{HEAD}?per_page=1&page=1")
    assert request.headers["authorization"] == "Bearer s3cret-value"


@pytest.mark.parametrize(
    ("base", "text"),
    [
        (ChangeBase(branch="release/1.0"), "release%2F1.0"),
        (ChangeBase(branch="fix#7&x=1+%2e/ä"), "fix%237%26x%3D1%2B%252e%2F%C3%A4"),
        (ChangeBase(branch="-x", sha=TARGET), TARGET),
        (ChangeBase(branch="..", sha=TARGET), TARGET),
    ],
)
def test_base_is_quoted_in_path(base: ChangeBase, text: str) -> None:
    """A branch changes no other part of the URL, and a known commit is used instead of it."""
    result, [request] = run_comparison(respond(make_comparison(make_file())), base)
    assert isinstance(result, ComparedFiles)
    assert request.path == f"/api/repos/acme/shop/compare/{text}...{HEAD}?per_page=1&page=1"


@pytest.mark.parametrize(
    "branch",
    [
        *("a..b", "a...b", "..", "/main", "main/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "@", "a@{1}"),
        *("a b", "a?b", "a:b", "mallory:main", "a^", "a~1", "a*", "a[b", "a\\b", "a\nb", "a\x7f", "-a", "refs/heads/x"),
        TARGET,
    ],
)
def test_invalid_branch_sends_nothing(branch: str) -> None:
    """A name that git refuses, or that can be another kind of name, is not compared."""
    error, requests = run_comparison(respond(make_comparison(make_file())), ChangeBase(branch=branch))
    assert isinstance(error, CompareError)
    assert (error.reason, error.remedy, requests) == ("the target branch has an invalid name", CHECKOUT_HINT, [])


@pytest.mark.parametrize(
    ("context", "base", "reason"),
    [
        (CONTEXT._replace(sha=""), BASE, "the commit or the repository of the build is unknown"),
        (CONTEXT._replace(sha=HEAD[:12]), BASE, "the commit or the repository of the build is unknown"),
        (CONTEXT._replace(repository=""), BASE, "the commit or the repository of the build is unknown"),
        (CONTEXT, ChangeBase(), "the default branch is unknown"),
    ],
)
def test_incomplete_build_sends_nothing(context: BuildContext, base: ChangeBase, reason: str) -> None:
    """Without commit, repository or base there is nothing to compare."""
    error, requests = run_comparison(respond(make_comparison(make_file())), base, context)
    assert isinstance(error, CompareError)
    assert (error.reason, error.remedy, requests) == (reason, CHECKOUT_HINT, [])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "GITHUB_API_URL is missing or invalid"),
        ("file:///etc/passwd", "GITHUB_API_URL is missing or invalid"),
        ("https://user@api.github.com", "GITHUB_API_URL is missing or invalid"),
        ("http://git.example.com", "GITHUB_API_URL is plain HTTP (http://git.example.com), but the token needs https"),
    ],
)
def test_token_is_sent_only_to_safe_api(url: str, reason: str) -> None:
    """Plain HTTP to another machine would reveal the token."""
    with pytest.raises(CompareError) as caught:
        compare_changes({"GITHUB_API_URL": url}, CONTEXT, BASE, TOKEN, FakeClock())
    assert caught.value.reason == reason
    assert "heck" in caught.value.remedy


@pytest.mark.parametrize("count", [1, 299])
def test_complete_list_is_used(count: int) -> None:
    """A list below GitHub's limit is complete."""
    result, _ = run_comparison(respond(make_comparison(*(make_file(f"{number}.txt") for number in range(count)))))
    assert isinstance(result, ComparedFiles)
    assert len(result.paths) == count


@pytest.mark.parametrize("count", [300, 301, 3000])
def test_long_list_is_doubt(count: int) -> None:
    """GitHub lists at most 300 files, so more files can be missing."""
    body = make_comparison(*(make_file(f"{number}.txt") for number in range(count)))
    assert get_doubt(body) == ("GitHub's API lists only the first 300 changed files", CHECKOUT_HINT)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": None},
        {"files": {}},
        {"files": "a.txt"},
        {"status": None},
        {"status": "queued"},
        {"status": ["ahead"]},
        {"merge_base_commit": None},
        {"merge_base_commit": {"sha": MERGE[:12]}},
        {"merge_base_commit": {"sha": ["x"]}},
        {"merge_base_commit": {"sha": "0" * 40}},
    ],
)
def test_unexpected_field_is_doubt(changes: dict[str, Any]) -> None:
    """A response without the documented fields has no certain files."""
    reason = ("GitHub's API sent an unexpected response", API_HINT)
    assert get_doubt(make_comparison(make_file(), **changes)) == reason


@pytest.mark.parametrize(
    "body", ["", "<html><title>Log in</title></html>", "[]", "null", "1", "{}", '{"files"', "[" * 50_000]
)
def test_other_body_is_doubt(body: str) -> None:
    """A login page with HTTP 200 is not a comparison."""
    assert get_doubt(body) == ("GitHub's API sent an unexpected response", API_HINT)


@pytest.mark.parametrize("status", ["identical", "behind"])
def test_head_in_base_is_doubt(status: str) -> None:
    """A commit that the base already has was not compared with anything older."""
    assert get_doubt(make_comparison(status=status))[0] == "the base already has the commit of the build"


def test_empty_list_is_doubt() -> None:
    """A build with commits of its own usually changes a file."""
    assert get_doubt(make_comparison()) == ("GitHub's API lists no changed file", CHECKOUT_HINT)


@pytest.mark.parametrize(
    "file",
    [
        None,
        "a.txt",
        {},
        make_file(None),
        make_file(""),
        make_file(["a"]),
        make_file("/etc/passwd"),
        make_file("a\0b"),
        make_file("caf\ufffd.txt"),
        make_file(status="renamed"),
        make_file(status="renamed", previous_filename=""),
        make_file(previous_filename=7),
    ],
)
def test_unexpected_file_is_doubt(file: object) -> None:
    """One path that is not known makes the complete list uncertain."""
    body = make_comparison(make_file(), file)
    assert get_doubt(body) == ("GitHub's API sent an unexpected file name", CHECKOUT_HINT)


@pytest.mark.parametrize(
    ("changes", "is_submodule"),
    [
        ({"patch": f"@@ -1 +1 @@\n-Subproject commit {HEAD}\n+Subproject commit {TARGET}"}, True),
        ({"patch": f"@@ -0,0 +1 @@\n+Subproject commit {TARGET}", "status": "added"}, True),
        ({"patch": f"@@ -1 +1 @@\n-x\n+see Subproject commit {TARGET}"}, False),
        # GitHub omits the text of a large comparison.
        ({"additions": 1, "deletions": 1, "changes": 2}, True),
        ({"additions": 0, "deletions": 1, "changes": 1}, True),
        ({"additions": 2, "deletions": 1, "changes": 3}, False),
        # A binary file, and a file that is only renamed.
        ({"additions": 0, "deletions": 0, "changes": 0}, False),
        ({"additions": [], "deletions": {}, "changes": 2}, False),
    ],
)
def test_submodule_is_marked(changes: dict[str, Any], is_submodule: bool) -> None:
    """The list has only the path of a submodule, and not its changed files."""
    file = {"filename": "libs/sub", "status": "modified", **changes}
    result, _ = run_comparison(respond(make_comparison(make_file(), file)))
    assert isinstance(result, ComparedFiles)
    assert result.paths == {"a.txt", "libs/sub"}
    assert result.submodules == ({"libs/sub"} if is_submodule else set())


def test_base_of_merge_group_is_exact() -> None:
    """The base of a merge group is its parent, and no older commit."""
    base = ChangeBase(branch="main", sha=TARGET, is_exact=True)
    body = make_comparison(make_file(), merge_base_commit={"sha": TARGET})
    assert run_comparison(respond(body), base)[0] == ComparedFiles(frozenset({"a.txt"}), TARGET)
    body = make_comparison(make_file())
    assert get_doubt(body, base) == ("the commit of the build does not contain its base", CHECKOUT_HINT)


def test_other_base_commit_is_doubt() -> None:
    """The response must be about the commit of the request."""
    base = ChangeBase(branch="main", sha=MERGE)
    assert get_doubt(make_comparison(make_file()), base) == ("GitHub's API compared another commit", CHECKOUT_HINT)


@pytest.mark.parametrize(
    ("status", "body", "headers", "reason", "remedy"),
    [
        (404, {"message": "Not Found"}, (), "HTTP 404: Not Found", "Pass ${{ github.token }} with `contents: read`."),
        (
            403,
            {"message": "Resource not accessible by integration"},
            (),
            "HTTP 403: Resource not accessible by integration",
            "The job needs the permission `contents: read`.",
        ),
        (403, "<html>", (), "HTTP 403", "so a proxy or a firewall may have responded"),
        (403, {"message": "API rate limit exceeded"}, ("Retry-After: 3600",), "API rate limit", "fetch-depth: 0"),
        (401, {"message": "Bad credentials"}, (), "HTTP 401: Bad credentials", "github-token is invalid"),
        (500, {"message": "boom"}, (), "(HTTP 500)", API_HINT),
        (301, "", ("Location: https://evil.example/",), "(HTTP 301)", API_HINT),
        (307, "", ("Location: https://evil.example/",), "(HTTP 307)", API_HINT),
        (204, "", (), "unexpected response", API_HINT),
        (422, {"message": "No common ancestor"}, (), "HTTP 422: No common ancestor", API_HINT),
    ],
)
def test_error_status_is_doubt(status: int, body: object, headers: tuple[str, ...], reason: str, remedy: str) -> None:
    """The reason has the status, and the remedy names the permission that is missing."""
    doubt = get_doubt(body, BASE, status, *headers)
    assert reason in doubt[0]
    assert remedy in doubt[1]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_failing_server_gets_two_requests(status: int) -> None:
    """The plan waits for the response, so there is only one retry."""
    error, requests = run_comparison(respond({}, status))
    assert isinstance(error, CompareError)
    assert len(requests) == 2


def test_second_attempt_is_used() -> None:
    """A short failure of the API does not make everything run."""
    handlers = iter([close, respond(make_comparison(make_file()))])

    def handle(connection: Connection) -> bool:
        return next(handlers)(connection)

    result, requests = run_comparison(handle)
    assert isinstance(result, ComparedFiles)
    assert len(requests) == 2


@pytest.mark.parametrize(
    "handler",
    [
        hang,
        send_slowly(f"{make_head(200, 'Content-Length: 90000')}{' ' * 90_000}", 0.01),
        send_slowly("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 9000, 0.01),
    ],
    ids=["no response", "slow body", "slow headers"],
)
def test_slow_response_ends_in_time(handler: RequestHandler, monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests together end at the time limit."""
    limits = RestLimits(total_seconds=0.6, request_seconds=0.4, total_requests=2, attempts=2)
    monkeypatch.setattr(compare, "LIMITS", limits)
    monkeypatch.setattr(http, "_RETRY_DELAY_SECONDS", 0.05)
    started_at = time.monotonic()
    error, _ = run_comparison(handler, clock=Clock())
    assert isinstance(error, CompareError)
    assert time.monotonic() - started_at < 30  # a busy machine is slow, and the slow responses last minutes


def test_limits_are_a_few_seconds() -> None:
    """The plan can wait at most this time and for these requests."""
    assert compare.LIMITS.total_seconds <= 10
    assert compare.LIMITS.total_requests <= 2


def test_huge_body_is_doubt() -> None:
    """A body above the limit of the client is not read to its end."""
    error, _ = run_comparison(send_huge_body(megabytes=200))
    assert isinstance(error, CompareError)
    assert "GitHub's API could not compare the commits" in error.reason


def test_reason_has_no_credential() -> None:
    """A server can repeat the token and send commands."""
    message = "s3cret-value\r\n::error::x\x1b[31m\u202e"
    error, _ = run_comparison(respond({"message": message}, 422))
    assert isinstance(error, CompareError)
    assert "s3cret" not in f"{error.reason}{error.remedy}"
    assert error.reason.isprintable()


def _build_json(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["filename", "status", "previous_filename", "sha", "patch", "files", "merge_base_commit"])
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), _build_json, max_leaves=15)


@given(st.dictionaries(st.sampled_from(sorted(make_comparison())), JSON), st.booleans())
def test_any_response_is_files_or_doubt(changes: Mapping[str, Any], is_exact: bool) -> None:
    """A response of any shape gives certain files or a CompareError."""
    base = ChangeBase(branch="main", sha=TARGET if is_exact else "", is_exact=is_exact)
    try:
        result = compare._parse_comparison(make_comparison(make_file(), **changes), base)
    except CompareError:
        return
    assert result.paths
    assert all(result.paths)


@pytest.mark.parametrize("name", ["gitea", "forgejo", "gitlab", "ci", "cli"])
def test_other_systems_compare_nothing(name: str) -> None:
    """Only GitHub has this API."""
    [rule] = [rule for rule in DETECTION_RULES if rule.name == name]
    assert load_system(rule).compare_support is None


def test_github_compares_with_its_token() -> None:
    """The system names the option of the token, and compares through the API."""
    support = SYSTEM.compare_support
    assert support
    assert support.token_option == "github-token"
    with FaultServer(respond(make_comparison(make_file()))) as server:
        result = support.compare({"GITHUB_API_URL": server.url}, CONTEXT, BASE, TOKEN, FakeClock())
    assert result == ComparedFiles(frozenset({"a.txt"}), MERGE)
