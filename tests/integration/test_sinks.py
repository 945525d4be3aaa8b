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
from tests.support.reports import FAILED, report
from tests.system.fuzz.strategies import ScriptedTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.models import Report

CLIENT_ID = "id-of-the-client"
DIALECTS = [load_system(row).log_formatter for row in DETECTION_RULES]
BASH = shutil.which("bash")


# How a value is hidden

ALPHABETS = ("qxzjk789", "QxZj-_.~", "qx7/+=%&<>\"'`|*", "éßıİñžq", "пароль7", "密码词语", "qx🔑7")
VALUES = st.sampled_from(ALPHABETS).flatmap(lambda letters: st.text(letters, min_size=4, max_size=14))
INVISIBLE = (
    *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\xad", "\u180e", "\u034f", "\u115f", "\u17b4", "\u3164"),
    *("\u200e", "\u202e", "\u2066", "\u2069", "\u061c", "\ufe0f", "\ufe00", "\U000e0041", "\U000e0100", "\x00", "\x7f"),
)
BREAKS = ("\t", "\n", "\r\n", "\n    ", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\xa0", "\u3000", "\r")
GAPS = st.lists(st.sampled_from((*INVISIBLE, *BREAKS)), min_size=1, max_size=3).map("".join)
# What a server may make of a text.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "wide": lambda text: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
}


@st.composite
def hidden(draw: st.DrawFn, values: st.SearchStrategy[str] = VALUES) -> tuple[str, str]:
    """Return a value, and the value with characters between some of its own, in the midst of a text."""
    value = draw(values.filter(lambda text: any(map(str.isalnum, text))))
    text = SPELLINGS[draw(st.sampled_from(list(SPELLINGS)))](value)
    places = draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=len(text)))
    gaps = {place: draw(GAPS) for place in sorted(places)}
    split = "".join(gaps.get(place, "") + letter for place, letter in enumerate(text))
    return value, draw(st.sampled_from(("", "no ", "(", "=", "\u200b"))) + split + draw(
        st.sampled_from(("", " yes", ")"))
    )


