"""GitHub Actions, with the base class of Gitea and Forgejo.

Source, all from GitHub's documentation if not stated otherwise:

- facts of the build: "Events that trigger workflows" and "Variables reference". The commit under test depends on the
  event: for many events, `GITHUB_SHA` is a merge commit or the tip of the default branch.
- event file: "Webhook events and payloads".
- log commands, which the runners of Gitea and Forgejo read too: "Workflow commands", and the parser of GitHub's runner.
- outputs and job summary: "Workflow commands", and the runner's FileCommandManager. If an output is set twice, the last
  value counts.
- act's reader of outputs, which Gitea and Forgejo use: nektos/act, pkg/container/parse_env_file.go. It accepts no empty
  line between outputs. Before act 0.2.79 of July 2025, and for longer on Gitea and Forgejo, a line of 65,536 bytes or
  more lost all outputs of the step, and could fail the step.
- mounts of a container action: actions/runner, src/Runner.Worker/Handlers/ContainerActionHandler.cs.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import MIN_MASK_LENGTH, CISystem, CommentSupport, CompareSupport, Workspace
from autonoma_ci.ci.changes.change_base import BaseFacts, NoBaseReason, describe_merge_group, read_trigger
from autonoma_ci.ci.env import (
    env_reader,
    find_untrusted_fork,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_web_url,
    is_truthy,
    sanitize,
)
from autonoma_ci.ci.publishers.shared_file import SharedFileValues
from autonoma_ci.ci.publishers.summary_file import create_summary_file_publishers
from autonoma_ci.escaping import escape_github_data, escape_github_property, escape_log_line
from autonoma_ci.fs.files import os_error_reason, read_whole_file
from autonoma_ci.models import EVENTS_WITH_SECRETS, BuildContext, BuildIdRules, UntrustedSource
from autonoma_ci.reports.outputs import MAX_ARRAY_CHARS, build_outputs, truncated_array_lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import LogGroup, PublishContext, ReportPublisher
    from autonoma_ci.ci.comments.rest import RestCommentThread
    from autonoma_ci.clock import Clock
    from autonoma_ci.errors import Diagnostic
    from autonoma_ci.models import ChangeBase, ComparedFiles, Report
    from autonoma_ci.redaction.redactor import Secret

# GitHub's documentation limits the payload of a webhook to 25 MB.
MAX_EVENT_BYTES = 25 * 1024 * 1024
# In characters of an array, which is one line of ASCII. Keeps the line below the 65,536 bytes of act's reader.
MAX_ACT_ARRAY_CHARS = 60_000
# The workspace of a container action. A `run:` step and a job with `container:` have another GITHUB_WORKSPACE.
_CONTAINER_WORKSPACE = "/github/workspace"
# Other folders that the runner mounts from its machine. Their files outlive the container too.
_MOUNTED_FOLDERS = ("/github/home", "/github/workflow", "/github/file_commands", "/github/runner_temp")
_PULL_REF_RE = re.compile(r"refs/pull/([0-9]+)/(?:merge|head)")
_QUEUE_REF_RE = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-([0-9]+)-[0-9a-f]+")
_COMMIT_RE = re.compile(r"[0-9a-f]{40,64}")
# Events of builds without a base.
_REASON_BY_EVENT = {
    "schedule": NoBaseReason.SCHEDULE,
    "workflow_dispatch": NoBaseReason.MANUAL,
    "repository_dispatch": NoBaseReason.API,
    "release": NoBaseReason.RELEASE,
    "deployment": NoBaseReason.DEPLOYMENT,
    "deployment_status": NoBaseReason.DEPLOYMENT,
}
_OPEN_VALUE = "the outputs may be inside an unfinished value of another process"


def _open_comment_thread(
    environ: Mapping[str, str], context: BuildContext, token: Secret, clock: Clock
) -> RestCommentThread | None:
    # Imports requests, which a job without a comment does not need.
    from autonoma_ci.ci.comments.github import open_pull_request_thread

    return open_pull_request_thread(environ, context, token, clock)


def _compare_changes(
    environ: Mapping[str, str], context: BuildContext, base: ChangeBase, token: Secret, clock: Clock
) -> ComparedFiles:
    # Imports requests, which a job without a comparison does not need.
    from autonoma_ci.ci.changes.compare import compare_changes

    return compare_changes(environ, context, base, token, clock)


class GitHubLogFormatter:
    """Formats workflow commands, which are lines that begin with `::name`.

    Data is escaped, so that each line has exactly one command.
    """

    def mask(self, value: str) -> tuple[str, ...]:
        """Return the command that hides a value in log, summary and annotations."""
        escaped = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        return (f"::add-mask::{escaped}",) if len(value) >= MIN_MASK_LENGTH else ()

    def group(self, log_group: LogGroup) -> tuple[str, ...]:
        """Return the command that opens a group."""
        return (f"::group::{escape_github_data(log_group.title, 200)}",)

    def end_group(self, log_group: LogGroup) -> tuple[str, ...]:  # noqa: ARG002 - groups are not nested
        """Return the command that closes a group."""
        return ("::endgroup::",)

    def annotation(self, level: str, diagnostic: Diagnostic, title: str = "") -> str:
        """Return the command for an annotation of the job.

        It is at a position in a file if the diagnostic has one. GitHub stores the first 4096 characters.
        """
        position = {
            "file": diagnostic.path_in_checkout or diagnostic.file,
            "line": diagnostic.line,
            "col": diagnostic.column,
            "title": title,
        }
        properties = ",".join(
            f"{name}={escape_github_property(str(value))}" for name, value in position.items() if value
        )
        # The log shows only the text, so the text has the position too.
        return f"::{level}{' ' if properties else ''}{properties}::{escape_github_data(str(diagnostic))}"

    def debug(self, text: str) -> str:
        """Return a plain line, because the runner can hide `::debug::` lines."""
        return escape_log_line(text)


class GitHubCompatibleSystem(CISystem):
    """The base class of systems with GitHub's log commands, files and variables."""

    secrets_help = "Add {names} under Settings > Actions > Secrets, and pass {pronoun} as {inputs}"
    # `INPUT_*` can hold any secret of the workflow. The others are tokens of the runner and usual names for them.
    secret_variables: tuple[str, ...] = (
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "GITHUB_ENTERPRISE_TOKEN",
        "GH_ENTERPRISE_TOKEN",
        "ACTIONS_RUNTIME_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_*",
        "INPUT_*",
    )
    log_formatter = GitHubLogFormatter()

    def read_base_facts(self, environ: Mapping[str, str]) -> BaseFacts:
        """Read the base of a pull request or merge group, or the default branch.

        Jobs of `pull_request_target`, `workflow_run` and `issue_comment` have all secrets, although anybody can be the
        author of the change. So the change does not decide what runs in them.
        """
        get, event = env_reader(environ), GitHubEvent.load(environ)
        match get("GITHUB_EVENT_NAME"):
            case name if name in EVENTS_WITH_SECRETS:
                return BaseFacts(f"the event {name} has secrets, and its checkout is not the change")
            case "pull_request" | "pull_request_review" | "pull_request_review_comment":
                return _read_pull_request_base(event, get)
            case "merge_group":
                sha, branch = event.text("merge_group", "base_sha"), event.text("merge_group", "base_ref")
                return describe_merge_group(first_commit(sha), first_branch(branch))
            case "push" if get("GITHUB_REF").startswith("refs/tags/"):
                return BaseFacts(NoBaseReason.TAG)
            case "push":
                return BaseFacts(default_branch=first_branch(event.text("repository", "default_branch")))
            case name:
                return read_trigger(_REASON_BY_EVENT, name)

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publishers of outputs and summary, within act's limit."""
        return _create_file_publishers(context, MAX_ACT_ARRAY_CHARS)

    def find_workspace(self, environ: Mapping[str, str]) -> Workspace | None:
        """Return the workspace of a container action."""
        if environ.get("GITHUB_WORKSPACE") != _CONTAINER_WORKSPACE:
            return None
        return Workspace(_CONTAINER_WORKSPACE, mounted_folders=_MOUNTED_FOLDERS)

    def path_in_checkout(self, environ: Mapping[str, str], folder: str, file: str) -> str:
        """Return the path of a file from the root of the checkout.

        GitHub shows an annotation in the diff by this path, in any working directory. The path of a file outside of
        the checkout stays unchanged.
        Source: GitHub's documentation, "Setting a warning message", and "working-directory".
        """
        root = environ.get("GITHUB_WORKSPACE", "")
        if not root:
            return file
        try:
            path = Path(os.path.relpath(Path(folder).resolve() / file, Path(root).resolve()))
        except (OSError, ValueError, RuntimeError):
            return file
        return file if path.parts[:1] == ("..",) else path.as_posix()

    def is_debugging(self, environ: Mapping[str, str]) -> bool:
        """Return whether the runner runs this job with debug logs."""
        return is_truthy(environ, "RUNNER_DEBUG")


