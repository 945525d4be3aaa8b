"""The text of the Dockerfile."""

from __future__ import annotations

import json
import re
from pathlib import Path

_DOCKERFILE = Path(__file__).parents[3] / "Dockerfile"


def _instructions() -> list[tuple[str, str]]:
    lines = (line for line in _DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def _all(name: str) -> list[str]:
    return [rest for word, rest in _instructions() if word == name]


def test_base_image_has_digest() -> None:
    bases = _all("FROM")
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64} AS base", bases[0])
    assert {base.split()[0] for base in bases[1:]} == {"base"}


def test_entrypoint_is_absolute_and_isolated() -> None:
    """A relative path would be found in the checkout, and a shell would not forward signals."""
    [entrypoint] = _all("ENTRYPOINT")
    python, isolated, script = json.loads(entrypoint)
    assert (python[0], isolated, script[0]) == ("/", "-I", "/")


def test_user_stays_root_for_github() -> None:
    assert _all("USER") == []


def test_dependencies_are_wheels_with_hashes() -> None:
    """Dependencies are installed only from wheels with known hashes."""
    [install] = [run for run in _all("RUN") if " install " in run]
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps", "--no-cache-dir"} <= set(install.split())


def test_last_stage_only_copies_one_tree() -> None:
    """Commands leave times on files and folders, so builds would differ."""
    words = [word for word, _ in _instructions()]
    last = words[len(words) - words[::-1].index("FROM") :]
    assert set(last) <= {"ARG", "LABEL", "COPY", "ENTRYPOINT"}
    assert last.count("COPY") == 1


def test_labels_follow_oci_specification() -> None:
    [labels] = _all("LABEL")
    names = re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
    assert names == ["title", "description", "licenses", "version", "revision", "source"]
