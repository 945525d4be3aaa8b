"""Load the runs of an earlier results.json for the option `failed-from`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.app.previous_results import load_results
from autonoma_ci.app.results_path import find_results_file
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.identity import RunKey, parse_run_key
from autonoma_ci.models import ExitReason, RunState
from autonoma_ci.planning.selection import FailedRuns

if TYPE_CHECKING:
    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import BuildContext
    from autonoma_ci.reports.results_schema import Results, ResultsRun

# Of the hash of a commit.
_SHOWN_DIGITS = 12
_USE_SAME_BUILD = "Use the results.json of this commit"


def load_failed_runs(settings: Settings, directory: str, context: BuildContext) -> FailedRuns:
    """Return the runs of the results.json that the option `failed-from` names.

    Args:
        settings: The options.
        directory: The working directory.
        context: The build. In CI, the file must be of its commit.

    Raises:
        InputError: The file is missing, is no results.json, has no runs, or is of another commit or API.

    """
    spelling = settings.spelling_of("failed-from")
    try:
        path = find_results_file(settings.failed_from, directory, "run --failed-from")
        saved = load_results(path, directory, settings.redactors.of_all).results
    except InputError as error:
        raise InputError(
            [Diagnostic(f"{spelling}: {diagnostic.message}") for diagnostic in error.diagnostics]
        ) from None
    shown_path = sanitize_line(path, 200)
    problem = _find_mismatch(saved, settings, context)
    if not saved.runs:
        problem = f"{shown_path} has no runs. Use the results.json of a step that planned runs."
    if problem:
        raise InputError([f"{spelling}: {problem}"])
    fails_on_flaky = settings.fails_on_flaky or saved.reason is ExitReason.FLAKY
    keys = {
        passed: frozenset(
            _read_key(run) for run in saved.runs if _has_passed(run, fails_on_flaky=fails_on_flaky) is passed
        )
        for passed in (True, False)
    }
    return FailedRuns(shown_path, keys[True], keys[False], saved.shard)


def _find_mismatch(saved: Results, settings: Settings, context: BuildContext) -> str | None:
    """Return why the file is not of this commit and API, or None.

    At a terminal, any file is valid.
    """
    if context.ci_name == "cli":
        return None
    if not context.sha:
        return "unknown commit of this build. Set sha."
    if saved.ci.sha != context.sha:
        saved_sha = sanitize_line(settings.redactors.of_all(saved.ci.sha)[:_SHOWN_DIGITS])
        commit = f"commit {saved_sha}" if saved_sha else "an unknown commit"
        return f"the file is of {commit}, and this build of {context.sha[:_SHOWN_DIGITS]}. {_USE_SAME_BUILD}."
    if saved.api_url != settings.api_url:
        return f"the file is of another or an unknown api-url. {_USE_SAME_BUILD} and api-url."
    return None


def _has_passed(run: ResultsRun, *, fails_on_flaky: bool) -> bool:
    # A flaky run in quarantine never fails a step.
    is_failure = fails_on_flaky and run.previous_attempts and not run.quarantine
    return run.state is RunState.PASSED and not is_failure


def _read_key(run: ResultsRun) -> RunKey:
    return parse_run_key(run.key) if run.key else RunKey(run.kind, run.id)
