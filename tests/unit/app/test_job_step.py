"""Tests of a step's stages before the first request and at its end."""

from __future__ import annotations

import errno
import io
import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from autonoma_ci.api.models import Timeouts
from autonoma_ci.app import job_step
from autonoma_ci.app.inputs import CIEnvironment, Inputs, detect_ci
from autonoma_ci.app.job_step import JobStep
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.base import CISystem, CommentSupport, RemotePublisher
from autonoma_ci.ci.comments.sticky import Comment
from autonoma_ci.clock import Clock
from autonoma_ci.config.settings import Settings, load_settings
from autonoma_ci.errors import Diagnostic, OutputError
from autonoma_ci.fs.files import Directory
from autonoma_ci.models import (
    BuildContext,
    Conclusion,
    ExitReason,
    PlanFacts,
    Report,
    RunRequest,
    RunResult,
    TargetKind,
    Verdict,
)
from autonoma_ci.planning.plan import Plan
from autonoma_ci.reports import results_dir as results_dir_module
from autonoma_ci.reports.results_schema import parse_results
from tests.support.fake_clock import FakeClock
from tests.support.github_job import POLL_POLICY, START_POLICY
from tests.support.reports import PASSED_VERDICT, STARTED_VERDICT, make_passed_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from autonoma_ci.ci.base import PublishContext, ReportPublisher
    from autonoma_ci.ci.comments.sticky import CommentThread
    from autonoma_ci.ci.rest.http import RestError
    from autonoma_ci.redaction.redactor import Secret
    from autonoma_ci.reports.results_schema import Results

ID, SECRET = "AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET"
VALUE = "s3cret-value-of-the-test"
CREDENTIALS = {ID: "client-id-of-the-test", SECRET: VALUE}
WITH_FILES = {**CREDENTIALS, "AUTONOMA_RESULTS_DIR": "out"}
NO_RESULTS_JSON = (
    "Error: Autonoma tests: results.json could not be written to results-dir, so the exit code is 7. Free disk "
    "space, or check permissions."
)


class Publisher:
    """A publisher that records its reports, and returns warnings or raises an error."""

    def __init__(
        self, *warnings: str, error: Exception | None = None, on_publish: Callable[[], object] | None = None
    ) -> None:
        self.reports: list[Report] = []
        self._warnings, self._error, self._on_publish = warnings, error, on_publish

    def publish(self, report: Report) -> tuple[str, ...]:
        self.reports.append(report)
        if self._on_publish:
            self._on_publish()
        if self._error:
            raise self._error
        return self._warnings


class Remote(Publisher, RemotePublisher):
    """A publisher that calls a server."""


class System(CISystem):
    """A CI system with these publishers."""

    def __init__(self, *publishers: ReportPublisher, comments: CommentSupport | None = None) -> None:
        self.publishers, self.contexts = publishers, list[Any]()
        self.comment_support = comments

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        return BuildContext("ci", sha="a" * 40, change_number="7", build_id="17", job_name=environ.get("JOB", ""))

    def create_publishers(self, context: PublishContext) -> Sequence[ReportPublisher]:
        self.contexts.append(context)
        return self.publishers


class QuickClock(Clock):
    """The real clock without pauses between attempts."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Job:
    """A job whose step is configured from the environment.

    Args:
        folder: The working directory.
        environ: The complete environment.
        system: The CI system. None detects it from the environment.
        out: Standard output.
        clock: The clock.
        saved: The results of an earlier step.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str] = CREDENTIALS,
        system: System | None = None,
        *,
        out: io.StringIO | None = None,
        clock: Clock | None = None,
        saved: Results | None = None,
    ) -> None:
        self.folder, self.out, self.err = folder, out or io.StringIO(), io.StringIO()
        self.clock = clock or FakeClock()
        timeouts = Timeouts(connect=60.0, read=60.0, total=120.0)
        self.runtime = Runtime(
            environ, self.out, self.err, str(folder), clock=self.clock, timeouts=timeouts, start_policy=START_POLICY,
            poll_policy=POLL_POLICY._replace(interval=0.01),
        )  # fmt: skip
        ci = CIEnvironment(system, system.build_context(environ), "ci") if system else detect_ci(environ)
        self.step = JobStep(self.runtime, ci)
        self.settings, problems = load_settings({}, (), environ)
        assert not problems
        self.errors = [str(error) for error in self.step.configure(self.settings, saved)]

    @property
    def log(self) -> str:
        return self.out.getvalue()

    @property
    def results_json(self) -> Any:
        """The parsed results.json."""
        return json.loads((self.folder / "out" / "results.json").read_text("utf-8"))

    def finish(self, verdict: Verdict = STARTED_VERDICT, *runs: RunResult) -> int:
        return self.step.finish(verdict, runs)


