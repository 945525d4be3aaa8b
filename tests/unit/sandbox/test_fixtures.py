"""Tests of the sandbox's folders and run details."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.sandbox.contract import is_id
from autonoma_ci.sandbox.fixtures import (
    TAGS,
    build_folders,
    build_run_details,
    build_run_steps,
    build_test_details,
    known_ids,
    title_of,
)
from autonoma_ci.sandbox.run_store import RunStore
from autonoma_ci.sandbox.scenarios import find_scenario
from tests.support.sandbox_client import SettableClock

if TYPE_CHECKING:
    from autonoma_ci.sandbox.run_store import Run

MEDIA = "http://127.0.0.1:1234/media/run"
TEST = "cm8d9gt6v000c9fe5glmyi33u"
TIME_RE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


class RunFixtures:
    """A store of runs with a clock that tests set."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.store = RunStore(1.0, self.clock)

    def start(self, test: str, **body: object) -> Run:
        """Start a run of a test."""
        return self.store.start("test", test, body, find_scenario(test, 1))

    def details(self, run: Run, media_url: str = "") -> dict[str, object]:
        return build_run_details(run, self.store, media_url)


# Folders


def test_folders_have_unique_valid_ids() -> None:
    """Each folder and test of the account has its own valid id."""
    folders = build_folders()
    tests = [test for folder in folders for test in read_tests(folder)]
    ids = [str(entry["id"]) for entry in [*folders, *tests]] + list(TAGS)
    assert (len(folders), len(tests), len(set(ids))) == (3, 7, 11)
    assert all(map(is_id, ids))


def read_tests(folder: dict[str, object]) -> list[dict[str, object]]:
    tests = folder["tests"]
    assert isinstance(tests, list)
    return tests


def test_folder_fields_match_api() -> None:
    """A folder has exactly the fields of the API."""
    for folder in build_folders():
        assert folder.keys() == {"id", "name", "created_at", "updated_at", "crontab", "tests"}
        assert all(TIME_RE.fullmatch(str(folder[name])) for name in ("created_at", "updated_at"))
    assert [folder["crontab"] for folder in build_folders()] == [None, "0 6 * * *", None]


def test_folders_are_built_each_time() -> None:
    """A change of the result does not change the next one."""
    build_folders()[0]["name"] = "other"
    read_tests(build_folders()[0]).clear()
    assert build_folders()[0]["name"] == "private-listing-hub"
    assert len(read_tests(build_folders()[0])) == 2


def test_known_ids_are_one_of_each_kind() -> None:
    """The known ids are a folder, a test in it and a tag."""
    folder, test, tag = known_ids()
    assert list(known_ids().values()) == ["folder", "test", "tag"]
    first_folder = build_folders()[0]
    assert (folder, test, tag) == (first_folder["id"], read_tests(first_folder)[0]["id"], TAGS[0])


def test_test_details_have_folder_and_name() -> None:
    """The details of a test have its fields and only id and name of its folder."""
    details = build_test_details({"id": "t", "name": "T"}, {"id": "f", "name": "F", "tests": [], "crontab": None})
    assert (details["id"], details["name"], details["folder"]) == ("t", "T", {"id": "f", "name": "F"})
    assert (details["application_version"], details["steps"]) == (None, [])
    assert TIME_RE.fullmatch(str(details["created_at"]))


# Titles


def test_title_of_known_test_is_its_name() -> None:
    """The tests of the account have the titles of the folder list."""
    for folder in build_folders():
        for test in read_tests(folder):
            assert title_of(str(test["id"])) == test["name"]


def test_title_of_other_id_is_stable() -> None:
    """An unknown id has one of four titles, which never changes."""
    ids = ["", "abc", "é", *(f"test-{number}" for number in range(50))]
    titles = [title_of(test) for test in ids]
    assert titles == [title_of(test) for test in ids]
    assert set(titles) == {
        "Sign in", "Search for a product", "Add a product to the cart", "Cancel an order",
    }  # fmt: skip


# Details


