"""GitHub Actions, and what Gitea and Forgejo share with it.

The commit under test depends on the event: `GITHUB_SHA` is a merge commit, or the tip of the default
branch, for many of them. Source: GitHub's documentation, "Events that trigger workflows" and "Variables
reference".

GitHub's workflow commands, which Gitea's and Forgejo's runners read too.

Source: GitHub's documentation, "Workflow commands", and its runner's parser.

The file in which GitHub Actions, and those who speak its language, describe what started the job.

Source: GitHub's documentation, "Webhook events and payloads".

GitHub's file commands: step outputs and the job summary.

Source: GitHub's documentation, "Workflow commands", and its runner's FileCommandManager: of an output that is set
twice, the last value counts. act's reader, which Gitea and Forgejo have, takes no empty line between outputs. Before
act 0.2.79 of July 2025, and for longer on Gitea and Forgejo, a line of 65,536 bytes or more lost all outputs of the
step, and could fail it (nektos/act, pkg/container/parse_env_file.go).
"""

from __future__ import annotations

import json
import os
import re
import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import MIN_MASK_LENGTH, CISystem, CommentSupport
from autonoma_ci.ci.env import (
    env_reader,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    fork_marker,
    is_truthy,
    sanitize,
)
from autonoma_ci.ci.publishers.shared_file import SharedFileValues
from autonoma_ci.ci.publishers.summary_file import summary_file
from autonoma_ci.escaping import escape_github_data, escape_github_property
from autonoma_ci.fs.files import os_error_reason, read_regular_file
from autonoma_ci.models import EVENTS_WITH_SECRETS, BuildContext
from autonoma_ci.reports.outputs import MAX_ARRAY_CHARS, build_outputs, truncated_array_lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import LogGroup, PublishContext, ReportPublisher
    from autonoma_ci.ci.comments.rest import RestCommentThread
    from autonoma_ci.clock import Clock
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret


class GitHubLogFormatter:
    """Lines that begin with `::name`; their data is escaped so that they hold one command and no more."""

    def mask(self, value: str) -> tuple[str, ...]:
        """Return the command that hides a value in the log, the summary and the annotations."""
        escaped = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        return (f"::add-mask::{escaped}",) if len(value) >= MIN_MASK_LENGTH else ()

    def group(self, section: LogGroup) -> tuple[str, ...]:
        """Return the command that opens a group."""
        return (f"::group::{escape_github_data(section.title, 200)}",)

    def end_group(self, section: LogGroup) -> tuple[str, ...]:  # noqa: ARG002 - groups are not nested
        """Return the command that closes it."""
        return ("::endgroup::",)

    def annotation(self, level: str, problem: Diagnostic, title: str = "") -> str:
        """Return an annotation, at the problem's place in the file if it has one; 4096 characters are kept."""
        places = {
            "file": problem.path_in_checkout or problem.file,
            "line": problem.line,
            "col": problem.column,
            "title": title,
        }
        properties = ",".join(f"{name}={escape_github_property(str(value))}" for name, value in places.items() if value)
        # The log shows the text alone, so the place stands in it too.
        return f"::{level}{' ' if properties else ''}{properties}::{escape_github_data(str(problem))}"


LOG_FORMATTER = GitHubLogFormatter()


def path_in_checkout(environ: Mapping[str, str], folder: str, file: str) -> str:
    """Return the path of a file from the root of the checkout; as it is if it lies outside.

    GitHub shows an annotation in the diff by this path, wherever the step works.
    Source: GitHub's documentation, "Setting a warning message", and "working-directory".

    Args:
        environ: The environment, which names the root.
        folder: The working directory.
        file: The path as the user wrote it, from the working directory.
    """
    root = environ.get("GITHUB_WORKSPACE", "")
    if not root:
        return file
    try:
        path = Path(os.path.relpath(Path(folder).resolve() / file, Path(root).resolve()))
    except (OSError, ValueError, RuntimeError):
        return file
    return file if path.parts[:1] == ("..",) else path.as_posix()


# GitHub's documentation caps a webhook's payload at 25 MB.
MAX_EVENT_BYTES = 25 * 1024 * 1024


