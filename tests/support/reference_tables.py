"""Tables of the reference pages, rendered from the code (`make generate-docs`)."""

from __future__ import annotations

import argparse
import io
import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from autonoma_ci.app.runtime import Runtime
from autonoma_ci.ci.detection import DETECTION_RULES, OVERRIDE_ENV_VAR, DetectionRule
from autonoma_ci.cli import COMMANDS
from autonoma_ci.config.arguments import ArgumentParser
from autonoma_ci.config.options import OPTION_GROUPS, OPTIONS
from autonoma_ci.engine.verdict import EXIT_CODES, REASON_PRIORITY
from autonoma_ci.errors import EXIT_INTERNAL_ERROR, HelpPrinted
from autonoma_ci.manifest.schema import manifest_json_schema
from autonoma_ci.models import ExitReason
from autonoma_ci.reports.outputs import OUTPUTS
from autonoma_ci.reports.results_schema import results_json_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autonoma_ci.config.options import Option

# The options in the README.
COMMON_OPTIONS = (
    "client-id",
    "client-secret",
    "test-ids",
    "manifest",
    "groups",
    "variables",
    "wait",
    "timeout",
    "retries",
    "evidence",
    "results-dir",
    "comment",
)
# The outputs in the README.
COMMON_OUTPUTS = ("conclusion", "reason", "run-url", "run-urls", "results", "passed", "failed")
EXIT_CODE_MEANINGS = {
    ExitReason.OK: "All selected runs were started. With `wait`, all that count passed.",
    ExitReason.FAILED: "With `wait`: a run that counts ended without passing.",
    ExitReason.FLAKY: "With `wait` and `on-flaky: fail`: a run passed only in a retry.",
    ExitReason.INPUT: "An option, the manifest or the plan is invalid. Nothing was sent.",
    ExitReason.UNAUTHORIZED: "The API refused the credentials (401, or 403 that names no quota).",
    ExitReason.NOT_FOUND: "At least one id is unknown (404). The other runs were started.",
    ExitReason.API: "The API or the network failed. The run is known not to have started.",
    ExitReason.QUOTA: "The account's quota is used up (402, or 403 that names the quota).",
    ExitReason.TIMEOUT: "With `wait`: a run was still running at the deadline, or after its `run_timeout`.",
    ExitReason.UNKNOWN: "A run may have started, or its result is unknown.",
}
# Meanings of the fields whose schema has no description.
MANIFEST_MEANINGS = {
    "version": "Version of the format.",
    "defaults": "Values for all tests that do not set their own.",
    "tests": "The tests to run. A plain string is an id.",
    "folders": "The folders to run, each as one run. A plain string is an id.",
    "tags": "The tags to run, each as one run. A plain string is an id.",
    "application_versions[].application_id": "The application.",
    "application_versions[].version_id": "The version of the application.",
    "tests[].id": "Id of the test: letters, digits, `-` and `_`.",
    "folders[].id": "Id of the folder: letters, digits, `-` and `_`.",
    "tags[].id": "Id of the tag: letters, digits, `-` and `_`.",
}
RESULTS_MEANINGS = {
    "version": "Version of the format.",
    "tool": "Name and version of the program that wrote the file.",
    "title": "The option `summary-title`.",
    "started_at": "Start of the step, in UTC.",
    "duration_seconds": "Duration of the step.",
    "waits_for_results": "Whether the step waited for results.",
    "reason": "Reason for the exit code. `null` while the step runs.",
    "exit_code": "Exit code of the step. `null` while the step runs.",
    "source": "The option `source`.",
    "changed_files": "How the changed files were found. `null` if no entry depends on them.",
    "changed_files.file_count": "Number of changed files. `null` if unknown.",
    "changed_files.full_run_reason": "Why `when` left out no entry, or `null`.",
    "runs[].quarantine": "Set if a failure of the run does not count.",
    "ci": "The build, with an empty string for each unknown fact.",
    "ci.name": "Name of the CI system.",
    "ci.sha": "Hash of the commit.",
    "ci.branch": "Branch or tag.",
    "ci.change": "Number of the pull or merge request.",
    "ci.repository": "Name of the repository.",
    "ci.build_url": "Link to the build.",
    "ci.deployment_url": "URL of the deployment under test.",
    "ci.attempt": "Number of the attempt at the build.",
    "totals": "Number of runs by state, as in the outputs.",
    "runs": "All planned runs, in plan order.",
    "runs[].name": "The name in reports.",
    "runs[].kind": "What the id names.",
    "runs[].id": "Id of the test, folder or tag.",
    "runs[].state": "State of the run.",
    "runs[].reason": "Why the run did not pass, or `ok`.",
    "runs[].run_id": "Id of the run. Empty if unknown.",
    "runs[].url": "Link to the run.",
    "runs[].message": "Why the run did not pass.",
    "runs[].suggestion": "What to do about it.",
    "runs[].evidence": "Screenshots and video.",
    "runs[].previous_attempts": "Earlier attempts that failed, the first one first.",
    "runs[].application_version_id": "Application version of a test.",
    "runs[].application_versions": "Application versions of a folder or tag.",
    "runs[].run_on_latest": "Whether a folder or tag used the latest versions.",
    "runs[].step.number": "Number of the test step, from 1.",
    "runs[].step.instruction": "Instruction of the test step.",
    "runs[].step.output": "What the test step reported.",
    "runs[].step.url": "Link to the test step.",
    "runs[].step.screenshot": "Screenshot, as a path in `results-dir`. Empty without one.",
    "runs[].evidence.video": "Video, as a path in `results-dir`. Empty without one.",
    "runs[].previous_attempts[].run_id": "Id of the earlier run.",
    "runs[].previous_attempts[].url": "Link to the earlier run.",
    "runs[].previous_attempts[].message": "Why the earlier run failed.",
    "runs[].previous_attempts[].duration_seconds": "Duration of the earlier run.",
    "runs[].previous_attempts[].step": "The test step at which the earlier run failed.",
    "runs[].previous_attempts[].evidence": "Screenshots and video of the earlier run.",
    "runs[].application_versions[].application_id": "The application.",
    "runs[].application_versions[].version_id": "The version of the application.",
}
# The variables that other programs define, and what autonoma-ci uses them for.
OTHER_VARIABLES = {
    "HTTPS_PROXY": "URL of the proxy.",
    "NO_PROXY": "Hosts without a proxy.",
    "REQUESTS_CA_BUNDLE": "File or directory with certificates of trusted authorities.",
    "CURL_CA_BUNDLE": "The same, if `REQUESTS_CA_BUNDLE` is unset.",
    "SSL_CERT_FILE": "The same, if both others are unset.",
    "NO_COLOR": "Any value: no colours at a terminal.",
    "RUNNER_DEBUG": "`1` on GitHub, Gitea and Forgejo: the same as `verbose`.",
    "SYSTEM_DEBUG": "`true` on Azure Pipelines: the same as `verbose`.",
}


