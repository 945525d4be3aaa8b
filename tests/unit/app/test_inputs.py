"""Tests of settings and plan of a step."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.inputs import (
    Inputs,
    RunArguments,
    build_part,
    detect_ci,
    find_default_manifest,
    find_manifest,
    load_inputs,
    load_manifest,
    redact_shown_part,
    select_options,
)
from autonoma_ci.config.parsers import Shard
from autonoma_ci.config.settings import Settings, load_settings
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.identity import Part
from autonoma_ci.models import BuildContext
from autonoma_ci.redaction.redactor import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ID, SECRET = "AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET"
VALUE = "s3cret-value-of-the-test"
CREDENTIALS = {ID: "client-id-of-the-test", SECRET: VALUE}
LOCAL = detect_ci({})
TODAY = date(2026, 6, 15)
NO_ARGUMENTS = RunArguments({}, (), ())
PARALLEL = {"GITLAB_CI": "true", "CI_JOB_NAME": "e2e", "CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "3"}


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings of valid variables."""
    settings, errors = load_settings({}, (), environ)
    assert not errors
    return settings


def read_errors(inputs: Inputs) -> list[str]:
    return [str(error) for error in inputs.errors]


# CI system


@pytest.mark.parametrize(
    ("environ", "source"),
    [({}, "cli"), ({"GITHUB_ACTIONS": "true"}, "github"), ({"CI": "1"}, "ci"), ({"AUTONOMA_CI": "Azure "}, "azure")],
)
def test_detect_ci_returns_system(environ: dict[str, str], source: str) -> None:
    """The source is the name of the system, as in the build context."""
    ci = detect_ci(environ)
    assert (ci.source, ci.build_context.ci_name) == (source, source)


def test_detect_ci_unknown_name_is_error() -> None:
    """A typing error in AUTONOMA_CI stops the step."""
    with pytest.raises(InputError, match="Did you mean 'gitlab'"):
        detect_ci({"AUTONOMA_CI": "gitlap"})


def test_detect_ci_hides_other_value() -> None:
    """A value that is no name can be a credential."""
    with pytest.raises(InputError) as caught:
        detect_ci({"AUTONOMA_CI": VALUE})
    assert VALUE not in str(caught.value)


def test_stated_facts_replace_detected_ones() -> None:
    """Options of the build have priority, and other facts stay."""
    ci = detect_ci({"GITHUB_ACTIONS": "true", "GITHUB_SHA": "a" * 40, "GITHUB_JOB": "e2e"})
    context = ci.with_facts(load({"AUTONOMA_SHA": "b" * 40, "AUTONOMA_BRANCH": "main"})).build_context
    assert (context.sha, context.branch, context.job_name) == ("b" * 40, "main", "e2e")
    assert ci.with_facts(Settings()) == ci


def test_select_options_removes_others() -> None:
    """Variables of other options are removed, and all other variables stay."""
    environ = {**CREDENTIALS, "INPUT_CLIENT-ID": "x", "AUTONOMA_WAIT": "true", "PATH": "/bin", "AUTONOMA_CI": "cli"}
    assert select_options(environ, {"client-id"}) == {
        ID: "client-id-of-the-test", "INPUT_CLIENT-ID": "x", "PATH": "/bin", "AUTONOMA_CI": "cli"
    }  # fmt: skip


def test_select_options_preserves_environment() -> None:
    """The given environment is not changed."""
    environ = dict(CREDENTIALS)
    assert select_options(environ, ()) == {}
    assert environ == CREDENTIALS


# Manifest


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], None),
        (["autonoma.yaml"], "autonoma.yaml"),
        (["autonoma.yml"], "autonoma.yml"),
        (["autonoma.yaml", "autonoma.yml"], "autonoma.yml"),
        (["other.yml", "Autonoma.yml"], None),
    ],
)
def test_default_manifest_has_two_names(names: list[str], expected: str | None, tmp_path: Path) -> None:
    """The shorter extension has priority."""
    for name in names:
        (tmp_path / name).write_text("", "utf-8")
    assert find_default_manifest(str(tmp_path)) == expected


def test_named_manifest_has_priority(tmp_path: Path) -> None:
    """The option applies also with ids and for each event."""
    (tmp_path / "autonoma.yml").write_text("", "utf-8")
    settings = load({"AUTONOMA_MANIFEST": "a.yml", "AUTONOMA_TEST_IDS": "a"})
    assert find_manifest(settings, str(tmp_path), "pull_request_target") == ("a.yml", None)


@pytest.mark.parametrize("option", ["TEST_IDS", "FOLDER_IDS", "TAG_IDS"])
def test_ids_replace_default_manifest(option: str, tmp_path: Path) -> None:
    """With ids of its own a step needs no manifest."""
    (tmp_path / "autonoma.yml").write_text("", "utf-8")
    assert find_manifest(load({f"AUTONOMA_{option}": "a"}), str(tmp_path), "") == (None, None)


