"""A server that repeats requests, and a job that calls it."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from tests.support.github_job import LONG_TIMEOUTS, POLL_POLICY, START_POLICY
from tests.support.github_parser import find_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class EchoResponse:
    """Status, JSON fields and headers of a response."""

    status: int = 200
    fields: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None


class EchoServer(ThreadingHTTPServer):
    """A server whose responses `respond` builds from headers and parsed body."""

    daemon_threads = True

    def __init__(self, respond: Callable[[Mapping[str, str], Any], EchoResponse]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: EchoServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        response = self.server.respond(dict(self.headers.items()), json.loads(body or "{}"))
        self.send_response(response.status)
        for name, value in (response.headers or {}).items():
            # Headers are Latin-1 in HTTP, but most servers send UTF-8.
            self.send_header(name, value.encode().decode("latin-1"))
        self.end_headers()
        self.wfile.write(json.dumps(response.fields or {}).encode())

    do_GET = do_POST = _serve  # noqa: N815 - the names of the base class

    def log_message(self, *args: object) -> None:
        pass


@dataclass(frozen=True)
class EchoJobResult:
    """Exit code, log without masks, and written files of a job."""

    code: int
    log: str
    files: Mapping[str, str]

    @property
    def all_text(self) -> str:
        return "\n".join([self.log, *self.files.values()])


def run_echo_job(folder: Path, environ: Mapping[str, str], *argv: str) -> EchoJobResult:
    """Run the command in this process."""
    # The debug log is a sink too.
    environ = {"AUTONOMA_VERBOSE": "true", **environ}
    files_before = {path for path in folder.rglob("*") if path.is_file()}
    out, err = io.StringIO(), io.StringIO()
    job_runtime = Runtime(
        environ,
        out,
        err,
        str(folder),
        timeouts=LONG_TIMEOUTS,
        start_policy=START_POLICY._replace(give_up_after=1.0),
        poll_policy=POLL_POLICY,
    )
    code = cli.run_command(argv, job_runtime)
    log = out.getvalue() + err.getvalue()
    allowed = {environ.get(name, "") for name in ("AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET")}
    assert find_masks(log) <= allowed, "nothing but the credentials is masked, since a mask shows what it hides"
    log = "\n".join(line for line in log.splitlines() if not line.startswith("::add-mask::"))
    new_files = (path for path in folder.rglob("*") if path.is_file() and path not in files_before)
    return EchoJobResult(code, log, {path.name: path.read_text("utf-8") for path in new_files})
