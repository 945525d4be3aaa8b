"""Results of several job steps in one shared place.

The places are comments on GitHub and GitLab, Code Insights on Bitbucket, annotations and meta-data on Buildkite, and
the context on Semaphore. Each part of the build has its own there.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest

from autonoma_ci import cli
from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.comments import http, sticky
from autonoma_ci.ci.ownership import (
    parse_mark,
    shared_warning,
)
from autonoma_ci.ci.publishers.build_variables import publish_build_variables
from autonoma_ci.ci.systems import bitbucket
from autonoma_ci.ci.systems.buildkite import BuildkitePublisher
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from tests.support.bitbucket_server import SHA, Bitbucket
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import FAILED, PASSED, failed, passed, report
from tests.support.rest_stubs import TOKEN, CodeHost, GitHub, GitLab
from tests.support.run_step import POLL_POLICY, START_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from autonoma_ci.models import Report

PATIENT = Timeouts(connect=60.0, read=60.0, total=120.0)
RED, GREEN, BOTH = "sandbox-fails", "sandbox-one", "sandbox-fails, sandbox-one"
PLAIN = "Autonoma tests"
ADVICE = "summary-title"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_RETRY_DELAY_SECONDS", 0.01)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0) as running:
        yield running


# Programs of an agent, which keep what they are given in files

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


class Program:
    """A program of the agent, in a folder of PATH that is not the checkout."""

    def __init__(self, folder: Path, name: str, script: str) -> None:
        self.store = folder / "store"
        for place in ("meta", "annotations", "styles"):
            (self.store / place).mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin" / name).write_text(script.format(store=shlex.quote(str(self.store))), "utf-8")
        (folder / "bin" / name).chmod(0o755)
        self.path = f"{folder / 'bin'}:/usr/bin:/bin"

    def files(self, place: str) -> dict[str, str]:
        return {path.name: path.read_text("utf-8") for path in sorted((self.store / place).iterdir())}

    @property
    def data(self) -> dict[str, str]:
        """The variables that users read, without the marks that tell steps apart."""
        return {
            name: text
            for name, text in self.files("meta").items()
            if name.startswith("AUTONOMA_") and not name.startswith("AUTONOMA_WRITTEN_BY")
        }


# A place that several steps share


@dataclass(frozen=True)
class Facts:
    """How a CI system names a build, an attempt, a job and a place among parallel jobs; nothing where it does not."""

    environ: Mapping[str, str]
    build: str
    attempt: str
    job: str = ""
    index: str = ""
    total: str = ""
    first: int = 1

    def of(
        self, build: int = 500, attempt: int = 1, job: str = "e2e", place: tuple[int, int] = (1, 1)
    ) -> dict[str, str]:
        found = {**self.environ, self.build: str(build), self.attempt: str(attempt), self.job: job}
        found |= {self.index: str(place[0] - 1 + self.first), self.total: str(place[1])} if place[1] > 1 else {}
        return {name: value for name, value in found.items() if name}


FACTS = {
    "github": Facts(
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
    "gitlab": Facts(
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
    "bitbucket": Facts(
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
    "buildkite": Facts(
        {"BUILDKITE": "true"},
        build="BUILDKITE_BUILD_ID",
        attempt="BUILDKITE_RETRY_COUNT",
        job="BUILDKITE_STEP_KEY",
        index="BUILDKITE_PARALLEL_JOB",
        total="BUILDKITE_PARALLEL_JOB_COUNT",
        first=0,
    ),
    "semaphore": Facts(
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
class Place:
    """A shared place, and a way to run steps that write to it; `texts` returns what is there by its name."""

    facts: Facts
    sandbox: Sandbox
    folder: Path
    texts: Callable[[], dict[str, str]]
    environ: dict[str, str] = field(default_factory=dict)
    steps: int = 0

    def step(self, ids: str = GREEN, more: Mapping[str, str] | None = None, **facts: Any) -> Step:
        """Run a step in a folder of its own."""
        self.steps += 1
        folder = self.folder / f"step-{self.steps}"
        folder.mkdir()
        return self.run(folder, [], {"AUTONOMA_TEST_IDS": ids, **(more or {})}, **facts)

    def wait(self, step: Step, more: Mapping[str, str] | None = None, **facts: Any) -> Step:
        """Run `wait` on what a step left."""
        return self.run(step.folder, ["wait", "results/results.json"], more or {}, **facts)

    def run(self, folder: Path, argv: list[str], more: Mapping[str, str], **facts: Any) -> Step:
        out = io.StringIO()
        ours = {
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
        environ = {**ours, **self.environ, **self.facts.of(**facts), **more}
        job_runtime = Runtime(
            environ, out, out, str(folder), poll_policy=POLL_POLICY, start_policy=START_POLICY, timeouts=PATIENT
        )
        code = cli.run_command(argv, job_runtime)
        assert "Traceback" not in out.getvalue()
        return Step(folder, code, out.getvalue())

    def shown(self) -> list[tuple[str, str]]:
        """Return the heading and the conclusion of each thing that is there."""
        found = [_HEADING.search(text.replace("\\", "").replace("\u200b", "")) for text in self.texts().values()]
        return sorted((match[1], match[2]) for match in found if match)


@dataclass(frozen=True)
class Step:
    """A step that has ended."""

    folder: Path
    code: int
    log: str

    @property
    def warnings(self) -> list[str]:
        """The lines of the log that tell of another step with the same name."""
        return [line for line in self.log.splitlines() if "of the same name" in line]

    @property
    def renamed(self) -> list[str]:
        """The lines of the log that tell of variables that another step has set."""
        return [line for line in self.log.splitlines() if "those of this step end in" in line]


def _bodies(host: CodeHost) -> dict[str, str]:
    return {str(made.id): made.body for made in host.comments}


def _as_text(host: Bitbucket) -> dict[str, str]:
    words = {"PASSED": "Passed", "FAILED": "Failed"}
    return {
        name: f"### {made['title']}: {words.get(made.get('result', ''), 'Started')}\n{json.dumps(made)}"
        for name, made in host.reports.items()
    }


@pytest.fixture
def place(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Yield the shared place that the test names."""
    name: str = request.param
    made = Place(FACTS[name], sandbox, tmp_path / "work", dict)
    made.folder.mkdir()
    with ExitStack() as stack:
        complaints: list[str] = []
        if name in {"github", "gitlab"}:
            host = stack.enter_context(GitHub() if name == "github" else GitLab())
            made.environ = {"GITHUB_API_URL" if name == "github" else "CI_API_V4_URL": host.url}
            made.texts, complaints = lambda: _bodies(host), host.complaints
        elif name == "bitbucket":
            proxy = stack.enter_context(Bitbucket())
            monkeypatch.setattr(bitbucket, "PROXY_URL", proxy.url)
            made.texts, complaints = lambda: _as_text(proxy), proxy.complaints
        else:
            program = Program(tmp_path, "buildkite-agent", _BUILDKITE)
            made.environ = {"PATH": program.path}
            made.texts = lambda: program.files("annotations")
        yield made
        assert complaints == []


