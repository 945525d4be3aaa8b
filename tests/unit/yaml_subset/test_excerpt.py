"""Tests of excerpts of YAML errors, which hide values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config.parsers import parse_variables
from autonoma_ci.errors import InputError
from autonoma_ci.yaml_subset.excerpt import build_excerpt
from autonoma_ci.yaml_subset.inline import parse_option_yaml, parse_yaml_mapping
from autonoma_ci.yaml_subset.parser import parse_yaml
from tests.support.invoke_command import invoke
from tests.support.manifest_reader import collect_errors, read_manifest
from tests.support.processor_time import measure_processor_seconds

if TYPE_CHECKING:
    from pathlib import Path

# The letters Q, X and Z are only in values of variables, or in texts that were meant as values.
HIDDEN_TEXTS = (
    "tests: [{id: abc, vars: {A: @QXZQXZ}}]",
    "tests: [{id: abc, env {A: QXZ: QXZ}]",
    "tests: [{id: abc, with: {A: ${A:-QXZQXZ}}}]",
    "tests:\n  - {id: abc, Variables: {A: & QXZQXZ}}",
    "tests:\n  - {id: abc, variables: {id: QXZ: QXZ}}",
    "tests:\n  - id: abc\n    variables:\n      name: QXZ: QXZ",
    "tests:\n  - id: abc\n    variables:\n      groups: QXZ: QXZ",
    "tests:\n  - id: abc\n    variables:\n    - name: QXZ: QXZ",
    "tests:\n  - id: abc\n    env:\n      id: QXZ: QXZ",
    'tests:\n  - id: abc\n    "\\u0076ariables":\n      id: QXZ: QXZ',
    "tests:\n  - id: abc\n    ? variables\n    : name: QXZ: QXZ",
    "tests:\n  - id: abc\n    <<:\n      name: QXZ: QXZ",
    'tests:\n  - id: abc\n    variables: {\n id: "QXZ\n QXZ",\nname: % QXZQXZ\n}',
    "tests:\n  - id: abc\n    vars: {\nname: @QXZQXZ\n}",
    "tests:\n  - id: abc\n    variables: {A: x,\ntests: @QXZQXZ }",
    "tests:\n  - id: abc\n    variables:\n      A: |\n        x\nQXZQXZ\nname: QXZ: QXZ",
    "tests:\n  - id: abc\n    name: {variables: {A: @QXZ}}",
    "tests:\n  - id: abc variables: A=QXZ: x",
    "tests:  - env: 'QXZQXZ'",
    "defaults:\n  variables:\n    id: QXZ: QXZ",
    "defaults:\n  with:\n    name: >-\n      id: QXZ\nQXZQXZ\n",
    "variables:\n- id: QXZ: QXZ",
    "name: QXZ: QXZ",
    "x-all:\n  name: QXZ: QXZ",
    "tests:\n  - id: abc\n    variables:\n      A: QXZQXZ\n      A: QXZQXZ",
    "tests:\n  - id: abc\n    variables:\n      A: !QXZ QXZQXZ",
    "tests:\n  - id: abc\n    variables:\n      A: *QXZ",
    'tests:\n  - id: abc\n    variables: {A: "QXZ\u202eQXZ"}',
    "tests:\n  - id: abc\n    variables:\n\tA: QXZQXZ",
    "tests:\n  - id: abc\n    matrix:\n      A:\n      - QXZ: QXZ\n     - QXZ",
    # Text that is indented less than `variables`, although it was meant as a part of it.
    "tests:\n  - abc\n  - id: abc\n    variables:\n- tests: @QXZ\n    - QXZ",
    "tests:\n  - abc\n  - id: abc\n    variables:\n   - name: QXZQXZ\n    - QXZ",
    "tests:\n  - abc\n  - id: abc\n    variables:\n      A:\n      - x\n- QXZQXZ\n    groups: [smoke]",
    "tests:\n  - abc\n  - id: abc\n    variables:\n  name: QXZQXZ\n      B: x",
    "tests:\n  - abc\n  - id: abc\n    variables:\n      A: x\n  id: QXZQXZ\n    groups: [smoke]",
    # Text that follows a comma or has no colon.
    "tests:\n  - {id: abc, variables: {A: QXZ,XQZ}}",
    "tests:\n  - {id: abc, variables: {QXZ=QXZ}}",
    "tests:\n  - id: abc\n    variables:\n      ? QXZ",
    # Text below a key that allows no such entry, or after an unknown key.
    "tests:\n  - {id: abc, zebra: [QXZ}",
    "tests: x\n  - id: QXZ: QXZ",
    "tests: a]\nversion: QXZ: QXZ",
    "defaults:\n  name: QXZ: QXZ",
    "  defaults:\n    variables:\n      A: b\n  version: QXZ: QXZ",
)
SHOWN_TEXTS = (
    ("tests:\n  - id: abc\n    name: Checkout: pay", "   3 |     name: Checkout: pay"),
    ("tests:\n- id: abc\n  name: Checkout: pay", "   3 |   name: Checkout: pay"),
    ("# 'a {\ntests:\n# [\n  - id: abc\n    name: It's 5: now", "   5 |     name: It's 5: now"),
    ("tests:\n  - id: abc\n    variables: {A: b}\n  - id: d\n    name: a: b", "   5 |     name: a: b"),
    ("tests: [a, b", "   1 | tests: [a, b"),
    ("tests:\n  - a\nfolders\ntags: []", "   3 | folders"),
    ("tests:\n  - {id: abc, groups: [smoke}", "   2 |   - {id: abc, groups: [smoke}"),
    ("defaults:\n  application_version_id: a: b", "   2 |   application_version_id: a: b"),
    ("tests:\r\n  - id: a\r\n   name: b\r\n", "   3 |    name: b"),
    ("tests:\n  - id: a\n    name: \U0001f600\u7d50: b", "   3 |     name: \U0001f600\u7d50: b"),
)


@pytest.mark.parametrize("text", HIDDEN_TEXTS)
def test_excerpt_hides_values(text: str) -> None:
    """An excerpt shows no character of a variable's value."""
    errors = parse_yaml(text, "m.yml").errors
    assert errors
    for problem in errors:
        assert problem.excerpt
        assert not set("QXZ") & set("".join(problem.excerpt))
        if "a word without a colon" in problem.message:
            assert not set("QXZ") & set(problem.message)


