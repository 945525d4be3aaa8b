"""Warnings about variables and inputs that are no options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.unknown_names import find_unknown_names
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.reports.outputs import OUTPUTS
from tests.commands.invoke import CREDENTIALS, invoke

if TYPE_CHECKING:
    from pathlib import Path

RUNNERS = ("github", "gitea", "forgejo")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AUTONOMA_TEST_ID", "AUTONOMA_TEST_IDS"),
        ("AUTONOMA_CLIENTID", "AUTONOMA_CLIENT_ID"),
        ("AUTONOMA_CLIENT_SECERT", "AUTONOMA_CLIENT_SECRET"),
        ("AUTONOMA_APP_VERSION_ID", "AUTONOMA_APPLICATION_VERSION_ID"),
        ("AUTONOMA_VARIABLE", "AUTONOMA_VARIABLES"),
        ("AUTONOMA_GROUP", "AUTONOMA_GROUPS"),
        ("AUTONOMA_MANIFESTS", "AUTONOMA_MANIFEST"),
        ("AUTONOMA_DRYRUN", "AUTONOMA_DRY_RUN"),
        ("AUTONOMA_RESULT_DIR", "AUTONOMA_RESULTS_DIR"),
        ("AUTONOMA_RESULTS_DIRS", "AUTONOMA_RESULTS_DIR"),
        ("AUTONOMA_FOLDER_ID", "AUTONOMA_FOLDER_IDS"),
        ("AUTONOMA_RETRYS", "AUTONOMA_RETRIES"),
        ("AUTONOMA_SHARDS", "AUTONOMA_SHARD"),
    ],
)
def test_variable_near_an_option_is_told(name: str, meant: str) -> None:
    """It is named with what it was probably meant to be, and without its value."""
    assert find_unknown_names({name: "sentinel"}, "gitlab") == [f"unknown variable {name}: did you mean {meant}?"]


def test_variables_far_from_all_options_share_a_warning() -> None:
    """A CI system may hand all variables of a project to each job."""
    environ = {f"AUTONOMA_BUILD_IMAGE_{number:02}": "x" for number in range(12)}
    (warning,) = find_unknown_names(environ, "gitlab")
    assert warning.startswith("unknown variables AUTONOMA_BUILD_IMAGE_00, AUTONOMA_BUILD_IMAGE_01, ")
    assert warning.endswith("AUTONOMA_BUILD_IMAGE_09 and 2 more: no options have these names.")
    assert find_unknown_names({"AUTONOMA_ZZZ": "x"}, "cli") == [
        "unknown variable AUTONOMA_ZZZ: no option has this name."
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(f"AUTONOMA_{output.name.upper().replace('-', '_')}" for output in OUTPUTS),
        *(f"AUTONOMA_{name}" for name in ("API_TOKEN", "APPLICATION_ID", "SHARED_SECRET", "DEBUG", "SECRET_ID")),
        *("AUTONOMA_CI", "AUTONOMA_CONCLUSION_E2E_NIGHTLY", "AUTONOMA_RUN_URL_2", "AUTONOMA_WRITTEN_BY"),
        *("AUTONOMA_WRITTEN_BY_X", "AUTONOMA_SEVERAL_9F", "AUTONOMA_", "MY_AUTONOMA_TEST_ID"),
    ],
)
def test_names_of_others_are_no_mistake(name: str) -> None:
    """Outputs of an earlier step and variables of the vendor's other programs have no warning."""
    assert find_unknown_names({name: "x"}, "gitlab") == []


def test_no_spelling_of_an_option_is_unknown() -> None:
    """Each name that is read is known."""
    environ = dict.fromkeys((name for option in OPTIONS for name in option.all_env_names), "x")
    for ci in ("gitlab", *RUNNERS):
        assert find_unknown_names(environ, ci) == []


@pytest.mark.parametrize("ci", RUNNERS)
@pytest.mark.parametrize(
    ("name", "shown", "meant"),
    [
        ("INPUT_TEST-ID", "test-id", "test-ids"),
        ("INPUT_TESTIDS", "testids", "test-ids"),
        ("INPUT_TEST_ID", "test_id", "test-ids"),
        ("INPUT_CLIENTSECRET", "clientsecret", "client-secret"),
        ("INPUT_WAIT-FOR-URL-TIME-OUT", "wait-for-url-time-out", "wait-for-url-timeout"),
    ],
)
def test_input_near_an_option_is_told(name: str, shown: str, meant: str, ci: str) -> None:
    """The runner passes on what no action.yml declares."""
    assert find_unknown_names({name: "sentinel"}, ci) == [f"unknown input {shown}: did you mean {meant}?"]


@pytest.mark.parametrize("ci", ["gitlab", "jenkins", "ci", "cli"])
def test_inputs_of_other_systems_are_not_looked_at(ci: str) -> None:
    """There, such a variable belongs to somebody else."""
    assert find_unknown_names({"INPUT_TEST-ID": "a"}, ci) == []


def test_inputs_that_runners_make_are_no_mistake() -> None:
    """`args` and `entrypoint` are for the runner itself."""
    environ = {"INPUT_ARGS": "x", "INPUT_ENTRYPOINT": "y", "INPUT_TEST-IDS": "a", "INPUT_": ""}
    assert find_unknown_names(environ, "github") == []


def test_input_far_from_all_options_is_told_in_an_action() -> None:
    """In a step that runs a command, it is a variable of another program."""
    assert find_unknown_names({"INPUT_BROWSER": "x"}, "github") == []
    environ = {"INPUT_BROWSER": "x", "INPUT_TEST-IDS": ""}
    assert find_unknown_names(environ, "github") == ["unknown input browser: no option has this name."]


def test_hostile_name_is_one_safe_line(tmp_path: Path) -> None:
    """A name can hold what a runner or a terminal takes for a command."""
    environ = {"GITHUB_ACTIONS": "true", "INPUT_TEST-IDS": "a", "INPUT_X\n::error::Y\x1b[1m": "z"}
    ended = invoke(tmp_path, "--dry-run", environ=environ)
    assert ended.code == 0
    assert "\n::error::" not in ended.printed
    assert "\x1b" not in ended.printed


def test_run_and_wait_tell_of_unknown_names(tmp_path: Path) -> None:
    """The warning is where all warnings are, and nothing else changes."""
    environ = {**CREDENTIALS, "AUTONOMA_TEST_ID": "a", "AUTONOMA_TEST_IDS": "b"}
    ended = invoke(tmp_path, "--dry-run", environ=environ)
    warning = "unknown variable AUTONOMA_TEST_ID: did you mean AUTONOMA_TEST_IDS?"
    assert (ended.code, warning in ended.out) == (0, True)
    assert warning in invoke(tmp_path, "wait", "nowhere.json", environ=environ).out
