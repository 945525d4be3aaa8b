"""The Dockerfile's promises that a look at its text can keep."""

from __future__ import annotations

import json
import re
from pathlib import Path

_DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def _instructions() -> list[tuple[str, str]]:
    lines = (line for line in _DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def _all(name: str) -> list[str]:
    return [rest for word, rest in _instructions() if word == name]


def test_the_one_base_image_is_named_by_digest() -> None:
    bases = _all("FROM")
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64} AS base", bases[0])
    assert {base.split()[0] for base in bases[1:]} == {"base"}


def test_the_entrypoint_is_absolute_isolated_and_starts_no_shell() -> None:
    """A relative one would be looked for in the user's checkout, and a shell would keep signals to itself."""
    [entrypoint] = _all("ENTRYPOINT")
    python, isolated, script = json.loads(entrypoint)
    assert (python[0], isolated, script[0]) == ("/", "-I", "/")


def test_it_stays_root_as_github_requires() -> None:
    assert _all("USER") == []


def test_dependencies_are_wheels_by_hash_and_nothing_else() -> None:
    [install] = [run for run in _all("RUN") if " install " in run]
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps", "--no-cache-dir"} <= set(install.split())


def test_the_last_stage_copies_one_tree_and_runs_nothing() -> None:
    """What is run leaves times behind, on folders too, and no two builds would be the same."""
    words = [word for word, _ in _instructions()]
    last = words[len(words) - words[::-1].index("FROM") :]
    assert set(last) <= {"ARG", "LABEL", "COPY", "ENTRYPOINT"}
    assert last.count("COPY") == 1


def test_the_labels_are_those_of_the_specification() -> None:
    [labels] = _all("LABEL")
    names = re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
    assert names == ["title", "description", "licenses", "version", "revision", "source"]
