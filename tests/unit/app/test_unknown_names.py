"""Tests of the warnings about unknown variables and inputs."""

from __future__ import annotations

import pytest

from autonoma_ci.app.unknown_names import find_unknown_names
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.reports.outputs import OUTPUTS

RUNNERS = ("github", "gitea", "forgejo")


@pytest.mark.parametrize(
    ("name", "suggestion"),
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
def test_similar_variable_gets_suggestion(name: str, suggestion: str) -> None:
    """The warning suggests an option and does not show the value."""
    assert find_unknown_names({name: "sentinel"}, "gitlab") == [
        f"Unknown variable: '{name}'. Did you mean '{suggestion}'?"
    ]


def test_unrelated_variables_share_warning() -> None:
    """A CI system can pass all variables of a project to each job."""
    environ = {f"AUTONOMA_BUILD_IMAGE_{number:02}": "x" for number in range(12)}
    (warning,) = find_unknown_names(environ, "gitlab")
    assert warning.startswith("Unknown variables: 'AUTONOMA_BUILD_IMAGE_00', 'AUTONOMA_BUILD_IMAGE_01', ")
    assert warning.endswith("'AUTONOMA_BUILD_IMAGE_09' and 2 more. No options have these names.")
    assert find_unknown_names({"AUTONOMA_ZZZ": "x"}, "cli") == [
        "Unknown variable: 'AUTONOMA_ZZZ'. No option has this name."
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
def test_foreign_names_have_no_warning(name: str) -> None:
    """Outputs of an earlier step and variables of other Autonoma programs are valid."""
    assert find_unknown_names({name: "x"}, "gitlab") == []


def test_option_spellings_are_known() -> None:
    """Each name that is read is known."""
    environ = dict.fromkeys((name for option in OPTIONS for name in option.all_env_names), "x")
    for ci in ("gitlab", *RUNNERS):
        assert find_unknown_names(environ, ci) == []


@pytest.mark.parametrize("ci", RUNNERS)
@pytest.mark.parametrize(
    ("name", "input_name", "suggestion"),
    [
        ("INPUT_TEST-ID", "test-id", "test-ids"),
        ("INPUT_TESTIDS", "testids", "test-ids"),
        ("INPUT_TEST_ID", "test_id", "test-ids"),
        ("INPUT_CLIENTSECRET", "clientsecret", "client-secret"),
        ("INPUT_WAIT-FOR-URL-TIME-OUT", "wait-for-url-time-out", "wait-for-url-timeout"),
    ],
)
def test_similar_input_gets_suggestion(name: str, input_name: str, suggestion: str, ci: str) -> None:
    """The runner passes on inputs that action.yml does not declare."""
    assert find_unknown_names({name: "sentinel"}, ci) == [
        f"Unknown input: '{input_name}'. Did you mean '{suggestion}'?"
    ]


@pytest.mark.parametrize("ci", ["gitlab", "jenkins", "ci", "cli"])
def test_inputs_outside_actions_are_ignored(ci: str) -> None:
    """On other CI systems, such a variable belongs to another program."""
    assert find_unknown_names({"INPUT_TEST-ID": "a"}, ci) == []


def test_runner_inputs_have_no_warning() -> None:
    """`args` and `entrypoint` are inputs of the runner itself."""
    environ = {"INPUT_ARGS": "x", "INPUT_ENTRYPOINT": "y", "INPUT_TEST-IDS": "a", "INPUT_": ""}
    assert find_unknown_names(environ, "github") == []


def test_unrelated_input_warns_in_action() -> None:
    """In a step that runs a command, it is a variable of another program."""
    assert find_unknown_names({"INPUT_BROWSER": "x"}, "github") == []
    environ = {"INPUT_BROWSER": "x", "INPUT_TEST-IDS": ""}
    assert find_unknown_names(environ, "github") == ["Unknown input: 'browser'. No option has this name."]