def block_results(folder: Path) -> None:
    """Create a folder named results.json, so that the file can't be written."""
    (folder / "out" / "results.json" / "x").mkdir(parents=True)


def fail_with(error: Exception) -> Callable[..., None]:
    """Return a function that raises the error."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


# Configuration


def test_configure_hides_credentials_in_logs(tmp_path: Path) -> None:
    """Both logs replace all credentials of the step."""
    job = Job(tmp_path, {**CREDENTIALS, "AUTONOMA_GITHUB_TOKEN": "ghp-s3cret-token"})
    job.step.log.info(f"A {VALUE} B client-id-of-the-test C ghp-s3cret-token")
    assert job.log == "A *** B *** C ***\n"
    job.step.fail_on_input([Diagnostic(f"bad {VALUE}")])
    assert job.err.getvalue() == "Error: bad ***\n"


def test_configure_masks_credentials(tmp_path: Path) -> None:
    """The CI system hides the values before any other line."""
    job = Job(tmp_path, {**CREDENTIALS, "GITHUB_ACTIONS": "true", "AUTONOMA_TIMEOUT": "9m"})
    lines = job.log.splitlines()
    assert lines[:2] == ["::add-mask::client-id-of-the-test", f"::add-mask::{VALUE}"]
    assert lines[2].startswith("::warning::AUTONOMA_TIMEOUT has no effect")
    assert len(lines) == 3


def test_configure_prints_warnings(tmp_path: Path) -> None:
    """Warnings of the options are in the log, without errors."""
    job = Job(tmp_path, {**CREDENTIALS, ID: " client-id-of-the-test"})
    assert job.log == "Warning: AUTONOMA_CLIENT_ID: white space around the value was removed.\n"
    assert (job.errors, job.err.getvalue()) == ([], "")


def test_configure_without_folder_writes_nothing(tmp_path: Path) -> None:
    """Without results-dir there are no files, no signature and no command."""
    job = Job(tmp_path)
    assert job.step.results_dir is None
    assert job.step.signer is None
    assert job.step.reports.build().resume_command == ""
    job.step.begin_files()
    assert job.finish() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("out", "autonoma-ci wait out/results.json"),
        ("a/b/", "autonoma-ci wait a/b/results.json"),
        ("my results", "autonoma-ci wait 'my results/results.json'"),
    ],
)
def test_configure_creates_folder(path: str, command: str, tmp_path: Path) -> None:
    """The folder exists, and the command resumes waiting."""
    job = Job(tmp_path, {**CREDENTIALS, "AUTONOMA_RESULTS_DIR": path})
    assert (tmp_path / path).is_dir()
    assert job.step.reports.build().resume_command == command
    assert job.step.results_dir
    assert job.step.results_dir.path == path
    assert job.step.signer is not None


def test_configure_without_secret_signs_nothing(tmp_path: Path) -> None:
    """A signature needs the client secret."""
    job = Job(tmp_path, {ID: "an-id", "AUTONOMA_RESULTS_DIR": "out"})
    assert job.step.signer is None
    assert job.errors == []


@pytest.mark.parametrize("name", ["AUTONOMA_RESULTS_DIR", "INPUT_RESULTS-DIR"])
def test_configure_file_as_folder_is_error(name: str, tmp_path: Path) -> None:
    """The error has the option as written, and no command refers to the folder."""
    (tmp_path / "out").write_text("", "utf-8")
    job = Job(tmp_path, {**CREDENTIALS, name: "out"})
    spelling = "results-dir" if name.startswith("INPUT") else name
    [error] = job.errors
    assert error.startswith(f"{spelling}: directory could not be created (")
    assert error.endswith("). Use a writable directory.")
    assert job.step.reports.build().resume_command == ""


def test_configure_link_outside_is_error(tmp_path: Path) -> None:
    """Results never leave the working directory through a link."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "out").symlink_to(tmp_path / "outside")
    [error] = Job(tmp_path / "work", WITH_FILES).errors
    assert ": symbolic link leads outside of the working directory" in error


