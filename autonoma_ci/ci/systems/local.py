"""No CI system, such as the machine of a developer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.base import CISystem
from autonoma_ci.models import BuildContext, ChangeBase

if TYPE_CHECKING:
    from collections.abc import Mapping


class Local(CISystem):
    """A machine outside of CI, without facts of a build."""

    display_name = "the command line"
    # Source: docs.autonoma.app, "API Overview".
    secrets_help = "Run `export {values}` with the values from the API settings of your Autonoma account"

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:  # noqa: ARG002 - no variable has a meaning
        """Return the name alone."""
        return BuildContext(ci_name="cli")

    def change_base(self, environ: Mapping[str, str], context: BuildContext) -> ChangeBase:
        """Return the default branch, which only the clone knows.

        The clone knows the branch too, so no variable or option has to state it.
        """
        return super().change_base(environ, context) if context.change_number else ChangeBase()


SYSTEM = Local()
