"""The build context that each CI system reads from its environment."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.ci import env
from autonoma_ci.ci.detection import DETECTION_RULES, DetectionRule, detect, load_system
from autonoma_ci.ci.systems.github import MAX_EVENT_BYTES, GitHubEvent
from autonoma_ci.fs.files import read_whole_file
from autonoma_ci.models import UntrustedSource
from tests.support import ci_environments as environments
from tests.support import github_environments

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext

CASES = (*environments.JOB_CASES, *github_environments.GITHUB_JOB_CASES)
# All variables of the documented environments, so that random values reach code that reads them.
VARIABLE_NAMES = sorted({name for case in CASES for name in case.environ} - {"AUTONOMA_CI"})
HOSTILE_VALUES = (
    *("", " ", "true", "7", "refs/heads/", "refs/pull/7/merge", "https://", "https://[", "https://u:p@h:99999/x"),
    *("javascript:alert(1)", "\ud800", "a\0b", "::error::x", "a\r\n::set-output name=x::y", "9" * 5000, "x" * 100_000),
    *("https://user:hunter2@example.com/a/b", "//", "git@", "\u202egpj", "../..", "/dev/stdin", "%", "\\\\host\\x"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_context_matches_table(case: environments.JobCase, tmp_path: Path) -> None:
    """The context equals that of the table, and the event is that of the environment."""
    environ = case.write_files(tmp_path)
    context = load_system(detect(environ)).build_context(environ)
    assert context._replace(trigger_event="") == case.expected
    if context.ci_name == "github":
        assert context.trigger_event == environ.get("GITHUB_EVENT_NAME", "")


def test_table_covers_every_system_and_change() -> None:
    """Each system has rows with and without a change request, and the table has at least 60 rows."""
    covered_cases = {(case.expected.ci_name, bool(case.expected.change_number)) for case in CASES}
    systems = {row.name for row in DETECTION_RULES} - {"ci", "cli"}
    assert {(name, has_change) for name in systems for has_change in (True, False)} <= covered_cases
    assert len(CASES) >= 60
    assert len({case.id for case in environments.JOB_CASES}) == len(environments.JOB_CASES)


@pytest.mark.slow
@settings(deadline=None)
@given(st.data())
@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_context_from_any_environment_is_valid(row: DetectionRule, data: st.DataObject) -> None:
    """Each field of the context has its format for any values of the variables."""
    values = st.sampled_from(HOSTILE_VALUES) | st.text(st.characters(), max_size=60)
    environ = data.draw(st.dictionaries(st.sampled_from(VARIABLE_NAMES), values, max_size=40))
    _assert_valid(load_system(row).build_context(environ), row.name)


@pytest.mark.parametrize("value", HOSTILE_VALUES)
@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_context_from_hostile_values_is_valid(row: DetectionRule, value: str) -> None:
    """The context is valid if every variable has a hostile value."""
    _assert_valid(load_system(row).build_context(dict.fromkeys(VARIABLE_NAMES, value)), row.name)


def _assert_valid(context: BuildContext, name: str) -> None:
    assert context.ci_name == name
    assert re.fullmatch(r"|[0-9a-f]{40}|[0-9a-f]{64}", context.sha)
    assert re.fullmatch(r"|[1-9][0-9]*", context.change_number, re.ASCII)
    assert re.fullmatch(r"|[0-9]{1,22}", context.build_attempt, re.ASCII)
    assert context.secrets_withheld_from in {None, *UntrustedSource}
    texts = [fact for fact in context if isinstance(fact, str)]
    assert len(texts) == len(context) - 1
    assert all(len(text) <= 4000 and text.isprintable() for text in texts)
    for url in filter(None, (context.build_url, context.deployment_url)):
        assert urlsplit(url).scheme in {"http", "https"}
        assert "@" not in urlsplit(url).netloc
        assert "hunter2" not in urlsplit(url).netloc
    assert "hunter2" not in context.repository


def _build_json(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["number", "head", "sha", "environment_url"])
    return st.lists(inner) | st.dictionaries(keys, inner)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), _build_json, max_leaves=20))
def test_event_of_any_shape_gives_text(value: object) -> None:
    """Each field of an event of any shape is printable text."""
    event = GitHubEvent({"pull_request": value, "deployment_status": value})
    for path in (("pull_request", "number"), ("pull_request", "head", "sha"), ("deployment_status", "environment_url")):
        assert event.text(*path).isprintable()
    assert event.single("pull_request").text("number").isprintable()


@pytest.mark.parametrize("event", ["directory", "pipe", "too large", "not text", "missing", "null in the path"])
def test_event_file_invalid_is_empty(event: str, tmp_path: Path) -> None:
    """An invalid event file counts as empty, and a named pipe without a writer does not block."""
    path = tmp_path / "event.json"
    match event:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "too large":
            path.write_bytes(b'{"pull_request": {"number": 7}}'.ljust(MAX_EVENT_BYTES + 1))
        case "not text":
            path.write_bytes(b"\xff\xfe\xfd\x00")
    path_text = f"{path}\0" if event == "null in the path" else str(path)
    assert GitHubEvent.load({"GITHUB_EVENT_PATH": path_text}).text("pull_request", "number") == ""


def test_event_file_at_size_limit_is_read(tmp_path: Path) -> None:
    """The limit is that of GitHub, so no real event is too large."""
    path = tmp_path / "event.json"
    path.write_bytes(json.dumps({"pull_request": {"number": 7}}).encode().ljust(MAX_EVENT_BYTES))
    assert GitHubEvent.load({"GITHUB_EVENT_PATH": str(path)}).text("pull_request", "number") == "7"


def test_rejected_files_are_closed(tmp_path: Path) -> None:
    """A rejected folder or pipe leaves no open file descriptor."""
    os.mkfifo(tmp_path / "pipe")
    open_count = len(os.listdir("/dev/fd"))  # noqa: PTH208 - the folder lists the open file descriptors of this process
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        assert read_whole_file(str(path), 10) is None
    # A regular file that can be opened but not read.
    assert read_whole_file("/proc/self/mem", 10) is None
    assert len(os.listdir("/dev/fd")) == open_count  # noqa: PTH208


@pytest.mark.parametrize(
    ("text", "owner_and_name"),
    [
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("https://x-access-token:secret@github.com/acme/shop", "acme/shop"),
        ("ssh://git@host.example.com:7999/acme/shop.git/", "acme/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("git@host:/srv/acme/shop", "srv/acme/shop"),
        ("https://gitlab.example.com/group/sub/shop.git", "group/sub/shop"),
        ("acme/shop", "acme/shop"),
        ("shop", ""),
        ("/srv/git/shop.git", ""),
        ("file:///srv/git/shop.git", ""),
        ("https://bot:pa/ss@host/acme/shop", ""),
        ("https://bot:p@ss@host/acme/shop", "acme/shop"),
        ("https://host/acme/shop?token=secret", ""),
        ("https://host/../../etc", ""),
        ("C:\\git\\shop", ""),
    ],
)
def test_repository_has_no_credentials(text: str, owner_and_name: str) -> None:
    """The repository is the path of a clone URL. Text that may not be a clone URL gives none."""
    assert env.first_repository(text) == owner_and_name


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://user:pass@example.com:8443/a?b=c#d", "https://example.com:8443/a?b=c#d"),
        ("HTTP://Example.com", "http://example.com"),
        ("https://[2001:db8::1]:81/x", "https://[2001:db8::1]:81/x"),
        ("https://bücher.example/x", "https://bücher.example/x"),
        ("https://example.com\\@evil.example/", ""),
        ("https://example.com/a b", ""),
        ("https://example.com/\u202e", ""),
        ("https://example.com:port/", ""),
        ("https://exa<mple.com/", ""),
        ("ftp://example.com/", ""),
        ("data:text/html,x", ""),
        ("//example.com/", ""),
        ("https://", ""),
        ("https://example.com/" + "x" * 2000, ""),
    ],
)
def test_link_is_http_without_credentials(text: str, link: str) -> None:
    """Links that a browser does not follow, or follows to another host, give none."""
    assert env.first_web_url(text) == link


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("refs/heads/feature/a", "feature/a"),
        ("refs/tags/v1", "v1"),
        ("heads/refs/heads/x", "heads/refs/heads/x"),
        ("refs/heads/refs/heads/x", ""),
        ("refs/merge-requests/1/head", ""),
        ("7/merge", ""),
        ("pull/7", ""),
        ("pull/7/head", ""),
        ("HEAD", ""),
        ("x" * 2001, ""),
    ],
)
def test_branch_has_no_ref_prefix(text: str, name: str) -> None:
    """References of pull requests and detached heads are not branches."""
    assert env.first_branch(text) == name
