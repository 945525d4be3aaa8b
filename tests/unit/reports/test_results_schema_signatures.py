"""Signatures of variables in results.json."""

from __future__ import annotations

import json

import pytest

from autonoma_ci.reports.results_json import render_results_json
from autonoma_ci.reports.results_schema import parse_results, results_json_schema
from tests.support.reports import create_report, make_started_run
from tests.unit.reports.test_results_schema import SHOW_ALL

MAC = "0123456789abcdef" * 2


def build_results(macs: object) -> bytes:
    """Return a results.json with the variables A and B and these signatures."""
    results_json = json.loads(render_results_json(create_report([make_started_run("a")])))
    results_json["runs"][0] |= {"variables": ["A", "B"], "variable_macs": macs}
    return json.dumps(results_json).encode()


@pytest.mark.parametrize(
    "macs",
    [
        *(None, [], "x", 1, [["A", MAC]]),
        *({"A": mac} for mac in (None, 1, "", MAC[1:], f"{MAC}0", MAC.upper(), f"{MAC}\n", f"g{MAC[1:]}", [MAC])),
        *({name: MAC} for name in ("", "N" * 129)),
        {"A": MAC, "B": "x"},
    ],
    ids=repr,
)
def test_malformed_macs_are_rejected(macs: object) -> None:
    """Other programs can write results.json, so the error quotes nothing of it."""
    with pytest.raises(ValueError, match=r"^runs\.0\.variable_macs: not the (name|signature) of a variable$"):
        parse_results(build_results(macs))


def test_macs_are_read_unchanged() -> None:
    """Signatures of names that the run does not have are left out."""
    run = parse_results(build_results({"B": MAC, "C": MAC})).runs[0].to_run_result(0.0, SHOW_ALL)
    assert run.variable_macs == {"B": MAC}
    run_object = json.loads(render_results_json(create_report([run])))["runs"][0]
    assert (run_object["variables"], run_object["variable_macs"]) == (["A", "B"], {"B": MAC})


def test_name_with_credential_is_hidden() -> None:
    """The name is redacted as in the list of names."""
    checks = SHOW_ALL._replace(label=lambda text: text.replace("A", "***"))
    run = parse_results(build_results({"A": MAC})).runs[0].to_run_result(0.0, checks)
    assert (list(run.request.variables), run.variable_macs) == (["***", "B"], {"***": MAC})


def test_earlier_results_have_no_macs() -> None:
    """A results.json of an earlier version can still be read."""
    results_json = json.loads(build_results({}))
    del results_json["runs"][0]["variable_macs"]
    assert parse_results(json.dumps(results_json).encode()).runs[0].variable_macs == {}


def test_schema_has_format_of_macs() -> None:
    """The schema describes names and signatures."""
    results_json = results_json_schema()["$defs"]["ResultsRun"]["properties"]["variable_macs"]
    assert results_json["additionalProperties"] == {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    assert results_json["propertyNames"]["maxLength"] == 128