def places(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("place", names, indirect=True)


everywhere = places("github", "gitlab", "bitbucket", "buildkite")


# Two parts


@pytest.mark.slow
@everywhere
def test_step_without_parts_has_plain_heading(place: Place) -> None:
    """A build with one job step shows no part in its heading."""
    step = place.step(BOTH)
    assert step.code == 1
    assert place.shown() == [(PLAIN, "Failed")]
    assert step.warnings == []


@pytest.mark.slow
@everywhere
def test_passed_shard_keeps_failed_one(place: Place) -> None:
    """The last shard to end does not replace the result of an earlier one."""
    for number, code in ((1, 1), (2, 0)):
        assert place.step(BOTH, {"AUTONOMA_SHARD": f"{number}/2"}).code == code
    assert place.shown() == [(f"{PLAIN} (shard 1/2)", "Failed"), (f"{PLAIN} (shard 2/2)", "Passed")]


@pytest.mark.slow
@everywhere
def test_passed_part_keeps_failed_one(place: Place) -> None:
    """The option `part` distinguishes the jobs of a matrix."""
    for ids, system in ((RED, "linux"), (GREEN, "mac")):
        step = place.step(ids, {"AUTONOMA_PART": json.dumps({"os": system, "node": 22})})
        assert step.warnings == []
    assert place.shown() == [(f"{PLAIN} (linux, 22)", "Failed"), (f"{PLAIN} (mac, 22)", "Passed")]


@pytest.mark.slow
@everywhere
def test_passed_part_with_secret_keeps_failed_one(place: Place) -> None:
    """Each job of a matrix over a secret value has its own text without the secret."""

    def leg(ids: str, client: str, **facts: Any) -> Step:
        part = json.dumps({"client-id": client})
        return place.step(ids, {"AUTONOMA_PART": part, "AUTONOMA_CLIENT_ID": client}, **facts)

    for ids, client in ((RED, "account-one"), (GREEN, "account-two")):
        assert leg(ids, client).warnings == []
    assert leg(GREEN, "account-two", attempt=2).warnings == []
    assert [conclusion for _, conclusion in place.shown()] == ["Failed", "Passed"]
    assert len({heading for heading, _ in place.shown()}) == 2
    assert "account-" not in "".join(place.texts().values())


@pytest.mark.slow
@places("gitlab", "bitbucket", "buildkite")
def test_passed_parallel_job_keeps_failed_one(place: Place) -> None:
    """The variables of parallel jobs are enough without any option."""
    for ids, number in ((RED, 1), (GREEN, 2)):
        assert place.step(ids, place=(number, 3)).warnings == []
    assert place.shown() == [(f"{PLAIN} (1/3)", "Failed"), (f"{PLAIN} (2/3)", "Passed")]


@pytest.mark.slow
@places("gitlab", "bitbucket", "buildkite")
def test_shard_auto_is_in_heading_once(place: Place) -> None:
    """With `shard: auto`, the shard is the index among parallel jobs."""
    for number in (1, 2):
        place.step(BOTH, {"AUTONOMA_SHARD": "auto"}, place=(number, 2))
    assert place.shown() == [(f"{PLAIN} (shard 1/2)", "Failed"), (f"{PLAIN} (shard 2/2)", "Passed")]


@pytest.mark.slow
@places("github", "gitlab", "buildkite")
def test_passed_job_keeps_failed_one(place: Place) -> None:
    """Two jobs of one workflow have the same title and one text each."""
    for ids, job in ((RED, "desktop"), (GREEN, "mobile")):
        assert place.step(ids, job=job).warnings == []
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]


@pytest.mark.slow
@everywhere
def test_passed_title_keeps_failed_one(place: Place) -> None:
    """The option `summary-title` distinguishes two steps of one job."""
    for ids, title in ((RED, "Smoke"), (GREEN, "Nightly")):
        assert place.step(ids, {"AUTONOMA_SUMMARY_TITLE": title}).warnings == []
    assert place.shown() == [("Nightly", "Passed"), ("Smoke", "Failed")]


@pytest.mark.slow
@places("github", "gitlab", "buildkite")
def test_part_with_markup_is_escaped(place: Place) -> None:
    """Matrix values are shown as text, not as markup."""
    place.step(RED, {"AUTONOMA_PART": '{"a": "<b>*x*</b> -->", "b": "\\n# y"}'})
    [text] = place.texts().values()
    assert "<b>" not in text.split("\n", 2)[1 if text.startswith("<!--") else 0]
    assert len(place.shown()) == 1
    place.step(GREEN, {"AUTONOMA_PART": '{"a": "<b>*x*</b> -->", "b": "\\n# y"}'}, attempt=2)
    assert [conclusion for _, conclusion in place.shown()] == ["Passed"]


