"""Commands that run one entry again."""

from __future__ import annotations

import io
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config.arguments import parse_run_arguments
from autonoma_ci.config.parsers import NamedId
from autonoma_ci.config.settings import Settings, load_settings
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import AppVersion
from autonoma_ci.planning.rerun import RerunCommands
from autonoma_ci.planning.selection import collect_candidates
from autonoma_ci.redaction.redactor import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

NIGHTLY = {"nightly": {"default": "false"}}


def build_commands(
    manifest: dict[str, Any] | None = None,
    path: str = "autonoma.yml",
    environment: str = "",
    facts: tuple[tuple[str, str], ...] = (),
    **options: Any,
) -> list[str]:
    """Return the command of each entry."""
    settings = Settings(**options)
    parsed = Manifest.model_validate(manifest) if manifest else None
    if parsed and environment:
        parsed.select_environment(environment)
    if parsed:
        parsed.set_value_sources(frozenset(), frozenset(), facts)
    commands = RerunCommands(settings, parsed, path if parsed else "")
    return [commands.build(candidate) for candidate in collect_candidates(settings, parsed)]


def test_command_of_entry_names_manifest_and_id() -> None:
    """The name of an entry is not in the command."""
    manifest = {"tests": [{"id": "t1", "name": "Check $(out)"}], "folders": ["f1"], "tags": ["-g"]}
    assert build_commands(manifest) == [
        "autonoma-ci run --manifest autonoma.yml --only t1",
        "autonoma-ci run --manifest autonoma.yml --only f1",
        "autonoma-ci run --manifest autonoma.yml --only=-g",
    ]


def test_command_of_id_needs_no_manifest() -> None:
    """An id of an option is named by the option of its kind."""
    ids: dict[str, Any] = {"test_ids": (NamedId("t1", "Label"),), "folder_ids": (NamedId("f1"),)}
    assert build_commands(**ids, tag_ids=(NamedId("-g"),)) == [
        "autonoma-ci run --test-ids t1",
        "autonoma-ci run --folder-ids f1",
        "autonoma-ci run --tag-ids=-g",
    ]


def test_command_of_id_beside_manifest_has_its_defaults() -> None:
    """The manifest has default variables, and its entries must not run."""
    commands = build_commands({"tests": ["t2"]}, test_ids=(NamedId("t1"),))
    assert commands[0] == "autonoma-ci run --manifest autonoma.yml --test-ids t1 --only t1"


def test_command_turns_group_on() -> None:
    """A default-off entry needs its group, and `when` needs all files as changed."""
    manifest = {
        "groups": NIGHTLY,
        "tests": [
            {"id": "t1", "groups": ["smoke", "nightly"], "when": {"changed": ["docs/**"]}},
            {"id": "t2", "groups": ["smoke"]},
        ],
    }
    assert build_commands(manifest, "ci/my autonoma.yml") == [
        "autonoma-ci run --manifest 'ci/my autonoma.yml' --only t1 --groups nightly --changed-files all",
        "autonoma-ci run --manifest 'ci/my autonoma.yml' --only t2",
    ]


@pytest.mark.parametrize("shown_group", ["${GROUP}", "a,b"])
def test_group_that_cannot_be_named_has_no_command(shown_group: str) -> None:
    """A group from the environment is a value, and a comma separates groups."""
    value = "nightly" if shown_group.startswith("$") else shown_group
    manifest = Manifest.model_validate(
        {"groups": {value: {"default": "false"}}, "tests": [{"id": "t", "groups": [shown_group]}]}
    )
    manifest.set_group_values(manifest.tests[0], [value])
    (candidate,) = collect_candidates(Settings(), manifest)
    assert RerunCommands(Settings(), manifest, "m.yml").build(candidate) == ""


