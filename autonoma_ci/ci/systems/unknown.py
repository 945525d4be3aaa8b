"""A CI system without support, which sets `CI` or a similar variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.models import BuildContext

if TYPE_CHECKING:
    from collections.abc import Mapping


class UnknownCI(CISystem):
    """A CI system whose other variables have an unknown meaning."""

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:  # noqa: ARG002 - no variable has a meaning
        """Return the name alone, because a guess can be wrong."""
        return BuildContext(ci_name="ci")


SYSTEM = UnknownCI()