@pytest.mark.parametrize("event", ["", "push", "pull_request"])
def test_default_manifest_is_found(event: str, tmp_path: Path) -> None:
    """Events without secrets for other authors read the default manifest."""
    assert find_manifest(Settings(), str(tmp_path), event) == (None, None)
    (tmp_path / "autonoma.yaml").write_text("", "utf-8")
    assert find_manifest(Settings(), str(tmp_path), event) == ("autonoma.yaml", None)


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run", "issue_comment"])
def test_default_manifest_needs_trusted_event(event: str, tmp_path: Path) -> None:
    """A job with all secrets has a warning with the fix."""
    assert find_manifest(Settings(), str(tmp_path), event) == (None, None)
    (tmp_path / "autonoma.yml").write_text("", "utf-8")
    path, warning = find_manifest(Settings(), str(tmp_path), event)
    assert path is None
    assert warning == (
        f"autonoma.yml is not read: the event {event} exposes all secrets to files that anybody can change. To "
        "read a trusted file, set manifest to autonoma.yml."
    )


def test_load_manifest_replaces_references(tmp_path: Path) -> None:
    """Texts read the environment and the build."""
    (tmp_path / "m.yml").write_text("tests: [{id: a, name: 'On ${ci.branch} of ${TENANT}'}]", "utf-8")
    context = BuildContext(branch="main")
    manifest = load_manifest("m.yml", str(tmp_path), {"TENANT": "acme"}, context, Settings(), TODAY)
    assert "On main of" in manifest.tests[0].name


@pytest.mark.parametrize(("length", "is_refused"), [(7, False), (8, True), (24, True)], ids=["short", "limit", "long"])
def test_manifest_reads_no_credential(length: int, is_refused: bool, tmp_path: Path) -> None:
    """A value with a credential of at least eight characters is never read."""
    secret = VALUE[:length]
    (tmp_path / "m.yml").write_text("tests: [{id: a, variables: {A: 'x${COPY}'}}]", "utf-8")
    settings = Settings(client_secret=Secret(secret), allow_env=("COPY",))
    environ = {"COPY": f"x-{secret}-y"}
    try:
        load_manifest("m.yml", str(tmp_path), environ, BuildContext(), settings, TODAY)
        errors = ""
    except InputError as error:
        errors = str(error)
    assert ("${COPY} contains a credential of this job" in errors) is is_refused
    assert secret not in errors


def test_manifest_reads_no_system_credential(tmp_path: Path) -> None:
    """Credentials of all CI systems are refused on each system."""
    (tmp_path / "m.yml").write_text("tests: [{id: a, variables: {A: '${CI_JOB_TOKEN}'}}]", "utf-8")
    with pytest.raises(InputError, match="CI_JOB_TOKEN") as caught:
        load_manifest("m.yml", str(tmp_path), {"CI_JOB_TOKEN": "s3cret-token"}, BuildContext(), Settings(), TODAY)
    assert "s3cret-token" not in str(caught.value)


def test_manifest_id_shows_no_variable(tmp_path: Path) -> None:
    """An id with a value of the option `variables` would show the value."""
    (tmp_path / "m.yml").write_text("tests: ['${COPY}']", "utf-8")
    settings = Settings(variables={"A": "hidden-value"}, allow_env=("COPY",))
    with pytest.raises(InputError) as caught:
        load_manifest("m.yml", str(tmp_path), {"COPY": "hidden-value"}, BuildContext(), settings, TODAY)
    assert "hidden-value" not in str(caught.value)


def test_check_needs_no_build_facts(tmp_path: Path) -> None:
    """Outside of CI a check passes where a step would have no branch."""
    (tmp_path / "m.yml").write_text("tests: [{id: a, variables: {A: '${ci.branch}'}}]", "utf-8")
    settings = Settings()
    manifest = load_manifest("m.yml", str(tmp_path), {}, BuildContext(), settings, TODAY, validate_only=True)
    assert manifest.tests[0].id == "a"
    with pytest.raises(InputError, match=r"ci\.branch"):
        load_manifest("m.yml", str(tmp_path), {}, BuildContext(), settings, TODAY)


# Part of the build


@pytest.mark.parametrize(
    ("settings", "environ", "part", "shard"),
    [
        (Settings(), {}, "", ""),
        (Settings(part="ios"), {}, "ios", ""),
        (Settings(shard=Shard(1, 3)), {}, "", "1/3"),
        (Settings(shard=Shard(1, 1)), {}, "", ""),
        (Settings(shard="auto"), {}, "", ""),
        (Settings(), PARALLEL, "2/3", ""),
        (Settings(part="ios"), PARALLEL, "ios", ""),
        (Settings(shard="auto"), PARALLEL, "", "2/3"),
        (Settings(shard=Shard(2, 3)), PARALLEL, "", "2/3"),
        (Settings(shard=Shard(1, 4)), PARALLEL, "2/3", "1/4"),
        (Settings(part="ios", shard="auto"), PARALLEL, "ios", "2/3"),
        (Settings(shard="auto"), {**PARALLEL, "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"}, "", ""),
    ],
)
def test_part_has_shard_of_job(settings: Settings, environ: dict[str, str], part: str, shard: str) -> None:
    """A parallel job is a part, unless its number is the shard already."""
    ci = detect_ci(environ)
    job = "e2e" if environ else ""
    assert build_part(settings, ci, environ, "Title") == Part(job, part, shard, "Title")


