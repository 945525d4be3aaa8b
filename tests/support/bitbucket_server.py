"""A stub of Bitbucket's reports on a commit, behind a pipeline's proxy."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

SHA = "c0ffee" + "0123456789" * 3 + "abcd"
# The path of the commit in the API, as a publisher needs it.
COMMIT_PATH = f"/repositories/acme/shop/commit/{SHA}"
_REPORTS_PATH = f"/2.0{COMMIT_PATH}/reports"


class BitbucketServer(ThreadingHTTPServer):
    """A server with reports and annotations by id.

    It refuses requests that are against the documentation of the API, and adds the reason to `errors`.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reports: dict[str, dict[str, Any]] = {}
        self.annotations: dict[str, list[dict[str, Any]]] = {}
        self.requests: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.faults: dict[str, int] = {}  # the error status of each response to a method
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: BitbucketServer
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        data: Any
        with self.server.lock:
            self.server.requests.append((self.command, url.path))
            if self.command in self.server.faults:
                status, data = self.server.faults[self.command], {"type": "error"}
            else:
                status, data = self._handle_request(url.netloc, url.path, body, parse_qs(url.query))
        text = b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass

    def _handle_request(self, host: str, path: str, body: Any, query: dict[str, list[str]]) -> tuple[int, Any]:
        server = self.server
        if host == "api.bitbucket.org" and path == _REPORTS_PATH and self.command == "GET":
            page = int(query["page"][0])
            remaining_reports = list(server.reports.values())[(page - 1) * 10 :]
            next_page = {"next": f"https://{host}{path}?page={page + 1}"} if len(remaining_reports) > 10 else {}
            return 200, {"values": remaining_reports[:10], "page": page, **next_page}
        match = re.fullmatch(rf"{re.escape(_REPORTS_PATH)}/([A-Za-z0-9-]{{1,50}})(/annotations)?", path)
        if host != "api.bitbucket.org" or not match:
            return self._refuse(404, f"{self.command} {self.path} is no endpoint")
        name, annotations_suffix = match[1], match[2]
        if self.command == "PUT" and not annotations_suffix:
            error = _describe_error(body)
            server_fields = {"external_id": name, "type": "report", "created_on": f"{len(server.requests):06}"}
            server.reports |= {} if error else {name: {**body, **server_fields}}
            return self._refuse(400, error) if error else (200, server.reports[name])
        if name not in server.reports:
            return 404, {"type": "error"}
        if self.command == "POST" and annotations_suffix:
            server.annotations.setdefault(name, []).extend(body)
            return (200, body) if 1 <= len(body) <= 100 else self._refuse(400, "not 1 to 100 annotations")
        if self.command == "DELETE" and not annotations_suffix:
            server.annotations.pop(name, None)
            del server.reports[name]
            return 204, None
        if self.command == "GET":
            return 200, {"values": server.annotations.get(name, [])} if annotations_suffix else server.reports[name]
        return self._refuse(405, f"{self.command} {self.path}")

    def _refuse(self, status: int, error: str) -> tuple[int, Any]:
        self.server.errors.append(error)
        return status, {"type": "error", "error": {"message": error}}


def _describe_error(body: Any) -> str:
    """Return the error of a report, or an empty text."""
    if not {"title", "details", "report_type"} <= set(body) or len(body["data"]) > 10:
        return "a field is missing, or there are more than ten entries"
    types = {"NUMBER": (int, float), "DURATION": (int, float), "TEXT": (str,)}
    invalid_entries = [entry for entry in body["data"] if not isinstance(entry["value"], types[entry["type"]])]
    return f"a value of another type: {invalid_entries}" if invalid_entries else ""
