"""Describe a fault, its phases and its expected result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.fault_server import RequestHandler
    from tests.system.faults.harness import FaultScenario

    # Returns the handler of one request. The second argument is the handler of a correct server.
    RequestFault: TypeAlias = "Callable[[FaultScenario, RequestHandler], RequestHandler]"
    ConnectionFault: TypeAlias = "Callable[[FaultScenario], RequestHandler]"


class Phase(StrEnum):
    """State the job's activity at the time of a fault.

    The values are the column headings of docs/fault-matrix.md.
    """

    PLAN = "plan"
    START = "start"
    SHORT_WAIT = "wait, for a moment"
    WAIT = "wait"
    DETAILS = "details"
    EVIDENCE = "evidence"
    REPORT = "report"
    COMMENT = "comment"
    WHOLE_JOB = "throughout"


# Phases with requests.
REQUEST_PHASES = (Phase.START, Phase.SHORT_WAIT, Phase.WAIT, Phase.DETAILS, Phase.EVIDENCE, Phase.COMMENT)
# Phases in which files are written. The comment follows after all files.
WRITE_PHASES = (Phase.START, Phase.WAIT, Phase.DETAILS, Phase.EVIDENCE, Phase.REPORT)
JOB_PHASES = (*WRITE_PHASES, Phase.COMMENT)
# The exit code without a fault, because one of the three tests fails.
USUAL_EXIT_CODE = 1
# A job is killed after this time, even on a busy machine. It may start for 30 s and wait for 30 s.
_MAX_JOB_SECONDS = 180.0
# The timeout of a request, long enough for a busy machine. The short one is for responses that never come or never
# end, because the job waits for the whole timeout.
_REQUEST_SECONDS, SHORT_REQUEST_SECONDS = 20.0, 3.0
# The job retries failed polls for this time. The long one exceeds a short fault on a busy machine. The short one is
# for permanent faults.
_LONG_RETRY_SECONDS, _SHORT_RETRY_SECONDS = 20.0, 2.0


def do_nothing(*_: object) -> None:
    """Do nothing."""


def keep_environment(_: FaultScenario) -> dict[str, str]:
    """Return no changes of the environment."""
    return {}


def set_variables(changes: Mapping[str, str]) -> Callable[[FaultScenario], dict[str, str]]:
    """Return a function that sets these environment variables.

    In a value, `{folder}` is the scenario's folder, and `{api}` and `{code_host}` are ports of its servers.
    """

    def prepare(scenario: FaultScenario) -> dict[str, str]:
        placeholders = {"folder": scenario.folder, "api": scenario.api.port, "code_host": scenario.code_host.port}
        return {name: text.format(**placeholders) for name, text in changes.items()}

    return prepare


@dataclass(frozen=True)
class FaultCase:
    """Describe one fault, when it occurs and its expected result."""

    group: str
    name: str
    # The exit codes that differ from USUAL_EXIT_CODE.
    codes: Mapping[Phase, int] = field(default_factory=dict)
    phases: tuple[Phase, ...] = REQUEST_PHASES
    # Each of these replaces the behaviour of the faulty server, for a request, a connection or a proxy tunnel.
    request_fault: RequestFault | None = None
    connection_fault: ConnectionFault | None = None
    tunnel_fault: ConnectionFault | None = None
    # Begin and end all other faults.
    begin: Callable[[FaultScenario], None] = do_nothing
    end: Callable[[FaultScenario], None] = do_nothing
    # Whether the fault begins before the first connection of its phase.
    begins_before_connection: bool = False
    # Changes files before the job, and returns changes of its environment.
    prepare: Callable[[FaultScenario], Mapping[str, str]] = keep_environment
    # The log of the job contains this text.
    log_text: str = ""
    # Whether the servers have a name and a certificate.
    uses_tls: bool = False
    # Whether the job does not know the authority of the certificates.
    is_untrusted: bool = False
    uses_proxy: bool = False
    # Whether the servers close each connection, so that each request needs a new one.
    closes_connections: bool = False
    # The addresses of the servers.
    address: str = "127.0.0.1"
    # How often a start of the affected test may arrive. More than once is allowed only after a proof that it did
    # nothing.
    max_posts: int = 1
    # Whether the response proves that a start which arrived did nothing.
    proves_not_started: bool = False
    # Whether the responses to all starts are lost, not only that of the affected test.
    affects_all_starts: bool = False
    # Whether only the first connection of the phase fails, so that all results must be complete.
    is_single: bool = False
    # Whether the input is invalid, so that no API request is allowed.
    is_input_error: bool = False
    # Whether the process is killed. Its reports may then be a second old.
    kills_job: bool = False
    # The reports that cannot be written (log, outputs, summary, results_json). Those that exist must be whole.
    lost_reports: tuple[str, ...] = ()
    max_seconds: float = _MAX_JOB_SECONDS
    # The timeout of a request.
    request_seconds: float = _REQUEST_SECONDS

    def build_limits(self, phase: Phase) -> dict[str, str]:
        """Return the environment variables with the limits of the job."""
        retry_seconds = _LONG_RETRY_SECONDS if phase is Phase.SHORT_WAIT else _SHORT_RETRY_SECONDS
        return {"JOB_REQUEST_SECONDS": str(self.request_seconds), "JOB_RETRY_SECONDS": str(retry_seconds)}