class GitHubEvent:
    """What started the job, as far as it is known: every question has an answer, perhaps an empty one.

    The file is optional and untrusted: it may be missing, of any type, size and content.
    """

    def __init__(self, data: object) -> None:
        self.data = data

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> GitHubEvent:
        """Read the file that `GITHUB_EVENT_PATH` names; anything unreadable is an event without facts."""
        path = environ.get("GITHUB_EVENT_PATH", "")
        try:
            return cls(json.loads(read_regular_file(path, MAX_EVENT_BYTES) if path else b"{}"))
        except (ValueError, RecursionError):
            return cls(None)

    def has(self, *path: str) -> bool:
        """Say whether there is something at this path of keys: anything but null."""
        return self._lookup(path) is not None

    def text(self, *path: str) -> str:
        """Return the text or number at this path of keys, cleaned, or an empty text."""
        value = self._lookup(path)
        if isinstance(value, int) and not isinstance(value, bool):
            # A number this long is none of GitHub's, and Python refuses to print longer ones.
            return str(value) if value.bit_length() < 64 else ""
        return sanitize(value)

    def single(self, *path: str) -> GitHubEvent:
        """Return the one entry of the list at this path of keys; an event without facts for any other length."""
        value = self._lookup(path)
        return GitHubEvent(value[0] if isinstance(value, list) and len(value) == 1 else None)

    def _lookup(self, path: tuple[str, ...]) -> object:
        value = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


_summary = summary_file("GITHUB_STEP_SUMMARY")
# In characters of an array, which is one line in ASCII.
MAX_ACT_ARRAY_CHARS = 60_000
_INSIDE = "another process has an open value, and the outputs may be a part of it"


class GitHubFilePublisher:
    """Writes the outputs of the step to the runner's file.

    An array has at most `limit` characters.
    """

    def __init__(self, path: Path, clock: Clock, limit: int) -> None:
        self._values = SharedFileValues(path, clock, format_outputs, is_in_heredoc)
        self._limit = limit

    def publish(self, report: Report) -> list[str]:
        """Write the outputs if it is time to; return what could not be written."""
        warnings = []
        try:
            if not self._values.write(report, partial(build_outputs, limit=self._limit)):
                warnings.append(f"GITHUB_OUTPUT: {_INSIDE}; the log has the links.")
        except (OSError, ValueError) as error:
            warnings.append(f"GITHUB_OUTPUT could not be written ({os_error_reason(error)}); the log has the links.")
        for name, count in truncated_array_lengths(report, self._limit).items() if report.verdict else ():
            warnings.append(f"The output '{name}' holds the first {count} runs: the runner does not take a longer one.")
        return warnings


def format_outputs(values: Mapping[str, str]) -> str:
    """Return outputs as the runner reads them: any text is taken for a value, whatever is in it.

    The delimiter is random, so that no text can end its own value and set another output. Raises ValueError
    if a value holds it all the same.
    """
    delimiter = f"autonoma_{secrets.token_hex(16)}"
    if any(delimiter in value for value in values.values()):
        raise ValueError("the delimiter occurs in a value")
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def is_in_heredoc(data: bytes) -> bool:
    """Return whether a file of outputs ends within a value, as the runner reads it."""
    lines = iter(data.split(b"\n"))
    for line in lines:
        name, arrows, delimiter = line.partition(b"<<")
        if arrows and b"=" not in name and not any(end == delimiter for end in lines):
            return True
    return False


def create_publishers(target: PublishContext) -> Sequence[ReportPublisher]:
    """Return the publishers for the files that the environment names."""
    # These runners behave like GitHub's, and may be taken for it by AUTONOMA_CI.
    is_act = any(is_truthy(target.environ, name) for name in ("ACT", "GITEA_ACTIONS", "FORGEJO_ACTIONS"))
    return create_act_publishers(target) if is_act else _files(target, MAX_ARRAY_CHARS)


def create_act_publishers(target: PublishContext) -> Sequence[ReportPublisher]:
    """Return the same publishers for runners that are made of act."""
    return _files(target, MAX_ACT_ARRAY_CHARS)


def _files(target: PublishContext, limit: int) -> Sequence[ReportPublisher]:
    output = target.environ.get("GITHUB_OUTPUT", "")
    return (*((GitHubFilePublisher(Path(output), target.clock, limit),) if output else ()), *_summary(target))


# Inputs may hold any secret of the workflow; the rest are the runner's own and the usual names of its token.
SECRET_VARIABLES = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_*",
    "INPUT_*",
)
_PULL_REF = re.compile(r"refs/pull/([0-9]+)/(?:merge|head)")
_QUEUE_REF = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-([0-9]+)-[0-9a-f]+")
_LOOKS_LIKE_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def github_context(environ: Mapping[str, str], ci: str, build_url: str) -> BuildContext:
    """Read the context out of the variables and the event file that GitHub Actions defined."""
    get = env_reader(environ)
    event, name = GitHubEvent.load(environ), get("GITHUB_EVENT_NAME")
    sha, built = _commit_and_branch(name, event, get)
    return BuildContext(
        ci_name=ci,
        sha=sha,
        branch=built,
        change_number=_change(name, event, get("GITHUB_REF")),
        repository=first_repository(get("GITHUB_REPOSITORY")),
        build_url=first_web_url(build_url),
        deployment_url=first_web_url(event.text("deployment_status", "environment_url")),
        build_id=get("GITHUB_RUN_ID"),
        build_attempt=first_number(get("GITHUB_RUN_ATTEMPT")),
        trigger_event=name,
        secrets_withheld_from=_withheld(name, event, get),
        # The job's key in the workflow file. The jobs of a matrix share it, and so do the calls of one
        # reusable workflow: no variable tells them apart (github.com/actions/toolkit/issues/74).
        job_name=get("GITHUB_JOB"),
    )


