"""The same commit gives the same image layers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.generate_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.container.image import Image

pytestmark = pytest.mark.image
CONTEXT = ("Dockerfile", ".dockerignore", "LICENSE", "entrypoint.py", "requirements.lock", "autonoma_ci")


def copy_checkout(folder: Path, *, umask: int, modified_at: int) -> Path:
    """Copy the build context with this umask and modification time."""
    folder.mkdir()
    for name in CONTEXT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, folder / name)
    for path in [folder, *folder.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (modified_at, modified_at))
    return folder


def build_layers(image: Image, tag: str, context: Path) -> list[str]:
    """Build without a cache, and return the digests of all layers in order."""
    subprocess.run([*image.docker, "build", "-q", "--no-cache", "-t", tag, str(context)], check=True, timeout=600)
    command = [*image.docker, "image", "inspect", "--format", "{{json .RootFS.Layers}}", tag]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return [str(digest) for digest in json.loads(result.stdout)]
    # A docker command without an engine cannot inspect images. It is a wrapper of Buildah, which can.
    command = ["buildah", "inspect", "--type", "image", tag]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [str(digest) for digest in json.loads(result.stdout)["OCIv1"]["rootfs"]["diff_ids"]]


@pytest.fixture(scope="module")
def reference_layers(image: Image, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("once") / "ours"
    return build_layers(image, "autonoma-ci:once", copy_checkout(folder, umask=0o022, modified_at=1_700_000_000))


def test_other_checkout_gives_same_layers(image: Image, tmp_path: Path, reference_layers: list[str]) -> None:
    """Another folder, umask and file time give the same layers."""
    other_context = copy_checkout(tmp_path / "theirs-elsewhere", umask=0o077, modified_at=981_173_106)
    assert build_layers(image, "autonoma-ci:again", other_context) == reference_layers


def test_changed_file_gives_new_last_layer(image: Image, tmp_path: Path, reference_layers: list[str]) -> None:
    """A changed file gives a new last layer on the same base."""
    changed_context = copy_checkout(tmp_path / "changed", umask=0o022, modified_at=1_700_000_000)
    with (changed_context / "LICENSE").open("a", encoding="utf-8") as file:
        file.write("\n")
    *base, last = build_layers(image, "autonoma-ci:changed", changed_context)
    assert base == reference_layers[:-1]
    assert last != reference_layers[-1]


def test_files_have_one_time(image: Image) -> None:
    """The time of the build would change each layer."""
    times = image.run([], "sh", "-c", "find /opt /usr/local/bin/autonoma-ci -printf '%T@\\n' | sort -u").stdout
    assert times == "0.0000000000\n"
