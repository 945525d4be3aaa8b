"""The hooks of .pre-commit-config.yaml.

The tests read the configuration as pre-commit does. The test environment does not contain pre-commit.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.support.generate_docs import ROOT

CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
HOOK_BY_ID: dict[str, dict[str, Any]] = {hook["id"]: hook for repo in CONFIG["repos"] for hook in repo["hooks"]}
PYTHON_LOCK = (ROOT / "tests" / "requirements.lock").read_text("utf-8")
NPM_LOCK = json.loads((ROOT / "tests" / "system" / "linters" / "package-lock.json").read_text("utf-8"))


def search_pattern(hook_id: str, text: str) -> bool:
    """Search a text as pre-commit's pygrep does with --multiline."""
    # https://github.com/pre-commit/pre-commit/blob/main/pre_commit/languages/pygrep.py
    assert "--multiline" in HOOK_BY_ID[hook_id]["args"]
    return bool(re.search(HOOK_BY_ID[hook_id]["entry"], text, re.MULTILINE | re.DOTALL))


def test_hooks_use_locked_versions() -> None:
    """Each hook installs the version of the lock file."""
    versions = dict(re.findall(r"^([\w-]+)==(\S+)", PYTHON_LOCK, re.MULTILINE))
    requirements = [(hook, text) for hook in HOOK_BY_ID.values() for text in hook.get("additional_dependencies", [])]
    assert {hook["language"] for hook, _ in requirements} == {"python", "node"}
    for hook, requirement in requirements:
        if hook["language"] == "python":
            name, _, version = requirement.partition("==")
            assert version == versions[name.lower()], requirement
        else:
            name, _, version = requirement.rpartition("@")
            assert version == NPM_LOCK["packages"][f"node_modules/{name}"]["version"], requirement


def test_every_hook_is_local_and_installable() -> None:
    """Each hook comes from this repository and a package registry."""
    assert {repo["repo"] for repo in CONFIG["repos"]} == {"local"}
    assert {
        hook_id
        for hook_id, hook in HOOK_BY_ID.items()
        if hook["language"] in {"python", "node"} and not hook.get("additional_dependencies")
    } == set()


def test_commit_message_hook_runs_on_messages() -> None:
    """`pre-commit install` installs the hook for messages, which fails without a match."""
    assert CONFIG["default_install_hook_types"] == ["pre-commit", "commit-msg"]
    assert [hook_id for hook_id, hook in HOOK_BY_ID.items() if hook.get("stages") == ["commit-msg"]] == [
        "commit-message"
    ]
    assert "--negate" in HOOK_BY_ID["commit-message"]["args"]


@pytest.mark.parametrize(
    "message",
    [
        "fix(engine): poll once more at the deadline\n",
        "feat!: rename the option `part`\n\nThe old name was ambiguous.\n",
        "docs: list 3 systems\n# Please enter the commit message for your changes.\n",
        f"test: {'x' * 66}\n",
        "build: use `uv`",
        "Merge branch 'work'\n",
        'Revert "fix: poll once more"\n',
        "fixup! fix: poll once more\n",
    ],
)
def test_commit_message_is_accepted(message: str) -> None:
    """Conventional Commits and the subjects that git writes are accepted."""
    assert search_pattern("commit-message", message)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Poll once more at the deadline\n",
        "fix poll once more\n",
        "fixes: poll once more\n",
        "fix(): poll once more\n",
        "fix: Poll once more\n",
        "fix: poll once more.\n",
        "fix:poll once more\n",
        "fix: \n\npoll once more\n",
        "fix: poll once more\nbecause the response was late\n",
        "\nfix: poll once more\n",
        f"test: {'x' * 67}\n",
    ],
)
def test_commit_message_is_rejected(message: str) -> None:
    """Other subjects, and bodies without an empty line before them, fail."""
    assert not search_pattern("commit-message", message)


@pytest.mark.parametrize(
    ("text", "is_violation"),
    [("one\n", False), ("one", True), ("one\n\n", True), ("one\n\ntwo\n", False), ("", False)],
)
def test_end_of_file_hook_finds_violations(text: str, is_violation: bool) -> None:
    """A file ends with exactly one newline."""
    assert search_pattern("end-of-file", text) is is_violation
