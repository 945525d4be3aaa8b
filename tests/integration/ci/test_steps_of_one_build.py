"""Results of several job steps in one shared target.

The targets are comments on GitHub and GitLab, Code Insights on Bitbucket, annotations and meta-data on Buildkite, and
the context on Semaphore. Each part of the build has its own text in its target.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest

from autonoma_ci import cli
from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.comments import sticky
from autonoma_ci.ci.ownership import (
    parse_mark,
    shared_warning,
)
from autonoma_ci.ci.publishers.build_variables import publish_build_variables
from autonoma_ci.ci.rest import http
from autonoma_ci.ci.systems import bitbucket
from autonoma_ci.ci.systems.buildkite import BuildkitePublisher
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext
from autonoma_ci.redaction.redactor import Secret
from tests.support.bitbucket_server import SHA, BitbucketServer
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import FAILED_VERDICT, PASSED_VERDICT, create_report, make_failed_run, make_passed_run
from tests.support.rest_stubs import TOKEN, CodeHostStub, GitHub, GitLab
from tests.support.threads import run_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from autonoma_ci.models import Report
    from autonoma_ci.sandbox import Sandbox

LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)
FAILING_ID, PASSING_ID, BOTH_IDS = "sandbox-fails", "sandbox-one", "sandbox-fails, sandbox-one"
DEFAULT_TITLE = "Autonoma tests"
ADVISED_OPTION = "summary-title"


@pytest.fixture(autouse=True)
def _shorten_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_RETRY_DELAY_SECONDS", 0.01)


# Agent programs that store their input in files

_BUILDKITE = """\
#!/bin/bash
store={store}
printf '%s\\n' "$*" >> "$store/calls"
case "$1 $2" in
  "meta-data get")
    if [ -f "$store/meta/$3" ]; then cat "$store/meta/$3"
    elif [ "$4" = --default ]; then printf %s "$5"; else exit 100; fi ;;
  "meta-data set")
    cat > "$store/meta/$3"; [ -s "$store/meta/$3" ] || exit 1 ;;
  "annotate --style")
    [ "$4" = --context ] || exit 1
    cat > "$store/annotations/$5"; printf %s "$3" > "$store/styles/$5" ;;
  *)
    exit 1 ;;
