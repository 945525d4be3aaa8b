"""Every example can be pasted: it parses, its names exist, and its settings make a plan."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from autonoma_ci import cli
from autonoma_ci.ci.detect import ROWS
from autonoma_ci.commandline import flags_of_run, parser_of
from autonoma_ci.commands.wait import OF_WAIT
from autonoma_ci.commands.world import World
from autonoma_ci.options import OPTIONS
from autonoma_ci.report.outputs import OUTPUTS
from tests.support.tables import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = ROOT / "examples"
FILES = sorted(path for path in EXAMPLES.rglob("*") if path.is_file())
PIPELINES = [path for path in FILES if path.suffix in {".yml", ".yaml"} and path.name != "autonoma.yml"]
DOCUMENTS = (ROOT / "README.md", ROOT / "templates" / "autonoma.yml")
WORKFLOWS = sorted((EXAMPLES / "github").glob("*.yml"))
OF_SYSTEM = {
    "forgejo": "forgejo-actions.yml",
    "gitea": "gitea-actions.yml",
    "github": "github/on-pull-request.yml",
    "gitlab": "gitlab-ci.yml",
    "circleci": "circleci.yml",
    "azure": "azure-pipelines.yml",
    "bitbucket": "bitbucket-pipelines.yml",
    "buildkite": "buildkite.yml",
    "travis": "travis.yml",
    "appveyor": "appveyor.yml",
    "woodpecker": "woodpecker.yml",
    "harness": "harness.yml",
    "drone": "drone.yml",
    "semaphore": "semaphore.yml",
    "bitrise": "bitrise.yml",
    "codefresh": "codefresh.yml",
    "codebuild": "buildspec.yml",
    "teamcity": "teamcity-settings.kts",
    "jenkins": "Jenkinsfile",
    "cloudbuild": "cloudbuild.yaml",
}
SCHEMAS = {
    "azure-pipelines": "azure-pipelines.yml",
    "bitbucket-pipelines": "bitbucket-pipelines.yml",
    "buildkite": "buildkite.yml",
    "circle-ci": "circleci.yml",
    "cloudbuild": "cloudbuild.yaml",
    "drone-ci": "drone.yml",
    "gitlab-ci": "gitlab-ci.yml",
    "travis": "travis.yml",
    "woodpecker-ci": "woodpecker.yml",
    "github-workflows": "gitea-actions.yml",
}
# The last stands for any of them.
NAMES = {name for option in OPTIONS for name in option.names if name.startswith("AUTONOMA_")} | {
    "AUTONOMA_CI",
    "AUTONOMA_NAME",
}
NAMES |= {f"AUTONOMA_{output.name.upper().replace('-', '_')}" for output in OUTPUTS}
INPUTS = {option.name for option in OPTIONS} | {"args"}
_SHELL = frozenset({"script", "run", "command", "commands", "content", "finally", "sh", "after_script", "install"})
# The name of the repository is no command.
_COMMAND = re.compile(r"(?:^|[\s'\"/])(?<!OWNER/)autonoma-ci['\"]?[ \t]+([^\n`'\"|&;>]+)", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|[ \t])(?:#|//) .*$", re.MULTILINE)
_FENCED = re.compile(r"^ *```\w+\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CREDENTIAL = re.compile(
    r"(?:AUTONOMA_CLIENT_\w+|AUTONOMA_GIT\w+_TOKEN|(?<!-)client-(?:id|secret))(?:\"?\s*[:=]|\",)\s*(.+)"
)

by_name = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())


def walk(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a YAML document with the key that it is under."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from walk(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, key)
    elif node is not None:
        yield key, str(node)


def settings(path: Path) -> dict[str, str]:
    """Return the options that an example sets, other than credentials."""
    found: dict[str, str] = {}
    for key, text in walk(yaml.safe_load(path.read_text("utf-8"))):
        found |= {key: text} if key.startswith("AUTONOMA_") else {}
        found |= dict(re.findall(r"\b(AUTONOMA_\w+)=([\w.-]+)", text))
    return {name: value for name, value in found.items() if "_CLIENT_" not in name and "_TOKEN" not in name}


def literal(text: str) -> list[str]:
    """Return the lines that give a credential anything but a reference to a secret."""
    found = ((line, _CREDENTIAL.search(line)) for line in text.splitlines())
    return [line for line, match in found if match and not match[1].startswith(("$", "<+", "autonoma:", '"%'))]


def test_every_system_of_this_table_has_its_example() -> None:
    """A system that was just added may have none yet."""
    assert set(OF_SYSTEM) <= {row.name for row in ROWS} - {"ci", "cli"}
    assert {path for path in FILES if path.parent == EXAMPLES} == {
        EXAMPLES / name for name in (*OF_SYSTEM.values(), "autonoma.yml") if "/" not in name
    }
    assert all((EXAMPLES / name).is_file() for name in OF_SYSTEM.values())


def test_github_has_an_example_of_each_way_to_use_it() -> None:
    assert {path.stem for path in WORKFLOWS} == {
        *("on-pull-request", "fire-and-forget", "nightly-groups", "preview-deployment", "matrix-shards"),
        *("wait-in-another-job", "fork-policy", "re-run-failed"),
    }


@by_name
def test_the_top_says_what_it_does(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith(("# ", "// "))


@pytest.mark.parametrize(
    "path", [*FILES, ROOT / "README.md", ROOT / "templates" / "autonoma.yml"], ids=lambda p: p.name
)
def test_every_name_of_ours_is_one(path: Path) -> None:
    assert set(re.findall(r"\bAUTONOMA_[A-Z_]+[A-Z]", path.read_text("utf-8"))) <= NAMES


def commands(path: Path) -> list[list[str]]:
    """Return the words of each command line of ours in a file's code; a document's prose is none."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        text = "\n".join(_FENCED.findall(text))
    return [words.split() for words in _COMMAND.findall(_COMMENT.sub("", text))]


