"""Generator of action.yml, the GitLab component and the tables of the pages (`make generate-docs`)."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.app import action_args
from autonoma_ci.cli import COMMANDS
from autonoma_ci.config.options import OPTIONS, Option
from autonoma_ci.reports.outputs import OUTPUTS
from tests.support import reference_tables as tables
from tests.support.gitlab_component import render_component

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
_ACTION_HEAD = """\
# Made from the table of options by `make generate-docs`. Options have no default here, as it would win over AUTONOMA_
# variables and over the manifest. The exceptions are the job's token and the values of its matrix.
name: Autonoma CI
description: Run Autonoma end-to-end tests from a workflow, wait for the results, and report them on the pull request
author: the autonoma-ci contributors
branding:
  icon: play-circle
  color: green
inputs:
"""
_ACTION_TAIL = """\
runs:
  using: docker
  image: Dockerfile
  # The input args reaches the program as a variable. Without this line, the runner would split it in its own way too.
  args: []
"""


# Only action.yml can have these values. The legs of a matrix have the same environment, so `part` identifies them. It
# is empty outside of a matrix.
DEFAULTS = {
    "github-token": "${{ github.token }}",
    "part": "${{ strategy.job-total > 1 && toJSON(matrix) || '' }}",
}


class Block(NamedTuple):
    """The text between two markers of a page."""

    name: str
    text: str


# The input `args` exists only in the GitHub Action and is no option.
ARGS_HELP = (
    "Another command and its arguments, such as `wait autonoma-results`, split into words like a shell does, without a "
    "shell. Default: run."
)


def render_action() -> str:
    """Return the text of action.yml."""
    text = _ACTION_HEAD
    for option in OPTIONS:
        text += f"  {option.name}:\n    description: {json.dumps(_describe_option(option))}\n    required: false\n"
        text += f"    default: {DEFAULTS[option.name]}\n" if option.name in DEFAULTS else ""
    text += f"  {action_args.ARGS_INPUT}:\n    description: {json.dumps(ARGS_HELP)}\n    required: false\noutputs:\n"
    for output in OUTPUTS:
        text += f"  {output.name}:\n    description: {json.dumps(output.help)}\n"
    return text + _ACTION_TAIL


def _describe_option(option: Option) -> str:
    return option.help + (f" Default: {option.default}." if option.default else "")


def render_pages() -> dict[str, list[Block]]:
    """Return the generated blocks of each page."""
    return {
        "README.md": [
            Block("common-options", tables.render_common_options()),
            Block("common-outputs", tables.render_common_outputs()),
            Block("exit-codes", tables.render_exit_codes()),
        ],
        "docs/reference/options.md": [
            Block("options", tables.render_option_groups()),
            Block("inputs", _render_inputs()),
        ],
        "docs/reference/outputs.md": [Block("outputs", tables.render_outputs())],
        "docs/reference/exit-codes.md": [
            Block("exit-codes", tables.render_exit_codes()),
            Block("reason-priority", tables.render_reason_priority()),
        ],
        "docs/reference/manifest.md": [Block("manifest-keys", tables.render_manifest_keys())],
        "docs/reference/results-json.md": [Block("results-fields", tables.render_results_fields())],
        "docs/reference/environment-variables.md": [
            Block("option-variables", tables.render_option_variables()),
            Block("output-variables", tables.render_output_variables()),
            Block("other-variables", tables.render_other_variables()),
            Block("detection", tables.render_detection()),
        ],
        "docs/reference/commands.md": [
            Block("commands", tables.render_commands()),
            *(Block(f"command-{name}", tables.render_command(name)) for name in COMMANDS),
        ],
    }


def _render_inputs() -> str:
    lines = ["```yaml", "- uses: OWNER/autonoma-ci@v1", "  with:"]
    for option in OPTIONS:
        lines += textwrap.wrap(option.help, 100, initial_indent="    # ", subsequent_indent="    # ")
        lines += [f"    {option.name}: {DEFAULTS.get(option.name) or json.dumps(option.default)}", ""]
    lines += textwrap.wrap(ARGS_HELP, 100, initial_indent="    # ", subsequent_indent="    # ")
    return "\n".join([*lines, f'    {action_args.ARGS_INPUT}: ""', "```"])


def replace_blocks(text: str, blocks: Iterable[Block]) -> str:
    """Replace blocks of a page.

    Raises:
        ValueError: A marker is missing.

    """
    for block in blocks:
        text = replace_block(text, *block)
    return text


def replace_block(text: str, name: str, table: str) -> str:
    """Replace one block of a page.

    Raises:
        ValueError: A marker is missing.

    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if start not in text or end not in text:
        raise ValueError(f"the page has no {start} and {end}")
    head, _, rest = text.partition(start)
    _, _, tail = rest.partition(end)
    # Without the blank lines, Python-Markdown does not render a table.
    return f"{head}{start}\n\n{table}\n\n{end}{tail}"


if __name__ == "__main__":
    for name, blocks in render_pages().items():
        page = ROOT / name
        page.write_text(replace_blocks(page.read_text("utf-8"), blocks), "utf-8")
    (ROOT / "action.yml").write_text(render_action(), "utf-8")
    (ROOT / "templates" / "autonoma.yml").write_text(render_component(), "utf-8")
