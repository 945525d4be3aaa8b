"""Redaction of credentials in the user's own texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import invoke

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "sEcr3tValue42Qx9Lm7Tr5Vb3Nz1Kp8Wd6Hf4Gs2Jc0Yb8Ua6Ei4Ro2Zt9Mw7Px5Dk3Fv1"
# A shorter part does not help an attacker.
PART = SECRET[:12].lower()


def build_environ(folder: Path, url: str, **more: str) -> dict[str, str]:
    """Return the environment of a GitHub job with the secret."""
    (folder / "github").mkdir()
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "github/output"),
        "GITHUB_STEP_SUMMARY": str(folder / "github/summary"),
        "AUTONOMA_CLIENT_ID": "some-client-id",
        "AUTONOMA_CLIENT_SECRET": SECRET,
        "AUTONOMA_API_URL": url,
        "AUTONOMA_TEST_IDS": "one",
        "AUTONOMA_RESULTS_DIR": "results",
        **more,
    }


def assert_hidden(folder: Path, output: str) -> None:
    """Fail if a file or a line other than a mask holds the start of the secret."""
    lines = [line for line in output.splitlines() if not line.startswith("::add-mask::")]
    texts = {str(path): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}
    leaking_names = [name for name, text in {"log": "\n".join(lines), **texts}.items() if PART in text.lower()]
    assert leaking_names == []


@pytest.mark.parametrize(
    "name",
    [
        *("WAIT", "EVIDENCE", "CONCURRENCY", "TIMEOUT", "SHARD", "EVIDENCE_LIMIT", "API_URL", "WAIT_FOR_URL", "GROUPS"),
        *("APPLICATION_VERSION_ID", "APPLICATION_VERSIONS", "TEST_IDS", "MANIFEST", "VARIABLES", "SOURCE", "CI"),
    ],
)
def test_error_hides_credential_part(name: str, tmp_path: Path) -> None:
    """An invalid value is shortened before the error quotes it."""
    with Sandbox(pace=0) as sandbox:
        result = invoke(
            tmp_path, "run", environ=build_environ(tmp_path, sandbox.url, **{f"AUTONOMA_{name}": f"{SECRET}.{SECRET}"})
        )
    assert result.code == 2
    assert_hidden(tmp_path, result.out + result.err)


@pytest.mark.parametrize("name", ["SUMMARY_TITLE", "PART"])
def test_long_text_hides_credential(name: str, tmp_path: Path) -> None:
    """A long title or part is shortened before redaction."""
    with Sandbox(pace=0) as sandbox:
        text = f"{SECRET} {'x ' * 3000}"
        result = invoke(tmp_path, "run", environ=build_environ(tmp_path, sandbox.url, **{f"AUTONOMA_{name}": text}))
    assert result.code == 0
    assert_hidden(tmp_path, result.out + result.err)


@pytest.mark.parametrize(
    "more",
    [
        {"AUTONOMA_TEST_IDS": f"the {SECRET} = one"},
        {"GITHUB_REF": f"refs/heads/{SECRET}"},
        {"GITHUB_SERVER_URL": f"https://{SECRET}.example.com", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "1"},
    ],
    ids=["label", "branch", "build"],
)
def test_labels_and_facts_hide_credential(more: dict[str, str], tmp_path: Path) -> None:
    """All reports show the names of runs and the facts of the build."""
    with Sandbox(pace=0) as sandbox:
        result = invoke(tmp_path, "run", environ=build_environ(tmp_path, sandbox.url, **more))
    assert result.code == 0
    assert_hidden(tmp_path, result.out + result.err)


@pytest.mark.parametrize(
    "more", [{"AUTONOMA_TEST_IDS": SECRET}, {"AUTONOMA_VARIABLES": f"{SECRET}=x"}], ids=["id", "name"]
)
def test_misplaced_credential_is_refused(more: dict[str, str], tmp_path: Path) -> None:
    """The API would get it in a URL or a body, and reports would show it."""
    with Sandbox(pace=0) as sandbox:
        result = invoke(tmp_path, "run", environ=build_environ(tmp_path, sandbox.url, **more))
    assert result.code == 2
    assert "holds a credential" in result.err
    assert_hidden(tmp_path, result.out + result.err)


def test_wait_for_url_hides_credential(tmp_path: Path) -> None:
    """The message of each run has the URL."""
    more = {"AUTONOMA_WAIT_FOR_URL": f"http://127.0.0.1:9/{SECRET}/x", "AUTONOMA_WAIT_FOR_URL_TIMEOUT": "1s"}
    with Sandbox(pace=0) as sandbox:
        result = invoke(tmp_path, "run", environ=build_environ(tmp_path, sandbox.url, **more))
    assert result.code == 5
    assert_hidden(tmp_path, result.out + result.err)


def test_credential_as_source_is_refused(tmp_path: Path) -> None:
    """The API would get it as plain text, and results.json would show it."""
    short_secret = SECRET[:10]
    with Sandbox(pace=0) as sandbox:
        result = invoke(
            tmp_path,
            "run",
            environ=build_environ(
                tmp_path, sandbox.url, AUTONOMA_CLIENT_SECRET=short_secret, AUTONOMA_SOURCE=short_secret
            ),
        )
        assert sandbox.received == []
    assert result.code == 2
    assert "AUTONOMA_SOURCE holds a credential" in result.out + result.err
    assert_hidden(tmp_path, result.out + result.err)
