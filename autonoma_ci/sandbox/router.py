"""Route requests to the sandbox, check credentials and build the responses.

The sandbox is a local imitation of the Autonoma API. It also has web pages for its users.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote

from autonoma_ci.sandbox.contract import DEFAULT_REVISION, KINDS, REVISIONS, body_error, is_id, source_of
from autonoma_ci.sandbox.fixtures import TAGS, build_folders, build_run_details, build_run_steps, build_test_details
from autonoma_ci.sandbox.pages import missing_page, other_host_page, run_page, screenshot_response, video_response
from autonoma_ci.sandbox.responses import (
    JSON,
    Request,
    Response,
    error_response,
    json_response,
    not_found,
    unauthorized,
)
from autonoma_ci.sandbox.scenarios import DEVICE_FARM, QUOTA, WEB_PAGE, is_scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.sandbox.request_log import RequestLog
    from autonoma_ci.sandbox.run_store import RunStore
    from autonoma_ci.sandbox.scenarios import Scenario

API_PATH = "/api"
_IMAGE_RE = re.compile(r"[1-4]-(passed|failed)\.png")
_DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE = 20, 100


class _Operation(NamedTuple):
    """The operation of the API that a path names."""

    method: str
    # "start", "status", "details", "folders" or "target".
    name: str
    kind: str = "test"
    # The id of a test, folder or tag. For "status" and "details" it is the run id.
    target_id: str = ""


class Router:
    """Builds the response to each request.

    With an empty `client_id` or `client_secret`, any value that is not empty is accepted.
    """

    def __init__(
        self,
        run_store: RunStore,
        request_log: RequestLog,
        client_id: str,
        client_secret: str,
        folders: Sequence[Mapping[str, object]] | None = None,
        revision: str = DEFAULT_REVISION,
    ) -> None:
        self._run_store = run_store
        self._revision = REVISIONS[revision]
        self._folders = build_folders() if folders is None else folders
        self._request_log = request_log
        self._kind_by_id = {str(folder["id"]): "folder" for folder in self._folders if "id" in folder}
        self._tests = {str(test["id"]): (test, folder) for folder in self._folders for test in _tests_in(folder)}
        self._kind_by_id |= dict.fromkeys(self._tests, "test")
        self._kind_by_id |= dict.fromkeys(TAGS if folders is None else (), "tag")
        self._credentials = {"autonoma-client-id": client_id, "autonoma-client-secret": client_secret}

    def respond(self, request: Request, origin: str) -> Response:
        """Return the response to a request.

        Args:
            request: The request.
            origin: Scheme, host and port for links to the sandbox.

        """
        path, _, query = request.target.partition("?")
        if path == API_PATH or path.startswith(f"{API_PATH}/"):
            return self._respond_api(request, path.removeprefix(API_PATH).split("/")[1:], query, origin)
        match path.split("/")[1:]:
            case ["received"]:
                return json_response([received.summary() for received in self._request_log.all()])
            case ["media", run_id, name] if self._run_store.find("test", run_id) and _IMAGE_RE.fullmatch(name):
                return screenshot_response(name)
            case ["media", run_id, "video.webm"] if self._run_store.find("test", run_id):
                return video_response()
            case ["run", run_id]:
                return self._run_page("test", run_id)
            case ["run", ("folder" | "tag") as kind, run_id]:
                return self._run_page(kind, run_id)
        return missing_page(unquote(path))

    def _run_page(self, kind: str, run_id: str) -> Response:
        run = self._run_store.find(kind, run_id)
        return run_page(run, self._run_store.status(run)) if run else missing_page(unquote(run_id))

    def _respond_api(self, request: Request, segments: list[str], query: str, origin: str) -> Response:
        if not self._is_authorized(request.headers):
            return unauthorized()
        operation = _match_operation(segments)
        if operation is None:
            return error_response(404, "Unknown path")
        if operation.method != request.method:
            return error_response(
                405, f"The API accepts only {operation.method} at this path", ("Allow", operation.method)
            )
        if request.error:
            return request.error
        if operation.name == "folders":
            return self._list_folders(query)
        if not is_id(operation.target_id):
            return not_found(unquote(operation.target_id))
        if error := self._start_request_error(operation, request):
            return error
        return self._respond_with_scenario(operation, request, query, origin)

    def _is_authorized(self, headers: Mapping[str, str]) -> bool:
        provided = {name: headers.get(name, "") for name in self._credentials}
        return all(provided.values()) and all(
            not expected or hmac.compare_digest(expected.encode(), provided[name].encode())
            for name, expected in self._credentials.items()
        )

    def _list_folders(self, query: str) -> Response:
        parameters = parse_qs(query, keep_blank_values=True)
        limit, offset = (
            _parse_number(parameters.get(name, [default])[-1])
            for name, default in (("limit", str(_DEFAULT_PAGE_SIZE)), ("offset", "0"))
        )
        if limit is None or offset is None or not 1 <= limit <= _MAX_PAGE_SIZE:
            return error_response(
                422, f"`limit` must be a number from 1 to {_MAX_PAGE_SIZE}, and `offset` a number from 0"
            )
        return json_response(list(self._folders[offset : offset + limit]))

    def _respond_with_scenario(self, operation: _Operation, request: Request, query: str, origin: str) -> Response:
        scenario = self._run_store.next_scenario(f"{operation.name} {operation.kind}", operation.target_id)
        if scenario.status == 401:
            return unauthorized()
        if scenario.status == 404:
            return not_found(operation.target_id)
        if scenario.status != 200:
            headers = (("Retry-After", str(scenario.retry_after)),) if scenario.retry_after else ()
            return error_response(scenario.status, "The sandbox returns this response for this id", *headers)
        if operation.name == "start":
            if special_response := self._special_start_response(scenario.start_response):
                return special_response
            if self._has_other_kind(operation):
                return not_found(operation.target_id)
            response = self._start_run(operation, request, scenario, origin)
        elif operation.name == "target":
            response = self._build_target_response(operation)
        else:
            response = self._build_run_response(operation, query, origin)
        return replace(response, delay=scenario.delay * self._run_store.pace)

    def _start_run(self, operation: _Operation, request: Request, scenario: Scenario, origin: str) -> Response:
        """Start a run and return the response."""
        run = self._run_store.start(operation.kind, operation.target_id, request.body, scenario)
        body = {
            "message": f"The {operation.kind} was started",
            "url": _run_url(origin, operation.kind, run.id),
            self._revision.run_fields[operation.kind]: run.id,
        }
        if operation.kind == "test" and self._revision.group_field:
            body[self._revision.group_field] = f"group-{run.id}"
        return json_response(body, self._revision.start_status)

    def _special_start_response(self, name: str) -> Response | None:
        """Return the special response to a start request, or None."""
        if name == QUOTA:
            return error_response(self._revision.quota_status, "Insufficient quota")
        if name == DEVICE_FARM:
            return error_response(500, "Device Farm Project ARN is not configured")
        return other_host_page() if name == WEB_PAGE else None

    def _has_other_kind(self, operation: _Operation) -> bool:
        """Return whether the account has this id as another kind."""
        account_kind = self._kind_by_id.get(operation.target_id, operation.kind)
        return account_kind != operation.kind and not is_scenario(operation.target_id)

    def _build_target_response(self, operation: _Operation) -> Response:
        """Return the folder or test of an id."""
        target_id = operation.target_id
        if operation.kind == "test" and target_id in self._tests:
            return json_response(build_test_details(*self._tests[target_id]))
        if operation.kind == "folder":
            folder = next((folder for folder in self._folders if folder.get("id") == target_id), None)
            return json_response(folder) if folder else not_found(target_id)
        return not_found(target_id)

    def _start_request_error(self, operation: _Operation, request: Request) -> Response | None:
        """Return the error response to a start request, or None."""
        # The contract allows a request without a body. With a body, it must be valid.
        if operation.name != "start" or not request.has_body:
            return None
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            return error_response(415, f"The Content-Type must be {JSON}")
        if problem := body_error(operation.kind, operation.target_id, request.body):
            return error_response(422, problem)
        max_chars = self._revision.max_source_chars
        if max_chars and len(source_of(request.body)) > max_chars:
            return error_response(400, f"`source` must have at most {max_chars} characters")
        return None

    def _build_run_response(self, operation: _Operation, query: str, origin: str) -> Response:
        """Return the status or the details of a run."""
        run = self._run_store.find(operation.kind, operation.target_id)
        if run is None:
            return not_found(operation.target_id)
        status = self._run_store.status(run)
        if operation.name == "status":
            return json_response({"status": status, "url": _run_url(origin, operation.kind, run.id)})
        parameters = parse_qs(query, keep_blank_values=True)
        flags = {name: parameters.get(name, ["false"])[-1] for name in ("steps", "media")}
        if not {"true", "false"}.issuperset(flags.values()):
            return error_response(422, "`steps` and `media` must be true or false")
        media_url = f"{origin}/media/{run.id}" if flags["media"] == "true" else ""
        body = build_run_details(run, self._run_store, media_url)
        if flags["steps"] == "true":
            body["steps"] = build_run_steps(run, status, media_url)
        return json_response(body)


def _match_operation(segments: list[str]) -> _Operation | None:
    match segments:
        case [kind, target_id, "run"] if kind in KINDS:
            return _Operation("POST", "start", kind, target_id)
        case ["run", ("folder" | "tag") as kind, run_id, "status"]:
            return _Operation("GET", "status", kind, run_id)
        case ["run", run_id, "status"]:
            return _Operation("GET", "status", "test", run_id)
        case ["run", run_id]:
            return _Operation("GET", "details", "test", run_id)
        case ["folder"]:
            return _Operation("GET", "folders")
        case [("folder" | "test") as kind, target_id]:
            return _Operation("GET", "target", kind, target_id)
    return None


def _tests_in(folder: Mapping[str, object]) -> list[Mapping[str, object]]:
    tests = folder.get("tests")
    return [test for test in tests if isinstance(test, dict) and "id" in test] if isinstance(tests, list) else []


def _parse_number(text: str) -> int | None:
    # At most nine digits, because int() accepts any length and accounts never have more folders.
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _run_url(origin: str, kind: str, run_id: str) -> str:
    return f"{origin}/run/{run_id}" if kind == "test" else f"{origin}/run/{kind}/{run_id}"
