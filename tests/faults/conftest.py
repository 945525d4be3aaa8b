"""Rewrite the assertions of the checks, as pytest does in tests."""

from __future__ import annotations

import pytest

# Before anything imports it.
pytest.register_assert_rewrite("tests.faults.proofs")
