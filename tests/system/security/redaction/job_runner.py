"""Run a complete job against a server with faults that repeats secrets."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pytest

from autonoma_ci import cli
from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.detection import detect, load_system
from autonoma_ci.ci.rest import http
from autonoma_ci.ci.systems import bitbucket
from autonoma_ci.clock import Clock
from autonoma_ci.engine.poller import PollPolicy
from tests.support import faults
from tests.support.fault_server import FaultServer
from tests.support.github_job import START_POLICY
from tests.system.security.redaction import secret_markers
from tests.system.security.redaction.ci_environments import ENVIRONMENTS, prepare_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.support.fault_server import Connection, ReceivedRequest, RequestHandler

# Builds the response from the text that it repeats.
Fault: TypeAlias = "Callable[[str], RequestHandler]"
_TIMEOUTS = Timeouts(connect=5.0, read=1.5, total=2.0)
_START_POLICY = START_POLICY._replace(give_up_after=1.0, max_connect_attempts=2)
_POLL_POLICY = PollPolicy(
    interval=0.02, give_up_after=0.1, not_found_grace=0.1, late_response_grace=0.4, hung_after=2.0
)
# The first polls of a run are faulty. Later polls end the run, unless it was given up before.
_MAX_FAULTY_POLLS = 8
_SECRET_FORMS = list(secret_markers.ENCODINGS)
_PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)


def _send_json(status: int, text: str, *headers: str) -> RequestHandler:
    return faults.send_response(
        status, json.dumps({"error": text, "message": text, "url": text, "run_id": text}), *headers
    )


def _make_text_fault(status: int) -> Fault:
    return lambda echo: faults.send_response(status, echo)


def _make_json_fault(status: int) -> Fault:
    return lambda echo: _send_json(
        status, echo, f"Retry-After: {_to_header_value(echo)}", f"Location: https://x:{_to_header_value(echo)}@[::1/"
    )


def _build_folder(echo: str) -> dict[str, object]:
    return {"id": "f-1", "name": echo, "tests": [{"id": "t-1", "name": echo}, {"id": echo, "name": echo}]}


def _to_header_value(text: str) -> str:
    # The value of a header is one line of ASCII.
    return " ".join(text.split()).encode("ascii", "replace").decode()


FAULTS: Mapping[str, Fault] = {
    **{f"{status} with JSON": _make_json_fault(status) for status in (200, 307, 401, 404, 422, 429, 500)},
    **{f"{status} with text": _make_text_fault(status) for status in (200, 401, 503)},
    "a list": lambda echo: faults.send_response(200, json.dumps([_build_folder(echo)])),
    "a reason phrase": lambda echo: faults.send_raw(
        f"HTTP/1.1 500 {_to_header_value(echo)}\r\nContent-Length: 0\r\n\r\n"
    ),
    "a header without end": lambda echo: faults.send_raw(f"HTTP/1.1 200 OK\r\nX-Echo: {_to_header_value(echo)}" * 40),
    "not HTTP": faults.send_raw,
    "half a body": lambda echo: faults.send_raw(faults.make_head(500, "Content-Length: 999999") + echo),
    "a bad chunk": lambda echo: faults.send_raw(
        faults.make_head(200, "Transfer-Encoding: chunked") + f"zz{echo}\r\n{echo}"
    ),
    "a chunk's extension": lambda echo: faults.send_raw(
        faults.make_head(200, "Transfer-Encoding: chunked")
        + f"2;{_to_header_value(echo)}\r\n{{}}\r\n0\r\nX: {_to_header_value(echo)}\r\n\r\n"
    ),
    "a false gzip header": lambda echo: faults.send_response(200, echo, "Content-Encoding: gzip"),
    "a length that is no number": lambda echo: faults.send_raw(
        faults.make_head(200, f"Content-Length: {_to_header_value(echo)}") + echo
    ),
    "a slow body": lambda echo: faults.send_slowly(faults.make_head(500, "Content-Length: 9999") + echo),
    "a close": lambda _: faults.close,
    "a reset": lambda _: faults.reset,
    "silence": lambda _: faults.hang,
}


class _FaultyApi:
    """An API with faults for ids such as `wait-3`.

    The id names the phase and the index of the fault in `fault_names`. Other responses are valid. Each response repeats
    the secrets in the next form, starting after `form_index`.
    """

    def __init__(self, fault_names: Sequence[str], other_hosts_url: str, form_index: int) -> None:
        self._faults = [FAULTS[name] for name in fault_names]
        self._other_hosts_url, self._form_index = other_hosts_url, form_index
        self._sent_values: dict[str, list[str]] = {}
        self._request_counts: Counter[str] = Counter()

    def handle(self, connection: Connection) -> bool:
        request = connection.request
        self._form_index += 1
        echo = secret_markers.encode_texts(
            _SECRET_FORMS[self._form_index % len(_SECRET_FORMS)], self._find_sent_values(request)
        )
        path = request.path.partition("?")[0]
        number = re.search(r"-(\d+)(?:/|$)", path)
        fault = self._faults[int(number[1]) % len(self._faults) if number else 0]
        self._request_counts[path] += 1
        if request.method == "GET" and path.endswith("/folder"):
            is_faulty = "offset=0" in request.path
        elif request.method == "POST":
            is_faulty = "/start-" in path
        elif path.endswith("/status"):
            is_faulty = "-wait-" in path and self._request_counts[path] <= _MAX_FAULTY_POLLS
        else:
            is_faulty = "-details-" in path
        return (fault(echo) if is_faulty else self._choose_valid_handler(request, echo))(connection)

    def _choose_valid_handler(self, request: ReceivedRequest, echo: str) -> RequestHandler:
        if request.method == "POST":
            return faults.send_started_run
        if "/folder?" in request.path:
            return faults.send_response(200, "[]")
        if request.path.endswith("/status"):
            return faults.send_response(200, json.dumps({"status": "failed"}))
        return self._send_details(echo)

    def _send_details(self, echo: str) -> RequestHandler:
        step = {"status": "failed", "instruction": echo, "output": echo, "url": f"https://shop.example.com/{echo}"}
        images = [f"{self._other_hosts_url}/step.png", f"{self._other_hosts_url}/nothing", echo]
        steps = [step | {"image": image} for image in images]
        return faults.send_response(
            200, json.dumps({"status": "failed", "name": echo, "steps": steps, "video_url": echo})
        )

    def _find_sent_values(self, request: ReceivedRequest) -> list[str]:
        """Return the credentials, and the values of the start request of the same run."""
        headers = [request.headers.get(f"autonoma-client-{name}", "") for name in ("id", "secret")]
        subject = next((part for part in re.split("[/?]", request.path) if re.search(r"-\d+$", part)), "")
        subject = subject.removeprefix("run-of-")
        if request.body:
            self._sent_values[subject] = list(json.loads(request.body).get("runtime_metadata", {}).values())
        return [*headers, *self._sent_values.get(subject, [])]


def _respond_as_other_host(connection: Connection) -> bool:
    """Respond as a code host, as a store of evidence, or as a proxy of a CI system."""
    path = connection.request.path
    if path.endswith(".png"):
        return faults.send_response(200, _PICTURE, "Content-Type: image/png")(connection)
    if path.endswith("/user"):
        return faults.send_response(200, json.dumps({"id": 1, "login": "us"}))(connection)
    return faults.send_response(
        200, "[]" if connection.request.method == "GET" else json.dumps({"id": 1, "body": "x"})
    )(connection)


@dataclass(frozen=True)
class JobOutput:
    """Exit code and folder of a job, and each visible text by its source."""

    code: int
    texts: Mapping[str, str]
    folder: Path

    def assert_no_leaks(self) -> None:
        """Fail if a text holds a secret."""
        # Arguments of a process are excluded, because all users of the machine can read them.
        ci_system_texts = {
            name for name in self.texts if name.startswith(("bin/", "others ")) and not name.endswith(".arguments")
        }
        leaks = secret_markers.find_leaks(
            {name: text for name, text in self.texts.items() if name not in ci_system_texts}
        )
        # Programs and interfaces of the CI system get the CI system's own credentials from the job.
        leaks += secret_markers.find_leaks({name: self.texts[name] for name in ci_system_texts}, "job token", "token")
        assert not leaks, "\n".join(leaks[:5])


def run_faulty_job(
    folder: Path, system: str, fault_names: Sequence[str], *argv: str, files: Mapping[str, str] | None = None
) -> JobOutput:
    """Run a command in a job of `system`, with these faults in each phase."""
    # The first form depends on system and fault. So each fault occurs with each form in some system.
    form_index = list(ENVIRONMENTS).index(system) + list(FAULTS).index(fault_names[0])
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        other_hosts = stack.enter_context(FaultServer(_respond_as_other_host))
        url = f"http://127.0.0.1:{other_hosts.port}"
        server = stack.enter_context(FaultServer(_FaultyApi(fault_names, url, form_index).handle))
        environ = prepare_job(system, folder, url) | {
            "AUTONOMA_CLIENT_ID": secret_markers.CLIENT_ID,
            "HOME": str(folder),
            "AUTONOMA_CLIENT_SECRET": secret_markers.CLIENT_SECRET,
            "AUTONOMA_VARIABLES": json.dumps(secret_markers.VARIABLE_VALUES),
            "AUTONOMA_API_URL": server.url,
            "AUTONOMA_TEST_IDS": ", ".join(["Label=good-0", *list_test_ids(fault_names)]),
            "AUTONOMA_FOLDER_IDS": "start-folder-0",
            "AUTONOMA_TAG_IDS": "wait-tag-0",
            "AUTONOMA_CONCURRENCY": "16",
            "AUTONOMA_RESULTS_DIR": "results",
            "AUTONOMA_EVIDENCE": "all",
            "AUTONOMA_WAIT": "true",
            "AUTONOMA_RETRIES": "1",
            "AUTONOMA_COMMENT": "true",
            "AUTONOMA_WAIT_FOR_URL": f"{url}/ready",
            "AUTONOMA_VERBOSE": "true",
        }
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(bitbucket, "PROXY_URL", url)
        patch.setattr(http, "_RETRY_DELAY_SECONDS", 0.01)
        patch.setattr(tempfile, "tempdir", str(folder / "ci"))
        for name, text in (files or {}).items():
            (folder / "workspace" / name).write_text(text, "utf-8")
        files_before = _read_files(folder)
        runtime = Runtime(
            environ, out, err, str(folder / "workspace"),
            clock=_ShortClock(), timeouts=_TIMEOUTS, start_policy=_START_POLICY, poll_policy=_POLL_POLICY,
        )  # fmt: skip
        code = cli.run_command(argv, runtime)
        log = _remove_masks(system, environ, out.getvalue())
        texts = {"stdout": log, "stderr": err.getvalue()}
        texts |= {name: text for name, text in _read_files(folder).items() if files_before.get(name) != text}
        for number, request in enumerate(other_hosts.received_requests):
            request_texts = [request.method, request.path, *map(str, request.headers.items()), request.body.decode()]
            texts[f"others {number}"] = "\n".join(request_texts)
    return JobOutput(code, texts, folder)


def list_test_ids(fault_names: Sequence[str]) -> list[str]:
    """Return one test id for each fault in each phase."""
    return [f"{phase}-{number}" for number in range(len(fault_names)) for phase in ("start", "wait", "details")]


class _ShortClock(Clock):
    """The real clock with short pauses."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.01))

    def spread(self, seconds: float) -> float:
        # After HTTP 429, the pause before the next poll would be seconds.
        return super().spread(min(seconds, 0.05))


def _read_files(folder: Path) -> dict[str, str]:
    """Return the name and content of each file as text."""
    return {
        str(path.relative_to(folder)): f"{path.name} {path.read_bytes().decode('utf-8', 'replace')}"
        for path in folder.rglob("*")
        if path.is_file()
    }


def _remove_masks(system: str, environ: Mapping[str, str], log: str) -> str:
    formatter = load_system(detect(environ)).log_formatter
    secrets = (secret_markers.CLIENT_ID, secret_markers.CLIENT_SECRET, secret_markers.TOKEN)
    masks = {line for secret in secrets for line in formatter.mask(secret)}
    return "\n".join(line for line in log.splitlines() if line not in masks)