@pytest.mark.parametrize("text", HIDDEN_TEXTS)
def test_excerpt_of_option_hides_all_text(text: str) -> None:
    """An option such as `variables` can be a secret, so not even its length is shown."""
    for errors in (parse_yaml_mapping(text)[1], parse_option_yaml(text).errors):
        for problem in errors:
            assert not any(character.isalnum() for character in "".join(problem.excerpt).partition("|")[2])
            assert all(len(line) < 40 for line in problem.excerpt)


@pytest.mark.parametrize(("text", "line"), SHOWN_TEXTS)
def test_excerpt_shows_public_text(text: str, line: str) -> None:
    """Text that reports show is also visible in excerpts."""
    [problem] = parse_yaml(text, "m.yml").errors
    assert problem.excerpt[0] == line


@pytest.mark.parametrize(
    ("text", "character", "expected"),
    [
        ("version: a: b", ":", ("   1 | version: a: b", "     |           ^")),
        ("version:\ta: b", ":", ("   1 | version:→a: b", "     |           ^")),
        ("version: \u2705\ufe0f: b", ":", ("   1 | version: \u2705\ufe0f: b", "     |            ^")),
        ("version: \u0e01\u0e31: b", ":", ("   1 | version: \u0e01\u0e31: b", "     |           ^")),
        ("version: e\u0301\u7d50: b", ":", ("   1 | version: e\u0301\u7d50: b", "     |             ^")),
        (
            "version: \x1b31m\u202e\u200b!",
            "!",
            ("   1 | version: \ufffd31m\ufffd\ufffd!", "     |                ^"),
        ),
        ("version: '" + "x" * 100 + ": b", ":", ("   1 | …" + "x" * 35 + ": b", "     | " + " " * 36 + "^")),
    ],
)
def test_caret_points_at_its_character(text: str, character: str, expected: tuple[str, str]) -> None:
    """Wide, combining and control characters, tabs and long lines have the right column."""
    assert build_excerpt([text], 0, text.rindex(character), is_secret=False) == expected


