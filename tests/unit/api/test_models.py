"""Tests of the results of requests."""

from __future__ import annotations

import pytest

from autonoma_ci.api.models import NO_SCREENSHOT_URLS, EvidenceFile, RunDetails, SignedUrl

URL = "https://media.test/1.png?X-Amz-Signature=s3cret-value"


@pytest.mark.parametrize(
    "value",
    [
        SignedUrl(URL),
        EvidenceFile("r", 1, SignedUrl(URL)),
        RunDetails(screenshot_urls={1: SignedUrl(URL)}),
        RunDetails(video_url=SignedUrl(URL)),
    ],
    ids=["url", "file", "details with screenshot", "details with video"],
)
@pytest.mark.parametrize("form", ["{!r}", "{}"])
def test_text_of_value_hides_signed_url(value: object, form: str) -> None:
    """A text of a value with a signed URL does not show the URL."""
    text = form.format(value)
    assert "SignedUrl(...)" in text
    assert "media.test" not in text
    assert "s3cret-value" not in text


def test_default_screenshot_urls_are_immutable() -> None:
    """The shared default of all details can't be changed."""
    assert RunDetails().screenshot_urls is NO_SCREENSHOT_URLS
    with pytest.raises(TypeError):
        NO_SCREENSHOT_URLS[1] = SignedUrl(URL)  # type: ignore[index]