class GitHub(GitHubCompatibleSystem):
    """GitHub Actions, and act, which runs its workflows on a local machine."""

    display_name = "GitHub Actions"
    secrets_help = "Add {names} under Settings > Secrets and variables > Actions, and pass {pronoun} as {inputs}"
    # act gives each run on a local machine this id.
    # Source: github.com/nektos/act.
    build_id_rules = BuildIdRules(ambiguous_ids=frozenset({"1"}))
    comment_support = CommentSupport("github-token", _open_comment_thread)
    compare_support = CompareSupport("github-token", _compare_changes)

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Read the facts of a job."""
        run_url = build_workflow_run_url(environ, "GITHUB_RUN_ID")
        attempt = first_number(env_reader(environ)("GITHUB_RUN_ATTEMPT"))
        if is_truthy(environ, "ACT"):
            # act sets github.com and run 1, which is a run of another repository.
            run_url = ""
        return build_actions_context(
            environ, "github", f"{run_url}/attempts/{attempt}" if run_url and attempt else run_url
        )

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        """Return the publishers of outputs and summary."""
        # AUTONOMA_CI can name GitHub on a runner with act's reader.
        if any(is_truthy(context.environ, name) for name in ("ACT", "GITEA_ACTIONS", "FORGEJO_ACTIONS")):
            return super().create_publishers(context)
        return _create_file_publishers(context, MAX_ARRAY_CHARS)


def build_actions_context(environ: Mapping[str, str], ci_name: str, build_url: str) -> BuildContext:
    """Read the facts of a job from GitHub's variables and event file."""
    get = env_reader(environ)
    event, event_name = GitHubEvent.load(environ), get("GITHUB_EVENT_NAME")
    sha, branch = _find_commit_and_branch(event_name, event, get)
    return BuildContext(
        ci_name=ci_name,
        sha=sha,
        branch=branch,
        change_number=_find_change_number(event_name, event, get("GITHUB_REF")),
        repository=first_repository(get("GITHUB_REPOSITORY")),
        build_url=first_web_url(build_url),
        deployment_url=first_web_url(event.text("deployment_status", "environment_url")),
        build_id=get("GITHUB_RUN_ID"),
        build_attempt=first_number(get("GITHUB_RUN_ATTEMPT")),
        trigger_event=event_name,
        secrets_withheld_from=_find_untrusted_source(event_name, event, get),
        # The job's key in the workflow file. The jobs of a matrix share it, and so do the calls of one reusable
        # workflow. No variable differs between them (github.com/actions/toolkit/issues/74).
        job_name=get("GITHUB_JOB"),
    )


