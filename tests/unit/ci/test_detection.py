"""Tests of the detection of the CI system."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import autonoma_ci.ci.systems
from autonoma_ci.ci import detection
from autonoma_ci.ci.detection import (
    DETECTION_RULES,
    DetectionRule,
    all_secret_variables,
    list_detection_variables,
    load_system,
)
from autonoma_ci.errors import InputError
from autonoma_ci.models import BuildContext
from autonoma_ci.sandbox import Sandbox
from tests.support import ci_environments as environments
from tests.support import github_environments
from tests.support.invoke_command import CREDENTIALS, invoke

ORDER = (
    *("forgejo", "gitea", "github", "gitlab", "circleci", "azure"),
    *("bitbucket", "buildkite", "travis", "appveyor", "woodpecker", "harness", "drone"),
    *("semaphore", "bitrise", "codefresh", "codebuild", "teamcity", "jenkins", "cloudbuild"),
    *("ci", "cli"),
)
CASES = (*environments.JOB_CASES, *github_environments.GITHUB_JOB_CASES)
# The published names.
NAMES = (
    *("github", "gitlab", "jenkins", "azure", "circleci", "bitbucket", "buildkite", "teamcity", "travis", "appveyor"),
    *("woodpecker", "harness", "drone", "semaphore", "bitrise", "codefresh", "codebuild", "cloudbuild", "gitea"),
    *("forgejo", "ci", "cli"),
)
MODULES = [rule.module for rule in DETECTION_RULES]
LISTING = """
import sys
from autonoma_ci.ci.detection import detect, load_system
load_system(detect(dict([pair.split("=") for pair in sys.argv[1:]])))
print(*(name.rpartition(".")[2] for name in sys.modules if name.startswith("autonoma_ci.ci.systems.")))
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_detect_finds_system_of_each_case(case: environments.JobCase) -> None:
    """The first rule that matches an environment names its CI system."""
    assert detection.detect(case.environ).name == case.expected.ci_name


def test_rules_have_documented_order() -> None:
    """Specific systems precede the ones that they resemble, and `ci` and `cli` are last."""
    names = tuple(rule.name for rule in DETECTION_RULES)
    assert tuple(name for name in names if name in ORDER) == ORDER
    assert names[-2:] == ORDER[-2:]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rule", DETECTION_RULES, ids=lambda rule: rule.name)
def test_every_rule_has_module(rule: DetectionRule) -> None:
    """The module of each rule reads an empty environment and has the name of the rule."""
    assert load_system(rule).build_context({}) == BuildContext(ci_name=rule.name)


def test_systems_have_own_names() -> None:
    """The rule's name finds the system, and no two systems have the same name in reports."""
    systems = [detection.find_system(rule.name) for rule in DETECTION_RULES]
    assert systems == [load_system(rule) for rule in DETECTION_RULES]
    assert len({system.display_name for system in systems if system}) == len(DETECTION_RULES)
    assert detection.find_system("other") is None


def test_every_module_has_one_rule() -> None:
    """Each module of a system belongs to exactly one rule."""
    files = Path(str(autonoma_ci.ci.systems.__file__)).parent.glob("*.py")
    systems = [path.stem for path in files if "\nSYSTEM = " in path.read_text("utf-8")]
    assert sorted(systems) == sorted(MODULES)


@pytest.mark.parametrize("name", [rule.name for rule in DETECTION_RULES])
def test_override_selects_every_system(name: str) -> None:
    """`AUTONOMA_CI` has priority over all other variables."""
    assert detection.detect({"AUTONOMA_CI": name, "GITHUB_ACTIONS": "true", "FORGEJO_ACTIONS": "true"}).name == name


@pytest.mark.parametrize(
    ("override", "suggestion"),
    [
        ("aws", "codebuild"),
        ("github-actions", "github"),
        ("github_actions", "github"),
        ("GitHub Actions", "github"),
        ("gitlab-ci", "gitlab"),
        ("azure-pipelines", "azure"),
        ("bitbucket-pipelines", "bitbucket"),
        ("travis-ci", "travis"),
        ("aws-codebuild", "codebuild"),
        ("google-cloud-build", "cloudbuild"),
        ("forgejo-actions", "forgejo"),
        ("gitea-actions", "gitea"),
        ("generic", "ci"),
        ("none", "cli"),
        ("jenkinns", "jenkins"),
    ],
)
def test_override_typo_gets_hint(override: str, suggestion: str) -> None:
    """The error about an unknown name has a suggestion and all valid names."""
    with pytest.raises(
        InputError, match=f"system: '{override.lower()}'. Did you mean '{suggestion}'\\?.*forgejo, .*, cli"
    ):
        detection.detect({"AUTONOMA_CI": override})


@pytest.mark.parametrize("override", ["hunter2-github", "github-5e11ed", "s3cret-ci", "x-azure-pipelines"])
def test_override_unknown_value_is_hidden(override: str) -> None:
    """The value can be a secret in the wrong variable, so it is not shown."""
    with pytest.raises(InputError, match="Did you mean") as error:
        detection.detect({"AUTONOMA_CI": override})
    assert override not in str(error.value)


@pytest.mark.parametrize("override", ["x" * 100_000, "\x1b[31m\n::error::\ud800", "…", "\0"])
def test_override_hostile_error_is_printable(override: str) -> None:
    """For any value of `AUTONOMA_CI`, the message is one printable line."""
    with pytest.raises(InputError) as error:
        detection.detect({"AUTONOMA_CI": override})
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


def test_override_empty_is_ignored() -> None:
    """An empty value counts as not set."""
    assert detection.detect({"AUTONOMA_CI": " ", "GITLAB_CI": "true"}).name == "gitlab"


