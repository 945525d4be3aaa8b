"""Tests of facts from the environment of a CI job."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from autonoma_ci.ci.env import (
    SINGLE_SHARD,
    env_reader,
    find_untrusted_fork,
    first_branch,
    first_commit,
    first_number,
    first_repository,
    first_set,
    first_web_url,
    is_truthy,
    join_job_path,
    number_job,
    parse_count,
    sanitize,
    shard_from_env,
    shard_from_index,
)
from autonoma_ci.config.parsers import Shard
from autonoma_ci.models import MAX_FACT_CHARS, UntrustedSource
from tests.support.hostile import TEXTS, URLS

SHA = "c0ffee" + "0123456789" * 3 + "abcd"
SHA_256 = SHA + "0123456789" * 2 + "abcd"
HOSTILE = ["a\nb", "a\x1b[31mb", "a\x00b", "a\u202eb", "a\u200bb", "a\ud800b", "a\u2028b", "a\tb", "a\x85b"]


# Single values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("  é 🚀\t\n", "é 🚀"),
        ("<b>&\"'", "<b>&\"'"),
        ("", ""),
        (" \n", ""),
        ("x" * MAX_FACT_CHARS, "x" * MAX_FACT_CHARS),
        (f"  {'x' * MAX_FACT_CHARS}  ", "x" * MAX_FACT_CHARS),
        ("x" * (MAX_FACT_CHARS + 1), ""),
        ("x" + " " * (2 * MAX_FACT_CHARS), ""),
        *((text, "") for text in HOSTILE),
        *((value, "") for value in (None, 5, True, b"text", ["text"], {"a": "b"})),
    ],
)
def test_text_is_sanitized_or_empty(value: object, expected: str) -> None:
    """A value that is no short printable text becomes empty and is never cut."""
    assert sanitize(value) == expected


def test_reader_sanitizes_variable() -> None:
    """A variable is read without white space, and a missing one is empty."""
    read_variable = env_reader({"A": " x ", "B": "a\nb"})
    assert (read_variable("A"), read_variable("B"), read_variable("C")) == ("x", "", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("true", "TRUE", " Yes ", "on", "1")),
        *((text, False) for text in ("", "false", "0", "no", "off", "2", "truee", "y", "t\nrue")),
    ],
)
def test_truthy_variable_has_known_value(text: str, expected: bool) -> None:
    """Only four values count as true."""
    assert is_truthy({"A": text}, "A") is expected


def test_unset_variable_is_not_truthy() -> None:
    """A variable that is not set counts as false."""
    assert not is_truthy({}, "A")


def test_first_set_skips_invalid_values() -> None:
    """Empty and invalid variables do not count."""
    environ = {"EMPTY": "", "BLANK": "  ", "BAD": "a\nb", "GOOD": " x ", "LATER": "y"}
    assert first_set(environ, "NONE", "EMPTY", "BLANK", "BAD", "GOOD", "LATER") == "x"
    assert first_set(environ, "EMPTY", "BAD") == ""
    assert first_set(environ) == ""


# Facts


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([SHA], SHA),
        ([SHA.upper()], SHA),
        ([SHA_256], SHA_256),
        (["", "HEAD", SHA[:7], "0" * 40, SHA], SHA),
        ([SHA, "f" * 40], SHA),
        ([f"{SHA}\n"], ""),
        ([f" {SHA}"], ""),
        ([SHA + "a"], ""),
        (["0" * 64], ""),
        (["g" * 40], ""),
        ([], ""),
    ],
)
def test_first_commit_is_full_hash(candidates: list[str], expected: str) -> None:
    """Short, zero and symbolic hashes do not count."""
    assert first_commit(*candidates) == expected


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (["main"], "main"),
        (["refs/heads/feature/a"], "feature/a"),
        (["refs/tags/v1.0"], "v1.0"),
        (["refs/heads/refs/heads/x", "y"], "y"),
        (["feature/refs/heads/x"], "feature/refs/heads/x"),
        (["HEAD", "refs/pull/7/merge", "pull/7/head", "7/merge", "pull/7", "main"], "main"),
        (["", "  ", "a\nb", "main"], "main"),
        (["refs/heads/"], ""),
        (["HEADS"], "HEADS"),
        ([], ""),
    ],
)
def test_first_branch_is_name(candidates: list[str], expected: str) -> None:
    """Checkouts of changes and detached heads are no branches."""
    assert first_branch(*candidates) == expected


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (["7"], "7"),
        (["", "false", "0", "-1", "07", "1.5", "\u0667", "7\n", "8"], "8"),
        (["9" * 18], "9" * 18),
        (["9" * 19], ""),
        ([], ""),
    ],
)
def test_first_number_is_positive(candidates: list[str], expected: str) -> None:
    """The number of a change has ASCII digits only and no zero at its start."""
    assert first_number(*candidates) == expected


@pytest.mark.parametrize(("text", "increment", "expected"), [("0", 0, "0"), ("007", 1, "8"), ("9" * 18, 0, "9" * 18)])
def test_count_is_decimal(text: str, increment: int, expected: str) -> None:
    """Unlike the number of a change, a count can be zero."""
    assert parse_count(text, increment) == expected


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "0x1", "9" * 19, "\u0661"])
def test_invalid_count_is_empty(text: str) -> None:
    """A count of another form is unknown."""
    assert parse_count(text, 1) == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_job_with_hostile_name_is_unknown(name: str) -> None:
    """A name with a control character identifies no job."""
    assert join_job_path("stage", name) == ""
    assert number_job(name, Shard(2, 4)) == ""


@pytest.mark.parametrize(("length", "is_known"), [(MAX_FACT_CHARS - 4, True), (MAX_FACT_CHARS - 3, False)])
def test_job_with_number_has_length_limit(length: int, is_known: bool) -> None:
    """A name that is too long with its number is unknown and never cut."""
    name = "x" * length
    assert number_job(name, Shard(2, 4)) == (f"{name} 2/4" if is_known else "")
    assert number_job(name, SINGLE_SHARD) == name


def test_job_path_escapes_percent_and_slash() -> None:
    """A slash within a name differs from a slash between names."""
    assert join_job_path("", "100%/a", "b") == "100%25%2Fa/b"


@pytest.mark.parametrize(
    ("target", "source", "expected"),
    [
        ("acme/shop", "mallory/shop", UntrustedSource.FORK),
        ("acme/shop", "Acme/Shop", None),
        ("acme/shop", "", None),
        ("", "mallory/shop", None),
        ("", "", None),
    ],
)
def test_fork_needs_two_known_repositories(target: str, source: str, expected: UntrustedSource | None) -> None:
    """Upper and lower case are equal in names of repositories."""
    assert find_untrusted_fork(target, source) == expected


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (["acme/shop"], "acme/shop"),
        (["group/sub group/shop"], "group/sub group/shop"),
        (["https://git.example.com/acme/shop.git"], "acme/shop"),
        (["https://user:s3cret-value@git.example.com/acme/shop.git/"], "acme/shop"),
        (["ssh://git@git.example.com:7999/acme/shop.git"], "acme/shop"),
        (["git@git.example.com:acme/shop.git"], "acme/shop"),
        (["git@git.example.com:/acme/shop"], "acme/shop"),
        (["", "shop", "acme/", "/acme/shop", "acme/shop"], "acme/shop"),
        (["acme/../shop"], ""),
        (["../acme/shop"], ""),
        (["acme/shop/.."], ""),
        (["acme/sh<b>op"], ""),
        (["acme/shop?x=1"], ""),
        (["https://git.example.com/shop"], ""),
        (["acme/a\nb"], ""),
        ([], ""),
    ],
)
def test_first_repository_is_path(candidates: list[str], expected: str) -> None:
    """A repository is a path of two or more names without host and credentials."""
    assert first_repository(*candidates) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://ci.example.com/b/1?x=y#z", "https://ci.example.com/b/1?x=y#z"),
        ("http://ci.example.com:8080", "http://ci.example.com:8080"),
        ("HTTPS://CI.example.com/B", "https://ci.example.com/B"),
        ("https://user:s3cret-value@ci.example.com/b", "https://ci.example.com/b"),
        ("https://ci.example.com:0/b", "https://ci.example.com/b"),
        ("https://[::1]:8080/b", "https://[::1]:8080/b"),
        ("https://ci.example.com/é", "https://ci.example.com/é"),
        ("", ""),
        ("ci.example.com/b", ""),
        ("//ci.example.com/b", ""),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("ftp://ci.example.com", ""),
        ("https://", ""),
        ("https://ci.example.com:99999/b", ""),
        ("https://ci.example.com\\@evil.example/b", ""),
        ("https://ci.example.com/a b", ""),
        ("https://ci<b>.example.com/", ""),
        ("https://[", ""),
        ("https://ci.example.com/\x1b[31m", ""),
        (f"https://ci.example.com/{'x' * MAX_FACT_CHARS}", ""),
    ],
)
def test_web_url_has_no_credentials(text: str, expected: str) -> None:
    """Only http and https URLs count, and their user and password are removed."""
    assert first_web_url(text) == expected
    assert first_web_url(text, "https://other.example") == (expected or "https://other.example")


def test_no_candidate_has_no_web_url() -> None:
    """Without candidates there is no URL."""
    assert first_web_url() == ""


@settings(max_examples=20)
@given(URLS)
def test_any_web_url_is_safe(text: str) -> None:
    """Any text gives a printable URL without credentials, or none."""
    url = first_web_url(text)
    assert not url or url.startswith(("http://", "https://"))
    assert url.isprintable()
    assert "@" not in url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]


@settings(max_examples=20)
@given(TEXTS)
def test_any_text_gives_printable_fact(text: str) -> None:
    """Each reader accepts any text and returns a printable one."""
    facts = [sanitize(text), first_branch(text), first_repository(text), first_commit(text), first_number(text)]
    assert all(fact.isprintable() and len(fact) <= MAX_FACT_CHARS for fact in facts)


# Shards


@pytest.mark.parametrize(
    ("index", "total", "first", "expected"),
    [
        ("1", "3", 1, Shard(1, 3)),
        ("3", "3", 1, Shard(3, 3)),
        ("0", "3", 0, Shard(1, 3)),
        ("2", "3", 0, Shard(3, 3)),
        ("0", "3", 1, None),
        ("4", "3", 1, None),
        ("3", "3", 0, None),
        ("", "", 1, SINGLE_SHARD),
        ("9", "1", 1, SINGLE_SHARD),
        ("x", "", 1, SINGLE_SHARD),
        ("", "3", 1, None),
        ("1", "0", 1, None),
        ("1", "01", 1, SINGLE_SHARD),
        ("1", "x", 1, None),
        ("-1", "3", 1, None),
        ("\u0661", "3", 1, None),
        ("\u00b2", "3", 1, None),
        ("1", "9" * 10, 1, Shard(1, 9_999_999_999)),
        ("1", "9" * 11, 1, None),
    ],
)
def test_shard_has_valid_index_or_is_none(index: str, total: str, first: int, expected: Shard | None) -> None:
    """An invalid index is never a single job, because each copy would start the complete plan."""
    assert shard_from_index(index, total, first) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"INDEX": " 1 ", "TOTAL": "2"}, Shard(2, 2)),
        ({"INDEX": "2", "TOTAL": "2"}, None),
        ({"INDEX": "0\n1", "TOTAL": "2"}, None),
        ({}, SINGLE_SHARD),
    ],
)
def test_shard_comes_from_two_variables(environ: dict[str, str], expected: Shard | None) -> None:
    """The variables are sanitized before they are read."""
    assert shard_from_env("INDEX", "TOTAL", 0)(environ) == expected
