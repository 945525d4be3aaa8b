"""Errors and exit code 2 for invalid input."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from autonoma_ci.sandbox import Sandbox
from tests.support.github_job import read_outputs
from tests.support.invoke_command import CommandResult, invoke

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALIAS_BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(c)}: &{chr(c)} [{', '.join([f'*{chr(c - 1)}'] * 10)}]\n" for c in range(ord("b"), ord("k"))
)
MANY_MISTAKES = """\
tets: [a]
tests:
  - id: a/b
  - name: x
  - id: c
    variables: { A: null, B: [x], C: "${NOPE}" }
"""
DEEP = "tests: " + "[" * 500 + "]" * 500


class Case(NamedTuple):
    """One invalid input among valid ones, with texts of its error."""

    name: str
    inputs: dict[str, str]
    messages: tuple[str, ...]
    manifest: bytes = b""
    omitted: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


IDS = ("INPUT_TEST-IDS",)
MANIFEST = {"INPUT_MANIFEST": "given.yml"}


def bad_id(text: str, problem: str) -> Case:
    return Case(f"id {text!a}", {"INPUT_TEST-IDS": text}, (f"test-ids: {problem}",))


def bad_manifest(name: str, manifest: bytes, *message: str) -> Case:
    return Case(f"manifest {name}", MANIFEST, ("given.yml", *message), manifest, IDS)


CASES = (
    Case("no ids and no manifest", {}, ("Nothing to run", "Set test-ids, folder-ids"), omitted=IDS),
    Case("an empty list of ids", {"INPUT_TEST-IDS": "# none, \n , "}, ("test-ids has no ids", "allow-empty")),
    Case("an empty input", {"INPUT_TEST-IDS": ""}, ("test-ids is empty", "allow-empty")),
    Case("a manifest without entries", MANIFEST, ("the manifest has no entries", "allow-empty"), b"tests: []", IDS),
    bad_id("a/b", "invalid id: 'a/b'"),
    bad_id("..", "invalid id: '..'"),
    bad_id("../../admin", "invalid id: '../../admin'"),
    bad_id("a?x=/1", "invalid id: '/1'"),
    bad_id("a b", "invalid id: 'a b'"),
    bad_id("a\x07b", "invalid id: 'a\ufffdb' contains \\x07."),
    bad_id("a\x1cb", "invalid id: 'a b' contains \\x1c."),
    bad_id("é", "invalid id: 'é'"),
    bad_id("%2e%2e", "invalid id: '%2e%2e'"),
    Case("a variable's line", {"INPUT_VARIABLES": "A=1\nsentinel"}, ("line 2", "NAME=value"), hidden=("sentinel",)),
    Case("a variable's type", {"INPUT_VARIABLES": "A: [sentinel]"}, ("line 1", "Use a string"), hidden=("sentinel",)),
    Case("a missing manifest", {"INPUT_MANIFEST": "no.yml"}, ("no.yml: the file is missing", "Check the path")),
    Case("a folder as manifest", {"INPUT_MANIFEST": "."}, ("is a directory", "Use the path of a YAML file")),
    bad_manifest("that is empty", b" ", "the manifest is empty", "`tests:`"),
    bad_manifest("of comments", b"# tests:\n", "the manifest is empty", "`tests:`"),
    bad_manifest("that is binary", b"\x7fELF\x00\xff\xfe", "is not UTF-8", "Save it as UTF-8"),
    bad_manifest("with NUL", b"tests:\x00 [a]", "forbidden control character"),
    bad_manifest("in UTF-16", "tests: [a]".encode("utf-16"), "is UTF-16", "Save it as UTF-8"),
    bad_manifest("too large", b"# " + b"x" * 4 * 1024 * 1024, "larger than 4 MiB", "Split it"),
    bad_manifest("too deep", DEEP.encode(), "nested more than 20 levels", "Use fewer levels"),
    bad_manifest("that is a bomb", ALIAS_BOMB.encode(), "more than 100,000 entries", "Split the file"),
    bad_manifest("key given twice", b"tests: [a]\ntests: [b]", "duplicate key: 'tests', first on line 1", "Remove one"),
    bad_manifest("unknown key", b"tets: [a]", "unknown key: 'tets'", "Did you mean 'tests'?"),
    bad_manifest("that is a list", b"- a", "the manifest is a list", "`tests:`"),
    Case("a group", MANIFEST | {"INPUT_GROUPS": "smok"}, ("'smok'", "Did you mean 'smoke'?"),
         b"tests: [{id: a, groups: [smoke]}]"),
    Case("a number", {"INPUT_CONCURRENCY": "65"}, ("concurrency: invalid number: '65'", "from 1 to 64")),
    Case("a yes or no", {"INPUT_DRY-RUN": "ja"}, ("dry-run: invalid value: 'ja'", "Use true or false")),
    Case("http", {"INPUT_API-URL": "http://example.com/api"}, ("api-url: ", "URL without https", "Use https")),
    Case("credentials in the URL", {"INPUT_API-URL": "https://me:sentinel@example.com"},
         ("holds credentials", "Remove them"), hidden=("sentinel",)),
    Case("no client id", {}, ("client-id is missing", "AUTONOMA_CLIENT_ID"), omitted=("INPUT_CLIENT-ID",)),
    Case("an empty secret", {"INPUT_CLIENT-SECRET": ""}, ("client-secret is missing", "is empty, as with")),
    Case("no credentials", {}, ("client-id and client-secret are missing", "Secrets and variables > Actions"),
         omitted=("INPUT_CLIENT-ID", "INPUT_CLIENT-SECRET")),
    Case("a blank secret", {"INPUT_CLIENT-SECRET": " \n"}, ("client-secret is missing", "AUTONOMA_CLIENT_SECRET")),
    Case("a line break in the secret", {"INPUT_CLIENT-SECRET": "sentinel\nlines"},
         ("client-secret: ", "a line break", "Copy it again"), hidden=("sentinel", "lines")),
    Case("a letter outside ASCII in the id", {"INPUT_CLIENT-ID": "sentinél"},
         ("client-id: ", "not ASCII", "Copy it again"), hidden=("sentin",)),
    Case("an application version", {"INPUT_APPLICATION-VERSION-ID": "v1.10"},
         ("application-version-id: ", "invalid id: 'v1.10' contains '.'.")),
    Case("a source", {"INPUT_SOURCE": "a\tb"}, ("source: ", "invalid source: 'a b'", "at most 10 letters")),
    Case("a results-dir", {"INPUT_RESULTS-DIR": "given.yml"}, ("results-dir: directory", "a writable"), b"tests: [a]"),
)  # fmt: skip


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def build_inputs(folder: Path, sandbox: Sandbox) -> dict[str, str]:
    """Return the valid inputs of a job on GitHub."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "INPUT_CLIENT-ID": "an-id",
        "INPUT_CLIENT-SECRET": "a-secret-of-ours",
        "INPUT_API-URL": sandbox.url,
        "INPUT_TEST-IDS": "abc",
    }