@pytest.mark.parametrize("value", ["", "0", "false", "FALSE", "no", "off", "\x00true"])
def test_detect_ignores_flags_that_are_off(value: str) -> None:
    """A flag with a false value does not select its system."""
    flags = ("GITHUB_ACTIONS", "GITEA_ACTIONS", "GITLAB_CI", "CIRCLECI", "TF_BUILD", "BUILDKITE", "TRAVIS", "DRONE")
    assert detection.detect(dict.fromkeys(flags, value)).name == "cli"


def test_names_are_published_and_short() -> None:
    """Each name fits the API's field `source`, which has at most 10 characters."""
    names = [rule.name for rule in DETECTION_RULES]
    assert set(NAMES) <= set(names)
    assert max(map(len, names)) <= 10


@pytest.mark.parametrize("rule", DETECTION_RULES, ids=lambda rule: rule.name)
def test_name_is_same_in_option_api_and_results(rule: DetectionRule, tmp_path: Path) -> None:
    """`AUTONOMA_CI`, the field `source` and results.json have the same name."""
    with Sandbox(pace=0) as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_CI": rule.name, "AUTONOMA_API_URL": sandbox.url}
        files = {"AUTONOMA_RESULTS_DIR": "results", "AUTONOMA_TEST_IDS": "a"}
        assert invoke(tmp_path, environ={**environ, **files}).code == 0
        assert [received.source for received in sandbox.received if received.method == "POST"] == [rule.name]
    results_json = json.loads((tmp_path / "results" / "results.json").read_bytes())
    assert (results_json["ci"]["name"], results_json["source"]) == (rule.name, rule.name)


def test_secret_variables_cover_all_systems() -> None:
    """The list has the credentials of all systems, each pattern once."""
    tokens = all_secret_variables()
    expected = {
        "GITHUB_TOKEN",
        "INPUT_*",
        "CI_JOB_TOKEN",
        "CI_REPOSITORY_URL",
        "SYSTEM_ACCESSTOKEN",
        "AWS_SESSION_TOKEN",
    }
    assert expected <= set(tokens)
    assert len(tokens) == len(set(tokens))


@pytest.mark.parametrize(
    ("setting", "module"),
    [("GITLAB_CI=true", "gitlab"), ("JENKINS_URL=https://j", "jenkins"), ("HOME=/", "local"), ("CI=true", "unknown")],
)
def test_detect_imports_one_system_module(setting: str, module: str) -> None:
    """Detection imports only the module of the detected system, for a fast start."""
    run = subprocess.run([sys.executable, "-c", LISTING, setting], check=True, capture_output=True, text=True)
    assert set(run.stdout.split()) & set(MODULES) == {module}


def test_new_system_needs_file_and_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new system needs only one module and one rule."""
    text = (
        "from autonoma_ci.ci.base import CISystem, Workspace\n"
        "from autonoma_ci.models import BuildContext\n"
        "class NewCI(CISystem):\n"
        "    display_name = 'New CI'\n"
        "    change_noun = 'patch'\n"
        "    secrets_help = 'Add {names} to the safe'\n"
        "    unset_reference = '$NAME'\n"
        "    secret_variables = ('NEW_CI_TOKEN',)\n"
        "    def build_context(self, environ):\n"
        "        return BuildContext(ci_name='new-ci')\n"
        "    def find_workspace(self, environ):\n"
        "        return Workspace('/new-ci')\n"
        "SYSTEM = NewCI()\n"
    )
    (tmp_path / "newcomer.py").write_text(text, "utf-8")
    monkeypatch.setattr(autonoma_ci.ci.systems, "__path__", [*autonoma_ci.ci.systems.__path__, str(tmp_path)])
    monkeypatch.setattr(
        detection,
        "DETECTION_RULES",
        (DetectionRule("new-ci", "newcomer", lambda environ: "NEW_CI" in environ), *DETECTION_RULES),
    )
    monkeypatch.delitem(sys.modules, "autonoma_ci.ci.systems.newcomer", raising=False)
    rule = detection.detect({"NEW_CI": "1"})
    assert detection.load_system(rule).build_context({}).ci_name == rule.name == "new-ci"
    assert detection.detect({"AUTONOMA_CI": "new-ci"}) == rule
    assert "NEW_CI_TOKEN" in detection.all_secret_variables()
    job = {"NEW_CI": "1", "AUTONOMA_CHANGE": "7", "AUTONOMA_TEST_IDS": "a", "AUTONOMA_RESULTS_DIR": "r"}
    planned = invoke(tmp_path, "--dry-run", environ=job)
    assert "r is outside of the workspace, so the files are lost with the container." in planned.output
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert "Started by</dt><dd><bdi>New CI<" in page
    assert "Patch</dt><dd><bdi>7<" in page
    assert "Add AUTONOMA_CLIENT_ID and AUTONOMA_CLIENT_SECRET to the safe." in invoke(tmp_path, environ=job).output
    unset = {"AUTONOMA_CLIENT_ID": "$ID", "AUTONOMA_CLIENT_SECRET": "$SECRET"}
    assert invoke(tmp_path, "--on-missing-credentials=skip", environ=job | unset).code == 0


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, []),
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, ["GITHUB_ACTIONS"]),
        ({"JENKINS_HOME": "/j", "BUILD_TAG": "jenkins-a-1", "PATH": "/bin"}, ["BUILD_TAG", "JENKINS_HOME"]),
        ({"CI": "true", "BUILD_NUMBER": "7"}, ["CI"]),
        ({"AUTONOMA_CI": "azure", "GITHUB_ACTIONS": "true"}, ["AUTONOMA_CI"]),
    ],
)
def test_detection_variables_are_listed(environ: dict[str, str], names: list[str]) -> None:
    """The list has the variables that are set and that the matching row reads."""
    assert list_detection_variables(environ) == names
