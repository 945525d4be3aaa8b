"""Documents and action.yml generated from the tables of options and outputs."""

from __future__ import annotations

import io

import pytest
import yaml

from autonoma_ci.config.arguments import build_parser
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import Settings
from autonoma_ci.reports.outputs import OUTPUTS, build_outputs
from tests.support import generate_docs
from tests.support.reports import create_report

ACTION = yaml.safe_load((generate_docs.ROOT / "action.yml").read_text("utf-8"))
README = (generate_docs.ROOT / "README.md").read_text("utf-8")


def test_action_yml_is_up_to_date() -> None:
    """The file action.yml equals the generated text."""
    assert (generate_docs.ROOT / "action.yml").read_text("utf-8") == generate_docs.render_action()


def test_readme_tables_are_up_to_date() -> None:
    """The tables of the README equal the generated text."""
    assert generate_docs.replace_blocks(README) == README


def test_readme_without_markers_is_refused() -> None:
    """A document without the markers of a table is an error."""
    with pytest.raises(ValueError, match="inputs:start"):
        generate_docs.replace_blocks("# nothing here")


def test_action_inputs_have_no_default() -> None:
    """The runner would always pass a default, which would win over environment and manifest."""
    assert list(ACTION["inputs"]) == [*(option.name for option in OPTIONS), "args"]
    defaults = {
        name: specification["default"] for name, specification in ACTION["inputs"].items() if "default" in specification
    }
    assert defaults == {
        "github-token": "${{ github.token }}",
        "part": "${{ strategy.job-total > 1 && toJSON(matrix) || '' }}",
    }
    assert all(
        set(specification) <= {"description", "required", "default"} for specification in ACTION["inputs"].values()
    )
    for option in OPTIONS:
        assert option.help in ACTION["inputs"][option.name]["description"]
        assert option.default in ACTION["inputs"][option.name]["description"]


def test_action_declares_written_outputs() -> None:
    """The outputs of the action are those that a step writes."""
    assert list(ACTION["outputs"]) == [output.name for output in OUTPUTS] == list(build_outputs(create_report()))
    assert all(specification["description"] for specification in ACTION["outputs"].values())


def test_action_is_container_without_entrypoint() -> None:
    """The action runs the entry point of the image."""
    assert ACTION["runs"] == {"using": "docker", "image": "Dockerfile", "args": []}
    assert set(ACTION["branding"]) == {"icon", "color"}


def test_help_lists_every_option() -> None:
    """The help has the flag and the default of each option."""
    text = " ".join(build_parser("run", "Start.", OPTIONS, io.StringIO()).format_help().split())
    for option in OPTIONS:
        assert f"{option.flag} " in text
        assert f"Default: {option.default}." in text or not option.default


def test_settings_have_every_option() -> None:
    """Each option has a field in the settings."""
    other_fields = {
        "explicitly_set",
        "spellings",
        "blank_options",
        "unresolved_references",
        "unused_secrets",
        "warnings",
    }
    assert {option.settings_field for option in OPTIONS} == set(Settings._fields) - other_fields
