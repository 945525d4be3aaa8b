"""Hidden secret values in each sink."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import unicodedata
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lxml import etree
from markdown_it import MarkdownIt

from autonoma_ci.api.account import list_folders
from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import StartStatus
from autonoma_ci.api.transport import HttpResponse
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.ci.log import JobLog
from autonoma_ci.ci.publishers.env_file import SHELL_EXPORT_FORMAT
from autonoma_ci.ci.systems.gitlab import render_job_links
from autonoma_ci.errors import ApiError
from autonoma_ci.models import Evidence, ExitReason, PreviousAttempt, RunRequest, RunResult, RunState, TargetKind
from autonoma_ci.redaction.redactor import Redactor, Secret
from autonoma_ci.reports.html import render_html
from autonoma_ci.reports.junit import render_junit
from autonoma_ci.reports.log import collect_warnings, format_run, group_failures
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.outputs import build_outputs, render_dotenv
from autonoma_ci.reports.results_json import render_results_json
from tests.support.reports import FAILED_VERDICT, create_report
from tests.system.fuzz.strategies import ScriptedTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.models import Report

CLIENT_ID = "id-of-the-client"
LOG_FORMATTERS = [load_system(row).log_formatter for row in DETECTION_RULES]
BASH = shutil.which("bash")


# Disguised values

ALPHABETS = ("qxzjk789", "QxZj-_.~", "qx7/+=%&<>\"'`|*", "éßıİñžq", "пароль7", "密码词语", "qx🔑7")
VALUES = st.sampled_from(ALPHABETS).flatmap(lambda letters: st.text(letters, min_size=4, max_size=14))
INVISIBLE_CHARS = (
    *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\xad", "\u180e", "\u034f", "\u115f", "\u17b4", "\u3164"),
    *("\u200e", "\u202e", "\u2066", "\u2069", "\u061c", "\ufe0f", "\ufe00", "\U000e0041", "\U000e0100", "\x00", "\x7f"),
)
WHITE_SPACE = ("\t", "\n", "\r\n", "\n    ", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\xa0", "\u3000", "\r")
GAPS = st.lists(st.sampled_from((*INVISIBLE_CHARS, *WHITE_SPACE)), min_size=1, max_size=3).map("".join)
# Transformations that a server may apply to a text.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "wide": lambda text: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
}


@st.composite
def disguised_values(draw: st.DrawFn, values: st.SearchStrategy[str] = VALUES) -> tuple[str, str]:
    """Draw a value, and a text that contains it with other characters in between."""
    value = draw(values.filter(lambda text: any(map(str.isalnum, text))))
    text = SPELLINGS[draw(st.sampled_from(list(SPELLINGS)))](value)
    positions = draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=len(text)))
    gaps = {position: draw(GAPS) for position in sorted(positions)}
    spaced_text = "".join(gaps.get(position, "") + letter for position, letter in enumerate(text))
    return value, draw(st.sampled_from(("", "no ", "(", "=", "\u200b"))) + spaced_text + draw(
        st.sampled_from(("", " yes", ")"))
    )


# Texts that a reader sees

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.
IGNORABLE_CHARS = frozenset(
    chr(code)
    for first, last in (
        *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
        *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
        *((0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
    )
    for code in range(first, last + 1)
)


def normalize_text(text: str) -> str:
    """Return the NFKC form without invisible characters and white space."""
    text = unicodedata.normalize("NFKC", "".join(letter for letter in text if letter not in IGNORABLE_CHARS))
    letters = (letter for letter in text if unicodedata.category(letter) not in {"Cc", "Cf", "Zs", "Zl", "Zp"})
    # NFKC composes an accent with its letter, so a remaining accent belongs to none.
    return "".join(letters).replace("\ufffd", "").casefold()


class _TextCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.values: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.values += [value for _, value in attrs if value]


def read_html(text: str) -> Iterator[str]:
    page = _TextCollector()
    page.feed(text)
    page.close()
    yield "".join(page.texts)
    yield from page.values


def read_markdown(text: str) -> Iterator[str]:
    yield from read_html(MarkdownIt("commonmark").enable("table").render(text))


def read_xml(data: bytes) -> Iterator[str]:
    for element in etree.fromstring(data).iter():
        yield from (element.text or "", element.tail or "", *map(str, element.attrib.values()))


def read_json(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in read_json(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in read_json(part))
    elif isinstance(value, str):
        yield value


def read_shell(script: str) -> Iterator[str]:
    assert BASH
    command = [BASH, "--norc", "-c", script + 'for n in ${!AUTONOMA_*}; do printf "%s\\0" "${!n}"; done']
    yield subprocess.run(command, capture_output=True, env={}, check=True).stdout.decode()


def read_log(job_report: Report) -> Iterator[str]:
    for formatter in LOG_FORMATTERS:
        out = io.StringIO()
        job_log = JobLog(out, formatter)
        with job_log.group("Runs"):
            for run in job_report.results:
                job_log.info(format_run(run))
                job_log.debug("2026-11-30T13:24:32.123Z", f"{run.display_name}: {run.message}")
        for diagnostic in (*group_failures(job_report.results), *collect_warnings(job_report.results, lambda _: False)):
            job_log.annotate("error", diagnostic, job_report.heading)
        # The escapes of GitHub and Azure, of TeamCity, and of JSON.
        yield from (out.getvalue(), unquote(out.getvalue()), out.getvalue().replace("|", ""))


def read_reports(job_report: Report) -> Iterator[str]:
    """Yield the texts of all sinks as their readers see them."""
    yield from read_log(job_report)
    yield from read_markdown(render_summary(job_report))
    yield from read_xml(render_junit(job_report))
    yield from read_html(render_html(job_report).decode())
    yield from (
        text
        for text in (*build_outputs(job_report).values(), render_results_json(job_report))
        for text in (text, *read_json(_parse_json(text)))
    )
    yield from read_json(json.loads(render_job_links(job_report)["gitlab-annotations.json"]))
    yield render_dotenv(job_report)
    yield from read_shell(SHELL_EXPORT_FORMAT.format_lines(SHELL_EXPORT_FORMAT.select_variables(job_report)))


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


# Responses of the API


def make_response(code: int, fields: object, **headers: str) -> HttpResponse:
    return HttpResponse(code, headers, json.dumps(fields).encode("utf-8", "surrogatepass"), is_complete=True)


def make_client(value: str, response: HttpResponse, *, credential: bool) -> tuple[AutonomaClient, RunRequest]:
    """Return a client with the value as its client secret, or a run with it as a variable."""
    secrets = [Secret(CLIENT_ID), Secret(value)] if credential else [Secret(CLIENT_ID)]
    variables = {} if credential else {"NAME": value}
    return AutonomaClient(ScriptedTransport(response), "test", secrets), RunRequest(
        TargetKind.TEST, "a-test", variables=variables
    )


def start_run(value: str, response: HttpResponse, *, credential: bool) -> RunResult:
    """Return the run after this response to its start."""
    client, request = make_client(value, response, credential=credential)
    start = client.start(request)
    state = RunState.FAILED if start.status is StartStatus.STARTED else RunState.NOT_STARTED
    return RunResult(
        request, state, start.reason, start.run_id, start.url, start.message, start.suggestion, start.http_status
    )


def poll_run(value: str, response: HttpResponse, *, credential: bool) -> RunResult:
    """Return the run after this response to a poll."""
    client, request = make_client(value, response, credential=credential)
    poll = client.poll_status(request, "run-1")
    return RunResult(request, RunState.UNKNOWN, ExitReason.UNKNOWN, "run-1", poll.url, poll.message)


def fetch_details(value: str, response: HttpResponse, *, credential: bool) -> RunResult:
    """Return a run whose two attempts both failed with these details."""
    client, request = make_client(value, response, credential=credential)
    details = client.fetch_details(request, "run-1")
    error = details.error or ""
    evidence = Evidence(details.steps, "", error)
    previous_attempt = PreviousAttempt("run-0", "", error, details.step, evidence=evidence)
    return RunResult(
        request, RunState.FAILED, ExitReason.FAILED, "run-1", "https://autonoma.app/run/run-1", title=details.title,
        step=details.step, evidence=evidence, previous_attempts=(previous_attempt,),
    )  # fmt: skip


def make_step_response(**fields: str) -> HttpResponse:
    return make_response(200, {"name": "A title", "steps": [{"status": "failed", **fields}]})


def make_header(text: str) -> str:
    # A header ends with its line, and http.client reads its bytes as Latin-1.
    return text.replace("\r", "\t").replace("\n", "\t").encode().decode("latin-1")


TEXT_FIELDS: dict[str, tuple[Callable[..., RunResult], Callable[[str], HttpResponse]]] = {
    "message": (start_run, lambda text: make_response(200, {"run_id": "r1", "message": text})),
    "no run": (start_run, lambda text: make_response(200, {"message": text, "error": text})),
    "id": (start_run, lambda text: make_response(200, {"run_id": text})),
    "link": (start_run, lambda text: make_response(200, {"run_id": "r1", "url": f"https://autonoma.app/run/r1?x={text}"})),
    "escaped link": (
        start_run, lambda text: make_response(200, {"run_id": "r1", "url": f"https://autonoma.app/run/r1?x={quote(text)}"})
    ),
    "error": (start_run, lambda text: make_response(422, {"error": text, "message": "no"})),
    "error's message": (start_run, lambda text: make_response(500, {"error": "no", "message": text})),
    "two errors": (start_run, lambda text: make_response(404, {"error": text, "message": text})),
    "redirect": (start_run, lambda text: make_response(308, {}, Location=make_header(f"https://example.com/{text}"))),
    "status": (poll_run, lambda text: make_response(200, {"status": text})),
    "status' error": (poll_run, lambda text: make_response(503, {"message": text})),
    "title": (fetch_details, lambda text: make_response(200, {"name": text, "steps": []})),
    "instruction": (fetch_details, lambda text: make_step_response(instruction=text)),
    "output": (fetch_details, lambda text: make_step_response(instruction="Look", output=text)),
    "page": (fetch_details, lambda text: make_step_response(url=f"https://shop.test/{text}")),
    "escaped page": (fetch_details, lambda text: make_step_response(url=f"https://shop.test/{quote(text)}")),
    "step's status": (fetch_details, lambda text: make_response(200, {"steps": [{"status": text}]})),
}  # fmt: skip


def build_step_report(*results: RunResult) -> Report:
    job_report = create_report(results, FAILED_VERDICT)._replace(
        waits_for_results=True, duration_seconds=1.0, web_base_url="https://autonoma.app"
    )
    return job_report._replace(context=job_report.context._replace(build_url="https://ci.example.com/7"))


UNMATCHED_RESULTS = tuple(
    make_result("no such value", build_response("text"), credential=credential)
    for make_result, build_response in TEXT_FIELDS.values()
    for credential in (True, False)
)
COMMON_TEXT = "\n".join(map(normalize_text, read_reports(build_step_report(*UNMATCHED_RESULTS))))


def assert_hidden(value: str, job_report: Report) -> None:
    """Fail if a reader of any sink sees the value."""
    for text in read_reports(job_report):
        assert normalize_text(value) not in normalize_text(text), text


@pytest.mark.slow
@pytest.mark.parametrize("field", TEXT_FIELDS)
@settings(max_examples=12, deadline=None)
@given(disguised_values(), st.booleans())
def test_sinks_hide_values(field: str, disguised_value: tuple[str, str], credential: bool) -> None:
    """The value can be in any text of the API, between invisible characters."""
    value, text = disguised_value
    # A value that occurs in every report can't be tested.
    assume(len(normalize_text(value)) >= 4 and normalize_text(value) not in COMMON_TEXT)
    # Escapes are undone for values of more than four characters.
    assume("escaped" not in field or len(value) > 4)
    make_result, build_response = TEXT_FIELDS[field]
    # A run id is shown even if it equals a variable's value.
    assert_hidden(
        value, build_step_report(make_result(value, build_response(text), credential=credential or field == "id"))
    )


class ListTransport(ScriptedTransport):
    """A transport that returns the same page of folders for each request."""

    def __init__(self, page: HttpResponse) -> None:
        super().__init__(page)
        self._page = page

    def get(self, *_: object) -> HttpResponse:
        return self._page


LONG_VALUES = st.text("qxzjk789", min_size=12, max_size=30)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(LONG_VALUES, st.data())
def test_value_split_over_fields_is_hidden(value: str, data: st.DataObject) -> None:
    """The summary shows the instruction of a step before its output."""
    assume(value not in COMMON_TEXT)
    position = data.draw(st.integers(1, len(value) - 1))
    gap = data.draw(st.sampled_from(("", "\n", "\u200b")))
    first, second = value[:position], value[position:]
    details = make_step_response(instruction=f"Type {first}{gap}", output=f"{gap}{second} is wrong")
    error = make_response(422, {"error": f"no {first}", "message": second})
    job_report = build_step_report(
        fetch_details(value, details, credential=False),
        start_run(value, error, credential=True),
    )
    assert_hidden(value, job_report)


@settings(max_examples=40, deadline=None)
@given(disguised_values())
def test_folder_list_hides_credentials(disguised_value: tuple[str, str]) -> None:
    """Neither the list nor the error shows a credential that the API returns."""
    value, text = disguised_value
    test = {"id": "t-1", "name": text}
    page = make_response(200, [{"id": "f-1", "name": text, "tests": [test, {"id": text, "name": "x"}]}])
    account = list_folders(ListTransport(page), Redactor([value]), lambda _: None)
    with pytest.raises(ApiError) as error_info:
        list_folders(ListTransport(make_response(404, {"message": text})), Redactor([value]), lambda _: None)
    for visible_text in (str(error_info.value), *read_json(json.loads(json.dumps(account)))):
        assert normalize_text(value) not in normalize_text(visible_text)


@pytest.mark.parametrize("listed_id", ["abcd1234", "id-abcd1234", "ABCD1234_x"])
def test_folder_id_with_credential_is_skipped(listed_id: str) -> None:
    """A folder with a credential in its id is not listed."""
    page = make_response(200, [{"id": listed_id, "name": "x"}, {"id": "f-1", "name": "y", "tests": []}])
    account = list_folders(ListTransport(page), Redactor(["abcd1234"]), lambda _: None)
    assert ([folder.id for folder in account.folders], account.skipped_count) == (["f-1"], 1)


def test_check_finds_unredacted_value() -> None:
    """Without redaction, the check finds the value in each sink."""
    for field, (make_result, build_response) in TEXT_FIELDS.items():
        # These fields reach a reader only in part or escaped.
        if field not in {"no run", "id", "link", "escaped page"}:
            with pytest.raises(AssertionError, match="qxzj"):
                assert_hidden(
                    "qxzj",
                    build_step_report(make_result("no value", build_response("q\u200bx\nz\u3164j"), credential=True)),
                )
