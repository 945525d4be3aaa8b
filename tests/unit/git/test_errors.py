"""The errors of damaged clones."""

from __future__ import annotations

import struct
import zlib

import pytest
from dulwich.errors import ChecksumMismatch, NotTreeError

from autonoma_ci.errors import Cancelled
from autonoma_ci.git.errors import COMPLETE_HISTORY, CloneError, report_damage

DAMAGE_ERRORS = [
    KeyError("a"),
    ValueError("a"),
    OSError("a"),
    AssertionError(),
    struct.error("a"),
    zlib.error("a"),
    RecursionError(),
    MemoryError(),
    ChecksumMismatch("a", "b"),
    NotTreeError(b"a" * 40),
]


@pytest.mark.parametrize("error", DAMAGE_ERRORS, ids=repr)
def test_error_of_library_becomes_doubt(error: Exception) -> None:
    """Each error of dulwich names its class, and no content of the clone."""
    with pytest.raises(CloneError) as caught, report_damage():
        raise error
    assert str(caught.value) == f"the clone is damaged or unreadable ({type(error).__name__})"
    assert caught.value.needed_depth is None


def test_doubt_keeps_its_reason() -> None:
    """A CloneError is raised unchanged."""
    with pytest.raises(CloneError, match="too shallow") as caught, report_damage():
        raise CloneError("too shallow", needed_depth=COMPLETE_HISTORY)
    assert caught.value.needed_depth == COMPLETE_HISTORY


def test_signal_is_no_damage() -> None:
    """A signal ends the job."""
    with pytest.raises(Cancelled), report_damage():
        raise Cancelled(15)
