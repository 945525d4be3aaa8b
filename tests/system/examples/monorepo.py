"""The repository of the monorepo example, its clones and its jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from tests.support.generate_docs import ROOT
from tests.support.github_environments import GITHUB, PULL_REQUEST, REPO
from tests.support.manifests import renew_quarantines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autonoma_ci.sandbox import Sandbox

EXAMPLE = ROOT / "examples" / "monorepo"
SCRIPT = Path(sys.executable).with_name("autonoma-ci")
SERVICES = ("storefront", "search", "listings", "checkout", "account", "messages", "admin")
PREVIEW_URL = "https://${ci.branch_slug}.preview.example.com"
CHANGE_BRANCH = "feature/Cart_2"
CHANGE_URL = "https://feature-cart-2.preview.example.com"
# Source: GitLab's documentation, "Predefined CI/CD variables".
_GITLAB = {
    "GITLAB_CI": "true",
    "CI_PROJECT_PATH": REPO,
    "CI_PIPELINE_ID": "1658821493",
    "CI_JOB_NAME": "autonoma",
    "CI_DEFAULT_BRANCH": "main",
}
# The user's configuration can have hooks, sign commits or convert line ends.
_GIT_ENVIRON = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{role}_NAME": "A" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "a@example.com" for role in ("AUTHOR", "COMMITTER")},
}


def read_entries() -> list[dict[str, Any]]:
    """Return the entries of the example."""
    manifest = yaml.safe_load((EXAMPLE / "autonoma.yml").read_text("utf-8"))
    return [*manifest["tests"], *manifest["folders"], *manifest["tags"]]


def list_groups(entry: Mapping[str, Any]) -> list[str]:
    """Return the groups of an entry. One group needs no list."""
    groups: str | list[str] = entry["groups"]
    return [groups] if isinstance(groups, str) else groups


def find_ids(*groups: str) -> list[str]:
    """Return the sorted ids of the entries in these groups, one for each run."""
    entries = [entry for entry in read_entries() if set(groups) & set(list_groups(entry))]
    return sorted(entry["id"] for entry in entries for _ in range(prod(map(len, entry.get("matrix", {}).values()))))


def read_workflow_inputs() -> dict[str, str]:
    """Return the inputs of the example's workflow that are the same for each event."""
    workflow = yaml.safe_load((EXAMPLE / "github-workflow.yml").read_text("utf-8"))
    [inputs] = [step["with"] for step in workflow["jobs"]["autonoma"]["steps"] if "autonoma-ci@" in step["uses"]]
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in inputs.items()}
    return {name: text for name, text in texts.items() if "${{" not in text}


def read_pipeline_variables(rule: int) -> dict[str, str]:
    """Return the variables of the example's GitLab job for one of its rules."""
    job = yaml.safe_load((EXAMPLE / "gitlab-ci.yml").read_text("utf-8"))["autonoma"]
    return {**job["variables"], **job["rules"][rule].get("variables", {})}


