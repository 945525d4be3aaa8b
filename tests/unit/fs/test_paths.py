"""Path checks in an untrusted checkout."""

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
