"""The same commit makes the same layers, whoever builds it, where and when."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.tables import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.container.image import Image

pytestmark = pytest.mark.image
CONTEXT = ("Dockerfile", ".dockerignore", "LICENSE", "entrypoint.py", "requirements.lock", "autonoma_ci")


def checkout(folder: Path, *, umask: int, changed: int) -> Path:
    """Copy what an image is built from, as somebody with this umask would have it from a checkout of that time."""
    folder.mkdir()
    for name in CONTEXT:
        put = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        put(ROOT / name, folder / name)
    for path in [folder, *folder.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (changed, changed))
    return folder


def layers(image: Image, tag: str, context: Path) -> list[str]:
    """Build without a cache, and return the digests of the image's layers, those of its base first."""
    subprocess.run([*image.docker, "build", "-q", "--no-cache", "-t", tag, str(context)], check=True, timeout=600)
    command = [*image.docker, "image", "inspect", "--format", "{{json .RootFS.Layers}}", tag]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return [str(digest) for digest in json.loads(result.stdout)]
    # A docker command that does not inspect images has no engine: it is put together from Buildah, which does.
    command = ["buildah", "inspect", "--type", "image", tag]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [str(digest) for digest in json.loads(result.stdout)["OCIv1"]["rootfs"]["diff_ids"]]


@pytest.fixture(scope="module")
def once(image: Image, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("once") / "ours"
    return layers(image, "autonoma-ci:once", checkout(folder, umask=0o022, changed=1_700_000_000))


def test_another_checkout_makes_the_same_layers(image: Image, tmp_path: Path, once: list[str]) -> None:
    theirs = checkout(tmp_path / "theirs-elsewhere", umask=0o077, changed=981_173_106)
    assert layers(image, "autonoma-ci:again", theirs) == once


def test_a_changed_file_makes_another_layer_on_the_same_base(image: Image, tmp_path: Path, once: list[str]) -> None:
    changed = checkout(tmp_path / "changed", umask=0o022, changed=1_700_000_000)
    with (changed / "LICENSE").open("a", encoding="utf-8") as file:
        file.write("\n")
    *base, last = layers(image, "autonoma-ci:changed", changed)
    assert base == once[:-1]
    assert last != once[-1]


def test_all_that_is_ours_has_one_time(image: Image) -> None:
    """A time of the build would make each layer another one."""
    times = image.run([], "sh", "-c", "find /opt /usr/local/bin/autonoma-ci -printf '%T@\\n' | sort -u").stdout
    assert times == "0.0000000000\n"
