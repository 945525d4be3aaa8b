"""Immutability of the values that packages pass on."""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from autonoma_ci.config.settings import Settings
from autonoma_ci.manifest.schema import Manifest
from autonoma_ci.planning.plan import Plan
from tests.architecture.package import MODULES, PACKAGE, dotted_name

if TYPE_CHECKING:
    from pathlib import Path


def classes_of(path: Path) -> list[type]:
    module = import_module(dotted_name(path))
    return [thing for thing in vars(module).values() if isinstance(thing, type) and thing.__module__ == module.__name__]


@pytest.mark.parametrize("name", ["models", "identity", "api/models"])
def test_models_are_frozen(name: str) -> None:
    """The models cannot be changed."""
    values = classes_of(PACKAGE / f"{name}.py")
    assert values
    assert all(issubclass(value, tuple | Enum) for value in values)


def test_settings_plan_schemas_are_frozen() -> None:
    """Settings, plan and schemas cannot be changed."""
    assert issubclass(Settings, tuple)
    assert issubclass(Plan, tuple)
    models = [each for path in MODULES for each in classes_of(path) if issubclass(each, BaseModel)]
    assert Manifest in models
    assert [model for model in models if not model.model_config.get("frozen")] == []