def build_workflow_run_url(environ: Mapping[str, str], variable: str) -> str:
    """Return the URL of the run page, or an empty text.

    Args:
        environ: The variables of the job.
        variable: The name of the variable with the run's id or number, as the server has it in the URL.

    """
    get = env_reader(environ)
    server, repository = get("GITHUB_SERVER_URL").rstrip("/"), first_repository(get("GITHUB_REPOSITORY"))
    run = first_number(get(variable))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


def _find_commit_and_branch(event_name: str, event: GitHubEvent, get: Callable[[str], str]) -> tuple[str, str]:
    """Return commit and branch under test.

    Both are empty if only the event file could have them, and does not.
    """
    ref = get("GITHUB_REF") or get("GITHUB_REF_NAME")
    if event_name.startswith("pull_request"):
        head = first_branch(get("GITHUB_HEAD_REF"), event.text("pull_request", "head", "ref"))
        return first_commit(event.text("pull_request", "head", "sha")), head
    match event_name:
        case "workflow_run" | "check_suite":
            sha, branch = event.text(event_name, "head_sha"), event.text(event_name, "head_branch")
            return first_commit(sha), first_branch(branch)
        case "check_run":
            sha, branch = event.text("check_run", "head_sha"), event.text("check_run", "check_suite", "head_branch")
            return first_commit(sha), first_branch(branch)
        case "status":
            return first_commit(event.text("sha")), first_branch(event.single("branches").text("name"))
        case "issue_comment" if event.has("issue", "pull_request"):
            return "", ""
        case "deployment" | "deployment_status":
            # If a commit was deployed, GITHUB_REF is empty, and the event's reference is the commit.
            target = event.text("deployment", "ref")
            target = "" if _COMMIT_RE.fullmatch(target) else target
            return first_commit(event.text("deployment", "sha"), get("GITHUB_SHA")), first_branch(ref, target)
        case _:
            return first_commit(get("GITHUB_SHA")), first_branch(ref)


