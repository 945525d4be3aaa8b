"""The table of options.

One row defines an option for the command line, the inputs of the GitHub Action and the environment. From these rows,
`make generate-docs` generates the inputs of action.yml, the GitLab component, the help and the tables of the README. A
test compares them. To add an option, add a row here and a field of the same name to `settings.Settings`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autonoma_ci.config import id_lists, parsers
from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_API_URL = "https://autonoma.app/api"
# Fields of BuildContext, and the options that set them.
BUILD_FACT_OPTIONS = {"sha": "sha", "branch": "branch", "change_number": "change", "build_url": "build-url"}


class Option(NamedTuple):
    """One option with its spellings and its parser."""

    name: str
    # Text that is parsed when the user sets nothing, also shown in the documents. Empty if there is no default.
    default: str
    # Name of the value in the help. Empty for a boolean option, whose flag may have no value.
    metavar: str
    # Raises InputError. The messages leave out the option's name, the caller adds it. `parse_ids` also has the
    # parameter `origins`, and `parse_variables` has `warn`.
    parse: Callable[..., object]
    help: str
    # Whether white space around the text is a part of the value.
    preserve_whitespace: bool = False
    # Other environment variables, used if `env_var` is not set.
    env_var_aliases: tuple[str, ...] = ()

    @property
    def settings_field(self) -> str:
        """The name of the field in Settings."""
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        """The spelling on the command line."""
        return f"--{self.name}"

    @property
    def github_input_names(self) -> tuple[str, str]:
        """The variables in which a GitHub runner passes the input.

        The runner keeps hyphens in the name. Shells can't, so the second name has underscores.
        """
        upper = f"INPUT_{self.name.upper()}"
        return upper, upper.replace("-", "_")

    @property
    def env_var(self) -> str:
        """The environment variable for all other CI systems."""
        return f"AUTONOMA_{self.settings_field.upper()}"

    @property
    def all_env_names(self) -> tuple[str, ...]:
        """All environment variables of the option, the preferred first."""
        return (*self.github_input_names, self.env_var, *self.env_var_aliases)

    @property
    def is_credential(self) -> bool:
        """Whether the value is a credential."""
        return self.parse is parsers.parse_secret

    @property
    def is_id_list(self) -> bool:
        """Whether the value is a list of ids."""
        return isinstance(self.parse, partial) and self.parse.func is id_lists.parse_ids

    def spelling_used(self, source: str) -> str:
        """Return how messages name the option.

        Args:
            source: The flag or environment variable that set the option.

        Returns:
            The source, or the option's name if the source is an input of the GitHub Action.

        """
        return self.name if source in self.github_input_names else source


# The rows in the order of the help and of the documents, by the title of their group.
OPTION_GROUPS = {
    "What to run": (
        Option(
            "test-ids", "", "LIST", partial(id_lists.parse_ids, option="test-ids"),
            "Ids of tests to run: one per line, separated by commas, or a JSON array of strings. An entry may be "
            "`label = id` or a link of the app. A label with `#` or `,` needs quotes. `#` starts a comment.",
        ),
        Option(
            "folder-ids", "", "LIST", partial(id_lists.parse_ids, option="folder-ids"),
            "Ids of folders to run, with all tests in them and in their subfolders. Same format as `test-ids`.",
        ),
        Option(
            "tag-ids", "", "LIST", partial(id_lists.parse_ids, option="tag-ids"),
            "Ids of tags to run. Same format as `test-ids`.",
        ),
        Option(
            "manifest", "", "PATH", parsers.parse_text,
            "Path of a YAML manifest that lists what to run. Without a path and without ids: `autonoma.yml` or "
            "`autonoma.yaml` in the working directory. Ids are run in addition to the manifest.",
        ),
        Option(
            "groups", "", "LIST", parsers.parse_groups,
            "Run only the manifest's entries in one of these groups. `none` alone runs nothing, ids included: the step "
            "is skipped.",
        ),
        Option(
            "exclude-groups", "", "LIST", parsers.parse_groups,
            "Leave out the manifest's entries in one of these groups.",
        ),
        Option(
            "only", "", "LIST", parsers.parse_patterns,
            "Run only entries whose name or id matches one of these patterns, one per line. A star "
            "stands for any text, a question mark for any character. Case is ignored.",
        ),
        Option(
            "changed-files", "auto", "LIST", parsers.parse_changed_files,
            "The changed files, for entries with `when.changed`: `auto` compares the commit with its base, `all` runs "
            "everything. Otherwise paths, one per line or as a JSON array, or `@FILE` with the path of a list. An "
            "ambiguous list runs everything.",
        ),
        Option(
            "failed-from", "", "PATH", parsers.parse_text,
            "Run only the runs of this `results.json` without a pass, in any group. In CI, the file must be of the "
            "same commit and `api-url`.",
        ),
        Option(
            "environment", "", "NAME", parsers.parse_text,
            "One of the manifest's `environments`. Default: the one with `default: true`.",
        ),
        Option(
            "shard", "", "PART", parsers.parse_shard,
            "Run only this part of the plan, such as `2/5`. `auto` uses the CI system's number of this parallel job.",
        ),
        Option(
            "part", "", "TEXT", parsers.parse_part_name,
            "Name of this part of the build, for parallel jobs that nothing else distinguishes. On GitHub, the default "
            "is the values of the matrix. Each part has its own comment, report and build data.",
        ),
        Option(
            "max-runs", "", "N", partial(parsers.parse_int, 1, 1_000_000),
            "Start at most this many runs in this step, retries included. A larger plan is an error before anything is "
            "sent.",
        ),
        Option(
            "allow-empty", "false", "", parsers.parse_bool,
            "Accept an empty selection: the step is skipped with exit code 0. Otherwise, an empty selection is an "
            "error.",
        ),
        Option("dry-run", "false", "", parsers.parse_bool, "Print the plan and send nothing."),
    ),
    "How to run it": (
        Option(
            "client-id", "", "TEXT", parsers.parse_secret,
            "Client id of the Autonoma account. Store it in the CI system's secrets.",
        ),
        Option(
            "client-secret", "", "TEXT", parsers.parse_secret,
            "Client secret of the Autonoma account. Store it in the CI system's secrets. Use the environment instead "
            "of the command line.",
            # Source: the name of the secret in the vendor's Vercel integration.
            env_var_aliases=("AUTONOMA_SECRET_ID",),
        ),
        Option(
            "api-url", DEFAULT_API_URL, "URL", parsers.parse_api_base_url,
            "Base URL of the API: https, or http to a loopback host.",
        ),
        Option(
            "variables", "", "LINES", parsers.parse_variables,
            "Values for variables that are saved in Autonoma, in these runs only. Autonoma ignores other names. "
            "`NAME=value` lines, or a YAML or JSON mapping. In lines, white space around name and value is removed. "
            "Values here override the manifest's. On the command line, "
            "`--var NAME=value` sets one variable.", preserve_whitespace=True,
        ),
        Option(
            "allow-env", "", "LIST", parsers.parse_environment_patterns,
            "The only environment variables that `${NAME}` in a manifest may read: names or shell patterns, separated "
            "by commas or lines. Unset: all names, except those that look like secrets. A secret is read only if its "
            "full name is listed.",
        ),
        Option(
            "application-version-id", "", "ID", parsers.parse_id,
            "Id of the application version to run the tests against.",
        ),
        Option(
            "application-versions", "", "LIST", parsers.parse_application_versions,
            "Application versions to run folders and tags against: a YAML or JSON list of `application-id` and "
            "`version-id`.",
        ),
        Option(
            "run-on-latest", "false", "", parsers.parse_bool,
            "Run folders and tags against the latest version of each application.",
        ),
        Option(
            "source", "", "TEXT", parsers.parse_source,
            "Value of the API's `source` field, at most 10 characters. Default: the CI system's name.",
        ),
        Option(
            "concurrency", "8", "N", partial(parsers.parse_int, 1, 64),
            "Number of runs that are started at the same time, 1 to 64.",
        ),
        Option(
            "fail-fast", "false", "", parsers.parse_bool,
            "Stop starting runs after the first run that could not be started.",
        ),
        Option(
            "on-missing-credentials", "fail", "WORD", partial(parsers.parse_choice, ("fail", "skip")),
            "Without client id or secret: `fail`, or `skip` the step with a notice and exit code 0. Use `skip` for "
            "changes from forks and by Dependabot, which get no secrets.",
        ),
        Option(
            "wait-for-url", "", "URL", partial(parsers.parse_http_url, "https://pr-12.preview.example.com"),
            "Before any run is started, wait until this URL responds with a status below 400. No credentials are sent "
            "to this URL.",
        ),
        Option(
            "wait-for-url-timeout", "5m", "TIME", parsers.parse_duration,
            "Maximum time to wait for `wait-for-url`.",
        ),
        Option(
            "sha", "", "HASH", parsers.parse_commit_hash,
            "Full hash of the commit under test. Default: from the CI system.",
        ),
        Option("branch", "", "NAME", parsers.parse_ref_name, "Branch or tag under test. Default: from the CI system."),
        Option(
            "change", "", "NUMBER", parsers.parse_change_number,
            "Number of the pull or merge request. Default: from the CI system.",
        ),
        Option("build-url", "", "URL", parsers.parse_build_url, "URL of the build. Default: from the CI system."),
    ),
    "Waiting and verdict": (
        Option(
            "wait", "false", "", parsers.parse_bool,
            "Wait until every run has ended, and pass if all that count passed. Failures in `quarantine` do not count.",
        ),
        Option(
            "timeout", "30m", "TIME", parsers.parse_duration,
            "Maximum time to wait for the runs, with a unit: `90s`, `30m`, `2h`.",
        ),
        Option(
            "poll-interval", "auto", "TIME", parsers.parse_poll_interval,
            "Time between two polls of a run: a duration, or `auto`, which starts short and never exceeds 10 seconds.",
        ),
        Option(
            "retries", "0", "N", partial(parsers.parse_int, 0, 10),
            "With wait: start a failed run again, up to N times. A pass after a failure is reported as flaky.",
        ),
        Option(
            "on-flaky", "pass", "WORD", partial(parsers.parse_choice, ("pass", "fail")),
            "With wait: what a pass after a failure counts as, `pass` or `fail`.",
        ),
        Option(
            "ignore-quarantine", "false", "", parsers.parse_bool,
            "Count the results of entries in `quarantine` like all others.",
        ),
    ),
    "Reports": (
        Option(
            "results-dir", "", "PATH", parsers.parse_text,
            "Directory for `report.html`, `junit.xml`, `results.json`, `outputs.env` and `summary.md`. Unset: no files "
            "are written.",
        ),
        Option(
            "evidence", "none", "WORD", partial(parsers.parse_choice, ("none", "failed", "all")),
            "With wait: download screenshots and video of the runs that `failed`, or of `all`, into results-dir before "
            "their links expire.",
        ),
        Option(
            "evidence-file-limit", "30MB", "SIZE", parsers.parse_size,
            "Maximum size of one screenshot or video: `500KB`, `30MB`. Larger files are left out.",
        ),
        Option(
            "evidence-limit", "90MB", "SIZE", parsers.parse_size,
            "Maximum size of all screenshots and videos. Files that show a failure have priority.",
        ),
        Option(
            "summary", "true", "", parsers.parse_bool,
            "Write the job summary where the CI system has one.",
        ),
        Option(
            "summary-title", "Autonoma tests", "TEXT", parsers.parse_title,
            "Title of the summary. Distinguishes two steps of one job.",
        ),
        Option(
            "comment", "false", "", parsers.parse_bool,
            "Write one comment on the pull or merge request, and update the comment in place. Each workflow, job, part "
            "and `summary-title` has its own comment. On GitHub and GitLab.",
        ),
        Option(
            "github-token", "", "TEXT", parsers.parse_secret,
            "Token for the comment on GitHub. The job needs the permission `pull-requests: write`.",
        ),
        Option(
            "gitlab-token", "", "TEXT", parsers.parse_secret,
            "Token for the comment on GitLab: a project access token with the scope `api`. Store it in a masked "
            "variable.",
        ),
        Option(
            "publish", "now", "WORD", partial(parsers.parse_choice, ("now", "merge")),
            "Reports to write: `now` writes all of them. `merge` leaves out comment, Code Insights and build "
            "data.",
        ),
        Option(
            "verbose", "false", "", parsers.parse_bool,
            "Log requests, decisions and written files with UTC times, without secrets. Debug runs of GitHub and Azure "
            "turn on this log too.",
        ),
    ),
}  # fmt: skip
OPTIONS = tuple(option for options in OPTION_GROUPS.values() for option in options)
