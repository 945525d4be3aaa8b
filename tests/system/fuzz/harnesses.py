"""Define one fuzz harness for each input and output format.

A harness accepts any bytes and returns, or raises one of our own errors. It fails on any other exception, on an invalid
value, and on a file in which text has become markup.
"""

from __future__ import annotations

import json
import re
import tempfile
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import lxml.html
from lxml import etree
from markdown_it import MarkdownIt

from autonoma_ci.api.account import list_folders
from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollStatus, StartStatus
from autonoma_ci.app.changed_file_list import ListError, read_list
from autonoma_ci.ci.detection import all_secret_variables
from autonoma_ci.ci.systems import github
from autonoma_ci.config.id_lists import parse_ids
from autonoma_ci.config.parsers import ID_RE, find_variable_error, parse_changed_files, parse_variables
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import AutonomaError, InputError
from autonoma_ci.escaping import safe_url
from autonoma_ci.git.errors import CloneError, report_damage
from autonoma_ci.git.objects import ObjectReader
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import BuildContext, RunRequest, RunState, TargetKind
from autonoma_ci.planning.plan import build_plan, describe_request
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.html import render_html
from autonoma_ci.reports.junit import render_junit
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.outputs import MAX_DOTENV_BYTES, render_dotenv
from autonoma_ci.reports.summary import RunCategory, categorize_run, needs_sections
from tests.support.manifest_reader import TODAY
from tests.support.processor_time import measure_processor_seconds
from tests.system.fuzz.strategies import (
    SECRETS,
    TEXT_SEPARATOR,
    VALUE,
    ScriptedTransport,
    build_report,
    build_response,
    decode_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.models import Report

# In seconds of CPU time. The slowest stored input takes 0.02 s, so a slow machine is no finding.
MAX_CPU_SECONDS = 1.0
# The characters that may not occur in a line of a log or table.
_LINE_BREAK_RE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_input(name: str, data: bytes) -> None:
    """Run a harness and check its CPU time."""
    cpu_seconds = measure_processor_seconds(lambda: _check_error_lines(name, data), MAX_CPU_SECONDS)
    assert cpu_seconds < MAX_CPU_SECONDS, f"it took {cpu_seconds:.1f} s"


def _check_error_lines(name: str, data: bytes) -> None:
    """Check that each problem of the harness's error is one line."""
    error_lines = _collect_error_lines(name, data)
    assert not any(_LINE_BREAK_RE.search(line) for line in error_lines or ()), "a problem has several lines"
    assert error_lines is None or all(error_lines), "nothing is said of what is wrong"


def _collect_error_lines(name: str, data: bytes) -> list[str] | None:
    """Return the lines of the harness's error, or None."""
    try:
        HARNESSES[name](data)
    except InputError as error:
        return [str(problem) for problem in error.diagnostics] or [""]
    except AutonomaError as error:
        return [str(error)]
    return None


@cache
def _make_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="autonoma-ci-fuzz-"))


def _check_manifest(data: bytes) -> None:
    path = _make_folder() / "autonoma.yml"
    path.write_bytes(data)
    # The value contains characters that are invalid in ids, because ids are shown.
    environ = {"NAME": f"{VALUE}: [", "EMPTY": "", "API_TOKEN": VALUE}
    context = BuildContext("github", "0" * 40, "feature/a", "12", "owner/name")
    try:
        interpolator = Interpolator(environ, context, all_secret_variables())
        manifest = load_manifest(path.name, str(path.parent), interpolator, TODAY)
        plan = build_plan(Settings(), manifest)
    except InputError as error:
        assert VALUE not in str(error)  # noqa: PT017 - any input may be refused
        raise
    for request in plan.requests:
        assert ID_RE.fullmatch(request.id)
        assert not any(find_variable_error(name, value) for name, value in request.variables.items())
        assert not _LINE_BREAK_RE.search(describe_request(request))
        assert VALUE not in describe_request(request)


def _check_variables(data: bytes) -> None:
    for name, value in parse_variables(decode_text(data)).items():
        assert find_variable_error(name, value) is None


def _check_ids(data: bytes) -> None:
    assert all(ID_RE.fullmatch(entry.id) for entry in parse_ids(decode_text(data)))


def _make_client(data: bytes) -> AutonomaClient:
    return AutonomaClient(ScriptedTransport(build_response(data)), "fuzz", SECRETS)


def _make_requests() -> Iterator[RunRequest]:
    yield from (RunRequest(kind, "an-id", variables={"NAME": VALUE}) for kind in TargetKind)


def _assert_no_secret(value: object) -> None:
    text = repr(value)
    assert not any(secret_text in text for secret_text in (VALUE, *(secret.reveal() for secret in SECRETS))), (
        "a secret shows"
    )


