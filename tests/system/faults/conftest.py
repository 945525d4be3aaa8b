"""Rewrite the assertions of the checks, as pytest does in tests."""

from __future__ import annotations

import pytest

# This must precede the first import of the module.
pytest.register_assert_rewrite("tests.system.faults.invariants")
