"""Durations, sizes and shards as option values."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config import parsers
from autonoma_ci.config.parsers import MAX_DURATION_SECONDS, MAX_SHARDS, Shard
from autonoma_ci.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90s", 90.0), ("30m", 1800.0), ("2h", 7200.0), ("1h30m", 5400.0), ("1h30m5s", 5405.0), ("1h 5s", 3605.0)),
        *(("1s", 1.0), ("24h", MAX_DURATION_SECONDS), ("86400s", MAX_DURATION_SECONDS), ("0h1s", 1.0), ("5M", 300.0)),
    ],
)
def test_duration_is_seconds(text: str, seconds: float) -> None:
    """The poll interval has the same format."""
    assert parsers.parse_duration(text) == parsers.parse_poll_interval(text) == seconds


@pytest.mark.parametrize("text", ["0s", "0h0m0s", "86401s", "24h1s", "25h", "999999h"])
def test_duration_has_limits(text: str) -> None:
    """A duration out of range is an input error."""
    with pytest.raises(InputError, match=rf"^out of range: '{text}'\. Use 1s to 24h\.$"):
        parsers.parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "s", "+5", "1e3", "\u0663s", "9" * 5000, "::x", "ten", "10 mins ago", "10:00", "1h m", "p", "1,2,3s"]
)
def test_invalid_duration_is_refused(text: str) -> None:
    """The error is one line for any text."""
    with pytest.raises(
        InputError, match=r"^invalid duration: '.*'\. Write a number and a unit, such as 90s, 30m"
    ) as caught:
        parsers.parse_duration(text)
    assert len(str(caught.value)) < 140


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10", "missing unit: '10'. Write 10m for minutes or 10s for seconds."),
        ("3600", "missing unit: '3600'. Write 3600s for seconds."),
        ("0", "missing unit: '0'. Use 1s to 24h."),
        ("10 min", "invalid notation: '10 min'. Write 10m."),
        ("5 minutes", "invalid notation: '5 minutes'. Write 5m."),
        ("30 m", "invalid notation: '30 m'. Write 30m."),
        ("1 hour 30 minutes", "invalid notation: '1 hour 30 minutes'. Write 1h30m."),
        ("1.5h", "invalid notation: '1.5h'. Write 1h30m."),
        ("1,5h", "invalid notation: '1,5h'. Write 1h30m."),
        ("00:10:00", "invalid notation: '00:10:00'. Write 10m."),
        ("PT10M", "invalid notation: 'PT10M'. Write 10m."),
        ("1d", "invalid notation: '1d'. Write 24h."),
        ("1h30", "invalid notation: '1h30'. Write 1h30m."),
        ("10m30", "invalid notation: '10m30'. Write 10m30s."),
        ("5m1h", "invalid notation: '5m1h'. Write 1h5m."),
        ("1.7s", "fraction of a second: '1.7s'. Write 1s."),
        ("2d", "out of range: '2d'. Use 1s to 24h."),
        ("500ms", "out of range: '500ms'. Use 1s to 24h."),
        ("-5m", "negative duration: '-5m'. Use 1s to 24h, such as 10m."),
        ("- 5", "negative duration: '- 5'. Use 1s to 24h, such as 10m."),
    ],
)
def test_duration_error_suggests_syntax(text: str, message: str) -> None:
    """The suggestion has the user's number and can be copied."""
    for parse in (parsers.parse_duration, parsers.parse_poll_interval):
        with pytest.raises(InputError) as caught:
            parse(text)
        assert str(caught.value) == message


@given(st.integers(0, 24), st.integers(0, 1440), st.integers(0, 86400))
def test_duration_units_add_up(hours: int, minutes: int, seconds: int) -> None:
    """Hours, minutes and seconds of a duration are added."""
    total = hours * 3600 + minutes * 60 + seconds
    text = f"{hours}h{minutes}m{seconds}s"
    if 1 <= total <= MAX_DURATION_SECONDS:
        assert parsers.parse_duration(text) == total
    else:
        with pytest.raises(InputError):
            parsers.parse_duration(text)


@pytest.mark.parametrize("text", ["auto", "Auto", "AUTO"])
def test_auto_interval_and_shard(text: str) -> None:
    """The word auto leaves the interval and the shard to the program."""
    assert parsers.parse_poll_interval(text) is None
    assert parsers.parse_shard(text) == "auto"


