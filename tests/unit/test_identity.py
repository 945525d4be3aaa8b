"""Identity of runs (run keys) and of parts of a build."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autonoma_ci.api.models import Timeouts
from autonoma_ci.app.inputs import build_part, detect_ci
from autonoma_ci.ci.comments import sticky
from autonoma_ci.ci.log import JobLog
from autonoma_ci.ci.ownership import build_mark
from autonoma_ci.ci.systems import bitbucket
from autonoma_ci.ci.systems.github import SYSTEM as GITHUB
from autonoma_ci.config.parsers import MAX_PART_CHARS, NamedId, Shard
from autonoma_ci.config.parsers import parse_part_name as read_part
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import Diagnostic
from autonoma_ci.identity import Part, RunKey, parse_run_key, redact_part
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.planning import plan
from autonoma_ci.redaction.redactor import Redactor, Secret
from autonoma_ci.reports.markdown import render_summary
from autonoma_ci.reports.results_schema import parse_results
from autonoma_ci.sandbox import Sandbox
from tests.support import github_parser as runner
from tests.support.github_job import run_job
from tests.support.hostile import ANY_CHARACTER, TEXTS
from tests.support.reports import FAILED_VERDICT, create_report, make_failed_run, make_passed_run

if TYPE_CHECKING:
    from pathlib import Path

LONG_TIMEOUTS = Timeouts(connect=60.0, read=60.0, total=120.0)
without_deadline = settings(deadline=None)
ANY_TEXT = st.one_of(TEXTS, st.text(ANY_CHARACTER, max_size=6), st.sampled_from(["", "/", "%", "%2F", "a/b", "=,"]))
KEYS = st.builds(RunKey, ANY_TEXT, ANY_TEXT, ANY_TEXT, st.integers(1, 10**6), ANY_TEXT)
PARTS = st.builds(Part, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)


# The key of a run


@without_deadline
@given(KEYS)
def test_run_key_round_trips(key: RunKey) -> None:
    """The text of a key is ASCII and parses to the same key for any fields."""
    text = str(key)
    assert text.isascii()
    assert text.isprintable()
    assert parse_run_key(text) == key


@without_deadline
@given(KEYS, KEYS)
def test_run_key_text_is_unique(first: RunKey, second: RunKey) -> None:
    """Two keys have the same text only if all fields are equal."""
    assert (str(first) == str(second)) == (first == second)


@without_deadline
@given(KEYS, st.integers(0, 4), ANY_TEXT)
def test_run_key_text_depends_on_each_field(key: RunKey, field: int, text: str) -> None:
    """Each field counts, and no field can replace another."""
    values: list[Any] = list(key)
    values[field] = key.occurrence + 1 if field == 3 else text
    changed_key = RunKey(*values)
    assume(changed_key != key)
    assert str(changed_key) != str(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "test",
        "test/a//1",
        "test/a//1//",
        "test/a///",
        "test/a//one/",
        "test/a//01/",
        "test/a//+1/",
        "test/a//１/",
        "test/a// 1/",
        "test/a//1_0/",
        "test/%61//1/",
        "test/a%2f//1/",
        "test/a b//1/",
        "test/%FF//1/",
        "test/%//1/",
        "test/a//1/\n",
        f"test/a//{'9' * 5000}/",
    ],
)
def test_run_key_in_other_form_is_refused(text: str) -> None:
    """Only the text that `str` makes is valid."""
    with pytest.raises(ValueError, match=r".+"):
        parse_run_key(text)


# The keys of a plan


def list_keys(settings: Settings, manifest: Manifest | None = None) -> list[RunKey]:
    return [request.key for request in plan.build_plan(settings, manifest).requests]


def build_manifest(*tests: object, **sections: object) -> Manifest:
    return Manifest.model_validate({"tests": list(tests), **sections})


def test_plan_matrix_place_per_combination() -> None:
    """A place has the number of the value on each axis, from 1, and no value."""
    entry = {"id": "t", "matrix": {"LOCALE": ["en-secret", "fr-secret"], "OS": ["a-secret"], "ROLE": ["x", "y"]}}
    keys = list_keys(Settings(), build_manifest(entry))
    assert [key.matrix_place for key in keys] == [
        "LOCALE=1,OS=1,ROLE=1",
        "LOCALE=1,OS=1,ROLE=2",
        "LOCALE=2,OS=1,ROLE=1",
        "LOCALE=2,OS=1,ROLE=2",
    ]
    assert [key.occurrence for key in keys] == [1, 1, 1, 1]
    assert "secret" not in "".join(map(str, keys))


def test_plan_place_skips_axis_set_by_step() -> None:
    """A variable that the step sets is no axis."""
    entry = {"id": "t", "matrix": {"LOCALE": ["en", "fr"], "OS": ["a", "b"]}}
    keys = list_keys(Settings(variables={"LOCALE": "de"}), build_manifest(entry))
    assert [key.matrix_place for key in keys] == ["OS=1", "OS=2"]


def test_plan_counts_occurrences_by_variables() -> None:
    """Each entry of one test has its own number, also one that is a copy and not started."""
    tests = [
        {"id": "t", "variables": {"A": "1"}},
        {"id": "u"},
        {"id": "t", "variables": {"A": "1"}},
        {"id": "t", "name": "Another label", "variables": {"A": "2"}},
        {"id": "t", "application_version_id": "v2"},
    ]
    keys = list_keys(Settings(), build_manifest(*tests))
    assert [(key.id, key.occurrence) for key in keys] == [("t", 1), ("u", 1), ("t", 3), ("t", 4)]


def test_plan_counts_occurrences_per_place() -> None:
    """Two entries with the same matrix have the same places and different occurrences."""
    matrix = {"LOCALE": ["en", "fr"]}
    tests = [{"id": "t", "matrix": matrix}, {"id": "t", "variables": {"A": "1"}, "matrix": matrix}]
    keys = list_keys(Settings(), build_manifest(*tests))
    assert [(key.matrix_place, key.occurrence) for key in keys] == [
        ("LOCALE=1", 1),
        ("LOCALE=2", 1),
        ("LOCALE=1", 2),
        ("LOCALE=2", 2),
    ]


def test_plan_counts_occurrences_per_kind() -> None:
    """A test, a folder and a tag with one id are three runs, each the first of its kind."""
    settings = Settings(test_ids=(NamedId("x"),), folder_ids=(NamedId("x"),), tag_ids=(NamedId("x"),))
    assert list_keys(settings) == [RunKey(kind, "x") for kind in (TargetKind.TEST, TargetKind.FOLDER, TargetKind.TAG)]


ENTRIES = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b"])},
    optional={
        "variables": st.dictionaries(st.sampled_from(["X", "Y"]), st.sampled_from(["1", "2", "3"]), max_size=2),
        "matrix": st.dictionaries(
            st.sampled_from(["L", "M"]),
            st.lists(st.sampled_from("pqr"), min_size=1, max_size=2, unique=True),
            max_size=2,
        ),
        "application_version_id": st.sampled_from(["v1", "v2"]),
    },
)


@without_deadline
@given(st.lists(ENTRIES, min_size=1, max_size=6))
def test_plan_keys_are_unique(tests: list[object]) -> None:
    """For any manifest, all runs of a plan have different keys."""
    keys = list_keys(Settings(), build_manifest(*tests))
    assert len(set(map(str, keys))) == len(keys)


@without_deadline
@given(st.lists(ENTRIES, min_size=1, max_size=6), st.integers(2, 5))
def test_plan_keys_are_equal_in_shards(tests: list[object], total: int) -> None:
    """The shards together have the keys of the whole plan."""
    manifest = build_manifest(*tests)
    requests = plan.build_plan(Settings(), manifest).requests
    for number in range(1, total + 1):
        settings = Settings(shard=Shard(number, total), allow_empty=True)
        shard = plan.build_plan(settings, manifest).requests
        assert [(r.key, r.variables) for r in shard] == [(r.key, r.variables) for r in requests[number - 1 :: total]]


def test_shard_has_occurrence_of_plan() -> None:
    """A shard with only the second entry does not number it as the first."""
    tests = [{"id": "t", "variables": {"A": "1"}}, {"id": "t", "variables": {"A": "2"}}]
    assert list_keys(Settings(shard=Shard(2, 2)), build_manifest(*tests)) == [RunKey("test", "t", occurrence=2)]


def test_run_key_of_many_axes_is_read_back(tmp_path: Path) -> None:
    """The command `wait` can read a results.json with very long keys."""
    axes = {f"{'N' * 120}-{number}": ["v"] for number in range(200)}
    (tmp_path / "many.yml").write_text(json.dumps({"tests": [{"id": "t", "matrix": axes}]}), "utf-8")
    with Sandbox(pace=0) as sandbox:
        run_job(tmp_path, sandbox.url, [], extra_environ={"INPUT_MANIFEST": "many.yml"}, timeouts=LONG_TIMEOUTS)
    [run] = parse_results((tmp_path / "results" / "results.json").read_bytes()).runs
    assert parse_run_key(run.key).matrix_place.count("=1") == 200


def test_run_key_has_environment() -> None:
    """Runs in staging and in production have different keys."""
    request = RunRequest(
        TargetKind.TEST, "t", "Name", {"A": "1"}, "v", matrix_place="L=1", occurrence=2, environment="staging"
    )
    assert request.key == RunKey("test", "t", "L=1", 2, "staging")
    assert str(request.key) == "test/t/L=1/2/staging"
    assert str(request._replace(environment="production").key) == "test/t/L=1/2/production"


# The part of a build


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Part(), ""),
        (Part("job", "", "", "Title"), ""),
        (Part(part="linux"), "linux"),
        (Part(shard="2/5"), "shard 2/5"),
        (Part(part="linux", shard="2/5"), "linux, shard 2/5"),
        (Part(part="2/5", shard="2/5"), "shard 2/5"),
        (Part(part='{"os": "linux", "node": 22}'), "linux, 22"),
        (Part(part='{"os": "linux", "node": 22}', shard="1/2"), "linux, 22, shard 1/2"),
        (Part(part='{"os": "linux",\n  "shard": "1/2"}', shard="1/2"), "linux, shard 1/2"),
        (Part(part='{"headless": true, "beta": false}'), "true, false"),
        (Part(part='{"ratio": 1.5, "zero": 0, "minus": -3}'), "1.5, 0, -3"),
        (Part(part='{"none": null, "os": "mac"}'), "mac"),
        (Part(part='{"empty": "", "os": "mac"}'), "mac"),
        (Part(part="[1, 2]"), "[1, 2]"),
        (Part(part="17"), "17"),
        (Part(part="true"), "true"),
        (Part(part='{"os": "linux"'), '{"os": "linux"'),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_part_shows_scalar_values(part: Part, expected: str) -> None:
    """A matrix shows its texts, numbers and booleans. Other text is shown as it is."""
    assert part.display_name == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('{"only": {"nested": 1}}', '{"only": {"nested": 2}}'),
        ('{"os": ["linux"]}', '{"os": ["mac"]}'),
        ('{"os": "mac", "include": {"a": "hidden"}}', '{"os": "mac", "include": {"a": "secret"}}'),
        ('{"os": "mac", "list": ["hidden"]}', '{"os": "mac", "list": ["secret"]}'),
        (json.dumps({"a": "x" * 90, "b": 1}), json.dumps({"a": "x" * 90, "b": 2})),
    ],
    ids=["nested", "list", "object beside a text", "list beside a text", "long"],
)
def test_part_headings_differ_for_equal_values(first: str, second: str) -> None:
    """Comments of two parts must not look alike."""
    display_names = {Part(part=first).display_name, Part(part=second).display_name}
    assert len(display_names) == 2
    assert all(re.search(r"#[0-9a-f]{8}$", text) and len(text) <= 80 for text in display_names)
    assert "hidden" not in "".join(display_names)


def test_part_headings_of_256_legs_differ() -> None:
    """GitHub allows 256 legs, which can have equal visible values."""
    display_names = {
        Part("e2e", json.dumps({"os": "linux", "config": {"n": number}})).display_name for number in range(256)
    }
    assert len(display_names) == 256


# A part with secret values

KEY = b"a key that is derived from the client secret"


def redact(part: str, *secrets: str, key: bytes = KEY) -> Part:
    return redact_part(Part("e2e", part, title="Title"), Redactor(secrets), key)


def test_redacted_part_without_secret_is_same() -> None:
    """Most parts have no secret and are shown unchanged."""
    assert redact('{"os": "linux"}', "sesame-open") == Part("e2e", '{"os": "linux"}', title="Title")


def test_redacted_parts_stay_distinct() -> None:
    """Legs of a matrix over a secret differ in digest and heading, and show no secret."""
    secrets = ("account-one", "account-two")
    first, second = (redact(json.dumps({"os": "linux", "id": secret}), *secrets) for secret in secrets)
    assert first.digest != second.digest
    assert first.display_name != second.display_name
    for part in (first, second):
        assert re.fullmatch(r'\{"os": "linux", "id": "\*\*\*"\} #[0-9a-f]{16}', part.part)
        assert re.fullmatch(r"linux, \*\*\* #[0-9a-f]{8}", part.display_name)
        assert redact_part(part, Redactor(secrets), KEY) == part


def test_redacted_part_depends_on_key() -> None:
    """Without the key, the value cannot be found by trial."""
    part = '{"id": "account-one"}'
    assert redact(part, "account-one") == redact(part, "account-one")
    assert redact(part, "account-one", key=b"another") != redact(part, "account-one")
    assert redact(part, "account-one", key=b"").part == '{"id": "***"}'


def test_redacted_title_changes_part() -> None:
    """Each field counts, not only the name of the part."""
    parts = [
        redact_part(Part(title=title), Redactor(["account-one", "account-two"]), KEY)
        for title in ("account-one", "account-two")
    ]
    assert len({part.digest for part in parts}) == 2
    assert [part.title for part in parts] == ["***", "***"]
    assert all(re.fullmatch(r"#[0-9a-f]{8}", part.display_name) for part in parts)


@pytest.mark.parametrize("part", ["x" * 4000, '{"os": "' + "x" * 3900 + '"}', "y" * 79, "z" * 200])
def test_long_part_keeps_shard(part: str) -> None:
    """The shards of a part with a long name have different headings."""
    display_name = Part(part=part, shard="2/5").display_name
    assert len(display_name) <= 80
    assert display_name.endswith(", shard 2/5")


@without_deadline
@given(PARTS)
def test_part_heading_is_short(part: Part) -> None:
    """No text breaks the heading."""
    assert len(part.display_name) <= 80


@without_deadline
@given(PARTS, PARTS)
def test_part_digest_is_unique(first: Part, second: Part) -> None:
    """The digest identifies a part in a shared report."""
    assert (first.digest == second.digest) == (first == second)
    assert len(first.digest) == 16
    assert int(first.digest, 16) >= 0


@without_deadline
@given(PARTS, st.integers(0, 3), ANY_TEXT)
def test_part_digest_depends_on_each_field(part: Part, field: int, text: str) -> None:
    """Job, part, shard and title count."""
    fields = list(part)
    fields[field] = text
    changed_part = Part(*fields)
    assume(changed_part != part)
    assert changed_part.digest != part.digest


def test_part_option_has_limit() -> None:
    """A part of 4,000 characters is unchanged, and a longer one is shortened but stays unique."""
    text = '{"os":\n"linux"}'
    assert read_part(text) == text
    assert read_part("x" * MAX_PART_CHARS) == "x" * MAX_PART_CHARS
    long_part, longer_part = read_part("x" * (MAX_PART_CHARS + 1)), read_part("x" * (MAX_PART_CHARS + 2))
    assert len(long_part) < 100
    assert long_part.startswith("xxxx")
    assert long_part != longer_part


GITLAB = {"GITLAB_CI": "true", "CI_JOB_NAME": "e2e"}
FIRST_OF_THREE = {**GITLAB, "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "3"}


@pytest.mark.parametrize(
    ("settings", "environ", "part"),
    [
        (Settings(), {}, Part()),
        (Settings(), GITLAB, Part("e2e")),
        (Settings(part="linux"), GITLAB, Part("e2e", "linux")),
        (Settings(shard=Shard(2, 5)), GITLAB, Part("e2e", "", "2/5")),
        (Settings(shard=Shard(1, 1)), GITLAB, Part("e2e")),
        (Settings(shard="auto"), GITLAB, Part("e2e")),
        (Settings(), FIRST_OF_THREE, Part("e2e", "1/3")),
        (Settings(shard="auto"), FIRST_OF_THREE, Part("e2e", "", "1/3")),
        (Settings(shard=Shard(2, 5)), FIRST_OF_THREE, Part("e2e", "1/3", "2/5")),
        (Settings(part="linux"), FIRST_OF_THREE, Part("e2e", "linux")),
        (Settings(part="linux", shard="auto"), FIRST_OF_THREE, Part("e2e", "linux", "1/3")),
    ],
)
def test_part_from_options_and_system(settings: Settings, environ: dict[str, str], part: Part) -> None:
    """The parallel index is the part, unless an option sets it or the shard already has it."""
    assert build_part(settings, detect_ci(environ), environ, "Title") == part._replace(title="Title")


# A part's text in everything that shows it

NESTING_DEPTH = 100_000
HOSTILE_TEXTS = {
    "line breaks": "a\r\n::error::b\n##[error]c\u2028::set-output name=conclusion::passed\n\n# d",
    "markup": "<img src=x onerror=alert(1)> | `x` [a](https://x.example) ![b](c) **@all** #1 --> <!-- -->",
    "a matrix of commands": '{"a": "\\n::set-output name=conclusion::passed", "b": "--><script>", "c": "x | y"}',
    "controls": "\x1b[31mred\x9b\u202eevil\u200b\x00",
    "half of a pair": '{"a": "\\ud800"}',
    "no number": '{"a": 1e999, "b": NaN, "c": -Infinity}',
    "very long": "x" * 4000,
    "a long number": f'{{"a": {"9" * 3900}}}',
    "deep lists": "[" * NESTING_DEPTH,
    "deep objects": '{"a":' * NESTING_DEPTH + "1" + "}" * NESTING_DEPTH,
}
each_hostile_text = pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)


def list_command_names(log: str) -> set[str]:
    return {command.name for command in runner.find_commands(log)}


@each_hostile_text
def test_hostile_part_in_log_is_text(text: str) -> None:
    """The heading is the title of one annotation and not a command."""
    output = io.StringIO()
    heading = create_report([make_failed_run("a")], FAILED_VERDICT)._replace(part=Part(part=text, shard="1/2")).heading
    console = JobLog(output, GITHUB.log_formatter)
    console.annotate("error", Diagnostic("what went wrong"), heading)
    console.info(heading)
    [command] = runner.find_commands(output.getvalue())
    assert (command.name, command.data) == ("error", "what went wrong")
    assert set(command.properties) == {"title"}
    assert command.properties["title"].startswith("Autonoma tests (")
    assert runner.find_foreign_commands(output.getvalue()) == []
    assert len(runner.split_lines(output.getvalue())) == 3


@each_hostile_text
def test_hostile_part_in_summary_is_text(text: str) -> None:
    """The heading is one line without markup, and the table after it is complete."""
    run_report = create_report([make_failed_run("a"), make_passed_run("b")], FAILED_VERDICT)._replace(
        part=Part(part=text, shard="1/2"), waits_for_results=True
    )
    lines = render_summary(run_report).splitlines()
    heading = runner.render_plain_text(lines[0].removeprefix("### "))
    assert heading.startswith("Autonoma tests (")
    assert heading.endswith("): ❌ Failed")
    assert lines[1] == ""
    assert runner.split_cells(lines[4]) == ["Run", "State", "Time", "Link"]
    assert sum(line.startswith("#") for line in lines) == 1


class FakeCommentThread:
    """A thread of comments in memory."""

    workflow_key, build_id, max_bytes = "workflow", "500", 65_000

    def __init__(self) -> None:
        self.bodies: dict[int, str] = {}

    def list_own(self) -> list[sticky.Comment]:
        return [sticky.Comment(number, body) for number, body in self.bodies.items()]

    def list_changed(self) -> list[sticky.Comment]:
        return self.list_own()

    def create(self, body: str) -> sticky.Comment:
        number = len(self.bodies) + 1
        self.bodies[number] = body
        return sticky.Comment(number, body)

    def update(self, comment: sticky.Comment, body: str) -> None:
        self.bodies[comment.id] = body

    def delete(self, comment: sticky.Comment) -> None:
        del self.bodies[comment.id]

    def find_hint(self, _: Exception) -> None:
        return None


@each_hostile_text
def test_hostile_part_in_comment_is_text(text: str) -> None:
    """The owner mark stays hidden and complete, so that the next attempt finds the comment."""
    thread = FakeCommentThread()
    run_report = create_report([make_failed_run("a")], FAILED_VERDICT)._replace(
        part=Part(part=text), waits_for_results=True, step_id="0123456789abcdef"
    )
    assert sticky.create_or_update_comment(thread, run_report, Secret("secret-of-the-client")) is None
    [body] = thread.bodies.values()
    mark, heading, *_ = body.splitlines()
    assert mark.startswith("<!-- autonoma-ci ")
    assert re.search(rf" {build_mark(run_report, '500')} mac [0-9a-f]{{32}} -->$", mark)
    assert runner.render_plain_text(heading.removeprefix("### ")).endswith("❌ Failed")
    assert body.count("<!--") == 1
    assert sticky.create_or_update_comment(thread, run_report, Secret("secret-of-the-client")) is None
    assert len(thread.bodies) == 1


@each_hostile_text
def test_hostile_part_in_code_insights_is_text(text: str) -> None:
    """The title is one short line, because Bitbucket refuses long titles."""
    run_report = create_report([make_failed_run("a")], FAILED_VERDICT)._replace(
        part=Part(part=text, shard="1/2"), waits_for_results=True
    )
    body = bitbucket._build_report(run_report, build_mark(run_report, "12"))
    assert body["title"].startswith("Autonoma tests (")
    assert len(body["title"]) <= 100
    assert body["title"].isprintable()
    json.dumps(body).encode()
    assert {entry["type"] for entry in body["data"]} <= {"NUMBER", "DURATION", "TEXT"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, text in HOSTILE_TEXTS.items() if len(text) <= MAX_PART_CHARS])
def test_hostile_part_in_job_is_text(name: str, tmp_path: Path) -> None:
    """The job ends as usual and prints no unintended command."""
    text = HOSTILE_TEXTS[name].replace("\x00", "")  # no environment variable can contain it
    with Sandbox(pace=0) as sandbox:
        inputs = {"INPUT_PART": text, "INPUT_WAIT": "true"}
        job = run_job(tmp_path, sandbox.url, ["a", "sandbox-fails"], extra_environ=inputs, timeouts=LONG_TIMEOUTS)
    assert job.code == 1
    assert job.outputs["conclusion"] == "failed"
    assert list_command_names(job.log) == {"add-mask", "group", "endgroup", "error"}
    assert job.results_json["part"] == text.encode("utf-8", "replace").decode()
    assert "Traceback" not in job.log + job.errors
    heading = next(line for line in job.summary.splitlines() if line.startswith("### "))
    assert runner.render_plain_text(heading.removeprefix("### ")).endswith("❌ Failed")


def test_part_of_large_matrix_is_accepted(tmp_path: Path) -> None:
    """The default on GitHub is the whole matrix, which the user cannot shorten."""
    part = json.dumps({f"axis{number}": "x" * 50 for number in range(100)})
    with Sandbox(pace=0) as sandbox:
        job = run_job(tmp_path, sandbox.url, ["a"], extra_environ={"INPUT_PART": part})
    assert job.code == 0
    assert len(job.results_json["part"]) < 100
