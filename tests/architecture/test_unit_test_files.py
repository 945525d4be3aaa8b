"""Each module of the package has its own file of tests."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath

from tests.architecture.package import MODULES, ROOT, module_path, parse_module

TESTS = ROOT / "tests"
UNIT_FILES = sorted(path.relative_to(TESTS / "unit").as_posix() for path in (TESTS / "unit").rglob("test_*.py"))


def has_functions(module: ast.Module) -> bool:
    """Return whether a module has a function or a method."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(module))


PATHS = sorted(
    module_path(path) for path in MODULES if path.name != "__init__.py" and has_functions(parse_module(path))
)


def is_test_of(file: PurePosixPath, module: PurePosixPath) -> bool:
    """Return whether a test file has the name of a module, with or without a suffix."""
    return f"{file.stem}_".startswith(f"test_{module.stem.strip('_')}_")


def test_modules_have_test_files() -> None:
    """The tests of a command run the complete package, so they are integration tests."""
    missing = []
    for path in PATHS:
        module = PurePosixPath(path)
        is_command = module.parent.name == "commands" or path == "cli.py"
        folder = TESTS / ("integration" if is_command else "unit") / module.parent
        # A CI system needs only its rows in the tables of tests/integration/ci, so that it is added with one new file.
        is_optional = path.startswith("ci/systems/")
        if not is_optional and not any(is_test_of(PurePosixPath(file), module) for file in folder.glob("test_*.py")):
            missing.append(path)
    assert missing == []


def test_unit_test_files_have_modules() -> None:
    """Tests of several modules belong to the integration tests."""
    unmatched = []
    for name in UNIT_FILES:
        file = PurePosixPath(name)
        siblings = [PurePosixPath(path) for path in PATHS if PurePosixPath(path).parent == file.parent]
        if not any(is_test_of(file, module) for module in siblings):
            unmatched.append(name)
    assert unmatched == []
