"""Signatures of sent values in `wait` and `report`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.commands.test_known_values import PASSWORD, RESULTS_PATH, JobSteps, respond_with_values
from tests.support.fault_server import FaultServer
from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTICE = "The value of PASSWORD is unknown here"
TEST_A = "tests: [{{id: a, variables: {{PASSWORD: '{}'}}}}]"
OPTION = {"AUTONOMA_VARIABLES": f"PASSWORD={PASSWORD}"}
EMPTY = {"AUTONOMA_VARIABLES": "PASSWORD="}
# Manifest and environment of the step that starts the run, then those of the later step.
Case = tuple[str, dict[str, str], str, dict[str, str]]
OTHER_VALUE: dict[str, Case] = {
    "default": ("tests: [a]", OPTION, "defaults: {variables: {PASSWORD: x1}}", {}),
    "entry": (TEST_A.format("x1"), OPTION, TEST_A.format("x1"), {}),
    "matrix": (
        "tests: [{id: a, matrix: {PASSWORD: [a1, b2]}}]", OPTION, "tests: [{id: a, matrix: {PASSWORD: [a1, b2]}}]", {},
    ),
    "empty option": ("tests: [a]", OPTION, "tests: [a]", EMPTY),
    "empty option over the manifest": (TEST_A.format("x1"), OPTION, TEST_A.format("x1"), EMPTY),
    "other literal": (TEST_A.format("${LT}"), {"LT": PASSWORD}, TEST_A.format("x1"), {}),
    "other environment": (TEST_A.format("${LT}"), {"LT": PASSWORD}, TEST_A.format("${LT}"), {"LT": "x1"}),
    "other entry": (TEST_A.format(PASSWORD), {}, f"tests: [{{id: b, variables: {{PASSWORD: '{PASSWORD}'}}}}]", {}),
    "other name": (TEST_A.format(PASSWORD), {}, f"tests: [{{id: a, variables: {{LOGIN: '{PASSWORD}'}}}}]", {}),
    "no value": (TEST_A.format(PASSWORD), {}, "", {}),
}  # fmt: skip
SAME_VALUE: dict[str, Case] = {
    "option": ("tests: [a]", OPTION, "", OPTION),
    "option over the manifest": (TEST_A.format("x1"), OPTION, TEST_A.format("x1"), OPTION),
    "literal now": (TEST_A.format("${LT}"), {"LT": PASSWORD}, TEST_A.format(PASSWORD), {}),
    "other place": (TEST_A.format(PASSWORD), {}, f"defaults: {{variables: {{PASSWORD: '{PASSWORD}'}}}}", {}),
    "matrix": (
        "tests: [{id: a, matrix: {PASSWORD: ['${LT}']}}]", {"LT": PASSWORD},
        "tests: [{id: a, matrix: {PASSWORD: [x1, '${LT}']}}]", {"LT": PASSWORD},
    ),
    "entry without a known id": (
        TEST_A.format(PASSWORD), {}, f"tests: [{{id: '${{TEST}}', variables: {{PASSWORD: '{PASSWORD}'}}}}]", {},
    ),
    "empty value": (TEST_A.format(""), {}, TEST_A.format(""), {}),
    "default that was sent": (TEST_A.format("${LT:-x1}"), {}, TEST_A.format("${LT:-x1}"), {}),
}  # fmt: skip


@pytest.fixture
def step(tmp_path: Path) -> Iterator[JobSteps]:
    """Return a job whose API repeats the value in all texts."""
    with FaultServer(respond_with_values) as server:
        yield JobSteps(tmp_path, server.url, {})


def start_run(step: JobSteps, case: Case) -> dict[str, str]:
    """Start the run, write the later manifest, and return the later environment."""
    manifest, environ, later_manifest, later_environ = case
    path = step.folder / "autonoma.yml"
    path.write_text(manifest, "utf-8")
    step.start(ids="", **environ)
    if later_manifest:
        path.write_text(later_manifest, "utf-8")
    else:
        path.unlink()
    return later_environ


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER_VALUE)
def test_wait_warns_of_other_value(name: str, step: JobSteps) -> None:
    """A variable of this name has another value here, so texts can show the sent one."""
    result = step("wait", RESULTS_PATH, **start_run(step, OTHER_VALUE[name]))
    is_hidden = name in {"other entry", "other name"}
    assert (result.code, PASSWORD in result.out, NOTICE in result.out) == (1, not is_hidden, True), result.output


@pytest.mark.parametrize("name", OTHER_VALUE)
def test_report_warns_of_other_value(name: str, step: JobSteps) -> None:
    """With the client secret, the signatures count as in `wait`."""
    environ = start_run(step, OTHER_VALUE[name])
    step.edit_results(message=f"Typed {PASSWORD}")
    result = step("report", RESULTS_PATH, **environ)
    assert (result.code, NOTICE in result.out) == (0, True), result.output


@pytest.mark.slow
@pytest.mark.parametrize("command", ["wait", "report"])
@pytest.mark.parametrize("name", SAME_VALUE)
def test_sent_value_is_known(name: str, command: str, step: JobSteps) -> None:
    """The source of the value does not matter."""
    result = step(command, RESULTS_PATH, **start_run(step, SAME_VALUE[name]))
    assert "unknown here" not in result.output
    if PASSWORD in str(SAME_VALUE[name]):
        assert PASSWORD not in step.collect_output(result)


def test_other_value_is_hidden(step: JobSteps) -> None:
    """A value that was not sent can be in the texts of another run."""
    start_run(step, OTHER_VALUE["entry"])
    (step.folder / "autonoma.yml").write_text(TEST_A.format("Typ"), "utf-8")
    result = step("wait", RESULTS_PATH, "--var", "OTHER=Zq7 dark")
    assert (NOTICE in result.out, "Zq7 dark" in step.collect_output(result)) == (True, False)


def test_wait_preserves_signatures(step: JobSteps) -> None:
    """The results.json of `wait` has the signatures of the first step, and each report uses them."""
    environ = start_run(step, OTHER_VALUE["entry"])
    path = step.folder / RESULTS_PATH
    [before] = json.loads(path.read_text("utf-8"))["runs"]
    step("wait", RESULTS_PATH, **environ)
    [after] = json.loads(path.read_text("utf-8"))["runs"]
    assert re.fullmatch("[0-9a-f]{32}", before["variable_macs"]["PASSWORD"])
    assert after["variable_macs"] == before["variable_macs"]
    assert NOTICE in step("report", RESULTS_PATH, **environ).out
    assert "unknown here" not in step("report", RESULTS_PATH, **OPTION).out


def test_report_without_secret_compares_names(step: JobSteps) -> None:
    """It cannot verify a value, and an empty one counts as missing."""
    start_run(step, OTHER_VALUE["entry"])
    argv = ("report", RESULTS_PATH)
    assert "unknown here" not in invoke(step.folder, *argv, environ={}).output
    (step.folder / "autonoma.yml").write_text(TEST_A.format(""), "utf-8")
    assert NOTICE in invoke(step.folder, *argv, environ={}).output
    (step.folder / "autonoma.yml").unlink()
    assert "unknown here" not in invoke(step.folder, *argv, environ=OPTION).output
    assert NOTICE in invoke(step.folder, *argv, environ=EMPTY).output
    assert NOTICE in invoke(step.folder, *argv, "--var", "PASSWORD=", environ=OPTION).output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["empty option", "empty option over the manifest", "no value"])
@pytest.mark.parametrize("command", ["wait", "report"])
def test_unsigned_results_need_value(command: str, name: str, step: JobSteps) -> None:
    """An older version wrote it, and a withheld secret arrives empty."""
    environ = start_run(step, OTHER_VALUE[name])
    step.edit_results(variable_macs={})
    assert NOTICE in step(command, RESULTS_PATH, **environ).out


def test_unsigned_results_compare_names(step: JobSteps) -> None:
    """The results.json says nothing else about the values."""
    environ = start_run(step, OTHER_VALUE["entry"])
    step.edit_results(variable_macs={})
    assert "unknown here" not in step("wait", RESULTS_PATH, **environ).output


def test_foreign_signature_matches_nothing(step: JobSteps) -> None:
    """Without the key of the step that sent the value, no value is known."""
    environ = start_run(step, SAME_VALUE["option"])
    assert NOTICE in step("report", RESULTS_PATH, **environ, AUTONOMA_CLIENT_SECRET="another-secret").out


def test_report_needs_no_client_id(step: JobSteps) -> None:
    """The client secret is sufficient."""
    environ = start_run(step, SAME_VALUE["option"]) | CREDENTIALS
    del environ["AUTONOMA_CLIENT_ID"]
    assert "unknown here" not in invoke(step.folder, "report", RESULTS_PATH, environ=environ).output


def test_results_hide_values(step: JobSteps) -> None:
    """Two names with one value have two signatures."""
    step.start(AUTONOMA_VARIABLES=f"A={PASSWORD}\nB={PASSWORD}")
    text = (step.folder / RESULTS_PATH).read_text("utf-8")
    macs = json.loads(text)["runs"][0]["variable_macs"]
    assert (PASSWORD in text, len(set(macs.values()))) == (False, 2)


def test_many_values_have_no_signatures(step: JobSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results.json must stay within the size limit for reading."""
    monkeypatch.setattr("autonoma_ci.app.job_step.MAX_SIGNED_VARIABLES", 1)
    for text, count in (("A=1", 1), ("A=1\nB=2", 0)):
        step.start(AUTONOMA_VARIABLES=text)
        assert len(json.loads((step.folder / RESULTS_PATH).read_text("utf-8"))["runs"][0]["variable_macs"]) == count


