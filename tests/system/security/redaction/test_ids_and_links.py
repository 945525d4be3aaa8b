"""Redaction of ids and links from the API.

A variable's value such as `run` or `https` occurs in each link by chance. Such a value is removed from free text only.
"""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from lxml import etree

from autonoma_ci import cli
from autonoma_ci.api.models import Timeouts
from autonoma_ci.api.responses import build_run_url
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.redaction.redactor import Redactor
from tests.support.fault_server import FaultServer
from tests.support.faults import send_response
from tests.support.github_job import POLL_POLICY, JobResult, github_environ, read_job_result, run_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.fault_server import Connection, RequestHandler

RUN_ID = "cm1ok-run-app-https-x9"
URL = f"https://autonoma.app/run/{RUN_ID}"
OTHER_URL = "https://autonoma.app/run/other-1"
IDS = ["shop", "other"]
VALUE = "a-value-of-a-variable"
CLIENT_ID, CLIENT_SECRET = "client-id-of-the-test", "client-secret-of-the-test"
LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)
# Texts that occur in the id or the link by chance.
CHANCE_VALUES = (
    "run", "app", "https", "1", "ok", "x9", "https-x9", RUN_ID, RUN_ID.upper(), URL, "autonoma", "autonoma.app", "://",
    "/", ".", "-", "a", "shop", "***", "passed", "http", "/run/", f"run/{RUN_ID}", "run_id", "url",
)  # fmt: skip


def make_api(run_id: str = RUN_ID, url: str = URL, **extra_fields: object) -> RequestHandler:
    """Return an API whose run of `shop` passes and whose run of `other` fails."""

    def handler(connection: Connection) -> bool:
        path = connection.request.path
        is_first_run = "other" not in path
        if connection.request.method == "POST":
            ids = {"run_id": run_id, "url": url} if is_first_run else {"run_id": "other-1", "url": OTHER_URL}
            return send_response(200, json.dumps({**ids, **extra_fields}))(connection)
        if path.endswith("/status"):
            return send_response(
                200,
                json.dumps(
                    {"status": "passed", "url": url} if is_first_run else {"status": "failed", "url": OTHER_URL}
                ),
            )(connection)
        step = {"status": "failed", "instruction": f"Type {VALUE}", "output": f"{VALUE} was refused"}
        return send_response(200, json.dumps({"name": "A title", "steps": [] if is_first_run else [step]}))(connection)

    return handler


def run_job_with_variables(
    folder: Path, handler: RequestHandler, variables: str, *, wait: bool, **extra_inputs: str
) -> JobResult:
    inputs = {"INPUT_VARIABLES": variables, "INPUT_WAIT": str(wait).lower(), "INPUT_TIMEOUT": "10m"} | extra_inputs
    with FaultServer(handler) as server:
        return run_job(folder, server.url, IDS, extra_environ=inputs, timeouts=LONG_TIMEOUTS)


def collect_text(job: JobResult, folder: Path) -> str:
    """Return log and files of the job without the masks."""
    files = [path.read_text("utf-8") for path in sorted((folder / "results").iterdir()) if path.is_file()]
    lines = [line for line in job.visible_text.splitlines() if not line.startswith("::add-mask::")]
    return "\n".join([*lines, *files])


@pytest.mark.parametrize("wait", [False, True], ids=["started", "waited for"])
@pytest.mark.parametrize("value", CHANCE_VALUES)
def test_chance_value_leaves_ids_and_links(value: str, wait: bool, tmp_path: Path) -> None:
    """Id, link, state and exit code equal those of a job without the variable."""
    result = run_job_with_variables(tmp_path, make_api(), json.dumps({"X": value}), wait=wait)
    assert result.code == (1 if wait else 0)
    assert (result.outputs["run-id"], result.outputs["run-url"]) == (RUN_ID, URL)
    assert json.loads(result.outputs["run-ids"]) == [RUN_ID, "other-1"]
    assert json.loads(result.outputs["run-urls"]) == [URL, OTHER_URL]
    assert result.states == ({"shop": "passed", "other": "failed"} if wait else dict.fromkeys(IDS, "started"))
    run, output_run = result.results_json["runs"][0], json.loads(result.outputs["results"])[0]
    assert (run["run_id"], run["url"]) == (output_run["run_id"], output_run["url"]) == (RUN_ID, URL)
    assert URL in result.log
    assert URL in result.summary.replace("\\", "")
    assert f"AUTONOMA_RUN_URL={URL}\n" in (tmp_path / "results" / "outputs.env").read_text("utf-8")
    tree = etree.parse(tmp_path / "results" / "junit.xml")
    properties = {element.get("name"): element.get("value") for element in tree.findall(".//testcase[1]//property")}
    assert (properties["run_id"], properties["url"]) == (RUN_ID, URL)
    page = etree.parse(tmp_path / "results" / "report.html", etree.HTMLParser())
    assert URL in {element.get("href") for element in page.iter("a")}
    assert "without URL" not in result.log


