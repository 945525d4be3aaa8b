"""Tests of the action input `args`."""

from __future__ import annotations

import pytest

from autonoma_ci.app import action_args
from autonoma_ci.app.action_args import parse_action_args
from autonoma_ci.errors import InputError

GITHUB = {"GITHUB_ACTIONS": "true"}
SYSTEMS = {"github": GITHUB, "gitea": {"GITEA_ACTIONS": "true"}, "forgejo": {"FORGEJO_ACTIONS": "true"}}
OTHER_SYSTEMS: dict[str, dict[str, str]] = {
    "terminal": {},
    "gitlab": {"GITLAB_CI": "true"},
    "jenkins": {"JENKINS_URL": "http://x"},
    "unknown": {"CI": "true"},
    "override": {**GITHUB, "AUTONOMA_CI": "gitlab"},
}
# In characters, as in the error message.
LIMIT = 100_000


def read_error(text: str) -> str:
    """Return the only error of an invalid text."""
    with pytest.raises(InputError) as caught:
        parse_action_args({**GITHUB, "INPUT_ARGS": text})
    (diagnostic,) = caught.value.diagnostics
    return str(diagnostic)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n ", []),
        ("wait results", ["wait", "results"]),
        ("wait\n  results\r\n\t--timeout 10m\n", ["wait", "results", "--timeout", "10m"]),
        ("report 'my results' --output \"a b\"", ["report", "my results", "--output", "a b"]),
        (r"report my\ results", ["report", "my results"]),
        ("run --var 'A=#1' --var B=#2", ["run", "--var", "A=#1", "--var", "B=#2"]),
        ("run --var A=$HOME;`id`|x>y&", ["run", "--var", "A=$HOME;`id`|x>y&"]),
        ("report *.json ~", ["report", "*.json", "~"]),
    ],
)
def test_args_split_like_shell(text: str, words: list[str]) -> None:
    """Quotes and white space count, and shell operators stay text."""
    assert parse_action_args({"GITHUB_ACTIONS": "true", "INPUT_ARGS": text}) == words


@pytest.mark.parametrize("system", SYSTEMS)
def test_args_on_action_system_are_split(system: str) -> None:
    """Each CI system with actions has the input."""
    assert parse_action_args({**SYSTEMS[system], "INPUT_ARGS": "wait out"}) == ["wait", "out"]


@pytest.mark.parametrize("system", OTHER_SYSTEMS)
@pytest.mark.parametrize("text", ["wait out", "wait 'out", "autonoma-ci wait", "x" * (LIMIT + 1)], ids=len)
def test_args_on_other_system_are_ignored(text: str, system: str) -> None:
    """On other systems the variable is of another program, also with an invalid text."""
    assert parse_action_args({**OTHER_SYSTEMS[system], "INPUT_ARGS": text}) == []


def test_args_named_system_overrides_job() -> None:
    """AUTONOMA_CI selects a CI system with actions."""
    assert parse_action_args({"AUTONOMA_CI": "gitea", "INPUT_ARGS": "list"}) == ["list"]


def test_args_unknown_system_is_error() -> None:
    """An unknown name in AUTONOMA_CI is an input error."""
    with pytest.raises(InputError, match="unknown CI system: 'githup'"):
        parse_action_args({"AUTONOMA_CI": "githup", "INPUT_ARGS": "list"})


@pytest.mark.parametrize("text", ["", " ", "\t\r\n"])
def test_blank_args_need_no_known_system(text: str) -> None:
    """Without arguments the CI system is not detected."""
    assert parse_action_args({"AUTONOMA_CI": "githup", "INPUT_ARGS": text}) == []


@pytest.mark.parametrize("text", ["wait 'out", 'wait "out', "wait out\\", "wait \"a'", "'"])
def test_args_open_quote_error_has_fix(text: str) -> None:
    """The error names cause and fix."""
    assert read_error(text) == (
        "args: missing closing quote, or a backslash at the end. Quote a word as 'a b', or write \\' for a quote."
    )


@pytest.mark.parametrize("text", ["{} 'a", "'{}", "autonoma-ci {}", "{}" + "x" * LIMIT])
def test_args_error_hides_text(text: str) -> None:
    """No error repeats the text and no exception refers to it."""
    secret = "s3cret-value"
    with pytest.raises(InputError) as caught:
        parse_action_args({**GITHUB, "INPUT_ARGS": text.format(secret)})
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("text", ["autonoma-ci", "autonoma-ci wait out", "'autonoma-ci' run", " \nautonoma-ci\nlist"])
def test_args_program_name_error_has_fix(text: str) -> None:
    """A copied command line begins with the name of the program."""
    assert read_error(text) == (
        "args: remove autonoma-ci at the beginning. Begin with a command, such as wait RESULTS."
    )  # fmt: skip


@pytest.mark.parametrize("words", [["wait", "autonoma-ci"], ["autonoma-ci.yml"], ["Autonoma-CI"]], ids=str)
def test_args_similar_name_is_no_error(words: list[str]) -> None:
    """Only the exact name in the first place is refused."""
    assert parse_action_args({**GITHUB, "INPUT_ARGS": " ".join(words)}) == words


def test_args_at_limit_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of the maximum length is valid."""
    # To split a text of the real limit needs 0.2 s.
    monkeypatch.setattr(action_args, "_MAX_ARGS_CHARS", 12)
    assert parse_action_args({**GITHUB, "INPUT_ARGS": "wait results"}) == ["wait", "results"]
    assert "longer than 12 characters" in read_error("wait results ")


def test_args_over_limit_error_has_fix() -> None:
    """A text of one more character is refused."""
    assert read_error("x" * (LIMIT + 1)) == "args: longer than 100,000 characters. Put long values into a manifest."


def test_args_control_characters_stay_text() -> None:
    """Escape sequences and zero bytes are characters of a word."""
    assert parse_action_args({**GITHUB, "INPUT_ARGS": "list \x1b[2J\0<b>"}) == ["list", "\x1b[2J\0<b>"]
