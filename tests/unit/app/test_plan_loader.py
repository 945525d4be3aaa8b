"""Tests of what a plan depends on, and of the plan of a step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app import changed_files, quarantined_by_change
from autonoma_ci.app.inputs import CIEnvironment, Inputs, RunArguments, detect_ci, load_inputs
from autonoma_ci.app.plan_loader import add_failed_runs, add_plan
from autonoma_ci.models import ChangeSummary, Quarantine
from autonoma_ci.planning.changed_files import run_everything
from tests.support.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ID, SECRET = "AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET"
VALUE = "s3cret-value-of-the-test"
CREDENTIALS = {ID: "client-id-of-the-test", SECRET: VALUE}
LOCAL = detect_ci({})
PARALLEL = {"GITLAB_CI": "true", "CI_JOB_NAME": "e2e", "CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "3"}


def load_plan(folder: Path, environ: Mapping[str, str], ci: CIEnvironment = LOCAL, *variables: str) -> Inputs:
    """Return the inputs of a step with its plan."""
    return add_plan(load_inputs(RunArguments({}, variables, ()), environ, ci), environ, str(folder), ci, FakeClock())


def read_errors(inputs: Inputs) -> list[str]:
    return [str(error) for error in inputs.errors]


def test_plan_has_ids_of_options(tmp_path: Path) -> None:
    """The runs are those of the ids, in order."""
    inputs = load_plan(tmp_path, {**CREDENTIALS, "AUTONOMA_TEST_IDS": "Pay=b,a", "AUTONOMA_TAG_IDS": "t"})
    assert inputs.errors == ()
    assert [(run.kind, run.id, run.name) for run in inputs.plan.requests] == [
        ("test", "b", "Pay"), ("test", "a", ""), ("tag", "t", "")
    ]  # fmt: skip


def test_plan_reads_default_manifest(tmp_path: Path) -> None:
    """Without ids the runs are those of the manifest in the folder."""
    (tmp_path / "autonoma.yml").write_text("tests: [a, b]", "utf-8")
    assert [run.id for run in load_plan(tmp_path, CREDENTIALS).plan.requests] == ["a", "b"]


def test_manifest_without_quarantine_reads_no_base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Most manifests have no quarantine, so nothing is compared with the base."""
    monkeypatch.setitem(sys.modules, "autonoma_ci.app.quarantined_by_change", None)
    path, entry = tmp_path / "autonoma.yml", "tests: [{id: a"
    path.write_text(f"{entry}}}]", "utf-8")
    assert load_plan(tmp_path, CREDENTIALS).errors == ()
    path.write_text(f"{entry}, quarantine: {{until: 2000-01-01, reason: late}}}}]", "utf-8")
    with pytest.raises(ImportError):
        load_plan(tmp_path, CREDENTIALS)


def test_plan_of_shard_has_own_runs(tmp_path: Path) -> None:
    """With `shard: auto` the runs are divided by the number of the job."""
    environ = {**CREDENTIALS, **PARALLEL, "AUTONOMA_TEST_IDS": "a,b,c", "AUTONOMA_SHARD": "auto"}
    ids = set()
    for number in "123":
        job_environ = {**environ, "CI_NODE_INDEX": number}
        inputs = load_plan(tmp_path, job_environ, detect_ci(job_environ))
        assert len(inputs.plan.requests) == 1
        ids.add(inputs.plan.requests[0].id)
    assert ids == {"a", "b", "c"}


