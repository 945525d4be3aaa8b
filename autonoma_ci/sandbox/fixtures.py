"""Fixtures for the sandbox's folders and the details of its runs."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from autonoma_ci.sandbox.run_store import PENDING
from autonoma_ci.sandbox.scenarios import FAILED, PASSED, RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autonoma_ci.sandbox.run_store import Run, RunStore

_CREATED_AT = "2025-01-07T09:30:00.000+00:00"
_SITE = "https://shop.example.com"

# Each folder: id, name, crontab, titles of its tests by id.
_FOLDERS: Sequence[tuple[str, str, str | None, Mapping[str, str]]] = (
    (
        "cm7t223mk00154mzy2jwk2pqy",
        "private-listing-hub",
        None,
        {"g41k688vndxzt7kh4kq5m12s": "List a flat", "hq93d7c0xk2m5vw8tb6rz1ya": "Withdraw a listing"},
    ),
    (
        "cm7t24x9b00164mzy8k3fq0ds",
        "checkout",
        "0 6 * * *",
        {
            "cm8d9gt6v000c9fe5glmyi33u": "Checkout pays by card",
            "cm8d9m2pk000d9fe5t7xw41bn": "Checkout rejects an expired card",
            "cm8d9qz8r000e9fe5a0hv62jc": "Apply a voucher at checkout",
        },
    ),
    (
        "cm7t26lh300174mzyc5ne9u1w",
        "account",
        None,
        {"sandbox-fails": "Unsubscribe from the newsletter", "sandbox-flaky": "Change the profile photo"},
    ),
)
# Ids of the account's tags.
TAGS = ("cm9r0nog10012v301qtollv01",)
_TITLE_BY_TEST = {test: title for *_, tests in _FOLDERS for test, title in tests.items()}
_OTHER_TITLES = (
    "Sign in",
    "Search for a product",
    "Add a product to the cart",
    "Cancel an order",
)

# Each step: instruction, interaction, output, path of the page.
_STEPS = (
    ("Open the start page", "navigate", "The start page is shown", "/"),
    ("Sign in as the test user", "type", "The user's name is in the header", "/login"),
    ("Open the page under test", "click", "The page is shown", "/page"),
    ("Check the result", "assert", "The confirmation is shown", "/page/done"),
)
_FAILURE_OUTPUT = "Expected a confirmation, but the page shows: Something went wrong"


def build_folders() -> list[dict[str, object]]:
    """Return the account's folders with their tests."""
    return [
        {
            "id": folder,
            "name": name,
            "created_at": _CREATED_AT,
            "updated_at": _CREATED_AT,
            "crontab": crontab,
            "tests": [{"id": test, "name": title} for test, title in tests.items()],
        }
        for folder, name, crontab, tests in _FOLDERS
    ]


def build_test_details(test: Mapping[str, object], folder: Mapping[str, object]) -> dict[str, object]:
    """Return the API's fields of a test in a folder, without steps."""
    folder_fields = {"id": folder["id"], "name": folder["name"]}
    return {**test, "created_at": _CREATED_AT, "folder": folder_fields, "application_version": None, "steps": []}


def known_ids() -> dict[str, str]:
    """Return the kinds of one folder, test and tag, by id."""
    folder, _, _, tests = _FOLDERS[0]
    return {folder: "folder", next(iter(tests)): "test", TAGS[0]: "tag"}


def title_of(test: str) -> str:
    """Return the title of a test.

    Each id has a title, and it never changes.
    """
    return _TITLE_BY_TEST.get(test) or _OTHER_TITLES[zlib.crc32(test.encode()) % len(_OTHER_TITLES)]


def build_run_details(run: Run, run_store: RunStore, media_url: str = "") -> dict[str, object]:
    """Return the API's fields of a test run, without steps.

    Args:
        run: The run.
        run_store: Gives the run's status and times.
        media_url: Base URL of the run's media. Empty to leave out the video, which exists after the end of the run.

    """
    ended_at = run_store.ended_at(run)
    return {
        "id": run.id,
        "name": title_of(run.target_id),
        "test_id": run.target_id,
        "status": run_store.status(run),
        "created_at": run_store.created_at(run),
        "ended_at": ended_at,
        "folder_run_id": None,
        "job_run_id": None,
        "job_id": None,
        "folder": _find_folder(run.target_id),
        "video_url": f"{media_url}/video.webm" if media_url and ended_at else None,
        "metadata": {
            "source": run.source,
            "version": "1",
            "architecture": "WEB",
            "application_version_id": run.application_version_id or None,
            "email": None,
            "username": None,
        },
    }


def build_run_steps(run: Run, status: str, media_url: str) -> list[dict[str, object]]:
    """Return the steps that a run has reached.

    Args:
        run: The run.
        status: Its status.
        media_url: Base URL of the run's media. Empty to leave out images.

    """
    step_count = {PENDING: 0, RUNNING: 2}.get(status, len(_STEPS))
    statuses = [PASSED] * step_count
    if status == FAILED:
        statuses[-1] = FAILED
    return [_build_step(run, number, state, media_url) for number, state in enumerate(statuses, start=1)]


def _build_step(run: Run, number: int, status: str, media_url: str) -> dict[str, object]:
    instruction, interaction, output, path = _STEPS[number - 1]
    return {
        "id": f"{run.id}-{number}",
        "instruction": instruction,
        "interaction": interaction,
        "output": _FAILURE_OUTPUT if status == FAILED else output,
        "status": status,
        "url": _SITE + path,
        "element": {"html": '<button id="go">Go</button>', "selector": "#go"} if interaction == "click" else None,
        "image": f"{media_url}/{number}-{status}.png" if media_url else None,
    }


def _find_folder(test: str) -> dict[str, object] | None:
    for folder, name, _, tests in _FOLDERS:
        if test in tests:
            return {"id": folder, "name": name}
    return None
