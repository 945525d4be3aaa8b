"""The table of options.

One row defines an option for the command line, the inputs of the GitHub Action and the environment. From these rows,
`make generate-docs` generates the inputs of action.yml, the GitLab component, the help and the tables of the pages. A
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


# In the order of the documents.
OPTIONS = (
    Option("client-id", "", "TEXT", parsers.parse_secret, "Autonoma client id. Keep it in the CI system's secrets."),
    Option(
        "client-secret", "", "TEXT", parsers.parse_secret,
        "Autonoma client secret. Keep it in the CI system's secrets; prefer the environment to the command line.",
        # Source: the name of the secret in the vendor's Vercel integration.
        env_var_aliases=("AUTONOMA_SECRET_ID",),
    ),
    Option(
        "api-url", DEFAULT_API_URL, "URL", parsers.parse_api_base_url,
        "Base URL of the API; https, or http to a loopback host.",
    ),
    Option(
        "test-ids", "", "LIST", partial(id_lists.parse_ids, option="test-ids"),
        "Ids of tests to run: one per line, separated by commas, or a JSON array of texts. An entry may be "
        "`label = id` or a link of the app; a label with `#` or `,` needs quotes. `#` starts a comment.",
    ),
    Option(
        "folder-ids", "", "LIST", partial(id_lists.parse_ids, option="folder-ids"),
        "Ids of folders to run, with all tests in them and below them; written like `test-ids`.",
    ),
    Option(
        "tag-ids", "", "LIST", partial(id_lists.parse_ids, option="tag-ids"),
        "Ids of tags to run; written like `test-ids`.",
    ),
    Option(
        "manifest", "", "PATH", parsers.parse_text,
        "YAML file that lists what to run. Without it and without ids: `autonoma.yml` or `autonoma.yaml` "
        "in the working directory. With ids: both are run.",
    ),
    Option(
        "groups", "", "LIST", parsers.parse_groups,
        "Run only the manifest's entries in one of these groups. `none` alone runs nothing, ids included: the step is "
        "skipped.",
    ),
    Option(
        "variables", "", "LINES", parsers.parse_variables,
        "Values for saved variables, for this run alone: `NAME=value` lines, or a YAML or JSON mapping. "
        "White space around name and value is removed in lines. They win over the manifest's; on the command line also "
        "`--var NAME=value`, repeatable.", preserve_whitespace=True,
    ),
    Option(
        "allow-env", "", "LIST", parsers.parse_environment_patterns,
        "Names or shell patterns: the only environment variables that `${NAME}` in a manifest may read, separated by "
        "commas or lines. Unset: all but those that look like secrets. A secret is read only if its full name is "
        "listed here.",
    ),
    Option("application-version-id", "", "ID", parsers.parse_id, "Application version to run the tests against."),
    Option(
        "application-versions", "", "LIST", parsers.parse_application_versions,
        "What folders and tags run against: a YAML or JSON list of `application-id` and `version-id`.",
    ),
    Option(
        "run-on-latest", "false", "", parsers.parse_bool,
        "Run folders and tags against the latest version of each application.",
    ),
    Option(
        "source", "", "TEXT", parsers.parse_source,
        "What the API is told as the source. Default: the CI system's name.",
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
    Option(
        "build-url", "", "URL", parsers.parse_build_url,
        "Link to the build. Default: from the CI system.",
    ),
    Option("concurrency", "8", "N", partial(parsers.parse_int, 1, 64), "How many runs are started at a time, 1 to 64."),
    Option(
        "wait", "false", "", parsers.parse_bool, "Wait until every run has ended, and pass only if all of them passed."
    ),
    Option(
        "timeout", "30m", "TIME", parsers.parse_duration,
        "How long to wait at most, with a unit: `90s`, `30m`, `2h`.",
    ),
    Option(
        "poll-interval", "auto", "TIME", parsers.parse_poll_interval,
        "How often each run is asked for: a duration, or `auto`, which begins quickly and is never above 10 seconds.",
    ),
    Option(
        "retries", "0", "N", partial(parsers.parse_int, 0, 10),
        "With wait: start a run that failed again, up to N times; a pass after a failure is reported as flaky.",
    ),
    Option(
        "fail-fast", "false", "", parsers.parse_bool,
        "Stop starting runs after the first that could not be started.",
    ),
    Option(
        "allow-empty", "false", "", parsers.parse_bool,
        "Pass when nothing is selected; otherwise that is an error.",
    ),
    Option(
        "on-missing-credentials", "fail", "WORD", partial(parsers.parse_choice, ("fail", "skip")),
        "What to do without client id and secret: `fail`, or `skip` with a notice, which is green; for changes from "
        "forks and by Dependabot, which get no secrets.",
    ),
    Option("dry-run", "false", "", parsers.parse_bool, "Print the plan and send nothing."),
    Option(
        "shard", "", "PART", parsers.parse_shard,
        "Start only this part of the plan, such as `2/5`; `auto` takes it from the CI system's parallel jobs.",
    ),
    Option(
        "part", "", "TEXT", parsers.parse_part_name,
        "Name of this part of the build, for parallel jobs that nothing else tells apart. On GitHub the default is the "
        "values of the matrix. Each part has its own comment, report and data of the build.",
    ),
    Option(
        "results-dir", "", "PATH", parsers.parse_text,
        "Folder for `report.html`, `junit.xml`, `results.json`, `outputs.env` and `summary.md`. Unset: none is "
        "written.",
    ),
    Option(
        "evidence", "none", "WORD", partial(parsers.parse_choice, ("none", "failed", "all")),
        "With wait: download screenshots and video of the runs that `failed`, or of `all`, into results-dir before "
        "their links expire.",
    ),
    Option(
        "evidence-file-limit", "30MB", "SIZE", parsers.parse_size,
        "Leave out what is larger than this: `500KB`, `30MB`.",
    ),
    Option(
        "evidence-limit", "90MB", "SIZE", parsers.parse_size,
        "How large all of it may be; what shows a failure comes first.",
    ),
    Option("summary", "true", "", parsers.parse_bool, "Write the job summary where the CI system has one."),
    Option(
        "summary-title", "Autonoma tests", "TEXT", parsers.parse_title,
        "Title of the summary; tells two steps of one job apart.",
    ),
    Option(
        "comment", "false", "", parsers.parse_bool,
        "Keep one comment on the pull or merge request, updated in place, per workflow, job, part and "
        "`summary-title`; on GitHub and GitLab.",
    ),
    Option(
        "github-token", "", "TEXT", parsers.parse_secret,
        "Token for the comment on GitHub; the job needs the permission `pull-requests: write`.",
    ),
    Option(
        "gitlab-token", "", "TEXT", parsers.parse_secret,
        "Token for the comment on GitLab: a project access token with the scope `api`, kept in a masked variable.",
    ),
    Option(
        "publish", "now", "WORD", partial(parsers.parse_choice, ("now", "merge")),
        "What to do about comment, Code Insights and data of the build: write them `now`, or leave them to the step "
        "that runs the command `merge`.",
    ),
    Option(
        "verbose", "false", "", parsers.parse_bool,
        "Log requests, decisions and written files with UTC times, and without secrets. Debug runs of GitHub and Azure "
        "turn it on too.",
    ),
    Option(
        "wait-for-url", "", "URL", partial(parsers.parse_http_url, "https://pr-12.preview.example.com"),
        "Before anything is started, wait until this URL answers below 400. No credentials are sent to it.",
    ),
    Option("wait-for-url-timeout", "5m", "TIME", parsers.parse_duration, "How long to wait for it at most."),
)  # fmt: skip
