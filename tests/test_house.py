"""The house is as CONTRIBUTING.md draws it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.house import MODULES, ROOT, imports, name_of, room_of

if TYPE_CHECKING:
    from pathlib import Path

# Lower rooms first; rooms on one floor may import each other's modules only within the room.
FLOORS = (
    {"errors", "patterns"},
    {"context", "identity", "steps"},
    {"model"},
    {"exchange"},
    {"normalize"},
    {"text", "secret", "paths", "files", "output"},
    {"values", "spans", "addresses"},
    {"id_lists"},
    {"options"},
    {"signing"},
    {"settings"},
    {"manifest"},
    {"plan"},
    {"api"},
    {"engine"},
    {"report", "evidence"},
    {"ci"},
    {"interrupts", "commandline"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# The mapping form of `variables` is YAML, and is read where YAML is read.
EXCEPTIONS = {("values", "manifest")}
OWNERS = {
    "requests": {"api/transport.py", "api/session.py", "api/readiness.py", "api/media.py", "ci/web.py"},
    "urllib3": {f"api/{name}.py" for name in ("transport", "connection", "failures", "readiness", "media")}
    | {"ci/web.py"},
    "yaml": {"manifest/tree.py", "manifest/yaml_errors.py"},
    "pydantic": {"manifest/schema.py", "manifest/load.py", "report/saved.py", "report/saved_runs.py"},
    "jinja2": {"report/html.py"},
    "rich": {"commands/live.py"},
    "junitparser": {"report/junit.py"},
    "argparse": {"commandline.py"},
    # `output` measures how long a reader of the log takes nothing, which no test can turn by hand.
    "time": {"engine/clock.py", "interrupts.py", "api/connection.py", "output.py"},
    "random": {"engine/clock.py"},
    "signal": {"interrupts.py"},
    "_signal": {"__main__.py"},
    "subprocess": {"ci/program.py"},
    "threading": {"api/connection.py", "api/line.py", "api/threads.py", "engine/workers.py", "evidence.py"},
    # `output` has a thread for each stream, so that a reader that takes nothing stops nobody else.
    "_thread": {"output.py", "api/threads.py"},
    "socket": {"api/connection.py", "api/failures.py"},
    "tempfile": {"commands/demo.py"},
    "logging": set(),
}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_from_rooms_below(path: Path) -> None:
    room = room_of(path)
    others = {name.split(".")[1] for name in imports(path) if name.startswith("autonoma_ci.")}
    others = {other for other in others if other in FLOOR or other == "sandbox"} - {room}
    if room == "sandbox":
        assert not others
    elif room != "__init__":
        allowed = {other for other in FLOOR if FLOOR[other] <= FLOOR[room]}
        allowed |= {upper for lower, upper in EXCEPTIONS if lower == room}
        allowed |= {"sandbox"} if room == "commands" else set()
        assert others <= allowed


def test_the_rooms_are_those_that_newcomers_are_told_of() -> None:
    """CONTRIBUTING.md has every room, in the order that the imports keep to."""
    rows = re.findall(r"^\| (`\w.*?) \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    told = [[room.rstrip("/") for room in re.findall(r"`([\w/]+)`", row)] for row in rows]
    assert sorted(room for row in told for room in row) == sorted([*FLOOR, "sandbox"])
    floors = [sorted(FLOOR[room] for room in row if room != "sandbox") for row in told]
    assert [floor for row in floors for floor in row] == sorted(FLOOR.values())


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_one_owner(library: str) -> None:
    users = {
        name_of(path)
        for path in MODULES
        if room_of(path) != "sandbox" and any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == OWNERS[library]


@pytest.mark.parametrize(
    ("pattern", "owners"),
    [
        # requests reads where its authorities are from the environment too.
        (r"\bos\.environ\b|\bgetenv\b", {"cli.py", "api/authorities.py"}),
        (r"\bos\._exit\b|\bsys\.exit\b", {"cli.py", "interrupts.py", "__main__.py"}),
        (r"\bsys\.std(?:in|out|err)\b|^\s*print\(", {"cli.py"}),
        (r"\bsys\.argv\b", {"cli.py"}),
        (r"(?<![\w.])(?:open|input)\(|cwd\(\)|\bchdir\b|\bhome\(\)|\bexpanduser\b|\bget(?:user|hostname)\b", set()),
        (r"\bClock\(\)", {"commands/world.py", "ci/console.py"}),
        (r"\bdatetime\.now\b|\butcnow\b|\btoday\(", {"engine/clock.py", "sandbox/account.py"}),
        (
            r"\bos\.f?d?open\(|\.open\(|\.(?:read|write)_(?:text|bytes)\(|\.touch\(",
            {"files.py", "evidence.py", "manifest/load.py", "report/html.py", "sandbox/pages.py"}
            | {"commands/demo.py", "commands/init.py", "ci/shared_record.py", "output.py"},
        ),
    ],
)
def test_a_global_has_one_owner(pattern: str, owners: set[str]) -> None:
    users = {name_of(path) for path in MODULES if re.search(pattern, path.read_text("utf-8"), re.MULTILINE)}
    assert users == owners


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_classes_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_nothing_has_a_name_that_says_nothing() -> None:
    assert not [path for path in MODULES if path.stem in {"utils", "util", "helpers", "common", "manager", "misc"}]


@pytest.mark.parametrize(
    ("environ", "arguments", "absent"),
    [
        ({}, [], {"yaml", "pydantic", "argparse", "requests", "dataclasses", "junitparser", "xml", "jinja2"}),
        (
            {"AUTONOMA_TEST_IDS": "a"},
            [],
            {"yaml", "pydantic", "argparse", "dataclasses", "junitparser", "xml", "jinja2"},
        ),
        ({}, ["validate", "nowhere.yml"], {"requests", "junitparser", "xml", "jinja2"}),
    ],
)
def test_a_job_loads_only_what_it_needs(
    environ: dict[str, str], arguments: list[str], absent: set[str], tmp_path: Path
) -> None:
    """A plain start is as quick as a bare script only because the heavy libraries stay out of it."""
    code = (
        "import io, sys\nfrom autonoma_ci import cli\nfrom autonoma_ci.commands.world import World\n"
        f"cli.main({arguments!r}, World({environ!r}, io.StringIO(), io.StringIO()))\n"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "autonoma_ci.commands.world" in loaded
    assert not loaded & absent


def test_the_repository_names_no_place_that_only_its_authors_have() -> None:
    """No path of a machine and no registry's host is in what is committed."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # Not the workspace on GitHub's own runners.
    pattern = re.compile(r"(?<!/home/runner)/(?:work|root|farm)/|pypi\.org|pythonhosted|registry\.npmjs|deb\.debian")
    files = [ROOT / name for name in listed.split("\0") if name and name != "tests/test_house.py"]
    assert files
    assert not [
        path.name for path in files if path.is_file() and pattern.search(path.read_text("utf-8", errors="replace"))
    ]
