"""Certificates are made once for all tests that need some."""

from __future__ import annotations

import gc
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.support.certificates import Certificates

if TYPE_CHECKING:
    from pathlib import Path

# A shell that runs the tests in the background has SIGINT ignored for them, and steps that they start leave it ignored.
# Some tests send it. Only the main thread may change it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)
# A hook of Git runs the tests with variables that lead each `git` of theirs to the user's own repository.
for _name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES", "COMMON_DIR"):
    os.environ.pop(f"GIT_{_name}", None)
# Some shells export the size of the terminal. Help and the live table would take theirs from it.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
_AUTHORITIES = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
_NETWORK = [name for name in os.environ if name.upper() in _PROXIES or name in _AUTHORITIES]
# No example fails for the time that it took: a busy machine may need any. So may the making of examples, which
# Hypothesis measures in seconds too, and a seed in many may draw large ones.
_SPEED = [HealthCheck.too_slow, HealthCheck.data_too_large]
# From the plain profile, since where CI is set, Hypothesis takes another one.
settings.register_profile(
    "any-speed", settings.get_profile("default"), deadline=None, suppress_health_check=_SPEED
)  # fmt: skip
settings.load_profile("any-speed")
# make mutation: the same examples for every mutant, and no search for a smaller one once a mutant is found out.
settings.register_profile(
    "mutation", max_examples=50, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=_SPEED,
)  # fmt: skip


def pytest_collection_finish() -> None:
    """Leave what was collected out of garbage collection.

    More than 10,000 tests are millions of objects, which live until the end. To look at them all takes a second or
    more, in the middle of any test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_network_of_the_user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the user's proxy and authorities, but from what may have to load something from elsewhere."""
    if not any(map(request.node.get_closest_marker, ("image", "linters"))):
        for name in _NETWORK:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trust the tests' authority, the way a user trusts a company's own."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority))
    return certificates.authority