def run_url(environ: Mapping[str, str], number: str) -> str:
    """Return the page of a run; `number` names the variable that the server has in the address."""
    get = env_reader(environ)
    parts = get("GITHUB_SERVER_URL").rstrip("/"), first_repository(get("GITHUB_REPOSITORY")), first_number(get(number))
    return "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""


def _commit_and_branch(name: str, event: GitHubEvent, get: Callable[[str], str]) -> tuple[str, str]:
    """Return commit and branch; empty where only the event's file could tell, and does not."""
    ref = get("GITHUB_REF") or get("GITHUB_REF_NAME")
    if name.startswith("pull_request"):
        head = first_branch(get("GITHUB_HEAD_REF"), event.text("pull_request", "head", "ref"))
        return first_commit(event.text("pull_request", "head", "sha")), head
    match name:
        case "workflow_run" | "check_suite":
            return first_commit(event.text(name, "head_sha")), first_branch(event.text(name, "head_branch"))
        case "check_run":
            suite = first_branch(event.text(name, "check_suite", "head_branch"))
            return first_commit(event.text(name, "head_sha")), suite
        case "status":
            return first_commit(event.text("sha")), first_branch(event.single("branches").text("name"))
        case "issue_comment" if event.has("issue", "pull_request"):
            return "", ""
        case "deployment" | "deployment_status":
            # The reference is empty, and the event's is the commit again, if a commit was deployed.
            target = event.text("deployment", "ref")
            target = "" if _LOOKS_LIKE_COMMIT.fullmatch(target) else target
            return first_commit(event.text("deployment", "sha"), get("GITHUB_SHA")), first_branch(ref, target)
        case _:
            return first_commit(get("GITHUB_SHA")), first_branch(ref)


def _change(name: str, event: GitHubEvent, ref: str) -> str:
    if name.startswith("pull_request"):
        pull = _PULL_REF.fullmatch(ref)
        return first_number(event.text("pull_request", "number"), pull[1] if pull else "")
    if name == "issue_comment" and event.has("issue", "pull_request"):
        return first_number(event.text("issue", "number"))
    if name in {"workflow_run", "check_suite", "check_run"}:
        return first_number(event.single(name, "pull_requests").text("number"))
    # The queue names its branch after the last of the pull requests that it tests together.
    queue = _QUEUE_REF.fullmatch(ref)
    return first_number(queue[1]) if queue else ""


def _withheld(name: str, event: GitHubEvent, get: Callable[[str], str]) -> str:
    """Say whose changes get no secrets; events that run in the name of the target repository have them all."""
    if name in EVENTS_WITH_SECRETS:
        return ""
    ours, theirs = (event.text("pull_request", side, "repo", "full_name") for side in ("base", "head"))
    # A fork that was deleted since leaves nothing where its repository was.
    gone = event.has("pull_request", "head") and not event.has("pull_request", "head", "repo")
    if gone or fork_marker(ours, theirs):
        return "fork"
    author = event.text("pull_request", "user", "login") or get("GITHUB_ACTOR")
    return "dependabot" if author == "dependabot[bot]" else ""


def build_context(environ: Mapping[str, str]) -> BuildContext:
    """Read the context of a job of GitHub Actions, or of act, which plays one on a local machine."""
    page, attempt = run_url(environ, "GITHUB_RUN_ID"), first_number(env_reader(environ)("GITHUB_RUN_ATTEMPT"))
    if is_truthy(environ, "ACT"):
        page = ""  # act names github.com and run 1, which is somebody else's run
    url = f"{page}/attempts/{attempt}" if page and attempt else page
    return github_context(environ, "github", url)


def _comments(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    # Loaded only where there is a comment to write.
    from autonoma_ci.ci.comments.github import open_pull_request_thread

    return open_pull_request_thread(environ, context, token, clock)


SYSTEM = CISystem(
    build_context=build_context,
    secret_variables=SECRET_VARIABLES,
    log_formatter=LOG_FORMATTER,
    path_in_checkout=path_in_checkout,
    create_publishers=create_publishers,
    comment_support=CommentSupport("github-token", _comments),
)