# Steps that can't be told apart


@pytest.mark.slow
@everywhere
def test_second_step_of_name_has_own_text(place: Place) -> None:
    """A warning explains how to distinguish the two steps."""
    first = place.step(RED)
    assert first.warnings == []
    before = place.texts()
    second = place.step(GREEN)
    after = place.texts()
    assert {name: after[name] for name in before} == before
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]
    [warning] = second.warnings
    assert ADVICE in warning
    assert second.code == 0


@pytest.mark.slow
@everywhere
def test_third_step_of_name_has_own_text(place: Place) -> None:
    """No step of the same name replaces another one."""
    for ids in (RED, GREEN, RED, GREEN):
        place.step(ids)
    assert place.shown() == [(PLAIN, "Failed")] * 2 + [(PLAIN, "Passed")] * 2


@pytest.mark.slow
@everywhere
def test_wait_updates_each_step_of_same_name(place: Place) -> None:
    """`wait` updates the text of the step that wrote the record."""
    steps = [place.step(ids, {"AUTONOMA_WAIT": "false"}) for ids in (RED, GREEN)]
    assert place.shown() == [(PLAIN, "Started")] * 2
    for step, code in zip(reversed(steps), (0, 1), strict=True):
        assert place.wait(step).code == code
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]


# Attempts and builds


@pytest.mark.slow
@everywhere
def test_retry_that_passes_replaces_own_text(place: Place) -> None:
    """The text of the retried job becomes green, and the other part stays."""
    for number in (1, 2):
        place.step(BOTH, {"AUTONOMA_SHARD": f"{number}/2"})
    names = set(place.texts())
    step = place.step("sandbox-two, sandbox-one", {"AUTONOMA_SHARD": "1/2"}, attempt=2)
    assert step.warnings == []
    assert place.shown() == [(f"{PLAIN} (shard 1/2)", "Passed"), (f"{PLAIN} (shard 2/2)", "Passed")]
    assert set(place.texts()) == names


@pytest.mark.slow
@everywhere
def test_retry_that_fails_replaces_own_text(place: Place) -> None:
    """The last attempt counts in both directions."""
    place.step(GREEN, attempt=9)
    place.step(RED, attempt=10)
    assert place.shown() == [(PLAIN, "Failed")]


@pytest.mark.slow
@everywhere
def test_retry_keeps_other_part(place: Place) -> None:
    """A part that is not run again keeps its text."""
    place.step(RED, {"AUTONOMA_PART": "linux"})
    place.step(GREEN, {"AUTONOMA_PART": "mac"})
    before = place.texts()
    place.step(GREEN, {"AUTONOMA_PART": "mac"}, attempt=2)
    assert place.shown() == [(f"{PLAIN} (linux)", "Failed"), (f"{PLAIN} (mac)", "Passed")]
    assert len([name for name, text in place.texts().items() if before[name] == text]) >= 1


@pytest.mark.slow
@places("github", "gitlab", "bitbucket")
def test_older_build_replaces_nothing(place: Place) -> None:
    """The newer build is of the same commit or of a newer one."""
    place.step(RED, build=501, attempt=7)
    before = place.texts()
    step = place.step(GREEN, build=500, attempt=8)
    assert place.texts() == before
    assert step.code == 0
    assert step.warnings == []


@pytest.mark.slow
@everywhere
def test_lower_attempt_has_own_text(place: Place) -> None:
    """Some systems count attempts per job, so a lower number is not always an older result."""
    place.step(GREEN, attempt=10)
    before = place.texts()
    lower = place.step(RED, attempt=9)
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]
    assert {name: text for name, text in place.texts().items() if name in before} == before
    assert ADVICE in lower.warnings[0]


@pytest.mark.slow
@everywhere
def test_first_attempt_after_retry_shows(place: Place) -> None:
    """A step is retried until it passes, and the next step fails at its first attempt."""
    place.step(RED, attempt=1)
    place.step(GREEN, attempt=2)
    red = place.step(RED, attempt=1)
    assert red.code == 1
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]
    assert ADVICE in red.warnings[0]


@pytest.mark.slow
@everywhere
@pytest.mark.parametrize("first", [RED, GREEN])
def test_retry_of_one_step_of_two_keeps_both(first: str, place: Place) -> None:
    """The text of its earlier attempt is unknown, so the retry has a third one."""
    for ids in (first, GREEN if first is RED else RED):
        place.step(ids, attempt=1)
    before = place.texts()
    retry = place.step(GREEN, attempt=2)
    assert {name: text for name, text in place.texts().items() if name in before} == before
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed"), (PLAIN, "Passed")]
    assert ADVICE in retry.warnings[0]


@pytest.mark.slow
@everywhere
def test_wait_updates_text_of_retry(place: Place) -> None:
    """Only the text of the retry is updated."""
    for ids in (RED, GREEN):
        place.step(ids, attempt=1)
    retry = place.step(GREEN, {"AUTONOMA_WAIT": "false"}, attempt=2)
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed"), (PLAIN, "Started")]
    place.wait(retry, attempt=2)
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed"), (PLAIN, "Passed")]


@pytest.mark.slow
@places("github", "gitlab", "bitbucket")
def test_retry_takes_text_of_older_build(place: Place) -> None:
    """The older build had two steps of the name, so this build's text may be of the other step."""
    for ids in (GREEN, GREEN):
        place.step(ids, build=499)
    place.step(RED, build=500, attempt=11)
    retry = place.step(GREEN, build=500, attempt=12)
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]
    assert ADVICE in retry.warnings[0]