def test_many_local_values_are_unknown(step: JobSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile manifest must not block the step, so values above the limit have a notice."""
    environ = start_run(step, SAME_VALUE["option"])
    monkeypatch.setattr("autonoma_ci.app.known_values._MAX_SIGNED_CHARS", 256 + len(PASSWORD))
    assert NOTICE in step("report", RESULTS_PATH, **environ).out
    monkeypatch.setattr("autonoma_ci.app.known_values._MAX_SIGNED_CHARS", 257 + len(PASSWORD))
    assert "unknown here" not in step("report", RESULTS_PATH, **environ).out


# Names and groups of entries


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry",
    ["{id: a, name: 'As ${TESTER}'}", "{id: a, groups: ['of-${TESTER:-all}']}", "{id: '${T}', name: '${TESTER}'}"],
)
@pytest.mark.parametrize("later_environ", [{}, {"TESTER": ""}], ids=["unset", "empty"])
@pytest.mark.parametrize("command", ["wait", "report"])
def test_label_without_value_has_notice(
    command: str, later_environ: dict[str, str], entry: str, step: JobSteps
) -> None:
    """The first step hid the value of `${TESTER}`, and this one does not know it."""
    (step.folder / "autonoma.yml").write_text(f"tests: [{entry}]", "utf-8")
    step.start(ids="", TESTER=PASSWORD, T="a")
    result = step(command, RESULTS_PATH, **later_environ)
    assert "The value of ${TESTER} is unknown here" in result.out
    assert "unknown here" not in step(command, RESULTS_PATH, TESTER=PASSWORD, T="a").output


def test_label_outside_allow_env_has_notice(step: JobSteps) -> None:
    """`allow-env` of the later step can differ."""
    (step.folder / "autonoma.yml").write_text("tests: [{id: a, name: 'As ${TESTER}'}]", "utf-8")
    step.start(ids="", TESTER=PASSWORD)
    result = step("wait", RESULTS_PATH, "--allow-env", "OTHER", TESTER=PASSWORD)
    assert "The value of ${TESTER} is unknown here" in result.out


def test_label_of_other_entry_has_no_notice(step: JobSteps) -> None:
    """Only texts of the runs in this results.json count, and a fact of the build is shown."""
    text = "tests: [{id: a, name: 'On ${ci.branch:-none}', groups: [x]}, {id: b, name: 'As ${TESTER}', groups: [y]}]"
    (step.folder / "autonoma.yml").write_text(text, "utf-8")
    step.start(ids="", TESTER=PASSWORD, AUTONOMA_GROUPS="x")
    assert "unknown here" not in step("wait", RESULTS_PATH).output
