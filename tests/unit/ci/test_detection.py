"""Which CI system an environment belongs to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import autonoma_ci.ci.systems
from autonoma_ci.ci import detection
from autonoma_ci.ci.detection import DETECTION_RULES, DetectionRule, all_secret_variables, load_system
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
CASES = (*environments.ROWS, *github_environments.ROWS)
# The names that users have been told.
NAMES = (
    *("github", "gitlab", "jenkins", "azure", "circleci", "bitbucket", "buildkite", "teamcity", "travis", "appveyor"),
    *("woodpecker", "harness", "drone", "semaphore", "bitrise", "codefresh", "codebuild", "cloudbuild", "gitea"),
    *("forgejo", "ci", "cli"),
)
MODULES = [row.module for row in DETECTION_RULES]
LISTING = """
import sys
from autonoma_ci.ci.detection import detect, load_system
load_system(detect(dict([pair.split("=") for pair in sys.argv[1:]])))
print(*(name.rpartition(".")[2] for name in sys.modules if name.startswith("autonoma_ci.ci.systems.")))
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_detect_finds_system_of_each_case(case: environments.Case) -> None:
    """The first row of the table that recognises an environment is the system that made it."""
    assert detection.detect(case.environ).name == case.expected.ci_name


def test_rules_have_documented_order() -> None:
    """Look-alikes come before what they look like, runners before the hosts that they run on; a new one is between."""
    names = tuple(row.name for row in DETECTION_RULES)
    assert tuple(name for name in names if name in ORDER) == ORDER
    assert names[-2:] == ORDER[-2:]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_every_rule_has_module(row: DetectionRule) -> None:
    """Each row's module answers even an empty environment, with the row's own name."""
    assert load_system(row).build_context({}) == BuildContext(ci_name=row.name)


def test_every_module_has_one_rule() -> None:
    """A system is one file and one row: there is no file that detection can't reach, and none is shared."""
    files = Path(str(autonoma_ci.ci.systems.__file__)).parent.glob("*.py")
    systems = [path.stem for path in files if "\nSYSTEM = " in path.read_text("utf-8")]
    assert sorted(systems) == sorted(MODULES)


@pytest.mark.parametrize("name", [row.name for row in DETECTION_RULES])
def test_override_selects_every_system(name: str) -> None:
    """`AUTONOMA_CI` decides, whatever else the environment says."""
    assert detection.detect({"AUTONOMA_CI": name, "GITHUB_ACTIONS": "true", "FORGEJO_ACTIONS": "true"}).name == name


@pytest.mark.parametrize(
    ("named", "meant"),
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
def test_override_typo_gets_hint(named: str, meant: str) -> None:
    """An unknown name is an error that says which was meant, and which there are."""
    with pytest.raises(InputError, match=f"'{named.lower()}' is.*Did you mean {meant}\\?.*forgejo, .*, cli"):
        detection.detect({"AUTONOMA_CI": named})


@pytest.mark.parametrize("named", ["hunter2-github", "github-5e11ed", "s3cret-ci", "x-azure-pipelines"])
def test_override_unknown_value_is_hidden(named: str) -> None:
    """The value may be a secret that was given to the wrong variable."""
    with pytest.raises(InputError, match="Did you mean") as error:
        detection.detect({"AUTONOMA_CI": named})
    assert named not in str(error.value)


@pytest.mark.parametrize("named", ["x" * 100_000, "\x1b[31m\n::error::\ud800", "…", "\0"])
def test_override_hostile_error_is_printable(named: str) -> None:
    """Whatever `AUTONOMA_CI` holds, the message is one line of printable text."""
    with pytest.raises(InputError) as error:
        detection.detect({"AUTONOMA_CI": named})
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


def test_override_empty_is_ignored() -> None:
    """A variable that is set to nothing is not set."""
    assert detection.detect({"AUTONOMA_CI": " ", "GITLAB_CI": "true"}).name == "gitlab"


@pytest.mark.parametrize("value", ["", "0", "false", "FALSE", "no", "off", "\x00true"])
def test_detect_ignores_flags_that_are_off(value: str) -> None:
    """Systems are recognised by flags that say yes, not by flags that are there."""
    flags = ("GITHUB_ACTIONS", "GITEA_ACTIONS", "GITLAB_CI", "CIRCLECI", "TF_BUILD", "BUILDKITE", "TRAVIS", "DRONE")
    assert detection.detect(dict.fromkeys(flags, value)).name == "cli"


def test_names_are_published_and_short() -> None:
    """The API's field `source` takes at most 10 characters, for a new system too."""
    names = [row.name for row in DETECTION_RULES]
    assert set(NAMES) <= set(names)
    assert max(map(len, names)) <= 10


@pytest.mark.parametrize("row", DETECTION_RULES, ids=lambda row: row.name)
def test_name_is_same_in_option_api_and_record(row: DetectionRule, tmp_path: Path) -> None:
    """AUTONOMA_CI, the `source` that is sent, and the record have the same word."""
    with Sandbox(pace=0) as sandbox:
        environ = {**CREDENTIALS, "AUTONOMA_CI": row.name, "AUTONOMA_API_URL": sandbox.url}
        files = {"AUTONOMA_RESULTS_DIR": "results", "AUTONOMA_TEST_IDS": "a"}
        assert invoke(tmp_path, environ={**environ, **files}).code == 0
        assert [received.source for received in sandbox.received if received.method == "POST"] == [row.name]
    record = json.loads((tmp_path / "results" / "results.json").read_bytes())
    assert (record["ci"]["name"], record["source"]) == (row.name, row.name)


def test_secret_variables_cover_all_systems() -> None:
    """A manifest can name no system's credentials, on whichever system it is read; each pattern is there once."""
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
    """Detection imports one system's file and what it needs: a job starts fast, however many systems there are."""
    run = subprocess.run([sys.executable, "-c", LISTING, setting], check=True, capture_output=True, text=True)
    assert set(run.stdout.split()) & set(MODULES) == {module}


def test_new_system_needs_file_and_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beside the others and a row in the table are all that a new system needs."""
    text = (
        "from autonoma_ci.ci.base import CISystem\n"
        "from autonoma_ci.models import BuildContext\n"
        "class NewCI(CISystem):\n"
        "    secret_variables = ('NEW_CI_TOKEN',)\n"
        "    def build_context(self, environ):\n"
        "        return BuildContext(ci_name='new-ci')\n"
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
    found = detection.detect({"NEW_CI": "1"})
    assert detection.load_system(found).build_context({}).ci_name == found.name == "new-ci"
    assert detection.detect({"AUTONOMA_CI": "new-ci"}) == found
    assert "NEW_CI_TOKEN" in detection.all_secret_variables()
