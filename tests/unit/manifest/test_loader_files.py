"""Files of any kind in place of a manifest."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import BuildContext
from autonoma_ci.yaml_subset.parser import MAX_YAML_BYTES
from tests.support.invoke_command import CREDENTIALS, invoke
from tests.support.manifest_reader import TODAY

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.manifest.schema import Manifest


def load(path: str, folder: Path) -> Manifest:
    return load_manifest(path, str(folder), Interpolator({}, BuildContext()), TODAY)


def get_error(path: str, folder: Path) -> str:
    """Return the error for a path that is no manifest."""
    with pytest.raises(InputError) as error_info:
        load(path, folder)
    (problem,) = error_info.value.diagnostics
    return str(problem)


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    """The error for a missing file advises to check the path."""
    assert get_error("no.yml", tmp_path).startswith("no.yml: the file is missing. Check the path")


def test_missing_file_needs_no_free_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the same if the module that suggests a name can't be opened."""

    class ExhaustedFinder:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "autonoma_ci.config.suggestions":
                raise OSError(errno.EMFILE, "Too many open files")

    (tmp_path / "autonoma.yaml").touch()
    monkeypatch.delitem(sys.modules, "autonoma_ci.config.suggestions", raising=False)
    monkeypatch.setattr(sys, "meta_path", [ExhaustedFinder(), *sys.meta_path])
    assert get_error("autonoma.yml", tmp_path).startswith("autonoma.yml: the file is missing. Check the path")


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("autonoma.yml", "Did you mean 'autonoma.yaml'?"),
        ("autonma.yaml", "Did you mean 'autonoma.yaml'?"),
        ("sub/nightly.yaml", "Did you mean 'sub/nightly.yml'?"),
        ("sub/smoke.yml", "Check the path, which is relative to the working directory."),
        ("notes.yml", "Check the path, which is relative to the working directory."),
        ("gone/autonoma.yaml", "Check the path, which is relative to the working directory."),
        ("https://a.example/autonoma.yaml", "Use the path of a file in the checkout, not a URL."),
    ],
)
def test_missing_file_has_advice(path: str, advice: str, tmp_path: Path) -> None:
    """The advice names a YAML file with a similar name in the same folder."""
    (tmp_path / "sub").mkdir()
    for name in ("autonoma.yaml", "notes.txt", "sub/nightly.yml"):
        (tmp_path / name).touch()
    assert get_error(path, tmp_path).endswith(f": the file is missing. {advice}")


def test_advice_has_at_most_200_characters(tmp_path: Path) -> None:
    """A longer path of a similar file is cut."""
    folder = "d" * 195
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "autonoma.yaml").touch()
    assert get_error(f"{folder}/autonoma.yml", tmp_path).endswith(f" Did you mean '{folder}/aut…'?")


@pytest.mark.parametrize("path", [".", "sub", "sub/", "/"])
def test_folder_is_rejected(path: str, tmp_path: Path) -> None:
    """The error says that the path is a folder."""
    (tmp_path / "sub").mkdir()
    assert "the path is a directory. Use the path of a YAML file." in get_error(path, tmp_path)


def test_file_as_parent_is_rejected(tmp_path: Path) -> None:
    """A path below a file is an error."""
    (tmp_path / "a.yml").write_text("tests: [a]")
    assert "could not be read (Not a directory)" in get_error("a.yml/b.yml", tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "a" * 300, "a/" * 3000])
def test_invalid_path_is_rejected(path: str, tmp_path: Path) -> None:
    """A path that the system cannot open is an error with a message."""
    assert "could not be read" in get_error(path, tmp_path)


def test_path_with_nul_is_rejected(tmp_path: Path) -> None:
    """The error says that the text is not a path."""
    assert get_error("a\0b", tmp_path).endswith(
        ": the file could not be read (invalid path). Use a readable YAML file."
    )


def test_huge_file_is_rejected_at_once(tmp_path: Path) -> None:
    """The size is checked before the file is read."""
    with (tmp_path / "m.yml").open("wb") as stream:
        stream.truncate(1 << 43)
    assert get_error("m.yml", tmp_path) == "m.yml: the file is larger than 4 MiB. Split it."


def test_long_path_is_shortened(tmp_path: Path) -> None:
    """Errors show at most 200 characters of a path."""
    for path, shortened in (("n" * 200, "n" * 200), ("n" * 201, "n" * 199 + "…")):
        assert get_error(path, tmp_path).startswith(f"{shortened}: the file is missing")


def test_special_files_are_never_opened(tmp_path: Path) -> None:
    """A pipe must not block the job and a device must not fill its memory."""
    os.mkfifo(tmp_path / "pipe.yml")
    assert "is not a regular file" in get_error("pipe.yml", tmp_path)
    assert "is not a regular file" in get_error("/dev/zero", tmp_path)
    assert "is not a regular file" in get_error("/dev/null", tmp_path)
    with socket.socket(socket.AF_UNIX) as unix_socket:
        unix_socket.bind(str(tmp_path / "socket.yml"))
        assert "could not be read" in get_error("socket.yml", tmp_path)


