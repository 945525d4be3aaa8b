"""Consistency of the table of options."""

from __future__ import annotations

import re

import pytest

from autonoma_ci.config.options import OPTIONS, Option
from autonoma_ci.config.settings import Settings
from autonoma_ci.errors import InputError

# Names that users' workflows can contain, so none of them may be removed.
PUBLISHED_NAMES = {
    *("client-id", "client-secret", "api-url", "test-ids", "manifest", "groups", "variables", "fail-fast", "dry-run"),
    *("application-version-id", "source", "concurrency", "allow-empty", "results-dir", "summary", "summary-title"),
    *("folder-ids", "tag-ids", "application-versions", "run-on-latest", "wait", "timeout", "poll-interval", "retries"),
    *("shard", "wait-for-url", "wait-for-url-timeout", "on-missing-credentials", "comment", "github-token"),
    *("gitlab-token", "evidence", "evidence-file-limit", "evidence-limit", "allow-env"),
}
DEFAULTS = {
    "api-url": "https://autonoma.app/api",
    "concurrency": "8",
    "run-on-latest": "false",
    "wait": "false",
    "timeout": "30m",
    "poll-interval": "auto",
    "retries": "0",
    "wait-for-url-timeout": "5m",
    "fail-fast": "false",
    "allow-empty": "false",
    "dry-run": "false",
    "summary": "true",
    "summary-title": "Autonoma tests",
    "on-missing-credentials": "fail",
    "comment": "false",
    "evidence": "none",
    "evidence-file-limit": "30MB",
    "evidence-limit": "90MB",
}
BY_NAME = {option.name: option for option in OPTIONS}
each_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


def test_promised_options_exist() -> None:
    """An option that workflows use is not removed."""
    assert set(BY_NAME) >= PUBLISHED_NAMES


def test_option_names_are_unique() -> None:
    """Each option has one row."""
    assert len(BY_NAME) == len(OPTIONS)


def test_defaults_are_documented() -> None:
    """A default is part of the contract."""
    assert {o.name: o.default for o in OPTIONS if o.default and o.name in PUBLISHED_NAMES} == DEFAULTS


def test_three_spellings() -> None:
    """An option has a flag, an input with hyphens or underscores, and a variable."""
    option = BY_NAME["test-ids"]
    assert option.flag == "--test-ids"
    assert option.github_input_names == ("INPUT_TEST-IDS", "INPUT_TEST_IDS")
    assert option.env_var == "AUTONOMA_TEST_IDS"


@each_option
def test_option_has_settings_field(option: Option) -> None:
    """Settings has a field for each option."""
    assert option.settings_field in Settings._fields


@each_option
def test_default_is_valid_value(option: Option) -> None:
    """A documented default can be given and has the effect of an unset option."""
    if option.default:
        assert option.parse(option.default) == getattr(Settings(), option.settings_field) or option.name in {
            "api-url",
            "summary-title",
        }


@each_option
def test_help_fits_every_format(option: Option) -> None:
    """The help is one line of sentences for YAML, a Markdown table and a terminal."""
    assert re.fullmatch(r"[A-Z][^\n|<>*_\[\]]+\.", option.help)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", option.name)


@each_option
def test_flag_without_value_is_boolean(option: Option) -> None:
    """Only boolean options can have no value."""
    if option.metavar:
        assert re.fullmatch(r"[A-Z]+", option.metavar)
    else:
        assert option.parse("true") is True
        with pytest.raises(InputError):
            option.parse("perhaps")
