"""The text of the Dockerfile."""

from __future__ import annotations

import json
import re
from pathlib import Path

_DOCKERFILE = Path(__file__).parents[3] / "Dockerfile"


def _read_instructions() -> list[tuple[str, str]]:
    lines = (line for line in _DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
    text = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def _find_instructions(name: str) -> list[str]:
    return [rest for word, rest in _read_instructions() if word == name]


def test_base_image_has_digest() -> None:
    """The first stage is an image of Python with a digest, and all other stages use it."""
    bases = _find_instructions("FROM")
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64} AS base", bases[0])
    assert {base.split()[0] for base in bases[1:]} == {"base"}


def test_entrypoint_is_absolute_and_isolated() -> None:
    """A relative path would be found in the checkout, and a shell would not forward signals."""
    [entrypoint] = _find_instructions("ENTRYPOINT")
    python, flag, script = json.loads(entrypoint)
    assert (python[0], flag, script[0]) == ("/", "-I", "/")


def test_user_stays_root_for_github() -> None:
    """The Dockerfile sets no user, because actions of GitHub run as root."""
    assert _find_instructions("USER") == []


def test_dependencies_are_wheels_with_hashes() -> None:
    """Dependencies are installed only from wheels with known hashes."""
    [install] = [run for run in _find_instructions("RUN") if " install " in run]
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps", "--no-cache-dir"} <= set(install.split())


def test_last_stage_only_copies_one_tree() -> None:
    """Commands leave times on files and folders, so builds would differ."""
    words = [word for word, _ in _read_instructions()]
    last_stage = words[len(words) - words[::-1].index("FROM") :]
    assert set(last_stage) <= {"ARG", "LABEL", "COPY", "ENTRYPOINT"}
    assert last_stage.count("COPY") == 1


def test_labels_follow_oci_specification() -> None:
    """The labels have names of the OCI specification."""
    [labels] = _find_instructions("LABEL")
    names = re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
    assert names == ["title", "description", "licenses", "version", "revision", "source"]
