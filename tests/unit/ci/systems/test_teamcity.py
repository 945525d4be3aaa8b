"""Tests of TeamCity's properties, facts and service messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.ci.base import LogGroup
from autonoma_ci.ci.env import SINGLE_SHARD
from autonoma_ci.ci.systems import teamcity
from autonoma_ci.ci.systems.teamcity import SYSTEM, format_service_message, parse_java_properties
from autonoma_ci.config.parsers import Shard
from autonoma_ci.errors import Diagnostic
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.identity import Part
from autonoma_ci.reports.outputs import output_variables
from tests.support import grammars
from tests.support.ci_environments import HEAD, MERGE, TEAMCITY, format_java_property
from tests.support.environment_names import find_secret_names
from tests.support.hostile import TEXTS
from tests.support.processor_time import measure_processor_seconds
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import (
    FAILED_VERDICT,
    PASSED_VERDICT,
    create_report,
    make_failed_run,
    make_passed_run,
    make_started_run,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autonoma_ci.models import BuildContext, Report
    from tests.support.grammars import LogCommand

FORMATTER = SYSTEM.log_formatter
PARALLEL = "teamcity.build.parallelTests"


def write_properties(folder: Path, parameters: str, build: str = "") -> dict[str, str]:
    """Write the two files of a build, and return the variable that names them."""
    folder.joinpath("config.properties").write_text(parameters, "utf-8")
    path = format_java_property(folder / "config.properties")
    folder.joinpath("build.properties").write_text(f"teamcity.configuration.properties.file={path}\n{build}", "utf-8")
    return {"TEAMCITY_BUILD_PROPERTIES_FILE": str(folder / "build.properties")}


def read_context(folder: Path, parameters: str, **changes: str) -> BuildContext:
    """Return the facts of a build with these configuration parameters."""
    return SYSTEM.build_context({**TEAMCITY, **write_properties(folder, parameters), **changes})


def publish(
    step_report: Report, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[list[LogCommand], list[str]]:
    """Publish a report in a working directory, and return the messages and the warnings."""
    lines: list[str] = []
    [publisher] = SYSTEM.create_publishers(make_publish_context(environ or {}, folder, log_lines=lines))
    warnings = list(publisher.publish(step_report))
    messages = grammars.find_teamcity_messages("\n".join(lines))
    assert len(messages) == len(lines)
    return messages, warnings


def find_messages(messages: list[LogCommand], name: str) -> list[dict[str, str]]:
    """Return the values of all messages with this name."""
    return [message.values for message in messages if message.name == name]


def read_parameters(messages: list[LogCommand]) -> dict[str, str]:
    """Return the values of the environment parameters."""
    values = find_messages(messages, "setParameter")
    assert all(each["name"].startswith("env.") for each in values)
    return {each["name"].removeprefix("env."): each["value"] for each in values}


# Properties


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a=b", {"a": "b"}),
        (b"a : b\r\nc d", {"a": "b", "c": "d"}),
        (b"# a=b\n! c=d\n\n  e = f ", {"e": "f "}),
        (b"a\\:b\\ c=d\\=e", {"a:b c": "d=e"}),
        (b"a=C\\:\\\\TeamCity\\\\new", {"a": "C:\\TeamCity\\new"}),
        (b"a=b\\\n   c\nd=e", {"a": "bc", "d": "e"}),
        (b"a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
        (b"a=\\u00fc\\ud83d\\ude00\\t", {"a": "ü😀\t"}),
        (b"a=\\ud83d", {"a": "\ufffd"}),
        (b"a=1\na=2", {"a": "2"}),
        (b"a", {"a": ""}),
        (b"\xfc=\xfc", {"ü": "ü"}),
        (b"=b\n\\", {}),
    ],
)
def test_properties_follow_java_syntax(text: bytes, expected: dict[str, str]) -> None:
    """Comments, separators, escapes and continued lines follow the rules of Java."""
    assert parse_java_properties(text) == expected


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_properties_from_any_bytes_are_text(data: bytes) -> None:
    """Any bytes make a mapping of texts."""
    assert all(isinstance(value, str) for value in parse_java_properties(data).values())


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"\\" * 1_000_000, b" " * 1_000_000, b"a=" + b"\\\n" * 500_000, b":" * 1_000_000])
def test_properties_parse_in_linear_time(line: bytes) -> None:
    """Parsing 1 MB that slows down patterns takes at most 10 s. Quadratic time would be hours."""
    assert len(parse_java_properties(line)) <= 1
    assert measure_processor_seconds(lambda: parse_java_properties(line), 10.0) < 10.0


# Facts


def test_secret_names_exclude_build_facts() -> None:
    """The tokens and the login of the build are credentials."""
    secrets = {"TEAMCITY_ACCESS_TOKEN", "TEAMCITY_PASSWORD", "TEAMCITY_AUTH_PASSWORD", "TEAMCITY_AUTH_USERID"}
    assert find_secret_names(SYSTEM, {*TEAMCITY, *secrets}) == secrets


@pytest.mark.parametrize(
    ("branch", "change"),
    [
        ("pull/8", "8"),
        ("refs/pull/8/merge", "8"),
        ("pull-requests/8/from", "8"),
        ("refs/merge-requests/8/head", "8"),
        ("merge-requests/0", ""),
        ("feature/pull/8", ""),
        ("pull/8x", ""),
        ("8", ""),
    ],
)
def test_change_is_in_branch_name(branch: str, change: str, tmp_path: Path) -> None:
    """Without the build feature, only the branch shows the number of a pull request."""
    assert read_context(tmp_path, f"teamcity.build.branch={branch}\n").change_number == change


def test_change_of_build_feature_is_preferred(tmp_path: Path) -> None:
    """The build feature has the number and the branch of the pull request."""
    text = (
        "teamcity.build.branch=pull/9\nteamcity.pullRequest.number=8\nteamcity.pullRequest.source.branch=feature/cart\n"
    )
    context = read_context(tmp_path, text)
    assert (context.change_number, context.branch) == ("8", "feature/cart")


@pytest.mark.parametrize("branch", ["<default>", ""])
def test_branch_of_default_is_in_root(branch: str, tmp_path: Path) -> None:
    """The main branch has its name in the settings of the repository."""
    text = f"teamcity.build.branch={branch}\nvcsroot.branch=refs/heads/trunk\n"
    assert read_context(tmp_path, text).branch == "trunk"
    assert read_context(tmp_path, f"{text}teamcity.build.branch=develop\n").branch == "develop"


@pytest.mark.parametrize(
    ("names", "sha"),
    [
        ({"BUILD_VCS_NUMBER_A": HEAD, "BUILD_VCS_NUMBER_B": HEAD}, HEAD),
        ({"BUILD_VCS_NUMBER_A": HEAD, "BUILD_VCS_NUMBER_B": MERGE}, ""),
        ({"BUILD_VCS_NUMBER_A": HEAD, "BUILD_VCS_NUMBER_B": ""}, ""),
        ({"BUILD_VCS_NUMBER_A": "12345"}, ""),
        ({"BUILD_VCS_NUMBER": MERGE, "BUILD_VCS_NUMBER_A": HEAD}, MERGE),
        ({}, ""),
    ],
)
def test_commit_of_several_roots_is_unknown(names: dict[str, str], sha: str) -> None:
    """With several repositories, the one under test is unknown."""
    assert SYSTEM.build_context(names).sha == sha


@pytest.mark.parametrize("kind", ["missing", "folder", "too large", "null"])
def test_files_unreadable_give_no_facts(kind: str, tmp_path: Path) -> None:
    """A file of properties that cannot be read is ignored."""
    path = str(tmp_path / "file")
    match kind:
        case "folder":
            path = str(tmp_path)
        case "too large":
            (tmp_path / "file").write_bytes(b"teamcity.build.id=4711\n".ljust(4 * 1024 * 1024 + 1))
        case "null":
            path = "a\0b"
    context = SYSTEM.build_context({**TEAMCITY, "TEAMCITY_BUILD_PROPERTIES_FILE": path})
    assert (context.build_id, context.branch, context.sha) == ("", "", HEAD)


@pytest.mark.parametrize(("size", "build_id"), [(1000, "4711"), (1001, "")])
def test_file_within_size_limit_is_read(
    size: int, build_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the maximum size is read, and a larger one is ignored."""
    monkeypatch.setattr(teamcity, "_MAX_PROPERTIES_BYTES", 1000)
    (tmp_path / "file").write_bytes(b"teamcity.build.id=4711\n".ljust(size, b"\n"))
    context = SYSTEM.build_context({"TEAMCITY_BUILD_PROPERTIES_FILE": str(tmp_path / "file")})
    assert context.build_id == build_id