def test_details_have_fields_of_run() -> None:
    """The details have the run's fields and the metadata of its start."""
    fixtures = RunFixtures()
    run = fixtures.start(TEST, source="gitlab", application_version_id="v1")
    details = fixtures.details(run)
    assert (details["id"], details["test_id"], details["name"]) == (run.id, TEST, "Checkout pays by card")
    assert details["folder"] == {"id": "cm7t24x9b00164mzy8k3fq0ds", "name": "checkout"}
    assert (details["folder_run_id"], details["job_run_id"], details["job_id"]) == (None, None, None)
    assert details["metadata"] == {
        "source": "gitlab", "version": "1", "architecture": "WEB", "application_version_id": "v1", "email": None,
        "username": None,
    }  # fmt: skip


def test_details_of_other_test_lack_folder() -> None:
    """A test outside the folder list has no folder and no version."""
    fixtures = RunFixtures()
    details = fixtures.details(fixtures.start("abc"))
    assert (details["folder"], details["name"]) == (None, title_of("abc"))
    metadata = details["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["source"], metadata["application_version_id"]) == ("api", None)


@pytest.mark.parametrize(
    ("test", "age", "status", "has_ended"),
    [
        ("abc", 0.0, "pending", False),
        ("abc", 1.0, "running", False),
        ("abc", 2.99, "running", False),
        ("abc", 3.0, "passed", True),
        ("sandbox-fails", 3.0, "failed", True),
        ("sandbox-stopped", 3.0, "cancelled", True),
        ("sandbox-stays", 1e6, "running", False),
    ],
)
def test_details_change_with_age(test: str, age: float, status: str, has_ended: bool) -> None:
    """Status, end and video depend on the age of the run."""
    fixtures = RunFixtures()
    run = fixtures.start(test)
    fixtures.clock.now += age
    details = fixtures.details(run, MEDIA)
    assert details["status"] == status
    assert TIME_RE.fullmatch(str(details["created_at"]))
    assert (TIME_RE.fullmatch(str(details["ended_at"])) is not None) == has_ended
    assert details["video_url"] == (f"{MEDIA}/video.webm" if has_ended else None)


def test_details_without_media_lack_video() -> None:
    """Without media, an ended run has no video."""
    fixtures = RunFixtures()
    run = fixtures.start("abc")
    fixtures.clock.now += 3
    assert fixtures.details(run)["video_url"] is None


# Steps


@pytest.mark.parametrize(
    ("status", "states"),
    [
        ("pending", []),
        ("running", ["passed", "passed"]),
        ("passed", ["passed"] * 4),
        ("failed", ["passed", "passed", "passed", "failed"]),
        ("cancelled", ["passed"] * 4),
    ],
)
def test_steps_depend_on_status(status: str, states: list[str]) -> None:
    """A run has the steps that it has reached at its status."""
    run = RunFixtures().start("abc")
    steps = build_run_steps(run, status, "")
    assert [step["status"] for step in steps] == states
    assert [step["id"] for step in steps] == [f"{run.id}-{number}" for number in range(1, len(states) + 1)]


def test_failed_step_has_reason() -> None:
    """The output of the failed step is the reason, and other outputs stay."""
    run = RunFixtures().start("abc")
    passed_steps, failed_steps = (build_run_steps(run, status, "") for status in ("passed", "failed"))
    assert failed_steps[:3] == passed_steps[:3]
    assert failed_steps[3]["output"] == "Expected a confirmation, but the page shows: Something went wrong"
    assert passed_steps[3]["output"] == "The confirmation is shown"


def test_only_click_has_element() -> None:
    """A click has the element on the page, and the other steps have none."""
    steps = build_run_steps(RunFixtures().start("abc"), "passed", "")
    assert [step["interaction"] for step in steps] == ["navigate", "type", "click", "assert"]
    element = {"html": '<button id="go">Go</button>', "selector": "#go"}
    assert [step["element"] for step in steps] == [None, None, element, None]
    assert all(str(step["url"]).startswith("https://shop.example.com/") for step in steps)


@pytest.mark.parametrize(
    ("media_url", "images"),
    [("", [None] * 4), (MEDIA, [f"{MEDIA}/{name}.png" for name in ("1-passed", "2-passed", "3-passed", "4-failed")])],
)
def test_steps_have_images_with_media(media_url: str, images: list[str | None]) -> None:
    """Each step has its image only if media are wanted."""
    steps = build_run_steps(RunFixtures().start("abc"), "failed", media_url)
    assert [step["image"] for step in steps] == images