def assert_refused(job: CommandResult, folder: Path, sandbox: Sandbox) -> str:
    """Fail unless the job ends before any request, and return its errors."""
    assert job.code == 2, job.output
    assert sandbox.received == []
    outputs = read_outputs((folder / "output").read_text("utf-8"))
    assert (outputs["conclusion"], outputs["reason"], outputs["total"]) == ("error", "input", "0")
    assert "Traceback" not in job.output
    errors = [line for line in job.err.splitlines() if line.startswith("::error")]
    assert errors
    # The line of a file and a caret follow the error.
    assert all(re.match(r"::error| *[0-9]* \| ", line) for line in job.err.splitlines())
    error_text = "\n".join(errors)
    for code, character in (("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        error_text = error_text.replace(code, character)
    return error_text


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_invalid_input_is_refused(case: Case, tmp_path: Path, sandbox: Sandbox) -> None:
    """Log, summary and outputs have the error and its solution, and nothing is sent."""
    environ = {k: v for k, v in (build_inputs(tmp_path, sandbox) | case.inputs).items() if k not in case.omitted}
    if case.manifest:
        (tmp_path / "given.yml").write_bytes(case.manifest)
    job = invoke(tmp_path, environ=environ)
    error_text = assert_refused(job, tmp_path, sandbox)
    for text in case.messages:
        assert text in error_text
    assert job.err.count("::error") == 1, "one mistake is told once"
    summary = (tmp_path / "summary").read_text("utf-8")
    assert "Nothing was sent" in summary
    visible_text = summary + (tmp_path / "output").read_text("utf-8") + job.output
    for text in (*case.hidden, "a-secret-of-ours"):
        assert text not in visible_text.replace(f"::add-mask::{text}", "")


def test_valid_input_starts_run(tmp_path: Path, sandbox: Sandbox) -> None:
    """The same job without the error starts its run, so the other tests see their error only."""
    assert invoke(tmp_path, environ=build_inputs(tmp_path, sandbox)).code == 0
    assert sandbox.count_starts("abc") == 1


def test_all_input_errors_appear_together(tmp_path: Path, sandbox: Sandbox) -> None:
    """One run of the job shows every error."""
    (tmp_path / "given.yml").write_text(MANY_MISTAKES)
    environ = build_inputs(tmp_path, sandbox) | {
        "INPUT_CLIENT-ID": "",
        "INPUT_CLIENT-SECRET": "two\nlines",
        "INPUT_TEST-IDS": "x y\n../z",
        "INPUT_MANIFEST": "given.yml",
        "INPUT_CONCURRENCY": "0",
        "INPUT_VARIABLES": "A=1\nA=2\nB",
        "INPUT_API-URL": "http://example.com",
        "INPUT_RESULTS-DIR": "given.yml",
    }
    job = invoke(tmp_path, "--sumary", "false", "--var", "oops", environ=environ)
    error_text = assert_refused(job, tmp_path, sandbox)
    for text in (
        *("client-id is missing", "a line break", "'x y'", "'../z'", "concurrency: ", "api-url: "),
        *(
            "line 2: 'A' is set twice. Remove one.",
            "line 3: expected NAME=value",
            "Did you mean '--summary'?",
            "missing '='. Write --var NAME=value",
        ),
        *("Did you mean 'tests'?", "invalid id: 'a/b' contains", "missing key: 'id'", "'A' has no value"),
        "'B' is a list",
        *("${NOPE} is not set", "results-dir: directory could not be created"),
    ):
        assert text in error_text, text
    assert "Nothing to run" not in error_text
    summary = (tmp_path / "summary").read_text("utf-8")
    assert summary.count("\n- ") == len(job.err.splitlines())


def test_manifest_error_is_line_annotation(tmp_path: Path, sandbox: Sandbox) -> None:
    """GitHub shows the error at its line of the manifest."""
    (tmp_path / "given.yml").write_text("tests:\n  - abc\n  - id: a/b\n")
    job = invoke(tmp_path, environ=build_inputs(tmp_path, sandbox) | MANIFEST)
    assert job.err.startswith("::error file=given.yml,line=3,col=5::given.yml:3:5: invalid id: 'a/b' contains")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--test-id", "x"), "Unknown option: '--test-id'. Did you mean '--test-ids'?"),
        (("--client_id=sentinel",), "Unknown option: '--client_id'. Did you mean '--client-id'?"),
        (("--loud",), "Unknown option: '--loud'. See autonoma-ci run --help."),
        (("--passwort", "sentinel"), "Unknown option: '--passwort'"),
        (("run", "sentinel"), "Unexpected argument"),
        (("--concurrency",), "--concurrency: missing value"),
        (("--var",), "--var: missing value"),
        (("--concurrency", "--dry-run"), "--concurrency: missing value"),
        (("--var", "sentinel"), "missing '='. Write --var NAME=value"),
    ],
)
def test_invalid_command_line_is_refused(argv: tuple[str, ...], message: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """The error has the same form as others and repeats no value."""
    job = invoke(tmp_path, *argv, environ=build_inputs(tmp_path, sandbox))
    error_text = assert_refused(job, tmp_path, sandbox)
    assert message in error_text
    assert "sentinel" not in job.output + (tmp_path / "summary").read_text("utf-8")


@pytest.mark.parametrize("argv", [("--timeout",), ("--wait", "--var"), ("--comment=true", "--concurrency")])
def test_invalid_command_line_removes_old_results(argv: tuple[str, ...], tmp_path: Path, sandbox: Sandbox) -> None:
    """The results folder can hold the files of an earlier build."""
    environ = build_inputs(tmp_path, sandbox) | {"INPUT_RESULTS-DIR": "out", "GITHUB_RUN_ID": "5"}
    assert invoke(tmp_path, environ=environ).code == 0
    assert invoke(tmp_path, *argv, environ={**environ, "GITHUB_RUN_ID": "6"}).code == 2
    results_json = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (results_json["conclusion"], results_json["runs"], results_json["exit_code"]) == ("error", [], 2)
    assert "AUTONOMA_CONCLUSION=error" in (tmp_path / "out" / "outputs.env").read_text()
    assert "<error" in (tmp_path / "out" / "junit.xml").read_text()


def test_errors_without_ci_are_plain_lines(tmp_path: Path) -> None:
    """Outside of GitHub, an error is a line of text, and results.json has it, too."""
    job = invoke(tmp_path, environ={"AUTONOMA_CONCURRENCY": "x", "AUTONOMA_RESULTS_DIR": "out"})
    assert job.code == 2
    assert job.errors[0] == "AUTONOMA_CONCURRENCY: invalid number: 'x'. Use a whole number from 1 to 64."
    assert [error.partition(" are missing")[0] for error in job.errors[1:]] == ["client-id and client-secret"]
    assert job.out == ""
    results_json = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (results_json["conclusion"], results_json["reason"], results_json["exit_code"]) == ("error", "input", 2)


def test_unknown_ci_system_is_refused(tmp_path: Path) -> None:
    """`AUTONOMA_CI` names a system of the table or none."""
    job = invoke(tmp_path, environ={"AUTONOMA_CI": "jenkin"})
    assert job.code == 2
    assert "Did you mean 'jenkins'?" in job.err


@pytest.mark.parametrize("ids", ["a", "# none"])
def test_allow_empty_accepts_empty_plan(ids: str, tmp_path: Path, sandbox: Sandbox) -> None:
    """With `allow-empty`, an empty selection is no error, and the step passes."""
    environ = build_inputs(tmp_path, sandbox) | {"INPUT_ALLOW-EMPTY": "true", "INPUT_TEST-IDS": ids}
    assert invoke(tmp_path, environ=environ).code == 0
    assert len(sandbox.received) == (ids == "a")
    assert read_outputs((tmp_path / "output").read_text())["conclusion"] == ("started" if ids == "a" else "skipped")
