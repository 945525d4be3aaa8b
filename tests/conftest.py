"""Certificates are made once for all tests that need some."""

from __future__ import annotations

import gc
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

from tests.support.certificates import Certificates

if TYPE_CHECKING:
    from pathlib import Path

# A shell that runs the tests in the background has SIGINT ignored for them, and steps that they start leave it ignored.
# Some tests send it. Only the main thread may change it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)
# No example fails for the time that it took: a busy machine may need any.
settings.register_profile("any-speed", deadline=None)
settings.load_profile("any-speed")
# make mutation: the same examples for every mutant, and no search for a smaller one once a mutant is found out.
settings.register_profile(
    "mutation", max_examples=50, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate)
)


def pytest_collection_finish() -> None:
    """Leave what was collected out of garbage collection.

    More than 10,000 tests are millions of objects, which live until the end. To look at them all takes a second or
    more, in the middle of any test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trust the tests' authority, the way a user trusts a company's own."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority))
    return certificates.authority
