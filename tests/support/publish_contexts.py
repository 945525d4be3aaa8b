"""Contexts for publishers, with a readable log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.ci.base import PublishContext
from autonoma_ci.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_publish_context(
    environ: Mapping[str, str], folder: Path | None = None, *, summary: bool = True, log_lines: list[str] | None = None
) -> PublishContext:
    """Return a context in `folder` that adds its log lines to `log_lines`."""
    return PublishContext(
        environ, summary, folder or Path(), (log_lines if log_lines is not None else []).extend, Clock()
    )
