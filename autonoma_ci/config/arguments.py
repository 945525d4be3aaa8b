"""Parse the command line by the table of options."""

from __future__ import annotations

import argparse
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeAlias

from autonoma_ci.config.options import OPTION_GROUPS, OPTIONS, Option
from autonoma_ci.config.parsers import BOOLEAN_WORDS
from autonoma_ci.errors import HelpPrinted, InputError
from autonoma_ci.escaping import sanitize_line
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The parsed command line with one field per flag.
ParsedArguments: TypeAlias = argparse.Namespace
# Matches flags and rejects secrets. A random secret may start with a hyphen, but never has only lower-case letters.
_FLAG_RE = re.compile(r"--[a-z][a-z_-]{0,40}|-[A-Za-z]")
# Metavars of options whose value is a list.
_LIST_METAVARS = frozenset({"LIST", "LINES"})
# How argparse starts the error about a missing positional argument.
_MISSING_PREFIX = "the following arguments are required: "
_SPELLINGS = (
    "Each option is also an environment variable: --test-ids is AUTONOMA_TEST_IDS.",
    "In the GitHub Action, each option is also an input: test-ids. The command line has priority.",
)


class _StoreOnce(argparse.Action):
    """Stores the text of a flag that may appear only once.

    With two lists, users expect both lists to be used. argparse would use only the last.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: ParsedArguments,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Store the text.

        Raises:
            InputError: The flag has a text already.

        """
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is used twice. Use the option once, with line breaks between the entries")
        setattr(namespace, self.dest, values)


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser with its own output stream and errors."""

    def __init__(self, command: str, help_text: str, out: TextIO) -> None:
        super().__init__(f"autonoma-ci {command}", description=help_text, allow_abbrev=False)
        self._out, self._command = out, command
        # A command line for the end of the help.
        self.example = ""
        # Where the help lists `--var`.
        self.variables_group: argparse._ActionsContainer = self
        # Advice for a surplus argument, or for one of these unknown flags.
        self.hint = ""
        self.hint_flags: tuple[str, ...] = ()

    @property
    def _see_help(self) -> str:
        return f"See {self.prog} --help."

    def error(self, message: str) -> NoReturn:
        """Replace argparse's exit with an error of this program.

        Raises:
            InputError: Always. The message leaves out the value that argparse quotes, because it may be a secret.

        """
        raise InputError([f"{_rewrite_argparse_error(message)}. {self._see_help}"])

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:  # noqa: ARG002
        """Replace argparse's exit after it has printed the help.

        Raises:
            HelpPrinted: Always. The caller decides how the process ends.

        """
        raise HelpPrinted

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Return the value of an action.

        argparse removes `--` from the values of a flag too, so that `--groups=--` would have a list as its value.
        """
        return "--" if action.option_strings and arg_strings == ["--"] else super()._get_values(action, arg_strings)

    def print_help(self, file: object = None) -> None:  # noqa: ARG002
        """Print the help to the parser's stream.

        Raises:
            OutputError: The stream can't be written.

        """
        positional = [action for action in self._actions if not action.option_strings]
        names = [f"[{action.metavar}]" if action.nargs == "?" else action.metavar for action in positional]
        # The usage of argparse has all flags, which is up to 20 lines.
        usage = " ".join(map(str, [self.prog, *names, "[OPTIONS]"]))
        _, _, help_text = self.format_help().partition("\n\n")
        write_product(self._out, f"usage: {usage}\n\n{help_text}\nexample:\n  {self.example}\n")

    def parse_partial(self, argv: Sequence[str]) -> tuple[ParsedArguments, list[str]]:
        """Return the known arguments and a problem for each unknown flag.

        Problems repeat only the name of an unknown flag, because the text after it may be a secret.

        Raises:
            InputError: argparse itself finds an error, such as a missing value.

        """
        argv, wrong_flag = self._separate_boolean_flags(argv)
        parsed, unknown = self.parse_known_args(argv)
        flags = {flag for action in self._actions for flag in action.option_strings}
        problems = []
        for argument in unknown:
            name = argument.partition("=")[0]
            if _FLAG_RE.fullmatch(name):
                from autonoma_ci.config.suggestions import find_closest_match

                closest = find_closest_match(name, flags)
                hint = f"Did you mean '{closest}'?" if closest else self._see_help
                problems.append(f"Unknown option: '{sanitize_line(name, 40)}'. {hint}")
        if unknown and not problems:
            problem = f"{wrong_flag} accepts true, false or no value" if wrong_flag else "Unexpected argument"
            has_positional = any(not action.option_strings for action in self._actions)
            accepted = "one argument" if has_positional else "only options"
            hint = self.hint or f"The command {self._command} accepts {accepted}."
            problems.append(f"{problem}. {hint} {self._see_help}")
        elif unknown and self.hint_flags and any(text.partition("=")[0] in self.hint_flags for text in unknown):
            problems.append(self.hint)
        return parsed, problems

    def _separate_boolean_flags(self, argv: Sequence[str]) -> tuple[list[str], str]:
        """Return arguments in which no boolean flag consumes the next argument.

        Without this, argparse would use NAME in `--dry-run NAME` as the value of the flag.

        Returns:
            The arguments, and the first flag with another value than a boolean behind it, or an empty text.

        """
        boolean_flags = {flag for action in self._actions if action.const == "true" for flag in action.option_strings}
        arguments, wrong_flag = list(argv), ""
        for index, (flag, next_argument) in enumerate(pairwise(argv)):
            if (
                flag in boolean_flags
                and not next_argument.startswith("-")
                and next_argument.lower() not in BOOLEAN_WORDS
            ):
                arguments[index] = f"{flag}=true"
                wrong_flag = wrong_flag or flag
        return arguments, wrong_flag

    def parse(self, argv: Sequence[str]) -> ParsedArguments:
        """Return the parsed arguments.

        Raises:
            InputError: Some arguments are unknown or invalid.

        """
        parsed, problems = self.parse_partial(argv)
        if problems:
            raise InputError(problems)
        return parsed