@pytest.mark.slow
@places("github", "gitlab", "bitbucket")
def test_newer_build_replaces_each_part(place: Place) -> None:
    """There is one text for each part after any number of builds."""
    for build in (99, 100):
        for ids, part in ((RED if build == 99 else GREEN, "linux"), (GREEN, "mac")):
            place.step(ids, {"AUTONOMA_PART": part}, build=build, attempt=build)
    assert place.shown() == [(f"{PLAIN} (linux)", "Passed"), (f"{PLAIN} (mac)", "Passed")]


@pytest.mark.slow
@places("github", "gitlab", "bitbucket")
def test_newer_build_keeps_same_names_apart(place: Place) -> None:
    """Two steps of the same name take one text each of the build before."""
    for build in (500, 501):
        for ids in (RED, GREEN):
            place.step(ids, build=build)
    assert (PLAIN, "Failed") in place.shown()
    assert (PLAIN, "Passed") in place.shown()
    marks = [re.search(r"build (\d+) attempt", text) for text in place.texts().values()]
    assert [match[1] for match in marks if match].count("501") == 2


# Builds of one commit that run side by side


CHILD = {"CI_PIPELINE_SOURCE": "parent_pipeline", "CI_COMMIT_SHA": SHA}
ORDERS = pytest.mark.parametrize(
    ("first", "second"), [((501, RED), (502, GREEN)), ((501, GREEN), (502, RED)), ((502, GREEN), (501, RED))]
)


@pytest.mark.slow
@ORDERS
@places("gitlab")
def test_child_pipelines_have_own_notes(first: tuple[int, str], second: tuple[int, str], place: Place) -> None:
    """Each child pipeline has its own id and is no earlier build of another one."""
    steps = [place.step(ids, CHILD, build=build) for build, ids in (first, second)]
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]
    assert [len(step.warnings) for step in steps] == [0, 1]
    assert ADVICE in steps[1].warnings[0]


@places("gitlab")
def test_child_pipelines_of_next_commit_win(place: Place) -> None:
    """A note of an earlier commit or of an earlier job attempt is outdated."""
    for build, ids in ((501, RED), (502, GREEN)):
        place.step(ids, CHILD, build=build)
    later = {**CHILD, "CI_COMMIT_SHA": SHA[::-1]}
    for build, ids in ((503, RED), (504, RED)):
        place.step(ids, later, build=build)
    assert place.shown() == [(PLAIN, "Failed")] * 2
    place.step(GREEN, later, build=504, attempt=2)
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]


@places("gitlab")
def test_child_of_later_parent_replaces_note(place: Place) -> None:
    """GitLab names the parent pipeline, and children of two parents are successive builds."""
    for build, parent, ids in ((501, 500, RED), (502, 500, RED), (511, 510, GREEN), (512, 510, GREEN)):
        place.step(ids, {**CHILD, "CI_UPSTREAM_PIPELINE_ID": str(parent)}, build=build)
    assert place.shown() == [(PLAIN, "Passed"), (PLAIN, "Passed")]


@pytest.mark.slow
@ORDERS
@places("bitbucket")
def test_pipelines_of_one_push_have_own_reports(first: tuple[int, str], second: tuple[int, str], place: Place) -> None:
    """A push to a branch with a pull request starts two pipelines."""
    request = {"BITBUCKET_BRANCH": "main", "BITBUCKET_PR_ID": "42"}
    for more, (build, ids) in zip(({"BITBUCKET_BRANCH": "main"}, request), (first, second), strict=True):
        assert place.step(ids, more, build=build).warnings == []
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]
    place.step(GREEN, request, build=600)
    place.step(GREEN, {"BITBUCKET_BRANCH": "main"}, build=601)
    assert place.shown() == [(PLAIN, "Passed")] * 2


# A later step that waits


@pytest.mark.slow
@everywhere
@pytest.mark.parametrize("other_job", [False, True], ids=["the same job", "another job"])
def test_wait_updates_text_of_record(other_job: bool, place: Place) -> None:
    """One text shows how the runs ended."""
    started = place.step(BOTH, {"AUTONOMA_WAIT": "false"})
    assert place.shown() == [(PLAIN, "Started")]
    facts: dict[str, Any] = {"job": "verify", "attempt": 7} if other_job else {}
    later = place.wait(started, **facts)
    assert later.code == 1
    assert place.shown() == [(PLAIN, "Failed")]
    assert later.warnings == []


@pytest.mark.slow
@everywhere
def test_wait_for_part_keeps_other_parts(place: Place) -> None:
    """The record contains the part, so the later job need not name it."""
    started = place.step(RED, {"AUTONOMA_WAIT": "false", "AUTONOMA_PART": "linux"})
    place.step(GREEN, {"AUTONOMA_PART": "mac"})
    place.wait(started, job="verify")
    assert place.shown() == [(f"{PLAIN} (linux)", "Failed"), (f"{PLAIN} (mac)", "Passed")]


@places("github", "gitlab")
def test_wait_in_other_job_keeps_its_step(place: Place) -> None:
    """The text of `wait` belongs to the step that started the runs."""
    place.step(RED, job="verify")
    started = place.step(GREEN, {"AUTONOMA_WAIT": "false"}, job="start")
    place.wait(started, job="verify")
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]


@pytest.mark.slow
@everywhere
def test_wait_in_matrix_updates_text_of_record(place: Place) -> None:
    """The text belongs to the part that started the runs, not to this matrix job."""
    started = place.step(RED, {"AUTONOMA_WAIT": "false"}, job="start")
    place.wait(started, {"AUTONOMA_PART": '{"name":"shop"}'}, job="verify")
    assert place.shown() == [(PLAIN, "Failed")]


