"""Limits of a manifest at their edges and with hostile files."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError
from autonoma_ci.models import MAX_VALUE_CHARS
from autonoma_ci.planning import plan
from autonoma_ci.yaml_subset.document import MAX_ERRORS, Document, LimitExceededError
from autonoma_ci.yaml_subset.parser import MAX_YAML_DEPTH, MAX_YAML_NODES, parse_yaml
from tests.support.manifest_reader import collect_errors, read_manifest
from tests.support.processor_time import measure_processor_seconds

ROOT = Path(__file__).parents[3]
MEBIBYTE = 1024 * 1024
# Each manifest needs about 1 s of processor time on a fast machine. Without its limit, it needs minutes or all memory.
MAX_CPU_SECONDS = 20


def build_nested_lists(levels: int) -> str:
    return "a: " + "[" * (levels - 2) + "x" + "]" * (levels - 2)


def test_nesting_limit_is_20_levels() -> None:
    """Twenty levels are accepted and the next one is an error."""
    assert not parse_yaml(build_nested_lists(MAX_YAML_DEPTH), "").errors
    assert [p.message for p in parse_yaml(build_nested_lists(MAX_YAML_DEPTH + 1), "").errors] == [
        "nested more than 20 levels deep. Use fewer levels."
    ]


def test_alias_adds_its_own_levels() -> None:
    """Nesting counts the same with an alias as without one."""
    half = "a: &a " + "[" * 11 + "x" + "]" * 11
    assert not parse_yaml(f"{half}\nb: " + "[" * 7 + "*a" + "]" * 7, "").errors
    assert "levels deep" in parse_yaml(f"{half}\nb: " + "[" * 8 + "*a" + "]" * 8, "").errors[0].message


@pytest.mark.parametrize(("yaml_value", "levels"), [("x", 1), ("[]", 1), ("{}", 1), ("[x]", 2), ("{k: x}", 2)])
def test_alias_depth_is_limited_too(yaml_value: str, levels: int) -> None:
    """An alias can be nested as deep as the value that it repeats."""

    def collect_messages(brackets: int) -> list[str]:
        text = f"a: &a {yaml_value}\nb: " + "[" * brackets + "*a" + "]" * brackets
        return [problem.message for problem in parse_yaml(text, "").errors]

    assert collect_messages(MAX_YAML_DEPTH - levels - 1) == []
    assert collect_messages(MAX_YAML_DEPTH - levels) == ["nested more than 20 levels deep. Use fewer levels."]


def test_merged_entries_count_toward_limit() -> None:
    """The error has the position of the merge that exceeds the limit."""
    manifest = "a: &a {" + ",".join(f"k{n}: x" for n in range(900)) + "}\nb:\n" + "- {<<: *a}\n" * 55
    assert [(p.line, p.column) for p in parse_yaml(manifest, "").errors] == [(57, 4)]
    assert not parse_yaml(manifest.removesuffix("- {<<: *a}\n"), "").errors


def test_text_limit_is_64_kib() -> None:
    """A longer text is an error with its position."""
    longest_text = "x" * MAX_VALUE_CHARS
    assert parse_yaml(f"a: {longest_text}", "").tree == {"a": longest_text}
    assert [(p.message, p.line, p.column) for p in parse_yaml(f"b: c\na: {longest_text}x", "").errors] == [
        ("a string is longer than 64 KiB. Shorten it.", 2, 4)
    ]


def test_error_limit_names_file() -> None:
    """The error about the limit has the name of the file."""
    document = Document("m.yml")
    for _ in range(MAX_ERRORS - 1):
        document.add_error((), "wrong")
    with pytest.raises(LimitExceededError):
        document.add_error((), "wrong")
    assert {problem.file for problem in document.errors} == {"m.yml"}
    assert Document("m.yml").find_position(("a", 1)) == (0, 0)
    assert [problem.file for text in ("\0", "[") for problem in parse_yaml(text, "m.yml").errors] == ["m.yml"] * 2


@pytest.mark.slow
def test_entry_limit_is_100000() -> None:
    """Each mapping, list and entry counts as one, and an alias counts again."""
    assert not parse_yaml("a: [" + "x," * (MAX_YAML_NODES - 2) + "]", "").errors
    assert parse_yaml("a: [" + "x," * (MAX_YAML_NODES - 1) + "]", "").errors
    half = "a: &a [" + "x," * (MAX_YAML_NODES // 2 - 2) + "]\nb: "
    assert not parse_yaml(f"{half}*a", "").errors
    assert parse_yaml(f"{half}[*a]\nc: [x]", "").errors
    assert not parse_yaml(f"{half}*a\nc: x", "").errors
    assert parse_yaml(f"{half}*a\nc: x\nd: x", "").errors


MALICIOUS_MANIFESTS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{n}: &{n} [{','.join([f'*{p}'] * 10)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)),
    "merge keys": "a: &a {k: x}\n"
    + "".join(
        f"{n}: &{n} {{<<: [{','.join([f'*{p}'] * 10)}], k{n}: x}}\n"
        for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "wide merges": "a: &a {" + ",".join(f"k{n}: x" for n in range(1000)) + "}\nb:\n" + "- {<<: *a}\n" * 1000,
    "brackets": "[" * 3 * MEBIBYTE,
    "braces": "{a: " * MEBIBYTE,
    "dashes": "- " * 2 * MEBIBYTE,
    "question marks": "? " * 2 * MEBIBYTE,
    "anchors": "".join(f"- &a{n} x\n" for n in range(200_000)),
    "one long word": "tests: [" + "a" * 4_000_000 + "]",
    "one long key": "a" * 4_000_000 + ": b",
    "many dollars": "tests: [{id: a, variables: {A: '" + "$" * 3_000_000 + "'}}]",
    "many openings": "tests: [{id: a, variables: {A: '" + "${" * 1_500_000 + "'}}]",
    "quotes": "a: '" + "''" * 2_000_000 + "'",
    "line breaks": "a: 'x" + "\n" * 4_000_000 + "'",
    "digits": "version: " + "9" * 4_000_000,
    "many tags": "tests: [" + "!a b," * 99_000 + "]",
    "many bad ids": "tests: [" + "é," * 99_000 + "]",
    "many unknown keys": "tests:\n- {" + ",".join(f"tets{n}: x" for n in range(90_000)) + "}",
    "one long bad id for many": "tests: [&a '" + "é" * 1_500_000 + "'" + ",*a" * 90_000 + "]",
    "one long value for many": "tests:\n- {id: a, variables: {A: &a '"
    + "é" * 30_000
    + "', B: [x]}}\n"
    + "".join(f"- {{id: a, variables: {{A: *a, B{n}: x}}}}\n" for n in range(12_000)),
    "one long default for many": "tests:\n- {id: a, variables: {A: &a '$$"
    + "x" * 60_000
    + "', B: [x]}}\n"
    + "".join(f"- {{id: a, variables: {{A: *a, B{n}: x}}}}\n" for n in range(12_000)),
    "one long name for many": "tests:\n- {id: a, name: &a '"
    + "x" * 3_000_000
    + "'}\n"
    + "".join(f"- {{id: a, name: *a, variables: {{B: b{n}}}}}\n" for n in range(10_000)),
    "many defaults": "tests: [{id: a, variables: {A: '" + "".join(f"${{A{n}:-}}" for n in range(300_000)) + "'}}]",
    "many names": "tests: [{id: a, variables: {A: '" + "".join(f"${{A{n}}}" for n in range(300_000)) + "'}}]",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MALICIOUS_MANIFESTS)
def test_hostile_files_take_bounded_time(name: str) -> None:
    """No manifest blocks the machine, whatever its author writes."""
    text = MALICIOUS_MANIFESTS[name]
    assert measure_processor_seconds(lambda: collect_errors(text), MAX_CPU_SECONDS) < MAX_CPU_SECONDS


@pytest.mark.slow
def test_hostile_files_need_little_memory() -> None:
    """Malicious manifests with repeated aliases or long texts need less than 400 MiB."""
    names = ["aliases", "merge keys", "many dollars", "many openings", "one long value for many"]
    code = "from tests.unit.yaml_subset import test_parser_limits as t\n"
    code += f"for name in {names}:\n    t.collect_errors(t.MALICIOUS_MANIFESTS[name])\n"
    # VmHWM is the peak memory. The value of getrusage includes the memory of the parent process (pytest) at the fork.
    code += (
        "import pathlib, re\nprint(re.search(r'VmHWM:\\s*(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(process.stdout) / 1024 < 400, "MiB"


def test_matrix_of_aliases_is_not_expanded() -> None:
    """Millions of runs from a small file are counted and rejected."""
    axis = "&m { A: [" + "x," * 30 + "], B: [" + "y," * 33 + "] }"
    tests = "".join(f"- {{ id: t{n}, matrix: *m }}\n" for n in range(1200))
    manifest = read_manifest(f"tests:\n- {{ id: t, matrix: {axis} }}\n{tests}")

    def check_rejection() -> None:
        with pytest.raises(InputError, match=r"More than 20,000 runs in the plan\. Split"):
            plan.build_plan(Settings(), manifest)

    assert measure_processor_seconds(check_rejection, MAX_CPU_SECONDS) < MAX_CPU_SECONDS


def test_defaults_of_many_runs_are_counted() -> None:
    """Thousands of runs with thousands of default variables are rejected."""
    defaults = ",".join(f"A{n}: x" for n in range(20_000))
    manifest = read_manifest(
        f"defaults: {{variables: {{{defaults}}}}}\ntests: [" + ",".join(f"t{n}" for n in range(20_000)) + "]"
    )

    def check_rejection() -> None:
        with pytest.raises(InputError, match=r"More than 1,000,000 variables in all runs\. Split"):
            plan.build_plan(Settings(), manifest)

    assert measure_processor_seconds(check_rejection, MAX_CPU_SECONDS) < MAX_CPU_SECONDS


def test_interpolated_text_is_limited() -> None:
    """A short reference to a long value cannot fill the memory."""
    text = "tests:\n" + "".join(f"- {{id: a, variables: {{A: '{'${LONG}' * 100} {n}'}}}}\n" for n in range(4000))
    assert collect_errors(text, {"LONG": "x" * 2000}) == [
        "85:23: too many ${...} or too long values. Use fewer ${...} or shorter values."
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "tests:\n- {id: a, groups: [" + "'${A}'," * 90_000 + "]}",
        "tests:\n- {id: a, groups: [" + "&a '${A}'," + "*a," * 90_000 + "]}",
        "tests:\n" + "".join(f"- {{id: a, name: '${{N{n}:-x}}'}}\n" for n in range(25_000)),
        "tests:\n" + "".join(f"- {{id: a, name: '${{{'N_' * 25_000}{n}:-x}}'}}\n" for n in range(70)),
        "tests:\n" + "".join(f"- {{id: a, name: '${{{'nN' * 25_000}{n}:-x}}'}}\n" for n in range(70)),
    ],
    ids=["groups", "aliases of a group", "names", "long names", "long names in camel case"],
)
def test_many_references_take_bounded_time(text: str) -> None:
    """Each reference is compared with the secret rules and with allow-env."""

    def load() -> None:
        with suppress(InputError):
            read_manifest(text, {"A": "x"}, allowed=("N*_*N*[0-9]", "A", "*?*?*?Z"))

    assert measure_processor_seconds(load, MAX_CPU_SECONDS) < MAX_CPU_SECONDS


def test_error_list_stops_at_1000() -> None:
    """After 1,000 errors, one line says that there are more."""
    errors = collect_errors("tests: [" + "é," * 2000 + "]")
    assert len(errors) == 1001
    assert errors[0] == "too many problems: only the first 1,000 are listed."


def test_matrix_limit_is_1000_combinations() -> None:
    """A larger matrix is an error with its position."""
    axis = "[" + "x," * 10 + "]"
    assert len(read_manifest(f"tests:\n- id: a\n  matrix: {{A: {axis}, B: {axis}, C: {axis}}}").tests) == 1
    assert collect_errors(f"tests:\n- id: a\n  matrix: {{A: {axis}, B: {axis}, C: {axis}, D: [x, y]}}") == [
        "3:3: more than 1,000 combinations. Split the matrix."
    ]