@pytest.mark.parametrize("value", ["run", "https", "1", RUN_ID])
def test_chance_value_leaves_link_in_results(value: str, tmp_path: Path) -> None:
    """`wait` reads id and link from results.json as the API returned them."""
    with FaultServer(make_api()) as server:
        run_job(
            tmp_path,
            server.url,
            IDS,
            extra_environ={"INPUT_VARIABLES": json.dumps({"X": value})},
            timeouts=LONG_TIMEOUTS,
        )
        out, err = io.StringIO(), io.StringIO()
        job_runtime = Runtime(
            github_environ(tmp_path, server.url, []) | {"INPUT_TIMEOUT": "10m"}, out, err, str(tmp_path),
            poll_policy=POLL_POLICY, timeouts=LONG_TIMEOUTS,
        )  # fmt: skip
        code = cli.run_command(["wait", "results/results.json"], job_runtime)
    wait_result = read_job_result(tmp_path, code, out.getvalue(), err.getvalue())
    assert code == 1
    assert (wait_result.outputs["run-id"], wait_result.outputs["run-url"]) == (RUN_ID, URL)
    assert wait_result.states == {"shop": "passed", "other": "failed"}


def test_chance_value_leaves_id_in_link(tmp_path: Path) -> None:
    """A response without an id has it at the end of its link."""
    result = run_job_with_variables(tmp_path, make_api(run_id="", url=URL), json.dumps({"X": RUN_ID}), wait=True)
    assert (result.outputs["run-id"], result.outputs["run-url"]) == (RUN_ID, URL)
    assert result.states["shop"] == "passed"


# Free text


def test_value_in_free_text_is_removed(tmp_path: Path) -> None:
    """No report shows the value in the text of a step."""
    result = run_job_with_variables(tmp_path, make_api(), json.dumps({"X": VALUE}), wait=True)
    assert result.states["other"] == "failed"
    step = result.results_json["runs"][1]["step"]
    assert (step["instruction"], step["output"]) == ("Type ***", "*** was refused")
    assert VALUE not in collect_text(result, tmp_path)


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
def test_value_in_start_error_is_removed(status: int, tmp_path: Path) -> None:
    """The text of a rejected start request is free text, too."""
    text = json.dumps({"error": f"bad {VALUE}", "message": f"{VALUE} and {quote(VALUE.upper())}"})
    result = run_job_with_variables(tmp_path, send_response(status, text), json.dumps({"X": VALUE}), wait=False)
    assert f"HTTP {status}: bad ***: *** and ***" in result.results_json["runs"][0]["message"]
    assert VALUE not in collect_text(result, tmp_path).lower()


@pytest.mark.parametrize("value", ["run", "ok", "https"])
def test_word_value_is_removed_from_text_only(value: str, tmp_path: Path) -> None:
    """The same word in the link stays."""

    def handler(connection: Connection) -> bool:
        if connection.request.method == "POST" and "/other/" in connection.request.path:
            return send_response(422, json.dumps({"message": f"no {value} today"}))(connection)
        return make_api()(connection)

    result = run_job_with_variables(tmp_path, handler, json.dumps({"X": value}), wait=True)
    assert result.outputs["run-url"] == URL
    assert result.results_json["runs"][1]["message"] == "HTTP 422: no *** today"


# Credentials


@pytest.mark.parametrize("secret", [CLIENT_ID, CLIENT_SECRET])
@pytest.mark.parametrize("run_id", ["{}", "run-{}-1", "{}_x"])
def test_id_with_credential_is_withheld(run_id: str, secret: str, tmp_path: Path) -> None:
    """The run may have started, but neither its id nor its link is shown."""
    result = run_job_with_variables(tmp_path, make_api(run_id=run_id.format(secret), url=""), "", wait=False)
    assert result.code == 7
    assert result.states["shop"] == "unknown"
    assert json.loads(result.outputs["run-ids"]) == ["other-1"]
    assert json.loads(result.outputs["run-urls"]) == [OTHER_URL]
    assert secret not in collect_text(result, tmp_path)


