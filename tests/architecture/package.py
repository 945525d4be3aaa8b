"""Source files and syntax trees of the package, without running it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "autonoma_ci"
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_path(path: Path) -> str:
    """Return the path of a module below the package, such as `api/client.py`."""
    return path.relative_to(PACKAGE).as_posix()


def package_name(path: Path) -> str:
    """Return the top-level package or module of a file."""
    return module_path(path).split("/")[0].removesuffix(".py")


def dotted_name(path: Path) -> str:
    """Return the import name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def parse_module(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


def find_imports(path: Path) -> set[str]:
    """Return the full names of all modules and members that a file imports."""
    imports = set()
    for node in ast.walk(parse_module(path)):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return imports
