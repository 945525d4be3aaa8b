"""Path checks in an untrusted checkout."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.fs.paths import escapes_via_symlink, quote_for_shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a folder with links of many kinds, and a file beside it."""
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("")
    (tmp_path / "outside").write_text("")
    links = {"in": "file", "out": "../outside", "absolute": str(tmp_path), "up": "..", "gone": "../nowhere"}
    links |= {"loop": "loop", "twice": "up/outside", "sub/deep": "../../outside"}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.mark.parametrize("path", ["out", "absolute/outside", "up/outside", "gone", "twice", "sub/deep", "./sub/../out"])
def test_symlink_out_is_refused(checkout: Path, path: str) -> None:
    """A committed link does not reach files outside of the checkout."""
    assert escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["file", "in", "sub/none.yml", "none/none", ".", "loop", "sub/../file"])
def test_path_inside_is_accepted(checkout: Path, path: str) -> None:
    """A path that ends inside is valid, and a loop of links is not."""
    assert not escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["../outside", "{}/outside", "sub/../../outside"])
def test_explicit_outside_path_is_accepted(checkout: Path, path: str) -> None:
    """A path that is written as leading outside is the user's decision."""
    assert not escapes_via_symlink(path.format(checkout.parent), str(checkout))


def test_checkout_can_be_symlink(checkout: Path) -> None:
    """The workspace itself can be a symbolic link."""
    (checkout.parent / "workspace").symlink_to(checkout)
    assert not escapes_via_symlink("in", str(checkout.parent / "workspace"))
    assert escapes_via_symlink("out", str(checkout.parent / "workspace"))


def test_zero_byte_is_no_escape(checkout: Path) -> None:
    """A path with a zero byte can't be opened, so its own error is reported."""
    assert not escapes_via_symlink("out\0", str(checkout))


def test_removed_folder_is_no_escape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a removed working directory can be opened."""
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert not escapes_via_symlink("file", ".")


def test_relative_folder_is_checked(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder begins at the working directory."""
    monkeypatch.chdir(checkout.parent)
    assert escapes_via_symlink("out", "checkout")
    assert not escapes_via_symlink("in", "checkout")


@pytest.mark.parametrize("path", ["a\nb", "$(id)", "`id`", "a;b", "it's", "-", "", "é", '"'])
def test_quoted_path_is_one_argument(path: str) -> None:
    """A Unix shell reads the quoted path as one argument without changes."""
    assert shlex.split(quote_for_shell(path, "posix")) == [path]


@pytest.mark.parametrize(
    ("path", "posix", "windows"),
    [
        ("results/results.json", "results/results.json", "results/results.json"),
        ("my results/r.json", "'my results/r.json'", '"my results/r.json"'),
        ("out\\r.json", "'out\\r.json'", "out/r.json"),
        ("D:\\a b\\r.json", "'D:\\a b\\r.json'", '"D:/a b/r.json"'),
    ],
)
def test_path_quoting_for_windows_shells(path: str, posix: str, windows: str) -> None:
    """Neither cmd nor PowerShell reads Unix quotes."""
    assert (quote_for_shell(path, "posix"), quote_for_shell(path, "nt")) == (posix, windows)
