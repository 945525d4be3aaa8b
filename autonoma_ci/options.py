"""The table of options: one row each, for the command line, GitHub's inputs and the environment alike.

action.yml's inputs, the help of the command line and the README's tables are made from these rows
(`make tables`), and a test holds them together. To add an option, add a row
here and a field of the same name to `settings.Settings`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci import values

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_API_URL = "https://autonoma.app/api"


class Option(NamedTuple):
    """One option and its three spellings.

    `default` is what the documents show, and what is parsed when nothing is given (empty: no value).
    `takes` names the value in the help; empty for a yes-or-no option, which can stand without a value.
    `parse` raises InputError with messages that do not repeat the option's name.
    """

    name: str
    default: str
    takes: str
    parse: Callable[[str], object]
    help: str
    exact: bool = False

    @property
    def field(self) -> str:
        """The name of the field in Settings."""
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        """The spelling on the command line."""
        return f"--{self.name}"

    @property
    def inputs(self) -> tuple[str, str]:
        """The variables in which a GitHub runner hands over the input; it keeps hyphens, shells can't."""
        upper = f"INPUT_{self.name.upper()}"
        return upper, upper.replace("-", "_")

    @property
    def variable(self) -> str:
        """The spelling in the environment of every other system."""
        return f"AUTONOMA_{self.field.upper()}"


OPTIONS = (
    Option("client-id", "", "TEXT", values.credential, "Autonoma client id. Keep it in the CI system's secrets."),
    Option(
        "client-secret", "", "TEXT", values.credential,
        "Autonoma client secret. Keep it in the CI system's secrets; prefer the environment to the command line.",
    ),
    Option(
        "api-url", DEFAULT_API_URL, "URL", values.api_url,
        "Base URL of the API; https, or http to a loopback host.",
    ),
    Option(
        "test-ids", "", "LIST", values.ids,
        "Ids of tests to run, separated by commas or lines; `#` starts a comment, an entry may be `label=id`.",
    ),
    Option(
        "manifest", "", "PATH", values.word,
        "YAML file that lists what to run. Without it and without ids: `autonoma.yml` or `autonoma.yaml` "
        "in the working directory. With ids: both are run.",
    ),
    Option("groups", "", "LIST", values.words, "Run only the manifest's entries in one of these groups."),
    Option(
        "variables", "", "LINES", values.variables,
        "Values for saved variables, for this run alone: `NAME=value` lines, or a YAML or JSON mapping. "
        "They win over the manifest's; on the command line also `--var NAME=value`, repeatable.", exact=True,
    ),
    Option("application-version-id", "", "ID", values.one_id, "Application version to run the tests against."),
    Option("source", "", "TEXT", values.source, "What the API is told as the source. Default: the CI system's name."),
    Option("concurrency", "8", "N", partial(values.number, 1, 64), "How many runs are started at a time, 1 to 64."),
    Option("fail-fast", "false", "", values.switch, "Stop starting runs after the first that could not be started."),
    Option("allow-empty", "false", "", values.switch, "Pass when nothing is selected; otherwise that is an error."),
    Option("dry-run", "false", "", values.switch, "Print the plan and send nothing."),
    Option(
        "results-dir", "", "PATH", values.word,
        "Folder for `results.json`, `outputs.env` and `summary.md`. Unset: none is written.",
    ),
    Option("summary", "true", "", values.switch, "Write the job summary where the CI system has one."),
    Option(
        "summary-title", "Autonoma tests", "TEXT", values.title,
        "Title of the summary; tells two steps of one job apart.",
    ),
)  # fmt: skip

BY_NAME = {option.name: option for option in OPTIONS}
