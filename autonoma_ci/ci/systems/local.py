"""No CI system: somebody's own machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:  # noqa: ARG001 - there is nothing to read
    """Return an empty context."""
    return Context(ci="cli")


SYSTEM = System(context=context)
