"""Download of evidence, on a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.api.models import DownloadResult, EvidenceFile, RunDetails, SignedUrl
from autonoma_ci.engine.evidence import EvidencePolicy
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.workers import SignalReceived
from autonoma_ci.models import RunState, RunStep, TargetKind
from tests.unit.engine.test_poller import FAILED, PASSED, STOPPED, Job, make_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.api.models import PollResult
    from tests.support.fake_clock import ScriptedRun

FAILED_STEP = RunStep(2, "Pay", "No button")
STEPS = (RunStep(1, "Open"), FAILED_STEP, RunStep(3, "Close"))
SCREENSHOT_URLS = {number: SignedUrl(f"https://media.test/{number}") for number in (1, 2, 3)}
VIDEO_URL = SignedUrl("https://media.test/video")
DETAILS = RunDetails("Checkout", FAILED_STEP, None, None, STEPS, SCREENSHOT_URLS, VIDEO_URL)


def make_run_with_media(
    seconds: float = 10,
    end: PollResult = FAILED,
    download_result: Callable[[EvidenceFile, int], DownloadResult] | None = None,
    delay: float = 0.05,
) -> ScriptedRun:
    """Make a run with three steps and a video."""
    run = make_run(seconds, end, delay)._replace(details=DETAILS)
    return run._replace(download_result=download_result) if download_result else run


def list_downloaded_steps(job: Job) -> list[int | None]:
    return [item.step_number for item in job.workers.downloaded_files]


@pytest.mark.parametrize(
    ("mode", "end", "count"),
    [("failed", FAILED, 4), ("failed", STOPPED, 4), ("failed", PASSED, 0), ("all", PASSED, 4), ("all", FAILED, 4)],
)
def test_evidence_option_selects_runs(mode: str, end: PollResult, count: int) -> None:
    """The option `evidence` selects the runs whose files are downloaded."""
    job = Job(make_run_with_media(end=end), evidence_policy=EvidencePolicy(mode)).run()
    assert len(list_downloaded_steps(job)) == count
    assert len(job.first.evidence.files) == count


def test_evidence_off_downloads_nothing() -> None:
    """Without evidence, the steps of a run are known but no file is downloaded."""
    job = Job(make_run_with_media()).run()
    assert list_downloaded_steps(job) == []
    assert [step.instruction for step in job.first.evidence.steps] == ["Open", "Pay", "Close"]


def test_failed_step_downloads_first() -> None:
    """The screenshot of the failed step is the first download and the video the last."""
    assert list_downloaded_steps(
        Job(make_run_with_media(), evidence_policy=EvidencePolicy(max_concurrent=1)).run()
    ) == [
        2,
        1,
        3,
        None,
    ]


def test_video_of_passed_run_downloads_last() -> None:
    """The video of a run that passed is downloaded after its screenshots."""
    job = Job(make_run_with_media(end=PASSED), evidence_policy=EvidencePolicy("all", max_concurrent=1)).run()
    assert list_downloaded_steps(job) == [1, 2, 3, None]


def test_failed_runs_download_first() -> None:
    """Files of failed runs are downloaded before files of passed runs."""
    job = Job(
        make_run_with_media(end=PASSED),
        make_run_with_media(10),
        evidence_policy=EvidencePolicy("all", max_concurrent=1),
    ).run()
    low_priorities = [item.low_priority for item in job.workers.downloaded_files]
    assert low_priorities.count(False) == 4
    assert low_priorities[1:5] == [False] * 4, "only the one that was under way already may go before"


def test_screenshots_belong_to_their_steps() -> None:
    """Each step has the path of its own screenshot."""
    evidence = Job(make_run_with_media(), evidence_policy=EvidencePolicy()).run().first.evidence
    assert [step.screenshot for step in evidence.steps] == [f"evidence/run-0-1/{number}" for number in (1, 2, 3)]
    assert (evidence.video, evidence.missing_reason) == ("evidence/run-0-1/video", "")


def test_downloads_respect_concurrency() -> None:
    """At most `max_concurrent` files are downloaded at once."""
    job = Job(*[make_run_with_media() for _ in range(8)], evidence_policy=EvidencePolicy(max_concurrent=3)).run()
    assert len(list_downloaded_steps(job)) == 32
    assert job.workers.max_parallel_downloads == 3


def test_each_attempt_has_its_own_evidence() -> None:
    """Each attempt of a run has its own files."""
    job = Job(
        [make_run_with_media(), make_run_with_media()],
        retries=1,
        evidence_policy=EvidencePolicy(),
    ).run()
    assert job.first.previous_attempts[0].evidence.files[0] == "evidence/run-0-1/1"
    assert job.first.evidence.files[0] == "evidence/run-0-2/1"


@pytest.mark.parametrize("kind", [TargetKind.FOLDER, TargetKind.TAG])
def test_only_tests_have_evidence(kind: TargetKind) -> None:
    """Runs of folders and tags have no evidence."""
    assert (
        list_downloaded_steps(Job(make_run_with_media(), kind=kind, evidence_policy=EvidencePolicy("all")).run()) == []
    )


def fail_first_download(item: EvidenceFile, attempt: int) -> DownloadResult:
    return (
        DownloadResult(error="HTTP 403", retryable=True)
        if attempt == 1
        else DownloadResult(f"evidence/{item.step_number}")
    )


def test_expired_urls_refresh_once_per_run() -> None:
    """One request renews the expired URLs of all files of a run."""
    job = Job(make_run_with_media(download_result=fail_first_download), evidence_policy=EvidencePolicy()).run()
    assert len(job.workers.url_requests) == 1
    assert len(job.first.evidence.files) == 4
    assert job.first.evidence.missing_reason == ""


def test_retried_download_uses_new_url() -> None:
    """The second download of a file uses the renewed URL."""
    job = Job(
        make_run_with_media(
            download_result=lambda item, _: DownloadResult(error="HTTP 403", retryable="old" in item.signed_url.url)
        ),
        evidence_policy=EvidencePolicy(),
    )
    fetch_details = job.workers.fetch_details

    def return_stale_url(index: int, request: object, run_id: str, *, media: bool = False) -> None:
        created_at, run = job.workers.find_or_create_run(index, run_id)
        stale_run = run._replace(
            details=DETAILS._replace(screenshot_urls={2: SignedUrl("https://media.test/old")}, video_url=None)
        )
        job.workers.created_runs[index, run_id] = created_at, stale_run
        fetch_details(index, job.first.request, run_id, media=media)
        job.workers.created_runs[index, run_id] = created_at, run

    job.workers.fetch_details = return_stale_url  # type: ignore[method-assign]
    job.run()
    assert [item.signed_url.url for item in job.workers.downloaded_files] == [
        "https://media.test/old",
        "https://media.test/2",
    ]


def test_failed_downloads_keep_verdict() -> None:
    """Files that fail twice are counted and leave the verdict unchanged."""
    job = Job(
        make_run_with_media(download_result=lambda *_: DownloadResult(error="HTTP 404", retryable=True)),
        evidence_policy=EvidencePolicy(),
    ).run()
    assert len(list_downloaded_steps(job)) == 8
    assert job.first.evidence.missing_reason == "4 files: HTTP 404"
    assert (job.states, job.code) == ([RunState.FAILED], 1)
    passed_job = Job(
        make_run_with_media(end=PASSED, download_result=lambda *_: DownloadResult(error="no room")),
        evidence_policy=EvidencePolicy("all"),
    ).run()
    assert (passed_job.states, passed_job.code) == ([RunState.PASSED], 0)


def test_permanent_error_skips_refresh() -> None:
    """An error that a new URL cannot fix is not retried."""
    job = Job(
        make_run_with_media(download_result=lambda *_: DownloadResult(error="larger than the limit")),
        evidence_policy=EvidencePolicy(),
    ).run()
    assert len(list_downloaded_steps(job)) == 4
    assert job.workers.url_requests == []


def test_missing_details_are_explained() -> None:
    """The evidence states why the details are missing."""
    job = Job(make_run(10, FAILED), evidence_policy=EvidencePolicy()).run()
    assert job.first.evidence.missing_reason == "details unavailable: HTTP 500"


def test_details_for_evidence_are_retried() -> None:
    """The details of a pass are requested again if its files are needed."""
    assert len(Job(make_run(10), evidence_policy=EvidencePolicy("all")).run().workers.details_requests) == 3


def test_hung_downloads_end_at_timeout() -> None:
    """Hung downloads delay the step by about `finish_timeout`."""
    job = Job(
        make_run_with_media(download_result=fail_first_download), evidence_policy=EvidencePolicy(finish_timeout=60)
    )
    job.workers.download = lambda index, file: None  # type: ignore[method-assign]
    job.run()
    assert 60 <= job.seconds <= 80
    assert job.first.evidence.missing_reason == "4 files: downloads took too long"


def test_downloads_start_during_wait() -> None:
    """Files are downloaded early because their URLs expire after an hour."""
    job = Job(
        make_run_with_media(10), make_run(3000), poll_policy=PollPolicy(timeout=4000), evidence_policy=EvidencePolicy()
    )
    download, download_times = job.workers.download, []

    def download_and_record(index: int, file: EvidenceFile) -> None:
        download_times.append(job.seconds)
        download(index, file)

    job.workers.download = download_and_record  # type: ignore[method-assign]
    job.run()
    assert len(download_times) == 4
    assert max(download_times) < 30


def test_signal_ends_downloads() -> None:
    """After a signal, the evidence states which files are missing."""
    job = Job(make_run_with_media(delay=1.0), evidence_policy=EvidencePolicy(max_concurrent=1))
    download = job.workers.download

    def download_and_cancel(index: int, file: EvidenceFile) -> None:
        download(index, file)
        job.clock.schedule(0.5, SignalReceived(15))

    job.workers.download = download_and_cancel  # type: ignore[method-assign]
    job.run()
    assert job.engine.signal_number == 15
    assert job.first.evidence.missing_reason == "4 files: the job was cancelled"
    assert job.seconds < 20


def test_deadline_allows_pending_downloads() -> None:
    """Runs that end before the deadline still get their files."""
    job = Job(
        make_run_with_media(10), make_run(1e9), poll_policy=PollPolicy(timeout=20), evidence_policy=EvidencePolicy()
    ).run()
    assert job.states == [RunState.FAILED, RunState.TIMED_OUT]
    assert len(job.first.evidence.files) == 4


def test_simultaneous_runs_all_get_evidence() -> None:
    """All 300 runs get their files although only eight details are requested at once."""
    job = Job(
        *[make_run_with_media(10, delay=2.0) for _ in range(300)], evidence_policy=EvidencePolicy(max_concurrent=64)
    ).run()
    assert all(len(outcome.evidence.files) == 4 for outcome in job.run_table.results)


def test_hung_details_end_at_timeout() -> None:
    """Hung requests for details delay the step for a limited time."""
    job = Job(*[make_run_with_media() for _ in range(300)], evidence_policy=EvidencePolicy(finish_timeout=60))
    job.workers.fetch_details = lambda *_, **__: None  # type: ignore[method-assign]
    job.run()
    assert job.seconds <= 90
    assert all("details unavailable" in outcome.evidence.missing_reason for outcome in job.run_table.results)
    assert job.states == [RunState.FAILED] * 300


@pytest.mark.parametrize(("last_number", "digits"), [(3, 3), (999, 3), (1000, 4), (12_345, 5)])
def test_file_names_sort_by_step(last_number: int, digits: int) -> None:
    """Step numbers in file names are padded to the same width."""
    details = DETAILS._replace(
        screenshot_urls={number: SignedUrl("https://media.test/") for number in (1, last_number)}, video_url=None
    )
    job = Job(make_run(10, FAILED)._replace(details=details), evidence_policy=EvidencePolicy()).run()
    assert {item.number_width for item in job.workers.downloaded_files} == {digits}
