"""Plans, reports and errors hide values from `${NAME}`, except in ids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.models import BuildContext, RunResult
from autonoma_ci.planning import plan
from autonoma_ci.reports.results_json import render_results_json
from tests.support.manifest_reader import collect_errors, read_manifest
from tests.support.reports import create_report

if TYPE_CHECKING:
    from autonoma_ci.manifest.schema import Manifest

CONTEXT = BuildContext("github", branch="feature/cart", change_number="7")


def read_label(name: str, environ: dict[str, str]) -> str:
    """Return the name in reports of a run with this name in the manifest."""
    manifest = read_manifest(f"tests: [{{id: a, name: {json.dumps(name)}}}]", environ, CONTEXT)
    return plan.build_plan(Settings(), manifest).requests[0].display_name


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Pays on ${BRANCH}", "Pays on ${BRANCH}"),
        ("${BRANCH}${BRANCH:-main} and ${UNSET:-main}", "${BRANCH}${BRANCH} and ${UNSET}"),
        ("${BRANCH:?it is needed}", "${BRANCH}"),
        ("Change ${ci.change} of ${ci.branch}, ${ci.sha:-no commit}", "Change 7 of feature/cart, no commit"),
        ("${ci.branch} on ${BRANCH}", "feature/cart on ${BRANCH}"),
        ("Costs $$5, $${BRANCH}", "Costs $5, ${BRANCH}"),
        ("No reference", "No reference"),
    ],
)
def test_name_shows_reference(name: str, label: str) -> None:
    """A name shows `${NAME}` in place of the value, without its default, and facts of the build filled in."""
    assert read_label(name, {"BRANCH": "sentinel"}) == label


@pytest.mark.parametrize("kind", ["tests", "folders", "tags"])
def test_entry_names_show_reference(kind: str) -> None:
    """Aliases and merge keys show the reference too."""
    text = f"x: &n {{name: '${{A}}'}}\n{kind}: [{{id: a, <<: *n}}, {{id: b, name: &v '${{A}}'}}, {{id: c, name: *v}}]"
    assert collect_errors(text, {"A": "sentinel"}) == [
        (
            "1:1: unknown key: 'x'. Use always, application_versions, defaults, environments, folders, groups, "
            "run_on_latest, tags, tests, version, or the prefix 'x-' for an ignored key."
        )
    ]
    text = f"{kind}:\n- &n {{id: a, name: &v '${{A}}'}}\n- {{<<: *n, id: b}}\n- {{id: c, name: *v}}"
    requests = plan.build_plan(Settings(), read_manifest(text, {"A": "sentinel"})).requests
    assert [(run.id, run.name) for run in requests] == [("a", "${A}"), ("b", "${A}"), ("c", "${A}")]


def test_variables_named_like_keys_are_sent() -> None:
    """Only the name of an entry shows the reference in place of the value."""
    text = "tests: [{id: a, variables: {name: '${A}', groups: '${A}'}, matrix: {id: ['${A}']}}]"
    (run,) = plan.build_plan(Settings(), read_manifest(text, {"A": "value"})).requests
    assert run.variables == {"name": "value", "groups": "value", "id": "value"}


GROUPS = "tests: [{id: a, groups: ['${TEAM}', smoke]}, {id: b, groups: ['x-${TEAM:-none}-${ci.change}']}, {id: c}]"


def read_groups_manifest() -> Manifest:
    """Return a manifest whose groups come from the environment."""
    return read_manifest(GROUPS, {"TEAM": "sentinel"}, CONTEXT)


@pytest.mark.parametrize(("group", "ids"), [("sentinel", ["a"]), ("smoke", ["a"]), ("x-sentinel-7", ["b"])])
def test_groups_option_matches_values(group: str, ids: list[str]) -> None:
    """The option `groups` compares the values, although reports show the references."""
    assert [run.id for run in plan.build_plan(Settings(groups=(group,)), read_groups_manifest()).requests] == ids


@pytest.mark.parametrize("kind", ["tests", "folders", "tags"])
def test_groups_option_matches_each_kind(kind: str) -> None:
    """Tests, folders and tags can have groups from the environment."""
    manifest = read_manifest(f"{kind}: [{{id: a, groups: ['${{TEAM}}']}}, {{id: b}}]", {"TEAM": "sentinel"})
    assert [run.id for run in plan.build_plan(Settings(groups=("sentinel",)), manifest).requests] == ["a"]


@pytest.mark.parametrize("group", ["sentine", "sentinell", "Sentinel", "${TEAM}", "x-sentinel-8", "other"])
def test_unknown_group_error_hides_values(group: str) -> None:
    """Neither the list of groups nor a suggestion reveals a value."""
    with pytest.raises(InputError) as error:
        plan.build_plan(Settings(groups=(group,)), read_groups_manifest())
    assert "sentinel" not in str(error.value).replace(f"'{group}'", "")
    with pytest.raises(InputError, match=r"Known groups: \$\{TEAM\}, smoke, x-\$\{TEAM\}-7"):
        plan.build_plan(Settings(groups=("other",)), read_groups_manifest())


def test_group_written_in_manifest_is_shown() -> None:
    """A group that the manifest also contains as text is shown, even if it is the value of a variable."""
    manifest = read_manifest("tests: [{id: a, groups: ['${TEAM}']}, {id: b, groups: [web]}]", {"TEAM": "web"})
    assert len(plan.build_plan(Settings(groups=("web",)), manifest).requests) == 2
    with pytest.raises(InputError, match=r"Known groups: \$\{TEAM\}, web"):
        plan.build_plan(Settings(groups=("zzz",)), manifest)


def test_plan_collects_secret_texts() -> None:
    """The plan collects values of the environment, without ids, build facts and defaults."""
    text = (
        "defaults: {variables: {X: 'a ${A:-no}', Y: '${ci.branch}${UNSET:-no}'}}\n"
        "tests: [{id: '${I}', name: '${N}', groups: ['g${G}'], matrix: {M: ['${M}-${ci.change}', '${EMPTY}']}}]"
    )
    environ = {"A": "sentinel-a", "I": "sentinel-i", "N": "sentinel-n", "G": "sentinel-g", "M": "sentinel-m"}
    built_plan = plan.build_plan(Settings(), read_manifest(text, {**environ, "EMPTY": ""}, CONTEXT))
    assert [text.reveal() for text in built_plan.environment_texts] == [
        "sentinel-a",
        "sentinel-g",
        "sentinel-m",
        "sentinel-n",
    ]
    assert "sentinel-a" not in repr(built_plan)


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        ("${ci.branch}", {"feature/cart"}),
        ("${ci.branch}${ci.change:-none}", {"feature/cart7"}),
        ("x${ci.branch}", set()),
        ("${ci.sha:-none}", set()),
        ("${A}", set()),
        ("$$", set()),
    ],
)
def test_build_facts_are_not_secret(value: str, facts: set[str]) -> None:
    """A build fact is secret only if the same text has another source."""
    text = f"tests: [{{id: a, variables: {{V: '{value}'}}}}"
    environ = {"A": "feature/cart"}
    assert plan.build_plan(Settings(), read_manifest(f"{text}]", environ, CONTEXT)).fact_values == facts
    for other_source in ("feature/cart", "${A}"):
        text_with_other_source = f"{text}, {{id: b, matrix: {{M: ['{other_source}', feature/cart7]}}}}]"
        assert plan.build_plan(Settings(), read_manifest(text_with_other_source, environ, CONTEXT)).fact_values == set()
    options = Settings(variables={f"F{number}": fact for number, fact in enumerate(facts)})
    assert plan.build_plan(options, read_manifest(f"{text}]", environ, CONTEXT)).fact_values == set()


def test_manifest_repr_hides_values() -> None:
    """The repr of a manifest, which tracebacks print, shows no values."""
    text = "tests: [{id: a, name: '${A}', groups: ['${A}'], variables: {V: '${A}'}, matrix: {M: ['${A}']}}]"
    assert "sentinel" not in f"{read_manifest(text, {'A': 'sentinel'})!r} {read_manifest(text, {'A': 'sentinel'})}"


# No other text has eight of these characters in a row.
VALUES = st.text("QXZ\u2028\x85\t <&'\"$`{}%\\", min_size=8, max_size=30)
REFERENCES = st.sampled_from(["${A}", "${B:-d}", "${A:?why}", "${B}-${A}", "x${A}y", "$$${B}", "${ci.branch} ${A}"])
MISTAKES = (
    *("nmae: ${A}", "id: ${A}", "id: x/${A}", "groups: ${A}", "variables: [ '${A}' ]", "matrix: { V: '${A}' }"),
    *(
        "variables: { 'V=': '${A}' }",
        "matrix: { V: [ ] }",
        "name: [ '${A}' ]",
        "x: ${NOPE}",
        "name: ${A",
        "version: ${A}",
    ),
    *(
        "groups: [ [ '${B}' ] ]",
        "application_version_id: ${A}",
        "id: $A",
        "name: '${A B}'",
        "groups: [ '${A}${B}${A}' ]",
    ),
)


def write_entry(number: int, name: str, group: str, value: str, mistake: str) -> str:
    """Return an entry of a manifest whose mistake replaces one key or adds one."""
    fields = {"id": f"t{number}", "name": json.dumps(name), "groups": json.dumps([group])}
    fields |= {"variables": json.dumps({"V": value}), "matrix": json.dumps({"M": [name, "x", group]})}
    key, _, text = mistake.partition(": ")
    fields |= {key: text} if mistake else {}
    return "- " + "\n  ".join(f"{name}: {text}" for name, text in fields.items())


@settings(deadline=None)
@given(
    st.lists(st.tuples(REFERENCES, REFERENCES, REFERENCES, st.just("") | st.sampled_from(MISTAKES)), max_size=4),
    VALUES,
    VALUES,
)
@example([("${A}", "${A}", "${A}", "")], "QXZQXZQXZ", "ZXQZXQZXQ")
@example([("${A}", "${A}", "${A}", mistake) for mistake in MISTAKES], "QXZQXZQXZ", "ZXQZXQZXQ")
def test_no_text_shows_value(entries: list[tuple[str, str, str, str]], first_value: str, second_value: str) -> None:
    """Plans, errors, labels, groups and results.json have no eight characters of a value."""
    text = "\n".join(["tests:", *(write_entry(number, *entry) for number, entry in enumerate(entries)), "- last"])
    texts = []
    try:
        manifest = read_manifest(text, {"A": first_value, "B": second_value}, CONTEXT)
        texts += [repr(manifest), *(group for entry in manifest.entries for group in entry.groups)]
        built_plan = plan.build_plan(Settings(), manifest)
        run_results = tuple(map(RunResult, built_plan.requests))
        texts += [
            *built_plan.format_lines(),
            *built_plan.notes,
            *map(repr, built_plan.requests),
            *(run.display_name for run in run_results),
        ]
        texts += [json.dumps(render_results_json(create_report()._replace(results=run_results)), ensure_ascii=False)]
        plan.build_plan(Settings(groups=("d-dddddddd",)), manifest)
    except InputError as error:
        texts += [problem.message for problem in error.diagnostics]
    shown_text = "\n".join(texts)
    parts = {value[start : start + 8] for value in (first_value, second_value) for start in range(len(value) - 7)}
    assert not [
        part
        for part in parts
        if part in shown_text or (len(sanitize_line(part)) == 8 and sanitize_line(part) in shown_text)
    ]
