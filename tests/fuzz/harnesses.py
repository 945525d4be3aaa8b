"""Define one fuzz harness for each input and output format.

A harness returns for any bytes, or raises one of our own errors. It fails on an exception outside our tree of errors,
on an invalid value, and on a file in which text has become markup.
"""

from __future__ import annotations

import json
import re
import tempfile
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
from autonoma_ci.ci.detection import all_secret_variables
from autonoma_ci.ci.systems import github
from autonoma_ci.config.id_lists import parse_ids
from autonoma_ci.config.parsers import ID_RE, parse_variables, variable_error
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import AutonomaError, InputError
from autonoma_ci.escaping import safe_url
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import BuildContext, RunRequest, RunState, TargetKind
from autonoma_ci.planning.plan import build_plan, describe_request
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.html import render_html
from autonoma_ci.reports.junit import render_junit
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.outputs import MAX_DOTENV_BYTES, render_dotenv
from tests.fuzz.material import PARTS, SECRETS, VALUE, Scripted, answer_of, report_of, text_of
from tests.support.processor import processor_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autonoma_ci.models import Report

# In seconds of the processor: the slowest stored input takes 0.02. So a slow machine is no finding.
LIMIT = 1.0
# Nothing that a line of a log or of a table is made of may end it.
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check(name: str, data: bytes) -> None:
    """Feed bytes to a harness: raise for what it finds, and AssertionError if it takes a second or more."""
    took = processor_seconds(lambda: _check_problems(name, data), LIMIT)
    assert took < LIMIT, f"it took {took:.1f} s"


def _check_problems(name: str, data: bytes) -> None:
    """Feed the harness; check that the error that it ends with, if any, names problems of one line each."""
    refused = _refused(name, data)
    assert not any(_BREAKS.search(line) for line in refused or ()), "a problem has several lines"
    assert refused is None or all(refused), "nothing is said of what is wrong"


def _refused(name: str, data: bytes) -> list[str] | None:
    """Feed the harness; return the lines of the error that it ends with, or None if it ends with none."""
    try:
        HARNESSES[name](data)
    except InputError as error:
        return [str(problem) for problem in error.diagnostics] or [""]
    except AutonomaError as error:
        return [str(error)]
    return None


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="autonoma-ci-fuzz-"))


def _manifest(data: bytes) -> None:
    place = _folder() / "autonoma.yml"
    place.write_bytes(data)
    # With characters that no id has: ids are shown.
    environ = {"NAME": f"{VALUE}: [", "EMPTY": "", "API_TOKEN": VALUE}
    facts = BuildContext("github", "0" * 40, "feature/a", "12", "owner/name")
    try:
        found = load_manifest(place.name, str(place.parent), Interpolator(environ, facts, all_secret_variables()))
        plan = build_plan(Settings(), found)
    except InputError as error:
        assert VALUE not in str(error)  # noqa: PT017 - any input may be refused
        raise
    for request in plan.requests:
        assert ID_RE.fullmatch(request.id)
        assert not any(variable_error(name, value) for name, value in request.variables.items())
        assert not _BREAKS.search(describe_request(request))
        assert VALUE not in describe_request(request)


def _variables(data: bytes) -> None:
    for name, value in parse_variables(text_of(data)).items():
        assert not variable_error(name, value)


def _ids(data: bytes) -> None:
    assert all(ID_RE.fullmatch(entry.id) for entry in parse_ids(text_of(data)))


def _client(data: bytes) -> AutonomaClient:
    return AutonomaClient(Scripted(answer_of(data)), "fuzz", SECRETS)


def _requests() -> Iterator[RunRequest]:
    yield from (RunRequest(kind, "an-id", variables={"NAME": VALUE}) for kind in TargetKind)


def _no_secret_in(value: object) -> None:
    shown = repr(value)
    assert not any(text in shown for text in (VALUE, *(secret.reveal() for secret in SECRETS))), "a secret shows"


def _start(data: bytes) -> None:
    for request in _requests():
        attempt = _client(data).start(request)
        # A value may be in an id or a link by chance, a credential is withheld there too.
        _no_secret_in(attempt._replace(run_id="", url=""))
        assert not any(secret.reveal() in attempt.run_id + attempt.url for secret in SECRETS)
        assert (attempt.status is StartStatus.STARTED) <= (200 <= attempt.http_status < 300)
        assert (attempt.status is StartStatus.STARTED) <= bool(attempt.run_id or attempt.url)
        assert not attempt.run_id or ID_RE.fullmatch(attempt.run_id)
        assert attempt.url == safe_url(attempt.url)
        assert not _BREAKS.search(attempt.message + attempt.suggestion)
        assert attempt.retry_after is None or attempt.retry_after >= 0


def _status(data: bytes) -> None:
    answer = answer_of(data)
    for request in _requests():
        status = _client(data).status(request, "a-run")
        _no_secret_in(status._replace(url=""))
        assert not any(secret.reveal() in status.url for secret in SECRETS)
        if status.status is PollStatus.PASSED:
            assert answer.status == 200
            assert json.loads(answer.body)["status"].strip().lower() == "passed"
        assert not _BREAKS.search(status.raw_status + status.message)
        assert status.retry_after is None or status.retry_after >= 0


def _details(data: bytes) -> None:
    details = _client(data).details(next(_requests()), "a-run", media=True)
    _no_secret_in(details)
    texts = [details.title, details.error]
    for step in (*details.steps, *filter(None, [details.step])):
        texts += [step.instruction, step.output, step.url, step.status]
    assert not _BREAKS.search("".join(texts))
    assert details.duration_seconds is None or details.duration_seconds >= 0


