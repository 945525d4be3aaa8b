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
    """Create a folder with links of many kinds, and a file beside it."""
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("")
    (tmp_path / "outside").write_text("")
    links = {
        "to-file": "file",
        "to-outside": "../outside",
        "to-absolute-parent": str(tmp_path),
        "to-parent": "..",
        "to-missing-outside": "../nowhere",
        "to-itself": "to-itself",
        "to-outside-by-link": "to-parent/outside",
        "sub/to-outside": "../../outside",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "to-outside",
        "to-absolute-parent/outside",
        "to-parent/outside",
        "to-missing-outside",
        "to-outside-by-link",
        "sub/to-outside",
        "./sub/../to-outside",
    ],
)
def test_symlink_to_outside_is_found(checkout: Path, path: str) -> None:
    """The check finds each link that leads out of the checkout."""
    assert escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["file", "to-file", "sub/none.yml", "none/none", ".", "to-itself", "sub/../file"])
def test_path_inside_is_accepted(checkout: Path, path: str) -> None:
    """A path that ends inside is accepted, and so is a loop."""
    assert not escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["../outside", "{}/outside", "sub/../../outside"])
def test_explicit_outside_path_is_accepted(checkout: Path, path: str) -> None:
    """A path whose own text leads outside is the user's decision."""
    assert not escapes_via_symlink(path.format(checkout.parent), str(checkout))


def test_checkout_can_be_symlink(checkout: Path) -> None:
    """The workspace itself can be a symbolic link."""
    (checkout.parent / "workspace").symlink_to(checkout)
    assert not escapes_via_symlink("to-file", str(checkout.parent / "workspace"))
    assert escapes_via_symlink("to-outside", str(checkout.parent / "workspace"))


def test_zero_byte_is_no_escape(checkout: Path) -> None:
    """A path with a zero byte can't be opened, so its own error is reported."""
    assert not escapes_via_symlink("to-outside\0", str(checkout))


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
    assert escapes_via_symlink("to-outside", "checkout")
    assert not escapes_via_symlink("to-file", "checkout")


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
