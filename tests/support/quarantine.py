"""Plans with runs in quarantine, without a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autonoma_ci.planning import plan
from tests.support.reports import QUARANTINE

if TYPE_CHECKING:
    import pytest


def start_in_quarantine(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """Put the runs of these ids in quarantine, in each plan from now on."""
    build_plan = plan.build_plan

    def build_plan_with_quarantine(*arguments: Any, **more: Any) -> plan.Plan:
        planned = build_plan(*arguments, **more)
        requests = (
            request._replace(quarantine=QUARANTINE) if request.id in ids else request for request in planned.requests
        )
        return planned._replace(requests=tuple(requests))

    monkeypatch.setattr(plan, "build_plan", build_plan_with_quarantine)
