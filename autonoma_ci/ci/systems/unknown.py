"""A CI system that only says that it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import System
from autonoma_ci.models import Context

if TYPE_CHECKING:
    from collections.abc import Mapping


def context(environ: Mapping[str, str]) -> Context:  # noqa: ARG001 - variables of unknown make mean nothing
    """Return the name alone: what another system's variables mean is not for us to guess."""
    return Context(ci="ci")


SYSTEM = System(context=context)
