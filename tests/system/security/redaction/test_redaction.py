"""Secrets in responses and mistakes that could repeat them."""

from __future__ import annotations

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

import pytest

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.clock import Clock
from tests.support.github_job import LONG_TIMEOUTS, START_POLICY
from tests.support.github_parser import find_commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CLIENT_ID = "sentinel-id-5d1f/+=&x"
CLIENT_SECRET = "sentinel-secret-9a4c/+=&\"x'<y"
VALUE = "sentinel value/7e?&=+\"x'<y"
CI_TOKEN = "sentinel-of-the-job-31c6"
SYSTEMS = {
    "github": {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": CI_TOKEN},
    "gitlab": {"GITLAB_CI": "true", "CI_JOB_TOKEN": CI_TOKEN},
    "jenkins": {"JENKINS_URL": "https://ci.example.com/", "JENKINS_HOME": "/var/jenkins"},
    "none": {},
}


class EchoHandler(BaseHTTPRequestHandler):
    """A handler that repeats the request in all parts of the response."""

    protocol_version = "HTTP/1.0"
    status: ClassVar[int] = 200
    as_json: ClassVar[bool] = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        sent_texts = [self.headers["autonoma-client-id"], self.headers["autonoma-client-secret"], body]
        sent_texts += json.loads(body).get("runtime_metadata", {}).values()
        sent_texts += [quote(text, safe="") for text in sent_texts] + [
            base64.b64encode(text.encode()).decode() for text in sent_texts
        ]
        echo_text = " ".join([*sent_texts, json.dumps(sent_texts)])
        self.send_response(self.status, echo_text.replace("\n", " "))
        self.send_header("Location", f"https://example.com/{quote(echo_text)}?{quote(echo_text)}")
        self.send_header("Retry-After", echo_text)
        self.send_header("X-Echo", echo_text)
        self.end_headers()
        fields = {
            "message": echo_text,
            "error": echo_text,
            "url": f"https://autonoma.app/run/{quote(sent_texts[1], safe='')}",
        }
        fields |= {"run_id": "r1", "status": echo_text}
        self.wfile.write((json.dumps(fields) if self.as_json else echo_text).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def echo_server() -> Iterator[tuple[str, type[EchoHandler]]]:
    class Handler(EchoHandler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", Handler
        server.shutdown()


def build_environment(folder: Path, url: str, system: str) -> dict[str, str]:
    return SYSTEMS[system] | {
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "AUTONOMA_CLIENT_ID": CLIENT_ID,
        "AUTONOMA_CLIENT_SECRET": CLIENT_SECRET,
        "AUTONOMA_API_URL": url,
        "AUTONOMA_TEST_IDS": "My test=abc",
        "AUTONOMA_VARIABLES": f"PASSWORD={VALUE}",
        "AUTONOMA_RESULTS_DIR": "results",
        # The debug log is a sink too.
        "AUTONOMA_VERBOSE": "true",
    }


def run_and_collect(folder: Path, environ: Mapping[str, str], *argv: str) -> tuple[int, str]:
    """Run a command and return its exit code, and log and files without masks."""
    out, err = io.StringIO(), io.StringIO()
    job_runtime = Runtime(
        environ, out, err, str(folder), timeouts=LONG_TIMEOUTS, start_policy=START_POLICY._replace(give_up_after=1.0)
    )
    code = cli.run_command(argv, job_runtime)
    log = out.getvalue() + err.getvalue()
    masks = {command.data for command in find_commands(log) if command.name == "add-mask"}
    # Each line has its own mask. An invalid credential is masked, too.
    credentials = [environ.get(name, "") for name in ("AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET")]
    assert masks <= {line for credential in credentials for line in credential.splitlines()}
    unmasked_log = "\n".join(line for line in log.splitlines() if not line.startswith("::add-mask::"))
    file_texts = [file.read_text("utf-8") for file in folder.rglob("*") if file.is_file() and file.suffix != ".yml"]
    return code, "\n".join([unmasked_log, *file_texts])


def assert_no_leaks(text: str, *more_secrets: str) -> None:
    """Fail if the text holds a sentinel in any encoding."""
    for secret in (CLIENT_ID, CLIENT_SECRET, VALUE, CI_TOKEN, *more_secrets):
        data = secret.encode()
        forms = [secret, quote(data, safe=""), quote(data), json.dumps(secret)[1:-1], base64.b64encode(data).decode()]
        for form in forms:
            assert form not in text
    assert "sentinel" not in text.lower()


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "status", [200, 201, 301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 504]
)
def test_echoing_server_leaks_nothing(
    status: int, as_json: bool, system: str, echo_server: tuple[str, type[EchoHandler]], tmp_path: Path
) -> None:
    """A server that repeats each request in all parts of a response leaks no secret."""
    url, handler = echo_server
    handler.status, handler.as_json = status, as_json
    code, text = run_and_collect(tmp_path, build_environment(tmp_path, url, system))
    assert code in {0, 3, 4, 5, 7}
    assert (code == 0) == (status < 300 and as_json)
    assert_no_leaks(text)
    assert "PASSWORD" in text


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("changes", "argv"),
    [
        ({"AUTONOMA_CLIENT_SECRET": "sentinel\nsecret"}, []),
        ({"AUTONOMA_CLIENT_SECRET": "sentinel-sécret"}, []),
        ({"AUTONOMA_CLIENT_ID": "sentinel\x00id"}, []),
        ({"AUTONOMA_API_URL": "https://sentinel:sentinel@autonoma.app/api"}, []),
        ({"AUTONOMA_API_URL": "https://autonoma.app/api?key=sentinel"}, []),
        ({"AUTONOMA_VARIABLES": "A=b\nsentinel without an equals sign"}, []),
        ({"AUTONOMA_VARIABLES": '{"A": ["sentinel"], "B": {"c": "sentinel"}}'}, []),
        ({"AUTONOMA_VARIABLES": '{"A": "sentinel'}, []),
        ({"AUTONOMA_VARIABLES": "A: !sentinel x\nB: *sentinel"}, []),
        ({"AUTONOMA_CLIENT_SECRT": "sentinel"}, ["--dry-run"]),
        ({}, ["--client-secrt", "sentinel-flag", "--client-secrt=sentinel-flag"]),
        ({}, ["--client-secret"]),
        ({}, ["--var", "sentinel"]),
        ({}, ["--var", "=sentinel"]),
        ({}, ["sentinel", "more"]),
        ({}, ["--dry-run", "--var", "A=sentinel"]),
        ({"AUTONOMA_MANIFEST": "secrets.yml"}, []),
        ({"AUTONOMA_MANIFEST": "secrets.yml"}, ["--dry-run"]),
    ],
)
def test_input_error_repeats_no_secret(changes: dict[str, str], argv: list[str], system: str, tmp_path: Path) -> None:
    """No error quotes a value that can be secret."""
    (tmp_path / "secrets.yml").write_text(
        "tests:\n  - id: ${ID_FROM_OUTSIDE}\n    name: ${DB_PASSWORD}\n    variables:\n"
        "      A: ${CI_JOB_TOKEN}${GITHUB_TOKEN}${AUTONOMA_CLIENT_SECRET}\n      B: [sentinel]\n      C: $sentinel\n",
        "utf-8",
    )
    environ = build_environment(tmp_path, "http://127.0.0.1:9", system) | {
        "CI_JOB_TOKEN": CI_TOKEN,
        "GITHUB_TOKEN": CI_TOKEN,
    }
    environ |= {"ID_FROM_OUTSIDE": "sentinel/id", "DB_PASSWORD": "sentinel-database"} | changes
    code, text = run_and_collect(tmp_path, environ, *argv)
    assert code == (0 if "--dry-run" in argv and "AUTONOMA_MANIFEST" not in changes else 2)
    assert_no_leaks(text)


def test_bug_report_hides_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report names the location, because the text of an exception can hold secrets."""

    def raise_error(*_: object) -> None:
        raise RuntimeError(f"{CLIENT_SECRET} {VALUE}")

    monkeypatch.setattr("autonoma_ci.engine.engine.Engine.run", raise_error)
    code, text = run_and_collect(tmp_path, build_environment(tmp_path, "http://127.0.0.1:9", "github"))
    assert code == 70
    assert "RuntimeError" in text
    assert "test_redaction.py" in text
    assert_no_leaks(text)


def test_repr_hides_secrets(tmp_path: Path) -> None:
    """The repr of each of our values is safe to paste."""
    from autonoma_ci.api.models import StartResult, StartStatus
    from autonoma_ci.app.inputs import RunArguments, detect_ci, load_inputs
    from autonoma_ci.app.plan_loader import add_plan
    from autonoma_ci.models import BuildContext, Report, RunResult

    environ = build_environment(tmp_path, "http://127.0.0.1:9", "none")
    job_inputs = load_inputs(RunArguments({}, [], []), environ, detect_ci({}))
    job_inputs = add_plan(job_inputs, environ, str(tmp_path), detect_ci({}), Clock())
    job_runtime = Runtime(environ, io.StringIO(), io.StringIO())
    run_result = RunResult(job_inputs.plan.requests[0])
    report = Report("t", BuildContext(), "cli", (run_result,))
    assert job_inputs.settings.variables == {"PASSWORD": VALUE}
    assert job_inputs.plan.requests[0].variables == {"PASSWORD": VALUE}
    assert_no_leaks(
        repr(
            [
                job_inputs.settings,
                job_inputs.plan,
                job_runtime,
                run_result,
                report,
                StartResult(StartStatus.INDETERMINATE),
                job_inputs,
            ]
        )
    )
