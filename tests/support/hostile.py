"""Hostile texts for CI systems, Markdown pages and later steps."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st

from autonoma_ci.models import (
    AppVersion,
    BuildContext,
    ChangeSummary,
    Conclusion,
    Evidence,
    ExitReason,
    PreviousAttempt,
    Quarantine,
    Report,
    RunRequest,
    RunResult,
    RunState,
    RunStep,
    TargetKind,
    Verdict,
)

HOSTILE_PIECES = (
    "::error::", "::set-output name=conclusion::passed", "::stop-commands::x", "::add-mask::a", "::Group::", "::",
    ":", "##[set-output name=conclusion]passed", "##[error]", "##[", "##", "#", "[", "]", "##vso[task.complete]",
    "##teamcity[buildStatus text='x']", "\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\v", "\f", "\x1c", "\t", " ",
    "    ", "\xa0", "\u3000", "\u202e", "\u2066", "\u200b", "\u2060", "\ufeff", "\xad", "\U000e0041", "\x1b[0K", "\x1b",
    "\x9b", "section_start:1:a\r\x1b[0K", "\x00", "\ud800", "\udcff", "\uffff", "--- ", "+++ ", "~~~ ", "^^^ +++",
    "travis_fold:start:a", "%0A", "%0D", "%25", "%", "&lt;", "&#124;", "&", "|", "\\", "\\|",
    "`", "```", "<img src=x>", "</td>", "<br>", "<!--", "@user", "@", "#1", "[a](https://x.example)", "![a](b)",
    "https://x.example", "www.x.example", "me@x.example", "**", "__", "~~", "=", "<<", "EOF", "autonoma_", "run-id=x",
    "travis_time:start:a", "fold:end:a", "time:end:a", "fold:", "start:",
    "conclusion<<EOF\npassed\nEOF\n", "# ", "- ", "1. ", "$(id)", "'", '"', ",", "{", "}", "word", "0", "é", "🚀",
)  # fmt: skip
# Hypothesis excludes surrogates by default, but the environment and JSON can have them.
ANY_CHARACTER = st.characters(codec=None)
TEXTS = st.lists(st.one_of(st.sampled_from(HOSTILE_PIECES), st.text(ANY_CHARACTER, max_size=4)), max_size=8).map(
    "".join
)
URLS = st.one_of(TEXTS, TEXTS.map(lambda text: f"https://autonoma.app/run/{text}"))
QUARANTINES = st.builds(partial(Quarantine), st.dates().map(str), TEXTS, URLS)
CHANGES = st.builds(
    partial(ChangeSummary),
    st.sampled_from(["", "clone", "api", "list"]),
    TEXTS,
    st.none() | st.integers(0, 10_000),
    st.none() | TEXTS,
)
# A partial function, because Hypothesis would draw the omitted fields of a named tuple too.
REQUESTS = st.builds(
    partial(RunRequest),
    kind=st.sampled_from(TargetKind),
    id=TEXTS,
    name=TEXTS,
    variables=st.dictionaries(TEXTS, TEXTS, max_size=2),
    application_version_id=TEXTS,
    application_versions=st.lists(st.builds(AppVersion, TEXTS, TEXTS), max_size=2).map(tuple),
    environment=TEXTS,
    owner=TEXTS,
    quarantine=st.none() | QUARANTINES,
    rerun_command=TEXTS,
)
IMAGES = st.sampled_from(["", "evidence/r-1/step-004.png"])
STEP = st.builds(RunStep, st.integers(1, 10_000), TEXTS, TEXTS, TEXTS, TEXTS, IMAGES)
STEPS = st.none() | STEP
VIDEOS = st.sampled_from(["", "evidence/r-1/video.webm"])
EVIDENCE = st.builds(Evidence, st.lists(STEP, max_size=2).map(tuple), VIDEOS, TEXTS)
RUN_RESULTS = st.builds(
    partial(RunResult),
    request=REQUESTS,
    state=st.sampled_from(RunState),
    reason=st.sampled_from(ExitReason),
    run_id=TEXTS,
    url=URLS,
    message=TEXTS,
    suggestion=TEXTS,
    http_status=st.integers(0, 999),
    start_requests=st.integers(0, 9),
    duration_seconds=st.floats(0, 1e6),
    start_offset_seconds=st.floats(-1e6, 1e6),
    title=TEXTS,
    step=STEPS,
    previous_attempts=st.lists(
        st.builds(PreviousAttempt, TEXTS, URLS, TEXTS, STEPS, st.floats(0, 1e6), st.floats(0, 1e6), EVIDENCE),
        max_size=1,
    ).map(tuple),
    reused=st.booleans(),
    evidence=EVIDENCE,
)
CONTEXTS = st.builds(partial(BuildContext), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, URLS, URLS, TEXTS, TEXTS)
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(Conclusion),
    st.sampled_from(ExitReason),
    st.integers(0, 143),
)
REPORTS = st.builds(
    partial(Report),
    title=TEXTS,
    context=CONTEXTS,
    source=TEXTS,
    results=st.lists(RUN_RESULTS, max_size=2).map(tuple),
    verdict=st.none() | VERDICTS,
    results_dir=TEXTS,
    started_at=TEXTS,
    input_errors=st.just(()),
    waits_for_results=st.booleans(),
    resume_command=TEXTS,
    plan_notes=st.lists(TEXTS, max_size=2).map(tuple),
    change=st.none() | CHANGES,
    quarantined_by_change=st.lists(TEXTS, max_size=2).map(tuple),
    option_variables=st.lists(TEXTS, max_size=2).map(tuple),
    duration_seconds=st.floats(0, 1e6),
    source_label=TEXTS,
    change_noun=TEXTS,
)
INPUT_ERROR_REPORTS = st.builds(
    partial(Report),
    TEXTS,
    CONTEXTS,
    TEXTS,
    st.just(()),
    VERDICTS,
    input_errors=st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
)