@pytest.mark.slow
@everywhere
def test_wait_in_retry_keeps_other_step(place: Place) -> None:
    """A step belongs to the attempt that started its runs, even if only `wait` is retried."""
    place.step(RED)
    started = place.step(GREEN, {"AUTONOMA_WAIT": "false"})
    before = place.texts()
    place.wait(started, job="verify", attempt=2)
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]
    assert len([name for name, text in place.texts().items() if before[name] == text]) == 1


@pytest.mark.slow
@places("github", "gitlab", "bitbucket")
def test_wait_for_old_attempt_replaces_nothing(place: Place) -> None:
    """The starting job was retried before `wait` read the record of its first attempt."""
    first = place.step(GREEN, {"AUTONOMA_WAIT": "false"})
    place.step(RED, attempt=2)
    before = place.texts()
    place.wait(first, job="verify", attempt=3)
    assert {name: text for name, text in place.texts().items() if name in before} == before
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]


# Left to the command `merge`


@pytest.mark.slow
@places("github", "gitlab", "bitbucket")
def test_step_for_merge_writes_nothing_shared(place: Place) -> None:
    """Log, summary, outputs and files are still written."""
    step = place.step(BOTH, {"AUTONOMA_PUBLISH": "merge"})
    assert place.texts() == {}
    assert step.code == 1
    assert "1 of 2 runs passed, 1 failed." in step.log
    names = {path.name for path in (step.folder / "results").iterdir()}
    assert names >= {"results.json", "summary.md", "outputs.env", "junit.xml", "report.html"}
    if place.facts is FACTS["github"]:
        assert "conclusion" in (step.folder / "output").read_text("utf-8")
        assert "Failed" in (step.folder / "summary").read_text("utf-8")
    later = place.wait(step, {"AUTONOMA_PUBLISH": "merge"})
    assert later.code == 1
    assert place.texts() == {}


@places("github", "gitlab", "bitbucket")
def test_step_for_merge_sends_no_request(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API of the CI system gets no request."""

    def ask(*_: object) -> None:
        raise AssertionError("a request was sent")

    monkeypatch.setattr(http.RestClient, "request", ask)
    assert place.step(GREEN, {"AUTONOMA_PUBLISH": "merge"}).code == 0


# Steps that end at the same moment


# One that fails, and one that passes.
STEPS = ((True, "a" * 16), (False, "b" * 16))


def together(host: CodeHost, method: str, reports: list[Report]) -> None:
    """Publish the reports at once.

    Each has looked at what is there before any of them sends its first `method`, and each has sent that before any of
    them looks again.
    """
    gate, sent, checked = threading.Barrier(len(reports)), count(), count()
    all_sent = threading.Event()

    def before(name: str) -> None:
        if name == method and next(sent) < len(reports):
            gate.wait(60)
            all_sent.set()
        elif name == "GET" and all_sent.is_set() and next(checked) < len(reports):
            gate.wait(60)

    host.before = before
    threads = [threading.Thread(target=publish, args=(thread_of(host), made)) for made in reports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


def made(red: bool, step_id: str, part: Part, build: str = "500") -> Report:
    runs = [failed("a")] if red else [passed("a")]
    context = BuildContext("github", build_id=build, build_attempt="1", change_number="7", repository="acme/shop")
    return report(runs, FAILED if red else PASSED)._replace(
        context=context, part=part, title=part.title, step_id=step_id, waits_for_results=True
    )


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_same_names_at_once_have_own_comments(service: str) -> None:
    """Both steps find no comment before either writes."""
    with GitHub() if service == "github" else GitLab() as host:
        together(host, "POST", [made(red, step, Part(title=PLAIN)) for red, step in STEPS])
        found = [match[2] for body in _bodies(host).values() if (match := _HEADING.search(body))]
        assert sorted(found) == ["Failed", "Passed"]
        assert host.complaints == []


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_two_parts_at_once_have_own_comments(service: str) -> None:
    """Each part looks for its own comment."""
    with GitHub() if service == "github" else GitLab() as host:
        together(host, "POST", [made(red, step, Part(part=step)) for red, step in STEPS])
        assert len(host.comments) == 2
        assert sorted(host.methods()) == ["POST", "POST"]


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_two_steps_on_old_comment_both_show(service: str) -> None:
    """Both replace the comment of the build before, and the replaced step writes another."""
    with GitHub() if service == "github" else GitLab() as host:
        publish(thread_of(host, "499"), made(False, "c" * 16, Part(title=PLAIN), "499"))
        together(host, host.update, [made(red, step, Part(title=PLAIN)) for red, step in STEPS])
        found = [match[2] for body in _bodies(host).values() if (match := _HEADING.search(body))]
        assert sorted(found) == ["Failed", "Passed"]


CLIENT_SECRET = Secret("secret-of-the-client")


def publish(thread: sticky.CommentThread, made: Report, secret: Secret = CLIENT_SECRET) -> str:
    """Publish a report with the secret that all steps share."""
    return sticky.create_or_update_comment(thread, made, secret)


def thread_of(host: CodeHost, build: str = "500") -> sticky.CommentThread:
    from autonoma_ci.ci.detection import detect, load_system
    from autonoma_ci.clock import Clock

    name = "github" if isinstance(host, GitHub) else "gitlab"
    environ = {**FACTS[name].of(build=int(build)), "GITHUB_API_URL": host.url, "CI_API_V4_URL": host.url}
    system = load_system(detect(environ))
    assert system.comment_support
    found = system.comment_support.open_thread(environ, system.build_context(environ), Secret(TOKEN), Clock())
    assert found
    return found


# Data of the build


@dataclass
class Data:
    """A build's data, and a way to run steps that set it."""

    program: Program
    place: Place

    def __getitem__(self, name: str) -> str:
        return self.program.data[name]

    def conclusions(self) -> dict[str, str]:
        """Return the conclusions by what comes after the name."""
        name = "AUTONOMA_CONCLUSION"
        return {key.removeprefix(name): text for key, text in self.program.data.items() if key.startswith(name)}


@pytest.fixture
def data(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Data:
    name: str = request.param
    tool, script = ("buildkite-agent", _BUILDKITE) if name == "buildkite" else ("sem-context", SEMAPHORE)
    program = Program(tmp_path, tool, script)
    made = Place(FACTS[name], sandbox, tmp_path / "work", dict, {"PATH": program.path})
    made.folder.mkdir()
    return Data(program, made)


both = pytest.mark.parametrize("data", ["buildkite", "semaphore"], indirect=True)


@both
def test_data_without_parts_has_plain_names(data: Data) -> None:
    """A build with one step has the documented variable names."""
    step = data.place.step(RED)
    assert data.conclusions() == {"": "failed"}
    assert data["AUTONOMA_RUN_URL"].startswith("http://127.0.0.1")
    assert data["AUTONOMA_REASON"] == "failed"
    assert step.renamed == []


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    ("more", "facts", "suffixes"),
    [
        ([{"AUTONOMA_SHARD": "1/2"}, {"AUTONOMA_SHARD": "2/2"}], [{}, {}], ["_SHARD_1_2", "_SHARD_2_2"]),
        ([{"AUTONOMA_PART": '{"os": "linux"}'}, {"AUTONOMA_PART": '{"os": "mac"}'}], [{}, {}], ["_LINUX", "_MAC"]),
        ([{}, {}], [{"place": (1, 3)}, {"place": (2, 3)}], ["_1_3", "_2_3"]),
    ],
    ids=["shard", "part", "parallel"],
)
def test_data_of_failed_part_stays(
    more: list[dict[str, str]], facts: list[dict[str, Any]], suffixes: list[str], data: Data
) -> None:
    """Each part has its own names, and no part has the plain names."""
    for ids, options, reported in zip((RED, GREEN), more, facts, strict=True):
        assert data.place.step(BOTH if "AUTONOMA_SHARD" in options else ids, options, **reported).renamed == []
    assert data.conclusions() == dict(zip(suffixes, ("failed", "passed"), strict=True))
    names = set(data.program.data)
    assert {f"AUTONOMA_{name}{suffix}" for name in ("REASON", "RUN_URL", "RUN_ID") for suffix in suffixes} <= names
    assert not {"AUTONOMA_CONCLUSION", "AUTONOMA_RUN_URL", "AUTONOMA_RUN_ID"} & names


@pytest.mark.slow
@both
def test_data_of_failed_job_stays(data: Data) -> None:
    """Two jobs without parts have the same names, so the second takes others and warns."""
    data.place.step(RED, job="desktop")
    before = data.program.data
    second = data.place.step(GREEN, job="mobile")
    assert data.conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}
    assert {name: data[name] for name in before} == before
    [warning] = second.renamed
    assert "_AUTONOMA_TESTS" in warning
    assert ADVICE in warning