def test_shard_is_batch_of_parallel_tests(tmp_path: Path) -> None:
    """TeamCity names its batches in the file of configuration parameters."""
    assert SYSTEM.detect_shard({"TEAMCITY_BUILD_PROPERTIES_FILE": str(tmp_path / "missing")}) == SINGLE_SHARD
    environ = write_properties(tmp_path, f"{PARALLEL}.currentBatch=2\n{PARALLEL}.totalBatches=4\n")
    assert SYSTEM.detect_shard(environ) == Shard(2, 4)
    environ = write_properties(tmp_path, f"{PARALLEL}.currentBatch=5\n{PARALLEL}.totalBatches=4\n")
    assert SYSTEM.detect_shard(environ) is None


# Log


def test_block_has_escaped_title() -> None:
    """Both messages of a block have the same escaped title."""
    group = LogGroup("Plan's [2]|\nruns", "autonoma_1", 1)
    assert FORMATTER.group(group) == ("##teamcity[blockOpened name='Plan|'s |[2|]|| runs']",)
    assert FORMATTER.end_group(group) == ("##teamcity[blockClosed name='Plan|'s |[2|]|| runs']",)


@given(TEXTS)
def test_annotation_text_is_read_unchanged(text: str) -> None:
    """TeamCity reads the annotation text unchanged."""
    [order] = grammars.find_teamcity_messages(FORMATTER.annotation("error", Diagnostic(text)))
    assert order.values == {"text": escape_log_line(str(Diagnostic(text))), "status": "ERROR"}


