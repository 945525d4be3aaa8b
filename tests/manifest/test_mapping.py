"""Variables that an option gives as YAML or JSON."""

from __future__ import annotations

from autonoma_ci.yaml_subset.inline import parse_yaml_mapping


def test_every_problem_of_a_mapping_is_told_beside_what_can_be_read() -> None:
    found, problems = parse_yaml_mapping("A: 1\nB: [x]\nC:\nA: 2")
    assert found["A"] == "2"
    assert [str(problem).partition(":")[0] for problem in problems] == ["line 4", "line 2", "line 3"]
