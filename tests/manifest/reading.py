"""A manifest from text, or the problems that it has."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.detection import all_secret_variables
from autonoma_ci.errors import InputError
from autonoma_ci.manifest.interpolation import Interpolator
from autonoma_ci.manifest.loader import load_manifest
from autonoma_ci.models import BuildContext
from autonoma_ci.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from autonoma_ci.manifest.schema import Manifest, Test

NAME = "m.yml"


def read(
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    context: BuildContext | None = None,
    *,
    allowed: tuple[str, ...] | None = None,
    credentials: Iterable[str] = (),
) -> Manifest:
    """Return the manifest that a file with this text is; `allowed` is the option allow-env."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
        interpolation = Interpolator(
            environ or {},
            context or BuildContext(),
            all_secret_variables(),
            allowed=allowed,
            credentials=Redactor(credentials),
        )
        return load_manifest(NAME, folder, interpolation)


def problems(
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    context: BuildContext | None = None,
    *,
    allowed: tuple[str, ...] | None = None,
    credentials: Iterable[str] = (),
) -> list[str]:
    """Return what is wrong with it, one line each, without the file's name."""
    with pytest.raises(InputError) as refused:
        read(text, environ, context, allowed=allowed, credentials=credentials)
    return [str(problem).removeprefix(f"{NAME}:").strip() for problem in refused.value.diagnostics]


def one_test(text: str, environ: Mapping[str, str] | None = None) -> Test:
    """Return the only test of a manifest."""
    (test,) = read(text, environ).tests
    return test
