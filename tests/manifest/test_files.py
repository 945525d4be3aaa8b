"""What stands where a manifest should: any kind of file, in a checkout that somebody else may have written."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import BuildContext
from autonoma_ci.yaml_subset.parser import MAX_YAML_BYTES
from tests.commands.invoke import CREDENTIALS, invoke

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.manifest.schema import Manifest


def read(path: str, folder: Path) -> Manifest:
    return load_manifest(path, str(folder), Interpolator({}, BuildContext()))


def refused(path: str, folder: Path) -> str:
    """Return what is said of a path that is no manifest."""
    with pytest.raises(InputError) as caught:
        read(path, folder)
    (problem,) = caught.value.diagnostics
    return str(problem)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused("no.yml", tmp_path).startswith("no.yml: there is no such file: check the path")


@pytest.mark.parametrize("path", [".", "sub", "sub/", "/"])
def test_a_folder_is_no_manifest(path: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert "is a folder: give the path of a YAML file" in refused(path, tmp_path)


def test_a_file_on_the_way_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("tests: [a]")
    assert "can't be read (Not a directory)" in refused("a.yml/b.yml", tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "a" * 300, "a/" * 3000])
def test_a_text_that_is_no_path(path: str, tmp_path: Path) -> None:
    assert "can't be read" in refused(path, tmp_path)


def test_a_text_with_a_nul_is_not_a_path(tmp_path: Path) -> None:
    assert refused("a\0b", tmp_path).endswith(": can't be read (not a path): give the path of a readable YAML file")


def test_a_file_larger_than_any_memory_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "m.yml").open("wb") as stream:
        stream.truncate(1 << 43)
    assert refused("m.yml", tmp_path) == "m.yml: is larger than 4 MiB: split it"


def test_a_path_is_told_up_to_a_length(tmp_path: Path) -> None:
    for path, shown in (("n" * 200, "n" * 200), ("n" * 201, "n" * 199 + "…")):
        assert refused(path, tmp_path).startswith(f"{shown}: there is no such file")


def test_a_pipe_or_a_device_is_never_waited_for(tmp_path: Path) -> None:
    """A named pipe in a checkout must not hang the job, and an endless device must not fill its memory."""
    os.mkfifo(tmp_path / "pipe.yml")
    assert "is not a regular file" in refused("pipe.yml", tmp_path)
    assert "is not a regular file" in refused("/dev/zero", tmp_path)
    assert "is not a regular file" in refused("/dev/null", tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.yml"))
        assert "can't be read" in refused("socket.yml", tmp_path)


def test_a_pipe_with_the_default_name_is_refused_by_the_command(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "autonoma.yml")
    ended = invoke(tmp_path, environ=CREDENTIALS)
    assert (ended.code, ended.errors) == (2, ["autonoma.yml: is not a regular file: give the path of a YAML file"])


def test_a_link_within_the_checkout_is_followed_and_one_out_of_it_is_not(tmp_path: Path) -> None:
    """A pull request can't make a file of the runner show in the log by linking to it."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (tmp_path / "outside.yml").write_text("tests: [outside]")
    (checkout / "inside.yml").write_text("tests: [inside]")
    (checkout / "in.yml").symlink_to("inside.yml")
    (checkout / "out.yml").symlink_to("../outside.yml")
    (checkout / "loop.yml").symlink_to("loop.yml")
    (checkout / "gone.yml").symlink_to("nowhere.yml")
    assert read("in.yml", checkout).tests[0].id == "inside"
    assert refused("out.yml", checkout) == (
        "out.yml: leads out of the working directory through a symbolic link: give the file's own path"
    )
    assert "can't be read (Too many levels of symbolic links)" in refused("loop.yml", checkout)
    assert "there is no such file" in refused("gone.yml", checkout)
    assert read("../outside.yml", checkout).tests[0].id == "outside"
    assert read(str(tmp_path / "outside.yml"), checkout).tests[0].id == "outside"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n# only comments\n", "is empty"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "is not UTF-8 text: save it as UTF-8"),
        ("tests: [a]".encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        ("tests: [a]".encode("utf-16-le"), "a control character that YAML does not allow"),
        ("tests: [ä]".encode("latin-1"), "is not UTF-8 text: save it as UTF-8"),
        (b"tests: [a]\x00", "a control character that YAML does not allow"),
        (b"tests: [a]\x1b[31m", "a control character that YAML does not allow"),
        (b"%PDF-1.7\n1 0 obj", "invalid YAML"),
        (b"#" * (MAX_YAML_BYTES + 1), "is larger than 4 MiB: split it"),
    ],
)
def test_what_is_no_text_is_said(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_bytes(data)
    assert says in refused("m.yml", tmp_path)


def test_a_file_in_another_encoding_is_told_in_these_words(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_bytes(b"\xff")
    assert refused("m.yml", tmp_path) == "m.yml:1:1: the file is not UTF-8 text: save it as UTF-8"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(encoding: str, end: str, tmp_path: Path) -> None:
    """Editors of every system are fine, and positions count as they do."""
    lines = ["tests:", "  - id: a", "    name: Ä", "    variables: {A: b}", ""]
    line = len(lines) + 2
    (tmp_path / "m.yml").write_bytes(end.join(lines).encode(encoding))
    (test,) = read("m.yml", tmp_path).tests
    assert (test.name, test.variables) == ("Ä", {"A": "b"})
    (tmp_path / "m.yml").write_bytes(end.join(["tets: []", *lines, "tegs: []"]).encode(encoding))
    with pytest.raises(InputError) as caught:
        read("m.yml", tmp_path)
    assert [(problem.line, problem.column) for problem in caught.value.diagnostics] == [(1, 1), (line, 1)]


def test_four_mebibytes_are_read(tmp_path: Path) -> None:
    text = b"tests: [a]\n#"
    (tmp_path / "m.yml").write_bytes(text + b"x" * (MAX_YAML_BYTES - len(text)))
    assert read("m.yml", tmp_path).tests[0].id == "a"


def test_the_default_is_yml_before_yaml_and_only_without_ids(tmp_path: Path) -> None:
    (tmp_path / "autonoma.yaml").write_text("tests: [from-yaml]")
    assert "test from-yaml\n" in invoke(tmp_path, "--dry-run").out
    (tmp_path / "autonoma.yml").write_text("tests: [from-yml]")
    assert "test from-yml\n" in invoke(tmp_path, "--dry-run").out
    assert "from-y" not in invoke(tmp_path, "--dry-run", "--test-ids", "a").out
    both = invoke(tmp_path, "--dry-run", "--test-ids", "a", "--manifest", "autonoma.yaml").out
    assert both.index("test a\n") < both.index("test from-yaml\n")
