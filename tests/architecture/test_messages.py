"""Wording of all texts that the product can print."""

from __future__ import annotations

import re

import pytest

from tests.support.extract_messages import (
    PLACEHOLDER,
    Message,
    extract_from_module,
    extract_from_template,
    extract_messages,
)

MAX_MESSAGE_CHARS = 120  # before its details: an inserted value or hint counts as one character
MAX_SENTENCE_WORDS = 20

# A pronoun is a subject if a verb follows. Behind an object come the end of the clause, or one of these words.
_AFTER_OBJECT = (
    "with|to|by|in|into|from|under|for|at|on|and|or|again|as|here|there|if|is|that|below|above|beside|without"
)
_SUBJECT = re.compile(
    rf"(?<![\w-])(?:it|they|we|you|he|she) (?!(?:{_AFTER_OBJECT})\b)[a-z{{]"
    r"|(?:^|[.:;,(] )(?:it|they|we|you|he|she|there) (?:is|was|are|were|has|had|have|can|could|may|must)\b"
    r"|\b(?:it|they|we|you|he|she|there)(?:'s|'re|'ve|'ll) "
    r"|\b(?:so|because|since|if|when|while|until|that|and|but|which|as) (?:it|they|we|you|there) "
    r"|\bthere (?:is|are|was|were)\b"
    r"|\b(?:this|that|these|those|what) (?:is|was|are|were|has|had|have|can|could|may|must|means|holds)\b"
    r"|\b(?:this|these|those) (?:needs?|requires?|shows?|holds?|makes?|works?|happens?|comes?|includes?|leads?)\b",
    re.IGNORECASE,
)
# A part of a relative clause, such as "a file that is missing", has no pronoun as its subject.
_RELATIVE = re.compile(r"(?<=\w) that (?=(?:is|was|are|were|has|had|have|can|could|may|must|means|holds)\b)")
# Words of speech and metaphors in place of the field's terms.
_BANNED = re.compile(
    r"\b(?:anew|whoever|so many|as such|goes? on|went on|is had|be had|could not be had|lies|mend(?:s|ed)?|thereof"
    r"|is told|are told|tells?|told|asked for|asks? for|takes? up|taken up|the record|a record|an answer|the answer"
    r"|answers|no answer|pictures?|by itself|says?|all the same|the truth|what to type|there already)\b",
    re.IGNORECASE,
)


def list_problems(message: Message) -> list[str]:
    """Return the rules that a text breaks."""
    text = message.text
    problems = []
    if (
        message.kind == "message"
        and len(text.replace(PLACEHOLDER, "…").strip()) > MAX_MESSAGE_CHARS
        and "\n" not in text
    ):
        problems.append(f"more than {MAX_MESSAGE_CHARS} characters")
    if ";" in re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", "", text) and "charset=" not in text and "default-src" not in text:
        problems.append("a semicolon")
    if match := _SUBJECT.search(_RELATIVE.sub(" which-", re.sub("(?i)did you mean", "", text))):
        problems.append(f"a pronoun as subject: {match[0].strip()!r}")
    if match := _BANNED.search(text):
        problems.append(f"a word of speech: {match[0]!r}")
    if any(len(sentence.split()) > MAX_SENTENCE_WORDS for sentence in re.split(r"[.:;] |\n", text)):
        problems.append(f"a sentence of more than {MAX_SENTENCE_WORDS} words")
    return problems


def test_messages_follow_style() -> None:
    """Each text of the product follows the rules for messages."""
    messages = extract_messages()
    assert len(messages) > 1000
    broken = [
        f"{message.path}:{message.line}: {', '.join(problems)}: {message.text!r}"
        for message in messages
        if (problems := list_problems(message))
    ]
    if broken:
        pytest.fail(f"{len(broken)} texts:\n" + "\n".join(broken), pytrace=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("it was ended on the server", "pronoun"),
        ("the file is gone, and it is not made again", "pronoun"),
        ("There is no manifest here", "pronoun"),
        ("This is the end of the list", "pronoun"),
        ("how the run ended could not be had", "speech"),
        ("the first is removed; the second stays", "semicolon"),
        ("x" * 121 + " y", "characters"),
        ("word " * 21, "words"),
    ],
)
def test_broken_rule_is_reported(text: str, problem: str) -> None:
    """A text that breaks one rule is reported with this rule."""
    (reported,) = list_problems(Message("autonoma_ci/x.py", 1, "message", text))
    assert problem in reported


@pytest.mark.parametrize(
    "text",
    [
        "quota used up: add quota in Autonoma, or wait until its renewal",
        "a tab in the indentation: replace it with spaces",
        "the file that is named in manifest: create it, or remove the option",
        f"invalid YAML in {PLACEHOLDER}: 'a;b' has no closing quote",
    ],
)
def test_good_message_has_no_problem(text: str) -> None:
    """An object pronoun, a relative clause and a quoted semicolon are allowed."""
    assert not list_problems(Message("autonoma_ci/x.py", 1, "message", text))


def test_texts_of_module_are_extracted() -> None:
    """Texts of all forms are listed, and docstrings and patterns are not."""
    source = '''
"""The docstring of a module."""
import re
PATTERN = re.compile(r"not a message")
def run(parser: "a type hint", name):
    """The docstring of a function."""
    parser.add_argument("--name", help="Name of the run.")
    raise ValueError("invalid name: " f"{name or 'no name'}. Use letters")
'''
    messages = extract_from_module(source, "autonoma_ci/x.py")
    assert [(message.line, message.kind, message.text) for message in messages] == [
        (7, "help", "Name of the run."),
        (8, "message", f"invalid name: {PLACEHOLDER}. Use letters"),
        (8, "message", "no name"),
    ]


def test_texts_of_template_are_extracted() -> None:
    """Visible texts and labels of a template are listed with placeholders."""
    source = '<p title="All runs">{# a hidden note #}{{ count }} failed</p>\n{% if a %}<b>No more runs</b>{% endif %}'
    assert [message.text for message in extract_from_template(source, "autonoma_ci/x.html")] == [
        "All runs",
        f"{PLACEHOLDER} failed",
        "No more runs",
    ]
