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
from typing import Any

import pytest
import yaml

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.detection import DETECTION_RULES
from autonoma_ci.config.options import OPTIONS
from tests.support.documented_code import (
    ACTION_INPUTS,
    SCRIPT_KEYS,
    find_argument_errors,
    find_bash_error,
    find_commands,
    find_unknown_variables,
    iterate_texts,
    read_code,
)
from tests.support.generate_docs import ROOT

EXAMPLES = ROOT / "examples"
FILES = sorted(path for path in EXAMPLES.rglob("*") if path.is_file())
PIPELINES = [path for path in FILES if path.suffix in {".yml", ".yaml"} and path.name != "autonoma.yml"]
WORKFLOWS = [*sorted((EXAMPLES / "github").glob("*.yml")), EXAMPLES / "monorepo" / "github-workflow.yml"]
EXAMPLE_BY_SYSTEM = {
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
SCHEMA_BY_EXAMPLE = {
    "azure-pipelines.yml": "azure-pipelines",
    "bitbucket-pipelines.yml": "bitbucket-pipelines",
    "buildkite.yml": "buildkite",
    "circleci.yml": "circle-ci",
    "cloudbuild.yaml": "cloudbuild",
    "drone.yml": "drone-ci",
    "gitlab-ci.yml": "gitlab-ci",
    "monorepo/gitlab-ci.yml": "gitlab-ci",
    "travis.yml": "travis",
    "woodpecker.yml": "woodpecker-ci",
    "gitea-actions.yml": "github-workflows",
    "monorepo/github-workflow.yml": "github-workflows",
}
# The artifact of a GitHub workflow, and the object of the S3 plugins of Drone and Woodpecker.
_ARTIFACT_STEP = {"uses": "actions/upload-artifact@", "if": "!cancelled()", "with": {"path": "autonoma-results"}}
_S3_SETTINGS = {"bucket": "my-bucket-name", "source": "autonoma-results/**/*"}
# The parts of each parsed example that store the results folder of a failed build. A text matches a longer one.
STORAGE_PARTS: dict[str, list[Any]] = {
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
    "drone.yml": [{"image": "plugins/s3", "settings": _S3_SETTINGS, "when": {"status": ["success", "failure"]}}],
    "forgejo-actions.yml": [
        {
            "uses": "https://code.forgejo.org/forgejo/upload-artifact@v4",
            "if": "always()",
            "with": _ARTIFACT_STEP["with"],
        }
    ],
    "gitea-actions.yml": [
        {"uses": "https://github.com/actions/upload-artifact@v3", "if": "always()", "with": _ARTIFACT_STEP["with"]}
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
        {"image": "woodpeckerci/plugin-s3", "settings": _S3_SETTINGS, "when": [{"status": ["success", "failure"]}]}
    ],
    "monorepo/github-workflow.yml": [_ARTIFACT_STEP],
    "monorepo/gitlab-ci.yml": [{"artifacts": {"when": "always", "paths": ["autonoma-results/"]}}],
    **{
        f"github/{stem}.yml": [_ARTIFACT_STEP]
        for stem in (
            *("fork-policy", "matrix-shards", "nightly-groups", "on-pull-request"),
            *("preview-deployment", "re-run-failed", "wait-in-another-job"),
        )
    },
}
_WAIT_RE = re.compile(r"(?:AUTONOMA_WAIT|\bwait)\W+(?:value\W+)?true\b|\bargs: wait\b")
_EVIDENCE_RE = re.compile(r"(?:AUTONOMA_EVIDENCE|\bevidence)\W+(?:value\W+)?failed\b")
_CREDENTIAL_RE = re.compile(
    r"(?:AUTONOMA_CLIENT_\w+|AUTONOMA_GIT\w+_TOKEN|(?<!-)client-(?:id|secret))(?:\"?\s*[:=]|\",)\s*(.+)"
)

_OUTPUTS_FILE = "AUTONOMA_CONCLUSION=failed\nAUTONOMA_RUN_URL=https://autonoma.example/run/1\n"

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())