esac
"""
# Source: semaphoreci/toolbox, sem-context/pkg/validators/validators.go.
SEMAPHORE = """\
#!/bin/bash
store={store}
printf '%s\\n' "$*" >> "$store/calls"
name=${{2%%=*}}
case "$1" in
  get)
    if [ -f "$store/meta/$name" ]; then cat "$store/meta/$name"
    elif [ "$3" = --fallback ]; then printf %s "$4"; else exit 1; fi ;;
  put)
    without=${{2//=/}} value=${{2#*=}}
    [ $((${{#2}} - ${{#without}})) = 1 ] || exit 3
    [[ $name =~ ^[A-Za-z0-9_-]{{3,256}}$ ]] || exit 3
    [ "$value" ] && [ "$(printf %s "$value" | wc -c)" -le 20000 ] || exit 3
    [ "$3" = --force ] || exit 1
    printf %s "$value" > "$store/meta/$name" ;;
  *)
    exit 1 ;;
esac
"""


class AgentProgram:
    """An agent program in a folder of PATH outside of the checkout."""

    def __init__(self, folder: Path, name: str, script: str) -> None:
        self.store = folder / "store"
        for kind in ("meta", "annotations", "styles"):
            (self.store / kind).mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin" / name).write_text(script.format(store=shlex.quote(str(self.store))), "utf-8")
        (folder / "bin" / name).chmod(0o755)
        self.path = f"{folder / 'bin'}:/usr/bin:/bin"

    def read_files(self, kind: str) -> dict[str, str]:
        return {path.name: path.read_text("utf-8") for path in sorted((self.store / kind).iterdir())}

    @property
    def data(self) -> dict[str, str]:
        """The variables that users read, without the owner marks."""
        return {
            name: text
            for name, text in self.read_files("meta").items()
            if name.startswith("AUTONOMA_") and not name.startswith("AUTONOMA_WRITTEN_BY")
        }


# A target that several steps share


@dataclass(frozen=True)
class JobVariables:
    """The variables in which a CI system identifies build, attempt, job and parallel job.

    A name is empty if the CI system has no such variable. `first` is the index of the first parallel job.
    """

    environ: Mapping[str, str]
    build: str
    attempt: str
    job: str = ""
    index: str = ""
    total: str = ""
    first: int = 1

    def build_environ(
        self, build: int = 500, attempt: int = 1, job: str = "e2e", shard: tuple[int, int] = (1, 1)
    ) -> dict[str, str]:
        environ = {**self.environ, self.build: str(build), self.attempt: str(attempt), self.job: job}
        environ |= {self.index: str(shard[0] - 1 + self.first), self.total: str(shard[1])} if shard[1] > 1 else {}
        return {name: value for name, value in environ.items() if name}


JOB_VARIABLES = {
    "github": JobVariables(
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/e2e.yml@refs/pull/7/merge",
            "GITHUB_SERVER_URL": "https://git.example.com",
        },
        build="GITHUB_RUN_ID",
        attempt="GITHUB_RUN_ATTEMPT",
        job="GITHUB_JOB",
    ),
    "gitlab": JobVariables(
        {
            "GITLAB_CI": "true",
            "CI_MERGE_REQUEST_IID": "17",
            "CI_MERGE_REQUEST_PROJECT_ID": "42",
            "CI_PROJECT_ID": "42",
            "CI_PIPELINE_URL": "https://git.example.com/acme/shop/-/pipelines/500",
        },
        build="CI_PIPELINE_ID",
        attempt="CI_JOB_ID",
        job="CI_JOB_NAME",
        index="CI_NODE_INDEX",
        total="CI_NODE_TOTAL",
    ),
    "bitbucket": JobVariables(
        {
            "BITBUCKET_COMMIT": SHA,
            "BITBUCKET_WORKSPACE": "acme",
            "BITBUCKET_REPO_SLUG": "shop",
            "BITBUCKET_PIPELINE_UUID": "{the-pipeline}",
        },
        build="BITBUCKET_BUILD_NUMBER",
        attempt="BITBUCKET_STEP_RUN_NUMBER",
        index="BITBUCKET_PARALLEL_STEP",
        total="BITBUCKET_PARALLEL_STEP_COUNT",
        first=0,
    ),
    "buildkite": JobVariables(
        {"BUILDKITE": "true"},
        build="BUILDKITE_BUILD_ID",
        attempt="BUILDKITE_RETRY_COUNT",
        job="BUILDKITE_STEP_KEY",
        index="BUILDKITE_PARALLEL_JOB",
        total="BUILDKITE_PARALLEL_JOB_COUNT",
        first=0,
    ),
    "semaphore": JobVariables(
        {"SEMAPHORE": "true", "SEMAPHORE_WORKFLOW_ID": "w-1", "SEMAPHORE_BLOCK_NAME": "tests"},
        build="SEMAPHORE_PIPELINE_ID",
        attempt="",
        job="SEMAPHORE_JOB_NAME",
        index="SEMAPHORE_JOB_INDEX",
        total="SEMAPHORE_JOB_COUNT",
    ),
}
_HEADING = re.compile(r"### (.*): (?:\S+ )?(Passed|Failed|Started|Error)")


@dataclass
class SharedTarget:
    """A shared target and the steps that write to it.

    `read_texts` returns the texts in the target by their names.
    """

    job_variables: JobVariables
    sandbox: Sandbox
    folder: Path
    read_texts: Callable[[], dict[str, str]]
    environ: dict[str, str] = field(default_factory=dict)
    step_count: int = 0

    def run_step(self, ids: str = PASSING_ID, more: Mapping[str, str] | None = None, **overrides: Any) -> StepResult:
        """Run a step in a new folder."""
        self.step_count += 1
        folder = self.folder / f"step-{self.step_count}"
        folder.mkdir()
        return self.run_command(folder, [], {"AUTONOMA_TEST_IDS": ids, **(more or {})}, **overrides)

    def run_wait(self, step: StepResult, more: Mapping[str, str] | None = None, **overrides: Any) -> StepResult:
        """Run `wait` on the results.json of a step."""
        return self.run_command(step.folder, ["wait", "results/results.json"], more or {}, **overrides)

    def run_command(self, folder: Path, argv: list[str], more: Mapping[str, str], **overrides: Any) -> StepResult:
        out = io.StringIO()
        base_environ = {
            "AUTONOMA_CLIENT_ID": "sandbox-id",
            "AUTONOMA_CLIENT_SECRET": "sandbox-secret",
            "AUTONOMA_API_URL": self.sandbox.url,
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_TIMEOUT": "10m",
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_COMMENT": "true",
            "AUTONOMA_GITHUB_TOKEN": TOKEN,
            "AUTONOMA_GITLAB_TOKEN": TOKEN,
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        }
        environ = {**base_environ, **self.environ, **self.job_variables.build_environ(**overrides), **more}
        job_runtime = Runtime(
            environ, out, out, str(folder), poll_policy=POLL_POLICY, start_policy=START_POLICY, timeouts=LONG_TIMEOUTS
        )
        code = cli.run_command(argv, job_runtime)
        assert "Traceback" not in out.getvalue()
        return StepResult(folder, code, out.getvalue())

    def list_headings(self) -> list[tuple[str, str]]:
        """Return heading and conclusion of each text in the target."""
        matches = [_HEADING.search(text.replace("\\", "").replace("\u200b", "")) for text in self.read_texts().values()]
        return sorted((match[1], match[2]) for match in matches if match)


@dataclass(frozen=True)
class StepResult:
    """Folder, exit code and log of a step."""

    folder: Path
    code: int
    log: str

    @property
    def warnings(self) -> list[str]:
        """The log lines about another step with the same name."""
        return [line for line in self.log.splitlines() if "of the same name" in line]

    @property
    def rename_warnings(self) -> list[str]:
        """The log lines about variables that another step has set."""
        return [line for line in self.log.splitlines() if "The variables of this step end in" in line]


def _read_comments(host: CodeHostStub) -> dict[str, str]:
    return {str(comment.id): comment.body for comment in host.comments}


def _format_reports(host: BitbucketServer) -> dict[str, str]:
    conclusions = {"PASSED": "Passed", "FAILED": "Failed"}
    return {
        name: f"### {entry['title']}: {conclusions.get(entry.get('result', ''), 'Started')}\n{json.dumps(entry)}"
        for name, entry in host.reports.items()
    }


@pytest.fixture
def target(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SharedTarget]:
    """Yield the shared target of the CI system in the parameter."""
    name: str = request.param
    shared_target = SharedTarget(JOB_VARIABLES[name], sandbox, tmp_path / "work", dict)
    shared_target.folder.mkdir()
    with ExitStack() as stack:
        errors: list[str] = []
        if name in {"github", "gitlab"}:
            host = stack.enter_context(GitHub() if name == "github" else GitLab())
            shared_target.environ = {"GITHUB_API_URL" if name == "github" else "CI_API_V4_URL": host.url}
            shared_target.read_texts, errors = lambda: _read_comments(host), host.errors
        elif name == "bitbucket":
            proxy = stack.enter_context(BitbucketServer())
            monkeypatch.setattr(bitbucket, "PROXY_URL", proxy.url)
            shared_target.read_texts, errors = lambda: _format_reports(proxy), proxy.errors
        else:
            program = AgentProgram(tmp_path, "buildkite-agent", _BUILDKITE)
            shared_target.environ = {"PATH": program.path}
            shared_target.read_texts = lambda: program.read_files("annotations")
        yield shared_target
        assert errors == []


def for_targets(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("target", names, indirect=True)


for_each_target = for_targets("github", "gitlab", "bitbucket", "buildkite")


# Two parts


@pytest.mark.slow
@for_each_target
def test_step_without_parts_has_plain_heading(target: SharedTarget) -> None:
    """A build with one job step shows no part in its heading."""
    step = target.run_step(BOTH_IDS)
    assert step.code == 1
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed")]
    assert step.warnings == []


@pytest.mark.slow
@for_each_target
def test_passed_shard_keeps_failed_one(target: SharedTarget) -> None:
    """The last shard does not replace the result of an earlier shard."""
    for number, code in ((1, 1), (2, 0)):
        assert target.run_step(BOTH_IDS, {"AUTONOMA_SHARD": f"{number}/2"}).code == code
    assert target.list_headings() == [
        (f"{DEFAULT_TITLE} (shard 1/2)", "Failed"),
        (f"{DEFAULT_TITLE} (shard 2/2)", "Passed"),
    ]


@pytest.mark.slow
@for_each_target
def test_passed_part_keeps_failed_one(target: SharedTarget) -> None:
    """The option `part` distinguishes the jobs of a matrix."""
    for ids, system in ((FAILING_ID, "linux"), (PASSING_ID, "mac")):
        step = target.run_step(ids, {"AUTONOMA_PART": json.dumps({"os": system, "node": 22})})
        assert step.warnings == []
    assert target.list_headings() == [
        (f"{DEFAULT_TITLE} (linux, 22)", "Failed"),
        (f"{DEFAULT_TITLE} (mac, 22)", "Passed"),
    ]


@pytest.mark.slow
@for_each_target
def test_passed_part_with_secret_keeps_failed_one(target: SharedTarget) -> None:
    """Each job of a matrix over a secret value has its own text without the secret."""

    def run_leg(ids: str, client: str, **overrides: Any) -> StepResult:
        part = json.dumps({"client-id": client})
        return target.run_step(ids, {"AUTONOMA_PART": part, "AUTONOMA_CLIENT_ID": client}, **overrides)

    for ids, client in ((FAILING_ID, "account-one"), (PASSING_ID, "account-two")):
        assert run_leg(ids, client).warnings == []
    assert run_leg(PASSING_ID, "account-two", attempt=2).warnings == []
    assert [conclusion for _, conclusion in target.list_headings()] == ["Failed", "Passed"]
    assert len({heading for heading, _ in target.list_headings()}) == 2
    assert "account-" not in "".join(target.read_texts().values())


@pytest.mark.slow
@for_targets("gitlab", "bitbucket", "buildkite")
def test_passed_parallel_job_keeps_failed_one(target: SharedTarget) -> None:
    """The variables of parallel jobs are enough without any option."""
    for ids, number in ((FAILING_ID, 1), (PASSING_ID, 2)):
        assert target.run_step(ids, shard=(number, 3)).warnings == []
    assert target.list_headings() == [(f"{DEFAULT_TITLE} (1/3)", "Failed"), (f"{DEFAULT_TITLE} (2/3)", "Passed")]


@pytest.mark.slow
@for_targets("gitlab", "bitbucket", "buildkite")
def test_shard_auto_is_in_heading_once(target: SharedTarget) -> None:
    """With `shard: auto`, the shard is the index among parallel jobs."""
    for number in (1, 2):
        target.run_step(BOTH_IDS, {"AUTONOMA_SHARD": "auto"}, shard=(number, 2))
    assert target.list_headings() == [
        (f"{DEFAULT_TITLE} (shard 1/2)", "Failed"),
        (f"{DEFAULT_TITLE} (shard 2/2)", "Passed"),
    ]


@pytest.mark.slow
@for_targets("github", "gitlab", "buildkite")
def test_passed_job_keeps_failed_one(target: SharedTarget) -> None:
    """Two jobs of one workflow have the same title and one text each."""
    for ids, job in ((FAILING_ID, "desktop"), (PASSING_ID, "mobile")):
        assert target.run_step(ids, job=job).warnings == []
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]


@pytest.mark.slow
@for_each_target
def test_passed_title_keeps_failed_one(target: SharedTarget) -> None:
    """The option `summary-title` distinguishes two steps of one job."""
    for ids, title in ((FAILING_ID, "Smoke"), (PASSING_ID, "Nightly")):
        assert target.run_step(ids, {"AUTONOMA_SUMMARY_TITLE": title}).warnings == []
    assert target.list_headings() == [("Nightly", "Passed"), ("Smoke", "Failed")]


@pytest.mark.slow
@for_targets("github", "gitlab", "buildkite")
def test_part_with_markup_is_escaped(target: SharedTarget) -> None:
    """Matrix values are shown as text, not as markup."""
    target.run_step(FAILING_ID, {"AUTONOMA_PART": '{"a": "<b>*x*</b> -->", "b": "\\n# y"}'})
    [text] = target.read_texts().values()
    assert "<b>" not in text.split("\n", 2)[1 if text.startswith("<!--") else 0]
    assert len(target.list_headings()) == 1
    target.run_step(PASSING_ID, {"AUTONOMA_PART": '{"a": "<b>*x*</b> -->", "b": "\\n# y"}'}, attempt=2)
    assert [conclusion for _, conclusion in target.list_headings()] == ["Passed"]


# Steps with the same name


@pytest.mark.slow
@for_each_target
def test_second_step_of_name_has_own_text(target: SharedTarget) -> None:
    """A warning explains how to distinguish the two steps."""
    first = target.run_step(FAILING_ID)
    assert first.warnings == []
    before = target.read_texts()
    second = target.run_step(PASSING_ID)
    after = target.read_texts()
    assert {name: after[name] for name in before} == before
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]
    [warning] = second.warnings
    assert ADVISED_OPTION in warning
    assert second.code == 0


@pytest.mark.slow
@for_each_target
def test_third_step_of_name_has_own_text(target: SharedTarget) -> None:
    """No step of the same name replaces another one."""
    for ids in (FAILING_ID, PASSING_ID, FAILING_ID, PASSING_ID):
        target.run_step(ids)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed")] * 2 + [(DEFAULT_TITLE, "Passed")] * 2


@pytest.mark.slow
@for_each_target
def test_wait_updates_each_step_of_same_name(target: SharedTarget) -> None:
    """`wait` updates the text of the step that wrote results.json."""
    steps = [target.run_step(ids, {"AUTONOMA_WAIT": "false"}) for ids in (FAILING_ID, PASSING_ID)]
    assert target.list_headings() == [(DEFAULT_TITLE, "Started")] * 2
    for step, code in zip(reversed(steps), (0, 1), strict=True):
        assert target.run_wait(step).code == code
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]


# Attempts and builds


@pytest.mark.slow
@for_each_target
def test_retry_that_passes_replaces_own_text(target: SharedTarget) -> None:
    """The text of the retried job shows the pass, and that of the other part stays."""
    for number in (1, 2):
        target.run_step(BOTH_IDS, {"AUTONOMA_SHARD": f"{number}/2"})
    names = set(target.read_texts())
    step = target.run_step("sandbox-two, sandbox-one", {"AUTONOMA_SHARD": "1/2"}, attempt=2)
    assert step.warnings == []
    assert target.list_headings() == [
        (f"{DEFAULT_TITLE} (shard 1/2)", "Passed"),
        (f"{DEFAULT_TITLE} (shard 2/2)", "Passed"),
    ]
    assert set(target.read_texts()) == names


@pytest.mark.slow
@for_each_target
def test_retry_that_fails_replaces_own_text(target: SharedTarget) -> None:
    """A later failure replaces an earlier pass."""
    target.run_step(PASSING_ID, attempt=9)
    target.run_step(FAILING_ID, attempt=10)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed")]


@pytest.mark.slow
@for_each_target
def test_retry_keeps_other_part(target: SharedTarget) -> None:
    """A part that is not run again keeps its text."""
    target.run_step(FAILING_ID, {"AUTONOMA_PART": "linux"})
    target.run_step(PASSING_ID, {"AUTONOMA_PART": "mac"})
    before = target.read_texts()
    target.run_step(PASSING_ID, {"AUTONOMA_PART": "mac"}, attempt=2)
    assert target.list_headings() == [(f"{DEFAULT_TITLE} (linux)", "Failed"), (f"{DEFAULT_TITLE} (mac)", "Passed")]
    assert len([name for name, text in target.read_texts().items() if before[name] == text]) >= 1


@pytest.mark.slow
@for_targets("github", "gitlab", "bitbucket")
def test_older_build_replaces_nothing(target: SharedTarget) -> None:
    """The newer build is of the same commit or of a newer one."""
    target.run_step(FAILING_ID, build=501, attempt=7)
    before = target.read_texts()
    step = target.run_step(PASSING_ID, build=500, attempt=8)
    assert target.read_texts() == before
    assert step.code == 0
    assert step.warnings == []


@pytest.mark.slow
@for_each_target
def test_lower_attempt_has_own_text(target: SharedTarget) -> None:
    """Some systems count attempts per job, so a lower number is not always an older result."""
    target.run_step(PASSING_ID, attempt=10)
    before = target.read_texts()
    result = target.run_step(FAILING_ID, attempt=9)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]
    assert {name: text for name, text in target.read_texts().items() if name in before} == before
    assert ADVISED_OPTION in result.warnings[0]


@pytest.mark.slow
@for_each_target
def test_first_attempt_after_retry_shows(target: SharedTarget) -> None:
    """A step is retried until it passes, and the next step fails at its first attempt."""
    target.run_step(FAILING_ID, attempt=1)
    target.run_step(PASSING_ID, attempt=2)
    failed_step = target.run_step(FAILING_ID, attempt=1)
    assert failed_step.code == 1
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]
    assert ADVISED_OPTION in failed_step.warnings[0]


@pytest.mark.slow
@for_each_target
@pytest.mark.parametrize("first", [FAILING_ID, PASSING_ID])
def test_retry_of_one_step_of_two_keeps_both(first: str, target: SharedTarget) -> None:
    """The text of its earlier attempt is unknown, so the retry has a third one."""
    for ids in (first, PASSING_ID if first is FAILING_ID else FAILING_ID):
        target.run_step(ids, attempt=1)
    before = target.read_texts()
    retry = target.run_step(PASSING_ID, attempt=2)
    assert {name: text for name, text in target.read_texts().items() if name in before} == before
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed"), (DEFAULT_TITLE, "Passed")]
    assert ADVISED_OPTION in retry.warnings[0]


@pytest.mark.slow
@for_each_target
def test_wait_updates_text_of_retry(target: SharedTarget) -> None:
    """Only the text of the retry is updated."""
    for ids in (FAILING_ID, PASSING_ID):
        target.run_step(ids, attempt=1)
    retry = target.run_step(PASSING_ID, {"AUTONOMA_WAIT": "false"}, attempt=2)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed"), (DEFAULT_TITLE, "Started")]
    target.run_wait(retry, attempt=2)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed"), (DEFAULT_TITLE, "Passed")]


@pytest.mark.slow
@for_targets("github", "gitlab", "bitbucket")
def test_retry_takes_text_of_older_build(target: SharedTarget) -> None:
    """The older build had two steps of the name, so this build's text may be of the other step."""
    for ids in (PASSING_ID, PASSING_ID):
        target.run_step(ids, build=499)
    target.run_step(FAILING_ID, build=500, attempt=11)
    retry = target.run_step(PASSING_ID, build=500, attempt=12)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]
    assert ADVISED_OPTION in retry.warnings[0]


@pytest.mark.slow
@for_targets("github", "gitlab", "bitbucket")
def test_newer_build_replaces_each_part(target: SharedTarget) -> None:
    """There is one text for each part after any number of builds."""
    for build in (99, 100):
        for ids, part in ((FAILING_ID if build == 99 else PASSING_ID, "linux"), (PASSING_ID, "mac")):
            target.run_step(ids, {"AUTONOMA_PART": part}, build=build, attempt=build)
    assert target.list_headings() == [(f"{DEFAULT_TITLE} (linux)", "Passed"), (f"{DEFAULT_TITLE} (mac)", "Passed")]


@pytest.mark.slow
@for_targets("github", "gitlab", "bitbucket")
def test_newer_build_keeps_same_names_apart(target: SharedTarget) -> None:
    """Two steps of the same name take one text each of the build before."""
    for build in (500, 501):
        for ids in (FAILING_ID, PASSING_ID):
            target.run_step(ids, build=build)
    assert (DEFAULT_TITLE, "Failed") in target.list_headings()
    assert (DEFAULT_TITLE, "Passed") in target.list_headings()
    marks = [re.search(r"build (\d+) attempt", text) for text in target.read_texts().values()]
    assert [match[1] for match in marks if match].count("501") == 2


# Builds of one commit that run side by side


CHILD_PIPELINE = {"CI_PIPELINE_SOURCE": "parent_pipeline", "CI_COMMIT_SHA": SHA}
for_each_order = pytest.mark.parametrize(
    ("first", "second"),
    [
        ((501, FAILING_ID), (502, PASSING_ID)),
        ((501, PASSING_ID), (502, FAILING_ID)),
        ((502, PASSING_ID), (501, FAILING_ID)),
    ],
)


@pytest.mark.slow
@for_each_order
@for_targets("gitlab")
def test_child_pipelines_have_own_notes(first: tuple[int, str], second: tuple[int, str], target: SharedTarget) -> None:
    """Each child pipeline has its own id and is no earlier build of another one."""
    steps = [target.run_step(ids, CHILD_PIPELINE, build=build) for build, ids in (first, second)]
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]
    assert [len(step.warnings) for step in steps] == [0, 1]
    assert ADVISED_OPTION in steps[1].warnings[0]


@for_targets("gitlab")
def test_child_pipelines_of_next_commit_win(target: SharedTarget) -> None:
    """A note of an earlier commit or of an earlier job attempt is outdated."""
    for build, ids in ((501, FAILING_ID), (502, PASSING_ID)):
        target.run_step(ids, CHILD_PIPELINE, build=build)
    next_commit = {**CHILD_PIPELINE, "CI_COMMIT_SHA": SHA[::-1]}
    for build, ids in ((503, FAILING_ID), (504, FAILING_ID)):
        target.run_step(ids, next_commit, build=build)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed")] * 2
    target.run_step(PASSING_ID, next_commit, build=504, attempt=2)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]


@for_targets("gitlab")
def test_child_of_later_parent_replaces_note(target: SharedTarget) -> None:
    """GitLab names the parent pipeline, and children of two parents are successive builds."""
    for build, parent, ids in (
        (501, 500, FAILING_ID),
        (502, 500, FAILING_ID),
        (511, 510, PASSING_ID),
        (512, 510, PASSING_ID),
    ):
        target.run_step(ids, {**CHILD_PIPELINE, "CI_UPSTREAM_PIPELINE_ID": str(parent)}, build=build)
    assert target.list_headings() == [(DEFAULT_TITLE, "Passed"), (DEFAULT_TITLE, "Passed")]


@pytest.mark.slow
@for_each_order
@for_targets("bitbucket")
def test_pipelines_of_one_push_have_own_reports(
    first: tuple[int, str], second: tuple[int, str], target: SharedTarget
) -> None:
    """A push to a branch with a pull request starts two pipelines."""
    request = {"BITBUCKET_BRANCH": "main", "BITBUCKET_PR_ID": "42"}
    for more, (build, ids) in zip(({"BITBUCKET_BRANCH": "main"}, request), (first, second), strict=True):
        assert target.run_step(ids, more, build=build).warnings == []
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]
    target.run_step(PASSING_ID, request, build=600)
    target.run_step(PASSING_ID, {"BITBUCKET_BRANCH": "main"}, build=601)
    assert target.list_headings() == [(DEFAULT_TITLE, "Passed")] * 2


# A later step that waits


@pytest.mark.slow
@for_each_target
@pytest.mark.parametrize("other_job", [False, True], ids=["the same job", "another job"])
def test_wait_updates_text_of_results(other_job: bool, target: SharedTarget) -> None:
    """One text shows how the runs ended."""
    first_step = target.run_step(BOTH_IDS, {"AUTONOMA_WAIT": "false"})
    assert target.list_headings() == [(DEFAULT_TITLE, "Started")]
    overrides: dict[str, Any] = {"job": "verify", "attempt": 7} if other_job else {}
    wait_result = target.run_wait(first_step, **overrides)
    assert wait_result.code == 1
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed")]
    assert wait_result.warnings == []


@pytest.mark.slow
@for_each_target
def test_wait_for_part_keeps_other_parts(target: SharedTarget) -> None:
    """The results.json contains the part, so the later job need not name it."""
    first_step = target.run_step(FAILING_ID, {"AUTONOMA_WAIT": "false", "AUTONOMA_PART": "linux"})
    target.run_step(PASSING_ID, {"AUTONOMA_PART": "mac"})
    target.run_wait(first_step, job="verify")
    assert target.list_headings() == [(f"{DEFAULT_TITLE} (linux)", "Failed"), (f"{DEFAULT_TITLE} (mac)", "Passed")]


@for_targets("github", "gitlab")
def test_wait_in_other_job_keeps_its_step(target: SharedTarget) -> None:
    """The text of `wait` belongs to the step that started the runs."""
    target.run_step(FAILING_ID, job="verify")
    first_step = target.run_step(PASSING_ID, {"AUTONOMA_WAIT": "false"}, job="start")
    target.run_wait(first_step, job="verify")
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]


@pytest.mark.slow
@for_each_target
def test_wait_in_matrix_updates_text_of_results(target: SharedTarget) -> None:
    """The text belongs to the part that started the runs, not to this matrix job."""
    first_step = target.run_step(FAILING_ID, {"AUTONOMA_WAIT": "false"}, job="start")
    target.run_wait(first_step, {"AUTONOMA_PART": '{"name":"shop"}'}, job="verify")
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed")]


@pytest.mark.slow
@for_each_target
def test_wait_in_retry_keeps_other_step(target: SharedTarget) -> None:
    """A step belongs to the attempt that started its runs, even if only `wait` is retried."""
    target.run_step(FAILING_ID)
    first_step = target.run_step(PASSING_ID, {"AUTONOMA_WAIT": "false"})
    before = target.read_texts()
    target.run_wait(first_step, job="verify", attempt=2)
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]
    assert len([name for name, text in target.read_texts().items() if before[name] == text]) == 1