@given(st.lists(st.text("tests:idname{}[]-'\" \t\x1b\u7d50\u0301#|", max_size=200), max_size=4), st.data())
def test_any_excerpt_fits_terminal(lines: list[str], data: st.DataObject) -> None:
    """An excerpt has two short lines without control characters."""
    line = data.draw(st.integers(-1, 4))
    column = data.draw(st.integers(-1, 220))
    excerpt = build_excerpt(lines, line, column, is_secret=data.draw(st.booleans()))
    assert bool(excerpt) == (0 <= line < len(lines))
    if excerpt:
        assert len(excerpt) == 2
        assert all(len(excerpt_line) <= 7 + 2 + 2 * 70 for excerpt_line in excerpt)
        assert not any(character in "\t\x1b\r\n" for character in "".join(excerpt))


@pytest.mark.parametrize("piece", ["x", "\u0301", "\u7d50", "[", "a: b ", "'", " ", "- ", "id: ", "\\", '"\\'])
def test_hostile_lines_take_linear_time(piece: str) -> None:
    """An excerpt of a very long line takes bounded time."""
    lines = ["tests:", f"  - id: {piece * 200_000}", f"    name: {piece * 200_000}: x"]
    seconds = measure_processor_seconds(lambda: build_excerpt(lines, 2, len(lines[2]) - 3, is_secret=False), 10.0)
    assert seconds < 10.0


@pytest.mark.parametrize("lines", ["  y\n" * 1_000_000, "  " + "y [" * 1_000_000 + "\n"], ids=["many", "long"])
def test_excerpts_below_hostile_lines_are_fast(lines: str) -> None:
    """Each excerpt reads the lines before it."""
    text = f"x-a:\n{lines}tests:\n" + "  - !a b\n" * 10
    assert measure_processor_seconds(lambda: parse_yaml(text, "m.yml"), 10.0) < 10.0


def test_excerpts_of_one_line_take_bounded_time() -> None:
    """Many errors in one very long line take bounded time."""
    text = "tests:\n" + " a\u2028" * 800_000
    assert measure_processor_seconds(lambda: parse_yaml(text, "m.yml"), 2.0) < 2.0


def test_excerpts_stop_at_ten() -> None:
    """Only the first ten errors of a file have an excerpt."""
    errors = parse_yaml("tests: [" + "!a b, " * 500 + "]", "m.yml").errors
    assert sum(bool(problem.excerpt) for problem in errors) == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< HEAD\ntests: [a]\n=======\ntests: [b]\n>>>>>>> x\n", "1:1: invalid YAML: unresolved merge conflict."),
        ("tests:\n<<<<<<< HEAD\n  - a\n=======\n  - b\n>>>>>>> x\n", "2:1: invalid YAML: unresolved merge conflict."),
        ("tests: [a]]\n", "1:11: invalid YAML: bracket without its opening bracket. Remove it"),
        ("tests:\n- test: a\n  id: b\n", "2:3: unknown key 'test': did you mean 'id'?"),
        ("folders:\n- Folder: a\n  id: b\n", "2:3: unknown key 'Folder': did you mean 'id'?"),
        ("tests:\n- id: a\n  name: - b\n", "3:9: invalid YAML: '- ' behind a key. Put the value in quotes"),
        (" tests:\n  - a\nfolders: []\n", "3:1: invalid YAML: wrong indentation. Begin the first key"),
        ("tests:\n- id: a\n  name: {{ b }}\n", "3:10: a key must be plain text: put a value that begins with {"),
        ("tests:\n- id: a\n  groups: smoke, nightly\n", "3:3: 'groups' must be a list: write several values as [A, B]"),
        ("tests:\n- id: a\n  groups: smoke nightly\n", "3:3: 'groups' must be a list: write several values as [A, B]"),
        ("tests:\n- id: a\n  groups:\n    -smoke\n", "3:3: 'groups' must be a list: write a space after each '-'"),
        ("tests:\n- id: a\n  matrix: {A: 'b, c'}\n", "3:12: 'A' must be a list: write several values as [A, B]"),
    ],
)
def test_mistake_has_its_suggestion(text: str, message: str) -> None:
    """The message of each common mistake has a remedy."""
    [error] = collect_errors(text)
    assert error.startswith(message)


