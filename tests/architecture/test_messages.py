"""List of all texts that the product can print."""

from __future__ import annotations

from tests.support.extract_messages import (
    PLACEHOLDER,
    extract_from_module,
    extract_from_template,
)


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
    source = (
        '<p title="All the runs">{# a hidden note #}{{ count }} failed</p>\n{% if a %}<b>No more runs</b>{% endif %}'
    )
    assert [message.text for message in extract_from_template(source, "autonoma_ci/x.html")] == [
        "All the runs",
        f"{PLACEHOLDER} failed",
        "No more runs",
    ]
