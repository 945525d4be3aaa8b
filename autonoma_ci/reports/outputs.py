"""Build the outputs of a job step.

Outputs are small texts for later steps. They have the same names in every CI system.

Source: GitHub's documentation of outputs, GitLab's of dotenv reports, Microsoft's and Linux's of the environment.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.escaping import escape_log_line
from autonoma_ci.reports.results_json import run_to_dict
from autonoma_ci.reports.summary import count_states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from autonoma_ci.models import Report, RunResult


class Output(NamedTuple):
    """One output with its help text."""

    name: str
    help: str


# In the order of the documentation. They are written in the same order.
OUTPUTS = (
    Output("conclusion", "started, passed, failed, timed-out, error, skipped or cancelled."),
    Output("reason", "ok, failed, flaky, input, unauthorized, not-found, api, quota, timeout, unknown or cancelled."),
    Output("run-id", "Id of the first run."),
    Output("run-url", "URL of the first run."),
    Output("run-ids", "JSON array of the runs' ids, in plan order."),
    Output("run-urls", "JSON array of the runs' URLs, in plan order."),
    Output(
        "results",
        "JSON array with name, kind, id, state, run_id, url, message, attempts and duration_seconds of each run.",
    ),
    Output("total", "Number of runs in the plan."),
    Output("started", "Number of runs that were started, without those of an earlier attempt."),
    Output("passed", "Number of runs that passed."),
    Output("failed", "Number of runs that ended and did not pass, without those in quarantine."),
    Output("flaky", "Number of runs that passed only in a retry."),
    Output("quarantined", "Number of runs in quarantine that ended or timed out without a pass, and do not count."),
    Output("not-started", "Number of runs that are known not to have started."),
    Output("unknown", "Number of runs that may have started, or whose result is unknown."),
    Output("results-dir", "The directory with the files, if results-dir is set."),
)
# GitHub's runner accepts 1 MiB of outputs for a complete job and counts two bytes for a character.
MAX_ARRAY_CHARS = 120_000
# The most useful output comes first, because the last ones may not fit. `results` is too long for a variable.
# `results-dir` has the name of an option, so a later step would read the variable as its own option.
_VARIABLE_OUTPUTS = (
    *("conclusion", "reason", "run-url", "run-id", "total", "started", "passed", "failed", "flaky", "quarantined"),
    *("not-started", "unknown"),
    *("run-ids", "run-urls"),
)
# Windows accepts 32 KiB for one variable. On Linux, no program starts with a variable of 128 KiB.
MAX_VARIABLE_CHARS = 30_000
# GitLab accepts a file of less than 5 KB.
# Source: gitlabhq/gitlabhq, app/services/ci/parse_dotenv_artifact_service.rb.
MAX_DOTENV_BYTES = 5 * 1024 - 1
# All readers of such a file read these characters unchanged. Values are not quoted, because GitLab, Java and Docker
# read quotes as a part of the value and shells remove them. npm's dotenv and Harness cut a value at `#`. Shells execute
# the text after a space, `;` or `&`. Java does not read UTF-8. zsh expands `=` at the start and after `:`. Harness
# decodes a value that begins with `__B64__`.
# Source: the readers in tests/unit/reports/test_outputs_dotenv_readers.py, and of harness/lite-engine,
# pipeline/runtime/common.go.
DOTENV_VALUE_RE = re.compile(r"(?!=|__B64__)(?!.*:=)[A-Za-z0-9._:/?@%+,=\[\]-]*")
# These outputs are JSON, which has quotes around each text.
_ARRAY_OUTPUTS = frozenset({"run-ids", "run-urls"})


def build_outputs(report: Report, limit: int = MAX_ARRAY_CHARS) -> dict[str, str]:
    """Return the texts of all outputs.

    An array of more than `limit` characters contains only its first entries.
    """
    texts = _build_short_texts(report, limit) | {"results": _render_array(_build_result_dicts(report), limit)[0]}
    return {output.name: texts[output.name] for output in OUTPUTS}


def truncated_array_lengths(report: Report, limit: int = MAX_ARRAY_CHARS) -> dict[str, int]:
    """Return the number of remaining entries of each truncated array.

    Args:
        report: The report.
        limit: Largest length of an array in characters, as in `build_outputs`.
    """
    runs = _select_named_runs(report)
    arrays: dict[str, Sequence[object]] = {
        "run-ids": [run.run_id for run in runs],
        "run-urls": [run.url for run in runs],
        "results": _build_result_dicts(report),
    }
    lengths = {name: _render_array(items, limit)[1] for name, items in arrays.items()}
    return {name: length for name, length in lengths.items() if length < len(arrays[name])}


def _select_named_runs(report: Report) -> list[RunResult]:
    """Return the runs that have an id or a URL."""
    return [run for run in report.results if run.run_id or run.url]


def _build_result_dicts(report: Report) -> list[object]:
    return [run_to_dict(run) for run in report.results]


def _build_short_texts(report: Report, limit: int = MAX_ARRAY_CHARS) -> dict[str, str]:
    """Return the texts of all outputs except `results`, the slowest one."""
    runs = _select_named_runs(report)
    verdict = report.verdict
    return {
        "conclusion": verdict.conclusion.value if verdict else "",
        "reason": verdict.reason.value if verdict else "",
        "run-id": next((run.run_id for run in runs), ""),
        "run-url": next((run.url for run in runs), ""),
        "run-ids": _render_array([run.run_id for run in runs], limit)[0],
        "run-urls": _render_array([run.url for run in runs], limit)[0],
        **{name: str(count) for name, count in count_states(report.results).items()},
        "results-dir": report.results_dir,
    }


def _render_array(items: Sequence[object], limit: int) -> tuple[str, int]:
    """Return a JSON array of the items that fit, and their number.

    The array is ASCII and has at most `limit` characters.
    """
    parts, size = [], 2
    for item in items:
        text = json.dumps(item, separators=(",", ":"))
        size += len(text) + 1
        if size > limit:
            break
        parts.append(text)
    return f"[{','.join(parts)}]", len(parts)


def output_variables(report: Report) -> dict[str, str]:
    """Return the outputs by variable name, the most useful first.

    A text that is too long for a variable becomes empty. A part of an array is no valid JSON. Without the variable, a
    later step would read the text of an earlier step.
    """
    return select_accepted(_build_variables(report), lambda text: len(text) <= MAX_VARIABLE_CHARS)


def select_accepted(values: Mapping[str, str], is_accepted: Callable[[str], bool]) -> dict[str, str]:
    """Return the variables, with an empty text for each rejected one."""
    return {name: text if is_accepted(text) else "" for name, text in values.items()}


def is_exact_in_log(text: str) -> bool:
    """Return whether the text is unchanged after escaping for the log.

    The log inserts a zero-width space where a text looks like a command of a CI system. A link with such a space is
    broken.
    """
    return escape_log_line(text, MAX_VARIABLE_CHARS) == text


def _build_variables(report: Report) -> dict[str, str]:
    texts = _build_short_texts(report)
    return {_variable_name(name): texts[name] for name in _VARIABLE_OUTPUTS}


def _variable_name(name: str) -> str:
    return f"AUTONOMA_{name.upper().replace('-', '_')}"


def render_dotenv(report: Report) -> str:
    """Return outputs.env as lines that all readers understand in the same way.

    The readers are GitLab, shells and dotenv libraries. The file has no arrays, because readers differ in every form of
    them. The text has less than 5 KB. `omitted_variables` returns the names whose text did not fit.
    """
    return format_dotenv_lines(dotenv_variables(report))


def format_dotenv_lines(values: Mapping[str, str]) -> str:
    """Return the result of `dotenv_variables` as lines."""
    return "".join(f"{name}={text}\n" for name, text in values.items())


def omitted_variables(report: Report, published: Mapping[str, str]) -> list[str]:
    """Return the names of published variables that lost their text."""
    variables = _build_variables(report)
    return [name for name, text in published.items() if variables[name] and not text]


def omitted_variables_warning(report: Report, published: Mapping[str, str], destination: str) -> list[str]:
    """Return the warning of variables that lost their text, or no warning.

    A job step that has no verdict yet gets no warning.

    Args:
        report: The report.
        published: The variables with the texts that were published.
        destination: The name of the file or the variables, for the start of the warning.
    """
    if not report.verdict or not (names := omitted_variables(report, published)):
        return []
    advice = "See results.json" if report.results_dir else "Set results-dir to get all values in results.json"
    reason = "too long, or with unsupported characters"
    return [f"{destination}: {' and '.join(names)} left empty ({reason}). {advice}."]


def dotenv_variables(report: Report) -> dict[str, str]:
    """Return the variables of outputs.env.

    A variable is empty if its text does not fit or has characters that not all readers understand.
    """
    array_names = {_variable_name(name) for name in _ARRAY_OUTPUTS}
    variables = {name: text for name, text in output_variables(report).items() if name not in array_names}
    selected = dict.fromkeys(variables, "")
    size = len(format_dotenv_lines(selected))
    for name, text in variables.items():
        new_size = size + len(text)
        if new_size <= MAX_DOTENV_BYTES and DOTENV_VALUE_RE.fullmatch(text):
            selected[name], size = text, new_size
    return selected
