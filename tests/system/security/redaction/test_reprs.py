"""The repr and exceptions of values that hold secrets."""

from __future__ import annotations

import io
import traceback
from typing import TYPE_CHECKING

import pytest
import requests

from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.start_body import build_start_body
from autonoma_ci.api.transport import Transport
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.config import settings
from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import BuildContext, Report, RunRequest, RunResult, TargetKind
from autonoma_ci.net.errors import RequestNotSentError
from autonoma_ci.planning import plan
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.sandbox import Sandbox
from autonoma_ci.yaml_subset import parser
from tests.support.github_job import LONG_TIMEOUTS
from tests.support.manifest_reader import TODAY
from tests.system.security.redaction.echo_server import EchoResponse, EchoServer

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "sentinel-secret"
ENVIRON = {"DATABASE": "sentinel-database", "AUTONOMA_CLIENT_SECRET": SECRET, "AUTONOMA_CLIENT_ID": "sentinel-id"}
# The names of runs have the values of a matrix that the manifest states, so that one comes from the environment.
ENVIRON |= {"THIRD": "sentinel-c"}
MANIFEST = """\
defaults: {variables: {A: sentinel-a}}
tests:
  - {id: one, variables: {B: "${DATABASE}"}, matrix: {C: ["${THIRD}", shown]}}
"""
REQUEST = RunRequest(TargetKind.TEST, "one", "", {"A": "sentinel-a"})


def _format_value(value: object) -> str:
    return f"{value!r} {value!s} {value}"


def test_repr_of_manifest_and_plan_hides_values(tmp_path: Path) -> None:
    """Manifest, settings, plan and results show no value of a variable."""
    (tmp_path / "a.yml").write_text(MANIFEST, "utf-8")
    interpolation = Interpolator(ENVIRON, BuildContext(), ())
    manifest = load_manifest("a.yml", str(tmp_path), interpolation, TODAY)
    loaded_settings, problems = settings.load_settings(
        {}, ["E=sentinel-e"], ENVIRON | {"AUTONOMA_VARIABLES": "F=sentinel-f"}
    )
    built_plan = plan.build_plan(loaded_settings, manifest)
    assert problems == []
    assert [request.variables["C"] for request in built_plan.requests] == ["sentinel-c", "shown"]
    assert built_plan.requests[0].variables["B"] == "sentinel-database"
    results = tuple(map(RunResult, built_plan.requests))
    values = [
        manifest,
        interpolation,
        loaded_settings,
        built_plan,
        built_plan.format_lines(),
        results,
        Report("", BuildContext(), "", results),
    ]
    values += [parser.parse_yaml(MANIFEST, "a.yml"), Runtime(ENVIRON, io.StringIO(), io.StringIO())]
    assert "sentinel" not in " ".join(map(_format_value, values))


def test_manifest_error_hides_values(tmp_path: Path) -> None:
    """The exception of an invalid manifest and its traceback show no value."""
    (tmp_path / "a.yml").write_text(
        MANIFEST + "  - {id: two, variables: {B: [sentinel], C: $sentinel}, x: '${DATABASE}'}\n", "utf-8"
    )
    with pytest.raises(InputError) as raised:
        load_manifest("a.yml", str(tmp_path), Interpolator(ENVIRON, BuildContext(), ()), TODAY)
    assert len(raised.value.diagnostics) >= 3
    assert "sentinel" not in _format_value(raised.value) + _format_value(raised.value.diagnostics)
    assert "sentinel" not in "".join(traceback.format_exception(raised.value))


def test_repr_of_response_hides_request() -> None:
    """Response, start result and client show nothing of the request."""
    secrets = [Secret("sentinel-id"), Secret(SECRET)]
    echo = EchoResponse(404, {"message": f"{SECRET} sentinel-a", "error": "sentinel-id"}, {"X-Echo": SECRET})
    with EchoServer(lambda *_: echo) as server:
        transport = Transport(server.url, secrets, LONG_TIMEOUTS)
        client = AutonomaClient(transport, "cli", secrets)
        response = transport.post("/test/one/run", build_start_body(REQUEST, "cli"))
        attempt = client.start(REQUEST)
        assert SECRET.encode() in response.body
        assert response.headers["X-Echo"] == SECRET
        assert "sentinel" not in " ".join(map(_format_value, [response, attempt, transport, client, REQUEST]))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://name.invalid", "http://127.0.0.1:9/sentinel"])
def test_network_error_hides_request(url: str) -> None:
    """The exception and its traceback show nothing of the request."""
    secrets = [Secret("sentinel-id"), Secret(SECRET)]
    transport, body = Transport(url, secrets, LONG_TIMEOUTS), {"a": "sentinel-a"}
    with pytest.raises(RequestNotSentError) as raised:
        transport.post("/test/one/run", body)
    assert "sentinel" not in _format_value(raised.value) + "".join(traceback.format_exception(raised.value))


def list_causes(error: BaseException | None) -> list[BaseException]:
    """Return an exception with all its causes and contexts."""
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes


@pytest.mark.parametrize("secret", ["sentinel-secret", "sentinel\nsecret", "sentinel-secret-ü", "sentinel-\N{SNOWMAN}"])
def test_exception_chain_quotes_no_header(secret: str) -> None:
    """Requests quotes an invalid header, and error reporters print the whole chain."""
    with EchoServer(lambda *_: EchoResponse(200, {"x": "y" * 10})) as server:
        url = server.url
    transport = Transport(url, [Secret("sentinel-id"), Secret(secret)], LONG_TIMEOUTS)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any exception
        transport.post("/test/one/run", {"a": "sentinel-a"})
    texts = [f"{_format_value(error)} {error.args!r} {vars(error)!r}" for error in list_causes(raised.value)]
    assert "sentinel" not in " ".join(texts)


def test_sandbox_log_hides_secrets() -> None:
    """Log, repr and page of the sandbox show no credential and no value."""
    log: list[str] = []
    with Sandbox(log=log.append) as sandbox:
        secrets = [Secret("sentinel-id"), Secret(SECRET)]
        AutonomaClient(Transport(sandbox.url, secrets, LONG_TIMEOUTS), "cli", secrets).start(REQUEST)
        assert sandbox.received[0].headers["autonoma-client-secret"] == SECRET
        page = requests.get(sandbox.url.removesuffix("/api") + "/received", timeout=60)
        assert page.ok
        assert "sentinel" not in " ".join(
            [*log, *map(_format_value, sandbox.received), _format_value(sandbox), page.text]
        )
    assert "variables=A" in log[0]