def _check_start(data: bytes) -> None:
    for request in _make_requests():
        result = _make_client(data).start(request)
        # Ids and links may contain a value by chance, but never a credential.
        _assert_no_secret(result._replace(run_id="", url=""))
        assert not any(secret.reveal() in result.run_id + result.url for secret in SECRETS)
        assert (result.status is StartStatus.STARTED) <= (200 <= result.http_status < 300)
        assert (result.status is StartStatus.STARTED) <= bool(result.run_id or result.url)
        assert not result.run_id or ID_RE.fullmatch(result.run_id)
        assert result.url == safe_url(result.url)
        assert not _LINE_BREAK_RE.search(result.message + result.suggestion)
        assert result.retry_after is None or result.retry_after >= 0


def _check_status(data: bytes) -> None:
    response = build_response(data)
    for request in _make_requests():
        result = _make_client(data).poll_status(request, "a-run")
        _assert_no_secret(result._replace(url=""))
        assert not any(secret.reveal() in result.url for secret in SECRETS)
        if result.status is PollStatus.PASSED:
            assert response.status == 200
            assert json.loads(response.body)["status"].strip().lower() == "passed"
        assert not _LINE_BREAK_RE.search(result.raw_status + result.message)
        assert result.retry_after is None or result.retry_after >= 0


def _check_details(data: bytes) -> None:
    details = _make_client(data).fetch_details(next(_make_requests()), "a-run", media=True)
    _assert_no_secret(details)
    texts = [details.title, details.error or ""]
    for step in (*details.steps, *filter(None, [details.step])):
        texts += [step.instruction, step.output, step.url, step.status]
    assert not _LINE_BREAK_RE.search("".join(texts))
    assert details.duration_seconds is None or details.duration_seconds >= 0


def _check_folders(data: bytes) -> None:
    account = list_folders(ScriptedTransport(build_response(data)), Redactor(SECRETS), lambda seconds: None)
    for folder in account.folders:
        _assert_no_secret(folder)
        for target_id, name in [(folder.id, folder.name), *((test.id, test.name) for test in folder.tests)]:
            assert ID_RE.fullmatch(target_id)
            assert name
            assert not _LINE_BREAK_RE.search(name)


def _check_event(data: bytes) -> None:
    name, _, event = data.partition(b"\n")
    path = _make_folder() / "event.json"
    path.write_bytes(event)
    context = github.SYSTEM.build_context(
        {
            "GITHUB_EVENT_NAME": decode_text(name),
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_SHA": "1" * 40,
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_REPOSITORY": "owner/name",
        }
    )
    assert not _LINE_BREAK_RE.search("".join(fact for fact in context if isinstance(fact, str)))
    assert re.fullmatch(r"(?:[0-9a-f]{40,64})?", context.sha)
    assert re.fullmatch(r"[0-9]*", context.change_number)
    assert not context.deployment_url or context.deployment_url.startswith(("https://", "http://"))


def _collect_urls(report: Report) -> set[str]:
    """Return all URLs of the report that may become links."""
    urls = [report.web_base_url, report.context.build_url, report.context.deployment_url]
    for run in report.results:
        steps = [*run.evidence.steps, *filter(None, [run.step])]
        urls += [run.url, *(attempt.url for attempt in run.previous_attempts)]
        for attempt in run.previous_attempts:
            steps += [*attempt.evidence.steps, *filter(None, [attempt.step])]
        urls += [step.url for step in steps]
        urls += [run.request.quarantine.issue] if run.request.quarantine else []
    return {safe_url(url) for url in urls} - {""}


def _check_junit(data: bytes) -> None:
    report = build_report(data)
    junit_xml = render_junit(report)
    assert VALUE.encode() not in junit_xml
    etree.fromstring(junit_xml, etree.XMLParser(resolve_entities=False, recover=False))
    (suite,) = ET.fromstring(junit_xml)
    assert len(suite) == max(len(report.results), bool(report.input_errors))
    for case, run in zip(suite, report.results, strict=False):
        is_passed = not {child.tag for child in case} & {"failure", "error", "skipped"}
        assert is_passed is (run.state is RunState.PASSED)
        attachment_count = "".join(case.itertext()).count("[[ATTACHMENT|")
        assert (
            attachment_count
            <= len(run.evidence.files) + sum(len(attempt.evidence.files) for attempt in run.previous_attempts) + 1
        )


# As on GitHub and GitLab, HTML tags and tables are interpreted.
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


# The categories of runs that have a heading.
_NAMED_CATEGORIES = {RunCategory.QUARANTINED, RunCategory.FLAKY, RunCategory.PASSED}


