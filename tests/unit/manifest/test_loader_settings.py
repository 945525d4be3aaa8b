"""Tests of environments, groups and other settings of the manifest."""

from __future__ import annotations

import pathlib
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.ci.detection import all_secret_variables
from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import MAX_LABEL_CHARS, BuildContext
from tests.support.manifest_reader import TODAY, collect_errors, read_manifest

CONTEXT = BuildContext("github", branch="feature/Cart", change_number="7")
ENVIRONMENTS = """
environments:
  staging: { default: true, variables: { URL: 'https://${HOST}', BRANCH: '${ci.branch}' } }
  preview:
    variables: { URL: 'https://pr-${ci.change}.example.com', TENANT: '${TENANT}' }
    wait_for_url: https://pr-${ci.change}.example.com/health
  live: {}
tests: [a]
"""


def test_default_environment_is_selected() -> None:
    """Without the option, the environment with `default: true` applies."""
    manifest = read_manifest(ENVIRONMENTS, {"HOST": "h.example"}, CONTEXT)
    assert manifest.selected_environment
    name, environment = manifest.selected_environment
    assert (name, environment.variables) == (
        "staging",
        {"URL": "https://h.example", "BRANCH": "feature/Cart"},
    )
    assert manifest.environment_texts == {"h.example"}
    assert manifest.fact_values == {"feature/Cart"}
    assert manifest.build_facts == (("branch", "feature/Cart"),)


def test_option_selects_environment() -> None:
    """The facts and variables of the other environments are not needed."""
    manifest = read_manifest(ENVIRONMENTS, {"TENANT": "acme"}, CONTEXT, environment="preview")
    assert manifest.selected_environment
    name, environment = manifest.selected_environment
    assert (name, environment.wait_for_url) == ("preview", "https://pr-7.example.com/health")
    assert environment.variables == {"URL": "https://pr-7.example.com", "TENANT": "acme"}
    assert manifest.environment_texts == {"acme"}


def test_inserted_facts_are_listed_by_field() -> None:
    """The slug comes from the branch, and a default counts only where it is inserted."""
    text = (
        "tests: [{id: a, variables: {A: '${ci.branch_slug}', B: '${ci.sha:-${ci.change}}', C: '${NO:-${ci.change}}'}}]"
    )
    context = CONTEXT._replace(sha="")
    assert read_manifest(text, {}, context).build_facts == (("branch", "feature/Cart"), ("change_number", "7"))


def test_environment_without_settings_is_valid() -> None:
    """Its variables are those of the defaults."""
    manifest = read_manifest(ENVIRONMENTS, {}, environment="live")
    assert manifest.selected_environment
    assert manifest.selected_environment[0] == "live"


@pytest.mark.parametrize("name", ["other", "Staging"])
def test_unknown_environment_selects_none(name: str) -> None:
    """The plan reports the unknown name."""
    assert read_manifest(ENVIRONMENTS, {}, environment=name).selected_environment is None


def test_no_default_selects_none() -> None:
    """Without the option and without a default, no environment applies."""
    manifest = read_manifest("environments: {a: {variables: {A: '${UNSET}'}}}\ntests: [a]")
    assert manifest.selected_environment is None


def test_selected_environment_needs_its_variables() -> None:
    """An unset variable or an unknown fact of the selected environment is an error."""
    errors = collect_errors(ENVIRONMENTS, {}, environment="preview")
    assert [error.partition(": ")[2] for error in errors] == [
        "${ci.change} is unknown in this job. Set the option change, or write ${ci.change:-default}.",
        "${TENANT} is not set. Set it, or write ${TENANT:-default}.",
        "${ci.change} is unknown in this job. Set the option change, or write ${ci.change:-default}.",
    ]


def test_other_environment_has_valid_references() -> None:
    """An invalid reference is an error in each environment, also in one that is not selected."""
    text = "environments: {a: {variables: {A: $x}, wait_for_url: 'https://${{ x }}'}, b: {variables: {B: '${'}}}"
    assert len(collect_errors(f"{text}\ntests: [a]", environment="b")) == 3


def test_validate_checks_all_environments(tmp_path: object) -> None:
    """The command `validate` needs the variables of all environments, but no facts."""
    folder = str(tmp_path)
    with pathlib.Path(f"{folder}/m.yml").open("w", encoding="utf-8") as file:
        file.write(ENVIRONMENTS)
    interpolator = Interpolator({"HOST": "h"}, BuildContext(), all_secret_variables(), validate_only=True)
    with pytest.raises(InputError) as raised:
        load_manifest("m.yml", str(tmp_path), interpolator, TODAY)
    assert [diagnostic.message for diagnostic in raised.value.diagnostics] == [
        "${TENANT} is not set. Set it, or write ${TENANT:-default}."
    ]