def test_configure_warns_of_lost_folder(tmp_path: Path) -> None:
    """A path that the shell did not expand has a warning."""
    job = Job(tmp_path, {**CREDENTIALS, "AUTONOMA_RESULTS_DIR": "~/out"})
    assert job.log.startswith("Warning: AUTONOMA_RESULTS_DIR ~/out begins with ~, which is not expanded")


@pytest.mark.parametrize(
    ("name", "spelling"), [("AUTONOMA_EVIDENCE", "AUTONOMA_EVIDENCE"), ("INPUT_EVIDENCE", "evidence")]
)
def test_configure_evidence_needs_folder(name: str, spelling: str, tmp_path: Path) -> None:
    """Evidence without results-dir is an error with the fix."""
    environ = {**CREDENTIALS, "AUTONOMA_WAIT": "true", name: "all"}
    assert Job(tmp_path, environ).errors == [f"{spelling} needs a directory for its files. Set results-dir."]
    assert Job(tmp_path, {**environ, "AUTONOMA_RESULTS_DIR": "out"}).errors == []
    assert Job(tmp_path, {**environ, name: "none"}).errors == []


def test_configure_gives_facts_to_publishers(tmp_path: Path) -> None:
    """Publishers of the CI system receive folder, options and stated facts."""
    system = System()
    Job(tmp_path, {**CREDENTIALS, "AUTONOMA_SHA": "b" * 40, "AUTONOMA_SUMMARY": "false"}, system)
    [context] = system.contexts
    assert (context.working_directory, context.wants_summary, context.build_context.sha) == (tmp_path, False, "b" * 40)
    assert context.publishes_shared_data


def test_configure_publishing_at_merge(tmp_path: Path) -> None:
    """With `publish: merge` no data of the build is shared."""
    system = System()
    Job(tmp_path, {**CREDENTIALS, "AUTONOMA_PUBLISH": "merge"}, system)
    assert not system.contexts[0].publishes_shared_data


def test_configure_resumes_saved_step(tmp_path: Path) -> None:
    """A step that waits has id and part of the step that started the runs."""
    first_job = Job(tmp_path, {**WITH_FILES, "AUTONOMA_PART": "ios", "JOB": "e2e"}, System())
    first_job.step.begin_files()
    saved = parse_results((tmp_path / "out" / "results.json").read_bytes())
    resumed_job = Job(tmp_path, {**WITH_FILES, "JOB": "later"}, System(), saved=saved)
    facts = resumed_job.step.reports.facts
    assert facts.step_id == first_job.step.reports.facts.step_id
    assert (facts.part.job_name, facts.part.part) == ("e2e", "ios")
    assert Job(tmp_path, WITH_FILES, System()).step.reports.facts.step_id != facts.step_id


# Files


def test_begin_replaces_older_files(tmp_path: Path) -> None:
    """A step that is killed at once leaves no reports of an older one."""
    earlier_job = Job(tmp_path, WITH_FILES)
    earlier_job.step.begin_files()
    earlier_job.finish(PASSED_VERDICT, make_passed_run("a"))
    assert (tmp_path / "out" / "report.html").is_file()
    job = Job(tmp_path, WITH_FILES)
    job.step.begin_files()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == ["results.json"]
    assert (job.results_json["conclusion"], job.results_json["runs"]) == (None, [])