def _rewrite_argparse_error(message: str) -> str:
    """Return an error of argparse in this program's words.

    The result leaves out the value that argparse quotes.
    """
    before_choices, _, choices = message.rpartition("(choose from ")
    # argparse quotes a value in single or double quotes.
    text = re.split("['\"]", before_choices or message, maxsplit=1)[0].rstrip(": ").removeprefix("argument ")
    if message.startswith(_MISSING_PREFIX):
        names = message.removeprefix(_MISSING_PREFIX)
        example = ". Use the results-dir of an earlier step, such as autonoma-results" if names == "RESULTS" else ""
        return f"Missing argument: {names}{example}"
    if before_choices:
        *allowed, last = choices.rstrip(")").replace("'", "").split(", ")
        return f"{text.removesuffix(': invalid choice')}: invalid value. Use {', '.join(allowed)} or {last}"
    return text.replace(": expected one argument", ": missing value")


def build_parser(
    command: str, help_text: str, options: Sequence[Option], out: TextIO, own_help: Mapping[str, str] | None = None
) -> ArgumentParser:
    """Return a command's parser with a flag for each option.

    Args:
        command: The command.
        help_text: What the command does.
        options: The options of the command.
        out: The stream of the help.
        own_help: The help of options that mean something else in this command, by name.

    """
    parser = ArgumentParser(command, help_text, out)
    for title, group_options in OPTION_GROUPS.items():
        group = parser.add_argument_group(title)
        for option in (option for option in options if option.name in {listed.name for listed in group_options}):
            text = (own_help or {}).get(option.name, option.help).replace("%", "%%") + (
                f" Default: {option.default}." if option.default else ""
            )
            if option.metavar:
                action = _StoreOnce if option.metavar in _LIST_METAVARS else "store"
                group.add_argument(option.flag, metavar=option.metavar, help=text, action=action)
                parser.variables_group = group if option.name == "variables" else parser.variables_group
            else:
                group.add_argument(option.flag, metavar="true|false", nargs="?", const="true", help=text)
    parser.epilog = " ".join(_SPELLINGS)
    return parser


def add_var_flag(parser: ArgumentParser) -> None:
    """Add the repeatable flag `--var`, stored in the field `var`."""
    group = parser.variables_group
    group.add_argument("--var", metavar="NAME=VALUE", action="append", default=[], help="One variable. Repeatable.")


def provided_options(parsed: ParsedArguments, options: Sequence[Option]) -> dict[str, str]:
    """Return the texts of options with a flag, by option name."""
    return {option.name: text for option in options if (text := getattr(parsed, option.settings_field)) is not None}


def parse_run_arguments(argv: Sequence[str], out: TextIO) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the options, `--var` texts and problems of a command line."""
    help_text = "Start the runs, print their links, and state the result in the exit code."
    parser = build_parser("run", help_text, OPTIONS, out)
    parser.example = "autonoma-ci run --test-ids ID --wait"
    parser.hint = "To run tests, folders or tags by their ids, add --test-ids ID, --folder-ids ID or --tag-ids ID."
    add_var_flag(parser)
    parsed, problems = parser.parse_partial(argv)
    return provided_options(parsed, OPTIONS), parsed.var, problems
