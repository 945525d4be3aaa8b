"""A CI system that only says that it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_context(environ: Mapping[str, str]) -> BuildContext:  # noqa: ARG001 - variables of unknown make mean nothing
    """Return the name alone: what another system's variables mean is not for us to guess."""
    return BuildContext(ci_name="ci")


SYSTEM = CISystem(build_context=build_context)