@pytest.mark.slow
@for_targets("github", "gitlab", "bitbucket")
def test_wait_for_old_attempt_replaces_nothing(target: SharedTarget) -> None:
    """The starting job was retried before `wait` read the results.json of its first attempt."""
    first = target.run_step(PASSING_ID, {"AUTONOMA_WAIT": "false"})
    target.run_step(FAILING_ID, attempt=2)
    before = target.read_texts()
    target.run_wait(first, job="verify", attempt=3)
    assert {name: text for name, text in target.read_texts().items() if name in before} == before
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]


# Results that the command `merge` publishes later


@pytest.mark.slow
@for_targets("github", "gitlab", "bitbucket")
def test_step_for_merge_writes_nothing_shared(target: SharedTarget) -> None:
    """Log, summary, outputs and files are still written."""
    step = target.run_step(BOTH_IDS, {"AUTONOMA_PUBLISH": "merge"})
    assert target.read_texts() == {}
    assert step.code == 1
    assert "1 of 2 runs passed, 1 failed." in step.log
    names = {path.name for path in (step.folder / "results").iterdir()}
    assert names >= {"results.json", "summary.md", "outputs.env", "junit.xml", "report.html"}
    if target.job_variables is JOB_VARIABLES["github"]:
        assert "conclusion" in (step.folder / "output").read_text("utf-8")
        assert "Failed" in (step.folder / "summary").read_text("utf-8")
    wait_result = target.run_wait(step, {"AUTONOMA_PUBLISH": "merge"})
    assert wait_result.code == 1
    assert target.read_texts() == {}


