"""Which answer a request gets: the API below `/api`, and beside it what people look at."""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote

from autonoma_ci.sandbox.contract import DEFAULT_REVISION, KINDS, REVISIONS, body_error, is_id, source_of
from autonoma_ci.sandbox.fixtures import TAGS, details, folders, steps, test_details
from autonoma_ci.sandbox.pages import image, missing_page, other_host_page, run_page, video
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

BASE = "/api"
_IMAGE = re.compile(r"[1-4]-(passed|failed)\.png")
_PAGE_SIZE, _LARGEST_PAGE = 20, 100


class _Operation(NamedTuple):
    method: str
    name: str
    kind: str = "test"
    subject: str = ""


class Router:
    """Everything that the sandbox answers; an empty credential takes any that is not empty."""

    def __init__(
        self,
        account: RunStore,
        journal: RequestLog,
        client_id: str,
        client_secret: str,
        listed: Sequence[Mapping[str, object]] | None = None,
        contract: str = DEFAULT_REVISION,
    ) -> None:
        self._account = account
        self._revision = REVISIONS[contract]
        self._folders = folders() if listed is None else listed
        self._journal = journal
        self._kinds = {str(folder["id"]): "folder" for folder in self._folders if "id" in folder}
        self._tests = {str(test["id"]): (test, folder) for folder in self._folders for test in _tests_of(folder)}
        self._kinds |= dict.fromkeys(self._tests, "test")
        self._kinds |= dict.fromkeys(TAGS if listed is None else (), "tag")
        self._credentials = {"autonoma-client-id": client_id, "autonoma-client-secret": client_secret}

    def answer(self, request: Request, origin: str) -> Response:
        """Return the answer to `request`; `origin` is where the sandbox's own links start."""
        path, _, query = request.target.partition("?")
        if path == BASE or path.startswith(f"{BASE}/"):
            return self._api(request, path.removeprefix(BASE).split("/")[1:], query, origin)
        match path.split("/")[1:]:
            case ["received"]:
                return json_response([received.summary() for received in self._journal.all()])
            case ["media", run_id, name] if self._account.find("test", run_id) and _IMAGE.fullmatch(name):
                return image(name)
            case ["media", run_id, "video.webm"] if self._account.find("test", run_id):
                return video()
            case ["run", run_id]:
                return self._page("test", run_id)
            case ["run", ("folder" | "tag") as kind, run_id]:
                return self._page(kind, run_id)
        return missing_page(unquote(path))

    def _page(self, kind: str, run_id: str) -> Response:
        run = self._account.find(kind, run_id)
        return run_page(run, self._account.status(run)) if run else missing_page(unquote(run_id))

    def _api(self, request: Request, segments: list[str], query: str, origin: str) -> Response:
        if not self._knows(request.headers):
            return unauthorized()
        operation = _operation(segments)
        if operation is None:
            return error_response(404, "The API has no such path")
        if operation.method != request.method:
            return error_response(405, f"The API takes only {operation.method} here", ("Allow", operation.method))
        if request.fault:
            return request.fault
        if operation.name == "folders":
            return self._listed(query)
        if not is_id(operation.subject):
            return not_found(unquote(operation.subject))
        if fault := self._fault_of_start(operation, request):
            return fault
        return self._scripted(operation, request, query, origin)

    def _knows(self, headers: Mapping[str, str]) -> bool:
        given = {name: headers.get(name, "") for name in self._credentials}
        return all(given.values()) and all(
            not known or hmac.compare_digest(known.encode(), given[name].encode())
            for name, known in self._credentials.items()
        )

    def _listed(self, query: str) -> Response:
        given = parse_qs(query, keep_blank_values=True)
        limit, offset = (
            _number(given.get(name, [standard])[-1]) for name, standard in (("limit", str(_PAGE_SIZE)), ("offset", "0"))
        )
        if limit is None or offset is None or not 1 <= limit <= _LARGEST_PAGE:
            return error_response(422, f"`limit` is a number from 1 to {_LARGEST_PAGE}, `offset` one from 0")
        return json_response(list(self._folders[offset : offset + limit]))

    def _scripted(self, operation: _Operation, request: Request, query: str, origin: str) -> Response:
        script = self._account.next_scenario(f"{operation.name} {operation.kind}", operation.subject)
        if script.status == 401:
            return unauthorized()
        if script.status == 404:
            return not_found(operation.subject)
        if script.status != 200:
            again = (("Retry-After", str(script.retry_after)),) if script.retry_after else ()
            return error_response(script.status, "The sandbox was asked for this", *again)
        if operation.name == "start":
            if special := self._special(script.start):
                return special
            if self._is_other_kind(operation):
                return not_found(operation.subject)
            given = self._start(operation, request, script, origin)
        elif operation.name == "entry":
            given = self._entry(operation)
        else:
            given = self._told(operation, query, origin)
        return replace(given, delay=script.delay * self._account.time_scale)

    def _start(self, operation: _Operation, request: Request, script: Scenario, origin: str) -> Response:
        run = self._account.start(operation.kind, operation.subject, request.body, script)
        started = {
            "message": f"The {operation.kind} was started",
            "url": _link(origin, operation.kind, run.id),
            self._revision.run_fields[operation.kind]: run.id,
        }
        if operation.kind == "test" and self._revision.group_field:
            started[self._revision.group_field] = f"group-{run.id}"
        return json_response(started, self._revision.started)

    def _special(self, name: str) -> Response | None:
        """Return the answer of this name to a start; None for the usual one."""
        if name == QUOTA:
            return error_response(self._revision.quota_status, "Insufficient quota")
        if name == DEVICE_FARM:
            return error_response(500, "Device Farm Project ARN is not configured")
        return other_host_page() if name == WEB_PAGE else None

    def _is_other_kind(self, operation: _Operation) -> bool:
        """Return whether the account has this id, and as something else."""
        known = self._kinds.get(operation.subject, operation.kind)
        return known != operation.kind and not is_scenario(operation.subject)

    def _entry(self, operation: _Operation) -> Response:
        """Return the folder or test of this id."""
        subject = operation.subject
        if operation.kind == "test" and subject in self._tests:
            return json_response(test_details(*self._tests[subject]))
        if operation.kind == "folder":
            folder = next((folder for folder in self._folders if folder.get("id") == subject), None)
            return json_response(folder) if folder else not_found(subject)
        return not_found(subject)

    def _fault_of_start(self, operation: _Operation, request: Request) -> Response | None:
        # The contract lets a request go without a body; one with a body has to be right.
        if operation.name != "start" or not request.has_body:
            return None
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            return error_response(415, f"The body must be {JSON}")
        if why := body_error(operation.kind, operation.subject, request.body):
            return error_response(422, why)
        limit = self._revision.source_limit
        if limit and len(source_of(request.body)) > limit:
            return error_response(400, f"`source` has at most {limit} characters")
        return None

    def _told(self, operation: _Operation, query: str, origin: str) -> Response:
        run = self._account.find(operation.kind, operation.subject)
        if run is None:
            return not_found(operation.subject)
        status = self._account.status(run)
        if operation.name == "status":
            return json_response({"status": status, "url": _link(origin, operation.kind, run.id)})
        given = parse_qs(query, keep_blank_values=True)
        flags = {name: given.get(name, ["false"])[-1] for name in ("steps", "media")}
        if not {"true", "false"}.issuperset(flags.values()):
            return error_response(422, "`steps` and `media` are true or false")
        media = f"{origin}/media/{run.id}" if flags["media"] == "true" else ""
        told = details(run, self._account, media)
        if flags["steps"] == "true":
            told["steps"] = steps(run, status, media)
        return json_response(told)


def _operation(segments: list[str]) -> _Operation | None:
    match segments:
        case [kind, subject, "run"] if kind in KINDS:
            return _Operation("POST", "start", kind, subject)
        case ["run", ("folder" | "tag") as kind, run_id, "status"]:
            return _Operation("GET", "status", kind, run_id)
        case ["run", run_id, "status"]:
            return _Operation("GET", "status", "test", run_id)
        case ["run", run_id]:
            return _Operation("GET", "details", "test", run_id)
        case ["folder"]:
            return _Operation("GET", "folders")
        case [("folder" | "test") as kind, subject]:
            return _Operation("GET", "entry", kind, subject)
    return None


def _tests_of(folder: Mapping[str, object]) -> list[Mapping[str, object]]:
    tests = folder.get("tests")
    return [test for test in tests if isinstance(test, dict) and "id" in test] if isinstance(tests, list) else []


def _number(text: str) -> int | None:
    # At most nine digits: nobody has more folders, and int() takes any length.
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _link(origin: str, kind: str, run_id: str) -> str:
    return f"{origin}/run/{run_id}" if kind == "test" else f"{origin}/run/{kind}/{run_id}"