def test_shown_part_has_no_credential() -> None:
    """A matrix value can hold a credential, and two such parts stay distinct."""
    redact = Redactor([Secret(VALUE), Secret("other-s3cret-value")])
    parts = [Part("e2e", text, "1/2", "Title") for text in (VALUE, "other-s3cret-value")]
    redacted_parts = [redact_shown_part(part, redact, Secret(VALUE)) for part in parts]
    assert not [text for part in redacted_parts for text in part if "s3cret" in text]
    assert len(set(redacted_parts)) == 2
    assert redact_shown_part(parts[0], redact, Secret(VALUE)) == redacted_parts[0]
    assert redact_shown_part(parts[0], redact, Secret("other-s3cret-value")) != redacted_parts[0]


def test_shown_part_without_credential_stays() -> None:
    """Other texts are shown as they are."""
    part = Part("e2e", "ios", "1/2", "Title")
    for secret in (None, Secret(VALUE)):
        assert redact_shown_part(part, Redactor([Secret(VALUE)]), secret) == part


def test_shown_part_needs_no_secret() -> None:
    """Without the client secret, other credentials are removed too."""
    redacted_part = redact_shown_part(Part("e2e", VALUE), Redactor([Secret(VALUE)]), None)
    assert VALUE not in str(redacted_part)


# Settings and errors


def test_load_inputs_collects_all_errors() -> None:
    """Errors of the command line, of options and of credentials come together."""
    arguments = RunArguments({"timeout": "soon"}, ("A",), (Diagnostic("Unknown option: '--x'"),))
    inputs = load_inputs(arguments, {}, LOCAL)
    errors = read_errors(inputs)
    assert errors[0] == "Unknown option: '--x'"
    assert errors[1].startswith("--timeout: ")
    assert errors[2].startswith("--var: ")
    assert errors[3].startswith("client-id and client-secret are missing: ")
    assert len(errors) == 4
    assert inputs.plan.requests == ()


def test_load_inputs_flag_has_priority() -> None:
    """The command line wins over the environment."""
    arguments = RunArguments({"timeout": "10m"}, ("A=1",), ())
    environ = {**CREDENTIALS, "AUTONOMA_TIMEOUT": "20m", "AUTONOMA_VARIABLES": "A=2\nB=3", "AUTONOMA_WAIT": "true"}
    inputs = load_inputs(arguments, environ, LOCAL)
    assert inputs.errors == ()
    assert (inputs.settings.timeout, inputs.settings.variables) == (600.0, {"A": "1", "B": "3"})


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"AUTONOMA_GROUPS": "none"}, "AUTONOMA_GROUPS is 'none'"),
        ({"INPUT_GROUPS": "none", **CREDENTIALS}, "groups is 'none'"),
        ({"AUTONOMA_GROUPS": "none", "AUTONOMA_DRY_RUN": "true"}, "AUTONOMA_GROUPS is 'none'"),
        (
            {"AUTONOMA_ON_MISSING_CREDENTIALS": "skip"},
            "the credentials are missing: no value is set",
        ),
        (
            {"AUTONOMA_ON_MISSING_CREDENTIALS": "skip", ID: "an-id"},
            f"the credentials are missing: only {ID} is set",
        ),
        ({"AUTONOMA_DRY_RUN": "true"}, None),
        ({"AUTONOMA_ON_MISSING_CREDENTIALS": "skip", **CREDENTIALS}, None),
        (CREDENTIALS, None),
    ],
)  # fmt: skip
def test_skip_reason_names_option(environ: dict[str, str], reason: str | None) -> None:
    """A step that does nothing has a reason and no error about credentials."""
    inputs = load_inputs(NO_ARGUMENTS, environ, LOCAL)
    assert (inputs.skip_reason, inputs.errors) == (reason, ())


def test_skip_needs_missing_credentials() -> None:
    """Equal credentials are an error although missing ones would be skipped."""
    environ = {ID: VALUE, SECRET: VALUE, "AUTONOMA_ON_MISSING_CREDENTIALS": "skip"}
    inputs = load_inputs(NO_ARGUMENTS, environ, LOCAL)
    assert inputs.skip_reason is None
    assert "have the same value" in read_errors(inputs)[0]


def test_unknown_variable_is_warning() -> None:
    """A typing error in the name of a variable has a warning."""
    inputs = load_inputs(NO_ARGUMENTS, {**CREDENTIALS, "AUTONOMA_TEST_ID": "a"}, LOCAL)
    assert len(inputs.warnings) == 1
    assert "AUTONOMA_TEST_ID" in inputs.warnings[0]
    assert inputs.errors == ()
