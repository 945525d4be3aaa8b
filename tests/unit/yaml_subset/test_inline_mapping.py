"""Errors of variables that an option gives as YAML or JSON."""

from __future__ import annotations

from autonoma_ci.yaml_subset.inline import parse_yaml_mapping


def test_valid_values_are_read_beside_errors() -> None:
    """Valid values of a mapping are returned together with all errors."""
    values, problems = parse_yaml_mapping("A: 1\nB: [x]\nC:\nA: 2")
    assert values["A"] == "2"
    assert [str(problem).partition(":")[0] for problem in problems] == ["line 4", "line 2", "line 3"]
