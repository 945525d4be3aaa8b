"""The documents say what the tables of options and outputs say."""

from __future__ import annotations

import io

import pytest
import yaml

from autonoma_ci.config.arguments import build_parser
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import Settings
from autonoma_ci.reports.outputs import OUTPUTS, build_outputs
from tests.report.reports import report
from tests.support import tables

ACTION = yaml.safe_load((tables.ROOT / "action.yml").read_text("utf-8"))
README = (tables.ROOT / "README.md").read_text("utf-8")


def test_action_yml_is_made_from_the_tables() -> None:
    assert (tables.ROOT / "action.yml").read_text("utf-8") == tables.action()


def test_the_readme_is_made_from_the_tables() -> None:
    assert tables.with_blocks(README) == README


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="inputs:start"):
        tables.with_blocks("# nothing here")


def test_the_action_has_every_option_as_an_input_without_a_default() -> None:
    """A default in action.yml would always be given, and so win over the environment and the manifest."""
    assert list(ACTION["inputs"]) == [*(option.name for option in OPTIONS), "args"]
    defaults = {name: declared["default"] for name, declared in ACTION["inputs"].items() if "default" in declared}
    assert defaults == {
        "github-token": "${{ github.token }}",
        "part": "${{ strategy.job-total > 1 && toJSON(matrix) || '' }}",
    }
    assert all(set(declared) <= {"description", "required", "default"} for declared in ACTION["inputs"].values())
    for option in OPTIONS:
        assert option.help in ACTION["inputs"][option.name]["description"]
        assert option.default in ACTION["inputs"][option.name]["description"]


def test_the_action_declares_exactly_the_outputs_that_are_written() -> None:
    assert list(ACTION["outputs"]) == [output.name for output in OUTPUTS] == list(build_outputs(report()))
    assert all(declared["description"] for declared in ACTION["outputs"].values())


def test_the_action_is_a_container_without_an_entry_point_of_its_own() -> None:
    assert ACTION["runs"] == {"using": "docker", "image": "Dockerfile", "args": []}
    assert set(ACTION["branding"]) == {"icon", "color"}


def test_the_help_of_the_command_line_has_every_option() -> None:
    text = " ".join(build_parser("run", "Start.", OPTIONS, io.StringIO()).format_help().split())
    for option in OPTIONS:
        assert f"{option.flag} " in text
        assert f"Default: {option.default}." in text or not option.default


def test_every_option_is_a_field_of_the_settings() -> None:
    others = {"explicitly_set", "spellings", "blank_options", "unresolved_references", "unused_secrets", "warnings"}
    assert {option.settings_field for option in OPTIONS} == set(Settings._fields) - others