def refused(name: str, *flags: str) -> list[str]:
    """Return what our own command line parser has against a command."""
    if name.startswith("-"):
        return refused("run", name, *flags)
    if name == "run":
        return flags_of_run(flags, io.StringIO())[2]
    if name == "wait":
        parser = parser_of("wait", "", OF_WAIT, io.StringIO())
        parser.add_argument("record")
        return parser.read(flags)[1]
    return [] if name in cli.COMMANDS else [f"unknown command {name}"]


@pytest.mark.parametrize("path", [*FILES, ROOT / "README.md"], ids=lambda path: path.name)
def test_every_command_is_one_and_takes_its_flags(path: Path) -> None:
    found = commands(path)
    assert found or "autonoma-ci@" in path.read_text("utf-8") or path.name in {"autonoma.yml", "cloudbuild.yaml"}
    assert [refused(*words) for words in found] == [[]] * len(found)


@pytest.mark.parametrize(
    "line",
    [
        "autonoma-ci rnu",
        "autonoma-ci runs",
        "autonoma-ci --wiat",
        "autonoma-ci run --wiat",
        '"$HOME/bin/autonoma-ci" x',
    ],
)
def test_a_wrong_command_would_be_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(f"- {line}\n", "utf-8")
    [words] = commands(tmp_path / "x.yml")
    assert refused(*words)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_input_of_the_action_is_one(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    steps = [step for job in jobs for step in job["steps"] if "autonoma-ci" in step.get("uses", "")]
    assert steps
    assert all(set(step["with"]) <= INPUTS for step in steps)
    assert all(refused(*shlex.split(step["with"].get("args", "run"))) == [] for step in steps)
    assert all(step["with"]["client-secret"] == "${{ secrets.AUTONOMA_CLIENT_SECRET }}" for step in steps)


@pytest.mark.parametrize(
    "path", [path for path in PIPELINES if "github" not in path.parts and settings(path)], ids=lambda path: path.name
)
def test_the_settings_of_an_example_make_a_plan(path: Path, tmp_path: Path) -> None:
    out = io.StringIO()
    known = {name: value for name, value in settings(path).items() if name in {o.variable for o in OPTIONS}}
    world = World({**known, "AUTONOMA_RESULTS_DIR": str(tmp_path), "AUTONOMA_DRY_RUN": "true"}, out, out, str(EXAMPLES))
    assert cli.main([], world) == 0, out.getvalue()
    assert "Checkout pays by card" in out.getvalue()
    assert "did you mean" not in out.getvalue().lower()


def test_the_manifest_is_valid() -> None:
    out = io.StringIO()
    assert cli.main(["validate"], World({}, out, out, str(EXAMPLES))) == 0
    assert "3 runs in all" in out.getvalue()


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_every_script_is_one_that_bash_can_read(path: Path) -> None:
    bash = shutil.which("bash")
    assert bash
    for key, text in walk(yaml.safe_load(path.read_text("utf-8"))):
        if key in _SHELL:
            ran = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, f"{text}\n{ran.stderr}"


@by_name
def test_no_example_holds_a_credential(path: Path) -> None:
    assert literal(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "AUTONOMA_CLIENT_SECRET: abcd",
        "export AUTONOMA_CLIENT_ID=abcd",
        "client-secret: abcd",
        'param("env.AUTONOMA_CLIENT_SECRET", "abcd")',
    ],
)
def test_a_credential_would_be_found(line: str) -> None:
    assert literal(line) == [line]


@pytest.mark.linters
@pytest.mark.parametrize(("schema", "name"), SCHEMAS.items(), ids=list(SCHEMAS))
def test_an_example_has_the_form_that_its_system_publishes(schema: str, name: str) -> None:
    transform = {"azure-pipelines", "gitlab-ci"} & {schema}
    ran = subprocess.run(
        [
            str(Path(sys.executable).parent / "check-jsonschema"),
            f"--builtin-schema=vendor.{schema}",
            *(f"--data-transform={word}" for word in transform),
            "--regex-variant=nonunicode",
            str(EXAMPLES / name),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.linters
def test_an_example_of_another_form_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("pipelines: 7\n", "utf-8")
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema=vendor.bitbucket-pipelines"]
    ran = subprocess.run([*command, str(tmp_path / "x.yml")], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
