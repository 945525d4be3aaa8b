"""Hypothesis settings on a developer's machine and in CI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Prints the effective settings of Hypothesis in a separate process.
SETTINGS_SCRIPT = """
import tests.conftest
from hypothesis import HealthCheck, settings
now = settings()
print(now.deadline, now.derandomize, now.max_examples, HealthCheck.too_slow in now.suppress_health_check)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "environ", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "true", "CI": "1"}], ids=["none", "CI", "GitHub"]
)
def test_settings_are_equal_in_ci(environ: dict[str, str]) -> None:
    """The settings have no deadline and do not depend on CI variables."""
    env = {"PYTHONPATH": str(ROOT), **environ}
    result = subprocess.run(
        [sys.executable, "-c", SETTINGS_SCRIPT], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["None", "False", "100", "True"]
