"""Code blocks of the documentation, each parsed or run by its kind."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from autonoma_ci import cli
from autonoma_ci.app.runtime import Runtime
from autonoma_ci.config.options import OPTIONS
from tests.support.documented_code import (
    BLOCKS,
    PAGES,
    SCRIPT_KEYS,
    CodeBlock,
    find_bash_error,
    find_code_errors,
    find_step_errors,
    iterate_texts,
)
from tests.support.gitlab_component import INPUT_OPTIONS
from tests.support.manifests import renew_quarantines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The published schema of each kind of pipeline, by the name in the first comment of a block.
SCHEMAS = {
    "azure-pipelines.yml": "azure-pipelines",
    "bitbucket-pipelines.yml": "bitbucket-pipelines",
    ".buildkite/pipeline.yml": "buildkite",
    ".circleci/config.yml": "circle-ci",
    "cloudbuild.yaml": "cloudbuild",
    ".drone.yml": "drone-ci",
    ".gitlab-ci.yml": "gitlab-ci",
    ".travis.yml": "travis",
    ".woodpecker.yml": "woodpecker-ci",
}
# Pipelines of systems that publish no schema.
WITHOUT_SCHEMA = frozenset(
    {"appveyor.yml", "bitrise.yml", "buildspec.yml", "codefresh.yml", "harness.yml", ".semaphore/semaphore.yml"}
)
_WORKFLOW_DIRS = (".github/workflows/", ".gitea/workflows/", ".forgejo/workflows/")
# The inputs of the GitLab component that are no options.
_COMPONENT_INPUTS = frozenset({"job-name", "stage", "image", "rules"}) | {option.name for option in INPUT_OPTIONS}

TESTED_ELSEWHERE = {
    # test_add_ci_system_guide.py
    ("docs/contributing/adding-a-ci-system.md", "markdown"),
    # test_draw_packages.py
    ("docs/contributing/architecture.md", "mermaid"),
    # test_log.py
    ("docs/reference/outputs.md", "text"),
}


def find_schema(block: CodeBlock) -> str:
    """Return the name of the schema that describes a block, or an empty text."""
    return "github-workflows" if block.title.startswith(_WORKFLOW_DIRS) else SCHEMAS.get(block.title, "")


def check_yaml(block: CodeBlock, folder: Path) -> list[str]:
    """Return the errors of a workflow, a pipeline, a manifest, or a part of one."""
    # A list of documents, because a component has two.
    documents = list(yaml.safe_load_all(block.code))
    errors = find_code_errors(block.code)
    for key, text in iterate_texts(documents):
        if key in SCRIPT_KEYS and (error := find_bash_error(text)):
            errors.append(error)
    for step in _find_mappings(documents, "uses"):
        errors += find_step_errors(step)
    for include in [*_find_mappings(documents, "remote"), *_find_mappings(documents, "component")]:
        errors += [f"unknown input {name}" for name in include.get("inputs", {}) if name not in _COMPONENT_INPUTS]
    if block.title == "autonoma.yml":
        return errors + check_manifest(block.code, folder)
    if block.title == "inputs of the GitHub action":
        return errors + check_inputs(documents[0])
    if block.title == ".pre-commit-config.yaml":
        return errors + find_unknown_hooks(documents[0])
    is_pipeline = find_schema(block) or block.title in WITHOUT_SCHEMA
    is_part = re.match(r"(?:step|steps|job|jobs) of a ", block.title) or _has_steps_of_action(documents[0])
    return errors if is_pipeline or is_part else [*errors, f"unknown kind of YAML: {block.title!r}"]


def _find_mappings(node: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield each mapping in a document that has a key."""
    if isinstance(node, dict) and key in node:
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _find_mappings(child, key)


def _has_steps_of_action(document: Any) -> bool:
    return isinstance(document, list) and all(isinstance(step, dict) and "uses" in step for step in document)


def find_unknown_hooks(config: dict[str, Any]) -> list[str]:
    """Return the hooks of a pre-commit configuration that do not exist."""
    hooks = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text("utf-8"))
    names = [hook["id"] for repository in config["repos"] for hook in repository["hooks"]]
    return [f"unknown hook {name}" for name in names if name not in {hook["id"] for hook in hooks}]


