"""The step's outputs: small texts for later steps, the same names in every CI system.

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
    """One output and what it says."""

    name: str
    help: str


# In the order of the documents, in which they are written too.
OUTPUTS = (
    Output("conclusion", "started, passed, failed, timed-out, error, skipped or cancelled."),
    Output("reason", "ok, failed, input, unauthorized, not-found, api, quota, timeout, unknown or cancelled."),
    Output("run-id", "Id of the first run."),
    Output("run-url", "Link to the first run."),
    Output("run-ids", "JSON array of the runs' ids, in plan order."),
    Output("run-urls", "JSON array of the runs' links, in plan order."),
    Output(
        "results",
        "JSON array with name, kind, id, state, run_id, url, message, attempts and duration_seconds of each run.",
    ),
    Output("total", "Number of runs in the plan."),
    Output("started", "Number of runs that were started, without those of an earlier attempt."),
    Output("passed", "Number of runs that passed."),
    Output("failed", "Number of runs that ended and did not pass."),
    Output("not-started", "Number of runs that are known not to have started."),
    Output("unknown", "Number of runs that may have started, or of which it is not known how they ended."),
    Output("results-dir", "The folder with the files, if results-dir was given."),
)
# A runner takes 1 MiB of outputs for a whole job and counts two bytes a character.
MAX_ARRAY_CHARS = 120_000
# What is most useful comes first, since there may not be room for all. `results` is too long for a variable, and
# `results-dir` has the name of an option: a later step would take it for its own.
_VARIABLES = (
    *("conclusion", "reason", "run-url", "run-id", "total", "started", "passed", "failed", "not-started", "unknown"),
    *("run-ids", "run-urls"),
)
# Windows takes 32 KiB for one variable. On Linux, one of 128 KiB keeps every later program from starting.
MAX_VARIABLE_CHARS = 30_000
# In bytes. GitLab takes a file of less than 5 KB.
# Source: gitlabhq/gitlabhq, app/services/ci/parse_dotenv_artifact_service.rb.
MAX_DOTENV_BYTES = 5 * 1024 - 1
# All readers of such a file get these characters unchanged. No value is quoted: GitLab, Java and Docker keep
# quotes, and shells remove them. npm's dotenv and Harness cut a value at `#`. Shells run what follows a space, `;` or
# `&`. Java reads no UTF-8. zsh expands `=` at the start and after `:`. Harness decodes what begins with `__B64__`.
# Source: the readers in tests/report/test_outputs_env_readers.py; harness/lite-engine, pipeline/runtime/common.go.
DOTENV_VALUE_RE = re.compile(r"(?!=|__B64__)(?!.*:=)[A-Za-z0-9._:/?@%+,=\[\]-]*")
# JSON has quotes around each text.
_ARRAYS = frozenset({"run-ids", "run-urls"})


def build_outputs(report: Report, limit: int = MAX_ARRAY_CHARS) -> dict[str, str]:
    """Return the texts of all outputs.

    An array of more than `limit` characters keeps its first entries.
    """
    texts = _short_texts(report, limit) | {"results": _array(_results(report), limit)[0]}
    return {output.name: texts[output.name] for output in OUTPUTS}


def truncated_array_lengths(report: Report, limit: int = MAX_ARRAY_CHARS) -> dict[str, int]:
    """Return the number of entries left of each array above `limit` characters."""
    runs = _runs(report)
    arrays: dict[str, Sequence[object]] = {
        "run-ids": [run.run_id for run in runs],
        "run-urls": [run.url for run in runs],
        "results": _results(report),
    }
    left = {name: _array(items, limit)[1] for name, items in arrays.items()}
    return {name: count for name, count in left.items() if count < len(arrays[name])}


def _runs(report: Report) -> list[RunResult]:
    return [outcome for outcome in report.results if outcome.run_id or outcome.url]


def _results(report: Report) -> list[object]:
    return [run_to_dict(outcome) for outcome in report.results]


def _short_texts(report: Report, limit: int = MAX_ARRAY_CHARS) -> dict[str, str]:
    """Return the texts of all outputs except `results`, which is the slowest to make."""
    runs = _runs(report)
    verdict = report.verdict
    return {
        "conclusion": verdict.conclusion.value if verdict else "",
        "reason": verdict.reason.value if verdict else "",
        "run-id": next((outcome.run_id for outcome in runs), ""),
        "run-url": next((outcome.url for outcome in runs), ""),
        "run-ids": _array([outcome.run_id for outcome in runs], limit)[0],
        "run-urls": _array([outcome.url for outcome in runs], limit)[0],
        **{name: str(count) for name, count in count_states(report.results).items()},
        "results-dir": report.results_dir,
    }


def _array(items: Sequence[object], limit: int) -> tuple[str, int]:
    """Return a JSON array in ASCII of the first items that fit, and their number."""
    parts, size = [], 2
    for item in items:
        text = json.dumps(item, separators=(",", ":"))
        size += len(text) + 1
        if size > limit:
            break
        parts.append(text)
    return f"[{','.join(parts)}]", len(parts)


def output_variables(report: Report) -> dict[str, str]:
    """Return the outputs under the names that they have as variables, the most useful first.

    What is too long for a variable is empty: half of an array would be none, and a name that is missing would keep the
    text of an earlier step.
    """
    return select_accepted(_whole(report), lambda text: len(text) <= MAX_VARIABLE_CHARS)


def select_accepted(values: Mapping[str, str], is_accepted: Callable[[str], bool]) -> dict[str, str]:
    """Return the variables, with an empty text for each that a reader refuses."""
    return {name: text if is_accepted(text) else "" for name, text in values.items()}


def is_exact_in_log(text: str) -> bool:
    """Return whether the log holds the text unchanged.

    A link with a zero-width space in it, where it looks like a command of a CI system, leads nowhere.
    """
    return escape_log_line(text, MAX_VARIABLE_CHARS) == text


def _whole(report: Report) -> dict[str, str]:
    texts = _short_texts(report)
    return {_variable(name): texts[name] for name in _VARIABLES}


def _variable(name: str) -> str:
    return f"AUTONOMA_{name.upper().replace('-', '_')}"


def render_dotenv(report: Report) -> str:
    """Return outputs.env as lines that GitLab, shells and dotenv readers read alike.

    It has no arrays, since no form of them is read alike. The text has less than 5 KB, and `left_out` returns the names
    that had no room.
    """
    return format_dotenv_lines(dotenv_variables(report))


def format_dotenv_lines(values: Mapping[str, str]) -> str:
    """Return values that `dotenv_variables` takes, as lines."""
    return "".join(f"{name}={text}\n" for name, text in values.items())


def omitted_variables(report: Report, given: Mapping[str, str]) -> list[str]:
    """Return the names that are empty among the given variables, though the report has a text for them."""
    whole = _whole(report)
    return [name for name, text in given.items() if whole[name] and not text]


def omitted_variables_warning(report: Report, given: Mapping[str, str], place: str) -> list[str]:
    """Return what the log should warn of at the end of a step whose variables are given to a place."""
    if not report.verdict or not (names := omitted_variables(report, given)):
        return []
    where = "results.json has all runs" if report.results_dir else "set results-dir: results.json in it has all runs"
    why = "too long, or with characters that are not taken there"
    return [f"{place}: no room for {' and '.join(names)} ({why}), left without a value; {where}."]


def dotenv_variables(report: Report) -> dict[str, str]:
    """Return the variables of outputs.env.

    A variable is empty if there is no room or no form for its text.
    """
    arrays = {_variable(name) for name in _ARRAYS}
    values = {name: text for name, text in output_variables(report).items() if name not in arrays}
    kept = dict.fromkeys(values, "")
    size = len(format_dotenv_lines(kept))
    for name, text in values.items():
        longer = size + len(text)
        if longer <= MAX_DOTENV_BYTES and DOTENV_VALUE_RE.fullmatch(text):
            kept[name], size = text, longer
    return kept
