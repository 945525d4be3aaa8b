"""Jobs of GitHub Actions and of compatible systems for each event."""

from __future__ import annotations

import json
from typing import Any

from autonoma_ci.models import BuildContext, UntrustedSource
from tests.support.ci_environments import CODEBUILD, HEAD, JENKINS, MERGE, TARGET, JobCase

REPO = "acme/shop"
PAGE = "https://github.com/acme/shop/actions/runs/1658821493/attempts/2"
PREVIEW = "https://shop-git-cart.preview.example.com"
GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_EVENT_PATH": "{folder}/event.json",
    "GITHUB_SHA": HEAD,
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_REF_NAME": "main",
    "GITHUB_HEAD_REF": "",
    "GITHUB_REPOSITORY": REPO,
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_RUN_NUMBER": "3",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_WORKFLOW": "Verify",
    "GITHUB_JOB": "e2e",
}
PULL_REQUEST = {
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_SHA": MERGE,
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "feature/cart",
    "GITHUB_BASE_REF": "main",
}
ON_DEFAULT_BRANCH = {"GITHUB_SHA": TARGET}
GITEA = {
    "GITEA_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://git.example.com/gitea/",
    "GITHUB_RUN_ID": "272",
    "GITHUB_RUN_NUMBER": "43",
}
PULL_EVENT = {
    "action": "synchronize",
    "number": 7,
    "pull_request": {
        "number": 7,
        "merge_commit_sha": MERGE,
        "head": {"sha": HEAD, "ref": "feature/cart", "repo": {"full_name": REPO}},
        "base": {"sha": TARGET, "ref": "main", "repo": {"full_name": REPO}},
    },
}
DELETED_FORK = {"number": 7, "head": {"sha": HEAD, "ref": "feature/cart", "repo": None}, "base": {"ref": "main"}}
QUEUE = f"gh-readonly-queue/main/pr-7-{TARGET}"


def _make_context(ci: str = "github", build_url: str = PAGE, **facts: Any) -> BuildContext:
    """Return the context of a build, with defaults for missing facts."""
    # Gitea and Forgejo name the same run in their environments.
    build_id = "1658821493" if ci == "github" else "272"
    default_facts = {
        "sha": HEAD,
        "branch": "main",
        "repository": REPO,
        "build_id": build_id,
        "build_attempt": "2",
        "job_name": "e2e",
    }
    return BuildContext(ci_name=ci, build_url=build_url, **{**default_facts, **facts})


def _make_case(name: str, environ: dict[str, str], event: object, expected: BuildContext) -> JobCase:
    """Return a job with its event as the file of the event."""
    files = {} if event is None else {"event.json": event if isinstance(event, str) else json.dumps(event)}
    return JobCase(name, {**GITHUB, **environ}, expected, files)


def _make_event_case(name: str, payload: object, expected: BuildContext, **environ: str) -> JobCase:
    """Return a job for the named event on the default branch."""
    return _make_case(f"github-{name}", {**ON_DEFAULT_BRANCH, "GITHUB_EVENT_NAME": name, **environ}, payload, expected)


_CHANGE = _make_context(change_number="7", branch="feature/cart")
_FROM_FORK = _CHANGE._replace(secrets_withheld_from=UntrustedSource.FORK)
_UNKNOWN_HEAD = _make_context(change_number="7", branch="feature/cart", sha="")

