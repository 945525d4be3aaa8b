"""Paths in a checkout that somebody else may have written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.fs.paths import escapes_via_symlink

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
def test_links_that_lead_out(checkout: Path, path: str) -> None:
    """A link that somebody committed does not reach what lies outside of the checkout."""
    assert escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["file", "in", "sub/none.yml", "none/none", ".", "loop", "sub/../file"])
def test_paths_that_stay(checkout: Path, path: str) -> None:
    """Whatever ends inside is fine, there or not, and a loop of links leads nowhere."""
    assert not escapes_via_symlink(path, str(checkout))


@pytest.mark.parametrize("path", ["../outside", "{}/outside", "sub/../../outside"])
def test_who_says_so_may_leave(checkout: Path, path: str) -> None:
    """A path that is written as leading out is the user's own wish."""
    assert not escapes_via_symlink(path.format(checkout.parent), str(checkout))


def test_the_folder_itself_may_be_a_link(checkout: Path) -> None:
    """A workspace that is reached by way of a link is as good as any other."""
    (checkout.parent / "workspace").symlink_to(checkout)
    assert not escapes_via_symlink("in", str(checkout.parent / "workspace"))
    assert escapes_via_symlink("out", str(checkout.parent / "workspace"))
