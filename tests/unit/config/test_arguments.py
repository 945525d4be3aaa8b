"""Tests of the command-line parser."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.config.arguments import (
    ArgumentParser,
    add_var_flag,
    build_parser,
    parse_run_arguments,
    provided_options,
)
from autonoma_ci.config.options import OPTION_GROUPS, OPTIONS
from autonoma_ci.errors import HelpPrinted, InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET = "s3cret-value"
HELP = "See autonoma-ci run --help."
RUN_HINT = "To run tests, folders or tags by their ids, add --test-ids ID, --folder-ids ID or --tag-ids ID."
LIST_FLAGS = [option.flag for option in OPTIONS if option.metavar in {"LIST", "LINES"}]


def make_parser(command: str = "run") -> ArgumentParser:
    """Make a parser with all options."""
    return build_parser(command, "Run tests.", OPTIONS, io.StringIO())


def make_report_parser() -> ArgumentParser:
    """Make a parser with a path and a choice."""
    parser = ArgumentParser("report", "Write reports.", io.StringIO())
    parser.add_argument("results_json", metavar="RESULTS")
    parser.add_argument("--format", choices=["html", "junit"])
    return parser


def find_problems(parser: ArgumentParser, *argv: str) -> list[str]:
    """Return the messages of the error for these arguments."""
    with pytest.raises(InputError) as caught:
        parser.parse(argv)
    return [str(diagnostic) for diagnostic in caught.value.diagnostics]


# Values


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["--source", "x"], {"source": "x"}),
        (["--source=x"], {"source": "x"}),
        (["--source="], {"source": ""}),
        (["--source", "a", "--source", "b"], {"source": "b"}),
        (["--test-ids", "a,b", "--branch=c"], {"test-ids": "a,b", "branch": "c"}),
        (["--variables", "A=1\nB=2"], {"variables": "A=1\nB=2"}),
        (["--wait"], {"wait": "true"}),
        (["--wait=no"], {"wait": "no"}),
        (["--wait", "false"], {"wait": "false"}),
        (["--wait", "OFF", "--dry-run"], {"wait": "OFF", "dry-run": "true"}),
        (["--wait", "--dry-run"], {"wait": "true", "dry-run": "true"}),
        (["--wait=maybe"], {"wait": "maybe"}),
    ],
)
def test_options_are_returned_by_name(argv: list[str], expected: dict[str, str]) -> None:
    """The texts of the given options are returned unchanged."""
    assert provided_options(make_parser().parse(argv), OPTIONS) == expected


def test_run_arguments_are_separated() -> None:
    """Options, variables and problems of a run are returned in three parts."""
    argv = ["--test-ids", "a", "--var", "A=1", "--var=B=2", "--dri-run"]
    options, variables, problems = parse_run_arguments(argv, io.StringIO())
    assert (options, variables) == ({"test-ids": "a"}, ["A=1", "B=2"])
    assert problems == ["Unknown option: '--dri-run'. Did you mean '--dry-run'?"]


def test_variables_of_two_parses_are_separate() -> None:
    """A second parse has no variables of the first one."""
    parser = make_parser()
    add_var_flag(parser)
    assert parser.parse(["--var", "A=1"]).var == ["A=1"]
    assert parser.parse([]).var == []


def test_argv_is_not_changed() -> None:
    """The list of the caller stays the same."""
    argv = ["--wait", "results"]
    make_parser().parse_partial(argv)
    assert argv == ["--wait", "results"]


def test_switch_leaves_next_argument() -> None:
    """A switch does not use the path after it as its value."""
    parser = build_parser("wait", "Wait.", [option for option in OPTIONS if option.name == "comment"], io.StringIO())
    parser.add_argument("results_json", metavar="RESULTS")
    parsed = parser.parse(["--comment", "results"])
    assert (parsed.comment, parsed.results_json) == ("true", "results")


# Unknown and surplus arguments


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("--tests-ids=a", "Unknown option: '--tests-ids'. Did you mean '--test-ids'?"),
        ("--test_ids", "Unknown option: '--test_ids'. Did you mean '--test-ids'?"),
        ("--zzzz", f"Unknown option: '--zzzz'. {HELP}"),
        ("-x", f"Unknown option: '-x'. {HELP}"),
        ("--dry", f"Unknown option: '--dry'. {HELP}"),
        (f"--z{'a' * 37}", f"Unknown option: '--z{'a' * 37}'. {HELP}"),
        (f"--z{'a' * 38}", f"Unknown option: '--z{'a' * 36}…'. {HELP}"),
    ],
)
def test_unknown_flag_is_problem(argument: str, problem: str) -> None:
    """The problem has the name of the flag and the most similar flag."""
    assert find_problems(make_parser(), argument) == [problem]


def test_each_unknown_flag_is_problem() -> None:
    """Each unknown flag has its own problem, without the values after them."""
    problems = find_problems(make_parser(), "--waitt", SECRET, f"--tag-idz={SECRET}")
    assert problems == [
        "Unknown option: '--waitt'. Did you mean '--wait'?",
        "Unknown option: '--tag-idz'. Did you mean '--tag-ids'?",
    ]


@pytest.mark.parametrize(
    "argument",
    [
        SECRET,
        f"-{SECRET}",
        f"--{SECRET}",
        f"--{SECRET.upper()}=x",
        f"--{'a' * 42}",
        "--a\x1b[31m",
        "--a\nb",
        "--é",
        "",
    ],
)
def test_surplus_argument_is_not_repeated(argument: str) -> None:
    """A text that can be a secret is counted and not repeated."""
    assert find_problems(make_parser(), argument) == [
        f"Unexpected argument. The command run accepts only options. {HELP}"
    ]


def test_surplus_path_mentions_one_argument() -> None:
    """A command with a path takes one argument."""
    [problem] = find_problems(make_report_parser(), "results", SECRET)
    assert problem == "Unexpected argument. The command report accepts one argument. See autonoma-ci report --help."


@pytest.mark.parametrize(
    ("argv", "flag"),
    [
        (["--wait", SECRET], "--wait"),
        (["--wait", ""], "--wait"),
        (["--wait", "--dry-run", SECRET], "--dry-run"),
        (["--dry-run", SECRET, "--wait", SECRET], "--dry-run"),
        (["--wait", "true", "--dry-run", "maybe"], "--dry-run"),
    ],
)
def test_wrong_switch_value_names_switch(argv: list[str], flag: str) -> None:
    """The problem names the first switch with a wrong value."""
    assert find_problems(make_parser(), *argv) == [
        f"{flag} accepts true, false or no value. The command run accepts only options. {HELP}"
    ]


def test_double_hyphen_is_value_of_flag() -> None:
    """A value that consists of two hyphens stays a text."""
    flags, variables, problems = parse_run_arguments(["--groups=--", "--wait=--", "--var=--"], io.StringIO())
    assert (flags["groups"], flags["wait"], variables, problems) == ("--", "--", ["--"], [])


def test_hint_replaces_general_advice() -> None:
    """The hint of the command follows the surplus argument."""
    parser = make_parser()
    parser.hint = "Name the file with --output."
    assert find_problems(parser, "x") == [f"Unexpected argument. Name the file with --output. {HELP}"]


@pytest.mark.parametrize(("argument", "count"), [("--file", 2), ("--file=x", 2), ("--filee", 1), ("--other", 1)])
def test_hint_flag_adds_hint(argument: str, count: int) -> None:
    """Only the flags that are listed for the hint have it."""
    parser = make_parser()
    parser.hint, parser.hint_flags = "Name the file with --output.", ("--file",)
    problems = find_problems(parser, argument)
    assert problems[1:] == ["Name the file with --output."] * (count - 1)


def test_run_hint_mentions_ids() -> None:
    """A surplus argument of a run has advice about ids."""
    assert parse_run_arguments(["checkout"], io.StringIO())[2] == [f"Unexpected argument. {RUN_HINT} {HELP}"]


# Errors of argparse


@pytest.mark.parametrize("flag", LIST_FLAGS)
@pytest.mark.parametrize("first", [SECRET, ""])
def test_repeated_list_is_error(flag: str, first: str) -> None:
    """A list that is given twice is an error, even if the first one is empty."""
    [problem] = find_problems(make_parser(), flag, first, f"{flag}={SECRET}")
    assert problem == (f"{flag} is used twice. Use the option once, with line breaks between the entries. {HELP}")


@pytest.mark.parametrize(
    ("argv", "flag"),
    [(["--source"], "--source"), (["--source", "--wait"], "--source"), (["--wait", "--test-ids"], "--test-ids")],
)
def test_missing_value_names_flag(argv: list[str], flag: str) -> None:
    """A flag without its value is named."""
    assert find_problems(make_parser(), *argv) == [f"{flag}: missing value. {HELP}"]


@pytest.mark.parametrize(
    "value", [SECRET, f"it's {SECRET}", f'"{SECRET}', f"(choose from '{SECRET}')", f"{SECRET}\nx", f": {SECRET}"]
)
def test_wrong_choice_hides_value(value: str) -> None:
    """The allowed values are listed, and the given value is left out."""
    [problem] = find_problems(make_report_parser(), "results", "--format", value)
    assert problem == "--format: invalid value. Use html or junit. See autonoma-ci report --help."


def test_value_of_help_is_hidden() -> None:
    """A value for the help flag is not repeated."""
    [problem] = find_problems(make_parser(), f"--help={SECRET}")
    assert problem.startswith("-h/--help: ignored explicit argument")
    assert SECRET not in problem


def test_missing_results_have_example() -> None:
    """A missing results.json is explained with an example."""
    [problem] = find_problems(make_report_parser())
    example = "Use the results-dir of an earlier step, such as autonoma-results"
    assert problem == f"Missing argument: RESULTS. {example}. See autonoma-ci report --help."


def test_other_missing_argument_is_named() -> None:
    """A missing argument of another kind has no example."""
    parser = ArgumentParser("validate", "Check.", io.StringIO())
    parser.add_argument("file", metavar="FILE")
    assert find_problems(parser) == ["Missing argument: FILE. See autonoma-ci validate --help."]


@pytest.mark.parametrize("argv", [["--var"], ["--var", "--wait"]])
def test_missing_variable_is_error(argv: Sequence[str]) -> None:
    """The variable flag needs a value."""
    parser = make_parser()
    add_var_flag(parser)
    assert find_problems(parser, *argv) == [f"--var: missing value. {HELP}"]


# Help


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["--wait", "--help", "--zzzz"]])
def test_help_is_printed_to_stream(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The help goes to the stream of the parser and to no other one."""
    out = io.StringIO()
    with pytest.raises(HelpPrinted):
        parse_run_arguments(argv, out)
    assert out.getvalue().startswith("usage: autonoma-ci run ")
    assert capsys.readouterr() == ("", "")


