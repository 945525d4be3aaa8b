"""Interpolation of environment variables and build facts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.detection import all_secret_variables
from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import (
    CI_FIELDS,
    MAX_TEXT_CHARS,
    MAX_VALUE_PARTS,
    HiddenValues,
    Interpolator,
    find_reference_names,
)
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import BuildContext
from autonoma_ci.yaml_subset.document import LimitExceededError
from autonoma_ci.yaml_subset.parser import parse_yaml
from tests.support.manifest_reader import TODAY

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = BuildContext("github", "a" * 40, "main", "7", "o/r", "https://ci.example/1", "https://pr-7.example")
ENVIRON = {"NAME": "value", "EMPTY": "", "DB_PASSWORD": "p", "USER_TOKEN": "t"}


def interpolate(text: str, folder: Path, *, context: BuildContext = CONTEXT, validate_only: bool = False) -> str:
    """Return the interpolated value of a variable."""
    (folder / "m.yml").write_text(f"tests:\n  - id: a\n    variables:\n      V: '{text}'\n", "utf-8")
    manifest = load_manifest(
        "m.yml", str(folder), Interpolator(ENVIRON, context, all_secret_variables(), validate_only), TODAY
    )
    return manifest.tests[0].variables["V"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NAME}", "value"),
        ("a${NAME}b${NAME}", "avaluebvalue"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${NOPE:-d e:f}", "d e:f"),
        ("${NOPE:-}", ""),
        ("${NAME:?must be set}", "value"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$${NAME}", "$${NAME}"),
        ("${ci.sha}", "a" * 40),
        ("${ci.change:-main}", "7"),
        ("no dollar", "no dollar"),
    ],
)
def test_reference_is_replaced(text: str, expected: str, tmp_path: Path) -> None:
    """A reference is replaced by its value or default, and `$$` by a dollar sign."""
    assert interpolate(text, tmp_path) == expected


@pytest.mark.parametrize("fact", CI_FIELDS)
def test_build_facts_have_names(fact: str, tmp_path: Path) -> None:
    """Each field of the build context has a name in `${ci.*}`."""
    assert interpolate(f"${{ci.{fact}}}", tmp_path) == getattr(CONTEXT, CI_FIELDS[fact])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NOPE}", "${NOPE} is not set. Set it, or write ${NOPE:-default}"),
        ("${NOPE:?it names the build}", "${NOPE}: it names the build"),
        ("${EMPTY:?}", "${EMPTY}: must be set"),
        ("${ci.brnch}", "unknown build fact: '${ci.brnch}'. Did you mean '${ci.branch}'?"),
        ("${ci.nothing}", "Use one of: sha, branch"),
        ("$NAME", "Write ${NAME} for a variable, or $$ for a dollar sign"),
        ("costs 5$", "Write ${NAME} for a variable, or $$ for a dollar sign"),
        ("${NAME", "Write ${NAME} for a variable, or $$ for a dollar sign"),
        ("${}", "Write ${NAME} for a variable, or $$ for a dollar sign"),
        ("${A:-$}", "Write ${NAME} for a variable, or $$ for a dollar sign"),
        ("${NAME:=x}", "Write ${NAME} for a variable, or $$ for a dollar sign"),
    ],
)
def test_invalid_reference_has_position(text: str, message: str, tmp_path: Path) -> None:
    """An error about a reference has the position of its value."""
    with pytest.raises(InputError) as error_info:
        interpolate(text, tmp_path)
    assert str(error_info.value).startswith("m.yml:4:7: ")
    assert message in str(error_info.value)


def test_long_texts_in_errors_are_shortened(tmp_path: Path) -> None:
    """Errors show at most 200 characters of a reason and 40 of a name."""
    for length, shortened in ((200, "w" * 200), (201, "w" * 199 + "…")):
        with pytest.raises(InputError) as error_info:
            interpolate(f"${{NOPE:?{'w' * length}}}", tmp_path)
        assert [problem.message for problem in error_info.value.diagnostics] == [f"${{NOPE}}: {shortened}"]
    for length, shortened in ((40, "f" * 40), (41, "f" * 39 + "…")):
        with pytest.raises(InputError) as error_info:
            interpolate(f"${{ci.{'f' * length}}}", tmp_path)
        assert error_info.value.diagnostics[0].message.startswith(f"unknown build fact: '${{ci.{shortened}}}'. ")


def test_invalid_name_is_hidden_in_values() -> None:
    """An invalid reference in a variable can hold a part of a secret."""

    def collect_messages(key: str, text: str) -> list[str]:
        document = parse_yaml(f"{key}: '{text}'", "m.yml")
        Interpolator({}, CONTEXT).apply(document)
        return [problem.message for problem in document.errors]

    advice = "is invalid. Write ${NAME} for a variable, or $$ for a dollar sign."
    assert collect_messages("name", "${a b}") == [f"'${{a b}}' {advice}"]
    assert collect_messages("name", "${" + "-" * 57 + "}") == [f"'${{{'-' * 57}}}' {advice}"]
    assert collect_messages("name", "${" + "-" * 58 + "}") == [f"'${{{'-' * 57}…' {advice}"]
    assert collect_messages("variables", "${s-x}") == [f"'${{' {advice}"]
    # A list is expected here, and names of entries are shown.
    assert collect_messages("tests:\n  variables:\n    name", "${s-x}") == [f"'${{' {advice}"]


def test_reference_limit_counts_places() -> None:
    """One reference more than the limit is an error."""

    def collect_messages(part_count: int) -> list[str]:
        full_values, remaining_parts = divmod(part_count, 30_000)
        document = parse_yaml(
            "".join(f"a{n}: '{n}{'$$' * 30_000}'\n" for n in range(full_values)) + f"b: '{'$$' * remaining_parts}'", ""
        )
        with suppress(LimitExceededError):
            Interpolator({}, CONTEXT).apply(document)
        return [f"{p.line}:{p.column} {p.message}" for p in document.errors]

    assert collect_messages(MAX_VALUE_PARTS) == []
    assert collect_messages(MAX_VALUE_PARTS + 1) == [
        "4:1 too many ${...} or too long values. Use fewer ${...} or shorter values."
    ]


@pytest.mark.slow
def test_reference_limit_counts_characters() -> None:
    """One character more than the limit is an error."""

    def collect_messages(length: int) -> list[str]:
        document = parse_yaml("a: ${HALF}\nb: [x, '${HALF}${REST}']", "")
        environ = {"HALF": "x" * (MAX_TEXT_CHARS // 2), "REST": "x" * (length - MAX_TEXT_CHARS)}
        with suppress(LimitExceededError):
            Interpolator(environ, CONTEXT).apply(document)
        return [f"{p.line}:{p.column} {p.message}" for p in document.errors]

    assert collect_messages(MAX_TEXT_CHARS) == []
    assert collect_messages(MAX_TEXT_CHARS + 1) == [
        "2:8 too many ${...} or too long values. Use fewer ${...} or shorter values."
    ]


def test_alias_is_interpolated_once() -> None:
    """A value with many aliases counts once toward the limit."""
    document = parse_yaml(f"a: &a '{'$$' * 30_000}'\nb: [{'*a, ' * 10}]", "")
    Interpolator({}, CONTEXT).apply(document)
    assert document.tree == {"a": "$" * 30_000, "b": ["$" * 30_000] * 10}


@pytest.mark.parametrize(
    ("fact", "advice"),
    [
        ("sha", "Set the option sha, or write ${ci.sha:-default}"),
        ("branch", "Set the option branch, or write ${ci.branch:-default}"),
        ("change", "Set the option change, or write ${ci.change:-default}"),
        ("repository", "Run in a CI system, or write ${ci.repository:-default}"),
    ],
)
def test_unknown_fact_names_its_option(fact: str, advice: str, tmp_path: Path) -> None:
    """Only some facts have an option."""
    with pytest.raises(InputError) as error_info:
        interpolate(f"${{ci.{fact}}}", tmp_path, context=BuildContext())
    assert f"${{ci.{fact}}} is unknown in this job. {advice}" in str(error_info.value)


def test_unknown_fact_fails_in_run_only(tmp_path: Path) -> None:
    """A build fact that only CI knows is an error in a run, but not in a check."""
    with pytest.raises(InputError, match="is unknown in this job"):
        interpolate("${ci.change}", tmp_path, context=BuildContext())
    assert interpolate("${ci.change}", tmp_path, context=BuildContext(), validate_only=True) == "unknown"


@pytest.mark.parametrize(
    "name",
    [
        "AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET", "INPUT_CLIENT_SECRET", "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN",
        "github_token", "Autonoma_Client_Secret",  # the same variables on Windows
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CI_JOB_TOKEN", "CI_REPOSITORY_URL", "SYSTEM_ACCESSTOKEN",
        "BUILDKITE_AGENT_ACCESS_TOKEN", "CIRCLE_OIDC_TOKEN", "SEMAPHORE_OIDC_TOKEN", "AWS_SECRET_ACCESS_KEY",
    ],
)  # fmt: skip
def test_job_credentials_are_rejected(name: str, tmp_path: Path) -> None:
    """The manifest cannot read a credential of any CI system."""
    for text in (f"${{{name}}}", f"${{{name}:-x}}"):
        with pytest.raises(InputError, match="contains a credential of this job"):
            interpolate(text, tmp_path)


@pytest.mark.parametrize("name", ["DB_PASSWORD", "USER_TOKEN", "MY_API_KEY"])
def test_secret_is_rejected_in_names(name: str, tmp_path: Path) -> None:
    """Logs show names, and the author of a manifest chooses them."""
    (tmp_path / "m.yml").write_text(f"tests: [{{id: a, name: '${{{name}}}'}}]", "utf-8")
    with pytest.raises(InputError, match="looks like a secret"):
        load_manifest("m.yml", str(tmp_path), Interpolator({name: "x"}, CONTEXT), TODAY)


def test_keys_are_not_interpolated(tmp_path: Path) -> None:
    """A reference in a key of a mapping stays as it is."""
    (tmp_path / "m.yml").write_text("tests: [{id: a, variables: {'${NAME}': x}}]", "utf-8")
    manifest = load_manifest("m.yml", str(tmp_path), Interpolator(ENVIRON, CONTEXT), TODAY)
    assert manifest.tests[0].variables == {"${NAME}": "x"}


def test_only_known_fact_is_set() -> None:
    """A fact without a value and an unknown fact are not set."""
    interpolator = Interpolator({"NAME": "value", "EMPTY": ""}, BuildContext(branch="main"))
    assert [name for name in ("ci.branch", "ci.sha", "ci.nope", "ci.", "NAME", "EMPTY", "NOPE")
            if interpolator.is_set(name)] == ["ci.branch", "NAME"]  # fmt: skip


def test_unknown_fact_uses_default(tmp_path: Path) -> None:
    """The default also applies to an unknown name."""
    assert interpolate("${ci.nope:-none}", tmp_path) == "none"


def test_names_of_variables_have_no_facts() -> None:
    """The names of the environment variables in a text have no names of facts."""
    assert find_reference_names("${ci.sha} ${NAME:-${OTHER}} $${NOT}") >= {"NAME"}
    assert not [name for name in find_reference_names("${ci.sha} ${NAME}") if name.startswith("ci.")]


@pytest.mark.parametrize(
    ("value", "is_refused"), [("sentinel", True), ("x-sentinel-7", True), ("sentine", False), ("short-1", False)]
)
def test_id_holds_no_value_of_option_variables(value: str, is_refused: bool) -> None:
    """Logs show ids. Values of fewer than eight characters occur in ids by chance."""
    interpolator = Interpolator({"ID": value}, CONTEXT, variables=HiddenValues(["sentinel", "short-1"]))
    document = parse_yaml("tests: [{id: '${ID}'}]", "")
    interpolator.apply(document)
    assert [problem.message for problem in document.errors] == [
        "${ID} contains a value of the option variables, but ids are shown in logs. Use another value."
    ] * is_refused