@for_targets("github", "gitlab", "bitbucket")
def test_step_for_merge_sends_no_request(target: SharedTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API of the CI system gets no request."""

    def fail_on_request(*_: object) -> None:
        raise AssertionError("a request was sent")

    monkeypatch.setattr(http.RestClient, "request", fail_on_request)
    assert target.run_step(PASSING_ID, {"AUTONOMA_PUBLISH": "merge"}).code == 0


# Steps that end at the same time


# A failing and a passing step, each with its id.
STEPS = ((True, "a" * 16), (False, "b" * 16))


def publish_at_once(host: CodeHostStub, method: str, reports: list[Report]) -> None:
    """Publish the reports at the same time.

    All threads list the comments before one sends its first `method`. All send it before one lists them again.
    """
    barrier, sent_count, checked_count = threading.Barrier(len(reports)), count(), count()
    all_sent = threading.Event()

    def wait_for_others(name: str) -> None:
        if name == method and next(sent_count) < len(reports):
            barrier.wait(60)
            all_sent.set()
        elif name == "GET" and all_sent.is_set() and next(checked_count) < len(reports):
            barrier.wait(60)

    host.on_request = wait_for_others
    run_at_once([partial(publish, open_thread(host), job_report) for job_report in reports])


def build_step_report(fails: bool, step_id: str, part: Part, build: str = "500") -> Report:
    runs = [make_failed_run("a")] if fails else [make_passed_run("a")]
    context = BuildContext("github", build_id=build, build_attempt="1", change_number="7", repository="acme/shop")
    return create_report(runs, FAILED_VERDICT if fails else PASSED_VERDICT)._replace(
        context=context, part=part, title=part.title, step_id=step_id, waits_for_results=True
    )


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_same_names_at_once_have_own_comments(service: str) -> None:
    """Both steps find no comment before either writes."""
    with GitHub() if service == "github" else GitLab() as host:
        publish_at_once(
            host, "POST", [build_step_report(fails, step, Part(title=DEFAULT_TITLE)) for fails, step in STEPS]
        )
        conclusions = [match[2] for body in _read_comments(host).values() if (match := _HEADING.search(body))]
        assert sorted(conclusions) == ["Failed", "Passed"]
        assert host.errors == []


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_two_parts_at_once_have_own_comments(service: str) -> None:
    """Each part looks for its own comment."""
    with GitHub() if service == "github" else GitLab() as host:
        publish_at_once(host, "POST", [build_step_report(fails, step, Part(part=step)) for fails, step in STEPS])
        assert len(host.comments) == 2
        assert sorted(host.list_methods()) == ["POST", "POST"]


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_two_steps_on_old_comment_both_show(service: str) -> None:
    """Both replace the comment of the earlier build, and the replaced step writes another."""
    with GitHub() if service == "github" else GitLab() as host:
        publish(open_thread(host, "499"), build_step_report(False, "c" * 16, Part(title=DEFAULT_TITLE), "499"))
        publish_at_once(
            host,
            host.update_method,
            [build_step_report(fails, step, Part(title=DEFAULT_TITLE)) for fails, step in STEPS],
        )
        conclusions = [match[2] for body in _read_comments(host).values() if (match := _HEADING.search(body))]
        assert sorted(conclusions) == ["Failed", "Passed"]


CLIENT_SECRET = Secret("secret-of-the-client")


def publish(thread: sticky.CommentThread, job_report: Report, secret: Secret = CLIENT_SECRET) -> str | None:
    """Publish a report with the secret that all steps share."""
    return sticky.create_or_update_comment(thread, job_report, secret)


def open_thread(host: CodeHostStub, build: str = "500") -> sticky.CommentThread:
    from autonoma_ci.ci.detection import detect, load_system
    from autonoma_ci.clock import Clock

    name = "github" if isinstance(host, GitHub) else "gitlab"
    environ = {
        **JOB_VARIABLES[name].build_environ(build=int(build)),
        "GITHUB_API_URL": host.url,
        "CI_API_V4_URL": host.url,
    }
    system = load_system(detect(environ))
    assert system.comment_support
    thread = system.comment_support.open_thread(environ, system.build_context(environ), Secret(TOKEN), Clock())
    assert thread
    return thread


# Data of the build


@dataclass
class BuildData:
    """Variables of a build and the steps that set them."""

    program: AgentProgram
    target: SharedTarget

    def __getitem__(self, name: str) -> str:
        return self.program.data[name]

    def read_conclusions(self) -> dict[str, str]:
        """Return the conclusions by the suffix of the variable name."""
        name = "AUTONOMA_CONCLUSION"
        return {key.removeprefix(name): text for key, text in self.program.data.items() if key.startswith(name)}


@pytest.fixture
def data(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> BuildData:
    name: str = request.param
    tool, script = ("buildkite-agent", _BUILDKITE) if name == "buildkite" else ("sem-context", SEMAPHORE)
    program = AgentProgram(tmp_path, tool, script)
    target = SharedTarget(JOB_VARIABLES[name], sandbox, tmp_path / "work", dict, {"PATH": program.path})
    target.folder.mkdir()
    return BuildData(program, target)


for_each_system = pytest.mark.parametrize("data", ["buildkite", "semaphore"], indirect=True)


@for_each_system
def test_data_without_parts_has_plain_names(data: BuildData) -> None:
    """A build with one step has the documented variable names."""
    step = data.target.run_step(FAILING_ID)
    assert data.read_conclusions() == {"": "failed"}
    assert data["AUTONOMA_RUN_URL"].startswith("http://127.0.0.1")
    assert data["AUTONOMA_REASON"] == "failed"
    assert step.rename_warnings == []


@pytest.mark.slow
@for_each_system
@pytest.mark.parametrize(
    ("more", "overrides", "suffixes"),
    [
        ([{"AUTONOMA_SHARD": "1/2"}, {"AUTONOMA_SHARD": "2/2"}], [{}, {}], ["_SHARD_1_2", "_SHARD_2_2"]),
        ([{"AUTONOMA_PART": '{"os": "linux"}'}, {"AUTONOMA_PART": '{"os": "mac"}'}], [{}, {}], ["_LINUX", "_MAC"]),
        ([{}, {}], [{"shard": (1, 3)}, {"shard": (2, 3)}], ["_1_3", "_2_3"]),
    ],
    ids=["shard", "part", "parallel"],
)
def test_data_of_failed_part_stays(
    more: list[dict[str, str]], overrides: list[dict[str, Any]], suffixes: list[str], data: BuildData
) -> None:
    """Each part has its own variable names, and no part has names without suffix."""
    for ids, options, override in zip((FAILING_ID, PASSING_ID), more, overrides, strict=True):
        assert (
            data.target.run_step(BOTH_IDS if "AUTONOMA_SHARD" in options else ids, options, **override).rename_warnings
            == []
        )
    assert data.read_conclusions() == dict(zip(suffixes, ("failed", "passed"), strict=True))
    names = set(data.program.data)
    assert {f"AUTONOMA_{name}{suffix}" for name in ("REASON", "RUN_URL", "RUN_ID") for suffix in suffixes} <= names
    assert not {"AUTONOMA_CONCLUSION", "AUTONOMA_RUN_URL", "AUTONOMA_RUN_ID"} & names


@pytest.mark.slow
@for_each_system
def test_data_of_failed_job_stays(data: BuildData) -> None:
    """Two jobs without parts have the same names, so the second uses others and warns."""
    data.target.run_step(FAILING_ID, job="desktop")
    before = data.program.data
    second = data.target.run_step(PASSING_ID, job="mobile")
    assert data.read_conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}
    assert {name: data[name] for name in before} == before
    [warning] = second.rename_warnings
    assert "_AUTONOMA_TESTS" in warning
    assert ADVISED_OPTION in warning


@pytest.mark.slow
@for_each_system
def test_data_of_steps_of_same_name_stays(data: BuildData) -> None:
    """The first step has the plain names, and each later one has its own."""
    warnings = [data.target.run_step(ids).rename_warnings for ids in (FAILING_ID, PASSING_ID, FAILING_ID, PASSING_ID)]
    conclusions = data.read_conclusions()
    assert conclusions[""] == "failed"
    assert sorted(conclusions.values()) == ["failed", "failed", "passed", "passed"]
    assert warnings[0] == []
    assert all(warnings[1:])


@pytest.mark.slow
@for_each_system
def test_data_of_retry_replaces_own(data: BuildData) -> None:
    """A retried job has the names that it used before."""
    for ids, part in ((FAILING_ID, "linux"), (FAILING_ID, "mac")):
        data.target.run_step(ids, {"AUTONOMA_PART": part})
    more: dict[str, Any] = {"build": 501} if data.target.job_variables is JOB_VARIABLES["semaphore"] else {"attempt": 2}
    assert data.target.run_step(PASSING_ID, {"AUTONOMA_PART": "linux"}, **more).rename_warnings == []
    assert data.read_conclusions() == {"_LINUX": "passed", "_MAC": "failed"}


@pytest.mark.slow
@for_each_system
def test_data_of_second_job_retry_replaces_own(data: BuildData) -> None:
    """The second of two jobs finds its own names again, not those of the first."""
    for ids, job in ((FAILING_ID, "desktop"), (FAILING_ID, "mobile")):
        data.target.run_step(ids, job=job)
    more: dict[str, Any] = {"build": 501} if data.target.job_variables is JOB_VARIABLES["semaphore"] else {"attempt": 2}
    data.target.run_step(PASSING_ID, job="mobile", **more)
    assert data.read_conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}


@pytest.mark.slow
@for_each_system
@pytest.mark.parametrize("job", ["e2e", "verify"])
def test_data_is_updated_by_wait(job: str, data: BuildData) -> None:
    """`wait` sets the names of the step that started the runs."""
    first_step = data.target.run_step(FAILING_ID, {"AUTONOMA_WAIT": "false"})
    assert data.read_conclusions() == {"": "started"}
    assert data.target.run_wait(first_step, job=job).rename_warnings == []
    assert data.read_conclusions() == {"": "failed"}


@pytest.mark.slow
@for_each_system
def test_data_of_other_step_survives_wait(data: BuildData) -> None:
    """A step belongs to the attempt that started its runs."""
    data.target.run_step(FAILING_ID)
    first_step = data.target.run_step(PASSING_ID, {"AUTONOMA_WAIT": "false"})
    data.target.run_wait(first_step, job="verify", attempt=2)
    assert data.read_conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}


@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
def test_data_of_lower_attempt_has_own_names(data: BuildData) -> None:
    """One matrix job passes at a retry, and another one then fails at its first attempt."""
    data.target.run_step(FAILING_ID, attempt=0)
    data.target.run_step(PASSING_ID, attempt=1)
    failed_step = data.target.run_step(FAILING_ID, attempt=0)
    assert data.read_conclusions() == {"": "passed", "_AUTONOMA_TESTS": "failed"}
    assert ADVISED_OPTION in failed_step.rename_warnings[0]


@pytest.mark.slow
@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
@pytest.mark.parametrize("steps", [2, 3])
def test_data_of_unknown_step_is_not_replaced(steps: int, data: BuildData) -> None:
    """The names of its earlier attempt are unknown, so the retry has others."""
    for _ in range(steps):
        data.target.run_step(FAILING_ID, attempt=0)
    before = data.program.data
    retry = data.target.run_step(PASSING_ID, attempt=1)
    assert {name: data[name] for name in before} == before
    assert sorted(data.read_conclusions().values()) == ["failed"] * steps + ["passed"]
    assert ADVISED_OPTION in retry.rename_warnings[0]


@for_each_system
def test_data_has_no_value_of_earlier_attempt(data: BuildData) -> None:
    """A step with invalid input has no run, so the link of the earlier run is removed."""
    data.target.run_step(FAILING_ID)
    assert data["AUTONOMA_RUN_URL"].startswith("http://127.0.0.1")
    more: dict[str, Any] = {"build": 501} if data.target.job_variables is JOB_VARIABLES["semaphore"] else {"attempt": 2}
    step = data.target.run_step(PASSING_ID, {"AUTONOMA_TIMEOUT": "nonsense"}, **more)
    assert step.code == 2
    assert data.read_conclusions() == {"": "error"}
    assert (data["AUTONOMA_RUN_URL"], data["AUTONOMA_RUN_ID"]) == ("none", "none")


@for_each_system
def test_data_without_run_has_no_empty_names(data: BuildData) -> None:
    """Both systems reject an empty value, and none is needed without an earlier one."""
    step = data.target.run_step(PASSING_ID, {"AUTONOMA_TIMEOUT": "nonsense"})
    assert data.read_conclusions() == {"": "error"}
    assert "AUTONOMA_RUN_URL" not in data.program.data
    assert "could not be set" not in step.log


def fail_once(data: BuildData, command: str, code: int) -> None:
    """Make the next call of a command fail, as if the server were unreachable."""
    [tool] = (data.program.store.parent / "bin").iterdir()
    script = tool.read_text("utf-8")
    exit_command = f'[ -f "{data.program.store}/once" ] || {{ touch "{data.program.store}/once"; exit {code}; }}\n'
    assert command in script
    tool.write_text(script.replace(command, f"{command}\n{exit_command}", 1), "utf-8")


@for_each_system
def test_data_unreadable_is_not_replaced(data: BuildData) -> None:
    """A failed read does not mean that there is no data."""
    data.target.run_step(FAILING_ID, {"AUTONOMA_SUMMARY": "false"})
    command, code = (
        ("  get)", 2) if data.target.job_variables is JOB_VARIABLES["semaphore"] else ('  "meta-data get")', 1)
    )
    fail_once(data, command, code)
    passed_step = data.target.run_step(PASSING_ID, {"AUTONOMA_SUMMARY": "false"})
    assert data.read_conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}
    assert "could not be read" in passed_step.rename_warnings[0]


@for_each_system
def test_data_is_not_set_before_merge(data: BuildData) -> None:
    """No variable of the build is set."""
    step = data.target.run_step(FAILING_ID, {"AUTONOMA_PUBLISH": "merge"})
    assert step.code == 1
    assert data.program.data == {}
    assert (step.folder / "results" / "summary.md").is_file()


@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
def test_annotation_is_written_before_merge(data: BuildData) -> None:
    """The annotation is Buildkite's summary, and each part has its own."""
    for ids, part in ((FAILING_ID, "linux"), (PASSING_ID, "mac")):
        data.target.run_step(ids, {"AUTONOMA_PUBLISH": "merge", "AUTONOMA_PART": part})
    assert sorted(data.program.read_files("styles").values()) == ["error", "success"]
    assert data.program.data == {}


@for_targets("buildkite")
def test_annotation_before_merge_replaces_none(target: SharedTarget) -> None:
    """Such a step writes no owner mark, so its annotation has a unique name."""
    for ids in (FAILING_ID, PASSING_ID):
        assert target.run_step(ids, {"AUTONOMA_PUBLISH": "merge"}).warnings == []
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed"), (DEFAULT_TITLE, "Passed")]


@for_targets("buildkite")
def test_annotation_before_merge_updates(target: SharedTarget) -> None:
    """`wait` continues the step and so updates its annotation."""
    first_step = target.run_step(FAILING_ID, {"AUTONOMA_PUBLISH": "merge", "AUTONOMA_WAIT": "false"})
    target.run_wait(first_step, {"AUTONOMA_PUBLISH": "merge"})
    assert target.list_headings() == [(DEFAULT_TITLE, "Failed")]


@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
def test_annotation_without_mark_replaces_none(data: BuildData) -> None:
    """The next step can't know the owner of an annotation without a mark."""
    [tool] = (data.program.store.parent / "bin").iterdir()
    script = tool.read_text("utf-8")
    tool.write_text(script.replace('"meta-data set")', '"meta-data set")\n    exit 1'), "utf-8")
    logs = [data.target.run_step(ids).log for ids in (FAILING_ID, PASSING_ID)]
    assert sorted(data.program.read_files("styles").values()) == ["error", "success"]
    assert all("The build's meta-data could not be set" in log for log in logs)


@dataclass
class Codefresh:
    """A Codefresh build whose steps share a folder.

    A file in the folder sets the environment of later steps.
    """

    target: SharedTarget
    file: Path

    def read_variables(self) -> dict[str, str]:
        lines = self.file.read_text("utf-8").splitlines()
        return {name: text for name, _, text in (line.partition("=") for line in lines)}

    def run_step(
        self, ids: str, name: str, more: Mapping[str, str] | None = None, *, parallel: bool = False
    ) -> StepResult:
        exported_variables = self.read_variables() if self.file.exists() and not parallel else {}
        return self.target.run_step(ids, {"CF_STEP_NAME": name, **exported_variables, **(more or {})})

    def read_conclusions(self) -> dict[str, str]:
        name = "AUTONOMA_CONCLUSION"
        return {key.removeprefix(name): text for key, text in self.read_variables().items() if key.startswith(name)}


@pytest.fixture
def codefresh(sandbox: Sandbox, tmp_path: Path) -> Codefresh:
    job_variables = JobVariables(
        {"CF_BUILD_ID": "6f1a", "CF_VOLUME_PATH": str(tmp_path)}, build="", attempt="CF_CURRENT_ATTEMPT"
    )
    target = SharedTarget(job_variables, sandbox, tmp_path / "work", dict)
    target.folder.mkdir()
    return Codefresh(target, tmp_path / "env_vars_to_export")


@pytest.mark.parametrize("parallel", [False, True])
def test_codefresh_data_of_failed_step_stays(parallel: bool, codefresh: Codefresh) -> None:
    """All steps of a build share the file, one after the other or at the same time."""
    codefresh.file.write_text("EARLIER=1", "utf-8")
    codefresh.run_step(FAILING_ID, "smoke")
    before = codefresh.read_variables()
    assert (before["EARLIER"], before["AUTONOMA_CONCLUSION"]) == ("1", "failed")
    passed_step = codefresh.run_step(PASSING_ID, "full", parallel=parallel)
    assert codefresh.read_conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}
    assert {name: text for name, text in codefresh.read_variables().items() if name in before} == before
    assert ADVISED_OPTION in passed_step.rename_warnings[0]
    assert all(line.isprintable() and " " not in line for line in codefresh.file.read_text("utf-8").splitlines())


