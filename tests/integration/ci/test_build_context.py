"""What is read out of the environment once the CI system is known."""

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
from autonoma_ci.fs.files import read_file_or_empty
from tests.support import ci_environments as environments
from tests.support import github_environments

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.models import BuildContext

CASES = (*environments.ROWS, *github_environments.ROWS)
# Every variable that any documented environment has, so that the random ones are read by someone.
NAMES = sorted({name for case in CASES for name in case.environ} - {"AUTONOMA_CI"})
HOSTILE = (
    *("", " ", "true", "7", "refs/heads/", "refs/pull/7/merge", "https://", "https://[", "https://u:p@h:99999/x"),
    *("javascript:alert(1)", "\ud800", "a\0b", "::error::x", "a\r\n::set-output name=x::y", "9" * 5000, "x" * 100_000),
    *("https://user:hunter2@example.com/a/b", "//", "git@", "\u202egpj", "../..", "/dev/stdin", "%", "\\\\host\\x"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_context_matches_table(case: environments.Case, tmp_path: Path) -> None:
    """All facts but the event are those of the table, and the event is the one in the environment."""
    environ = case.settle(tmp_path)
    found = load_system(detect(environ)).build_context(environ)
    assert found._replace(trigger_event="") == case.expected
    if found.ci_name == "github":
        assert found.trigger_event == environ.get("GITHUB_EVENT_NAME", "")


def test_table_covers_every_system_and_change() -> None:
    """Each system that knows of changes has at least one row of each kind; there are sixty rows and more."""
    seen = {(case.expected.ci_name, bool(case.expected.change_number)) for case in CASES}
    systems = {row.name for row in DETECTION_RULES} - {"ci", "cli"}
    assert {(name, changed) for name in systems for changed in (True, False)} <= seen
    assert len(CASES) >= 60
    assert len({case.id for case in environments.ROWS}) == len(environments.ROWS)


@pytest.mark.slow
@settings(deadline=None)
@given(st.data())
@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_context_from_any_environment_is_valid(row: DetectionRule, data: st.DataObject) -> None:
    """Whatever the variables hold, the context is made of facts that look like what they are."""
    values = st.sampled_from(HOSTILE) | st.text(st.characters(), max_size=60)
    environ = data.draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=40))
    _is_sound(load_system(row).build_context(environ), row.name)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_context_from_hostile_values_is_valid(row: DetectionRule, value: str) -> None:
    """A runner in which every variable is hostile still has a context."""
    _is_sound(load_system(row).build_context(dict.fromkeys(NAMES, value)), row.name)


def _is_sound(context: BuildContext, name: str) -> None:
    assert context.ci_name == name
    assert re.fullmatch(r"|[0-9a-f]{40}|[0-9a-f]{64}", context.sha)
    assert re.fullmatch(r"|[1-9][0-9]*", context.change_number, re.ASCII)
    assert re.fullmatch(r"|[0-9]{1,22}", context.build_attempt, re.ASCII)
    assert all(len(text) <= 4000 and text.isprintable() for text in context)
    for url in filter(None, (context.build_url, context.deployment_url)):
        assert urlsplit(url).scheme in {"http", "https"}
        assert "@" not in urlsplit(url).netloc
        assert "hunter2" not in urlsplit(url).netloc
    assert "hunter2" not in context.repository


def _nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["number", "head", "sha", "environment_url"])
    return st.lists(inner) | st.dictionaries(keys, inner)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), _nested, max_leaves=20))
def test_event_of_any_shape_gives_text(value: object) -> None:
    """An event of any shape answers every question with a text."""
    event = GitHubEvent({"pull_request": value, "deployment_status": value})
    for path in (("pull_request", "number"), ("pull_request", "head", "sha"), ("deployment_status", "environment_url")):
        assert event.text(*path).isprintable()
    assert event.single("pull_request").text("number").isprintable()


@pytest.mark.parametrize("event", ["directory", "pipe", "too large", "not text", "missing", "null in the path"])
def test_event_file_invalid_is_empty(event: str, tmp_path: Path) -> None:
    """A folder, a named pipe without a writer, 25 MiB and more: nothing hangs, nothing is read."""
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
    shown = f"{path}\0" if event == "null in the path" else str(path)
    assert GitHubEvent.load({"GITHUB_EVENT_PATH": shown}).text("pull_request", "number") == ""


def test_event_file_at_size_limit_is_read(tmp_path: Path) -> None:
    """The limit is GitHub's own, so that no real event is too large."""
    path = tmp_path / "event.json"
    path.write_bytes(json.dumps({"pull_request": {"number": 7}}).encode().ljust(MAX_EVENT_BYTES))
    assert GitHubEvent.load({"GITHUB_EVENT_PATH": str(path)}).text("pull_request", "number") == "7"


def test_rejected_files_are_closed(tmp_path: Path) -> None:
    """A refused folder or pipe leaves no open handle behind."""
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - the folder of a process's own handles is no ordinary one
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        assert read_file_or_empty(str(path), 10) == b""
    # A regular file, by its own account, that can be opened and not be read.
    assert read_file_or_empty("/proc/self/mem", 10) == b""
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


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
    """Clone URLs of every form come down to the path; what is not sure to be one is left out."""
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
    """Links that a browser would not follow, or would follow elsewhere, are left out."""
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
    """References of pull requests and detached heads are no branches."""
    assert env.first_branch(text) == name