@pytest.mark.parametrize("secret", [CLIENT_ID, CLIENT_SECRET])
@pytest.mark.parametrize(
    "url",
    [
        "https://{}.autonoma.app/run/run-1",
        "https://autonoma.app/run/{}",
        "https://autonoma.app/{}/run/run-1",
        "https://autonoma.app/run/run-1?key={}",
        "https://autonoma.app/run/run-1#{}",
    ],
)
def test_link_with_credential_is_withheld(url: str, secret: str, tmp_path: Path) -> None:
    """The id is shown, and the log says why the link is missing."""
    result = run_job_with_variables(tmp_path, make_api(run_id="run-1", url=url.format(secret)), "", wait=True)
    assert result.states["shop"] == "passed"
    assert (json.loads(result.outputs["run-ids"])[0], json.loads(result.outputs["run-urls"])[0]) == ("run-1", "")
    assert "without URL" in result.log
    assert secret not in collect_text(result, tmp_path)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.upper(),
        lambda text: quote(text, safe=""),
        lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
        lambda text: text.encode().hex(),
    ],
    ids=["capitals", "percent", "base64", "hex"],
)
def test_link_with_encoded_credential_is_withheld(encode: Callable[[str], str], tmp_path: Path) -> None:
    """An encoded credential counts, too."""
    text = encode(CLIENT_SECRET)
    result = run_job_with_variables(
        tmp_path, make_api(run_id="run-1", url=f"https://autonoma.app/run/{text}"), "", wait=False
    )
    assert json.loads(result.outputs["run-urls"])[0] == ""
    assert text not in collect_text(result, tmp_path)


@pytest.mark.parametrize(
    ("secret", "is_shown"),
    [
        ("run/abcdef123", False),
        ("autonoma.app/run/abcdef123", False),
        ("app/run/abc", False),
        ("abcdef123", False),
        ("https://autonoma.app", True),
        ("autonoma", True),
        ("run/", True),
    ],
)
def test_credential_reaching_into_id_hides_link(secret: str, is_shown: bool) -> None:
    """A credential hides the link if it continues after the common prefix of all links."""
    url = "https://autonoma.app/run/abcdef123"
    built_url = build_run_url(url, Redactor([]), Redactor([secret]), "autonoma.app")
    assert built_url == (url if is_shown else "")


def test_credential_as_variable_is_withheld(tmp_path: Path) -> None:
    """A value that is also a credential is treated as a credential."""
    variables = json.dumps({"X": CLIENT_SECRET})
    result = run_job_with_variables(tmp_path, make_api(run_id=CLIENT_SECRET, url=""), variables, wait=False)
    assert result.code == 7
    assert CLIENT_SECRET not in collect_text(result, tmp_path)


# The query and the fragment of a link


@pytest.mark.parametrize(
    ("suffix", "shown_suffix"),
    [
        ("", ""),
        ("?tab=steps", "?tab=steps"),
        ("?tab=steps#step-4", "?tab=steps#step-4"),
        (f"?token={VALUE}", ""),
        (f"#{VALUE}", ""),
        (f"?tab=steps#{VALUE}", ""),
        (f"?a=1&token={VALUE}&b=2#end", ""),
        (f"?token={VALUE.upper()}", ""),
        (f"?token={quote(VALUE).replace('-', '%2D')}", ""),
        (f"?token={base64.b64encode(VALUE.encode()).decode().rstrip('=')}", ""),
        (f"?token={VALUE.encode().hex()}", ""),
    ],
    ids=[
        "none", "a query", "a query and a fragment", "value in the query", "value in the fragment",
        "value behind a query", "value among others", "capitals", "percent", "base64", "hex",
    ],
)  # fmt: skip
@pytest.mark.parametrize("wait", [False, True], ids=["started", "waited for"])
def test_value_in_query_is_removed_with_it(suffix: str, shown_suffix: str, wait: bool, tmp_path: Path) -> None:
    """The path identifies the page, so a query or fragment with a value is removed."""
    result = run_job_with_variables(tmp_path, make_api(url=URL + suffix), json.dumps({"X": VALUE}), wait=wait)
    assert (result.outputs["run-id"], result.outputs["run-url"]) == (RUN_ID, URL + shown_suffix)
    assert result.states["shop"] == ("passed" if wait else "started")
    text = collect_text(result, tmp_path).lower()
    assert VALUE not in text
    if suffix and not shown_suffix:
        assert suffix.lower() not in text
