"""Checks of the code in examples and documentation."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci import cli
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.errors import HelpPrinted, InputError
from autonoma_ci.reports.outputs import OUTPUTS
from tests.support.reference_tables import capture_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]
# `AUTONOMA_NAME` stands for any variable.
VARIABLE_NAMES = {name for option in OPTIONS for name in option.all_env_names if name.startswith("AUTONOMA_")} | {
    "AUTONOMA_CI",
    "AUTONOMA_NAME",
}
VARIABLE_NAMES |= {f"AUTONOMA_{output.name.upper().replace('-', '_')}" for output in OUTPUTS}
ACTION_INPUTS = {option.name for option in OPTIONS} | {"args"}
# The keys of a pipeline whose value is a shell script.
SCRIPT_KEYS = frozenset(
    {"script", "run", "command", "commands", "content", "finally", "sh", "after_script", "after-script", "install"}
)
_FENCE_RE = re.compile(r"^( *)```([\w-]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# The name of the repository is not a command.
_COMMAND_RE = re.compile(r"(?:^|[\s'\"/])(?<!OWNER/)autonoma-ci['\"]?[ \t]+([^\n`'\"|&;>]+)", re.MULTILINE)
_COMMENT_RE = re.compile(r"(?:^|[ \t])(?:#|//) .*$", re.MULTILINE)


class CodeBlock(NamedTuple):
    """A code block of a page."""

    page: str
    # Of the first line of the code.
    line: int
    language: str
    code: str

    @property
    def title(self) -> str:
        """The first line, if it is a comment."""
        match = re.match(r"(?:#|//) (.*)", self.code)
        return match[1].strip() if match else ""


def read_blocks(page: Path) -> Iterator[CodeBlock]:
    """Yield the code blocks of a page."""
    text = page.read_text("utf-8")
    for match in _FENCE_RE.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        yield CodeBlock(page.relative_to(ROOT).as_posix(), line, match[2], textwrap.dedent(match[3]))


BLOCKS = [block for page in PAGES for block in read_blocks(page)]


def iterate_texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a YAML document with its key."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from iterate_texts(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from iterate_texts(value, key)
    elif node is not None:
        yield key, str(node)


def remove_comments(code: str) -> str:
    """Return code without its comments."""
    return _COMMENT_RE.sub("", code)


def find_commands(code: str) -> list[list[str]]:
    """Return the words of each autonoma-ci command in code."""
    return [words.split() for words in _COMMAND_RE.findall(remove_comments(code))]


def find_argument_errors(name: str, *flags: str) -> list[str]:
    """Return the errors of our command line parser for a command."""
    if name.startswith("-"):
        return find_argument_errors("run", name, *flags)
    if name not in cli.COMMANDS:
        return [f"unknown command {name}"]
    try:
        return capture_parser(name).parse_partial(flags)[1]
    except HelpPrinted:
        return []
    except InputError as error:
        return [str(error)]


def find_unknown_variables(code: str) -> set[str]:
    """Return the AUTONOMA_ variables in code that do not exist."""
    return set(re.findall(r"\bAUTONOMA_[A-Z_]+[A-Z]", code)) - VARIABLE_NAMES


def find_bash_error(script: str) -> str:
    """Return the error of bash for a script, or an empty text."""
    bash = shutil.which("bash")
    assert bash
    return subprocess.run([bash, "-n"], input=script, capture_output=True, text=True, check=False).stderr


def find_code_errors(code: str) -> list[str]:
    """Return the errors of the commands and variables in code."""
    errors = [error for words in find_commands(code) for error in find_argument_errors(*words)]
    return errors + [f"unknown variable {name}" for name in sorted(find_unknown_variables(code))]


def find_step_errors(step: dict[str, Any]) -> list[str]:
    """Return the errors of our action's inputs in a step of a workflow."""
    if not str(step.get("uses", "")).startswith("OWNER/autonoma-ci@"):
        return []
    inputs = step.get("with") or {}
    errors = [f"unknown input {name}" for name in sorted(set(inputs) - ACTION_INPUTS - {"entrypoint"})]
    return errors + find_argument_errors(*shlex.split(str(inputs.get("args", "")) or "run"))


def read_code(path: Path) -> str:
    """Return the text of an example without its comments."""
    return remove_comments(path.read_text("utf-8"))