@pytest.mark.slow
@both
def test_data_of_steps_of_same_name_stays(data: Data) -> None:
    """The first step has the plain names, and each later one has its own."""
    warnings = [data.place.step(ids).renamed for ids in (RED, GREEN, RED, GREEN)]
    found = data.conclusions()
    assert found[""] == "failed"
    assert sorted(found.values()) == ["failed", "failed", "passed", "passed"]
    assert warnings[0] == []
    assert all(warnings[1:])


@pytest.mark.slow
@both
def test_data_of_retry_replaces_own(data: Data) -> None:
    """A retried job has the names that it used before."""
    for ids, part in ((RED, "linux"), (RED, "mac")):
        data.place.step(ids, {"AUTONOMA_PART": part})
    more: dict[str, Any] = {"build": 501} if data.place.facts is FACTS["semaphore"] else {"attempt": 2}
    assert data.place.step(GREEN, {"AUTONOMA_PART": "linux"}, **more).renamed == []
    assert data.conclusions() == {"_LINUX": "passed", "_MAC": "failed"}


@pytest.mark.slow
@both
def test_data_of_second_job_retry_replaces_own(data: Data) -> None:
    """The second of two jobs finds its own names again, not those of the first."""
    for ids, job in ((RED, "desktop"), (RED, "mobile")):
        data.place.step(ids, job=job)
    more: dict[str, Any] = {"build": 501} if data.place.facts is FACTS["semaphore"] else {"attempt": 2}
    data.place.step(GREEN, job="mobile", **more)
    assert data.conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}


@pytest.mark.slow
@both
@pytest.mark.parametrize("job", ["e2e", "verify"])
def test_data_is_updated_by_wait(job: str, data: Data) -> None:
    """`wait` sets the names of the step that started the runs."""
    started = data.place.step(RED, {"AUTONOMA_WAIT": "false"})
    assert data.conclusions() == {"": "started"}
    assert data.place.wait(started, job=job).renamed == []
    assert data.conclusions() == {"": "failed"}


@pytest.mark.slow
@both
def test_data_of_other_step_survives_wait(data: Data) -> None:
    """A step belongs to the attempt that started its runs."""
    data.place.step(RED)
    started = data.place.step(GREEN, {"AUTONOMA_WAIT": "false"})
    data.place.wait(started, job="verify", attempt=2)
    assert data.conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}


@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
def test_data_of_lower_attempt_has_own_names(data: Data) -> None:
    """One matrix job passes at a retry, and another one then fails at its first attempt."""
    data.place.step(RED, attempt=0)
    data.place.step(GREEN, attempt=1)
    red = data.place.step(RED, attempt=0)
    assert data.conclusions() == {"": "passed", "_AUTONOMA_TESTS": "failed"}
    assert ADVICE in red.renamed[0]