GITHUB_JOB_CASES = (
    _make_case("github-push", {}, {"after": HEAD, "ref": "refs/heads/main"}, _make_context()),
    _make_case("github-push-of-a-tag", {"GITHUB_REF": "refs/tags/v1.10"}, {}, _make_context(branch="v1.10")),
    _make_case(
        "github-branch-called-origin", {"GITHUB_REF": "refs/heads/origin/x"}, {}, _make_context(branch="origin/x")
    ),
    _make_case("github-pull-request-builds-a-merge-commit", PULL_REQUEST, PULL_EVENT, _CHANGE),
    _make_case("github-pull-request-of-a-deleted-fork", PULL_REQUEST, {"pull_request": DELETED_FORK}, _FROM_FORK),
    _make_case("github-pull-request-without-an-event-file", PULL_REQUEST, None, _UNKNOWN_HEAD),
    _make_case("github-pull-request-with-a-broken-event-file", PULL_REQUEST, '{"pull_request": {', _UNKNOWN_HEAD),
    _make_case("github-pull-request-with-a-list-for-an-event", PULL_REQUEST, [1, 2], _UNKNOWN_HEAD),
    _make_case("github-pull-request-nested-too-deep", PULL_REQUEST, "[" * 200_000, _UNKNOWN_HEAD),
    _make_case("github-pull-request-with-a-null-head", PULL_REQUEST, {"pull_request": {"head": None}}, _UNKNOWN_HEAD),
    _make_case(
        "github-closed-pull-request-is-on-the-target-branch",
        {**PULL_REQUEST, "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"},
        PULL_EVENT,
        _CHANGE,
    ),
    _make_event_case("pull_request_target", PULL_EVENT, _CHANGE, GITHUB_HEAD_REF="feature/cart"),
    _make_event_case("pull_request_review", PULL_EVENT, _CHANGE, GITHUB_REF="refs/pull/7/merge", GITHUB_SHA=MERGE),
    _make_event_case(
        "pull_request_review_comment", PULL_EVENT, _CHANGE, GITHUB_REF="refs/pull/7/merge", GITHUB_SHA=MERGE
    ),
    _make_event_case(
        "merge_group",
        {"merge_group": {"head_sha": HEAD, "head_ref": f"refs/heads/{QUEUE}"}},
        _make_context(change_number="7", branch=QUEUE),
        GITHUB_SHA=HEAD,
        GITHUB_REF=f"refs/heads/{QUEUE}",
    ),
    _make_event_case(
        "deployment_status",
        {
            "deployment": {"sha": HEAD, "ref": HEAD},
            "deployment_status": {
                "state": "success",
                "environment_url": PREVIEW,
                "target_url": "https://log.example.com",
            },
            "workflow_run": None,
        },
        _make_context(branch="", deployment_url=PREVIEW),
        GITHUB_SHA=HEAD,
        GITHUB_REF="",
        GITHUB_REF_NAME="",
    ),
    _make_event_case(
        "deployment",
        {"deployment": {"sha": HEAD, "ref": "feature/cart"}},
        _make_context(branch="feature/cart"),
        GITHUB_REF="",
        GITHUB_REF_NAME="",
    ),
    _make_event_case(
        "workflow_run",
        {"workflow_run": {"head_sha": HEAD, "head_branch": "feature/cart", "pull_requests": [{"number": 7}]}},
        _CHANGE,
    ),
    _make_event_case("workflow_run", None, _make_context(sha="", branch="")),
    _make_event_case(
        "check_suite",
        {"check_suite": {"head_sha": HEAD, "head_branch": "feature/cart", "pull_requests": []}},
        _make_context(branch="feature/cart"),
    ),
    _make_event_case(
        "check_run",
        {"check_run": {"head_sha": HEAD, "check_suite": {"head_branch": "feature/cart"}, "pull_requests": [{}, {}]}},
        _make_context(branch="feature/cart"),
    ),
    _make_event_case(
        "status", {"sha": HEAD, "branches": [{"name": "feature/cart"}]}, _make_context(branch="feature/cart")
    ),
    _make_event_case(
        "issue_comment",
        {"issue": {"number": 7, "pull_request": {"url": "https://api.github.com/x"}}},
        _make_context(change_number="7", sha="", branch=""),
    ),
    _make_event_case("issue_comment", {"issue": {"number": 8}}, _make_context(sha=TARGET)),
    _make_event_case("schedule", {"schedule": "0 3 * * *"}, _make_context(sha=TARGET)),
    _make_event_case("repository_dispatch", {"action": "test"}, _make_context(sha=TARGET)),
    _make_event_case(
        "workflow_dispatch",
        {"inputs": {}},
        _make_context(branch="feature/cart"),
        GITHUB_SHA=HEAD,
        GITHUB_REF="refs/heads/feature/cart",
    ),
    _make_case(
        "github-enterprise-server-first-attempt-unknown",
        {"GITHUB_SERVER_URL": "https://ghe.example.com:8443", "GITHUB_RUN_ATTEMPT": ""},
        {},
        _make_context(build_url="https://ghe.example.com:8443/acme/shop/actions/runs/1658821493", build_attempt=""),
    ),
    _make_case(
        "github-act-has-no-page", {"ACT": "true", "GITHUB_RUN_ID": "1"}, {}, _make_context(build_url="", build_id="1")
    ),
    _make_case("github-runner-on-codebuild", {**CODEBUILD, **GITHUB}, {}, _make_context()),
    _make_case("github-runner-on-a-leaking-jenkins-agent", {**JENKINS, **GITHUB}, {}, _make_context()),
    _make_case("github-with-ci-false-for-a-bundler", {"CI": "false"}, {}, _make_context()),
    _make_case(
        "github-hostile-branch-name",
        {"GITHUB_REF": "refs/heads/a\r\n::error::b", "GITHUB_REF_NAME": "a\r\n::error::b"},
        {},
        _make_context(branch=""),
    ),
    _make_case(
        "github-hostile-preview", {}, {"deployment_status": {"environment_url": "javascript:x"}}, _make_context()
    ),
    _make_case(
        "gitea-push-looks-like-github",
        GITEA,
        {},
        _make_context("gitea", "https://git.example.com/gitea/acme/shop/actions/runs/272"),
    ),
    _make_case(
        "gitea-pull-request",
        {**GITEA, **PULL_REQUEST, "GITHUB_REF": "refs/pull/7/head"},
        PULL_EVENT,
        _make_context(
            "gitea",
            "https://git.example.com/gitea/acme/shop/actions/runs/272",
            change_number="7",
            branch="feature/cart",
        ),
    ),
    _make_case(
        "forgejo-push-looks-like-gitea-and-github",
        {**GITEA, "FORGEJO_ACTIONS": "true"},
        {},
        _make_context("forgejo", "https://git.example.com/gitea/acme/shop/actions/runs/43"),
    ),
    _make_case(
        "forgejo-pull-request",
        {**GITEA, **PULL_REQUEST, "FORGEJO_ACTIONS": "true"},
        PULL_EVENT,
        _make_context(
            "forgejo",
            "https://git.example.com/gitea/acme/shop/actions/runs/43",
            change_number="7",
            branch="feature/cart",
        ),
    ),
    _make_case(
        "forgejo-with-a-runner-before-7-is-taken-for-gitea",
        {**GITEA, "FORGEJO_TOKEN": "x"},
        {},
        _make_context("gitea", "https://git.example.com/gitea/acme/shop/actions/runs/272"),
    ),
)