def test_default_manifest_pipe_is_rejected(tmp_path: Path) -> None:
    """The command rejects a pipe that has the default name of the manifest."""
    os.mkfifo(tmp_path / "autonoma.yml")
    result = invoke(tmp_path, environ=CREDENTIALS)
    assert (result.code, result.errors) == (
        2,
        ["autonoma.yml: the path is not a regular file. Use the path of a YAML file."],
    )


def test_link_out_of_checkout_is_rejected(tmp_path: Path) -> None:
    """A pull request cannot show a file of the runner through a symbolic link."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (tmp_path / "outside.yml").write_text("tests: [outside]")
    (checkout / "inside.yml").write_text("tests: [inside]")
    (checkout / "in.yml").symlink_to("inside.yml")
    (checkout / "out.yml").symlink_to("../outside.yml")
    (checkout / "loop.yml").symlink_to("loop.yml")
    (checkout / "gone.yml").symlink_to("nowhere.yml")
    assert load("in.yml", checkout).tests[0].id == "inside"
    assert get_error("out.yml", checkout) == (
        "out.yml: symbolic link leads outside of the working directory. Use the path of the file itself."
    )
    assert "could not be read (Too many levels of symbolic links)" in get_error("loop.yml", checkout)
    assert "the file is missing" in get_error("gone.yml", checkout)
    assert load("../outside.yml", checkout).tests[0].id == "outside"
    assert load(str(tmp_path / "outside.yml"), checkout).tests[0].id == "outside"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n# only comments\n", "is empty"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "is not UTF-8. Save it as UTF-8."),
        ("tests: [a]".encode("utf-16"), "the file is UTF-16. Save it as UTF-8."),
        ("tests: [a]".encode("utf-16-le"), "forbidden control character"),
        ("tests: [ä]".encode("latin-1"), "is not UTF-8. Save it as UTF-8."),
        (b"tests: [a]\x00", "forbidden control character"),
        (b"tests: [a]\x1b[31m", "forbidden control character"),
        (b"%PDF-1.7\n1 0 obj", "invalid YAML"),
        (b"#" * (MAX_YAML_BYTES + 1), "the file is larger than 4 MiB. Split it."),
    ],
)
def test_non_yaml_content_is_rejected(data: bytes, message: str, tmp_path: Path) -> None:
    """Binary data, other encodings and empty files have their own messages."""
    (tmp_path / "m.yml").write_bytes(data)
    assert message in get_error("m.yml", tmp_path)


def test_invalid_utf8_error_has_position(tmp_path: Path) -> None:
    """The message about the encoding has a line and a column."""
    (tmp_path / "m.yml").write_bytes(b"\xff")
    assert get_error("m.yml", tmp_path) == "m.yml:1:1: the file is not UTF-8. Save it as UTF-8."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_line_ends_and_bom_are_ignored(encoding: str, line_end: str, tmp_path: Path) -> None:
    """Positions count lines and columns as editors do."""
    lines = ["tests:", "  - id: a", "    name: Ä", "    variables: {A: b}", ""]
    line = len(lines) + 2
    (tmp_path / "m.yml").write_bytes(line_end.join(lines).encode(encoding))
    (test,) = load("m.yml", tmp_path).tests
    assert (test.name, test.variables) == ("Ä", {"A": "b"})
    (tmp_path / "m.yml").write_bytes(line_end.join(["tets: []", *lines, "tegs: []"]).encode(encoding))
    with pytest.raises(InputError) as error_info:
        load("m.yml", tmp_path)
    assert [(problem.line, problem.column) for problem in error_info.value.diagnostics] == [(1, 1), (line, 1)]


def test_four_mebibytes_are_read(tmp_path: Path) -> None:
    """A file of exactly the maximum size is accepted."""
    text = b"tests: [a]\n#"
    (tmp_path / "m.yml").write_bytes(text + b"x" * (MAX_YAML_BYTES - len(text)))
    assert load("m.yml", tmp_path).tests[0].id == "a"


def test_default_manifest_prefers_yml(tmp_path: Path) -> None:
    """The default manifest is read only without ids, and yml wins over yaml."""
    (tmp_path / "autonoma.yaml").write_text("tests: [from-yaml]")
    assert "PLANNED  from-yaml  — test\n" in invoke(tmp_path, "--dry-run").out
    (tmp_path / "autonoma.yml").write_text("tests: [from-yml]")
    assert "PLANNED  from-yml  — test\n" in invoke(tmp_path, "--dry-run").out
    assert "from-y" not in invoke(tmp_path, "--dry-run", "--test-ids", "a").out
    output = invoke(tmp_path, "--dry-run", "--test-ids", "a", "--manifest", "autonoma.yaml").out
    assert output.index("PLANNED  a  — test\n") < output.index("PLANNED  from-yaml  — test\n")
