"""No CI system: somebody's own machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_context(environ: Mapping[str, str]) -> BuildContext:  # noqa: ARG001 - there is nothing to read
    """Return an empty context."""
    return BuildContext(ci_name="cli")


SYSTEM = CISystem(build_context=build_context)