def test_codefresh_data_is_replaced_by_wait(codefresh: Codefresh) -> None:
    """The step that waits continues the step that started the runs."""
    first_step = codefresh.run_step(FAILING_ID, "smoke", {"AUTONOMA_WAIT": "false"})
    assert codefresh.read_conclusions() == {"": "started"}
    codefresh.target.run_wait(first_step, {"CF_STEP_NAME": "verify", **codefresh.read_variables()})
    assert codefresh.read_conclusions() == {"": "failed"}


def test_codefresh_data_is_not_set_before_merge(codefresh: Codefresh) -> None:
    """A step for `merge` sets no variables on Codefresh either."""
    codefresh.run_step(FAILING_ID, "smoke", {"AUTONOMA_PUBLISH": "merge"})
    assert not codefresh.file.exists()


# Data that two steps set at the same time


class SharedData:
    """Build data that two steps set at the same time.

    Both read a mark before one sets it, and both set it before one reads it again. The class also replaces the agent
    program and stores its annotations.
    """

    _marks = frozenset({"AUTONOMA_WRITTEN_BY", f"autonoma-ci-{Part(title=DEFAULT_TITLE).digest}"})

    def __init__(self) -> None:
        self.store: dict[str, str] = {}
        self.annotations: dict[str, str] = {}
        self._read_barrier, self._write_barrier = threading.Barrier(2), threading.Barrier(2)
        self._passed_marks: set[tuple[int, str]] = set()

    def get(self, name: str) -> str:
        text = self.store.get(name, "")
        self._wait_for_other_step(self._read_barrier, "get", name)
        return text

    def put(self, name: str, text: str) -> None:
        self.store[name] = text
        self._wait_for_other_step(self._write_barrier, "put", name)

    def _wait_for_other_step(self, barrier: threading.Barrier, operation: str, name: str) -> None:
        """Wait for the other step at the first operation of this thread on a mark."""
        key = threading.get_ident(), f"{operation} {name}"
        if name in self._marks and key not in self._passed_marks:
            self._passed_marks.add(key)
            barrier.wait(60)

    def run(self, arguments: list[str], text: str = "") -> None:
        if arguments[0] == "annotate":
            self.annotations[arguments[4]] = text
        else:
            self.put(arguments[2], text)

    def read(self, arguments: list[str]) -> str:
        return self.get(arguments[2])