@pytest.mark.parametrize(
    ("level", "title", "line"),
    [
        ("error", "", "##teamcity[message text='m.yml:3:5: x' status='ERROR']"),
        ("warning", "Plan", "##teamcity[message text='Plan: m.yml:3:5: x' status='WARNING']"),
        ("notice", "", "##teamcity[message text='m.yml:3:5: x' status='NORMAL']"),
    ],
)
def test_annotation_has_status_of_level(level: str, title: str, line: str) -> None:
    """The log line has the position, the title and the status."""
    assert FORMATTER.annotation(level, Diagnostic("x", "m.yml", 3, 5), title) == line


def test_message_values_have_limit() -> None:
    """TeamCity stores 4,000 characters of a description."""
    [message] = grammars.find_teamcity_messages(format_service_message("buildStatus", text="x" * 5000))
    assert message.values["text"] == "x" * 3899 + "…"
    assert format_service_message("message", 5, text="12345", status="123456") == (
        "##teamcity[message text='12345' status='1234…']"
    )


# Publisher


def test_publish_before_end_prints_nothing() -> None:
    """A report without a verdict prints no message."""
    assert publish(create_report([make_started_run("a")], None)) == ([], [])


def test_pass_has_status_without_problem() -> None:
    """The status of a passed step has the text of the build and the result."""
    messages, warnings = publish(create_report([make_passed_run("a")], PASSED_VERDICT)._replace(waits_for_results=True))
    assert warnings == []
    assert find_messages(messages, "buildStatus") == [
        {"text": "{build.status.text}; Autonoma tests: 1 of 1 run passed."}
    ]
    assert find_messages(messages, "buildProblem") == []
    assert read_parameters(messages) == output_variables(create_report([make_passed_run("a")], PASSED_VERDICT))


