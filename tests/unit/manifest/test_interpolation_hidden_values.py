"""Values from `${NAME}` stay hidden except in ids."""

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
from autonoma_ci.sandbox import Sandbox
from tests.support.invoke_command import invoke
from tests.support.manifest_reader import collect_errors, read_manifest
from tests.support.reports import report
from tests.support.run_step import run_job

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.manifest.schema import Manifest

CONTEXT = BuildContext("github", branch="feature/cart", change_number="7")


def label(name: str, environ: dict[str, str]) -> str:
    """Return the label in reports of a run with this name in the manifest."""
    manifest = read_manifest(f"tests: [{{id: a, name: {json.dumps(name)}}}]", environ, CONTEXT)
    return plan.build_plan(Settings(), manifest).requests[0].display_name


@pytest.mark.parametrize(
    ("name", "shown"),
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
def test_name_shows_reference(name: str, shown: str) -> None:
    """A name shows `${NAME}` in place of the value, without its default, and facts of the build filled in."""
    assert label(name, {"BRANCH": "sentinel"}) == shown


@pytest.mark.parametrize("kind", ["tests", "folders", "tags"])
def test_entry_names_show_reference(kind: str) -> None:
    """Aliases and merge keys show the reference too."""
    text = f"x: &n {{name: '${{A}}'}}\n{kind}: [{{id: a, <<: *n}}, {{id: b, name: &v '${{A}}'}}, {{id: c, name: *v}}]"
    assert collect_errors(text, {"A": "sentinel"}) == [
        (
            "1:1: unknown key 'x': use application_versions, defaults, folders, run_on_latest, tags, tests, version, "
            "or begin it with 'x-' to have it ignored"
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


def grouped() -> Manifest:
    """Return a manifest whose groups come from the environment."""
    return read_manifest(GROUPS, {"TEAM": "sentinel"}, CONTEXT)


@pytest.mark.parametrize(("group", "ids"), [("sentinel", ["a"]), ("smoke", ["a"]), ("x-sentinel-7", ["b"])])
def test_groups_option_matches_values(group: str, ids: list[str]) -> None:
    """Reports show the reference and the option compares the value."""
    assert [run.id for run in plan.build_plan(Settings(groups=(group,)), grouped()).requests] == ids


@pytest.mark.parametrize("group", ["sentine", "sentinell", "Sentinel", "${TEAM}", "x-sentinel-8", "other"])
def test_unknown_group_error_hides_values(group: str) -> None:
    """Neither the list of groups nor a suggestion reveals a value."""
    with pytest.raises(InputError) as refused:
        plan.build_plan(Settings(groups=(group,)), grouped())
    assert "sentinel" not in str(refused.value).replace(f"'{group}'", "")
    with pytest.raises(InputError, match=r"known are: \$\{TEAM\}, smoke, x-\$\{TEAM\}-7"):
        plan.build_plan(Settings(groups=("other",)), grouped())


def test_group_written_in_manifest_is_shown() -> None:
    """A literal text of the manifest is no value, even if a variable has the same text."""
    manifest = read_manifest("tests: [{id: a, groups: ['${TEAM}']}, {id: b, groups: [web]}]", {"TEAM": "web"})
    assert len(plan.build_plan(Settings(groups=("web",)), manifest).requests) == 2
    with pytest.raises(InputError, match=r"known are: \$\{TEAM\}, web"):
        plan.build_plan(Settings(groups=("zzz",)), manifest)


def test_plan_lists_parts_of_values() -> None:
    """Parts are texts of the environment, without ids, build facts and defaults."""
    text = (
        "defaults: {variables: {X: 'a ${A:-no}', Y: '${ci.branch}${UNSET:-no}'}}\n"
        "tests: [{id: '${I}', name: '${N}', groups: ['g${G}'], matrix: {M: ['${M}-${ci.change}', '${EMPTY}']}}]"
    )
    environ = {"A": "sentinel-a", "I": "sentinel-i", "N": "sentinel-n", "G": "sentinel-g", "M": "sentinel-m"}
    made = plan.build_plan(Settings(), read_manifest(text, {**environ, "EMPTY": ""}, CONTEXT))
    assert [part.reveal() for part in made.environment_texts] == [
        "sentinel-a",
        "sentinel-g",
        "sentinel-m",
        "sentinel-n",
    ]
    assert "sentinel-a" not in repr(made)


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
    """The same text from another source is a value."""
    text = f"tests: [{{id: a, variables: {{V: '{value}'}}}}"
    environ = {"A": "feature/cart"}
    assert plan.build_plan(Settings(), read_manifest(f"{text}]", environ, CONTEXT)).fact_values == facts
    for other in ("feature/cart", "${A}"):
        more = f"{text}, {{id: b, matrix: {{M: ['{other}', feature/cart7]}}}}]"
        assert plan.build_plan(Settings(), read_manifest(more, environ, CONTEXT)).fact_values == set()
    options = Settings(variables={f"F{number}": fact for number, fact in enumerate(facts)})
    assert plan.build_plan(options, read_manifest(f"{text}]", environ, CONTEXT)).fact_values == set()


def test_manifest_repr_hides_values() -> None:
    """Tracebacks and debug logs print the repr."""
    text = "tests: [{id: a, name: '${A}', groups: ['${A}'], variables: {V: '${A}'}, matrix: {M: ['${A}']}}]"
    assert "sentinel" not in f"{read_manifest(text, {'A': 'sentinel'})!r} {read_manifest(text, {'A': 'sentinel'})}"


# No other text has eight of these in a row.
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


def written(number: int, name: str, group: str, value: str, mistake: str) -> str:
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
def test_no_text_shows_value(entries: list[tuple[str, str, str, str]], one: str, other: str) -> None:
    """Plans, errors, labels, groups and results.json have no eight characters of a value."""
    text = "\n".join(["tests:", *(written(number, *entry) for number, entry in enumerate(entries)), "- last"])
    texts = []
    try:
        manifest = read_manifest(text, {"A": one, "B": other}, CONTEXT)
        texts += [repr(manifest), *(group for entry in manifest.entries for group in entry.groups)]
        made = plan.build_plan(Settings(), manifest)
        outcomes = tuple(map(RunResult, made.requests))
        texts += [*made.format_lines(), *made.notes, *map(repr, made.requests), *(run.display_name for run in outcomes)]
        texts += [json.dumps(render_results_json(report()._replace(results=outcomes)), ensure_ascii=False)]
        plan.build_plan(Settings(groups=("d-dddddddd",)), manifest)
    except InputError as error:
        texts += [problem.message for problem in error.diagnostics]
    shown = "\n".join(texts)
    parts = {value[place : place + 8] for value in (one, other) for place in range(len(value) - 7)}
    assert not [
        part for part in parts if part in shown or (len(sanitize_line(part)) == 8 and sanitize_line(part) in shown)
    ]


@pytest.mark.slow
def test_job_output_hides_values(tmp_path: Path) -> None:
    """Log, outputs, summary, results.json, JUnit and page show the reference."""
    (tmp_path / "autonoma.yml").write_text(
        "tests:\n- {id: one, name: 'Pays on ${BRANCH}', groups: ['${TEAM}'], variables: {V: '${BRANCH}'}}\n"
        "- {id: sandbox-fails, name: 'Fails on ${BRANCH:-x}', groups: ['${TEAM}'], matrix: {M: ['${BRANCH}', b]}}\n",
        "utf-8",
    )
    with Sandbox(pace=0) as sandbox:
        more = {"BRANCH": "sentinel-branch", "TEAM": "sentinel-team", "INPUT_GROUPS": "sentinel-team"}
        more |= {"INPUT_MANIFEST": "autonoma.yml", "INPUT_WAIT": "true", "INPUT_POLL-INTERVAL": "1s"}
        job = run_job(tmp_path, sandbox.url, [], more=more)
        sent = [json.dumps(run.body) for run in sandbox.received if run.path.endswith("/one/run")]
    assert sent
    assert all("sentinel-branch" in body for body in sent)
    assert job.code == 1, job.errors
    assert "sentinel" not in job.everything
    files = {
        path.name: path.read_text("utf-8", "replace") for path in (tmp_path / "results").rglob("*") if path.is_file()
    }
    assert not [name for name, text in files.items() if "sentinel" in text]
    assert "Pays on ${BRANCH}" in files["junit.xml"]
    assert [run["label"] for run in job.record["runs"]] == [
        "Pays on ${BRANCH}", "Fails on ${BRANCH} [M 1/2]", "Fails on ${BRANCH} [M 2/2]"
    ]  # fmt: skip


def test_validate_and_dry_run_hide_values(tmp_path: Path) -> None:
    """Readers of a pull request can see the output of both commands."""
    (tmp_path / "autonoma.yml").write_text("tests: [{id: a, name: 'On ${A}', groups: ['${A}']}]", "utf-8")
    for argv in (
        ("validate",),
        ("--dry-run",),
        ("--dry-run", "--groups", "sentine"),
        ("--dry-run", "--groups", "sentinel"),
    ):
        done = invoke(tmp_path, *argv, environ={"A": "sentinel"})
        assert "sentinel" not in done.output, argv
    assert "test On ${A} (a)" in invoke(tmp_path, "--dry-run", environ={"A": "sentinel"}).out
