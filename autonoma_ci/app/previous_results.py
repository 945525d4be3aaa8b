"""Load the results.json of an earlier job step, and find its reusable runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import escapes_via_symlink, read_whole_file
from autonoma_ci.models import BuildContext, Conclusion, RunState, TargetKind
from autonoma_ci.redaction.redactor import Redactor
from autonoma_ci.reports.other_results import MAX_RESULTS_BYTES, has_open_runs, is_same_build, other_build_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autonoma_ci.config.settings import Settings
    from autonoma_ci.models import BuildIdRules, RunResult
    from autonoma_ci.planning.signing import ResultsSigner
    from autonoma_ci.redaction.redactor import Secret
    from autonoma_ci.reports.results_schema import Results, ResultsSanitizers

# Reasons to reuse no run, as the log shows them.
_OTHER_CREDENTIALS = "missing signature, or invalid for this file and these credentials"
_UNKNOWN_COMMIT = "unknown commit of this build"
_OTHER_PLAN = "runs differ from the plan of this step"


class LoadedResults(NamedTuple):
    """A results.json and its bytes, which its signature covers."""

    results: Results
    data: bytes


def load_results(path: str, folder: str, redact: Redactor) -> LoadedResults:
    """Return the results.json at `path`, relative to `folder`.

    Raises:
        InputError: The file is unreadable, or is no results.json.

    """
    shown_path = sanitize_line(path, 200)
    if escapes_via_symlink(path, folder):
        raise InputError(
            [f"{shown_path}: symbolic link leads outside of the working directory. Use the path without the link."]
        )
    data = read_whole_file(str(Path(folder, path)), MAX_RESULTS_BYTES)
    if not data:
        problem = "could not be read (no permission, not a regular file, or too large)" if data is None else "is empty"
        raise InputError(
            [f"{shown_path} {problem}. Use the results.json that an earlier step wrote to its results-dir."]
        )
    from autonoma_ci.reports.results_schema import parse_results

    try:
        return LoadedResults(parse_results(data), data)
    except ValueError as error:
        # Redaction comes before the cut, because it does not recognize a part of a secret.
        reason = sanitize_line(redact(str(error)), 300)
        raise InputError(
            [f"{shown_path}: invalid file ({reason}). Use an unchanged results.json of autonoma-ci."]
        ) from None


def to_run_results(saved: Results, started_at: str, sanitizers: ResultsSanitizers) -> list[RunResult]:
    """Return the runs of results.json.

    Their times count from the start of this job step, which is `started_at` in ISO 8601.
    """
    now = datetime.fromisoformat(started_at)
    then = saved.started_at if saved.started_at.tzinfo else saved.started_at.replace(tzinfo=now.tzinfo)
    return [run.to_run_result((then - now).total_seconds(), sanitizers) for run in saved.runs]


def build_sanitizers(settings: Settings, values: Iterable[Secret]) -> ResultsSanitizers:
    """Return the functions that clean the texts of results.json.

    Another person can have written the file, so its texts are cleaned like those of API responses.

    Args:
        settings: The options, with the credentials. The host of the API is no secret.
        values: The known values of variables. Names, ids and links are cleaned of credentials only, because a value
            such as `en` or `run` occurs in them by chance.

    """
    from autonoma_ci.api.responses import build_run_url
    from autonoma_ci.reports.results_schema import ResultsSanitizers

    redact, credentials = Redactor([*settings.secrets, *values]), settings.redactors.of_all
    host = urlsplit(settings.api_url).netloc
    return ResultsSanitizers(
        redact,
        label=credentials,
        link=lambda url: build_run_url(url, redact, credentials, host),
        run_id=lambda run_id: "" if credentials.contains_secret(run_id) else run_id,
    )


def to_build_context(saved: Results) -> BuildContext:
    """Return the build context in results.json."""
    build = saved.ci
    return BuildContext(
        ci_name=build.name, sha=build.sha, branch=build.branch, change_number=build.change, repository=build.repository,
        build_url=build.build_url, deployment_url=build.deployment_url, build_id=build.build,
        build_attempt=build.attempt,
    )  # fmt: skip


def stale_reason(saved: Results, context: BuildContext, rules: BuildIdRules, started_at: str) -> str | None:
    """Return why results.json is from another job step, or None.

    A job step that is killed at once leaves the results.json of an earlier one in place. At a terminal, any file is
    valid.

    Args:
        saved: The content of results.json.
        context: The build of this job step.
        rules: What its build id means.
        started_at: The start of this job step, in ISO 8601.

    """
    if context.ci_name == "cli":
        return None
    if reason := other_build_reason(saved, context, rules, datetime.fromisoformat(started_at)):
        return reason
    if not is_same_build(saved, context, rules) and has_runs(saved) and not has_open_runs(saved):
        return "all runs have ended, and no build id matches this build"
    # A job that only waits may resume the runs that another job started in an earlier attempt. A job that starts its
    # runs itself has new ones in this attempt, or was killed before it started them.
    is_from_this_job = saved.job == context.job_name
    if not saved.job and not context.job_name:
        # Without job names, results with open runs count as those of another job, because they can be resumed.
        is_from_this_job = not has_open_runs(saved)
    if is_from_this_job and _is_earlier(saved.ci.attempt, context.build_attempt):
        return "written by an earlier attempt at this job"
    return None


def has_runs(saved: Results) -> bool:
    """Return whether the job step planned to start runs, unlike a dry run."""
    is_dry_run = saved.conclusion is Conclusion.SKIPPED and saved.exit_code == 0
    return any(not is_dry_run or run.state is not RunState.PLANNED for run in saved.runs)


def is_of_earlier_attempt(saved: Results, context: BuildContext, rules: BuildIdRules) -> bool:
    """Return whether results.json is from an earlier attempt at the build."""
    return is_same_build(saved, context, rules) and _is_earlier(saved.ci.attempt, context.build_attempt)


def collect_run_ids(saved: Results) -> frozenset[tuple[TargetKind, str]]:
    """Return the ids of all runs in results.json, retried ones included."""
    ids_by_entry = (
        (run.kind, [run.run_id, *(attempt.run_id for attempt in run.previous_attempts)]) for run in saved.runs
    )
    return frozenset((kind, run_id) for kind, run_ids in ids_by_entry for run_id in run_ids if run_id)


def no_reuse_reason(
    planned_runs: Sequence[RunResult], previous: LoadedResults, context: BuildContext, signer: ResultsSigner
) -> str | None:
    """Return why no earlier run can be reused, or None.

    Results with other runs are from another job step, or from other input. Their passes can be out of date here.
    """
    if not signer.verifies_results(previous.data):
        return _OTHER_CREDENTIALS
    if not context.sha:
        return _UNKNOWN_COMMIT
    previous_runs = [(run.key, run.request_mac) for run in previous.results.runs]
    return None if previous_runs == [(str(run.request.key), run.request_mac) for run in planned_runs] else _OTHER_PLAN


def find_reusable_run_ids(
    planned_runs: Sequence[RunResult],
    previous: LoadedResults,
    context: BuildContext,
    rules: BuildIdRules,
    signer: ResultsSigner,
    *,
    fails_on_flaky: bool = False,
) -> dict[int, str]:
    """Return the run ids of reusable passes, by index in the plan.

    A reusable pass meets these conditions:

    - It is from an earlier attempt at this build, for this commit and the same plan.
    - Its signature is valid for this part of the build.
    - It has no failed attempts. Otherwise its last attempt alone would count as a clean pass.

    If all runs that count passed, the result is empty. Otherwise a re-run would start no run that counts, and end
    without a test. Quarantined runs do not count here, whatever their state.

    Args:
        planned_runs: The runs of this job step.
        previous: The results of the earlier attempt.
        context: The build of this job step.
        rules: What its build id means.
        signer: Verifies the signatures.
        fails_on_flaky: Whether a flaky run failed the earlier attempt.

    """
    saved = previous.results
    if not is_of_earlier_attempt(saved, context, rules) or no_reuse_reason(planned_runs, previous, context, signer):
        return {}
    pairs = list(zip(planned_runs, saved.runs, strict=True))
    passed = {
        index: run
        for index, (result, run) in enumerate(pairs)
        if not run.has_contradiction
        and signer.verifies_run(result._replace(state=RunState.PASSED, run_id=run.run_id), run.mac)
    }
    clean = {index: run.run_id for index, run in passed.items() if not run.previous_attempts}
    passed_indexes = clean.keys() if fails_on_flaky else passed.keys()
    counted = {index for index, run in enumerate(planned_runs) if run.request.quarantine is None}
    return {} if counted <= passed_indexes else clean


def _is_earlier(attempt: str, other_attempt: str) -> bool:
    numbers = attempt, other_attempt
    are_numbers = all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers)
    return are_numbers and int(attempt) < int(other_attempt)
