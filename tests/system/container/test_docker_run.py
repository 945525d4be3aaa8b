"""The docker run recipe of docs/ci/others.md with the real docker client."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER, SH = shutil.which("docker"), shutil.which("sh")
RECIPE_RE = re.compile(r"```sh\n(awk [^\n]*\n)(docker run [^\n]*)\n```")
# A commit message with lines that look like variables of an env file.
MESSAGE = "Fix the build\n\nCI was red = again\nAUTONOMA_ is a prefix\n  BUILD_X=1 # no comment\n"
VARIABLES = {
    "AUTONOMA_TEST_IDS": "one # first\ntwo",
    "AUTONOMA_CLIENT_SECRET": "s3cret=with'quotes\"and $HOME",
    "CI": "true",
    "CI_COMMIT_MESSAGE": MESSAGE,
    "CI_EMPTY": "",
    "GIT_COMMIT": "c" * 40,
    "BUILDKITE": "true",
    "BUILDKITE_MESSAGE": "  spaces around  ",
}
OTHER_VARIABLES = {"OTHER_SECRET": "not for the container", "MY_CI": "x", "ci_small": "y"}

pytestmark = pytest.mark.skipif(not (DOCKER and SH and shutil.which("awk")), reason="needs docker's client, sh and awk")


class EngineHandler(BaseHTTPRequestHandler):
    """A Docker engine that records container requests and creates none."""

    protocol_version = "HTTP/1.1"

    def _send_json(self, status: int, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Api-Version": "1.41", "Ostype": "linux"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self._send_json(200, {})

    def do_GET(self) -> None:
        self._send_json(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "/containers/create" in self.path:
            self.server.created.append(json.loads(body))  # type: ignore[attr-defined]
        self._send_json(500, {"message": "no container is made here"})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def engine() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), EngineHandler) as server:
        server.created = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run_script(script: str, folder: Path, engine: ThreadingHTTPServer) -> tuple[str, list[Any]]:
    """Run a script as a job step, and return its output and the container requests."""
    environ = {
        "PATH": f"{Path(str(DOCKER)).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "DOCKER_HOST": f"tcp://127.0.0.1:{engine.server_port}",
    }
    result = subprocess.run(
        [str(SH), "-c", script],
        cwd=folder,
        env={**environ, **VARIABLES, **OTHER_VARIABLES},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return result.stdout + result.stderr, engine.created  # type: ignore[attr-defined]


def read_recipe() -> str:
    match = RECIPE_RE.search((Path(__file__).parents[3] / "docs" / "ci" / "others.md").read_text("utf-8"))
    assert match
    return (match[1] + match[2]).replace("REGISTRY/", "registry.example.com/")


def test_container_gets_each_value_unchanged(tmp_path: Path, engine: ThreadingHTTPServer) -> None:
    """The container gets exactly the variables that the recipe selects, unchanged."""
    output, created = run_script(read_recipe(), tmp_path, engine)
    assert len(created) == 1, output
    assert dict(text.split("=", 1) for text in created[0]["Env"]) == VARIABLES


def test_env_file_has_names_only(tmp_path: Path, engine: ThreadingHTTPServer) -> None:
    """The file of the recipe has names of variables without values."""
    run_script(read_recipe(), tmp_path, engine)
    assert sorted((tmp_path / "names.env").read_text("utf-8").split()) == sorted(VARIABLES)


def test_env_output_breaks_docker(tmp_path: Path, engine: ThreadingHTTPServer) -> None:
    """The command `env` prints a value of several lines as several lines."""
    script = "env | grep -E '^(AUTONOMA_|CI)' | cut -d= -f1 > names.env\ndocker run --env-file names.env x"
    output, created = run_script(script, tmp_path, engine)
    assert created == []
    assert "contains whitespaces" in output
