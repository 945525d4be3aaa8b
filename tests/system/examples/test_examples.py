"""Settings, commands and scripts of every example."""

from __future__ import annotations

import io
import os
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
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.detection import DETECTION_RULES
from autonoma_ci.commands.wait import WAIT_OPTIONS
from autonoma_ci.config.arguments import build_parser, parse_run_arguments
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.reports.outputs import OUTPUTS
from tests.support.generate_docs import ROOT

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
NAMES = {name for option in OPTIONS for name in option.all_env_names if name.startswith("AUTONOMA_")} | {
    "AUTONOMA_CI",
    "AUTONOMA_NAME",
}
NAMES |= {f"AUTONOMA_{output.name.upper().replace('-', '_')}" for output in OUTPUTS}
INPUTS = {option.name for option in OPTIONS} | {"args"}
_SHELL = frozenset({"script", "run", "command", "commands", "content", "finally", "sh", "after_script", "install"})
_SHELL |= {"after-script"}
# The artifact of a GitHub workflow, and the object of the S3 plugins of Drone and Woodpecker.
_ARTIFACT = {"uses": "actions/upload-artifact@", "if": "!cancelled()", "with": {"path": "autonoma-results"}}
_SOURCE = {"bucket": "my-bucket-name", "source": "autonoma-results/**/*"}
# What keeps the results folder of a failed build, as a part of the parsed example. A text is part of a longer one.
KEEPS: dict[str, list[Any]] = {
    "appveyor.yml": [
        {"on_finish": [{"sh": "7za a autonoma-results.zip autonoma-results"}]},
        {"on_finish": [{"sh": "appveyor PushArtifact autonoma-results.zip"}]},
    ],
    "azure-pipelines.yml": [
        {
            "task": "PublishPipelineArtifact@1",
            "condition": "succeededOrFailed()",
            "inputs": {"targetPath": "autonoma-results"},
        }
    ],
    "bitbucket-pipelines.yml": [{"artifacts": {"upload": [{"paths": ["test-results/**"], "capture-on": "always"}]}}],
    "bitrise.yml": [
        {"is_always_run": True, "inputs": [{"content": 'cp -R autonoma-results "$BITRISE_DEPLOY_DIR/"'}]},
        {"deploy-to-bitrise-io@2": {"inputs": [{"is_compress": "true"}]}},
    ],
    "buildkite.yml": [{"artifact_paths": ["autonoma-results/**/*"]}],
    "buildspec.yml": [{"artifacts": {"files": ["autonoma-results/**/*"]}}],
    "circleci.yml": [{"store_artifacts": {"path": "autonoma-results"}}],
    "cloudbuild.yaml": [
        {"args": ["storage", "cp", "--recursive", "autonoma-results", "gs://my-bucket-name/$BUILD_ID/"]}
    ],
    "codefresh.yml": [
        {
            "on_finish": {
                "steps": {
                    "keep_the_results": {
                        "image": "codefresh/cf-docker-test-reporting",
                        "environment": ["REPORT_DIR=autonoma-results"],
                    }
                }
            }
        }
    ],
    "drone.yml": [{"image": "plugins/s3", "settings": _SOURCE, "when": {"status": ["success", "failure"]}}],
    "forgejo-actions.yml": [
        {"uses": "https://code.forgejo.org/forgejo/upload-artifact@v4", "if": "always()", "with": _ARTIFACT["with"]}
    ],
    "gitea-actions.yml": [
        {"uses": "https://github.com/actions/upload-artifact@v3", "if": "always()", "with": _ARTIFACT["with"]}
    ],
    "gitlab-ci.yml": [{"artifacts": {"when": "always", "paths": ["autonoma-results/"]}}],
    "harness.yml": [
        {"type": "S3Upload", "when": {"stageStatus": "All"}, "spec": {"sourcePath": "autonoma-results/**/*"}}
    ],
    "Jenkinsfile": ["archiveArtifacts artifacts: 'autonoma-results/**'"],
    "semaphore.yml": [{"epilogue": {"always": {"commands": ["artifact push job autonoma-results"]}}}],
    "teamcity-settings.kts": ['artifactRules = "autonoma-results/** => autonoma-results.zip"'],
    "travis.yml": [{"after_script": ["aws s3 cp --recursive autonoma-results"]}],
    "woodpecker.yml": [
        {"image": "woodpeckerci/plugin-s3", "settings": _SOURCE, "when": [{"status": ["success", "failure"]}]}
    ],
    **{
        f"github/{stem}.yml": [_ARTIFACT]
        for stem in (
            *("fork-policy", "matrix-shards", "nightly-groups", "on-pull-request"),
            *("preview-deployment", "re-run-failed", "wait-in-another-job"),
        )
    },
}
_WAITS = re.compile(r"(?:AUTONOMA_WAIT|\bwait)\W+(?:value\W+)?true\b|\bargs: wait\b")
_EVIDENCE = re.compile(r"(?:AUTONOMA_EVIDENCE|\bevidence)\W+(?:value\W+)?failed\b")
# The name of the repository is no command.
_COMMAND = re.compile(r"(?:^|[\s'\"/])(?<!OWNER/)autonoma-ci['\"]?[ \t]+([^\n`'\"|&;>]+)", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|[ \t])(?:#|//) .*$", re.MULTILINE)
_FENCED = re.compile(r"^ *```\w+\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CREDENTIAL = re.compile(
    r"(?:AUTONOMA_CLIENT_\w+|AUTONOMA_GIT\w+_TOKEN|(?<!-)client-(?:id|secret))(?:\"?\s*[:=]|\",)\s*(.+)"
)

_OUTPUTS = "AUTONOMA_CONCLUSION=failed\nAUTONOMA_RUN_URL=https://autonoma.example/run/1\n"

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


def code(path: Path) -> str:
    """Return the text of an example without its comments."""
    return _COMMENT.sub("", path.read_text("utf-8"))


def parsed(path: Path) -> Any:
    """Return an example's YAML document, or its text if it is written in another language."""
    return yaml.safe_load(path.read_text("utf-8")) if path in PIPELINES else code(path)


def has(node: Any, part: Any) -> bool:
    """Return whether `part` is a part of `node`."""
    if isinstance(part, dict):
        return isinstance(node, dict) and all(name in node and has(node[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(node, list) and all(any(has(item, each) for item in node) for each in part)
    return part in node if isinstance(part, str) and isinstance(node, str) else bool(part == node)


def holds(node: Any, part: Any) -> bool:
    """Return whether `part` is a part of `node` or of anything in it."""
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return has(node, part) or any(holds(each, part) for each in below)


def lost(text: str, node: Any, parts: list[Any]) -> list[Any]:
    """Return the missing parts of an example that keeps report and evidence."""
    return [*([] if _EVIDENCE.search(text) else ["evidence"]), *(part for part in parts if not holds(node, part))]


def ran_by_sh(lines: list[str], folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run lines of an example in a folder, with a folder of programs."""
    sh = shutil.which("sh")
    assert sh
    env = {"PATH": os.pathsep.join(filter(None, (path, os.environ["PATH"])))}
    return subprocess.run(
        [sh, "-c", "\n".join(lines)], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_every_system_in_table_has_example() -> None:
    """A new system may have no example yet."""
    assert set(OF_SYSTEM) <= {row.name for row in DETECTION_RULES} - {"ci", "cli"}
    assert {path for path in FILES if path.parent == EXAMPLES} == {
        EXAMPLES / name for name in (*OF_SYSTEM.values(), "autonoma.yml") if "/" not in name
    }
    assert all((EXAMPLES / name).is_file() for name in OF_SYSTEM.values())


def test_github_has_example_for_each_use() -> None:
    """GitHub has one example for each documented use."""
    assert {path.stem for path in WORKFLOWS} == {
        *("on-pull-request", "fire-and-forget", "nightly-groups", "preview-deployment", "matrix-shards"),
        *("wait-in-another-job", "fork-policy", "re-run-failed"),
    }


@by_name
def test_example_begins_with_comment(path: Path) -> None:
    """Each example begins with a comment."""
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith(("# ", "// "))


@pytest.mark.parametrize(
    "path", [*FILES, ROOT / "README.md", ROOT / "templates" / "autonoma.yml"], ids=lambda p: p.name
)
def test_example_uses_known_variables(path: Path) -> None:
    """Each AUTONOMA_ variable in an example exists."""
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
        return parse_run_arguments(flags, io.StringIO())[2]
    if name == "wait":
        parser = build_parser("wait", "", WAIT_OPTIONS, io.StringIO())
        parser.add_argument("record")
        return parser.parse_partial(flags)[1]
    return [] if name in cli.COMMANDS else [f"unknown command {name}"]


@pytest.mark.parametrize("path", [*FILES, ROOT / "README.md"], ids=lambda path: path.name)
def test_example_commands_parse(path: Path) -> None:
    """Each command in an example exists and accepts its flags."""
    found = commands(path)
    assert found or "autonoma-ci@" in path.read_text("utf-8") or path.name == "autonoma.yml"
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
def test_check_finds_wrong_command(line: str, tmp_path: Path) -> None:
    """The check detects a wrong command or flag."""
    (tmp_path / "x.yml").write_text(f"- {line}\n", "utf-8")
    [words] = commands(tmp_path / "x.yml")
    assert refused(*words)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_example_uses_known_action_inputs(path: Path) -> None:
    """Each workflow uses existing inputs and takes the secret from GitHub."""
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    steps = [step for job in jobs for step in job["steps"] if "autonoma-ci" in step.get("uses", "")]
    assert steps
    assert all(set(step["with"]) <= INPUTS for step in steps)
    assert all(refused(*shlex.split(step["with"].get("args", "run"))) == [] for step in steps)
    assert all(step["with"]["client-secret"] == "${{ secrets.AUTONOMA_CLIENT_SECRET }}" for step in steps)


@pytest.mark.parametrize(
    "path", [path for path in PIPELINES if "github" not in path.parts and settings(path)], ids=lambda path: path.name
)
def test_example_settings_make_plan(path: Path, tmp_path: Path) -> None:
    """A dry run with the settings of the example succeeds."""
    out = io.StringIO()
    known = {name: value for name, value in settings(path).items() if name in {o.env_var for o in OPTIONS}}
    job_runtime = Runtime(
        {**known, "AUTONOMA_RESULTS_DIR": str(tmp_path), "AUTONOMA_DRY_RUN": "true"}, out, out, str(EXAMPLES)
    )
    assert cli.run_command([], job_runtime) == 0, out.getvalue()
    assert "Checkout pays by card" in out.getvalue()
    assert "did you mean" not in out.getvalue().lower()


def test_example_manifest_is_valid() -> None:
    """The manifest of the examples is valid."""
    out = io.StringIO()
    assert cli.run_command(["validate"], Runtime({}, out, out, str(EXAMPLES))) == 0
    assert "3 runs in all" in out.getvalue()


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_example_scripts_are_valid_bash(path: Path) -> None:
    """Bash parses each script of an example."""
    bash = shutil.which("bash")
    assert bash
    for key, text in walk(yaml.safe_load(path.read_text("utf-8"))):
        if key in _SHELL:
            ran = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, f"{text}\n{ran.stderr}"


@by_name
def test_example_has_no_credential(path: Path) -> None:
    """No example contains a literal credential."""
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
def test_check_finds_credential(line: str) -> None:
    """The check detects a literal credential."""
    assert literal(line) == [line]


@pytest.mark.linters
@pytest.mark.parametrize(("schema", "name"), SCHEMAS.items(), ids=list(SCHEMAS))
def test_example_matches_schema_of_system(schema: str, name: str) -> None:
    """Each example is valid by the schema that its CI system publishes."""
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
def test_check_finds_schema_violation(tmp_path: Path) -> None:
    """The check detects a violation of a schema."""
    (tmp_path / "x.yml").write_text("pipelines: 7\n", "utf-8")
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema=vendor.bitbucket-pipelines"]
    ran = subprocess.run([*command, str(tmp_path / "x.yml")], capture_output=True, text=True, check=False)
    assert ran.returncode == 1


def test_every_waiting_example_is_in_table() -> None:
    """The table lists every example that waits for results."""
    found = {path.relative_to(EXAMPLES).as_posix() for path in FILES if _WAITS.search(code(path))}
    assert found == set(KEEPS)


@pytest.mark.parametrize("name", KEEPS)
def test_example_stores_evidence_after_failure(name: str) -> None:
    """Each waiting example stores its report and evidence after a failure."""
    assert lost(code(EXAMPLES / name), parsed(EXAMPLES / name), KEEPS[name]) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("bitbucket-pipelines.yml", "capture-on: always", "capture-on: success"),
        ("gitlab-ci.yml", "  artifacts:\n    when: always", "  artifacts:\n    when: on_success"),
        ("drone.yml", "source: autonoma-results/**/*", "source: autonoma-results/report.html"),
        ("harness.yml", "stageStatus: All", "stageStatus: Success"),
        ("azure-pipelines.yml", "AUTONOMA_EVIDENCE: failed", "AUTONOMA_EVIDENCE: none"),
        ("semaphore.yml", "        always:\n", "        on_pass:\n"),
    ],
)
def test_check_finds_lost_evidence(name: str, old: str, new: str) -> None:
    """The check detects an example that loses its report or evidence."""
    text = code(EXAMPLES / name)
    assert old in text
    text = text.replace(old, new)
    assert len(lost(text, yaml.safe_load(text), KEEPS[name])) == 1


def test_gitlab_shows_link_after_failure() -> None:
    """The GitLab example shows the link in a later job, also after a failure."""
    announce = parsed(EXAMPLES / "gitlab-ci.yml")["announce"]
    assert announce["needs"] == ["autonoma"]
    assert [rule["when"] for rule in announce["rules"]] == ["always"]
    assert "$AUTONOMA_RUN_URL" in announce["script"][0]


def link_steps() -> dict[str, tuple[str, list[str]]]:
    """Return the lines that show the link after a failure, with the folder they read."""
    bitbucket = parsed(EXAMPLES / "bitbucket-pipelines.yml")["pipelines"]["pull-requests"]["**"]
    codefresh = parsed(EXAMPLES / "codefresh.yml")["steps"]["autonoma"]["hooks"]["on_finish"]["steps"]["show_the_link"]
    drone, woodpecker = (parsed(EXAMPLES / name)["steps"][1] for name in ("drone.yml", "woodpecker.yml"))
    assert set(drone["when"]["status"]) == set(woodpecker["when"][0]["status"]) == {"success", "failure"}
    return {
        "bitbucket": ("test-results", bitbucket[0]["step"]["after-script"]),
        "codefresh": ("autonoma-results", codefresh["commands"]),
        "drone": ("autonoma-results", drone["commands"]),
        "woodpecker": ("autonoma-results", woodpecker["commands"]),
    }


@pytest.mark.parametrize("name", ["bitbucket", "codefresh", "drone", "woodpecker"])
def test_link_is_read_from_results_folder(name: str, tmp_path: Path) -> None:
    """A later step may get no variables of a failed step."""
    folder, lines = link_steps()[name]
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "outputs.env").write_text(_OUTPUTS, "utf-8")
    ran = ran_by_sh(lines, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "AUTONOMA_RUN_URL=https://autonoma.example/run/1" in ran.stdout


def test_codefresh_reads_cloned_folder() -> None:
    """A hook has a different working directory than its step."""
    step = parsed(EXAMPLES / "codefresh.yml")["steps"]["autonoma"]
    hooks = step["hooks"]["on_finish"]["steps"].values()
    assert {hook["working_directory"] for hook in hooks} == {"${{parentSteps.clone}}"}
    assert "fail_fast" not in step


@pytest.mark.parametrize("exit_code", [0, 1, 2])
def test_cloud_build_returns_exit_code_of_tests(exit_code: int, tmp_path: Path) -> None:
    """No step starts after a failed one, so the last step returns the exit code."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "autonoma-ci"
    program.write_text(f"#!/bin/sh\nexit {exit_code}\n", "utf-8")
    program.chmod(0o755)
    first, _, last = parsed(EXAMPLES / "cloudbuild.yaml")["steps"]
    ran = [ran_by_sh([step["script"]], tmp_path, str(tmp_path / "bin")).returncode for step in (first, last)]
    assert ran == [0, exit_code]


def test_cloud_build_fails_without_exit_code(tmp_path: Path) -> None:
    """The last step fails if no exit code was stored."""
    last = parsed(EXAMPLES / "cloudbuild.yaml")["steps"][-1]
    assert ran_by_sh([last["script"]], tmp_path).returncode != 0


@pytest.mark.parametrize("name", ["forgejo-actions.yml", "gitea-actions.yml"])
def test_checkout_supports_old_runners(name: str) -> None:
    """From v5 on, the action needs Node 24."""
    used = re.findall(r"uses: (\S+/checkout@\S+)", code(EXAMPLES / name))
    assert used == ["https://github.com/actions/checkout@v4"]


def test_jenkins_always_pulls_image() -> None:
    """The tag moves, and an agent caches its image."""
    [agent] = re.findall(r"docker \{([^}]*)\}", code(EXAMPLES / "Jenkinsfile"))
    assert re.search(r"^ *alwaysPull true *$", agent, re.MULTILINE)


def test_pipx_replaces_old_version() -> None:
    """Without `--force`, pipx leaves an old version in place and succeeds."""
    found = [line for path in FILES for line in re.findall(r"pipx install (.*)", code(path))]
    assert len(found) == 4
    assert set(found) == {"--force git+https://github.com/OWNER/autonoma-ci@v1"}


@pytest.mark.parametrize("name", ["drone.yml", "woodpecker.yml"])
def test_bucket_keys_come_from_secrets(name: str) -> None:
    """The keys of the bucket are references to secrets."""
    [upload] = [step for step in parsed(EXAMPLES / name)["steps"] if "settings" in step]
    keys = [upload["settings"][key] for key in ("access_key", "secret_key")]
    assert keys == [{"from_secret": "aws_access_key_id"}, {"from_secret": "aws_secret_access_key"}]
