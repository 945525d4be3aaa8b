"""The lists of changed files that other tools write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.app import changed_file_list
from autonoma_ci.app.changed_file_list import ListError, read_list
from autonoma_ci.config.parsers import parse_changed_files
from tests.support.git_repository import GitRepository, needs_git

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.app.changed_file_list import ListedFiles

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name not in {".", ".."} and not set("/\0") & set(name))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the top of a repository with some files."""
    root = tmp_path.resolve() / "top"
    for name in ("src/a.py", "src/b.py", "Makefile", "my file.txt", "a,b.txt", " lead"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def read(text: str, root: Path) -> ListedFiles:
    """Return the files of an option, with the top as the working directory."""
    return read_list(parse_changed_files(text), "changed-files", str(root), root)


def read_file(data: bytes, root: Path) -> ListedFiles:
    """Return the files of a list in a file."""
    (root / "list").write_bytes(data)
    return read("@list", root)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("src/a.py", {"src/a.py"}),
        ("src/a.py\nsrc/b.py\n\n", {"src/a.py", "src/b.py"}),
        ("src/a.py\r\nsrc/b.py\r\n", {"src/a.py", "src/b.py"}),
        ("  src/a.py \n\tsrc/b.py", {"src/a.py", "src/b.py"}),
        ("./src/a.py\n././src//b.py", {"src/a.py", "src/b.py"}),
        ("deleted.py", {"deleted.py"}),
        ("my file.txt", {"my file.txt"}),
        ("a,b.txt", {"a,b.txt"}),
        ("größe.txt", {"größe.txt"}),
        ("[id].tsx", {"[id].tsx"}),
        ('["src/a.py", "gone with space.py", " lead"]', {"src/a.py", "gone with space.py", " lead"}),
        (r'"a\303\244 \"b\".txt"', {'aä "b".txt'}),
        (r'"tab\there\\"', {"tab\there\\"}),
        (r'"not-utf8-\377"', {"not-utf8-\udcff"}),
    ],
)
def test_paths_of_option_are_read(text: str, paths: set[str], root: Path) -> None:
    """A list has one path per line, or is a JSON array."""
    assert read(text, root).paths == paths


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "lists no files"),
        ("src/a.py src/b.py", "several paths"),
        ("Makefile src/a.py", "several paths"),
        ("src/a.py\tsrc/b.py", "several paths"),
        ("src/a.py,src/b.py", "several paths"),
        ("src/a.py;src/b.py", "several paths"),
        ("src/a.py|src/b.py", "several paths"),
        ("Makefile\n'src/a.py'", "line 2 has no existing file"),
        ("Makefile\nsrc\\a.py", "line 2 has no existing file"),
        ("Makefile\nsrc/*.py", "line 2 has no existing file"),
        ("Makefile\nsrc/{a,b}.py", "line 2 has no existing file"),
        ("Makefile\n[src/a.py]", "line 2 has no existing file"),
        ("null", "line 1 has no existing file"),
        ("src/a.py\ngone file.py", "line 2 has no existing file"),
        ("../other/a.py", "no path of a file in the repository"),
        ("src/../../a.py", "no path of a file in the repository"),
        ("src/../a.py", "no path of a file in the repository"),
        (".", "no path of a file in the repository"),
        ("./", "no path of a file in the repository"),
        ('[""]', "no path of a file in the repository"),
        ('["a\\u0000b"]', "no path of a file in the repository"),
        ("/etc/passwd", "outside of the repository"),
        ("/", "outside of the repository"),
        ('"a', "invalid quotes"),
        ('"a" "b"', "invalid quotes"),
        (r'"a\q"', "invalid quotes"),
        (r'"a\9"', "invalid quotes"),
    ],
)
def test_ambiguous_list_is_doubt(text: str, reason: str, root: Path) -> None:
    """A list that can be wrong must not leave out tests."""
    with pytest.raises(ListError, match=reason) as caught:
        read(text, root)
    assert str(caught.value).startswith("changed-files")
    assert caught.value.remedy.endswith(".")


def test_absolute_path_becomes_relative(root: Path, tmp_path: Path) -> None:
    """Some tools list absolute paths, also through a link to the repository."""
    link = tmp_path / "link"
    link.symlink_to(root)
    assert read(f"{root}/src/a.py\n{link}/src/b.py\n{link}/gone.py", root).paths == {"src/a.py", "src/b.py", "gone.py"}
    with pytest.raises(ListError, match="outside of the repository"):
        read(str(root), root)