@pytest.mark.parametrize(
    ("text", "shard"),
    [("2/5", Shard(2, 5)), ("1/1", Shard(1, 1)), ("5 / 5", Shard(5, 5)), ("1000/1000", Shard(1000, MAX_SHARDS))],
)
def test_shard_is_number_of_total(text: str, shard: Shard) -> None:
    """A shard is a number and a total."""
    assert parsers.parse_shard(text) == shard


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "^invalid shard: .* 2/5, or auto.$") for text in ("2", "2/5/6", "a/b", "-1/5", "2\\5", "2 of 5")),
        *((text, "^invalid shard: ") for text in ("1/99999", "\u0661/\u0662", "/", "x" * 5000)),
        ("0/5", r"^unknown shard: '0/5'\. Use 1/5 to 5/5\.$"),
        ("6/5", r"^unknown shard: '6/5'\. Use 1/5 to 5/5\.$"),
        ("1/1001", r"^number of shards out of range: '1/1001'\. Use 1 to 1000\.$"),
        ("0/0", r"^number of shards out of range: '0/0'\. Use 1 to 1000\.$"),
    ],
)
def test_invalid_shard_is_refused(text: str, message: str) -> None:
    """The error states the reason in one short line."""
    with pytest.raises(InputError, match=message) as caught:
        parsers.parse_shard(text)
    assert len(str(caught.value)) < 140


@given(st.text(max_size=12) | st.from_regex(r"[0-9 ]{0,3}[hms/]?[0-9]{0,3}[hms]?", fullmatch=True))
def test_any_text_is_value_or_input_error(text: str) -> None:
    """No parser raises any other error."""
    for parse in (parsers.parse_duration, parsers.parse_poll_interval, parsers.parse_shard, parsers.parse_size):
        with suppress(InputError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1KB", 1000), ("500 kb", 500_000), ("30MB", 30_000_000), ("1GB", 10**9), ("100gb", 10**11), ("0001MB", 10**6)],
)
def test_size_is_bytes(text: str, size: int) -> None:
    """A size is a number of bytes."""
    assert parsers.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "500B", "１MB", "9" * 10 + "KB", "1.5", "x" * 5000, "1 2MB"])
def test_invalid_size_is_refused(text: str) -> None:
    """The error shows the syntax of a size."""
    with pytest.raises(
        InputError, match=r"^invalid size: '.*'\. Write a number and a unit, such as 500KB, 30MB or 1GB\.$"
    ):
        parsers.parse_size(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", "missing unit: '30'. Write 30MB or 30KB."),
        ("0", "missing unit: '0'. Use 1KB to 100GB."),
        ("30M", "invalid notation: '30M'. Write 30MB."),
        ("30 MiB", "invalid notation: '30 MiB'. Write 30MB."),
        ("1.5MB", "invalid notation: '1.5MB'. Write 1500KB."),
        ("0.5GB", "invalid notation: '0.5GB'. Write 500MB."),
        ("20 megabytes", "invalid notation: '20 megabytes'. Write 20MB."),
        ("1MB\n", "invalid notation: '1MB '. Write 1MB."),
        ("1TB", "out of range: '1TB'. Use 1KB to 100GB."),
        ("-1MB", "negative size: '-1MB'. Use 1KB to 100GB, such as 30MB."),
    ],
)
def test_size_error_suggests_syntax(text: str, message: str) -> None:
    """The suggestion can be copied."""
    with pytest.raises(InputError) as caught:
        parsers.parse_size(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["0KB", "101GB", "999999999GB"])
def test_size_has_limits(text: str) -> None:
    """A size out of range is an input error."""
    with pytest.raises(InputError, match=r"^out of range: '.*'\. Use 1KB to 100GB\.$"):
        parsers.parse_size(text)


@pytest.mark.parametrize(("text", "suggestion"), [("2.3 min", "2m18s"), ("1.1h", "1h6m"), ("0.1h", "6m")])
def test_suggestion_of_fraction_is_exact(text: str, suggestion: str) -> None:
    """The float 1.1 * 3600 is a little more than 3960."""
    with pytest.raises(InputError, match=rf"^invalid notation: '{text}'\. Write {suggestion}\.$"):
        parsers.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"10m"', r"^invalid notation: '\"10m\"'\. Write 10m\.$"),
        ("'90'", r"^missing unit: ''90''\. Write 90m for minutes or 90s for seconds\.$"),
        ("10m\n20m", "^invalid duration: "),
    ],
)
def test_duration_error_handles_quotes_and_lines(text: str, expected: str) -> None:
    """Quotes are ignored, and two durations are not added."""
    with pytest.raises(InputError, match=expected):
        parsers.parse_duration(text)


def test_size_error_handles_quotes() -> None:
    """The suggestion is the size without quotes."""
    with pytest.raises(InputError, match=r"^invalid notation: '\"30MB\"'\. Write 30MB\.$"):
        parsers.parse_size('"30MB"')