def publish_both(publish: Callable[[Report], object]) -> None:
    """Publish the reports of both steps in two threads."""
    reports = [build_step_report(fails, step, Part(title=DEFAULT_TITLE)) for fails, step in STEPS]
    run_at_once([partial(publish, report) for report in reports])


@pytest.mark.parametrize("round_", range(5))
def test_data_at_once_has_two_names(round_: int) -> None:
    """Neither step finds a mark, and the step whose mark is replaced uses other names."""
    shared_data = SharedData()
    publish_both(lambda report: publish_build_variables(report, "500", shared_data.get, shared_data.put))
    conclusions = {name: text for name, text in shared_data.store.items() if name.startswith("AUTONOMA_CONCLUSION")}
    assert sorted(conclusions.values()) == ["failed", "passed"]
    assert set(conclusions) == {"AUTONOMA_CONCLUSION", "AUTONOMA_CONCLUSION_AUTONOMA_TESTS"}
    mark = parse_mark(shared_data.store["AUTONOMA_WRITTEN_BY"].replace(":", " "))
    assert mark
    is_failed_step = mark.step == "a" * 8
    assert shared_data.store["AUTONOMA_CONCLUSION"] == ("failed" if is_failed_step else "passed")
    assert shared_data.store["AUTONOMA_FAILED"] == ("1" if is_failed_step else "0")