def _find_change_number(event_name: str, event: GitHubEvent, ref: str) -> str:
    if event_name.startswith("pull_request"):
        pull = _PULL_REF_RE.fullmatch(ref)
        return first_number(event.text("pull_request", "number"), pull[1] if pull else "")
    if event_name == "issue_comment" and event.has("issue", "pull_request"):
        return first_number(event.text("issue", "number"))
    if event_name in {"workflow_run", "check_suite", "check_run"}:
        return first_number(event.single(event_name, "pull_requests").text("number"))
    # The merge queue names its branch after the last of the pull requests that it tests together.
    queue = _QUEUE_REF_RE.fullmatch(ref)
    return first_number(queue[1]) if queue else ""


def _read_pull_request_base(event: GitHubEvent, get: Callable[[str], str]) -> BaseFacts:
    # After the end of a pull request, GitHub checks out its target branch.
    if event.text("action") == "closed":
        return BaseFacts(NoBaseReason.CLOSED_CHANGE)
    event_branch = first_branch(event.text("pull_request", "base", "ref"))
    branch = first_branch(get("GITHUB_BASE_REF"), event_branch)
    if event_branch and branch != event_branch:
        return BaseFacts(is_change=True)
    # The tip of the target branch at the time of the event, or an older commit of it.
    sha = first_commit(event.text("pull_request", "base", "sha")) if event_branch else ""
    return BaseFacts(is_change=True, target_branch=branch, target_sha=sha)


def _find_untrusted_source(event_name: str, event: GitHubEvent, get: Callable[[str], str]) -> UntrustedSource | None:
    """Return the source of the change if GitHub withholds secrets from it.

    Events that run for the target repository have all secrets.
    """
    if event_name in EVENTS_WITH_SECRETS:
        return None
    base, head = (event.text("pull_request", side, "repo", "full_name") for side in ("base", "head"))
    # The event has no repository of a fork that was deleted later.
    is_deleted = event.has("pull_request", "head") and not event.has("pull_request", "head", "repo")
    if is_deleted or find_untrusted_fork(base, head):
        return UntrustedSource.FORK
    author = event.text("pull_request", "user", "login") or get("GITHUB_ACTOR")
    return UntrustedSource.DEPENDABOT if author == "dependabot[bot]" else None


