"""Load the results.json of an earlier step, and reuse its runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autonoma_ci.errors import InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import read_regular_file
from autonoma_ci.fs.paths import escapes_via_symlink
from autonoma_ci.models import BuildContext, Conclusion, RunState, TargetKind
from autonoma_ci.reports.other_results import MAX_RESULTS_BYTES, has_open_runs, is_same_build, other_build_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.models import RunResult
    from autonoma_ci.planning.signing import ResultsSigner
    from autonoma_ci.redaction.redactor import Redactor
    from autonoma_ci.reports.results_schema import Results, ResultsSanitizers

_OTHER_CREDENTIALS = "it is not signed, or was changed, or was written with other credentials"
_UNKNOWN_COMMIT = "the commit of this build is not known, so nothing shows that it is still the same"
_OTHER_PLAN = "its runs are not those that this step is to start"


class LoadedResults(NamedTuple):
    """A results.json and its bytes, which its signature covers."""

    results: Results
    data: bytes


def load_results(path: str, folder: str, redact: Redactor) -> LoadedResults:
    """Return the results.json at `path`, relative to `folder`.

    Raises:
        InputError: The file is unreadable, or is no results.json.

    """
    shown = sanitize_line(path, 200)
    if escapes_via_symlink(path, folder):
        raise InputError([f"{shown} leads out of the working directory through a symbolic link: give its own path"])
    file = Path(folder, path)
    data = read_regular_file(str(file), MAX_RESULTS_BYTES)
    if not data:
        problem = "is empty" if _is_empty(file) else "can't be read"
        raise InputError([f"{shown} {problem}. Give the results.json that an earlier step wrote to its results-dir"])
    from autonoma_ci.reports.results_schema import parse_results

    try:
        return LoadedResults(parse_results(data), data)
    except ValueError as error:
        # Cut after redaction, because the first half of a secret is not recognized.
        why = sanitize_line(redact(str(error)), 300)
        raise InputError(
            [f"{shown} is not a record of autonoma-ci: {why}. Give a results.json as a step wrote it"]
        ) from None


def _is_empty(path: Path) -> bool:
    try:
        return path.is_file() and not path.stat().st_size
    except (OSError, ValueError):
        return False


def to_run_results(saved: Results, started_at: str, checks: ResultsSanitizers) -> list[RunResult]:
    """Return the runs of results.json.

    Their times count from the start of this step, which is `started_at` in ISO 8601.
    """
    now = datetime.fromisoformat(started_at)
    then = saved.started_at if saved.started_at.tzinfo else saved.started_at.replace(tzinfo=now.tzinfo)
    return [run.to_run_result((then - now).total_seconds(), checks) for run in saved.runs]


def build_sanitizers(redact: Redactor, credentials: Redactor, api_url: str) -> ResultsSanitizers:
    """Return the checks for texts of results.json, as for API responses.

    Another person can have written the file.

    Args:
        redact: Removes credentials and values of variables.
        credentials: Removes only credentials. A value such as `en` or `run` occurs by chance in names, ids and links.
        api_url: Base URL of the API. Its host is no secret.

    """
    from autonoma_ci.api.responses import build_run_url
    from autonoma_ci.reports.results_schema import ResultsSanitizers

    host = urlsplit(api_url).netloc
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


def stale_reason(saved: Results, context: BuildContext, started_at: str) -> str | None:
    """Return why results.json is of another step, or None.

    A step that is killed at once leaves the results.json of an earlier step behind. At a terminal, any file is valid.

    Args:
        saved: The content of results.json.
        context: The build of this step.
        started_at: The start of this step, in ISO 8601.

    """
    if context.ci_name == "cli":
        return None
    if why := other_build_reason(saved, context, datetime.fromisoformat(started_at)):
        return why
    if not is_same_build(saved, context) and has_runs(saved) and not has_open_runs(saved):
        return "nothing in it is left to wait for, and no build id shows that it is of this build"
    # A job that only waits may resume the runs of an earlier attempt. A job that starts its runs itself started new
    # ones, or was killed before that.
    is_own = saved.job == context.job_name
    if not saved.job and not context.job_name:
        # Jobs have no names there. Then a results.json with open runs is the only useful one.
        is_own = not has_open_runs(saved)
    if is_own and _is_earlier(saved.ci.attempt, context.build_attempt):
        return "it is of an earlier attempt at this job"
    return None


def has_runs(saved: Results) -> bool:
    """Return whether the step planned to start runs, unlike a dry run."""
    skipped = saved.conclusion is Conclusion.SKIPPED and saved.exit_code == 0
    return any(not skipped or run.state is not RunState.PLANNED for run in saved.runs)


def is_of_earlier_attempt(saved: Results, context: BuildContext) -> bool:
    """Return whether results.json is of an earlier attempt at the build."""
    return is_same_build(saved, context) and _is_earlier(saved.ci.attempt, context.build_attempt)


def collect_run_ids(saved: Results) -> frozenset[tuple[TargetKind, str]]:
    """Return the ids of all runs in results.json, retried ones included."""
    ids = ((run.kind, [run.run_id, *(failed.run_id for failed in run.previous_attempts)]) for run in saved.runs)
    return frozenset((kind, run_id) for kind, of_run in ids for run_id in of_run if run_id)


def nothing_reused_reason(
    results: Sequence[RunResult], record: LoadedResults, context: BuildContext, signer: ResultsSigner
) -> str | None:
    """Return why no earlier run can be reused, or None.

    A step with other runs is another step of the job, or has other input. Its passes can be out of date here.
    """
    if not signer.verifies_results(record.data):
        return _OTHER_CREDENTIALS
    if not context.sha:
        return _UNKNOWN_COMMIT
    previous_runs = [(run.key, run.request_mac) for run in record.results.runs]
    return None if previous_runs == [(str(run.request.key), run.request_mac) for run in results] else _OTHER_PLAN


def find_reusable_passes(
    results: Sequence[RunResult], record: LoadedResults, context: BuildContext, signer: ResultsSigner
) -> dict[int, str]:
    """Return the run ids of reusable passes, by index in the plan.

    They are of an earlier attempt at the build. Only signed passes count: in this part of this build, for this commit,
    in a step with the same runs. A flaky run is left out, because its last attempt alone would count as a clean pass.
    If all runs passed, flaky ones included, the result is empty, because a step that runs nothing proves nothing.
    """
    saved = record.results
    if not is_of_earlier_attempt(saved, context) or nothing_reused_reason(results, record, context, signer):
        return {}
    pairs = list(zip(results, saved.runs, strict=True))
    passed = {
        index: run
        for index, (result, run) in enumerate(pairs)
        if not run.has_contradiction
        and signer.verifies_run(result._replace(state=RunState.PASSED, run_id=run.run_id), run.mac)
    }
    if len(passed) == len(pairs):
        return {}
    return {index: run.run_id for index, run in passed.items() if not run.previous_attempts}


def _is_earlier(attempt: str, other_attempt: str) -> bool:
    numbers = attempt, other_attempt
    are_counted = all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers)
    return are_counted and int(attempt) < int(other_attempt)