def run_git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return its output without white space around it."""
    command = ["git", "-C", str(folder), *arguments]
    result = subprocess.run(command, env={**os.environ, **_GIT_ENVIRON}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


class Push(NamedTuple):
    """A push of one commit, as the event of GitHub names it."""

    branch: str
    before: str
    after: str


class MonorepoJob(NamedTuple):
    """The results of a job, and the runs that it started at the sandbox."""

    code: int
    log: str
    # The parsed results.json.
    results: dict[str, Any]
    # The variables of outputs.env.
    outputs: dict[str, str]
    # The job summary.
    summary: str
    # One id for each start, sorted.
    started_ids: list[str]
    # The values of BASE_URL in the starts of tests.
    base_urls: set[str]

    @property
    def verdict(self) -> tuple[int, str]:
        """The exit code and the conclusion."""
        assert self.results["exit_code"] == self.code
        assert self.results["conclusion"] == self.outputs["AUTONOMA_CONCLUSION"]
        return self.code, self.outputs["AUTONOMA_CONCLUSION"]

    @property
    def changed_files(self) -> dict[str, Any]:
        """The facts about the changed files in results.json."""
        facts = self.results["changed_files"]
        assert isinstance(facts, dict)
        return facts


class Monorepo:
    """The repository at its host, and jobs that clone it.

    Args:
        folder: An empty folder for the repository and its clones.
        sandbox: The API of the jobs. It also answers for the preview deployment.

    """

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self._folder, self._sandbox = folder, sandbox
        self._origin = folder / "origin"
        self._origin.mkdir()
        run_git(self._origin, "init", "--quiet", "--initial-branch=main")
        files = {f"services/{service}/{name}": "1\n" for service in SERVICES for name in ("main.js", "README.md")}
        files |= dict.fromkeys(("docs/guide.md", "packages/README.md", "packages/ui/button.js"), "1\n")
        files |= {"package-lock.json": "{}\n", "changed.txt": ""}
        self.base = self.commit({**files, "autonoma.yml": self._adapt_manifest()})

    def _adapt_manifest(self) -> str:
        """Return the example's manifest for today, with the sandbox as preview."""
        text = renew_quarantines((EXAMPLE / "autonoma.yml").read_text("utf-8"))
        preview = f"wait_for_url: {PREVIEW_URL}/health\n"
        assert preview in text
        # This page of the sandbox needs no credentials.
        return text.replace(preview, f"wait_for_url: {self._sandbox.url.removesuffix('/api')}/received\n")

    def commit(self, files: Mapping[str, str]) -> str:
        """Commit files to the current branch, and return the hash."""
        for name, text in files.items():
            path = self._origin / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        run_git(self._origin, "add", "--all")
        run_git(self._origin, "commit", "--quiet", "--message", "x")
        return run_git(self._origin, "rev-parse", "HEAD")

    def create_branch(self, name: str) -> None:
        """Create a branch of `main`, and make it the current one."""
        run_git(self._origin, "checkout", "--quiet", "-b", name, "main")

    def push(self, *names: str) -> Push:
        """Commit a changed line in each of these files to the current branch."""
        before = run_git(self._origin, "rev-parse", "HEAD")
        after = self.commit({name: (self._origin / name).read_text("utf-8") + "# changed\n" for name in names})
        return Push(run_git(self._origin, "branch", "--show-current"), before, after)

    def change(self, *names: str) -> Push:
        """Push changes of these files to a pull request, while `main` goes on."""
        self.create_branch(CHANGE_BRANCH)
        push = self.push(*names)
        self.advance_main()
        return push

    def find_tip(self) -> str:
        """Return the last commit of `main`."""
        return run_git(self._origin, "rev-parse", "main")

    def advance_main(self) -> None:
        """Commit a change of one service to `main`."""
        branch = run_git(self._origin, "branch", "--show-current")
        run_git(self._origin, "checkout", "--quiet", "main")
        self.push("services/admin/main.js")
        run_git(self._origin, "checkout", "--quiet", branch)

    def edit_manifest(self, edit: Callable[[str], str]) -> Push:
        """Commit an edited manifest to the current branch."""
        push = Push(run_git(self._origin, "branch", "--show-current"), run_git(self._origin, "rev-parse", "HEAD"), "")
        old = (self._origin / "autonoma.yml").read_text("utf-8")
        new = edit(old)
        assert new != old
        return push._replace(after=self.commit({"autonoma.yml": new}))

    def run_pull_request(self, push: Push, depth: int = 0, **inputs: str) -> MonorepoJob:
        """Run the job of a pull request at its merge commit.

        Args:
            push: The last push to the pull request.
            depth: The input `fetch-depth` of the checkout. 0 fetches all commits.
            inputs: Inputs besides those of the example, with `_` for `-`.

        """
        target, merge = self.find_tip(), self._merge(push, "refs/pull/7/merge")
        repository = {"full_name": REPO, "default_branch": "main"}
        event = {
            "action": "synchronize",
            "number": 7,
            "before": push.before,
            "after": push.after,
            "repository": repository,
            "pull_request": {
                "number": 7,
                "merge_commit_sha": merge,
                "head": {"sha": push.after, "ref": push.branch, "repo": repository},
                "base": {"sha": target, "ref": "main", "repo": repository},
            },
        }
        environ = {**PULL_REQUEST, "GITHUB_SHA": merge, "GITHUB_HEAD_REF": push.branch}
        inputs = {"environment": "preview", **inputs}
        return self._run_workflow(self._clone("refs/pull/7/merge", depth), environ, event, inputs)

    def run_merge_group(self, push: Push) -> MonorepoJob:
        """Run the job of a merge group with one pull request."""
        target = self.find_tip()
        ref = f"refs/heads/gh-readonly-queue/main/pr-7-{target}"
        merge = self._merge(push, ref)
        group = {"head_sha": merge, "head_ref": ref, "base_sha": target, "base_ref": "refs/heads/main"}
        environ = {"GITHUB_EVENT_NAME": "merge_group", "GITHUB_SHA": merge, "GITHUB_REF": ref}
        return self._run_workflow(self._clone(ref, 0), environ, {"merge_group": group}, {})

    def run_push(self, push: Push, **inputs: str) -> MonorepoJob:
        """Run the job of a push to a branch, with the complete history."""
        ref = f"refs/heads/{push.branch}"
        event = {**push._asdict(), "ref": ref, "repository": {"default_branch": "main"}}
        environ = {"GITHUB_SHA": push.after, "GITHUB_REF": ref, "GITHUB_REF_NAME": push.branch}
        return self._run_workflow(self._clone(ref, 0), environ, event, inputs)

    def run_on_main(self, event_name: str, **inputs: str) -> MonorepoJob:
        """Run the job of a schedule or of a manual run on the default branch."""
        environ = {"GITHUB_EVENT_NAME": event_name, "GITHUB_SHA": self.find_tip()}
        event = {"repository": {"default_branch": "main"}}
        return self._run_workflow(self._clone("refs/heads/main", 0), environ, event, inputs)

    def run_merge_request(self, push: Push) -> MonorepoJob:
        """Run the pipeline of a merge request on GitLab."""
        environ = {
            **_GITLAB,
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_COMMIT_SHA": push.after,
            "CI_COMMIT_REF_NAME": push.branch,
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": push.branch,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        }
        return self._run_pipeline(self._clone(f"refs/heads/{push.branch}", 0), environ, rule=0)

    def run_scheduled_pipeline(self) -> MonorepoJob:
        """Run the pipeline of a schedule on GitLab."""
        environ = {
            **_GITLAB,
            "CI_PIPELINE_SOURCE": "schedule",
            "CI_COMMIT_SHA": self.find_tip(),
            "CI_COMMIT_REF_NAME": "main",
            "CI_COMMIT_BRANCH": "main",
        }
        return self._run_pipeline(self._clone("refs/heads/main", 0), environ, rule=1)

    def _merge(self, push: Push, ref: str) -> str:
        """Merge a push into `main` as a commit with its own ref."""
        run_git(self._origin, "checkout", "--quiet", "--detach", "main")
        run_git(self._origin, "merge", "--quiet", "--no-ff", "--message", "merge", push.after)
        run_git(self._origin, "update-ref", ref, "HEAD")
        return run_git(self._origin, "rev-parse", "HEAD")

    def _clone(self, ref: str, depth: int) -> Path:
        """Clone and check out a ref in the way of actions/checkout."""
        clone = self._folder / "clone"
        clone.mkdir()
        run_git(clone, "init", "--quiet")
        # Without the scheme, git ignores the depth.
        run_git(clone, "remote", "add", "origin", f"file://{self._origin}")
        remote_ref = ref.replace("refs/heads/", "refs/remotes/origin/").replace("refs/pull/", "refs/remotes/pull/")
        branches = [] if depth else ["+refs/heads/*:refs/remotes/origin/*"]
        depth_flags = [f"--depth={depth}"] if depth else []
        run_git(clone, "fetch", "--quiet", "--no-tags", *depth_flags, "origin", *branches, f"+{ref}:{remote_ref}")
        run_git(clone, "checkout", "--quiet", "--force", remote_ref)
        return clone

    def _run_workflow(
        self, clone: Path, environ: Mapping[str, str], event: object, inputs: Mapping[str, str]
    ) -> MonorepoJob:
        runner = self._folder / "runner"
        runner.mkdir()
        (runner / "event.json").write_text(json.dumps(event), "utf-8")
        all_inputs = read_workflow_inputs() | {name.replace("_", "-"): value for name, value in inputs.items()}
        runner_environ = {
            **{name: value.format(folder=runner) for name, value in GITHUB.items()},
            "GITHUB_WORKSPACE": str(clone),
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_STEP_SUMMARY": str(runner / "summary"),
        }
        inputs_environ = {f"INPUT_{name.upper()}": value for name, value in all_inputs.items()}
        return self._run_job(clone, {**runner_environ, **environ, **inputs_environ})

    def _run_pipeline(self, clone: Path, environ: Mapping[str, str], rule: int) -> MonorepoJob:
        return self._run_job(clone, {"CI_PROJECT_DIR": str(clone), **environ, **read_pipeline_variables(rule)})

    def _run_job(self, clone: Path, environ: Mapping[str, str]) -> MonorepoJob:
        all_environ = {
            **environ,
            "AUTONOMA_CLIENT_ID": "client-id-of-the-test",
            "AUTONOMA_CLIENT_SECRET": "client-secret-of-the-test",
            "AUTONOMA_API_URL": self._sandbox.url,
        }
        # No code host listens here, so there is no comment.
        all_environ |= {name: "false" for name in ("INPUT_COMMENT", "AUTONOMA_COMMENT") if name in all_environ}
        result = subprocess.run(
            [str(SCRIPT)], cwd=clone, env=all_environ, capture_output=True, text=True, timeout=300, check=False
        )
        log = result.stdout + result.stderr
        assert "Traceback" not in log, log
        files = clone / "autonoma-results"
        assert (files / "outputs.env").is_file(), log
        lines = (files / "outputs.env").read_text("utf-8").splitlines()
        starts = [request for request in self._sandbox.received if request.method == "POST"]
        bodies = [request.body for request in starts if isinstance(request.body, dict)]
        return MonorepoJob(
            result.returncode,
            log,
            json.loads((files / "results.json").read_text("utf-8")),
            dict(line.split("=", 1) for line in lines),
            (files / "summary.md").read_text("utf-8"),
            sorted(request.path.split("/")[-2] for request in starts),
            {body["runtime_metadata"]["BASE_URL"] for body in bodies if "runtime_metadata" in body},
        )