class GitHubEvent:
    """The payload of the event that started the job.

    The file is optional and untrusted: it can be missing, and have any type, size and content. Every method returns a
    value, which is empty if the payload does not have the requested field.
    """

    def __init__(self, payload: object) -> None:
        self._payload = payload

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> GitHubEvent:
        """Read the file that `GITHUB_EVENT_PATH` names.

        An unreadable file is an empty event.
        """
        path = environ.get("GITHUB_EVENT_PATH", "")
        data = read_whole_file(path, MAX_EVENT_BYTES) if path else None
        if data is None:
            return cls(None)
        try:
            return cls(json.loads(data))
        except (ValueError, RecursionError):
            return cls(None)

    def has(self, *keys: str) -> bool:
        """Return whether this path of keys has a value other than null."""
        return self._lookup(keys) is not None

    def text(self, *keys: str) -> str:
        """Return the sanitized text or number at this path of keys.

        Any other value is an empty text.
        """
        value = self._lookup(keys)
        if isinstance(value, int) and not isinstance(value, bool):
            # GitHub's numbers have at most 64 bits. Python raises an error for one of over 4,300 digits.
            return str(value) if value.bit_length() < 64 else ""
        return sanitize(value)

    def single(self, *keys: str) -> GitHubEvent:
        """Return the only entry of the list at this path of keys.

        A list of another length is an empty event.
        """
        value = self._lookup(keys)
        return GitHubEvent(value[0] if isinstance(value, list) and len(value) == 1 else None)

    def _lookup(self, keys: tuple[str, ...]) -> object:
        value = self._payload
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def _create_file_publishers(context: PublishContext, max_array_chars: int) -> Sequence[ReportPublisher]:
    """Return the publishers for the files that the environment names."""
    path = context.environ.get("GITHUB_OUTPUT", "")
    outputs = (GitHubFilePublisher(Path(path), context.clock, max_array_chars),) if path else ()
    return (*outputs, *create_summary_file_publishers(context, "GITHUB_STEP_SUMMARY"))


class GitHubFilePublisher:
    """Writes the outputs of the step to the runner's file.

    An array has at most `max_array_chars` characters.
    """

    def __init__(self, path: Path, clock: Clock, max_array_chars: int) -> None:
        self._values = SharedFileValues(path, clock, format_outputs, is_in_heredoc)
        self._max_array_chars = max_array_chars

    def publish(self, report: Report) -> list[str]:
        """Write the outputs, at most once before the end of the step.

        Returns:
            The warnings about outputs that the runner can't read, or can't read completely.

        """
        warnings = []
        try:
            if not self._values.write(report, partial(build_outputs, limit=self._max_array_chars)):
                warnings.append(f"GITHUB_OUTPUT: {_OPEN_VALUE}. The log has the links.")
        except (OSError, ValueError) as error:
            warnings.append(f"GITHUB_OUTPUT could not be written ({os_error_reason(error)}). The log has the links.")
        truncated = truncated_array_lengths(report, self._max_array_chars) if report.verdict else {}
        for name, count in truncated.items():
            warnings.append(f"The output '{name}' holds the first {count} runs: the runner accepts no longer value.")
        return warnings


def format_outputs(values: Mapping[str, str]) -> str:
    """Return outputs in the format of the runner's file.

    The delimiter is random, so that no text can end its own value and set another output.

    Raises:
        ValueError: A value contains the delimiter.

    """
    delimiter = f"autonoma_{secrets.token_hex(16)}"
    if any(delimiter in value for value in values.values()):
        raise ValueError("the delimiter occurs in a value")
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def is_in_heredoc(data: bytes) -> bool:
    """Return whether a file of outputs ends within a value."""
    lines = iter(data.split(b"\n"))
    for line in lines:
        name, arrows, delimiter = line.partition(b"<<")
        if arrows and b"=" not in name and not any(end == delimiter for end in lines):
            return True
    return False


SYSTEM = GitHub()
