"""Rules for imports, global state, names and paths in all source files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.architecture.package import MODULES, ROOT, find_imports, module_path, package_name, parse_module

if TYPE_CHECKING:
    from pathlib import Path

# The modules that may import a library. The plain job stays fast because few of them do.
OWNERS = {
    "requests": {"api/transport.py", "ci/rest/http.py"}
    | {f"net/{name}.py" for name in ("session", "redirects", "wait_for_url", "download")},
    "urllib3": {"api/transport.py", "ci/rest/http.py"}
    | {f"net/{name}.py" for name in ("connection", "errors", "wait_for_url", "download")},
    "yaml": {"yaml_subset/parser.py", "yaml_subset/errors.py"},
    "pydantic": {"manifest/schema.py", "manifest/loader.py", "reports/results_schema.py"},
    "jinja2": {"reports/html.py"},
    "rich": {"app/live_table.py"},
    "dulwich": {"git/layout.py", "git/objects.py", "git/packs.py"},
    "junitparser": {"reports/junit.py"},
    "argparse": {"config/arguments.py"},
    # `streams` measures how long a reader stalls, which no fake clock can simulate.
    # The debug log has the durations of requests.
    "time": {"clock.py", "engine/signals.py", "net/connection.py", "net/total_timeout.py", "streams.py"}
    | {"api/transport.py", "net/download.py"},
    "random": {"clock.py"},
    "signal": set(),
    "_signal": {"__main__.py", "engine/signals.py"},
    "subprocess": {"ci/publishers/agent_cli.py"},
    "threading": {
        "app/debug_log.py",
        "net/connection_state.py",
        "net/threads.py",
        "net/total_timeout.py",
        "engine/workers.py",
        "reports/evidence_store.py",
    },
    # `streams` has one thread for each stream, so that a stalled reader blocks only its own stream.
    "_thread": {"streams.py", "net/threads.py"},
    "socket": {"net/connection.py", "net/errors.py"},
    "tempfile": {"commands/demo.py"},
    # The debug log has no module lock that a signal can leave acquired.
    "logging": set(),
}


@pytest.mark.slow
@pytest.mark.parametrize("library", OWNERS)
def test_library_has_named_owners(library: str) -> None:
    """Only the listed modules import a library."""
    users = {
        module_path(path)
        for path in MODULES
        if package_name(path) != "sandbox" and any(name.split(".")[0] == library for name in find_imports(path))
    }
    assert users == OWNERS[library]


@pytest.mark.parametrize(
    ("pattern", "owners"),
    [
        # requests reads the path of the authorities from the environment too, and pydantic whether it uses plugins.
        (r"\bos\.environ\b|\bgetenv\b", {"__main__.py", "cli.py", "net/certificates.py"}),
        (r"\bos\._exit\b|\bsys\.exit\b", {"cli.py", "engine/signals.py", "__main__.py"}),
        (r"\bsys\.std(?:in|out|err)\b|^\s*print\(", {"cli.py"}),
        (r"\bsys\.argv\b", {"cli.py"}),
        (r"(?<![\w.])(?:open|input)\(|cwd\(\)|\bchdir\b|\bhome\(\)|\bexpanduser\b|\bget(?:user|hostname)\b", set()),
        (r"\bClock\(\)", {"app/runtime.py", "ci/log.py"}),
        (r"\bdatetime\.now\b|\butcnow\b|\btoday\(", {"clock.py", "sandbox/run_store.py"}),
        (
            r"\bos\.f?d?open\(|\.open\(|\.(?:read|write)_(?:text|bytes)\(|\.touch\(",
            {"fs/files.py", "reports/evidence_store.py", "reports/html.py", "sandbox/pages.py"} | {"streams.py"},
        ),
    ],
)
def test_global_state_has_named_owners(pattern: str, owners: set[str]) -> None:
    """Only the listed modules use a piece of global state."""
    users = {module_path(path) for path in MODULES if re.search(pattern, path.read_text("utf-8"), re.MULTILINE)}
    assert users == owners


# Words without a meaning in the name of a module, a function or a class.
VAGUE_WORD_RE = re.compile(r"(?:^|_)(?:util|helper|common|manager|misc|stuff)s?(?:_|$)")


def test_names_are_specific() -> None:
    """No module, function or class has a vague word in its name."""
    tests = [path for path in sorted((ROOT / "tests").rglob("*.py")) if "node_modules" not in path.parts]
    names = {part.removesuffix(".py") for path in (*MODULES, *tests) for part in path.relative_to(ROOT).parts}
    for path in MODULES:
        for node in ast.walk(parse_module(path)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower())
    # Our adapter overrides this method of requests.
    names.discard("proxy_manager_for")
    assert sorted(name for name in names if VAGUE_WORD_RE.search(name)) == []


@pytest.mark.parametrize(
    ("environ", "arguments", "unneeded_modules"),
    [
        (
            {},
            [],
            {"yaml", "pydantic", "argparse", "requests", "logging", "dataclasses", "junitparser", "xml", "jinja2"},
        ),
        (
            {"AUTONOMA_TEST_IDS": "a"},
            [],
            {
                "yaml",
                "pydantic",
                "argparse",
                "dataclasses",
                "junitparser",
                "xml",
                "jinja2",
                "autonoma_ci.app.debug_log",
            },
        ),
        ({}, ["validate", "nowhere.yml"], {"requests", "junitparser", "xml", "jinja2"}),
    ],
)
def test_job_imports_only_needed_libraries(
    environ: dict[str, str], arguments: list[str], unneeded_modules: set[str], tmp_path: Path
) -> None:
    """Heavy libraries stay out of a plain start, so that it is fast."""
    code = (
        "import io, sys\nfrom autonoma_ci import cli\nfrom autonoma_ci.app.runtime import Runtime\n"
        f"cli.run_command({arguments!r}, Runtime({environ!r}, io.StringIO(), io.StringIO()))\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    # Without environment variables, because coverage.py would import libraries in the process.
    result = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    loaded_modules = set(result.stdout.split())
    assert "autonoma_ci.app.runtime" in loaded_modules
    assert not loaded_modules & unneeded_modules


def test_repository_has_no_local_paths() -> None:
    """No committed file has a path of a machine or the host of a registry."""
    filenames = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # The workspace on GitHub's own runners is allowed.
    pattern = re.compile(r"(?<!/home/runner)/(?:work|root|farm)/|pypi\.org|pythonhosted|registry\.npmjs|deb\.debian")
    files = [
        ROOT / name for name in filenames.split("\0") if name and name != "tests/architecture/test_source_rules.py"
    ]
    assert files
    assert not [
        path.name for path in files if path.is_file() and pattern.search(path.read_text("utf-8", errors="replace"))
    ]