def test_begin_warns_once_of_foreign_file(tmp_path: Path) -> None:
    """A file of another program is renamed, and the warning is not repeated at the end."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "junit.xml").write_text("<testsuites/>", "utf-8")
    job = Job(tmp_path, WITH_FILES)
    job.step.begin_files()
    job.finish()
    assert job.log.count("Warning: ") == 1
    assert "Warning: results-dir has files of another program: junit.xml is renamed to junit.xml.orig." in job.log
    assert (tmp_path / "out" / "junit.xml.orig").read_text("utf-8") == "<testsuites/>"


def test_diagnostics_are_logged(tmp_path: Path) -> None:
    """Warnings and notes of the input are in the log, and notes are in reports."""
    job = Job(tmp_path)
    plan = Plan((), PlanFacts(("test a is listed 2 times.", f"odd {VALUE}")))
    job.step.report_diagnostics(Inputs(job.settings._replace(wait=True), plan, (), ("unknown name",), None))
    assert job.log.splitlines() == [
        "Warning: unknown name", "Notice: test a is listed 2 times.", "Notice: odd ***"
    ]  # fmt: skip
    report = job.step.reports.build((), STARTED_VERDICT)
    assert report.plan_notes == plan.notes
    assert report.waits_for_results


# Ends without runs


def test_input_errors_end_step(tmp_path: Path) -> None:
    """Each error is on standard error, and the reports have them without credentials."""
    job = Job(tmp_path, WITH_FILES)
    errors = [Diagnostic("tests: no id", "autonoma.yml", 3, 5), Diagnostic(f"bad {VALUE}")]
    assert job.step.fail_on_input(errors) == 2
    assert job.err.getvalue().splitlines() == ["Error: autonoma.yml:3:5: tests: no id", "Error: bad ***"]
    assert (job.results_json["conclusion"], job.results_json["reason"], job.results_json["exit_code"]) == (
        "error",
        "input",
        2,
    )
    summary = (tmp_path / "out" / "summary.md").read_text("utf-8")
    assert "tests: no id" in summary
    assert VALUE not in summary


def test_input_errors_are_annotations(tmp_path: Path) -> None:
    """On GitHub each error has the position in the file."""
    job = Job(tmp_path, {**CREDENTIALS, "GITHUB_ACTIONS": "true"})
    assert job.step.fail_on_input([Diagnostic("no id\n::error::x", "autonoma.yml", 3, 5)]) == 2
    assert job.err.getvalue().startswith("::error file=autonoma.yml,line=3,col=5")
    assert job.err.getvalue().count("\n") == 1


def test_skip_ends_step(tmp_path: Path) -> None:
    """The reason is in log and results.json, and nothing fails."""
    job = Job(tmp_path, {**WITH_FILES, "AUTONOMA_PART": "ios"})
    assert job.step.skip("the credentials are missing") == 0
    text = "Skipped, nothing was started: the credentials are missing."
    assert f"Notice: Autonoma tests (ios): {text}\n" in job.log
    assert (job.results_json["conclusion"], job.results_json["exit_code"], job.results_json["runs"]) == (
        "skipped",
        0,
        [],
    )
    assert text in (tmp_path / "out" / "summary.md").read_text("utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancel_ends_step(number: int, tmp_path: Path) -> None:
    """The exit code has the number of the signal."""
    job = Job(tmp_path, WITH_FILES)
    assert job.step.cancel(number) == 128 + number
    assert (job.results_json["conclusion"], job.results_json["exit_code"]) == ("cancelled", 128 + number)


def test_cancel_can_preserve_files(tmp_path: Path) -> None:
    """A step that waits must not lose the runs of the first step."""
    first_job = Job(tmp_path, WITH_FILES)
    first_job.finish(PASSED_VERDICT, make_passed_run("a"))
    earlier_bytes = (tmp_path / "out" / "results.json").read_bytes()
    job = Job(tmp_path, WITH_FILES)
    assert job.step.cancel(signal.SIGTERM, writes_files=False) == 143
    assert (tmp_path / "out" / "results.json").read_bytes() == earlier_bytes


# Dry run


class ClosedStream(io.StringIO):
    """A standard output that fails after some writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self._writes = writes

    def write(self, text: str) -> int:
        self._writes -= 1
        if self._writes < 0:
            raise OSError(errno.EPIPE, "Broken pipe")
        return super().write(text)


def make_plan() -> Plan:
    request = RunRequest(TargetKind.TEST, "a", f"Pay {VALUE}", {"LOGIN": "hidden-value"})
    return Plan((request, RunRequest(TargetKind.TAG, "t")))


