"""Tests of the reusable passes of an earlier attempt's results.json.

Every doubt about a results.json starts the run again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autonoma_ci.api.start_body import build_start_body
from autonoma_ci.app.previous_results import LoadedResults, find_reusable_run_ids
from autonoma_ci.engine.verdict import compute_verdict
from autonoma_ci.identity import Part
from autonoma_ci.models import (
    AppVersion,
    BuildContext,
    BuildIdRules,
    Conclusion,
    PreviousAttempt,
    Report,
    RunRequest,
    RunResult,
    RunState,
    TargetKind,
)
from autonoma_ci.planning.signing import ResultsSigner
from autonoma_ci.redaction.redactor import Secret
from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import parse_results
from tests.support.reports import QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIGNING = Secret("s3cret-value-of-client")
API_URL = "https://autonoma.app/api"
FIRST_CONTEXT = BuildContext("github", "c" * 40, build_id="17", build_attempt="1", job_name="e2e")
SECOND_CONTEXT = FIRST_CONTEXT._replace(build_attempt="2")
PART = Part("e2e", "linux", "1/2", "Autonoma tests")
REQUESTS = (
    RunRequest(
        TargetKind.TEST, "a", "", {"LOCALE": "en", "BASE_URL": "https://x.example"}, "v1", matrix_place="LOCALE=1"
    ),
    RunRequest(
        TargetKind.TEST, "a", "", {"LOCALE": "fr", "BASE_URL": "https://x.example"}, "v1", matrix_place="LOCALE=2"
    ),
    RunRequest(TargetKind.FOLDER, "f", "", application_versions=(AppVersion("app", "v1"),)),
    RunRequest(TargetKind.TEST, "b", "Label", {"BASE_URL": "https://x.example"}, "v1", environment="staging"),
)
STATES = (RunState.PASSED, RunState.PASSED, RunState.PASSED, RunState.FAILED)
ALL_PASSED = {0: "run-0", 1: "run-1", 2: "run-2"}


def make_signer(
    secret: Secret = SIGNING, api_url: str = API_URL, context: BuildContext = SECOND_CONTEXT, part: Part = PART
) -> ResultsSigner:
    return ResultsSigner(secret, api_url, context, part)


SIGNER = make_signer()


def plan_results(
    requests: Sequence[RunRequest] = REQUESTS, signer: ResultsSigner = SIGNER, source: str = "github"
) -> list[RunResult]:
    """Return the signed runs of a step before its first request."""
    return [
        RunResult(request, request_mac=signer.sign_request(request, build_start_body(request, source)))
        for request in requests
    ]


def write_results(
    requests: Sequence[RunRequest] = REQUESTS,
    states: Sequence[RunState] = STATES,
    context: BuildContext = FIRST_CONTEXT,
    signer: ResultsSigner | None = SIGNER,
    flaky: int = -1,
) -> bytes:
    """Return the results.json of an attempt with a run for each request.

    `flaky` is the index of a run with an earlier attempt.
    """
    results = tuple(
        run._replace(
            state=state,
            run_id=f"run-{number}",
            url=f"https://autonoma.app/run/run-{number}",
            previous_attempts=(PreviousAttempt("run-that-failed"),) if number == flaky else (),
        )
        for number, (run, state) in enumerate(zip(plan_results(requests), states, strict=True))
    )
    saved_report = Report(
        "Autonoma tests", context, "github", results, started_at="2026-01-02T03:04:05Z", waits_for_results=True,
        part=PART, step_id="0123456789abcdef",
    )  # fmt: skip
    return render_results_json(saved_report, signer).encode()


RESULTS_JSON = write_results()


def find_passes(
    data: bytes = RESULTS_JSON,
    requests: Sequence[RunRequest] = REQUESTS,
    context: BuildContext = SECOND_CONTEXT,
    signer: ResultsSigner = SIGNER,
    source: str = "github",
    *,
    fails_on_flaky: bool = False,
) -> dict[int, str]:
    """Return the reusable passes of a results.json, none of an unreadable one."""
    try:
        loaded_results = LoadedResults(parse_results(data), data)
    except ValueError:
        return {}
    return find_reusable_run_ids(
        plan_results(requests, signer, source),
        loaded_results,
        context,
        BuildIdRules(),
        signer,
        fails_on_flaky=fails_on_flaky,
    )


def edit_results(change: Callable[[dict[str, Any]], None], *, sign: bool) -> bytes:
    """Return results.json with a change.

    With `sign`, results.json is signed again, but its runs are not.
    """
    document = json.loads(RESULTS_JSON)
    change(document)
    if sign:
        document["mac"] = ""
        return SIGNER.sign_results(json.dumps(document, indent=2) + "\n").encode()
    return json.dumps(document, indent=2).encode() + b"\n"


def change_request(index: int, /, **changes: Any) -> tuple[RunRequest, ...]:
    requests = list(REQUESTS)
    requests[index] = requests[index]._replace(**changes)
    return tuple(requests)


def test_passed_runs_are_reused_if_unchanged() -> None:
    """The results.json of the previous attempt names the runs to confirm."""
    assert find_passes() == ALL_PASSED


@pytest.mark.parametrize(
    "signer",
    [
        make_signer(Secret("another-secret")),
        ResultsSigner(SIGNING, API_URL, SECOND_CONTEXT, PART, Secret("client-id")),
        make_signer(api_url="https://other.autonoma.app/api"),
        make_signer(context=SECOND_CONTEXT._replace(build_id="18")),
        make_signer(context=SECOND_CONTEXT._replace(sha="d" * 40)),
        make_signer(context=SECOND_CONTEXT._replace(sha="")),
        make_signer(part=PART._replace(job_name="lint")),
        make_signer(part=PART._replace(part="mac")),
        make_signer(part=PART._replace(part="")),
        make_signer(part=PART._replace(shard="2/2")),
        make_signer(part=PART._replace(title="Nightly")),
    ],
    ids=["secret", "client id", "api-url", "build", "commit", "no commit", "job", "part", "no part", "shard", "title"],
)
def test_reuse_needs_same_part_build_account(signer: ResultsSigner) -> None:
    """One fact that differs prevents reuse."""
    assert find_passes(signer=signer) == {}


def test_reuse_needs_same_source() -> None:
    """The source is sent with tests and folders, so it is part of the signature."""
    assert find_passes(source="cli") == {}


@pytest.mark.parametrize(
    "requests",
    [
        change_request(0, environment="production"),
        change_request(0, matrix_place="LOCALE=3"),
        change_request(0, matrix_place=""),
        change_request(0, matrix_place="OS=1"),
        change_request(0, occurrence=2),
        change_request(0, id="c"),
        change_request(0, kind=TargetKind.TAG),
        change_request(0, variables={"LOCALE": "de", "BASE_URL": "https://x.example"}),
        change_request(0, variables={"LANGUAGE": "en", "BASE_URL": "https://x.example"}),
        change_request(0, variables={"LOCALE": "en"}),
        change_request(0, application_version_id="v2"),
        change_request(0, application_version_id=""),
        change_request(2, application_versions=(AppVersion("app", "v2"),)),
        change_request(2, application_versions=(AppVersion("other", "v1"),)),
        change_request(2, application_versions=()),
        change_request(2, run_on_latest=True),
        # The values of the matrix change places, and each place is another run then.
        (REQUESTS[0]._replace(matrix_place="LOCALE=2"), REQUESTS[1]._replace(matrix_place="LOCALE=1"), *REQUESTS[2:]),
        (REQUESTS[3], REQUESTS[2], REQUESTS[1], REQUESTS[0]),
        (*REQUESTS, REQUESTS[0]._replace(occurrence=2)),
        REQUESTS[1:],
        REQUESTS[:3],
        (),
    ],
    ids=[
        "environment", "matrix place", "no matrix place", "matrix axis", "occurrence", "id", "kind",
        "a variable's value", "a variable's name", "a variable less", "version", "no version", "a folder's version",
        "a folder's application", "no folder's version", "run-on-latest", "places swapped", "another order",
        "one run more", "the first run less", "the last run less", "no runs",
    ],
)  # fmt: skip
def test_reuse_needs_same_plan(requests: Sequence[RunRequest]) -> None:
    """A plan with a changed, added or removed run belongs to a different step."""
    assert find_passes(requests=requests) == {}


def test_reuse_ignores_labels() -> None:
    """A label is neither sent nor part of the run key."""
    assert find_passes(requests=change_request(0, name="Another label")) == ALL_PASSED


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.PASSED])
def test_reuse_needs_state_passed(state: RunState) -> None:
    """Only passed runs are reused."""
    assert find_passes(write_results(states=(state, *STATES[1:]))) == {1: "run-1", 2: "run-2"}


@pytest.mark.parametrize(
    ("old_attempt", "new_attempt", "is_reused"),
    [
        ("1", "2", True), ("9", "10", True), ("1", "3", True), ("2", "2", False), ("3", "2", False),
        ("", "2", False), ("1", "", False), ("", "", False), ("0", "1", True), ("x", "2", False), ("-1", "2", False),
        ("1", "9" * 25, False), ("１", "2", False),
    ],
)  # fmt: skip
def test_reuse_needs_earlier_attempt(old_attempt: str, new_attempt: str, is_reused: bool) -> None:
    """A results.json of the same attempt belongs to another step."""
    data = write_results(context=FIRST_CONTEXT._replace(build_attempt=old_attempt))
    assert find_passes(data, context=FIRST_CONTEXT._replace(build_attempt=new_attempt)) == (
        ALL_PASSED if is_reused else {}
    )


def test_reuse_needs_build_id() -> None:
    """Without a build id, an attempt may be of another build."""
    signer = make_signer(context=SECOND_CONTEXT._replace(build_id=""))
    assert find_passes(write_results(signer=signer), context=SECOND_CONTEXT._replace(build_id=""), signer=signer) == {}


def test_reuse_needs_commit() -> None:
    """Without a commit id, the commit may be another one."""
    context = SECOND_CONTEXT._replace(sha="")
    signer = make_signer(context=context)
    data = write_results(context=FIRST_CONTEXT._replace(sha=""), signer=signer)
    assert find_passes(data, context=context, signer=signer) == {}


def test_flaky_pass_is_not_reused() -> None:
    """A reused run would look like a clean pass, because the signature covers no earlier attempt."""
    assert find_passes(write_results(flaky=0)) == {1: "run-1", 2: "run-2"}


def test_all_passed_prevents_reuse() -> None:
    """If all runs of the plan passed before, none is reused."""
    assert find_passes(write_results(states=[RunState.PASSED] * 4)) == {}


def test_all_passed_with_flaky_prevents_reuse() -> None:
    """A step that starts only the flaky run proves no more."""
    assert find_passes(write_results(states=[RunState.PASSED] * 4, flaky=0)) == {}


def test_flaky_run_fails_earlier_attempt_on_request() -> None:
    """With `on-flaky: fail`, only the flaky run is started again."""
    states = [RunState.PASSED] * 4
    assert find_passes(write_results(states=states, flaky=3), fails_on_flaky=True) == ALL_PASSED
    assert find_passes(write_results(states=states), fails_on_flaky=True) == {}


@pytest.mark.parametrize("state", RunState)
def test_quarantined_run_prevents_no_full_restart(state: RunState) -> None:
    """If everything that counts passed, nothing is reused, whatever the state of a quarantined run."""
    requests = change_request(3, quarantine=QUARANTINE)
    data = write_results(requests, states=(*STATES[:3], state))
    assert find_passes(data, requests) == find_passes(data, requests, fails_on_flaky=True) == {}


def test_quarantined_pass_is_reused() -> None:
    """If a run that counts failed, a quarantined pass is reused like others."""
    assert find_passes(requests=change_request(0, quarantine=QUARANTINE)) == ALL_PASSED


def test_quarantine_of_this_attempt_decides() -> None:
    """A quarantine that ended since the earlier attempt has no effect."""
    requests = change_request(3, quarantine=QUARANTINE)
    assert find_passes(write_results(requests)) == ALL_PASSED


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(RunState), st.booleans()), min_size=4, max_size=4),
    st.integers(-1, 3),
    st.booleans(),
)
def test_repeated_job_is_never_skipped(earlier: list[tuple[RunState, bool]], flaky: int, fails_on_flaky: bool) -> None:
    """If a run counts, a re-run starts at least one run that counts."""
    requests = [
        request._replace(quarantine=QUARANTINE if is_quarantined else None)
        for request, (_, is_quarantined) in zip(REQUESTS, earlier, strict=True)
    ]
    data = write_results(requests, [state for state, _ in earlier], flaky=flaky)
    reused = find_passes(data, requests, fails_on_flaky=fails_on_flaky)
    results = [
        run._replace(state=RunState.PASSED, run_id="r", reused=index in reused)
        for index, run in enumerate(plan_results(requests))
    ]
    verdict = compute_verdict(results, waits_for_results=True, fails_on_flaky=fails_on_flaky)
    has_counting_run = not all(is_quarantined for _, is_quarantined in earlier)
    assert verdict.conclusion is (Conclusion.PASSED if has_counting_run else Conclusion.SKIPPED)


def test_contradicted_pass_is_not_reused() -> None:
    """The status and the details of the run contradicted each other."""
    data = edit_results(lambda document: document["runs"][0].update(has_contradiction=True), sign=True)
    assert find_passes(data) == {1: "run-1", 2: "run-2"}


def test_unsigned_results_prevent_reuse() -> None:
    """A step without credentials writes such a results.json, and so could anybody."""
    assert find_passes(write_results(signer=None)) == {}


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a failure that passed": lambda document: document["runs"][3].update(state="passed"),
    "another run id": lambda document: document["runs"][0].update(run_id="run-of-somebody"),
    "the id of another pass": lambda document: document["runs"][0].update(run_id="run-1"),
    "the key of another run": lambda document: document["runs"][0].update(key=document["runs"][3]["key"]),
    "the signature of another run": lambda document: document["runs"][3].update(
        state="passed", mac=document["runs"][0]["mac"]
    ),
    "another pass in the place of a failure": lambda document: document["runs"][3].update(
        {name: document["runs"][0][name] for name in ("state", "run_id", "mac", "request_mac")}
    ),
    "another attempt": lambda document: document["ci"].update(attempt="0"),
    "another commit": lambda document: document["ci"].update(sha="d" * 40),
    "a link": lambda document: document["runs"][0].update(url="https://evil.example/run/run-0"),
    "a title": lambda document: document.update(title="Nightly"),
    "one run less": lambda document: document["runs"].pop(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_edited_results_prevent_reuse(change: Callable[[dict[str, Any]], None]) -> None:
    """Any edit invalidates the signature of results.json."""
    assert find_passes(edit_results(change, sign=False)) == {}


# The runs that passed and are still reusable after each of these changes, with a new signature of results.json. Another
# plan has none.
REMAINING_PASSES = {
    "a failure that passed": ALL_PASSED,
    "another run id": {1: "run-1", 2: "run-2"},
    "the id of another pass": {1: "run-1", 2: "run-2"},
    "the key of another run": {},
    "the signature of another run": ALL_PASSED,
    "another pass in the place of a failure": {},
}


@pytest.mark.parametrize("name", REMAINING_PASSES)
def test_each_entry_needs_its_own_signature(name: str) -> None:
    """A changed entry is refused even if the signature of results.json is valid."""
    run_ids = find_passes(edit_results(CHANGES[name], sign=True))
    assert run_ids == REMAINING_PASSES[name]


@pytest.mark.slow
@pytest.mark.parametrize("bits", [0x01, 0x10, 0xFF])
def test_changed_byte_prevents_reuse(bits: int) -> None:
    """The signature covers each byte of results.json."""
    for index in range(len(RESULTS_JSON)):
        data = RESULTS_JSON[:index] + bytes([RESULTS_JSON[index] ^ bits]) + RESULTS_JSON[index + 1 :]
        assert find_passes(data) == {}, index


@settings(deadline=None, max_examples=500)
@given(st.integers(0, len(RESULTS_JSON)), st.integers(0, 8), st.binary(max_size=8))
def test_replaced_bytes_prevent_reuse(index: int, length: int, replacement: bytes) -> None:
    """Changed, added or removed bytes invalidate results.json."""
    data = RESULTS_JSON[:index] + replacement + RESULTS_JSON[index + length :]
    assert find_passes(data) == (ALL_PASSED if data == RESULTS_JSON else {})


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(RESULTS_JSON) - 1), st.sampled_from('0123456789abcdefx"}{,: '))
def test_changed_letter_prevents_reuse(index: int, letter: str) -> None:
    """Such a change often leaves valid JSON."""
    data = RESULTS_JSON[:index] + letter.encode() + RESULTS_JSON[index + 1 :]
    assert find_passes(data) == (ALL_PASSED if data == RESULTS_JSON else {})