def test_path_from_working_directory_is_doubt(root: Path) -> None:
    """Without this check, the path would be that of a deleted file."""
    with pytest.raises(ListError, match="line 1 has a path from the working directory"):
        read_list(parse_changed_files("a.py"), "changed-files", str(root / "src"), root)
    listed = read_list(parse_changed_files("src/a.py\ngone.py"), "changed-files", str(root / "src"), root)
    assert listed.paths == {"src/a.py", "gone.py"}


def test_directories_are_listed(root: Path) -> None:
    """Which files of a directory or submodule changed is unknown."""
    listed = read("src\nlibs/sub/\nMakefile", root)
    assert listed.paths == {"src", "libs/sub", "Makefile"}
    assert listed.directories == {"src", "libs/sub"}


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=5))
def test_json_array_keeps_any_name(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    """A JSON array can hold every name, also those with spaces and line breaks."""
    root = tmp_path_factory.getbasetemp().resolve()
    expected = {path for path in paths if not path.startswith("/")}
    assert read(json.dumps(paths), root).paths == expected


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b"src/a.py\nsrc/b.py\n", {"src/a.py", "src/b.py"}),
        (b"\xef\xbb\xbfsrc/a.py\r\n", {"src/a.py"}),
        (b"src/a.py\0gone with space.py\0line\nbreak\0", {"src/a.py", "gone with space.py", "line\nbreak"}),
        (b"my file.txt\n lead\n", {"my file.txt", " lead"}),
        (b"gr\xc3\xb6\xc3\x9fe.txt\nlone-\xff.txt\n", {"größe.txt", "lone-\udcff.txt"}),
        (b'"gr\\303\\266\\303\\237e"\n', {"größe"}),
        (b'["src/a.py"]\n', {"src/a.py"}),
        (b'\xef\xbb\xbf[\r\n  "src/a.py",\r\n  "gone with space.py"\r\n]\r\n', {"src/a.py", "gone with space.py"}),
    ],
)
def test_paths_of_file_are_read(data: bytes, paths: set[str], root: Path) -> None:
    """White space at the ends of a line of a file belongs to a name."""
    assert read_file(data, root).paths == paths


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "lists no files"),
        (b"\n\r\n", "lists no files"),
        (b"[]\n", "lists no files"),
        (b"[1]\n", "invalid JSON array"),
        (b'{"files":["src/a.py"]}\n', "line 1 has no existing file"),
        (b"src/a.py src/b.py\n", "several paths"),
        (b"src/a.py \n", "several paths"),
        ("src/a.py\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_doubtful_file_is_doubt(data: bytes, reason: str, root: Path) -> None:
    """An empty file can be the output of a command that failed."""
    with pytest.raises(ListError, match=reason):
        read_file(data, root)


def test_unreadable_file_is_doubt(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file must be a regular file of limited size, and no link out of the working directory."""
    with pytest.raises(ListError, match="could not be read"):
        read("@missing", root)
    with pytest.raises(ListError, match="could not be read"):
        read("@src", root)
    (tmp_path / "outside").write_text("src/a.py")
    (root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(ListError, match="behind a link"):
        read("@link", root)
    assert read("@../outside", root).paths == {"src/a.py"}
    monkeypatch.setattr(changed_file_list, "MAX_LIST_BYTES", 10)
    with pytest.raises(ListError, match="could not be read"):
        read_file(b"x" * 11, root)


def test_long_list_is_doubt(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of paths is limited."""
    monkeypatch.setattr(changed_file_list, "MAX_PATHS", 2)
    assert read("a.py\nb.py", root).paths == {"a.py", "b.py"}
    with pytest.raises(ListError, match="more than 2 files"):
        read("a.py\nb.py\nc.py", root)


def test_long_name_is_accepted(root: Path) -> None:
    """A name that no file system allows can be in the history of git."""
    assert read("x" * 5000 + ".py", root).paths == {"x" * 5000 + ".py"}


@needs_git
@pytest.mark.parametrize("options", [["-z"], [], ["-c", "core.quotePath=false"]])
def test_output_of_git_is_read(options: list[str], tmp_path: Path) -> None:
    """The list of git itself has exactly the changed paths."""
    repository = GitRepository.create(tmp_path.resolve() / "top")
    names = {"größe.txt", "with space.txt", 'quo"te', "tab\t", "back\\slash", "src/deep/a.py", "lone-\udcff", "日本"}
    repository.commit()
    repository.commit(dict.fromkeys(names, "text"))
    settings = options if options[:1] == ["-c"] else []
    output = repository.git_bytes(
        *settings, "diff", "--name-only", *(options if not settings else []), "HEAD~1", "HEAD"
    )
    assert read_file(output, repository.folder).paths == names