def test_failure_has_problem_with_stable_identity() -> None:
    """The problem of the next build counts as the same one, and each part has its own.

    Source: JetBrains's documentation, "Service messages", "Reporting Build Problems".
    """
    identities = []
    for part, job in (("linux", "e2e"), ("linux", "e2e"), ("mac", "e2e"), ("linux", "nightly")):
        step_report = create_report([make_failed_run("b")], FAILED_VERDICT)._replace(
            title="Shop's", part=Part(job, part, title="Shop's"), waits_for_results=True
        )
        [problem] = find_messages(publish(step_report)[0], "buildProblem")
        assert problem["description"] == f"Shop's ({part}): 0 of 1 run passed, 1 failed."
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,59}", problem["identity"])
        assert problem["identity"] == f"autonoma_{step_report.part.digest}"
        identities.append(problem["identity"])
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


@pytest.mark.parametrize(
    ("run_id", "is_set"), [("100%", True), ("a%env.SECRET%", False), ("%a", True), ("%%", False), ("##x[y", False)]
)
def test_parameter_with_reference_is_empty(run_id: str, is_set: bool) -> None:
    """TeamCity would replace the text between two percent signs by the value of a parameter."""
    messages, warnings = publish(create_report([make_passed_run("a")._replace(run_id=run_id)], PASSED_VERDICT))
    assert read_parameters(messages)["AUTONOMA_RUN_ID"] == (run_id if is_set else "")
    assert [warning.startswith("The parameters for later steps: AUTONOMA_RUN_ID") for warning in warnings] == (
        [] if is_set else [True]
    )


def test_tests_are_imported_from_results_dir(tmp_path: Path) -> None:
    """The path of the file is relative to the checkout, and no file is imported without one."""
    messages, _ = publish(
        create_report([make_passed_run("a")], PASSED_VERDICT)._replace(results_dir="out/e2e"), tmp_path
    )
    assert find_messages(messages, "importData") == [{"type": "junit", "path": "out/e2e/junit.xml"}]
    messages, _ = publish(create_report([make_passed_run("a")], PASSED_VERDICT)._replace(results_dir=""), tmp_path)
    assert find_messages(messages, "importData") == []


@pytest.mark.parametrize(
    ("checkout", "results", "path"),
    [
        ("shop", "out", "e2e/out/junit.xml"),
        ("link", "out", "e2e/out/junit.xml"),
        ("shop", "../out", "out/junit.xml"),
        ("shop", "{}/outside", "{}/outside/junit.xml"),
        ("shop/e2e", "{}/shop/e2e/out", "out/junit.xml"),
        ("other", "out", "{}/shop/e2e/out/junit.xml"),
    ],
)
def test_tests_path_is_from_checkout(checkout: str, results: str, path: str, tmp_path: Path) -> None:
    """A step with its own working directory has the path from the checkout, also through a link."""
    (tmp_path / "shop" / "e2e").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "shop")
    build = f"teamcity.build.checkoutDir={format_java_property(tmp_path / checkout)}\n"
    step_report = create_report([make_passed_run("a")], PASSED_VERDICT)._replace(results_dir=results.format(tmp_path))
    messages, _ = publish(step_report, tmp_path / "shop" / "e2e", write_properties(tmp_path, "", build))
    assert find_messages(messages, "importData") == [{"type": "junit", "path": path.format(tmp_path)}]


def test_texts_cannot_end_message() -> None:
    """A title with the syntax of a message stays a text."""
    title = "x']\n##teamcity[buildStop comment='x"
    messages, _ = publish(create_report([make_failed_run("b")], FAILED_VERDICT)._replace(title=title))
    names = [message.name for message in messages if message.name != "setParameter"]
    assert names == ["importData", "buildStatus", "buildProblem"]
