"""Run a whole job with the short limits of a test.

The module is the program of the process that `job` starts. It is never imported.
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
from autonoma_ci.ci.comments import http
from autonoma_ci.engine import details
from autonoma_ci.engine.poller import PollPolicy
from autonoma_ci.engine.starter import StartPolicy
from autonoma_ci.reports import evidence_store
from autonoma_ci.reports.results_dir import ResultsDirPublisher

if TYPE_CHECKING:
    from autonoma_ci.models import Report

FAULTS = Path(os.environ["JOB_FAULTS"])
# The timeout of a request, and the time for which polls may fail, in seconds.
_REQUEST_SECONDS, _PATIENCE_SECONDS = float(os.environ["JOB_SECONDS"]), float(os.environ["JOB_PATIENCE"])
_resolve = socket.getaddrinfo
_publish = ResultsDirPublisher.publish


def resolve_test_hosts(host: Any, port: Any, *more: Any, **named: Any) -> Any:
    """Resolve the names of test servers, unless a file forbids it."""
    if not str(host).endswith("autonoma.test"):
        return _resolve(host, port, *more, **named)
    if (FAULTS / str(host)).exists():
        raise socket.gaierror(int((FAULTS / str(host)).read_text()), "Name resolution has failed")
    found = []
    for address in os.environ["JOB_ADDRESSES"].split():
        found += _resolve(address, port, *more, **named)
    return found


def publish_when_allowed(self: ResultsDirPublisher, report: Report) -> list[str]:
    """Write the files, and wait for the test before the last time."""
    if report.verdict and (FAULTS / "report-waits").exists():
        (FAULTS / "report").touch()
        while (FAULTS / "report-waits").exists():
            time.sleep(0.01)
    return _publish(self, report)


def limit_threads(most: int) -> None:
    """Limit the number of threads like a container does."""
    made = itertools.count(1)
    start = _thread.start_new_thread

    def start_new_thread(*given: Any) -> int:
        if next(made) > most:
            raise RuntimeError("can't start new thread")
        return start(*given)

    _thread.start_new_thread = start_new_thread


if most := os.environ.get("JOB_THREADS"):
    limit_threads(int(most))
if most := os.environ.get("JOB_FILES"):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(most), int(most)))
socket.getaddrinfo = resolve_test_hosts
ResultsDirPublisher.publish = publish_when_allowed  # type: ignore[method-assign]
http._REQUEST_TIMEOUT_SECONDS, http._RETRY_DELAY_SECONDS, details._RETRY_DELAY_SECONDS = _REQUEST_SECONDS, 0.05, 0.1
evidence_store.download = partial(evidence_store.download, connect_seconds=_REQUEST_SECONDS)  # type: ignore[attr-defined]
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
        give_up_after=_PATIENCE_SECONDS,
        not_found_grace=_PATIENCE_SECONDS,
        late_response_grace=10.0,
        hung_after=120.0,
    ),
)
cli.main()
