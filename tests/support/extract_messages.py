"""Extraction of all texts that the product can print (`make messages`)."""

from __future__ import annotations

import ast
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "autonoma_ci"
PLACEHOLDER = "{…}"

# Two words with a space between them make a text for readers. Names, formats and single words are not listed.
_WORDS = re.compile(r"(?<![\w/.])(?:[A-Za-z][a-z'’]+|[Aa]),? (?:[A-Za-z`'\"(-]|\{…\})|\{…\} [A-Za-z][a-z]+\b")
# Patterns, markup and stylesheets also have spaces.
_CODE = re.compile(r"\(\?|\\[sSdwA]\b|<!--|\n:root|^##|\[[A-Za-z]-[A-Za-z]|^\s*[\w.]+\[.*\]$", re.MULTILINE)
_TAG = re.compile(r"<[^<>]+>")
_TEMPLATE_CODE = re.compile(r"\{#.*?#\}|\{%.*?%\}", re.DOTALL)
_TEMPLATE_VALUE = re.compile(r"\{\{.*?\}\}", re.DOTALL)


class Message(NamedTuple):
    """A text for readers and its place in the package."""

    path: str  # relative to the repository
    line: int
    kind: str  # help, schema, sandbox, report or message
    text: str  # each inserted value is PLACEHOLDER


def extract_messages() -> list[Message]:
    """Return the texts of the package in the order of its files.

    A text is a string with at least two words: an error, a hint, a log line, help, the description of a schema, a text
    of a report or of the sandbox. Docstrings, patterns and markup are left out.
    """
    modules = [*sorted(PACKAGE.rglob("*.py")), ROOT / "entrypoint.py"]
    texts = [message for path in modules for message in extract_from_module(path.read_text("utf-8"), _relative(path))]
    for path in sorted(PACKAGE.rglob("*.html")):
        texts += extract_from_template(path.read_text("utf-8"), _relative(path))
    return texts


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def extract_from_module(source: str, path: str) -> list[Message]:
    """Return the texts of a Python module.

    Args:
        source: The module's text.
        path: Its path in the repository, which decides about the kind of its texts.
    """
    collector = _TextCollector(path)
    collector.visit(ast.parse(source))
    return sorted(collector.messages, key=lambda message: message.line)


class _TextCollector(ast.NodeVisitor):
    def __init__(self, path: str) -> None:
        self.messages: list[Message] = []
        self._path = path
        self._kind = _classify(path)

    def visit_Expr(self, node: ast.Expr) -> None:
        # A string that is a statement of its own is a docstring.
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func) in {"re.compile", "cast", "TypeVar"}:
            return
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        previous_kind = self._kind
        if node.arg == "help":
            self._kind = "help"
        self.generic_visit(node)
        self._kind = previous_kind

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        # Annotations can be strings of Python code. Defaults can hold texts.
        for child in [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]:
            self.visit(child)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._add(node.value, node.lineno)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = [part.value if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values]
        self._add("".join(str(part) for part in parts), node.lineno)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def _add(self, text: str, line: int) -> None:
        text = _TAG.sub(" ", text) if "</" in text else text
        if _WORDS.search(text) and not _CODE.search(text):
            self.messages.append(Message(self._path, line, self._kind, text))


def _classify(path: str) -> str:
    if path.startswith("autonoma_ci/sandbox/"):
        return "sandbox"
    if path in {"autonoma_ci/config/options.py", "autonoma_ci/cli.py"}:
        return "help"
    return "schema" if path.endswith("schema.py") else "message"


def extract_from_template(source: str, path: str) -> list[Message]:
    """Return the visible texts of an HTML template, with those of its attributes."""
    parser = _VisibleTextParser(path)
    without_code = _TEMPLATE_CODE.sub(lambda match: "\n" * match[0].count("\n"), source)
    parser.feed(_TEMPLATE_VALUE.sub(PLACEHOLDER, without_code))
    parser.close()
    return parser.messages


class _VisibleTextParser(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self._path = path

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        for name, value in attrs:
            if name in {"alt", "aria-label", "title"} and value:
                self._add(value)

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _add(self, text: str) -> None:
        text = " ".join(text.split())
        if _WORDS.search(text):
            self.messages.append(Message(self._path, self.getpos()[0], "report", text))


def main() -> None:
    """Print one line for each text."""
    for message in extract_messages():
        place = f"{message.path}:{message.line}"
        sys.stdout.write(f"{place}  {message.kind}  ({len(message.text)})  {message.text!r}\n")


if __name__ == "__main__":
    main()