def render_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def render_options(options: Iterable[Option]) -> str:
    """Return the table of options."""
    rows = [(_code(option.name), _code(option.default), option.help) for option in options]
    return render_table(("option", "default", "meaning"), rows)


def render_option_groups() -> str:
    """Return a heading and a table for each group of options."""
    return "\n\n".join(f"## {title}\n\n{render_options(options)}" for title, options in OPTION_GROUPS.items())


def render_common_options() -> str:
    """Return the table of the options in the README."""
    by_name = {option.name: option for option in OPTIONS}
    return render_options(by_name[name] for name in COMMON_OPTIONS)


def render_outputs() -> str:
    """Return the table of outputs."""
    return render_table(("output", "meaning"), [(_code(output.name), output.help) for output in OUTPUTS])


def render_common_outputs() -> str:
    """Return the table of the outputs in the README."""
    help_by_name = {output.name: output.help for output in OUTPUTS}
    return render_table(("output", "meaning"), [(_code(name), help_by_name[name]) for name in COMMON_OUTPUTS])


def render_exit_codes() -> str:
    """Return the table of exit codes."""
    rows = [(str(code), _code(reason), EXIT_CODE_MEANINGS[reason]) for reason, code in EXIT_CODES.items()]
    rows.append((str(EXIT_INTERNAL_ERROR), "", "A bug in autonoma-ci. The log has the lines for a report."))
    rows.append(("130, 143", _code(ExitReason.CANCELLED), "SIGINT or SIGTERM ended the step."))
    return render_table(("code", "reason", "meaning"), rows)


