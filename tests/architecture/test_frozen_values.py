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


def list_classes(path: Path) -> list[type]:
    module = import_module(dotted_name(path))
    return [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]


@pytest.mark.parametrize("name", ["models", "identity", "api/models"])
def test_models_are_frozen(name: str) -> None:
    """The models cannot be changed."""
    values = list_classes(PACKAGE / f"{name}.py")
    assert values
    assert all(issubclass(value, tuple | Enum) for value in values)


def test_settings_plan_schemas_are_frozen() -> None:
    """Settings, plan and schemas cannot be changed."""
    assert issubclass(Settings, tuple)
    assert issubclass(Plan, tuple)
    models = [model for path in MODULES for model in list_classes(path) if issubclass(model, BaseModel)]
    assert Manifest in models
    assert [model for model in models if not model.model_config.get("frozen")] == []