def test_help_lists_each_option() -> None:
    """The help has each flag with its default, and the variable flag."""
    out = io.StringIO()
    with pytest.raises(HelpPrinted):
        parse_run_arguments(["--help"], out)
    help_text = " ".join(out.getvalue().split())
    for option in OPTIONS:
        assert f" {option.flag} " in help_text
        assert not option.default or f"Default: {option.default}." in help_text
    assert "--var NAME=VALUE" in help_text
    assert "AUTONOMA_TEST_IDS" in help_text


def test_help_lists_groups_in_order() -> None:
    """The help begins with a short usage, has the groups in order, and ends with an example."""
    out = io.StringIO()
    with pytest.raises(HelpPrinted):
        parse_run_arguments(["--help"], out)
    lines = out.getvalue().splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["options:", *(f"{title}:" for title in OPTION_GROUPS), "example:"]
    assert (lines[0], lines[-1]) == ("usage: autonoma-ci run [OPTIONS]", "  autonoma-ci run --test-ids ID --wait")
    assert [line.split()[0] for line in lines if line.startswith("  --var")] == ["--variables", "--var"]


@pytest.mark.parametrize(("count", "usage"), [(None, "x FILE [OPTIONS]"), ("?", "x [FILE] [OPTIONS]")])
def test_usage_has_positional_argument(count: str | None, usage: str) -> None:
    """An optional argument has brackets."""
    out = io.StringIO()
    parser = ArgumentParser("x", "Check.", out)
    parser.add_argument("file", metavar="FILE", nargs=count)
    with pytest.raises(HelpPrinted):
        parser.parse(["--help"])
    assert out.getvalue().startswith(f"usage: autonoma-ci {usage}\n\nCheck.\n")


def test_help_shows_percent_sign() -> None:
    """A percent sign in the help text of an option is shown as it is."""
    out = io.StringIO()
    parser = build_parser("run", "Run.", [OPTIONS[0]._replace(help="Up to 100% of %(dest)s.")], out)
    with pytest.raises(HelpPrinted):
        parser.parse(["--help"])
    assert "Up to 100% of %(dest)s." in out.getvalue()


def test_help_to_closed_stream_is_error() -> None:
    """Help that can't be written is an error."""
    out = io.StringIO()
    out.close()
    with pytest.raises(OutputError, match="could not be written"):
        parse_run_arguments(["--help"], out)