@pytest.mark.slow
@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
@pytest.mark.parametrize("steps", [2, 3])
def test_data_of_unknown_step_is_not_replaced(steps: int, data: Data) -> None:
    """The names of its earlier attempt are unknown, so the retry has others."""
    for _ in range(steps):
        data.place.step(RED, attempt=0)
    before = data.program.data
    retry = data.place.step(GREEN, attempt=1)
    assert {name: data[name] for name in before} == before
    assert sorted(data.conclusions().values()) == ["failed"] * steps + ["passed"]
    assert ADVICE in retry.renamed[0]


@both
def test_data_has_no_value_of_earlier_attempt(data: Data) -> None:
    """A step with invalid input has no run, so the link of the earlier run is removed."""
    data.place.step(RED)
    assert data["AUTONOMA_RUN_URL"].startswith("http://127.0.0.1")
    more: dict[str, Any] = {"build": 501} if data.place.facts is FACTS["semaphore"] else {"attempt": 2}
    step = data.place.step(GREEN, {"AUTONOMA_TIMEOUT": "nonsense"}, **more)
    assert step.code == 2
    assert data.conclusions() == {"": "error"}
    assert (data["AUTONOMA_RUN_URL"], data["AUTONOMA_RUN_ID"]) == ("none", "none")


@both
def test_data_without_run_has_no_empty_names(data: Data) -> None:
    """Both systems reject an empty value, and none is needed without an earlier one."""
    step = data.place.step(GREEN, {"AUTONOMA_TIMEOUT": "nonsense"})
    assert data.conclusions() == {"": "error"}
    assert "AUTONOMA_RUN_URL" not in data.program.data
    assert "could not be set" not in step.log


def fail_once(data: Data, command: str, code: int) -> None:
    """Let the program fail the next time that it runs a command, as if the server could not be reached."""
    [tool] = (data.program.store.parent / "bin").iterdir()
    script = tool.read_text("utf-8")
    failing = f'[ -f "{data.program.store}/once" ] || {{ touch "{data.program.store}/once"; exit {code}; }}\n'
    assert command in script
    tool.write_text(script.replace(command, f"{command}\n{failing}", 1), "utf-8")


@both
def test_data_unreadable_is_not_replaced(data: Data) -> None:
    """A failed read does not mean that there is no data."""
    data.place.step(RED, {"AUTONOMA_SUMMARY": "false"})
    command, code = ("  get)", 2) if data.place.facts is FACTS["semaphore"] else ('  "meta-data get")', 1)
    fail_once(data, command, code)
    green = data.place.step(GREEN, {"AUTONOMA_SUMMARY": "false"})
    assert data.conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}
    assert "could not be read" in green.renamed[0]


@both
def test_data_is_not_set_before_merge(data: Data) -> None:
    """No variable of the build is set."""
    step = data.place.step(RED, {"AUTONOMA_PUBLISH": "merge"})
    assert step.code == 1
    assert data.program.data == {}
    assert (step.folder / "results" / "summary.md").is_file()


@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
def test_annotation_is_written_before_merge(data: Data) -> None:
    """The annotation is Buildkite's summary, and each part has its own."""
    for ids, part in ((RED, "linux"), (GREEN, "mac")):
        data.place.step(ids, {"AUTONOMA_PUBLISH": "merge", "AUTONOMA_PART": part})
    assert sorted(data.program.files("styles").values()) == ["error", "success"]
    assert data.program.data == {}


@places("buildkite")
def test_annotation_before_merge_replaces_none(place: Place) -> None:
    """Such a step writes no owner mark, so its annotation has a unique name."""
    for ids in (RED, GREEN):
        assert place.step(ids, {"AUTONOMA_PUBLISH": "merge"}).warnings == []
    assert place.shown() == [(PLAIN, "Failed"), (PLAIN, "Passed")]


@places("buildkite")
def test_annotation_before_merge_updates(place: Place) -> None:
    """`wait` continues the step and so updates its annotation."""
    started = place.step(RED, {"AUTONOMA_PUBLISH": "merge", "AUTONOMA_WAIT": "false"})
    place.wait(started, {"AUTONOMA_PUBLISH": "merge"})
    assert place.shown() == [(PLAIN, "Failed")]


@pytest.mark.parametrize("data", ["buildkite"], indirect=True)
def test_annotation_without_mark_replaces_none(data: Data) -> None:
    """The next step can't know the owner of an annotation without a mark."""
    [tool] = (data.program.store.parent / "bin").iterdir()
    script = tool.read_text("utf-8")
    tool.write_text(script.replace('"meta-data set")', '"meta-data set")\n    exit 1'), "utf-8")
    logs = [data.place.step(ids).log for ids in (RED, GREEN)]
    assert sorted(data.program.files("styles").values()) == ["error", "success"]
    assert all("The build's meta-data could not be set" in log for log in logs)


@dataclass
class Codefresh:
    """A build on Codefresh: its steps share a folder, and a file in it becomes the environment of later steps."""

    place: Place
    file: Path

    def variables(self) -> dict[str, str]:
        lines = self.file.read_text("utf-8").splitlines()
        return {name: text for name, _, text in (line.partition("=") for line in lines)}

    def step(self, ids: str, name: str, more: Mapping[str, str] | None = None, *, parallel: bool = False) -> Step:
        exported = self.variables() if self.file.exists() and not parallel else {}
        return self.place.step(ids, {"CF_STEP_NAME": name, **exported, **(more or {})})

    def conclusions(self) -> dict[str, str]:
        name = "AUTONOMA_CONCLUSION"
        return {key.removeprefix(name): text for key, text in self.variables().items() if key.startswith(name)}


