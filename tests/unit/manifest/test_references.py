"""References `${...}` in a text, also nested in defaults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.references import MAX_REFERENCE_DEPTH, Reference, iter_reference_names, parse_references
from autonoma_ci.models import BuildContext
from autonoma_ci.yaml_subset.document import Document
from tests.support.processor_time import measure_processor_seconds


def interpolate(text: str, **environ: str) -> tuple[str | None, list[str]]:
    """Return the interpolated value of a variable and its errors."""
    document = Document("", {"variables": text})
    Interpolator(environ, BuildContext(branch="main")).apply(document)
    assert isinstance(document.tree, dict)
    value = document.tree["variables"]
    assert isinstance(value, str)
    return (None if document.errors else value), [problem.message for problem in document.errors]


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("${A:-${B:-x}}", {}, "x"),
        ("${A:-${B:-x}}", {"B": "b"}, "b"),
        ("${A:-${B:-x}}", {"A": "a", "B": "b"}, "a"),
        ("${A:-${B:-${C}}}", {"C": "c"}, "c"),
        ("${A:-${ci.branch}}", {}, "main"),
        ("${ci.change:-${ci.branch}}", {}, "main"),
        ("https://${HOST:-pr-${NUMBER:-0}.example.com}/x", {"NUMBER": "7"}, "https://pr-7.example.com/x"),
        ("${A:-$$5}", {}, "$5"),
        ("${A:-a}b}", {}, "ab}"),
        ("${A:-{}}", {}, "{}"),
        ("{${A:-x}}", {}, "{x}"),
        ("${A:-}${B:-}", {"B": "b"}, "b"),
        # An unused reference needs no value.
        ("${A:-${UNSET}}", {"A": "a"}, "a"),
    ],
)
def test_nested_default_is_used(text: str, environ: dict[str, str], value: str) -> None:
    """A default can contain references, which are read only if it is used."""
    assert interpolate(text, **environ) == (value, [])


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        ("${A:-${B}}", {}, "${B} is not set. Set it, or write ${B:-default}."),
        ("${A:-$5}", {}, "'$' is invalid. Write ${NAME} for a variable, or $$ for a dollar sign."),
        ("${A:-${B:?give it}}", {}, "${B}: give it"),
        ("${A:-${B}", {"B": "b"}, "'${' is invalid. Write ${NAME} for a variable, or $$ for a dollar sign."),
        ("${${A}}", {"A": "B"}, "'${' is invalid. Write ${NAME} for a variable, or $$ for a dollar sign."),
        (
            "${A:-${AUTONOMA_CLIENT_SECRET}}",
            {"AUTONOMA_CLIENT_SECRET": "s"},
            "${AUTONOMA_CLIENT_SECRET} contains a credential of this job. Use another variable.",
        ),
        (
            "${{ vars.URL }}",
            {},
            "'${' is a GitHub expression, which manifests do not support. Set a variable in env, and write ${NAME}.",
        ),
    ],
)
def test_invalid_reference_is_rejected(text: str, environ: dict[str, str], problem: str) -> None:
    """An error in a reference or its default gives no value and one problem."""
    assert interpolate(text, **environ) == (None, [problem])


def test_secret_in_default_needs_allow_env() -> None:
    """A default may read a variable that looks like a secret only with `allow-env`."""
    _, problems = interpolate("${A:-${DB_PASSWORD}}", DB_PASSWORD="correct horse")
    assert problems == ["${DB_PASSWORD} looks like a secret. To allow it, add `allow-env: DB_PASSWORD` to the step."]


def test_default_value_is_hidden() -> None:
    """A name shows the reference, and the result lists missing variables."""
    document = Document("", {"tests": [{"name": "${A:-at ${B}}"}]})
    result = Interpolator({"B": "sentinel"}, BuildContext()).apply(document)
    assert document.tree == {"tests": [{"name": "${A}"}]}
    assert result.environment_texts == {"sentinel"}
    assert result.unresolved_names == {"A"}


def test_names_in_defaults_are_found() -> None:
    """Names are found in texts and defaults, but not in error messages or after `$$`."""
    assert list(iter_reference_names(parse_references("${A:-${B:-${ci.sha}}} ${C:?${D}} $${E}"))) == [
        "A",
        "B",
        "ci.sha",
        "C",
    ]


def test_depth_is_limited() -> None:
    """A reference with too many nested defaults is a problem."""

    def build_nested_reference(levels: int) -> str:
        return "${A:-" * levels + "x" + "}" * levels

    assert interpolate(build_nested_reference(MAX_REFERENCE_DEPTH)) == ("x", [])
    value, [problem] = interpolate(build_nested_reference(MAX_REFERENCE_DEPTH + 2))
    assert value is None
    assert problem == f"'${{' is nested more than {MAX_REFERENCE_DEPTH} levels deep. Use fewer defaults."


@given(st.text("$${}:-?Aa. ci", max_size=60))
def test_any_text_is_split_without_loss(text: str) -> None:
    """The pieces of a text together are the text."""
    pieces = parse_references(text)
    if not any(isinstance(piece, Reference) and piece.error is not None for piece in pieces):
        sources = [piece.source if isinstance(piece, Reference) else piece.replace("$", "$$") for piece in pieces]
        assert "".join(sources) == text


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["${", "}", "${A:-", "{", "$$", "${A:-x}", "$"])
def test_hostile_text_takes_linear_time(piece: str) -> None:
    """No repeated piece of a reference makes parsing slow."""
    # A value of the maximum length takes 0.1 s. Quadratic time would be minutes for this text.
    assert measure_processor_seconds(lambda: parse_references(piece * 100_000), 5.0) < 5.0
