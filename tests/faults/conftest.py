"""Failures of the proofs show what was compared, as those of tests do."""

from __future__ import annotations

import pytest

# Before anything imports it.
pytest.register_assert_rewrite("tests.faults.proofs")
