"""The updates that the stages of the engine return.

A stage stores results in the run table first. Its updates tell the engine what to do next, in their order. The engine
applies each update, because otherwise a run would not be reported, polled or started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.startup import NamedTuple

if TYPE_CHECKING:
    from autonoma_ci.models import RunResult


class StartSettled(NamedTuple):
    """A run has started, or will not start."""

    plan_index: int


class RunEnded(NamedTuple):
    """A run ended or became unknown, or an earlier pass is reused."""

    plan_index: int


class PassRejected(NamedTuple):
    """An earlier pass is not confirmed, so its plan entry must be started."""

    plan_index: int


class CredentialsRejected(NamedTuple):
    """The API rejected the credentials, so no run may start."""


class DetailsSettled(NamedTuple):
    """The details of a run have arrived, or will not arrive."""

    run: RunResult


class WarningIssued(NamedTuple):
    """A warning that ends no run."""

    message: str


Update = StartSettled | RunEnded | PassRejected | CredentialsRejected | DetailsSettled | WarningIssued
