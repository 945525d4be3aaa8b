"""Tests of build facts in values that are URLs."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autonoma_ci.manifest.references import parse_references
from autonoma_ci.manifest.url_values import (
    UrlPart,
    find_host_error,
    find_stated_url_error,
    find_url_error,
    is_web_url,
)
from autonoma_ci.models import BuildContext
from tests.support.manifest_reader import collect_errors, read_manifest
from tests.support.processor_time import measure_processor_seconds

CREDENTIALS_ERROR = "'wait_for_url' holds credentials before the host. Remove them, because logs show this URL."
FORM_ERROR = "invalid 'wait_for_url'. Use https, or http for localhost, such as https://pr-${ci.change}.example.com."
_texts = st.text(st.sampled_from("aB1-./\\:@?#[]%$ \t\n\x00é"), max_size=6)
# Beginnings of URLs that programs read differently.
_beginnings = st.sampled_from(
    ["https://", "http://", "HTTPS://", "https:", "https:/", "https:///", "https:\\\\", " https://", "ht\ttps:/\n/", ""]
)
_parts = st.lists(st.builds(UrlPart, _texts) | st.builds(UrlPart, _texts, st.just("ci.branch")), min_size=1, max_size=6)


def read_host_like_browser(url: str) -> str | None:
    """Return the host of a URL as browsers read it, or None for another text."""
    text = re.sub(r"[\t\n\r]", "", url).lstrip("".join(map(chr, range(33))))
    match = re.match(r"https?:[/\\]*([^/\\?#]*)", text, re.IGNORECASE)
    return match[1].rpartition("@")[2] if match else None


def read_host_like_python(url: str) -> str | None:
    """Return the host and the port of a URL as Python reads it, or None for another text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.netloc.rpartition("@")[2] if parts.scheme in {"http", "https"} else None


@given(beginning=_beginnings, parts=_parts)
@example("https://", [UrlPart("a.evil.com/", "ci.branch"), UrlPart(".example.com")])
@example("https://pr", [UrlPart("@evil.com", "ci.branch"), UrlPart(".example.com")])
@example("https://example.com", [UrlPart(":1@evil.com/", "ci.branch")])
@example("https://example.com", [UrlPart("\\.evil.com", "ci.branch")])
@example("https://", [UrlPart("1\\"), UrlPart("?", "ci.branch")])
@example("https:", [UrlPart("//evil.com/", "ci.branch")])
def test_fact_changes_only_its_label(beginning: str, parts: list[UrlPart]) -> None:
    """A host with another fact has the same labels, except for that of the fact."""
    parts = [UrlPart(beginning), *parts]
    value = "".join(part.text for part in parts)
    if not is_web_url(value) or find_host_error(parts) is not None:
        return
    # A label of a fact without a delimiter. The rest of the host must come from the other parts.
    harmless = "".join("x" * len(part.text) if part.fact else part.text for part in parts)
    for read_host in (read_host_like_browser, read_host_like_python):
        host, expected = read_host(value), read_host(harmless)
        if host is None or expected is None:
            continue
        assert len(host) == len(expected)
        changed = {(a, b) for a, b in zip(host, expected, strict=True) if a != b}
        assert all(b == "x" and re.fullmatch("[A-Za-z0-9-]", a) for a, b in changed)


@given(beginning=_beginnings, parts=_parts)
def test_url_is_recognized_like_browser(beginning: str, parts: list[UrlPart]) -> None:
    """Each text that a browser or Python reads as a URL is checked."""
    value = beginning + "".join(part.text for part in parts)
    assert is_web_url(value) == (read_host_like_browser(value) is not None)
    assert is_web_url(value) or not read_host_like_python(value)