def test_dry_run_prints_plan(tmp_path: Path) -> None:
    """The plan has names of variables, no values and no credentials."""
    job = Job(tmp_path, WITH_FILES)
    assert job.step.dry_run(make_plan()) == 0
    assert job.log.splitlines()[:4] == ["", "Plan", "PLANNED  Pay ***  — test a: variables LOGIN", "PLANNED  t  — tag"]
    assert (job.results_json["conclusion"], [run["state"] for run in job.results_json["runs"]]) == (
        "skipped",
        ["planned"] * 2,
    )


def test_dry_run_needs_output(tmp_path: Path) -> None:
    """Without its product the command fails after the reports are written."""
    job = Job(tmp_path, WITH_FILES, out=ClosedStream(0))
    with pytest.raises(OutputError, match="Broken pipe"):
        job.step.dry_run(make_plan())
    assert job.results_json["conclusion"] == "skipped"


def test_dry_run_without_results_have_code(tmp_path: Path) -> None:
    """The exit code of a missing results.json is stronger than the lost output."""
    block_results(tmp_path)
    job = Job(tmp_path, WITH_FILES, out=ClosedStream(0))
    assert job.step.dry_run(make_plan()) == 7


# Signatures


def make_results(*counts: int) -> list[RunResult]:
    """Return planned runs with these numbers of variables."""
    requests = [
        RunRequest(TargetKind.TEST, f"t{index}", variables={f"V{number}": "x" for number in range(count)})
        for index, count in enumerate(counts)
    ]
    return [RunResult(request) for request in requests]


def test_sign_without_folder_changes_nothing(tmp_path: Path) -> None:
    """Without a results.json there is nothing to sign."""
    results = make_results(1, 2)
    signed_results = Job(tmp_path).step.sign_requests(results)
    assert signed_results == results
    assert signed_results is not results


def test_sign_covers_requests_and_values(tmp_path: Path) -> None:
    """Different requests have different signatures, and equal ones are stable."""
    step = Job(tmp_path, WITH_FILES).step
    first_result, second_result = step.sign_requests(make_results(1, 2))
    assert len(first_result.request_mac) == len(second_result.request_mac) == 64
    assert first_result.request_mac != second_result.request_mac
    assert set(second_result.variable_macs) == {"V0", "V1"}
    assert step.sign_requests(make_results(1, 2)) == [first_result, second_result]
    other_result = Job(tmp_path, {**WITH_FILES, SECRET: "another-s3cret"}).step.sign_requests(make_results(1))[0]
    assert other_result.request_mac != first_result.request_mac
    assert other_result.variable_macs != first_result.variable_macs