def _check_markdown(data: bytes) -> None:
    report = build_report(data)
    text = render_summary(report)
    assert VALUE not in text
    text.encode()
    tokens = [child for token in _MARKDOWN.parse(text) for child in (token, *(token.children or ()))]
    kinds = [token.type for token in tokens]
    categories = {categorize_run(run) for run in report.results}
    named = categories & _NAMED_CATEGORIES if needs_sections(report.results) else set()
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h3", *["h4"] * len(named)]
    assert kinds.count("table_open") == len(named) + bool(categories - named)
    assert kinds.count("tr_open") == kinds.count("table_open") + len(report.results)
    assert kinds.count("fence") <= 1
    assert kinds.count("list_item_open") == (0 if report.results else len(report.input_errors))
    forbidden_kinds = {"html_block", "image", "em_open", "strong_open", "s_open", "blockquote_open", "code_block", "hr"}
    assert not forbidden_kinds & {*kinds}
    assert {token.content for token in tokens if token.type == "html_inline"} <= {"<br>", "<code>", "</code>"}
    allowed_urls = {url.replace("(", "%28").replace(")", "%29") for url in _collect_urls(report)}
    normalized_urls = {_MARKDOWN.normalizeLink(url) for url in allowed_urls}
    assert {str(token.attrs["href"]) for token in tokens if token.type == "link_open"} <= normalized_urls
    # The command that waits, and one command for each failure.
    assert kinds.count("code_inline") <= 1 + len(report.results)


# Replaces markup by characters that are equally valid in a URL.
_WITHOUT_MARKUP = bytes.maketrans(b"<>\"&'", b"|||!!")


def _check_html(data: bytes) -> None:
    report = build_report(data)
    page = render_html(report)
    assert VALUE.encode() not in page
    document = _parse_html(page)
    assert not [
        name for element in document.iter() for name in element.attrib if name.startswith(("on", "style", "srcset"))
    ]
    own_prefixes = ("#", "evidence/", "data:image/svg+xml,")
    targets = {str(url) for url in document.xpath("//@href | //@src")}
    assert {target for target in targets if not target.startswith(own_prefixes)} <= _collect_urls(report)
    choices, parts, texts = data.partition(TEXT_SEPARATOR)
    reference_document = _parse_html(render_html(build_report(choices + parts + texts.translate(_WITHOUT_MARKUP))))
    assert _list_elements(document) == _list_elements(reference_document), "a text has become an element"


def _parse_html(text: bytes) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(text, parser=lxml.html.HTMLParser(encoding="utf-8"))


def _list_elements(page: lxml.html.HtmlElement) -> list[tuple[str, list[str]]]:
    return [(str(element.tag), sorted(element.attrib)) for element in page.iter()]


def _check_dotenv(data: bytes) -> None:
    dotenv = render_dotenv(build_report(data))
    assert len(dotenv) <= MAX_DOTENV_BYTES
    lines = dotenv.split("\n")
    assert lines.pop() == ""
    assert all(re.fullmatch(r"AUTONOMA_[A-Z_]+=[\w.:/?@#%+,=\[\]\"-]*", line, re.ASCII) for line in lines)
    names = [line.partition("=")[0] for line in lines]
    assert len({*names}) == len(names)


def _check_changed_files(data: bytes) -> None:
    folder = _make_folder()
    (folder / "list").write_bytes(data)
    for value in ("@list", decode_text(data).replace("\0", "") or "auto"):
        try:
            option = parse_changed_files(value)
            if option in {"auto", "all"}:
                continue
            listed = read_list(option, "changed-files", str(folder), folder)
        except ListError as error:
            assert not _LINE_BREAK_RE.search(f"{error}. {error.remedy}")  # noqa: PT017 - any list may be doubtful
            continue
        assert not any(path.startswith("/") or ".." in path.split("/") for path in listed.paths)


def _check_git_object(data: bytes) -> None:
    folder, name = _make_folder() / "objects", b"11" + b"2" * 38
    path = folder / "11" / ("2" * 38)
    path.parent.mkdir(parents=True, exist_ok=True)
    for stored in (data, *(zlib.compress(b"%s %d\0%s" % (kind, len(data), data)) for kind in (b"commit", b"tree"))):
        path.write_bytes(stored)
        with ObjectReader(folder, 40) as reader:
            for read in (reader.read_commit, reader.read_tree):
                with suppress(CloneError), report_damage():
                    read(name)


HARNESSES: dict[str, Callable[[bytes], None]] = {
    "manifest": _check_manifest,
    "variables": _check_variables,
    "ids": _check_ids,
    "changed-files": _check_changed_files,
    "git-object": _check_git_object,
    "start-response": _check_start,
    "status-response": _check_status,
    "details-response": _check_details,
    "folders-response": _check_folders,
    "event": _check_event,
    "junit": _check_junit,
    "markdown": _check_markdown,
    "html": _check_html,
    "dotenv": _check_dotenv,
}