def test_command_has_options_of_pipeline() -> None:
    """Only options that change a single run are repeated, in any quoting."""
    names = frozenset({"timeout", "retries"})
    (command,) = build_commands(
        {"tests": ["t"], "environments": {"pre view": {}}},
        environment="pre view",
        api_url="http://127.0.0.1:8000/api",
        allow_env=("BASE_URL", "PREVIEW_*"),
        application_version_id="v1",
        application_versions=(AppVersion("a", "b"),),
        ignore_quarantine=True,
        wait=True,
        timeout=5400.0,
        retries=0,
        on_flaky="fail",
        explicitly_set=names,
        variables={"PASSWORD": "sentinel"},
        shard="auto",
        part="2",
        max_runs=5,
        results_dir="results",
    )
    assert shlex.split(command)[5:] == [
        *("t", "--environment", "pre view", "--api-url", "http://127.0.0.1:8000/api"),
        *("--allow-env", "BASE_URL,PREVIEW_*", "--application-version-id", "v1"),
        *("--application-versions", "[{application-id: a, version-id: b}]"),
        *("--ignore-quarantine", "--wait", "--timeout", "90m", "--retries", "0", "--on-flaky", "fail"),
    ]


def test_command_without_wait_has_no_options_of_wait() -> None:
    """Defaults are not repeated either."""
    names = frozenset({"timeout", "retries"})
    (command,) = build_commands({"tests": ["t"]}, retries=2, explicitly_set=names, run_on_latest=True)
    assert command == "autonoma-ci run --manifest autonoma.yml --only t --run-on-latest"
    (command,) = build_commands({"tests": ["t"]}, wait=True, api_url="https://autonoma.app/api")
    assert command == "autonoma-ci run --manifest autonoma.yml --only t --wait"


def test_command_states_facts_of_the_manifest() -> None:
    """A terminal knows no branch and no change."""
    facts = (("branch", "feature/it's"), ("change_number", "12"), ("sha", "a" * 40))
    assert build_commands({"tests": ["t"]}, facts=facts) == [
        f"""autonoma-ci run --manifest autonoma.yml --only t --branch 'feature/it'"'"'s' --change 12 --sha {"a" * 40}"""
    ]


def test_fact_without_option_leaves_no_command() -> None:
    """The command would fail at a terminal."""
    assert build_commands({"tests": ["t"]}, facts=(("repository", "acme/shop"),)) == [""]


def test_credential_leaves_no_command() -> None:
    """A path or a group with a credential is shown nowhere."""
    secret = "sentinel-secret-value"
    assert build_commands({"tests": ["t"]}, f"{secret}/m.yml", client_secret=Secret(secret)) == [""]
    groups, tests = {f"g-{secret}": {"default": "false"}}, [{"id": "t", "groups": [f"g-{secret}"]}]
    assert build_commands({"groups": groups, "tests": tests}, client_secret=Secret(secret)) == [""]
    assert build_commands({"groups": groups, "tests": tests}) != [""]


def test_manifest_without_path_has_no_command() -> None:
    """The command could not name it."""
    assert build_commands({"tests": ["t"]}, "") == [""]


TEXTS = st.text("a' \"$`\\;|-é\t*", min_size=1, max_size=8).filter(lambda text: text.strip())


@given(
    path=TEXTS, environment=TEXTS, group=TEXTS, seconds=st.integers(1, 86400), target=st.from_regex(r"\A[\w-]{1,6}\Z")
)
def test_command_is_read_back(path: str, environment: str, group: str, seconds: int, target: str) -> None:
    """A shell and the program read each argument as it was."""
    group, environment = group.strip(), " ".join(environment.split())
    if not target.isascii() or group.startswith("#"):
        return
    (command,) = build_commands(
        {
            "groups": {group: {"default": "false"}},
            "environments": {environment: {}},
            "tests": [{"id": target, "groups": [group]}],
        },
        path,
        environment,
        wait=True,
        timeout=float(seconds),
        explicitly_set=frozenset({"timeout"}),
    )
    settings = read_command(shlex.split(command))
    assert (settings.only, settings.timeout, settings.wait) == ((target,), float(seconds), True)
    assert settings.manifest == path.strip(" \t")
    assert settings.environment == environment.strip(" \t")


def read_command(arguments: Sequence[str]) -> Settings:
    assert arguments[:2] == ["autonoma-ci", "run"]
    flags, variables, problems = parse_run_arguments(arguments[2:], io.StringIO())
    assert not problems
    settings, errors = load_settings(flags, variables, {})
    assert not errors
    return settings