@pytest.mark.parametrize("name", ["variables", "matrix", "groups", "wait_for_url", "default"])
def test_name_may_equal_key(name: str) -> None:
    """The name of an environment or of a group has no meaning of its own."""
    text = f"environments: {{{name}: {{variables: {{A: '${{A}}'}}, wait_for_url: 'https://x.example'}}}}"
    manifest = read_manifest(
        f"groups: {{{name}: {{default: false}}}}\n{text}\ntests: [a]", {"A": "value"}, environment=name
    )
    assert manifest.selected_environment
    assert manifest.selected_environment[1].variables == {"A": "value"}
    assert manifest.selected_environment[1].wait_for_url == "https://x.example"
    assert manifest.groups[name].default == "false"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://${HOST}/", "${HOST} is not allowed in 'wait_for_url'. Use facts such as ${ci.change}."),
        ("https://x/${ci.change:-${B}}${A}", "${A} is not allowed in 'wait_for_url'. Use facts such as ${ci.change}."),
        (
            "https://${ci.branch}.example.com",
            "${ci.branch} is not one label of a host name in this job. Use ${ci.branch_slug} in a host.",
        ),
        (
            "${ci.deployment_url}",
            "'wait_for_url' holds credentials before the host. Remove them, because logs show this URL.",
        ),
        (
            "https://user:password@example.com",
            "'wait_for_url' holds credentials before the host. Remove them, because logs show this URL.",
        ),
    ],
)
def test_wrong_wait_for_url_is_one_error(url: str, error: str) -> None:
    """A fact can neither add credentials nor change the host, and an environment variable is no part of the URL."""
    context = BuildContext(branch="a.evil.com/", change_number="7", deployment_url="https://user:pw@example.com")
    text = f"environments: {{e: {{default: true, wait_for_url: '{url}'}}}}\ntests: [a]"
    assert [e.partition(": ")[2] for e in collect_errors(text, {"HOST": "h", "A": "a", "B": "b"}, context)] == [error]


@given(st.text())
def test_branch_slug_is_label(branch: str) -> None:
    """The slug is empty or a valid label in lower case, with the letters and digits of the branch."""
    slug = BuildContext(branch=branch).branch_slug
    assert len(slug) <= MAX_LABEL_CHARS
    assert slug == slug.strip("-").lower()
    assert all(c.isascii() and (c.isalnum() or c == "-") for c in slug)


@pytest.mark.parametrize(
    ("branch", "slug"),
    [
        ("feature/Add_Cart", "feature-add-cart"),
        ("--a..b--", "a--b"),
        ("é/\u212a", ""),
        ("x" * 62 + "/y", "x" * 62),
        ("1.10", "1-10"),
    ],
)
def test_branch_slug_has_form_of_gitlab(branch: str, slug: str) -> None:
    """Other characters become hyphens, and the ends have none."""
    assert BuildContext(branch=branch).branch_slug == slug


def test_unknown_slug_names_option() -> None:
    """A branch without letters and digits has no slug."""
    (error,) = collect_errors("tests: [{id: a, name: '${ci.branch_slug}'}]", {}, BuildContext(branch="--"))
    assert "${ci.branch_slug} is unknown in this job. Set the option branch," in error


@pytest.mark.parametrize("key", ["owner: '%s'", "quarantine: {until: 2026-12-31, reason: '%s'}"])
def test_shown_text_shows_reference(key: str) -> None:
    """A text about an entry shows `${NAME}` in place of the value."""
    text = "tests: [{id: a, " + key % "${TEAM} of ${ci.branch}" + "}]"
    manifest = read_manifest(text, {"TEAM": "sentinel"}, CONTEXT)
    assert "${TEAM} of feature/Cart" in repr(manifest.tests[0])
    assert "sentinel" not in repr(manifest)
    assert manifest.environment_texts == {"sentinel"}


def test_issue_shows_reference() -> None:
    """The link of a quarantine shows `${NAME}` too."""
    text = "tests: [{id: a, quarantine: {until: 2026-12-31, reason: late, issue: 'https://x/${ID}'}}]"
    quarantine = read_manifest(text, {"ID": "sentinel"}).tests[0].quarantine
    assert quarantine
    assert (quarantine.issue, quarantine.until) == ("https://x/${ID}", date(2026, 12, 31))


def test_patterns_are_literal() -> None:
    """A dollar sign without a brace is a part of a file name."""
    text = "always: $$a\ntests: [{id: a, when: {changed: [$id.tsx, 'routes/$', '!$x']}}]"
    manifest = read_manifest(text, {"id": "value"})
    assert manifest.always == ["$$a"]
    assert manifest.tests[0].when
    assert manifest.tests[0].when.changed == ["$id.tsx", "routes/$", "!$x"]


@pytest.mark.parametrize(("days", "is_valid"), [(-4000, True), (0, True), (90, True), (91, False), (200, False)])
def test_quarantine_has_90_days_at_most(days: int, *, is_valid: bool) -> None:
    """A date in the past is valid, because the entry then counts again."""
    until = TODAY + timedelta(days)
    text = f"folders: [{{id: a, quarantine: {{until: {until}, reason: late}}}}]"
    if is_valid:
        quarantine = read_manifest(text).folders[0].quarantine
        assert quarantine
        assert quarantine.until == until
    else:
        assert collect_errors(text) == [f"1:32: 'until': more than 90 days ahead: {until}. Use 2027-01-30 or earlier."]


@pytest.mark.parametrize(
    "text", ["20261231", "2026-W01-1", "2026-12-31T00:00:00Z", "2026-13-01", "31.12.2026", "\u0662026-12-31", "${A}"]
)
def test_other_form_of_date_is_error(text: str) -> None:
    """The only form is YYYY-MM-DD, and no reference is replaced."""
    errors = collect_errors(f"tags: [{{id: a, quarantine: {{until: '{text}', reason: late}}}}]", {"A": "2026-12-31"})
    assert errors == [f"1:29: 'until': invalid date: '{text}'. Write it as YYYY-MM-DD, such as 2026-12-01."]


def test_matrix_states_literal_values() -> None:
    """A value with a reference is not stated, and neither is a value of another test."""
    text = "tests: [{id: a, matrix: {L: [en, '${A}', $$], B: x}}, {id: b, matrix: {L: ['${A}']}}]"
    manifest = read_manifest(text, {"A": "fr"})
    first, second = manifest.tests
    assert [manifest.is_literal_value(first, "L", place) for place in range(4)] == [True, False, False, False]
    assert manifest.is_literal_value(first, "B", 0)
    assert not manifest.is_literal_value(second, "L", 0)