# What a reader sees

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.
IGNORABLE = frozenset(
    chr(code)
    for first, last in (
        *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
        *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
        *((0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
    )
    for code in range(first, last + 1)
)


def seen(text: str) -> str:
    """Return what is left of a text for a reader: NFKC without what does not show and without white space."""
    text = unicodedata.normalize("NFKC", "".join(letter for letter in text if letter not in IGNORABLE))
    stored = (letter for letter in text if unicodedata.category(letter) not in {"Cc", "Cf", "Zs", "Zl", "Zp"})
    # An accent that is left is no part of a letter.
    return "".join(stored).replace("\ufffd", "").casefold()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.values: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.values += [value for _, value in attrs if value]


def of_html(text: str) -> Iterator[str]:
    page = _Page()
    page.feed(text)
    page.close()
    yield "".join(page.texts)
    yield from page.values


def of_markdown(text: str) -> Iterator[str]:
    yield from of_html(MarkdownIt("commonmark").enable("table").render(text))


def of_xml(data: bytes) -> Iterator[str]:
    for element in etree.fromstring(data).iter():
        yield from (element.text or "", element.tail or "", *map(str, element.attrib.values()))


def of_json(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in of_json(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in of_json(part))
    elif isinstance(value, str):
        yield value


def of_shell(script: str) -> Iterator[str]:
    assert BASH
    command = [BASH, "--norc", "-c", script + 'for n in ${!AUTONOMA_*}; do printf "%s\\0" "${!n}"; done']
    yield subprocess.run(command, capture_output=True, env={}, check=True).stdout.decode()


def of_log(made: Report) -> Iterator[str]:
    for dialect in DIALECTS:
        out = io.StringIO()
        console = JobLog(out, dialect)
        with console.group("Runs"):
            for run in made.results:
                console.info(format_run(run))
        for problem in (*group_failures(made.results), *collect_warnings(made.results, lambda _: False)):
            console.annotate("error", problem, made.heading)
        # The escapes of GitHub and Azure, of TeamCity, and of JSON.
        yield from (out.getvalue(), unquote(out.getvalue()), out.getvalue().replace("|", ""))


def readings(made: Report) -> Iterator[str]:
    """Yield the texts of all sinks, as their readers have them."""
    yield from of_log(made)
    yield from of_markdown(render_summary(made))
    yield from of_xml(render_junit(made))
    yield from of_html(render_html(made).decode())
    yield from (
        text
        for text in (*build_outputs(made).values(), render_results_json(made))
        for text in (text, *of_json(_json(text)))
    )
    yield from of_json(json.loads(render_job_links(made)["gitlab-annotations.json"]))
    yield render_dotenv(made)
    yield from of_shell(SHELL_EXPORT_FORMAT.format_lines(SHELL_EXPORT_FORMAT.select_variables(made)))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


# What the API says


def answer(code: int, fields: object, **headers: str) -> HttpResponse:
    return HttpResponse(code, headers, json.dumps(fields).encode("utf-8", "surrogatepass"), is_complete=True)


def client_of(value: str, given: HttpResponse, *, credential: bool) -> tuple[AutonomaClient, RunRequest]:
    """Return a client with the value as its client secret, or a run with it as a variable."""
    secrets = [Secret(CLIENT_ID), Secret(value)] if credential else [Secret(CLIENT_ID)]
    variables = {} if credential else {"NAME": value}
    return AutonomaClient(ScriptedTransport(given), "test", secrets), RunRequest(
        TargetKind.TEST, "a-test", variables=variables
    )


def started(value: str, given: HttpResponse, *, credential: bool) -> RunResult:
    """Return the run that this answer to a start makes."""
    client, request = client_of(value, given, credential=credential)
    found = client.start(request)
    state = RunState.FAILED if found.status is StartStatus.STARTED else RunState.NOT_STARTED
    return RunResult(
        request, state, found.reason, found.run_id, found.url, found.message, found.suggestion, found.http_status
    )


def asked(value: str, given: HttpResponse, *, credential: bool) -> RunResult:
    """Return the run of which this is the status."""
    client, request = client_of(value, given, credential=credential)
    found = client.status(request, "run-1")
    return RunResult(request, RunState.UNKNOWN, ExitReason.UNKNOWN, "run-1", found.url, found.message)


def explained(value: str, given: HttpResponse, *, credential: bool) -> RunResult:
    """Return the run of which these are the details, which failed twice alike."""
    client, request = client_of(value, given, credential=credential)
    found = client.details(request, "run-1")
    evidence = Evidence(found.steps, "", found.error)
    first = PreviousAttempt("run-0", "", found.error, found.step, evidence=evidence)
    return RunResult(
        request, RunState.FAILED, ExitReason.FAILED, "run-1", "https://autonoma.app/run/run-1", title=found.title,
        step=found.step, evidence=evidence, previous_attempts=(first,),
    )  # fmt: skip


def steps(**fields: str) -> HttpResponse:
    return answer(200, {"name": "A title", "steps": [{"status": "failed", **fields}]})


def header(text: str) -> str:
    # A header ends with its line, and http.client reads its bytes as Latin-1.
    return text.replace("\r", "\t").replace("\n", "\t").encode().decode("latin-1")


PLACES: dict[str, tuple[Callable[..., RunResult], Callable[[str], HttpResponse]]] = {
    "message": (started, lambda text: answer(200, {"run_id": "r1", "message": text})),
    "no run": (started, lambda text: answer(200, {"message": text, "error": text})),
    "id": (started, lambda text: answer(200, {"run_id": text})),
    "link": (started, lambda text: answer(200, {"run_id": "r1", "url": f"https://autonoma.app/run/r1?x={text}"})),
    "escaped link": (
        started, lambda text: answer(200, {"run_id": "r1", "url": f"https://autonoma.app/run/r1?x={quote(text)}"})
    ),
    "error": (started, lambda text: answer(422, {"error": text, "message": "no"})),
    "error's message": (started, lambda text: answer(500, {"error": "no", "message": text})),
    "two errors": (started, lambda text: answer(404, {"error": text, "message": text})),
    "redirect": (started, lambda text: answer(308, {}, Location=header(f"https://example.com/{text}"))),
    "status": (asked, lambda text: answer(200, {"status": text})),
    "status' error": (asked, lambda text: answer(503, {"message": text})),
    "title": (explained, lambda text: answer(200, {"name": text, "steps": []})),
    "instruction": (explained, lambda text: steps(instruction=text)),
    "output": (explained, lambda text: steps(instruction="Look", output=text)),
    "page": (explained, lambda text: steps(url=f"https://shop.test/{text}")),
    "escaped page": (explained, lambda text: steps(url=f"https://shop.test/{quote(text)}")),
    "step's status": (explained, lambda text: answer(200, {"steps": [{"status": text}]})),
}  # fmt: skip


def report_with(*outcomes: RunResult) -> Report:
    made = report(outcomes, FAILED)._replace(
        waits_for_results=True, duration_seconds=1.0, web_base_url="https://autonoma.app"
    )
    return made._replace(context=made.context._replace(build_url="https://ci.example.com/7"))


PLAIN = tuple(
    act("no such value", make("text"), credential=credential)
    for act, make in PLACES.values()
    for credential in (True, False)
)
ORDINARY = "\n".join(map(seen, readings(report_with(*PLAIN))))


def assert_unseen(value: str, made: Report) -> None:
    """Fail if a reader of any sink sees the value."""
    for text in readings(made):
        assert seen(value) not in seen(text), text


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=12, deadline=None)
@given(hidden(), st.booleans())
def test_sinks_hide_values(place: str, found: tuple[str, str], credential: bool) -> None:
    """The value can be in any text of the API, between invisible characters."""
    value, text = found
    # What is in every report can't be told from the value.
    assume(len(seen(value)) >= 4 and seen(value) not in ORDINARY)
    # Escapes are undone for values of more than four characters.
    assume("escaped" not in place or len(value) > 4)
    act, make = PLACES[place]
    # A variable's value may be an id by chance, and is shown there.
    assert_unseen(value, report_with(act(value, make(text), credential=credential or place == "id")))


class Listing(ScriptedTransport):
    """Gives the same page of folders to everything."""

    def __init__(self, page: HttpResponse) -> None:
        super().__init__(page)
        self._page = page

    def get(self, *_: object) -> HttpResponse:
        return self._page


LONG = st.text("qxzjk789", min_size=12, max_size=30)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(LONG, st.data())
def test_value_split_over_fields_is_hidden(value: str, data: st.DataObject) -> None:
    """The summary shows the instruction of a step before its output."""
    assume(value not in ORDINARY)
    place = data.draw(st.integers(1, len(value) - 1))
    gap = data.draw(st.sampled_from(("", "\n", "\u200b")))
    made = report_with(
        explained(value, steps(instruction=f"Type {value[:place]}{gap}", output=f"{gap}{value[place:]} is wrong"),
                  credential=False),
        started(value, answer(422, {"error": f"no {value[:place]}", "message": value[place:]}), credential=True),
    )  # fmt: skip
    assert_unseen(value, made)


@settings(max_examples=40, deadline=None)
@given(hidden())
def test_folder_list_hides_credentials(found: tuple[str, str]) -> None:
    """Neither the list nor the error shows a credential that the API returns."""
    value, text = found
    test = {"id": "t-1", "name": text}
    listed = answer(200, [{"id": "f-1", "name": text, "tests": [test, {"id": text, "name": "x"}]}])
    account = list_folders(Listing(listed), Redactor([value]), lambda _: None)
    with pytest.raises(ApiError) as refused:
        list_folders(Listing(answer(404, {"message": text})), Redactor([value]), lambda _: None)
    for shown in (str(refused.value), *of_json(json.loads(json.dumps(account)))):
        assert seen(value) not in seen(shown)


@pytest.mark.parametrize("listed_id", ["abcd1234", "id-abcd1234", "ABCD1234_x"])
def test_folder_id_with_credential_is_skipped(listed_id: str) -> None:
    """A folder with a credential in its id is not listed."""
    page = answer(200, [{"id": listed_id, "name": "x"}, {"id": "f-1", "name": "y", "tests": []}])
    account = list_folders(Listing(page), Redactor(["abcd1234"]), lambda _: None)
    assert ([folder.id for folder in account.folders], account.skipped_count) == (["f-1"], 1)


def test_check_finds_unredacted_value() -> None:
    """Without redaction, the check finds the value in each sink."""
    for place, (act, make) in PLACES.items():
        # The others reach a reader only in part, or with escapes.
        if place not in {"no run", "id", "link", "escaped page"}:
            with pytest.raises(AssertionError, match="qxzj"):
                assert_unseen("qxzj", report_with(act("no value", make("q\u200bx\nz\u3164j"), credential=True)))