def _folders(data: bytes) -> None:
    found = list_folders(Scripted(answer_of(data)), Redactor(SECRETS), lambda seconds: None)
    for folder in found.folders:
        _no_secret_in(folder)
        for place, name in [(folder.id, folder.name), *((test.id, test.name) for test in folder.tests)]:
            assert ID_RE.fullmatch(place)
            assert name
            assert not _BREAKS.search(name)


def _event(data: bytes) -> None:
    name, _, event = data.partition(b"\n")
    place = _folder() / "event.json"
    place.write_bytes(event)
    found = github.SYSTEM.build_context(
        {
            "GITHUB_EVENT_NAME": text_of(name),
            "GITHUB_EVENT_PATH": str(place),
            "GITHUB_SHA": "1" * 40,
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_REPOSITORY": "owner/name",
        }
    )
    assert not _BREAKS.search("".join(found))
    assert re.fullmatch(r"(?:[0-9a-f]{40,64})?", found.sha)
    assert re.fullmatch(r"[0-9]*", found.change_number)
    assert not found.deployment_url or found.deployment_url.startswith(("https://", "http://"))


def _addresses(report: Report) -> set[str]:
    """Return every address of the report that may be followed."""
    found = [report.web_base_url, report.context.build_url, report.context.deployment_url]
    for run in report.results:
        steps = [*run.evidence.steps, *filter(None, [run.step])]
        found += [run.url, *(earlier.url for earlier in run.previous_attempts)]
        for earlier in run.previous_attempts:
            steps += [*earlier.evidence.steps, *filter(None, [earlier.step])]
        found += [step.url for step in steps]
    return {safe_url(url) for url in found} - {""}


def _junit(data: bytes) -> None:
    report = report_of(data)
    written = render_junit(report)
    assert VALUE.encode() not in written
    etree.fromstring(written, etree.XMLParser(resolve_entities=False, recover=False))
    (suite,) = ET.fromstring(written)
    assert len(suite) == max(len(report.results), bool(report.input_errors))
    for case, run in zip(suite, report.results, strict=False):
        green = not {child.tag for child in case} & {"failure", "error", "skipped"}
        assert green is (run.state is RunState.PASSED)
        orders = "".join(case.itertext()).count("[[ATTACHMENT|")
        assert (
            orders
            <= len(run.evidence.files) + sum(len(earlier.evidence.files) for earlier in run.previous_attempts) + 1
        )


# What GitHub and GitLab make of it: tags are read as such, tables too.
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def _markdown(data: bytes) -> None:
    report = report_of(data)
    text = render_summary(report)
    assert VALUE not in text
    text.encode()
    tokens = [inner for token in _MARKDOWN.parse(text) for inner in (token, *(token.children or ()))]
    kinds = [token.type for token in tokens]
    assert kinds.count("heading_open") == 1
    assert kinds.count("table_open") == bool(report.results)
    assert kinds.count("tr_open") == (1 + len(report.results) if report.results else 0)
    assert kinds.count("fence") <= 1
    assert kinds.count("list_item_open") == (0 if report.results else len(report.input_errors))
    none = {"html_block", "image", "em_open", "strong_open", "s_open", "blockquote_open", "code_block", "hr"}
    assert not none & {*kinds}
    assert {token.content for token in tokens if token.type == "html_inline"} <= {"<br>"}
    allowed = {url.replace("(", "%28").replace(")", "%29") for url in _addresses(report)}
    normal = {_MARKDOWN.normalizeLink(url) for url in allowed}
    assert {str(token.attrs["href"]) for token in tokens if token.type == "link_open"} <= normal
    assert len([token for token in tokens if token.type == "code_inline"]) <= 1


# As good as the other in an address, or as bad, and no markup.
_TAME = bytes.maketrans(b"<>\"&'", b"|||!!")


def _html(data: bytes) -> None:
    report = report_of(data)
    page = render_html(report)
    assert VALUE.encode() not in page
    found = _page(page)
    assert not [name for one in found.iter() for name in one.attrib if name.startswith(("on", "style", "srcset"))]
    ours = ("#", "evidence/", "data:image/svg+xml,")
    targets = {str(address) for address in found.xpath("//@href | //@src")}
    assert {target for target in targets if not target.startswith(ours)} <= _addresses(report)
    choices, parts, texts = data.partition(PARTS)
    tame = _page(render_html(report_of(choices + parts + texts.translate(_TAME))))
    assert _skeleton(found) == _skeleton(tame), "a text has become an element"


def _page(text: bytes) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(text, parser=lxml.html.HTMLParser(encoding="utf-8"))


def _skeleton(page: lxml.html.HtmlElement) -> list[tuple[str, list[str]]]:
    return [(str(one.tag), sorted(one.attrib)) for one in page.iter()]


def _dotenv(data: bytes) -> None:
    written = render_dotenv(report_of(data))
    assert len(written) <= MAX_DOTENV_BYTES
    lines = written.split("\n")
    assert lines.pop() == ""
    assert all(re.fullmatch(r"AUTONOMA_[A-Z_]+=[\w.:/?@#%+,=\[\]\"-]*", line, re.ASCII) for line in lines)
    names = [line.partition("=")[0] for line in lines]
    assert len({*names}) == len(names)


HARNESSES: dict[str, Callable[[bytes], None]] = {
    "manifest": _manifest,
    "variables": _variables,
    "ids": _ids,
    "start-answer": _start,
    "status-answer": _status,
    "details-answer": _details,
    "folders-answer": _folders,
    "event": _event,
    "junit": _junit,
    "markdown": _markdown,
    "html": _html,
    "dotenv": _dotenv,
}
