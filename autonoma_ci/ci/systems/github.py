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

from autonoma_ci.ci.base import MASK_LIMIT, Comments, System
from autonoma_ci.ci.env import branch, change, clean, commit, fork, reader, repository, truthy, web_url
from autonoma_ci.ci.publishers.shared_file import SharedValues
from autonoma_ci.ci.publishers.summary_file import summary_file
from autonoma_ci.escaping import command_data, command_property
from autonoma_ci.fs.files import read_regular, reason_of
from autonoma_ci.models import PRIVILEGED, Context
from autonoma_ci.reports.outputs import ARRAY_LIMIT, cut_arrays, outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.ci.base import Publisher, Section, Target
    from autonoma_ci.ci.comments.rest import Discussion
    from autonoma_ci.clock import Clock
    from autonoma_ci.errors import Problem
    from autonoma_ci.models import Report
    from autonoma_ci.redaction.redactor import Secret


class Commands:
    """Lines that begin with `::name`; their data is escaped so that they hold one command and no more."""

    def mask(self, value: str) -> tuple[str, ...]:
        """Return the command that hides a value in the log, the summary and the annotations."""
        escaped = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        return (f"::add-mask::{escaped}",) if len(value) >= MASK_LIMIT else ()

    def group(self, section: Section) -> tuple[str, ...]:
        """Return the command that opens a group."""
        return (f"::group::{command_data(section.title, 200)}",)

    def end_group(self, section: Section) -> tuple[str, ...]:  # noqa: ARG002 - groups are not nested
        """Return the command that closes it."""
        return ("::endgroup::",)

    def issue(self, level: str, problem: Problem, title: str = "") -> str:
        """Return an annotation, at the problem's place in the file if it has one; 4096 characters are kept."""
        places = {
            "file": problem.in_checkout or problem.file,
            "line": problem.line,
            "col": problem.column,
            "title": title,
        }
        properties = ",".join(f"{name}={command_property(str(value))}" for name, value in places.items() if value)
        # The log shows the text alone, so the place stands in it too.
        return f"::{level}{' ' if properties else ''}{properties}::{command_data(str(problem))}"


COMMANDS = Commands()


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
LARGEST = 25 * 1024 * 1024


class Event:
    """What started the job, as far as it is known: every question has an answer, perhaps an empty one.

    The file is optional and untrusted: it may be missing, of any type, size and content.
    """

    def __init__(self, data: object) -> None:
        self.data = data

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Event:
        """Read the file that `GITHUB_EVENT_PATH` names; anything unreadable is an event without facts."""
        path = environ.get("GITHUB_EVENT_PATH", "")
        try:
            return cls(json.loads(read_regular(path, LARGEST) if path else b"{}"))
        except (ValueError, RecursionError):
            return cls(None)

    def has(self, *path: str) -> bool:
        """Say whether there is something at this path of keys: anything but null."""
        return self._at(path) is not None

    def text(self, *path: str) -> str:
        """Return the text or number at this path of keys, cleaned, or an empty text."""
        value = self._at(path)
        if isinstance(value, int) and not isinstance(value, bool):
            # A number this long is none of GitHub's, and Python refuses to print longer ones.
            return str(value) if value.bit_length() < 64 else ""
        return clean(value)

    def only(self, *path: str) -> Event:
        """Return the one entry of the list at this path of keys; an event without facts for any other length."""
        value = self._at(path)
        return Event(value[0] if isinstance(value, list) and len(value) == 1 else None)

    def _at(self, path: tuple[str, ...]) -> object:
        value = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


_summary = summary_file("GITHUB_STEP_SUMMARY")
# In characters of an array, which is one line in ASCII.
ACT_ARRAY_LIMIT = 60_000
_INSIDE = "another process has an open value, and the outputs may be a part of it"


class OutputFile:
    """Writes the outputs of the step to the runner's file.

    An array has at most `limit` characters.
    """

    def __init__(self, path: Path, clock: Clock, limit: int) -> None:
        self._values = SharedValues(path, clock, heredocs, is_in_heredoc)
        self._limit = limit

    def publish(self, report: Report) -> list[str]:
        """Write the outputs if it is time to; return what could not be written."""
        warnings = []
        try:
            if not self._values.write(report, partial(outputs, limit=self._limit)):
                warnings.append(f"GITHUB_OUTPUT: {_INSIDE}; the log has the links.")
        except (OSError, ValueError) as error:
            warnings.append(f"GITHUB_OUTPUT could not be written ({reason_of(error)}); the log has the links.")
        for name, count in cut_arrays(report, self._limit).items() if report.verdict else ():
            warnings.append(f"The output '{name}' holds the first {count} runs: the runner does not take a longer one.")
        return warnings


def heredocs(values: Mapping[str, str]) -> str:
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


def github_files(target: Target) -> Sequence[Publisher]:
    """Return the publishers for the files that the environment names."""
    # These runners behave like GitHub's, and may be taken for it by AUTONOMA_CI.
    is_act = any(truthy(target.environ, name) for name in ("ACT", "GITEA_ACTIONS", "FORGEJO_ACTIONS"))
    return act_files(target) if is_act else _files(target, ARRAY_LIMIT)


def act_files(target: Target) -> Sequence[Publisher]:
    """Return the same publishers for runners that are made of act."""
    return _files(target, ACT_ARRAY_LIMIT)