def check_manifest(code: str, folder: Path) -> list[str]:
    """Return the errors that `validate` reports about a manifest."""
    (folder / "autonoma.yml").write_text(renew_quarantines(code), "utf-8")
    out = io.StringIO()
    return [] if cli.run_command(["validate"], Runtime({}, out, out, str(folder))) == 0 else [out.getvalue()]


def check_inputs(inputs: dict[str, Any]) -> list[str]:
    """Parse the values of inputs. Raises InputError."""
    by_name = {option.name: option for option in OPTIONS}
    for name, value in inputs.items():
        by_name[name].parse(str(value))
    return []


def check_shell(block: CodeBlock, folder: Path) -> list[str]:
    """Return the errors of bash and of our commands."""
    return [*filter(None, [find_bash_error(block.code)]), *find_code_errors(block.code)]


def check_names(block: CodeBlock, folder: Path) -> list[str]:
    """Return the errors of commands and variables in another language."""
    return find_code_errors(block.code)


def check_python(block: CodeBlock, folder: Path) -> list[str]:
    """Parse the code. Raises SyntaxError."""
    ast.parse(block.code)
    return []


def check_json(block: CodeBlock, folder: Path) -> list[str]:
    """Parse the code. Raises ValueError."""
    json.loads(block.code)
    return []


def check_tested_elsewhere(block: CodeBlock, folder: Path) -> list[str]:
    """Accept the blocks that another test compares or runs."""
    return [] if (block.page, block.language) in TESTED_ELSEWHERE else ["unknown kind of block"]


CHECKS: dict[str, Callable[[CodeBlock, Path], list[str]]] = {
    "groovy": check_names,
    "json": check_json,
    "kotlin": check_names,
    "markdown": check_tested_elsewhere,
    "mermaid": check_tested_elsewhere,
    "python": check_python,
    "sh": check_shell,
    "text": check_tested_elsewhere,
    "yaml": check_yaml,
}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_code_block_is_valid(block: CodeBlock, tmp_path: Path) -> None:
    """Each code block passes the check of its kind."""
    assert CHECKS[block.language](block, tmp_path) == []


def test_every_fence_is_a_block() -> None:
    """No code block escapes the checks by its form."""
    fence_count = sum(len(re.findall(r"^[ >]*(?:```|~~~)", page.read_text("utf-8"), re.MULTILINE)) for page in PAGES)
    assert fence_count == 2 * len(BLOCKS)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("yaml", "# other.yml\na: 1\n"),
        ("yaml", "- uses: OWNER/autonoma-ci@v1\n  with: { wiat: true }\n"),
        ("yaml", "# .gitlab-ci.yml\ninclude:\n  - remote: https://x.example\n    inputs: { wiat: true }\n"),
        ("yaml", "# autonoma.yml\ntests: [a b]\n"),
        ("yaml", "# .pre-commit-config.yaml\nrepos: [{ hooks: [{ id: autonoma-valdate }] }]\n"),
        ("yaml", "# step of a GitHub workflow\n- run: if\n"),
        ("sh", "autonoma-ci run --wiat\n"),
        ("sh", "export AUTONOMA_WIAT=true\n"),
        ("sh", "if\n"),
        ("groovy", "sh 'autonoma-ci rnu'\n"),
    ],
)
def test_check_finds_invalid_block(language: str, code: str, tmp_path: Path) -> None:
    """The check of each kind detects an error."""
    assert CHECKS[language](CodeBlock("x.md", 1, language, code), tmp_path) != []


@pytest.mark.linters
@pytest.mark.parametrize("schema", sorted(filter(None, set(map(find_schema, BLOCKS)))))
def test_pipelines_match_published_schema(schema: str, tmp_path: Path) -> None:
    """Each pipeline is valid by the schema that its CI system publishes."""
    files = []
    for number, block in enumerate(block for block in BLOCKS if find_schema(block) == schema):
        files.append(tmp_path / f"{number}.yml")
        files[-1].write_text(block.code, "utf-8")
    command = [str(Path(sys.executable).parent / "check-jsonschema"), f"--builtin-schema=vendor.{schema}"]
    command += [f"--data-transform={name}" for name in {"azure-pipelines", "gitlab-ci"} & {schema}]
    result = subprocess.run(
        [*command, "--regex-variant=nonunicode", *map(str, files)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
