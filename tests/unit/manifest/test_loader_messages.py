"""Messages and excerpts for common mistakes in manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.invoke_command import CREDENTIALS, invoke

if TYPE_CHECKING:
    from pathlib import Path

ID = "cm8d9gt6v000c9fe5glmyi33u"


class InvalidManifest(NamedTuple):
    """A wrong manifest, its error after the file name, and the excerpt below."""

    name: str
    text: str | bytes
    line: str
    excerpt: tuple[str, ...] = ()


# fmt: off
# ruff: noqa: E501 - the lines are as long as users see them
CASES = (
    InvalidManifest('yaml: tab', 'tests:\n\t- cm8d9gt6v000c9fe5glmyi33u\n',
          ':2:1: invalid YAML: tab in the indentation. Indent with spaces.',
          ('   2 | →- cm8d9gt6v000c9fe5glmyi33u', '     | ^')),
    InvalidManifest('yaml: unquoted colon', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: Checkout: pay by card\n',
          ':3:19: invalid YAML: second colon in a value without quotes. Put the value in quotes.',
          ('   3 |     name: Checkout: pay by card', '     |                   ^')),
    InvalidManifest('yaml: indentation', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n   name: Checkout\n',
          ':3:4: invalid YAML: wrong indentation. Align this line with the other lines of its level.',
          ('   3 |    name: Checkout', '     |    ^')),
    InvalidManifest('yaml: unclosed quote', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: "Checkout\n',
          ':3:11: invalid YAML: missing closing quote. Close the quote, or remove it.',
          ('   3 |     name: "Checkout', '     |           ^')),
    InvalidManifest('yaml: unclosed bracket', 'tests:\n  - {id: cm8d9gt6v000c9fe5glmyi33u, groups: [smoke}\n',
          ":2:45: invalid YAML: missing closing bracket for '['. Close the bracket.",
          ('   2 | …cm8d9gt6v000c9fe5glmyi33u, groups: [smoke}', '     |                                     ^')),
    InvalidManifest('yaml: at sign', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: @checkout\n',
          ":3:11: invalid YAML: value begins with '@', which is reserved. Put the value in quotes.",
          ('   3 |     name: @checkout', '     |           ^')),
    InvalidManifest('yaml: percent', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: %checkout\n',
          ":3:11: invalid YAML: value begins with '%', which begins a directive. Put the value in quotes.",
          ('   3 |     name: %checkout', '     |           ^')),
    InvalidManifest('yaml: no space behind the colon', 'tests:\n  - id:cm8d9gt6v000c9fe5glmyi33u\n    name: Checkout\n',
          ':2:7: invalid YAML: no space after the colon. Write `key: value`.',
          ('   2 |   - id:cm8d9gt6v000c9fe5glmyi33u', '     |       ^')),
    InvalidManifest('yaml: no space behind the hyphen', 'tests:\n  -cm8d9gt6v000c9fe5glmyi33u\n',
          ":1:1: 'tests' must be a list. Write a space after each '-'."),
    InvalidManifest('yaml: reference in braces', 'tests:\n  - {id: cm8d9gt6v000c9fe5glmyi33u, variables: {URL: ${BASE_URL}}}\n',
          ':2:55: invalid YAML: ${…} without quotes inside { } or [ ]. Write "${NAME}".',
          ('   2 | …················ ·········· ····· ·{···········', '     |                                     ^')),
    InvalidManifest('yaml: key twice', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: a\n    name: b\n',
          ":4:5: duplicate key: 'name', first on line 3. Remove one."),
    InvalidManifest('yaml: tag', 'tests:\n  - id: !secret cm8d9gt6v000c9fe5glmyi33u\n',
          ':2:9: a tag (`!` and a word) is not supported, because all values are strings. Put the value in quotes.'),
    InvalidManifest('yaml: star', 'tests:\n  - *login\n',
          ':2:5: unknown alias (`*` and a word). Define its anchor in an earlier value, or put a string in quotes.'),
    InvalidManifest('yaml: two documents', 'tests: [cm8d9gt6v000c9fe5glmyi33u]\n---\ntests: [g41k688vndxzt7kh4kq5m12s]\n',
          ':2:1: a second document starts here. Use one document, and remove the line ---.'),
    InvalidManifest('yaml: comment without space', 'tests:\n  - cm8d9gt6v000c9fe5glmyi33u#login\n',
          ":2:5: invalid id: 'cm8d9gt6v000c9fe5glmyi33u#login' contains '#'. Use only letters, digits, - and _."),
    InvalidManifest('manifest: empty', '',
          ':1:1: the manifest is empty. Start with `tests:` and a list of ids below it.'),
    InvalidManifest('manifest: only comments', '# later\n',
          ':1:1: the manifest is empty. Start with `tests:` and a list of ids below it.'),
    InvalidManifest('manifest: a text', 'smoke\n',
          ':1:1: the manifest is a string. Start with `tests:` and a list of ids below it.'),
    InvalidManifest('manifest: a list', '- cm8d9gt6v000c9fe5glmyi33u\n',
          ':1:1: the manifest is a list. Start with `tests:` and a list of ids below it.'),
    InvalidManifest('manifest: UTF-16', b'\xff\xfet\x00e\x00s\x00t\x00s\x00:\x00 \x00[\x00c\x00m\x008\x00d\x009\x00g\x00t\x006\x00v\x000\x000\x000\x00c\x009\x00f\x00e\x005\x00g\x00l\x00m\x00y\x00i\x003\x003\x00u\x00]\x00\n\x00',
          ': the file is UTF-16. Save it as UTF-8.'),
    InvalidManifest('manifest: Windows-1252', b'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: Caf\xe9\n',
          ':3:14: the file is not UTF-8. Save it as UTF-8.'),
    InvalidManifest('manifest: tests empty', 'tests:\n',
          ':1:1: nothing to run: the manifest has no entries. Add an id below `tests:`, or set allow-empty to true.'),
    InvalidManifest('manifest: tests a text', 'tests: all\n',
          ":1:1: 'tests' must be a list. Begin each entry with `- `."),
    InvalidManifest('manifest: tests a mapping', 'tests:\n  login: cm8d9gt6v000c9fe5glmyi33u\n',
          ":1:1: 'tests' must be a list. Write each entry as `- id: ID` and `name: TEXT`."),
    InvalidManifest('manifest: version 2', 'version: 2\ntests: [cm8d9gt6v000c9fe5glmyi33u]\n',
          ':1:1: unsupported manifest version. Write `version: 1`.'),
    InvalidManifest('key: typo', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    nmae: Checkout\n',
          ":3:5: unknown key: 'nmae'. Did you mean 'name'?"),
    InvalidManifest('key: camelCase', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    applicationVersionId: g41k688vndxzt7kh4kq5m12s\n',
          ":3:5: unknown key: 'applicationVersionId'. Did you mean 'application_version_id'?"),
    InvalidManifest('key: singular', 'test:\n  - cm8d9gt6v000c9fe5glmyi33u\n',
          ":1:1: unknown key: 'test'. Did you mean 'tests'?"),
    InvalidManifest('key: variables at the top', 'variables: {A: b}\ntests: [cm8d9gt6v000c9fe5glmyi33u]\n',
          ":1:1: misplaced key: 'variables'. Put this key under `defaults`, in one of `environments` or in an entry of `tests`."),
    InvalidManifest('key: an option', 'timeout: 10m\ntests: [cm8d9gt6v000c9fe5glmyi33u]\n',
          ":1:1: unknown key: 'timeout'. Set the option timeout of the step instead."),
    InvalidManifest('key: variables of a folder', 'folders:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {A: b}\n',
          ":3:5: misplaced key: 'variables'. Put this key under `defaults`, in one of `environments` or in an entry of `tests`."),
    InvalidManifest('key: steps of GitHub', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    with: {A: b}\n',
          ":3:5: unknown key: 'with'. Did you mean 'variables'?"),
    InvalidManifest('id: missing', 'tests:\n  - name: Checkout\n',
          ":2:5: missing key: 'id'. Add it."),
    InvalidManifest('id: empty', 'tests:\n  - id:\n    name: Checkout\n',
          ":2:5: 'id' has no value. Add an id."),
    InvalidManifest('id: link', 'tests:\n  - https://autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u\n',
          ":2:5: invalid id: the URL 'https://autonoma.app/test/cm8d9gt6v000c9fe5glmyi33u'. Write the id alone, the part after /test/, /folder/ or /tag/."),
    InvalidManifest('id: a title', 'tests:\n  - Checkout pays by card\n',
          ":2:5: invalid id: 'Checkout pays by card' contains a space. Use only letters, digits, - and _."),
    InvalidManifest('groups: named none', 'tests:\n  - {id: cm8d9gt6v000c9fe5glmyi33u, groups: [none]}\n',
          ":2:46: invalid group name: 'none', which selects nothing. Use another name."),
    InvalidManifest('groups: a mapping', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    groups: {smoke: true}\n',
          ":3:5: 'groups' must be a list. Begin each entry with `- `."),
    InvalidManifest('variables: a list', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: [A=b]\n',
          ":3:5: 'variables' must be a mapping. Write `key: value` lines below it."),
    InvalidManifest('variables: a text', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: A=b\n',
          ":3:5: 'variables' must be a mapping. Write `key: value` lines below it."),
    InvalidManifest('variables: no value', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables:\n      NAME:\n',
          ':4:7: \'NAME\' has no value. Write "" for an empty string.'),
    InvalidManifest('variables: also in the matrix', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {A: b}\n    matrix: {A: [c, d]}\n',
          ":4:14: 'A' is in both variables and matrix. Remove one."),
    InvalidManifest('matrix: empty list', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    matrix: {A: []}\n',
          ":3:14: 'A' is empty. List at least one value."),
    InvalidManifest('reference: not set', "tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {URL: '${BASE_URL}'}\n",
          ':3:17: ${BASE_URL} is not set. Set it, or write ${BASE_URL:-default}.'),
    InvalidManifest('reference: without braces', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {URL: $BASE_URL/x}\n',
          ":3:17: '$' is invalid. Write ${NAME} for a variable, or $$ for a dollar sign."),
    InvalidManifest('reference: expression of GitHub', "tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {URL: '${{ vars.URL }}'}\n",
          ":3:17: '${' is a GitHub expression, which manifests do not support. Set a variable in env, and write ${NAME}."),
    InvalidManifest('reference: unknown fact', "tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {B: '${ci.brnch}'}\n",
          ":3:17: unknown build fact: '${ci.brnch}'. Did you mean '${ci.branch}'?"),
    InvalidManifest('reference: fact that is not known', "tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {B: '${ci.deployment_url}'}\n",
          ':3:17: ${ci.deployment_url} is unknown in this job. Run in a CI system, or write ${ci.deployment_url:-default}.'),
    InvalidManifest('reference: a credential', "tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {B: '${AUTONOMA_CLIENT_SECRET}'}\n",
          ":3:17: ${AUTONOMA_CLIENT_SECRET} contains a credential of this job. Use another variable."),
    InvalidManifest('reference: an option', "tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables: {B: '${AUTONOMA_VARIABLES}'}\n",
          ":3:17: ${AUTONOMA_VARIABLES} is an option of this step. Use another variable."),
    InvalidManifest('application versions: with run_on_latest', 'tags: [cm8d9gt6v000c9fe5glmyi33u]\nrun_on_latest: true\napplication_versions: [{application_id: cm8d9gt6v000c9fe5glmyi33u, version_id: g41k688vndxzt7kh4kq5m12s}]\n',
          ":2:1: 'run_on_latest' and 'application_versions' exclude each other. Remove one."),
    InvalidManifest('run_on_latest: a word', 'tags: [cm8d9gt6v000c9fe5glmyi33u]\nrun_on_latest: maybe\n',
          ":2:1: invalid value of 'run_on_latest'. Use true or false."),
    InvalidManifest('yaml: backtick', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: `checkout`\n',
          ":3:11: invalid YAML: value begins with '`', which is reserved. Put the value in quotes.",
          ('   3 |     name: `checkout`', '     |           ^')),
    InvalidManifest('yaml: text behind a quote', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: "Checkout" page\n',
          ':3:22: invalid YAML: text after a closing quote or bracket. Put the whole value in quotes.',
          ('   3 |     name: "Checkout" page', '     |                      ^')),
    InvalidManifest('yaml: backslash in double quotes', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: "C:\\shop"\n',
          ':3:14: invalid YAML: unknown escape after a backslash. Use single quotes, or write \\\\ for a backslash.',
          ('   3 |     name: "C:\\shop"', '     |              ^')),
    InvalidManifest('yaml: no-break space', 'tests:\n\xa0\xa0- cm8d9gt6v000c9fe5glmyi33u\n',
          ':2:1: invalid YAML: U+00A0 in the indentation, which only looks like a space. Replace it with a space.',
          ('   2 | \xa0\xa0- cm8d9gt6v000c9fe5glmyi33u', '     | ^')),
    InvalidManifest('yaml: list among keys', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    groups:\n    name: a\n    - smoke\n',
          ':5:5: invalid YAML: entry of a list where a key is expected. Indent all entries of a list equally.',
          ('   5 |     - ·····', '     |     ^')),
    InvalidManifest('yaml: key in a list', 'tests:\n  - cm8d9gt6v000c9fe5glmyi33u\n  name: a\n',
          ':3:3: invalid YAML: wrong indentation. Align this line with the other lines of its level.',
          ('   3 |   name: a', '     |   ^')),
    InvalidManifest('yaml: missing comma', 'tests:\n  - {id: cm8d9gt6v000c9fe5glmyi33u name: a: b}\n',
          ':2:40: invalid YAML: missing comma, or punctuation without quotes, inside { } or [ ]. Put strings in quotes.',
          ('   2 | …{id: cm8d9gt6v000c9fe5glmyi33u name: a: b}', '     |                                     ^')),
    InvalidManifest('yaml: open bracket', 'tests: [cm8d9gt6v000c9fe5glmyi33u, g41k688vndxzt7kh4kq5m12s\nfolders: []\n',
          ":1:8: invalid YAML: missing closing bracket for '['. Close the bracket.",
          ('   1 | tests: [cm8d9gt6v000c9fe5glmyi33u, g41k688vndxzt7kh4kq5m12s', '     |        ^')),
    InvalidManifest('yaml: text behind a bar', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: | text\n      more\n',
          ":3:13: invalid YAML: text after '|' or '>'. Begin the string on the next line, or use quotes.",
          ('   3 |     name: | text', '     |             ^')),
    InvalidManifest('yaml: word without colon', 'tests:\n  - cm8d9gt6v000c9fe5glmyi33u\nfolders\ntags: []\n',
          ':3:1: invalid YAML: line without a colon. Write `key: value`, or `- ` before an entry of a list.',
          ('   3 | folders', '     | ^')),
    InvalidManifest('yaml: ampersand', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: & co\n',
          ":3:11: invalid YAML: value begins with '&', which marks an alias or anchor. Put the value in quotes.",
          ('   3 |     name: & co', '     |           ^')),
    InvalidManifest('yaml: secret behind a colon', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    variables:\n      PASSWORD: hunter2: x\n',
          ':4:24: invalid YAML: second colon in a value without quotes. Put the value in quotes.',
          ('   4 |       ········· ·······: ·', '     |                        ^')),
    InvalidManifest('yaml: wide characters', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: 結帳: 卡\n',
          ':3:13: invalid YAML: second colon in a value without quotes. Put the value in quotes.',
          ('   3 |     name: 結帳: 卡', '     |               ^')),
    InvalidManifest('yaml: long line', 'tests:\n  - id: cm8d9gt6v000c9fe5glmyi33u\n    name: long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long : x\n',
          ':3:211: invalid YAML: second colon in a value without quotes. Put the value in quotes.',
          ('   3 | …long long long long long long long : x', '     |                                     ^')),
)
# fmt: on


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_error_has_message_and_excerpt(case: InvalidManifest, tmp_path: Path) -> None:
    """Each wrong manifest has this first line and this excerpt."""
    data = case.text.encode() if isinstance(case.text, str) else case.text
    (tmp_path / "autonoma.yml").write_bytes(data)
    result = invoke(tmp_path, environ={"AUTONOMA_CI": "ci", **CREDENTIALS})
    lines = result.err.splitlines()
    assert (result.code, lines[0]) == (2, f"Error: autonoma.yml{case.line}")
    assert tuple(lines[1 : 1 + len(case.excerpt)]) == case.excerpt


def test_case_names_are_distinct() -> None:
    """No two cases have the same name."""
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
