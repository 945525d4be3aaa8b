"""Manifests from text, and the errors of wrong ones."""

from __future__ import annotations

import tempfile
from datetime import date
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

MANIFEST_NAME = "m.yml"
TODAY = date(2026, 11, 1)


def read_manifest(
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    context: BuildContext | None = None,
    *,
    allowed: tuple[str, ...] | None = None,
    credentials: Iterable[str] = (),
    environment: str = "",
) -> Manifest:
    """Load a manifest from text. `allowed` is the option allow-env."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, MANIFEST_NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
        interpolation = Interpolator(
            environ or {},
            context or BuildContext(),
            all_secret_variables(),
            allowed=allowed,
            credentials=Redactor(credentials),
            environment=environment,
        )
        return load_manifest(MANIFEST_NAME, folder, interpolation, TODAY)


def collect_errors(
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    context: BuildContext | None = None,
    *,
    allowed: tuple[str, ...] | None = None,
    credentials: Iterable[str] = (),
    environment: str = "",
) -> list[str]:
    """Return the errors of a wrong manifest, without the file name."""
    with pytest.raises(InputError) as raised:
        read_manifest(text, environ, context, allowed=allowed, credentials=credentials, environment=environment)
    return [str(diagnostic).removeprefix(f"{MANIFEST_NAME}:").strip() for diagnostic in raised.value.diagnostics]


def read_single_test(text: str, environ: Mapping[str, str] | None = None) -> Test:
    """Load a manifest with one test and return the test."""
    (test,) = read_manifest(text, environ).tests
    return test
