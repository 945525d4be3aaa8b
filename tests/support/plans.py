"""Plans with facts that the options of a test do not set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autonoma_ci.planning import plan
from tests.support.reports import QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def change_plans(monkeypatch: pytest.MonkeyPatch, change: Callable[[plan.Plan], plan.Plan]) -> None:
    """Change each plan that is built from now on."""
    build_plan = plan.build_plan

    def build_changed_plan(*arguments: Any, **more: Any) -> plan.Plan:
        return change(build_plan(*arguments, **more))

    monkeypatch.setattr(plan, "build_plan", build_changed_plan)


def start_in_quarantine(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """Put the runs of these ids in quarantine, in each plan from now on."""

    def add_quarantine(planned: plan.Plan) -> plan.Plan:
        requests = (
            request._replace(quarantine=QUARANTINE) if request.id in ids else request for request in planned.requests
        )
        return planned._replace(requests=tuple(requests))

    change_plans(monkeypatch, add_quarantine)