def render_reason_priority() -> str:
    """Return the reasons as a list, the one that wins first."""
    return "\n".join(f"{number}. `{reason}`" for number, reason in enumerate(REASON_PRIORITY, 1))


def render_manifest_keys() -> str:
    """Return the table of the manifest's keys."""
    schema = manifest_json_schema()
    return _render_fields(schema, MANIFEST_MEANINGS, ("key", "value", "meaning"))


def render_results_fields() -> str:
    """Return the table of the fields of results.json."""
    return _render_fields(results_json_schema(), RESULTS_MEANINGS, ("field", "type", "meaning"))


def _render_fields(schema: dict[str, Any], meanings: Mapping[str, str], head: Sequence[str]) -> str:
    rows = []
    for path, field in iterate_fields(schema, schema):
        meaning = meanings.get(path) or _find_member(schema, field, "description")
        assert meaning, f"{path} has no description"
        rows.append((_code(path), _describe_type(schema, field), meaning))
    return render_table(head, rows)


def iterate_fields(
    schema: dict[str, Any], model: dict[str, Any], prefix: str = "", described: set[int] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the schema of each field below a model.

    The fields of a model that several fields have are yielded once.
    """
    described = set() if described is None else described
    for name, field in model.get("properties", {}).items():
        yield f"{prefix}{name}", field
        for suffix, child in _find_models(schema, field):
            if id(child) not in described:
                described.add(id(child))
                yield from iterate_fields(schema, child, f"{prefix}{name}{suffix}.", described)


def _find_models(schema: dict[str, Any], field: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    field = _resolve(schema, field)
    for choice in field.get("anyOf", []):
        yield from _find_models(schema, choice)
    if "properties" in field:
        yield "", field
    for suffix, child in _find_models(schema, field["items"]) if "items" in field else ():
        yield f"[]{suffix}", child
    values = field.get("additionalProperties")
    for suffix, child in _find_models(schema, values) if isinstance(values, dict) else ():
        yield f".*{suffix}", child


def _resolve(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in field:
        return field
    resolved: dict[str, Any] = schema["$defs"][field["$ref"].rpartition("/")[2]]
    return resolved


def _find_member(schema: dict[str, Any], field: dict[str, Any], name: str) -> str:
    """Return a member of a field, of its choices, or of its model."""
    if name in field:
        return str(field[name])
    choices = [field[name] for name in ("$ref",) if name in field] and [_resolve(schema, field)]
    found = [_find_member(schema, choice, name) for choice in choices or field.get("anyOf", [])]
    return next(filter(None, found), "")


def _describe_type(schema: dict[str, Any], field: dict[str, Any]) -> str:
    """Return the types of a field, in words."""
    field = _resolve(schema, field)
    if "anyOf" in field:
        types = [_describe_type(schema, choice) for choice in field["anyOf"]]
        return " or ".join(dict.fromkeys(types))
    if "enum" in field or "const" in field:
        values = field.get("enum") or [field["const"]]
        return ", ".join(dict.fromkeys(_code(str(value).lower()) for value in values))
    if field["type"] == "array":
        return f"list of {_describe_type(schema, field['items'])}"
    if isinstance(field["type"], list):
        # YAML has types for scalars, and every scalar is read as a string.
        return "string"
    return {"object": "mapping"}.get(field["type"], str(field["type"]))


def render_option_variables() -> str:
    """Return the table of the variables that set options."""
    rows = [(_code(OVERRIDE_ENV_VAR), "name of the CI system, instead of the detected one")]
    for option in OPTIONS:
        rows.append((_code(option.env_var), f"option `{option.name}`"))
        rows += [
            (_code(alias), f"option `{option.name}`, if `{option.env_var}` is unset")
            for alias in option.env_var_aliases
        ]
    return render_table(("variable", "meaning"), rows)


def render_output_variables() -> str:
    """Return the table of the variables with outputs."""
    names = [(f"AUTONOMA_{output.name.upper().replace('-', '_')}", output.name) for output in OUTPUTS]
    rows = [(_code(name), f"output `{output}`") for name, output in names if output not in {"results", "results-dir"}]
    return render_table(("variable", "meaning"), rows)


def render_other_variables() -> str:
    """Return the table of the variables of other programs."""
    return render_table(("variable", "meaning"), [(_code(name), text) for name, text in OTHER_VARIABLES.items()])


class _NameRecorder(Mapping[str, str]):
    """An environment that records the names that are read."""

    def __init__(self, empty_names: Iterable[str] = (), *, value: str = "true") -> None:
        self.names: list[str] = []
        self._empty_names, self._value = frozenset(empty_names), value

    def __getitem__(self, name: str) -> str:
        self.names.append(name)
        return "" if name in self._empty_names else self._value

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def find_detection_names(rule: DetectionRule) -> list[str]:
    """Return the variables that a rule reads, whatever their values are."""
    names: list[str] = []
    for _ in range(3):
        subsets = (set_ for size in range(len(names) + 1) for set_ in itertools.combinations(names, size))
        for empty_names in list(subsets):
            recorder = _NameRecorder(empty_names)
            rule.matches(recorder)
            names = list(dict.fromkeys([*names, *recorder.names]))
    return names


def render_detection() -> str:
    """Return the table of the variables that show the CI system."""
    rows = [(_code(rule.name), ", ".join(map(_code, find_detection_names(rule)))) for rule in DETECTION_RULES]
    return render_table(("system", "variables"), [(name, variables or "none: the default") for name, variables in rows])


def capture_parser(command: str) -> ArgumentParser:
    """Return the parser that a command builds."""
    parsers: list[ArgumentParser] = []

    def capture(parser: ArgumentParser, file: object = None) -> None:
        parsers.append(parser)

    out = io.StringIO()
    with patch.object(ArgumentParser, "print_help", capture), suppress(HelpPrinted):
        import_module(f"autonoma_ci.commands.{command}").main(["--help"], Runtime({}, out, out))
    [parser] = parsers
    return parser


def render_commands() -> str:
    """Return the table of commands."""
    rows = [(f"[`autonoma-ci {name}`](#{name})", text) for name, text in COMMANDS.items()]
    return render_table(("command", "purpose"), rows)


def render_command(command: str) -> str:
    """Return the description, the arguments and the options of a command."""
    parser = capture_parser(command)
    options = {option.flag: option for option in OPTIONS}
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    positional = [action for action in actions if not action.option_strings]
    words = [f"[{name}]" if action.nargs == "?" else name for action in positional for name in [_name_argument(action)]]
    shared = [options[flag].name for action in actions for flag in action.option_strings if flag in options]
    # The table of options describes the flags whose meaning is the same in all commands.
    own = [action for action in actions if not _is_shared(action, options)]
    lines = [str(parser.description), "", f"Usage: `{' '.join([parser.prog, *words, '[OPTIONS]'])}`"]
    if own:
        rows = [(_code(_name_argument(action)), (action.help or "").replace("%%", "%")) for action in own]
        lines += ["", render_table(("argument", "meaning"), rows)]
    shared = [
        name for name in shared if name not in {flag.lstrip("-") for action in own for flag in action.option_strings}
    ]
    if len(shared) == len(OPTIONS):
        lines += ["", "It has all [options](options.md)."]
    elif shared:
        lines += ["", f"[Options](options.md): {', '.join(map(_code, shared))}."]
    return "\n".join(lines)


def _is_shared(action: argparse.Action, options: Mapping[str, Option]) -> bool:
    return any(
        flag in options and (action.help or "").replace("%%", "%").startswith(options[flag].help)
        for flag in action.option_strings
    )


def _name_argument(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest)
    value = "" if action.nargs == 0 else f" {action.metavar or '/'.join(map(str, action.choices or ()))}"
    return f"{action.option_strings[0]}{value}".strip()