@pytest.mark.parametrize(
    ("text", "branch"),
    [
        ("https://${ci.branch}.example.com", "a.evil.com/"),
        ("https://${ci.branch}.example.com", "feature/cart"),
        ("https://${ci.branch}.example.com", "x" * 64),
        ("https://${ci.branch}.example.com", "ü"),
        ("https://${ci.branch}.example.com", "a b"),
        ("HTTPS://pr-${ci.branch}.example.com", "a@evil.com"),
        ("https:${ci.branch}.example.com", "a/b"),
        ("https:\\\\${ci.branch}.example.com", "a/b"),
        ("https://example.com\\${ci.branch}", "a/b"),
        ("https:///${ci.branch}/x", "evil.com/a"),
        ("https://${ci.branch}@example.com", "a/b"),
        ("https://example.com:${ci.branch}", "1@evil.com"),
        ("https://${UNSET:-pr-${ci.branch}.example.com}", "a/b"),
        ("https://${EMPTY:-${UNSET:-${ci.branch}}}.example.com", "a.b"),
        ("${SCHEME}://${ci.branch}.example.com", "a.b"),
        ("https://$$${ci.branch}.example.com", "a.b"),
        ("https://${ci.change}-${ci.branch}.example.com", "a.b"),
        ("${ci.branch}", "https://evil.com"),
    ],
)
@pytest.mark.parametrize("place", ["variables: {V: %s}", "matrix: {V: [%s]}"])
def test_fact_in_host_must_be_label(text: str, branch: str, place: str) -> None:
    """A branch with other characters than those of a label is an error in a host."""
    quoted = "'" + text + "'"
    context = BuildContext(branch=branch, change_number="7")
    (error,) = collect_errors(f"tests: [{{id: a, {place % quoted}}}]", {"EMPTY": "", "SCHEME": "https"}, context)
    assert error.partition(": ")[2] == (
        "${ci.branch} is not one label of a host name in this job. Use ${ci.branch_slug} in a host."
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("https://${ci.branch_slug}.example.com", "https://feature-a.example.com"),
        ("https://pr-${ci.change}.example.com/${ci.branch}", "https://pr-7.example.com/feature/a"),
        ("https://example.com?b=${ci.branch}", "https://example.com?b=feature/a"),
        ("https://example.com#${ci.branch}", "https://example.com#feature/a"),
        ("https:\\\\example.com/${ci.branch}", "https:\\\\example.com/feature/a"),
        ("${ci.deployment_url}/${ci.branch}", "https://d.example/feature/a"),
        ("${ci.build_url}", "https://ci.example/1"),
        ("https://example.com/?next=${ci.deployment_url}", "https://example.com/?next=https://d.example"),
        ("${HOST}/${ci.branch}", "https://h.example/feature/a"),
        ("${ci.branch}", "feature/a"),
        ("http-${ci.branch}", "http-feature/a"),
    ],
)
def test_fact_outside_of_host_is_free(text: str, value: str) -> None:
    """A fact after the host, or in another value, may have any characters."""
    context = BuildContext(
        branch="feature/a", change_number="7", build_url="https://ci.example/1", deployment_url="https://d.example"
    )
    manifest = read_manifest(f"tests: [{{id: a, variables: {{V: '{text}'}}}}]", {"HOST": "https://h.example"}, context)
    assert manifest.tests[0].variables == {"V": value}


def test_other_fact_suggests_slug() -> None:
    """The path of a repository is no label either."""
    text = "tests: [{id: a, variables: {V: 'https://${ci.repository}.example.com'}}]"
    (error,) = collect_errors(text, {}, BuildContext(repository="o/r"))
    assert error.endswith("in this job. Use a fact such as ${ci.branch_slug} in a host.")


def test_url_fact_after_scheme_is_error() -> None:
    """A fact that is a complete URL can only begin a value."""
    context = BuildContext(deployment_url="https://d.example")
    (error,) = collect_errors("tests: [{id: a, variables: {V: 'https://${ci.deployment_url}'}}]", {}, context)
    assert error.endswith("${ci.deployment_url} is a complete URL. Write it at the beginning of the value.")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://example.com", None),
        ("https://example.com:8443/health?x=1", None),
        ("http://localhost:3000", None),
        ("http://127.0.0.1/", None),
        ("https://[::1]/", None),
        ("http://example.com", FORM_ERROR),
        ("ftp://example.com", FORM_ERROR),
        ("example.com", FORM_ERROR),
        ("https:/example.com", FORM_ERROR),
        ("https:\\\\example.com", FORM_ERROR),
        ("https://example.com\\@evil.com", CREDENTIALS_ERROR),
        ("https://exa mple.com", FORM_ERROR),
        ("https://example.com/ü", FORM_ERROR),
        ("https://example.com:99999", FORM_ERROR),
        ("https://user:password@example.com", CREDENTIALS_ERROR),
        ("https://user@example.com", CREDENTIALS_ERROR),
        ("https://user@", CREDENTIALS_ERROR),
        ("https://example.com/@user", None),
        ("", FORM_ERROR),
    ],
)
def test_url_to_wait_for_is_checked(url: str, error: str | None) -> None:
    """The URL is encrypted or local, and has no credentials."""
    assert find_url_error(url) == error
    assert find_stated_url_error([url] if url else []) == error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("https://pr-${ci.change}.example.com", None),
        ("https://pr-${ci.change:-main}.example.com/${ci.branch}", None),
        ("${ci.deployment_url}/health", None),
        ("https://${ci.branch}@example.com", CREDENTIALS_ERROR),
        ("${ci.change}.example.com", FORM_ERROR),
        (
            "https://${ci.deployment_url}",
            "${ci.deployment_url} is a complete URL. Write it at the beginning of the value.",
        ),
    ],
)
def test_url_with_facts_is_checked_before_insertion(text: str, error: str | None) -> None:
    """An environment that is not selected has no facts, and its URL is checked too."""
    assert find_stated_url_error(parse_references(text)) == error


def test_many_facts_in_host_take_linear_time() -> None:
    """A long host of facts is checked in time."""
    parts = [UrlPart("https://"), *[UrlPart("a", "ci.branch")] * 50_000]
    assert measure_processor_seconds(lambda: find_host_error(parts), 0.5) < 0.5