def test_plan_warns_of_unread_manifest(tmp_path: Path) -> None:
    """The warning joins the others, and the empty plan is an error."""
    (tmp_path / "autonoma.yml").write_text("tests: [a]", "utf-8")
    environ = {**CREDENTIALS, "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "issue_comment", "AUTONOMA_TEST_ID": "a"}
    inputs = load_plan(tmp_path, environ, detect_ci(environ))
    assert [warning.split()[0] for warning in inputs.warnings] == ["Unknown", "autonoma.yml"]
    assert read_errors(inputs)[0].startswith("Nothing to run")


def test_plan_error_of_manifest_joins_others(tmp_path: Path) -> None:
    """All errors are known after one step, and the plan stays empty."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: 'a b'}]", "utf-8")
    inputs = load_plan(tmp_path, {})
    errors = read_errors(inputs)
    assert errors[0].startswith("client-id and client-secret are missing")
    assert errors[1].startswith("autonoma.yml:1:")
    assert inputs.plan.requests == ()


def test_missing_manifest_is_error(tmp_path: Path) -> None:
    """The error names the file of the option."""
    [error] = read_errors(load_plan(tmp_path, {**CREDENTIALS, "AUTONOMA_MANIFEST": "other.yml"}))
    assert "other.yml" in error


def test_empty_plan_is_error(tmp_path: Path) -> None:
    """A step that would start nothing fails."""
    [error] = read_errors(load_plan(tmp_path, CREDENTIALS))
    assert error.startswith("Nothing to run: no ids are given")


@pytest.mark.parametrize(
    ("environ", "count"),
    [
        ({"AUTONOMA_ALLOW_EMPTY": "true", **CREDENTIALS}, 0),
        ({"AUTONOMA_GROUPS": "none"}, 0),
        ({"AUTONOMA_ON_MISSING_CREDENTIALS": "skip"}, 0),
        ({"AUTONOMA_TIMEOUT": "soon", **CREDENTIALS}, 1),
        ({}, 1),
    ],
)
def test_empty_plan_is_one_error_at_most(environ: dict[str, str], count: int, tmp_path: Path) -> None:
    """After another error the empty plan can follow from it."""
    inputs = load_plan(tmp_path, environ)
    assert len(inputs.errors) == count
    assert not any(error.startswith("Nothing to run") for error in read_errors(inputs))


# Credentials in texts


def test_credential_in_name_is_replaced(tmp_path: Path) -> None:
    """The name of a run is shown without the credential."""
    inputs = load_plan(tmp_path, {**CREDENTIALS, "AUTONOMA_TEST_IDS": f"Pay {VALUE}=a,Other=b"})
    assert inputs.errors == ()
    assert [run.name for run in inputs.plan.requests] == ["Pay ***", "Other"]


@pytest.mark.parametrize(
    "environ",
    [
        {"AUTONOMA_TEST_IDS": VALUE},
        {"AUTONOMA_FOLDER_IDS": f"x-{VALUE}"},
        {"AUTONOMA_TEST_IDS": "a", "AUTONOMA_APPLICATION_VERSION_ID": VALUE},
        {"AUTONOMA_TEST_IDS": "a", SECRET: "s3cret_value_of_test", "AUTONOMA_VARIABLES": "s3cret_value_of_test=1"},
    ],
    ids=["test", "folder", "version", "variable"],
)
def test_credential_in_sent_text_is_error(environ: dict[str, str], tmp_path: Path) -> None:
    """An id or the name of a variable would go to the API, and the value is not shown."""
    inputs = load_plan(tmp_path, {**CREDENTIALS, **environ})
    assert read_errors(inputs) == [
        "An id or the name of a variable holds a credential. Check which value is in which option."
    ]
    assert "s3cret" not in str(inputs.errors)


def test_credential_as_variable_is_sent(tmp_path: Path) -> None:
    """The value of a variable can be the credential of a test user."""
    inputs = load_plan(tmp_path, {**CREDENTIALS, "AUTONOMA_TEST_IDS": "a", "AUTONOMA_VARIABLES": f"A={VALUE}"})
    assert inputs.errors == ()
    assert inputs.plan.requests[0].variables == {"A": VALUE}


@pytest.mark.parametrize(("secret", "count"), [("s3cret-v", 1), ("s3cret-", 0)], ids=["eight", "seven"])
def test_credential_as_source_is_error(secret: str, count: int, tmp_path: Path) -> None:
    """A shorter credential can be an ordinary word."""
    environ = {ID: "an-id", SECRET: secret, "AUTONOMA_TEST_IDS": "a", "AUTONOMA_SOURCE": secret}
    errors = read_errors(load_plan(tmp_path, environ))
    assert errors == ["AUTONOMA_SOURCE holds a credential. Check which value is in which option."] * count


def test_short_credential_in_id_is_allowed(tmp_path: Path) -> None:
    """The id of the sandbox is a part of its tests' ids."""
    inputs = load_plan(tmp_path, {ID: "sandbox", SECRET: "s3cret", "AUTONOMA_TEST_IDS": "Pay sandbox=sandbox-fails"})
    assert inputs.errors == ()
    assert [(run.id, run.name) for run in inputs.plan.requests] == [("sandbox-fails", "Pay sandbox")]


# Credentials in shown texts


def test_credential_in_shown_text_is_redacted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name, owner, quarantine and notes of an entry are shown in reports."""
    monkeypatch.setattr(quarantined_by_change, "find_quarantined_by_change", lambda *_: (f"Test {VALUE}",))
    monkeypatch.setattr(changed_files, "find_changed_files", lambda *_: run_everything(f"no {VALUE}."))
    quarantine = f"{{until: 2025-01-08, reason: 'mail {VALUE}', issue: 'at {VALUE}'}}"
    entry = f"{{id: a, name: 'Test {VALUE}', owner: 'by {VALUE}', quarantine: {quarantine}, when: {{changed: a}}}}"
    (tmp_path / "autonoma.yml").write_text(f"tests: [{entry}, b]", "utf-8")
    inputs = load_plan(tmp_path, CREDENTIALS)
    request = inputs.plan.requests[0]
    assert (request.name, request.owner) == ("Test ***", "by ***")
    assert request.quarantine == Quarantine("2025-01-08", "mail ***", "at ***")
    assert [note for note in inputs.plan.notes if "Test ***" in note]
    assert inputs.plan.facts.quarantined_by_change == ("Test ***",)
    assert inputs.plan.facts.change == ChangeSummary(full_run_reason="no ***.")
    assert VALUE not in str(inputs.plan.facts)


# Earlier results


def test_failed_runs_are_loaded_with_errors(tmp_path: Path) -> None:
    """Without the option there are none, and a missing file is an error of the input."""
    inputs = load_inputs(RunArguments({}, (), ()), CREDENTIALS, LOCAL)
    assert add_failed_runs(inputs, str(tmp_path), LOCAL) is inputs
    environ = {**CREDENTIALS, "AUTONOMA_FAILED_FROM": "old.json"}
    inputs = load_inputs(RunArguments({}, (), ()), environ, LOCAL)
    [error] = read_errors(add_failed_runs(inputs, str(tmp_path), LOCAL))
    assert error.startswith("AUTONOMA_FAILED_FROM: old.json does not exist.")


# Changed files


@pytest.mark.parametrize(
    ("changed_files", "ids", "reason"),
    [
        ("a/x.ts", ["a", "c"], None),
        ("lock.json", ["a", "b", "c"], "the manifest or a file of `always` has changed."),
        ("autonoma.yml", ["a", "b", "c"], "the manifest or a file of `always` has changed."),
        ("all", ["a", "b", "c"], "AUTONOMA_CHANGED_FILES is all."),
    ],
)
def test_changed_files_select_entries(changed_files: str, ids: list[str], reason: str | None, tmp_path: Path) -> None:
    """The summary in the plan's facts has the reason why all entries run."""
    entries = "tests: [{id: a, when: {changed: a/**}}, {id: b, when: {changed: b/**}}, c]"
    (tmp_path / "autonoma.yml").write_text(f"always: lock.json\n{entries}\n", "utf-8")
    inputs = load_plan(tmp_path, {**CREDENTIALS, "AUTONOMA_CHANGED_FILES": changed_files})
    assert not inputs.errors
    assert [request.id for request in inputs.plan.requests] == ids
    change = inputs.plan.facts.change
    assert change
    assert change.full_run_reason == reason


def test_skipped_step_compares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials no run starts, so neither the clone nor the network is needed."""
    monkeypatch.setattr("autonoma_ci.app.changed_files.find_changed_files", lambda *_: pytest.fail("compared"))
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, when: {changed: a/**}}]", "utf-8")
    inputs = load_plan(tmp_path, {"AUTONOMA_ON_MISSING_CREDENTIALS": "skip"})
    assert inputs.skip_reason
    assert not inputs.errors
    assert inputs.plan.facts.change is None