@pytest.mark.parametrize("round_", range(5))
def test_annotations_at_once_have_two_names(round_: int, tmp_path: Path) -> None:
    """Matrix jobs share the key of their step and may end at the same time."""
    shared_data = SharedData()
    publisher = BuildkitePublisher(cast("Any", shared_data), make_publish_context({}, tmp_path))
    publish_both(publisher.publish)
    conclusions = [match[2] for text in shared_data.annotations.values() if (match := _HEADING.search(text))]
    assert sorted(conclusions) == ["Failed", "Passed"]


@pytest.mark.parametrize("step_id", ["--><b>@x", "../../..", "\n# x", "é" * 8, "a b c d ", "\ud800" * 8])
def test_comment_escapes_hostile_step_id(step_id: str) -> None:
    """The results.json that `wait` reads is untrusted."""
    with GitHub() as host:
        for fails in (False, True):
            assert publish(open_thread(host), build_step_report(fails, step_id, Part(title=DEFAULT_TITLE))) in {
                None,
                shared_warning("a comment"),
            }
        for comment in host.comments:
            marker, heading, *_ = comment.body.splitlines()
            assert re.fullmatch(r"<!-- autonoma-ci [0-9a-f]{16} [A-Za-z0-9_. -]+ mac [0-9a-f]{32} -->", marker)
            assert heading.startswith("### Autonoma tests")
        assert host.errors == []
