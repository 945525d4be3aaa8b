"""Documents and action.yml generated from the tables of options and outputs."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import yaml

from autonoma_ci.ci.detection import DETECTION_RULES
from autonoma_ci.cli import COMMANDS
from autonoma_ci.config.arguments import build_parser
from autonoma_ci.config.options import OPTION_GROUPS, OPTIONS
from autonoma_ci.config.settings import Settings
from autonoma_ci.manifest.schema import manifest_json_schema
from autonoma_ci.reports.outputs import OUTPUTS, build_outputs
from autonoma_ci.reports.results_schema import results_json_schema
from tests.support import generate_docs, reference_tables
from tests.support.reports import create_report

ACTION = yaml.safe_load((generate_docs.ROOT / "action.yml").read_text("utf-8"))
PAGES = generate_docs.render_pages()


def test_action_yml_is_up_to_date() -> None:
    """The file action.yml equals the generated text."""
    assert (generate_docs.ROOT / "action.yml").read_text("utf-8") == generate_docs.render_action()


@pytest.mark.parametrize("page", PAGES)
def test_page_tables_are_up_to_date(page: str) -> None:
    """The tables of each page equal the generated text."""
    text = (generate_docs.ROOT / page).read_text("utf-8")
    assert generate_docs.replace_blocks(text, PAGES[page]) == text


@pytest.mark.parametrize("page", PAGES)
def test_page_without_markers_is_refused(page: str) -> None:
    """A page without the markers of a table is an error."""
    with pytest.raises(ValueError, match=f"{PAGES[page][0].name}:start"):
        generate_docs.replace_blocks("# nothing here", PAGES[page])


def test_command_tables_list_every_flag() -> None:
    """Each command's table or list of options has each of its flags."""
    for command in COMMANDS:
        parser = reference_tables.capture_parser(command)
        text = reference_tables.render_command(command)
        flags = {flag for action in parser._actions for flag in action.option_strings} - {"-h", "--help"}
        listed_options = text.partition("[Options](options.md):")[2]
        names = {option.flag for option in OPTIONS if f"`{option.name}`" in listed_options}
        names |= {option.flag for option in OPTIONS if "all [options]" in text}
        assert flags == names | set(re.findall(r"^\| `(--[\w-]+)", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        (reference_tables.render_manifest_keys(), manifest_json_schema()),
        (reference_tables.render_results_fields(), results_json_schema()),
    ],
    ids=["manifest", "results"],
)
def test_field_table_lists_every_property(table: str, schema: dict[str, Any]) -> None:
    """The table has each property of each model of the schema."""
    documented_names = set(re.findall(r"^\| `(?:\S+\.)?(\w+)`", table, re.MULTILINE))
    models = [schema, *schema["$defs"].values()]
    models += [choice for model in models for choice in model.get("anyOf", [])]
    assert documented_names == {name for model in models for name in model.get("properties", {})}


def test_detection_table_names_variables() -> None:
    """The variables of a rule are found behind every condition."""
    names = {rule.name: reference_tables.find_detection_names(rule) for rule in DETECTION_RULES}
    assert names["github"] == ["GITHUB_ACTIONS"]
    assert set(names["cloudbuild"]) == {"BUILDER_OUTPUT", "LOCATION", "PROJECT_NUMBER", "PROJECT_ID", "BUILD_ID"}
    assert set(names["ci"]) == {"CI", "CONTINUOUS_INTEGRATION", "BUILD_NUMBER"}
    assert names.pop("cli") == []
    assert all(names.values())


def test_documented_variables_are_read() -> None:
    """The code reads each documented variable of other programs."""
    code = "".join(path.read_text("utf-8") for path in (generate_docs.ROOT / "autonoma_ci").rglob("*.py"))
    # urllib builds the names of the proxy variables from these parts.
    code += "".join(f'"{scheme}_PROXY"' for scheme in ("HTTPS", "NO"))
    assert [name for name in reference_tables.OTHER_VARIABLES if f'"{name}"' not in code] == []


def test_option_page_has_groups_of_help() -> None:
    """The page of options has the groups of `--help`, and each option once."""
    groups = re.findall(r"^## (.+)$|^\| `([\w-]+)`", reference_tables.render_option_groups(), re.MULTILINE)
    assert [title for title, _ in groups if title] == list(OPTION_GROUPS)
    assert [name for _, name in groups if name] == [option.name for option in OPTIONS]


def test_common_options_are_few() -> None:
    """The README has the 12 options that most people use."""
    assert len(set(reference_tables.COMMON_OPTIONS)) == 12


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
