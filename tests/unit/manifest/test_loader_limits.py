"""Hostile manifests are read in bounded time or rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.models import BuildContext
from autonoma_ci.yaml_subset.parser import MAX_YAML_NODES, parse_yaml
from tests.support.manifest_reader import TODAY
from tests.support.processor_time import measure_processor_seconds

if TYPE_CHECKING:
    from pathlib import Path


# The examples of a test may share a folder, and a busy machine may take any time to make one.
IGNORED_HEALTH_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
# Punctuation and keys of a manifest, so that more examples are almost valid.
PUNCTUATION = "tests:-[]{}&*!<>|?%@`'\"#,\n \t$idnamegroups01~"


def load_bytes(data: bytes, folder: Path) -> Manifest:
    (folder / "m.yml").write_bytes(data)
    return load_manifest("m.yml", str(folder), Interpolator({}, BuildContext()), TODAY)


def build_yaml_bomb(levels: int, merge: bool) -> str:
    """Return a short text that expands to 10 ** `levels` entries."""
    lines = ["a0: &a0 {x: y}" if merge else "a0: &a0 [x]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(
            f"a{level}: &a{level} {{<<: [{aliases}], k{level}: v}}" if merge else f"a{level}: &a{level} [{aliases}]"
        )
    return "\n".join(lines)


@pytest.mark.parametrize("merge", [True, False], ids=["merge keys", "aliases"])
@pytest.mark.parametrize("levels", [6, 9, 15])
def test_yaml_bomb_is_rejected(merge: bool, levels: int) -> None:
    """Aliases that expand to many entries are rejected before the expansion."""
    problems = parse_yaml(build_yaml_bomb(levels, merge), "m.yml").errors
    assert [problem.message for problem in problems] == [
        f"more than {MAX_YAML_NODES:,} entries after the expansion of aliases. Split the file."
    ]
    assert measure_processor_seconds(lambda: parse_yaml(build_yaml_bomb(levels, merge), "m.yml"), 20) < 20


def test_search_for_similar_groups_is_limited(tmp_path: Path) -> None:
    """Each of many declared groups could be compared with each of many others."""
    declared = "".join(f"  group-{number}: {{}}\n" for number in range(2000))
    entries = "".join(f"  - {{id: t{number}, groups: [gruop-{number}]}}\n" for number in range(2000))
    with pytest.raises(InputError) as caught:
        load_bytes(f"groups:\n{declared}tests:\n{entries}".encode(), tmp_path)
    assert len(caught.value.diagnostics) == 10


@pytest.mark.parametrize(
    ("text", "expected_message"),
    [
        ("[" * 1000, "nested more than 20 levels deep"),
        ("a: &a [*a]", "unknown alias (`*` and a word). Define its anchor in an earlier value"),
        ("a: &a {b: *a}", "unknown alias (`*` and a word). Define its anchor in an earlier value"),
        ("a: *b", "unknown alias"),
        ("x: [" + "a," * (MAX_YAML_NODES + 1) + "]", "more than 100,000 entries"),
        ("a: 1\n---\nb: 2", "a second document starts here"),
        ("a: " + "9" * 5000 + "\nb: 2024-99-99\nc: !!int x", "a tag"),
    ],
)
def test_exceeded_limit_has_message(text: str, expected_message: str) -> None:
    """Each limit of the parser has its own message."""
    assert any(expected_message in problem.message for problem in parse_yaml(text, "m.yml").errors)


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    """A key of the mapping itself wins over merged keys, and the first merged key wins."""
    manifest = load_bytes(
        b"defaults:\n  variables: &base {A: 1, B: 2}\ntests:\n  - id: &id a\n"
        b"    variables: {B: 3, <<: [*base, {A: 9, C: 4}]}\n  - *id\n",
        tmp_path,
    )
    assert manifest.tests[0].variables == {"A": "1", "B": "3", "C": "4"}
    assert manifest.tests[1].id == "a"


@settings(deadline=None, suppress_health_check=IGNORED_HEALTH_CHECKS)
@given(data=st.binary(max_size=300) | st.text(PUNCTUATION, max_size=300).map(str.encode))
def test_any_bytes_are_parsed_or_rejected(data: bytes, tmp_path: Path) -> None:
    """Any bytes give a manifest or an input error in bounded time."""
    messages: list[str] = []
    manifests: list[object] = []

    def try_load() -> None:
        try:
            manifests.append(load_bytes(data, tmp_path))
        except InputError as error:
            messages.extend(problem.message for problem in error.diagnostics)

    # A few milliseconds.
    assert measure_processor_seconds(try_load, 2) < 2
    assert all(text.isprintable() for text in messages)
    assert messages or isinstance(manifests[0], Manifest)


# The writer escapes no bidirectional controls.
MISLEADING = "\u2028\u2029\x85\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=f"$\ufeff{MISLEADING}"), max_size=20)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), min_size=1, max_size=10)


@settings(deadline=None, suppress_health_check=IGNORED_HEALTH_CHECKS)
@given(variables=st.dictionaries(names, texts, max_size=5))
def test_quoted_text_is_unchanged(variables: dict[str, str], tmp_path: Path) -> None:
    """Any text in double quotes is read back unchanged."""
    data = yaml.safe_dump({"tests": [{"id": "a", "variables": variables}]}, default_style='"', allow_unicode=True)
    assert load_bytes(data.encode(), tmp_path).tests[0].variables == variables