@pytest.mark.parametrize(
    ("text", "expected_line"),
    [
        ("<<<<<<< HEAD\ntests: [a]\n=======\ntests: [b]\n>>>>>>> x\n", "   1 | <<<<<<< ····"),
        ("tests: [a]\n>>>>>>> s3cret\n", "   2 | >>>>>>> ······"),
        ("tests: [a]\n---\ntests: [b]\n", "   2 | ---"),
        ("tests: [a]\n--- # s3cret\ntests: [b]\n", "   2 | --- · ······"),
        ("variables:\n  A: |\n    <<<<<<< s3cret\n <<<<<<<\nx\n", ""),
    ],
)
def test_markers_are_shown(text: str, expected_line: str) -> None:
    """Merge conflict and document markers hold no value, so excerpts show them."""
    [error] = parse_yaml(text, "m.yml").errors
    assert not expected_line or error.excerpt[0] == expected_line
    assert "s3cret" not in "".join(error.excerpt)


def test_single_text_becomes_list() -> None:
    """A text in place of a list is a list with one entry."""
    [test] = read_manifest("tests:\n- {id: a, groups: smoke, matrix: {A: -1, B: '${NOPE:-b c}'}}").tests
    assert test.groups == ["smoke"]
    assert test.matrix == {"A": ["-1"], "B": ["b c"]}


def test_validate_prints_line_and_caret(tmp_path: Path) -> None:
    """The command validate prints the excerpt below the error."""
    (tmp_path / "autonoma.yml").write_text("tests:\n  - id: abc\n    name: Checkout: pay\n", encoding="utf-8")
    result = invoke(tmp_path, "validate")
    assert result.code == 2
    assert result.err.splitlines()[1:] == ["   3 |     name: Checkout: pay", "     |                   ^"]


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize("system", ["GITHUB_ACTIONS", "GITEA_ACTIONS", "FORGEJO_ACTIONS"])
def test_annotation_has_path_from_root(command: str, system: str, tmp_path: Path) -> None:
    """GitHub expects paths from the repository root, also with a working-directory."""
    (tmp_path / "e2e, a").mkdir()
    (tmp_path / "e2e, a/autonoma.yml").write_text("tests:\n  - nmae: a\n", encoding="utf-8")
    environ = {system: "true", "GITHUB_WORKSPACE": str(tmp_path)}
    result = invoke(tmp_path / "e2e, a", command, environ=environ)
    assert result.code == 2
    assert "::error file=e2e%2C a/autonoma.yml,line=2,col=5" in result.output
    assert "::autonoma.yml:2:5: unknown key 'nmae'" in result.output, "the log names it as the user did"
    for root in (tmp_path / "e2e, a", tmp_path / "other", ""):
        result = invoke(tmp_path / "e2e, a", command, environ={**environ, "GITHUB_WORKSPACE": str(root)})
        assert "::error file=autonoma.yml,line=2,col=5" in result.output


@pytest.mark.parametrize(
    ("path", "shown_path"),
    [
        ("{root}/other.yml", "other.yml"),
        ("../other.yml", "other.yml"),
        ("sub/../../other.yml", "other.yml"),
        ("{root}/e2e/autonoma.yml", "e2e/autonoma.yml"),
        ("../../outside.yml", "../../outside.yml"),
        ("{root}/../outside.yml", "{root}/../outside.yml"),
    ],
)
def test_annotation_path_outside_step_folder(path: str, shown_path: str, tmp_path: Path) -> None:
    """A file outside the working directory has its path from the root if possible."""
    root = tmp_path / "root"
    (root / "e2e/sub").mkdir(parents=True)
    for file in ("other.yml", "e2e/autonoma.yml", "../outside.yml"):
        (root / file).write_text("tests:\n  - nmae: a\n", encoding="utf-8")
    given_path = path.format(root=root)
    result = invoke(
        root / "e2e", "validate", given_path, environ={"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(root)}
    )
    assert f"::error file={shown_path.format(root=root)},line=2,col=5::{given_path}:2:5: unknown key" in result.err


def test_option_error_has_caret() -> None:
    """An error in the option variables has an excerpt."""
    with pytest.raises(InputError) as error_info:
        parse_variables("A: QXZ\nB: 'QXZ")
    [problem] = error_info.value.diagnostics
    assert problem.message.startswith("line 2: invalid YAML: quote without its closing quote.")
    assert problem.excerpt == ("   2 | ···'···", "     |    ^")
