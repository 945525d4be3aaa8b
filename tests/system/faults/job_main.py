"""Run a whole job with the short limits of a test.

`job_runner` starts this module as a process. It is never imported.
"""

from __future__ import annotations

import _thread
import itertools
import os
import resource
import socket
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autonoma_ci import cli
from autonoma_ci.api.models import Timeouts
from autonoma_ci.app import runtime
from autonoma_ci.ci.rest import http
from autonoma_ci.engine import details
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.reports import evidence_store
from autonoma_ci.reports.results_dir import ResultsDirPublisher

if TYPE_CHECKING:
    from autonoma_ci.models import Report

FAULTS_DIR = Path(os.environ["JOB_FAULTS"])
# The timeout of a request, and the time for which polls may fail, in seconds.
_REQUEST_SECONDS, _RETRY_SECONDS = float(os.environ["JOB_REQUEST_SECONDS"]), float(os.environ["JOB_RETRY_SECONDS"])
_original_getaddrinfo = socket.getaddrinfo
_original_publish = ResultsDirPublisher.publish


def resolve_test_hosts(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    """Resolve the names of test servers, unless a file forbids it."""
    if not str(host).endswith("autonoma.test"):
        return _original_getaddrinfo(host, port, *args, **kwargs)
    if (FAULTS_DIR / str(host)).exists():
        raise socket.gaierror(int((FAULTS_DIR / str(host)).read_text()), "Name resolution has failed")
    address_infos = []
    for address in os.environ["JOB_ADDRESSES"].split():
        address_infos += _original_getaddrinfo(address, port, *args, **kwargs)
    return address_infos


def publish_when_allowed(self: ResultsDirPublisher, report: Report) -> list[str]:
    """Write the files, and wait for the test before the last time."""
    if report.verdict and (FAULTS_DIR / "report-waits").exists():
        (FAULTS_DIR / "report").touch()
        while (FAULTS_DIR / "report-waits").exists():
            time.sleep(0.01)
    return _original_publish(self, report)


def limit_threads(max_threads: int) -> None:
    """Limit the number of threads like a container does."""
    thread_numbers = itertools.count(1)
    original_start = _thread.start_new_thread

    def start_new_thread(*args: Any) -> int:
        if next(thread_numbers) > max_threads:
            raise RuntimeError("can't start new thread")
        return original_start(*args)

    _thread.start_new_thread = start_new_thread


if limit := os.environ.get("JOB_THREADS"):
    limit_threads(int(limit))
if limit := os.environ.get("JOB_FILES"):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), int(limit)))
socket.getaddrinfo = resolve_test_hosts
ResultsDirPublisher.publish = publish_when_allowed  # type: ignore[method-assign]
http._REQUEST_TIMEOUT_SECONDS, http._RETRY_DELAY_SECONDS, details._RETRY_DELAY_SECONDS = _REQUEST_SECONDS, 0.05, 0.1
evidence_store.download_file = partial(evidence_store.download_file, connect_seconds=_REQUEST_SECONDS)  # type: ignore[attr-defined]
evidence_store.EvidenceDownloader = partial(evidence_store.EvidenceDownloader, timeout_seconds=_REQUEST_SECONDS)  # type: ignore[misc, assignment]
runtime.Runtime = partial(  # type: ignore[misc, assignment]
    runtime.Runtime,
    timeouts=Timeouts(connect=_REQUEST_SECONDS, read=_REQUEST_SECONDS / 1.5, total=_REQUEST_SECONDS),
    start_policy=StartPolicy(
        give_up_after=30.0,
        max_connect_attempts=3,
        first_retry_pause=0.02,
        max_retry_pause=0.05,
        shutdown_grace=0.3,
        hung_after=120.0,
    ),
    poll_policy=PollPolicy(
        interval=0.1,
        give_up_after=_RETRY_SECONDS,
        not_found_grace=_RETRY_SECONDS,
        late_response_grace=10.0,
        hung_after=120.0,
    ),
)
cli.main()
