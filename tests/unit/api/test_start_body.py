"""Tests of the JSON body of a start request."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from autonoma_ci.api.start_body import build_start_body
from autonoma_ci.models import AppVersion, RunRequest, TargetKind

VERSIONS = (AppVersion("shop", "v1"), AppVersion("admin", "v2"), AppVersion("shop", "v3"))
GROUPED_VERSIONS = [
    {"application_id": "shop", "application_version_ids": ["v1", "v3"]},
    {"application_id": "admin", "application_version_ids": ["v2"]},
]
HOSTILE_VALUE = '\x00\x1b[31m\r\n<script>"\\${NAME}\u202e é🚀'


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (RunRequest(TargetKind.TEST, "a"), {"id": "a", "source": "github"}),
        (
            RunRequest(TargetKind.TEST, "a", "Label", {"LOCALE": "de"}, "v1"),
            {
                "id": "a",
                "source": "github",
                "application_version_id": "v1",
                "runtime_metadata": {"LOCALE": "de"},
            },
        ),
        (RunRequest(TargetKind.FOLDER, "f"), {"recursive": True, "source": "github"}),
        (
            RunRequest(TargetKind.FOLDER, "f", run_on_latest=True),
            {"recursive": True, "source": "github", "run_on_latest": True},
        ),
        (
            RunRequest(TargetKind.FOLDER, "f", application_versions=VERSIONS),
            {"recursive": True, "source": "github", "application_versions": GROUPED_VERSIONS},
        ),
        (RunRequest(TargetKind.TAG, "t"), {}),
        (RunRequest(TargetKind.TAG, "t", run_on_latest=True), {"run_on_latest": True}),
        (RunRequest(TargetKind.TAG, "t", application_versions=VERSIONS), {"application_versions": GROUPED_VERSIONS}),
    ],
)
def test_body_has_fields_of_its_kind(request_: RunRequest, body: dict[str, object]) -> None:
    """Each target kind has exactly the fields of the contract."""
    assert build_start_body(request_, "github") == body


@pytest.mark.parametrize("kind", [TargetKind.FOLDER, TargetKind.TAG])
def test_group_body_omits_fields_of_tests(kind: TargetKind) -> None:
    """Variables and the version of a test are not sent for a folder or tag."""
    minimal_request = RunRequest(kind, "g")
    full_request = minimal_request._replace(variables={"LOCALE": "de"}, application_version_id="v1")
    assert build_start_body(full_request, "cli") == build_start_body(minimal_request, "cli")


def test_test_body_omits_fields_of_groups() -> None:
    """The versions of applications are not sent for a test."""
    full_request = RunRequest(TargetKind.TEST, "a", application_versions=VERSIONS, run_on_latest=True)
    assert build_start_body(full_request, "cli") == {"id": "a", "source": "cli"}


@pytest.mark.parametrize("kind", [TargetKind.FOLDER, TargetKind.TAG])
def test_latest_version_overrides_versions(kind: TargetKind) -> None:
    """A run on the latest version names no other version."""
    body = build_start_body(RunRequest(kind, "g", application_versions=VERSIONS, run_on_latest=True), "cli")
    assert body["run_on_latest"] is True
    assert "application_versions" not in body


def test_version_order_is_preserved() -> None:
    """Applications have the order of their first versions."""
    body = build_start_body(RunRequest(TargetKind.TAG, "t", application_versions=VERSIONS[::-1]), "cli")
    assert body["application_versions"] == [
        {"application_id": "shop", "application_version_ids": ["v3", "v1"]},
        {"application_id": "admin", "application_version_ids": ["v2"]},
    ]


def test_variable_values_survive_json() -> None:
    """The body is valid JSON, and values of variables arrive unchanged."""
    variables = MappingProxyType({"NAME": HOSTILE_VALUE, "EMPTY": "", "LONG": "x" * 65_536})
    body = build_start_body(RunRequest(TargetKind.TEST, "a", variables=variables), "cli")
    assert json.loads(json.dumps(body))["runtime_metadata"] == dict(variables)


def test_body_is_independent_of_request() -> None:
    """A change of the body does not change the request."""
    request = RunRequest(TargetKind.TEST, "a", variables={"LOCALE": "de"})
    metadata = build_start_body(request, "cli")["runtime_metadata"]
    assert isinstance(metadata, dict)
    metadata.clear()
    assert request.variables == {"LOCALE": "de"}
