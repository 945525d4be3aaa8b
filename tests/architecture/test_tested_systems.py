"""The documentation page about tested CI systems."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from autonoma_ci.ci.detection import DETECTION_RULES
from tests.architecture.package import ROOT
from tests.system.examples.test_examples import EXAMPLE_BY_SYSTEM, SCHEMA_BY_EXAMPLE

PAGE = (ROOT / "docs" / "ci" / "others.md").read_text("utf-8")
_ROW_RE = re.compile(r"^\| `(\w+)` \| (.*?) ?\| (.*?) ?\| (.*?) ?\|$", re.MULTILINE)


class Proof(NamedTuple):
    """How one system was tested."""

    system: str
    run: str
    source: str
    documents: str

    @property
    def tests(self) -> list[str]:
        """The files that the row names."""
        return re.findall(r"`(tests/[\w/.-]+)`", " ".join(self[1:]))


PROOFS = [Proof(*found) for found in _ROW_RE.findall(PAGE)]
each_proof = pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.system)


def test_each_system_has_one_row() -> None:
    """Each CI system has one row."""
    assert sorted(proof.system for proof in PROOFS) == sorted(row.name for row in DETECTION_RULES)


@each_proof
def test_row_names_a_proof(proof: Proof) -> None:
    """Each row has test files or an example, and the files exist."""
    assert proof.tests or proof.documents == "example"
    assert all((ROOT / path).is_file() for path in proof.tests)


@each_proof
def test_row_tests_name_the_system(proof: Proof) -> None:
    """A test that never names the system proves nothing about it."""
    shared = {"tests/unit/reports/test_outputs_dotenv_readers.py", "tests/unit/reports/junit.xsd"}
    local = {"ci", "cli"}
    for path in set(proof.tests) - shared:
        text = (ROOT / path).read_text("utf-8").lower()
        assert proof.system in local or proof.system in text, path


@each_proof
def test_published_schema_is_checked(proof: Proof) -> None:
    """The column is set exactly where the example is checked with the published schema."""
    example = EXAMPLE_BY_SYSTEM.get(proof.system, "")
    assert ("published schema" in proof.run) is (example in SCHEMA_BY_EXAMPLE)


@each_proof
def test_ports_name_their_repository(proof: Proof) -> None:
    """A port without an origin cannot be compared again."""
    texts = " ".join((ROOT / path).read_text("utf-8") for path in re.findall(r"`(tests/[\w/.-]+)`", proof.source))
    for repository in re.findall(r"\b[\w-]+/[\w-]+(?=[ ,)])", re.sub(r"`.*?`", "", proof.source)):
        assert repository in texts, repository