@pytest.fixture
def codefresh(sandbox: Sandbox, tmp_path: Path) -> Codefresh:
    facts = Facts({"CF_BUILD_ID": "6f1a", "CF_VOLUME_PATH": str(tmp_path)}, build="", attempt="CF_CURRENT_ATTEMPT")
    made = Place(facts, sandbox, tmp_path / "work", dict)
    made.folder.mkdir()
    return Codefresh(made, tmp_path / "env_vars_to_export")


@pytest.mark.parametrize("parallel", [False, True])
def test_codefresh_data_of_failed_step_stays(parallel: bool, codefresh: Codefresh) -> None:
    """All steps of a build share the file, one after the other or at the same time."""
    codefresh.file.write_text("EARLIER=1", "utf-8")
    codefresh.step(RED, "smoke")
    before = codefresh.variables()
    assert (before["EARLIER"], before["AUTONOMA_CONCLUSION"]) == ("1", "failed")
    green = codefresh.step(GREEN, "full", parallel=parallel)
    assert codefresh.conclusions() == {"": "failed", "_AUTONOMA_TESTS": "passed"}
    assert {name: text for name, text in codefresh.variables().items() if name in before} == before
    assert ADVICE in green.renamed[0]
    assert all(line.isprintable() and " " not in line for line in codefresh.file.read_text("utf-8").splitlines())


def test_codefresh_data_is_replaced_by_wait(codefresh: Codefresh) -> None:
    """The step that waits continues the step that started the runs."""
    started = codefresh.step(RED, "smoke", {"AUTONOMA_WAIT": "false"})
    assert codefresh.conclusions() == {"": "started"}
    codefresh.place.wait(started, {"CF_STEP_NAME": "verify", **codefresh.variables()})
    assert codefresh.conclusions() == {"": "failed"}


def test_codefresh_data_is_not_set_before_merge(codefresh: Codefresh) -> None:
    """The same holds for every place that the steps of a build share."""
    codefresh.step(RED, "smoke", {"AUTONOMA_PUBLISH": "merge"})
    assert not codefresh.file.exists()


# Data that two steps set at the same moment


class Shared:
    """Data of a build that two steps set at once: each has looked before any sets its mark, and before any looks again.

    It stands in for the agent's program too, and keeps the annotations.
    """

    _marks = frozenset({"AUTONOMA_WRITTEN_BY", f"autonoma-ci-{Part(title=PLAIN).digest}"})

    def __init__(self) -> None:
        self.store: dict[str, str] = {}
        self.annotations: dict[str, str] = {}
        self._looked, self._set = threading.Barrier(2), threading.Barrier(2)
        self._seen: set[tuple[int, str]] = set()

    def get(self, name: str) -> str:
        text = self.store.get(name, "")
        self._meet(self._looked, "get", name)
        return text

    def put(self, name: str, text: str) -> str:
        self.store[name] = text
        self._meet(self._set, "put", name)
        return ""

    def _meet(self, gate: threading.Barrier, what: str, name: str) -> None:
        """Wait for the other step, the first time that this one does the same to a mark."""
        key = threading.get_ident(), f"{what} {name}"
        if name in self._marks and key not in self._seen:
            self._seen.add(key)
            gate.wait(60)

    def run(self, arguments: list[str], text: str = "") -> str:
        if arguments[0] == "annotate":
            self.annotations[arguments[4]] = text
            return ""
        return self.put(arguments[2], text)

    def read(self, arguments: list[str]) -> str:
        return self.get(arguments[2])


def at_once(publish: Callable[[Report], object]) -> None:
    """Let the two steps publish their reports."""
    reports = [made(red, step, Part(title=PLAIN)) for red, step in STEPS]
    threads = [threading.Thread(target=publish, args=(report,)) for report in reports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


@pytest.mark.parametrize("round_", range(5))
def test_data_at_once_has_two_names(round_: int) -> None:
    """Neither step finds a mark, and the step whose mark is replaced uses other names."""
    shared = Shared()
    at_once(lambda report: publish_build_variables(report, "500", shared.get, shared.put))
    found = {name: text for name, text in shared.store.items() if name.startswith("AUTONOMA_CONCLUSION")}
    assert sorted(found.values()) == ["failed", "passed"]
    assert set(found) == {"AUTONOMA_CONCLUSION", "AUTONOMA_CONCLUSION_AUTONOMA_TESTS"}
    plain = parse_mark(shared.store["AUTONOMA_WRITTEN_BY"].replace(":", " "))
    assert plain
    red = plain.step == "a" * 8
    assert shared.store["AUTONOMA_CONCLUSION"] == ("failed" if red else "passed")
    assert shared.store["AUTONOMA_FAILED"] == ("1" if red else "0")


@pytest.mark.parametrize("round_", range(5))
def test_annotations_at_once_have_two_names(round_: int, tmp_path: Path) -> None:
    """Matrix jobs share the key of their step and may end at the same time."""
    shared = Shared()
    agent = BuildkitePublisher(cast("Any", shared), make_publish_context({}, tmp_path))
    at_once(agent.publish)
    found = [match[2] for text in shared.annotations.values() if (match := _HEADING.search(text))]
    assert sorted(found) == ["Failed", "Passed"]


@pytest.mark.parametrize("step_id", ["--><b>@x", "../../..", "\n# x", "é" * 8, "a b c d ", "\ud800" * 8])
def test_comment_escapes_hostile_step_id(step_id: str) -> None:
    """The record that `wait` reads may come from anybody."""
    with GitHub() as host:
        for red in (False, True):
            assert publish(thread_of(host), made(red, step_id, Part(title=PLAIN))) in {
                "",
                shared_warning("a comment"),
            }
        for made_one in host.comments:
            first, heading, *_ = made_one.body.splitlines()
            assert re.fullmatch(r"<!-- autonoma-ci [0-9a-f]{16} [A-Za-z0-9_. -]+ mac [0-9a-f]{32} -->", first)
            assert heading.startswith("### Autonoma tests")
        assert host.complaints == []
