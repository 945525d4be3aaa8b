"""Issue forms, owners, conduct and the style of text files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.generate_docs import ROOT

GITHUB = ROOT / ".github"
FORMS = ("bug", "ci-system", "feature")
SCHEMA_BY_FILE = {
    **{f".github/ISSUE_TEMPLATE/{name}.yml": "github-issue-forms" for name in FORMS},
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    ".github/dependabot.yml": "dependabot",
    "action.yml": "github-actions",
    **{f".github/workflows/{path.name}": "github-workflows" for path in sorted((GITHUB / "workflows").iterdir())},
}
# CODEOWNERS accepts accounts, teams and email addresses.
# https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
OWNER_RE = re.compile(r"@[A-Za-z\d](?:-?[A-Za-z\d]){0,38}(?:/[\w.-]+)?|[^\s@]+@[^\s@]+")


def read_form(name: str) -> dict[str, Any]:
    """Return the content of an issue form."""
    form: dict[str, Any] = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml").read_text("utf-8"))
    return form


def check_schema(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Check a file with a JSON Schema that check-jsonschema contains."""
    command = [str(Path(sys.executable).parent / "check-jsonschema"), f"--builtin-schema=vendor.{schema}", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def list_text_files() -> list[Path]:
    """Return the tracked text files, except fuzz inputs."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")[:-1]
    # A file that is deleted but not committed yet is still listed.
    files = [ROOT / name for name in names if not name.startswith("tests/system/fuzz/corpus/")]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()]


@pytest.mark.linters
@pytest.mark.parametrize(("name", "schema"), SCHEMA_BY_FILE.items(), ids=list(SCHEMA_BY_FILE))
def test_github_file_matches_schema(name: str, schema: str) -> None:
    """Each file that GitHub reads is valid by its JSON Schema."""
    result = check_schema(schema, ROOT / name)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.linters
@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("github-issue-forms", "name: Bug\ndescription: A bug.\nbody: []\n"),
        ("github-issue-config", "contact_links: 7\n"),
    ],
)
def test_schema_check_finds_violation(schema: str, text: str, tmp_path: Path) -> None:
    """The check detects a violation of a schema."""
    (tmp_path / "form.yml").write_text(text, "utf-8")
    assert check_schema(schema, tmp_path / "form.yml").returncode == 1


def test_every_issue_form_is_checked() -> None:
    """The table of schemas lists each issue form."""
    assert {path.stem for path in (GITHUB / "ISSUE_TEMPLATE").iterdir()} == {*FORMS, "config"}


@pytest.mark.parametrize("name", FORMS)
def test_issue_form_fields_have_ids(name: str) -> None:
    """Each field has a distinct id, and each form has a required field."""
    fields = [element for element in read_form(name)["body"] if element["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_bug_form_warns_of_secrets() -> None:
    """The bug form starts with a warning about secrets and vulnerabilities."""
    first_element = read_form("bug")["body"][0]
    assert first_element["type"] == "markdown"
    assert "client secrets and values of variables" in first_element["attributes"]["value"]
    assert "SECURITY.md" in first_element["attributes"]["value"]


def test_vulnerabilities_are_reported_in_private() -> None:
    """The list of issue forms links to GitHub's private form."""
    config = read_form("config")
    assert config["blank_issues_enabled"] is False
    urls = [link["url"] for link in config["contact_links"]]
    assert "https://github.com/OWNER/autonoma-ci/security/advisories/new" in urls


def test_code_owners_cover_each_file() -> None:
    """The first rule of CODEOWNERS covers all files, and each rule has owners."""
    lines = (GITHUB / "CODEOWNERS").read_text("utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert rules[0][0] == "*"
    assert all(owners and all(OWNER_RE.fullmatch(owner) for owner in owners) for _, *owners in rules)


def test_text_files_follow_editorconfig() -> None:
    """Text files have one newline at the end, and no space before a newline."""
    violations = []
    for file in list_text_files():
        text = file.read_bytes()
        if text and (not text.endswith(b"\n") or text.endswith(b"\n\n")):
            violations.append(f"{file.relative_to(ROOT)}: newline at the end")
        if re.search(rb"[ \t\r]\n", text):
            violations.append(f"{file.relative_to(ROOT)}: space before a newline")
    assert violations == []