@pytest.mark.parametrize(("limit", "is_signed"), [(2, False), (3, True)])
def test_sign_limits_variables(limit: int, is_signed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit of all runs, only requests are signed."""
    monkeypatch.setattr(job_step, "MAX_SIGNED_VARIABLES", limit)
    signed_results = Job(tmp_path, WITH_FILES).step.sign_requests(make_results(1, 2))
    assert [len(run.variable_macs) for run in signed_results] == ([1, 2] if is_signed else [0, 0])
    assert all(run.request_mac for run in signed_results)


# Results that can't be written


def test_missing_results_are_error(tmp_path: Path) -> None:
    """A step whose results.json is missing has exit code 7, after a second attempt."""
    block_results(tmp_path)
    clock = QuickClock()
    job = Job(tmp_path, WITH_FILES, clock=clock)
    assert job.finish(STARTED_VERDICT, make_passed_run("a")) == 7
    assert clock.pauses == [0.2]
    assert NO_RESULTS_JSON in job.log
    assert "results.json could not be written to results-dir (" in job.log
    # Without a results.json, no later step can wait for the runs.
    assert "autonoma-ci wait" not in job.log
    assert "conclusion=error" in (tmp_path / "out" / "outputs.env").read_text("utf-8").lower().replace("'", "")


def test_outdated_results_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results.json of the beginning has no runs, so a later step must not read it."""
    job = Job(tmp_path, WITH_FILES)
    job.step.begin_files()
    assert job.results_json["runs"] == []
    monkeypatch.setattr(Directory, "write_atomic", fail_with(OSError(errno.ENOSPC, "No space left on device")))
    assert job.finish(STARTED_VERDICT, make_passed_run("a")) == 7
    assert not (tmp_path / "out" / "results.json").exists()


def test_missing_results_preserve_failure(tmp_path: Path) -> None:
    """The exit code of another error is more helpful."""
    block_results(tmp_path)
    job = Job(tmp_path, WITH_FILES)
    verdict = Verdict(Conclusion.FAILED, ExitReason.FAILED, 1)
    assert job.finish(verdict) == 1
    assert NO_RESULTS_JSON not in job.log


def test_results_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full for a moment costs nothing."""
    failures = iter([OSError(errno.ENOSPC, "No space left on device")])

    write_atomic = Directory.write_atomic

    def fail_first_write(self: Directory, name: str, data: bytes) -> None:
        if name == "results.json" and (error := next(failures, None)):
            raise error
        write_atomic(self, name, data)

    monkeypatch.setattr(Directory, "write_atomic", fail_first_write)
    job = Job(tmp_path, WITH_FILES, clock=QuickClock())
    assert job.finish(PASSED_VERDICT, make_passed_run("a")) == 0
    assert job.results_json["conclusion"] == "passed"
    assert "Warning" not in job.log


# Publishers


def test_finish_publishes_files_first(tmp_path: Path) -> None:
    """Reports of the CI system can refer to the files."""
    results_existed: list[bool] = []
    results = tmp_path / "out" / "results.json"
    local = Publisher(on_publish=lambda: results_existed.append(results.exists()))
    job = Job(tmp_path, WITH_FILES, System(local))
    job.finish()
    assert results_existed == [True]


def test_finish_publishes_remotely_last(tmp_path: Path) -> None:
    """A slow server must not delay outputs and log."""
    order: list[str] = []
    job: Job
    remote = Remote(on_publish=lambda: order.append(f"remote {bool(job.log)}"))
    job = Job(
        tmp_path, CREDENTIALS, System(remote, Publisher(on_publish=lambda: order.append("local"))), clock=QuickClock()
    )
    job.finish()
    assert order == ["local", "remote True"]


def test_finish_warns_once(tmp_path: Path) -> None:
    """Equal warnings of several publishers are one line, without credentials."""
    system = System(Publisher("odd", f"bad {VALUE}"), Publisher("odd"), Remote("odd", "new"))
    job = Job(tmp_path, CREDENTIALS, system, clock=QuickClock())
    job.finish()
    assert [line for line in job.log.splitlines() if line.startswith("Warning")] == [
        "Warning: odd", "Warning: bad ***", "Warning: new"
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Publisher, Remote])
def test_finish_raises_bug_last(kind: type[Publisher], tmp_path: Path) -> None:
    """All other reports are complete before an internal error is raised."""
    other_publishers = Publisher(), Remote()
    job = Job(tmp_path, WITH_FILES, System(kind(error=RuntimeError("bug")), *other_publishers), clock=QuickClock())
    with pytest.raises(RuntimeError, match="bug"):
        job.finish(PASSED_VERDICT, make_passed_run("a"))
    assert [len(publisher.reports) for publisher in other_publishers] == [1, 1]
    assert job.results_json["conclusion"] == "passed"
    assert "1 of 1 run started." in job.log


def test_finish_raises_bug_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error in a file prevents no other report."""
    monkeypatch.setattr(results_dir_module, "render_dotenv", fail_with(RuntimeError("bug")))
    local = Publisher()
    job = Job(tmp_path, WITH_FILES, System(local))
    with pytest.raises(RuntimeError, match="bug"):
        job.finish()
    assert len(local.reports) == 1


def test_remote_publisher_can_be_abandoned(tmp_path: Path) -> None:
    """A server that never responds leaves a warning, and the exit code stands."""
    release = threading.Event()
    job = Job(tmp_path, CREDENTIALS, System(Remote(on_publish=lambda: release.wait(60))))
    try:
        assert job.finish() == 0
    finally:
        release.set()
    assert ("Warning: The CI system's report may be incomplete (timeout). The exit code is not affected.") in job.log


def test_signal_shortens_remote_publisher(tmp_path: Path) -> None:
    """After a signal the warning has the other reason."""
    release = threading.Event()
    job: Job
    local = Publisher(on_publish=lambda: job.runtime.signals.handle(signal.SIGTERM, None))
    job = Job(tmp_path, CREDENTIALS, System(local, Remote(on_publish=lambda: release.wait(60))))
    started_at = job.clock.monotonic()
    try:
        assert job.finish() == 0
    finally:
        release.set()
    assert "may be incomplete (signal received)." in job.log
    assert job.clock.monotonic() - started_at == pytest.approx(1.5)


# Comment


def make_comments(thread: Callable[[], CommentThread | None]) -> CommentSupport:
    """Return the comments of a system, which `thread` opens."""

    def open_thread(_: Mapping[str, str], __: BuildContext, token: Secret, ___: Clock) -> CommentThread | None:
        assert token.reveal() == "ghp-s3cret-token"
        return thread()

    return CommentSupport("github-token", open_thread)


COMMENT = {**CREDENTIALS, "AUTONOMA_COMMENT": "true", "AUTONOMA_GITHUB_TOKEN": "ghp-s3cret-token"}


def test_comment_message_is_logged(tmp_path: Path) -> None:
    """A comment that can't be written is a warning."""
    job = Job(tmp_path, COMMENT, System(comments=make_comments(lambda: None)), clock=QuickClock())
    assert job.finish() == 0
    assert "Warning: The comment could not be written: the variables of the job do not identify the change." in job.log


class Thread:
    """The comments on one change, in memory."""

    workflow_key, build_id, max_bytes = "workflow", "17", 65_000

    def __init__(self) -> None:
        self.comments: list[Comment] = []

    def list_own(self) -> list[Comment] | None:
        return list(self.comments)

    def list_changed(self) -> list[Comment]:
        return list(self.comments)

    def create(self, body: str) -> Comment:
        self.comments.append(Comment(len(self.comments) + 1, body))
        return self.comments[-1]

    def update(self, comment: Comment, body: str) -> None:
        self.comments = [old._replace(body=body) if old.id == comment.id else old for old in self.comments]

    def delete(self, comment: Comment) -> None:
        self.comments = [old for old in self.comments if old.id != comment.id]

    def find_hint(self, error: RestError) -> str:
        return str(error)


def test_comment_has_report(tmp_path: Path) -> None:
    """The comment is written after all other reports, and the log has no line about it."""
    thread = Thread()
    job = Job(tmp_path, COMMENT, System(comments=make_comments(lambda: thread)), clock=QuickClock())
    assert job.finish(STARTED_VERDICT, make_passed_run("a", "Sign in")) == 0
    [comment] = thread.comments
    assert "Sign in" in comment.body
    assert "omment" not in job.log


def test_comment_can_be_abandoned(tmp_path: Path) -> None:
    """A server that never responds leaves a warning."""
    release = threading.Event()

    def wait_for_release() -> None:
        release.wait(60)

    job = Job(tmp_path, COMMENT, System(comments=make_comments(wait_for_release)))
    try:
        assert job.finish() == 0
    finally:
        release.set()
    assert "Warning: The comment may be incomplete (timeout)." in job.log


def test_skipped_step_has_no_comment(tmp_path: Path) -> None:
    """The comment of an earlier step is still true."""
    open_calls: list[int] = []
    comments = make_comments(lambda: open_calls.append(1))
    job = Job(tmp_path, COMMENT, System(comments=comments), clock=QuickClock())
    assert job.step.skip("groups is 'none'") == 0
    assert open_calls == []
    assert "comment" not in job.log


# Advice for ids


@pytest.mark.parametrize(
    ("environ", "kind", "advice"),
    [
        ({"AUTONOMA_TEST_IDS": "a"}, TargetKind.FOLDER, "Put it into AUTONOMA_FOLDER_IDS"),
        ({"INPUT_TEST-IDS": "a"}, TargetKind.TAG, "Put it into tag-ids"),
        ({"AUTONOMA_TEST_IDS": "b"}, TargetKind.FOLDER, "Put it under folders in the manifest"),
        ({"AUTONOMA_FOLDER_IDS": "a"}, TargetKind.TAG, "Put it under tags in the manifest"),
    ],
)
def test_advice_names_option_as_written(environ: dict[str, str], kind: TargetKind, advice: str) -> None:
    """An id of an option belongs into another option, and one of the manifest under another key."""
    settings: Settings = load_settings({}, (), environ)[0]
    assert job_step._misplaced_id_advice(settings, RunRequest(TargetKind.TEST, "a"), kind) == advice