def _files(target: Target, limit: int) -> Sequence[Publisher]:
    output = target.environ.get("GITHUB_OUTPUT", "")
    return (*((OutputFile(Path(output), target.clock, limit),) if output else ()), *_summary(target))


# Inputs may hold any secret of the workflow; the rest are the runner's own and the usual names of its token.
TOKENS = (
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


def github_context(environ: Mapping[str, str], ci: str, build_url: str) -> Context:
    """Read the context out of the variables and the event file that GitHub Actions defined."""
    get = reader(environ)
    event, name = Event.load(environ), get("GITHUB_EVENT_NAME")
    sha, built = _under_test(name, event, get)
    return Context(
        ci=ci,
        sha=sha,
        branch=built,
        change=_change(name, event, get("GITHUB_REF")),
        repository=repository(get("GITHUB_REPOSITORY")),
        build_url=web_url(build_url),
        deployment_url=web_url(event.text("deployment_status", "environment_url")),
        build=get("GITHUB_RUN_ID"),
        attempt=change(get("GITHUB_RUN_ATTEMPT")),
        event=name,
        withheld=_withheld(name, event, get),
        # The job's key in the workflow file. The jobs of a matrix share it, and so do the calls of one
        # reusable workflow: no variable tells them apart (github.com/actions/toolkit/issues/74).
        job=get("GITHUB_JOB"),
    )


def run_page(environ: Mapping[str, str], number: str) -> str:
    """Return the page of a run; `number` names the variable that the server has in the address."""
    get = reader(environ)
    parts = get("GITHUB_SERVER_URL").rstrip("/"), repository(get("GITHUB_REPOSITORY")), change(get(number))
    return "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""


def _under_test(name: str, event: Event, get: Callable[[str], str]) -> tuple[str, str]:
    """Return commit and branch; empty where only the event's file could tell, and does not."""
    ref = get("GITHUB_REF") or get("GITHUB_REF_NAME")
    if name.startswith("pull_request"):
        head = branch(get("GITHUB_HEAD_REF"), event.text("pull_request", "head", "ref"))
        return commit(event.text("pull_request", "head", "sha")), head
    match name:
        case "workflow_run" | "check_suite":
            return commit(event.text(name, "head_sha")), branch(event.text(name, "head_branch"))
        case "check_run":
            suite = branch(event.text(name, "check_suite", "head_branch"))
            return commit(event.text(name, "head_sha")), suite
        case "status":
            return commit(event.text("sha")), branch(event.only("branches").text("name"))
        case "issue_comment" if event.has("issue", "pull_request"):
            return "", ""
        case "deployment" | "deployment_status":
            # The reference is empty, and the event's is the commit again, if a commit was deployed.
            target = event.text("deployment", "ref")
            target = "" if _LOOKS_LIKE_COMMIT.fullmatch(target) else target
            return commit(event.text("deployment", "sha"), get("GITHUB_SHA")), branch(ref, target)
        case _:
            return commit(get("GITHUB_SHA")), branch(ref)


def _change(name: str, event: Event, ref: str) -> str:
    if name.startswith("pull_request"):
        pull = _PULL_REF.fullmatch(ref)
        return change(event.text("pull_request", "number"), pull[1] if pull else "")
    if name == "issue_comment" and event.has("issue", "pull_request"):
        return change(event.text("issue", "number"))
    if name in {"workflow_run", "check_suite", "check_run"}:
        return change(event.only(name, "pull_requests").text("number"))
    # The queue names its branch after the last of the pull requests that it tests together.
    queue = _QUEUE_REF.fullmatch(ref)
    return change(queue[1]) if queue else ""


def _withheld(name: str, event: Event, get: Callable[[str], str]) -> str:
    """Say whose changes get no secrets; events that run in the name of the target repository have them all."""
    if name in PRIVILEGED:
        return ""
    ours, theirs = (event.text("pull_request", side, "repo", "full_name") for side in ("base", "head"))
    # A fork that was deleted since leaves nothing where its repository was.
    gone = event.has("pull_request", "head") and not event.has("pull_request", "head", "repo")
    if gone or fork(ours, theirs):
        return "fork"
    author = event.text("pull_request", "user", "login") or get("GITHUB_ACTOR")
    return "dependabot" if author == "dependabot[bot]" else ""


def context(environ: Mapping[str, str]) -> Context:
    """Read the context of a job of GitHub Actions, or of act, which plays one on a local machine."""
    page, attempt = run_page(environ, "GITHUB_RUN_ID"), change(reader(environ)("GITHUB_RUN_ATTEMPT"))
    if truthy(environ, "ACT"):
        page = ""  # act names github.com and run 1, which is somebody else's run
    url = f"{page}/attempts/{attempt}" if page and attempt else page
    return github_context(environ, "github", url)


def _comments(environ: Mapping[str, str], context: Context, token: Secret, clock: Clock) -> Discussion | None:
    # Loaded only where there is a comment to write.
    from autonoma_ci.ci.comments.github import pull_request

    return pull_request(environ, context, token, clock)


SYSTEM = System(
    context=context,
    tokens=TOKENS,
    dialect=COMMANDS,
    path_in_checkout=path_in_checkout,
    publishers=github_files,
    comments=Comments("github-token", _comments),
)