def read_settings(path: Path) -> dict[str, str]:
    """Return the options of an example, without credentials."""
    values: dict[str, str] = {}
    for key, text in iterate_texts(yaml.safe_load(path.read_text("utf-8"))):
        values |= {key: text} if key.startswith("AUTONOMA_") else {}
        values |= dict(re.findall(r"\b(AUTONOMA_\w+)=([\w.-]+)", text))
    return {name: value for name, value in values.items() if "_CLIENT_" not in name and "_TOKEN" not in name}


def find_literal_credentials(text: str) -> list[str]:
    """Return the lines with a credential that is not a reference to a secret."""
    matches = ((line, _CREDENTIAL_RE.search(line)) for line in text.splitlines())
    return [line for line, match in matches if match and not match[1].startswith(("$", "<+", "autonoma:", '"%'))]


def parse_example(path: Path) -> Any:
    """Return the YAML document of an example, or its text in another language."""
    return yaml.safe_load(path.read_text("utf-8")) if path in PIPELINES else read_code(path)


def contains_part(node: Any, part: Any) -> bool:
    """Return whether `part` is a part of `node`."""
    if isinstance(part, dict):
        return isinstance(node, dict) and all(name in node and contains_part(node[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(node, list) and all(any(contains_part(item, expected) for item in node) for expected in part)
    return part in node if isinstance(part, str) and isinstance(node, str) else bool(part == node)


def contains_nested_part(node: Any, part: Any) -> bool:
    """Return whether `part` is a part of `node` or of anything in it."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return contains_part(node, part) or any(contains_nested_part(child, part) for child in children)


def find_missing_parts(text: str, node: Any, parts: list[Any]) -> list[Any]:
    """Return the missing parts of an example that keeps report and evidence."""
    return [
        *([] if _EVIDENCE_RE.search(text) else ["evidence"]),
        *(part for part in parts if not contains_nested_part(node, part)),
    ]


def run_shell_lines(lines: list[str], folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run lines of an example in a folder, with a folder of programs."""
    sh = shutil.which("sh")
    assert sh
    env = {"PATH": os.pathsep.join(filter(None, (path, os.environ["PATH"])))}
    return subprocess.run(
        [sh, "-c", "\n".join(lines)], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_every_system_in_table_has_example() -> None:
    """A new system may have no example yet."""
    assert set(EXAMPLE_BY_SYSTEM) <= {row.name for row in DETECTION_RULES} - {"ci", "cli"}
    assert {path for path in FILES if path.parent == EXAMPLES} == {
        EXAMPLES / name for name in (*EXAMPLE_BY_SYSTEM.values(), "autonoma.yml") if "/" not in name
    }
    assert all((EXAMPLES / name).is_file() for name in EXAMPLE_BY_SYSTEM.values())


def test_github_has_example_for_each_use() -> None:
    """GitHub has one example for each documented use."""
    assert {path.stem for path in (EXAMPLES / "github").iterdir()} == {
        *("on-pull-request", "fire-and-forget", "nightly-groups", "preview-deployment", "matrix-shards"),
        *("wait-in-another-job", "fork-policy", "re-run-failed"),
    }


@each_file
def test_example_begins_with_comment(path: Path) -> None:
    """Each example begins with a comment."""
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith(("# ", "// "))


@pytest.mark.parametrize("path", [*FILES, ROOT / "templates" / "autonoma.yml"], ids=lambda p: p.name)
def test_example_uses_known_variables(path: Path) -> None:
    """Each AUTONOMA_ variable in an example exists."""
    assert find_unknown_variables(path.read_text("utf-8")) == set()


@each_file
def test_example_commands_parse(path: Path) -> None:
    """Each command in an example exists and accepts its flags."""
    text = path.read_text("utf-8")
    command_lines = find_commands(text)
    assert command_lines or "autonoma-ci@" in text or path.name == "autonoma.yml"
    assert [find_argument_errors(*words) for words in command_lines] == [[]] * len(command_lines)


@pytest.mark.parametrize(
    "line",
    [
        "autonoma-ci rnu",
        "autonoma-ci runs",
        "autonoma-ci --wiat",
        "autonoma-ci run --wiat",
        "autonoma-ci wait",
        "autonoma-ci report results --formt html",
        '"$HOME/bin/autonoma-ci" x',
    ],
)
def test_check_finds_wrong_command(line: str) -> None:
    """The check detects a wrong command or flag."""
    [words] = find_commands(f"- {line}\n")
    assert find_argument_errors(*words)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_example_uses_known_action_inputs(path: Path) -> None:
    """Each workflow uses existing inputs and takes the secret from GitHub."""
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    steps = [step for job in jobs for step in job["steps"] if "autonoma-ci" in step.get("uses", "")]
    assert steps
    assert all(set(step["with"]) <= ACTION_INPUTS for step in steps)
    assert all(find_argument_errors(*shlex.split(step["with"].get("args", "run"))) == [] for step in steps)
    assert all(step["with"]["client-secret"] == "${{ secrets.AUTONOMA_CLIENT_SECRET }}" for step in steps)


@pytest.mark.parametrize(
    "path",
    [path for path in PIPELINES if path.parent == EXAMPLES and read_settings(path)],
    ids=lambda path: path.name,
)
def test_example_settings_make_plan(path: Path, tmp_path: Path) -> None:
    """A dry run with the settings of the example succeeds."""
    out = io.StringIO()
    known_settings = {
        name: value for name, value in read_settings(path).items() if name in {option.env_var for option in OPTIONS}
    }
    job_runtime = Runtime(
        {**known_settings, "AUTONOMA_RESULTS_DIR": str(tmp_path), "AUTONOMA_DRY_RUN": "true"}, out, out, str(EXAMPLES)
    )
    assert cli.run_command([], job_runtime) == 0, out.getvalue()
    assert "Checkout pays by card" in out.getvalue()
    assert "did you mean" not in out.getvalue().lower()


def test_example_manifest_is_valid() -> None:
    """The manifest of the examples is valid."""
    out = io.StringIO()
    assert cli.run_command(["validate"], Runtime({}, out, out, str(EXAMPLES))) == 0
    assert "(3 runs in total)" in out.getvalue()


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_example_scripts_are_valid_bash(path: Path) -> None:
    """Bash parses each script of an example."""
    for key, text in iterate_texts(yaml.safe_load(path.read_text("utf-8"))):
        if key in SCRIPT_KEYS:
            assert find_bash_error(text) == "", text


@each_file
def test_example_has_no_credential(path: Path) -> None:
    """No example contains a literal credential."""
    assert find_literal_credentials(path.read_text("utf-8")) == []


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
    assert find_literal_credentials(line) == [line]


@pytest.mark.linters
@pytest.mark.parametrize(("name", "schema"), SCHEMA_BY_EXAMPLE.items(), ids=list(SCHEMA_BY_EXAMPLE))
def test_example_matches_schema_of_system(name: str, schema: str) -> None:
    """Each example is valid by the schema that its CI system publishes."""
    transforms = {"azure-pipelines", "gitlab-ci"} & {schema}
    result = subprocess.run(
        [
            str(Path(sys.executable).parent / "check-jsonschema"),
            f"--builtin-schema=vendor.{schema}",
            *(f"--data-transform={transform}" for transform in transforms),
            "--regex-variant=nonunicode",
            str(EXAMPLES / name),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.linters
def test_check_finds_schema_violation(tmp_path: Path) -> None:
    """The check detects a violation of a schema."""
    (tmp_path / "x.yml").write_text("pipelines: 7\n", "utf-8")
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema=vendor.bitbucket-pipelines"]
    result = subprocess.run([*command, str(tmp_path / "x.yml")], capture_output=True, text=True, check=False)
    assert result.returncode == 1


def test_every_waiting_example_is_in_table() -> None:
    """The table lists every example that waits for results."""
    waiting_examples = {path.relative_to(EXAMPLES).as_posix() for path in FILES if _WAIT_RE.search(read_code(path))}
    assert waiting_examples == set(STORAGE_PARTS)


@pytest.mark.parametrize("name", STORAGE_PARTS)
def test_example_stores_evidence_after_failure(name: str) -> None:
    """Each waiting example stores its report and evidence after a failure."""
    assert find_missing_parts(read_code(EXAMPLES / name), parse_example(EXAMPLES / name), STORAGE_PARTS[name]) == []


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
    text = read_code(EXAMPLES / name)
    assert old in text
    text = text.replace(old, new)
    assert len(find_missing_parts(text, yaml.safe_load(text), STORAGE_PARTS[name])) == 1


def test_gitlab_shows_link_after_failure() -> None:
    """The GitLab example shows the link in a later job, also after a failure."""
    announce = parse_example(EXAMPLES / "gitlab-ci.yml")["announce"]
    assert announce["needs"] == ["autonoma"]
    assert [rule["when"] for rule in announce["rules"]] == ["always"]
    assert "$AUTONOMA_RUN_URL" in announce["script"][0]


def collect_link_steps() -> dict[str, tuple[str, list[str]]]:
    """Return the lines that show the link after a failure, with the folder they read."""
    bitbucket = parse_example(EXAMPLES / "bitbucket-pipelines.yml")["pipelines"]["pull-requests"]["**"]
    codefresh = parse_example(EXAMPLES / "codefresh.yml")["steps"]["autonoma"]["hooks"]["on_finish"]["steps"][
        "show_the_link"
    ]
    drone, woodpecker = (parse_example(EXAMPLES / name)["steps"][1] for name in ("drone.yml", "woodpecker.yml"))
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
    folder, lines = collect_link_steps()[name]
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "outputs.env").write_text(_OUTPUTS_FILE, "utf-8")
    result = run_shell_lines(lines, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "AUTONOMA_RUN_URL=https://autonoma.example/run/1" in result.stdout


def test_codefresh_reads_cloned_folder() -> None:
    """A hook has a different working directory than its step."""
    step = parse_example(EXAMPLES / "codefresh.yml")["steps"]["autonoma"]
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
    first, _, last = parse_example(EXAMPLES / "cloudbuild.yaml")["steps"]
    exit_codes = [
        run_shell_lines([step["script"]], tmp_path, str(tmp_path / "bin")).returncode for step in (first, last)
    ]
    assert exit_codes == [0, exit_code]


def test_cloud_build_fails_without_exit_code(tmp_path: Path) -> None:
    """The last step fails if no exit code was stored."""
    last = parse_example(EXAMPLES / "cloudbuild.yaml")["steps"][-1]
    assert run_shell_lines([last["script"]], tmp_path).returncode != 0


@pytest.mark.parametrize("name", ["forgejo-actions.yml", "gitea-actions.yml"])
def test_checkout_supports_old_runners(name: str) -> None:
    """From v5 on, the action needs Node 24."""
    checkout_actions = re.findall(r"uses: (\S+/checkout@\S+)", read_code(EXAMPLES / name))
    assert checkout_actions == ["https://github.com/actions/checkout@v4"]


def test_jenkins_always_pulls_image() -> None:
    """The tag moves, and an agent caches its image."""
    [agent] = re.findall(r"docker \{([^}]*)\}", read_code(EXAMPLES / "Jenkinsfile"))
    assert re.search(r"^ *alwaysPull true *$", agent, re.MULTILINE)


def test_pipx_replaces_old_version() -> None:
    """Without `--force`, pipx leaves an old version in place and succeeds."""
    arguments = [line for path in FILES for line in re.findall(r"pipx install (.*)", read_code(path))]
    assert len(arguments) == 4
    assert set(arguments) == {"--force git+https://github.com/OWNER/autonoma-ci@v1"}


@pytest.mark.parametrize("name", ["drone.yml", "woodpecker.yml"])
def test_bucket_keys_come_from_secrets(name: str) -> None:
    """The keys of the bucket are references to secrets."""
    [upload] = [step for step in parse_example(EXAMPLES / name)["steps"] if "settings" in step]
    keys = [upload["settings"][key] for key in ("access_key", "secret_key")]
    assert keys == [{"from_secret": "aws_access_key_id"}, {"from_secret": "aws_secret_access_key"}]
