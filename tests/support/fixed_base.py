"""A CI system with a fixed base of the build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.app.inputs import CIEnvironment
from autonoma_ci.ci.base import CISystem, CompareSupport
from autonoma_ci.models import BuildContext, ChangeBase

if TYPE_CHECKING:
    from collections.abc import Mapping

MAIN = ChangeBase(branch="main")


class System(CISystem):
    """A CI system with a fixed base."""

    def __init__(self, base: ChangeBase = MAIN, compare_support: CompareSupport | None = None) -> None:
        self.base, self.compare_support = base, compare_support

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        return BuildContext()

    def change_base(self, environ: Mapping[str, str], context: BuildContext) -> ChangeBase:
        return self.base


def create_ci(system: CISystem | None = None, ci_name: str = "ci") -> CIEnvironment:
    """Return the environment of a build of the branch `feature`."""
    return CIEnvironment(system or System(), BuildContext(ci_name, branch="feature"), ci_name)
