"""Named tuples and regular expressions that cost little at the start."""

from __future__ import annotations

import copy
import pickle
import re
import typing
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autonoma_ci import startup
from autonoma_ci.errors import Cancelled
from autonoma_ci.startup import DebugLogger, NamedTuple, lazy_pattern


def test_pattern_compiles_once_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call compiles the pattern, and later calls use it."""
    compiled_texts: list[str] = []

    class RecordingCompiler:
        def compile(self, text: str, flags: int) -> re.Pattern[str]:
            compiled_texts.append(text)
            return re.compile(text, flags)

    monkeypatch.setattr(startup, "re", RecordingCompiler())
    pattern = lazy_pattern("a+")
    assert compiled_texts == []
    assert [pattern.sub("-", text) for text in ("baa", "ab")] == ["b-", "-b"]
    assert compiled_texts == ["a+"]


def test_pattern_equals_compiled_pattern() -> None:
    """Each method returns the result of a compiled pattern."""
    lazy_regex, regex = lazy_pattern("(A) (b)", re.IGNORECASE), re.compile("(A) (b)", re.IGNORECASE)
    text = "a B, A b"
    assert lazy_regex.findall(text) == regex.findall(text) == [("a", "B"), ("A", "b")]
    assert lazy_regex.split(text) == regex.split(text)
    assert lazy_regex.fullmatch(text) is None
    match = lazy_regex.search(text, 2)
    assert match
    assert match.span() == (5, 8)
    assert lazy_regex.flags == regex.flags


class Pair(NamedTuple):
    """Two values."""

    first: int
    second: UndefinedName = "b"  # type: ignore[name-defined] # noqa: F821 - annotations are not evaluated

    @property
    def text(self) -> str:
        """The values as text."""
        return f"{self.first}{self.second}"

    def __str__(self) -> str:
        return "a pair"


def test_named_tuple_has_fields_and_defaults() -> None:
    """The class has the interface of `typing.NamedTuple`."""
    pair = Pair(1)
    assert (pair.first, pair.second, tuple(pair)) == (1, "b", (1, "b"))
    assert pair == Pair(first=1, second="b")
    assert pair._replace(first=2) == (2, "b")
    assert pair._asdict() == {"first": 1, "second": "b"}
    assert (Pair._fields, Pair._field_defaults) == (("first", "second"), {"second": "b"})
    assert Pair.__annotations__["first"] == "int"
    assert not hasattr(pair, "__dict__")


def test_named_tuple_has_methods() -> None:
    """Properties and methods of the class body are those of the tuple."""
    assert (Pair(3).text, str(Pair(3)), repr(Pair(3))) == ("3b", "a pair", "Pair(first=3, second='b')")
    assert (Pair.__name__, Pair.__doc__, Pair.__module__) == ("Pair", "Two values.", __name__)


class _TypingTuple(typing.NamedTuple):
    first: int
    second: int
    third: int = 3


class _StartupTuple(NamedTuple):
    first: int
    second: int
    third: int = 3


@given(values=st.lists(st.integers(), max_size=4), values_by_key=st.dictionaries(st.sampled_from("abc"), st.integers()))
@example(values=[], values_by_key={"a": 1, "b": 2})
@example(values=[1, 2], values_by_key={"b": 2})
@example(values=[1, 2, 3, 4], values_by_key={})
def test_named_tuple_takes_values_as_usual(values: list[int], values_by_key: dict[str, int]) -> None:
    """Values with and without a field, or the error, are those of `typing.NamedTuple`."""
    by_field = {{"a": "second", "b": "third", "c": "fourth"}[key]: value for key, value in values_by_key.items()}
    try:
        expected = _TypingTuple(*values, **by_field)
    except TypeError:
        with pytest.raises(TypeError, match=r"^_StartupTuple\(\) "):
            _StartupTuple(*values, **by_field)
    else:
        assert tuple(_StartupTuple(*values, **by_field)) == tuple(expected)


def test_error_of_named_tuple_names_fields_only() -> None:
    """The error names missing and unknown fields, and shows no value, because a value can be a secret."""
    with pytest.raises(TypeError) as error:
        Pair(third="Tr0ub4dor&3")  # type: ignore[call-arg]
    assert str(error.value) == "Pair() needs a value for 'first'"
    with pytest.raises(TypeError) as error:
        Pair(1, third="Tr0ub4dor&3")  # type: ignore[call-arg]
    assert str(error.value) == "Pair() has the fields ('first', 'second'), and got 2 values and ('third',)"


def test_replaced_field_must_exist() -> None:
    """`_replace` refuses an unknown field."""
    with pytest.raises(TypeError, match="third"):
        Pair(1)._replace(third=2)  # type: ignore[call-arg]


def test_named_tuple_matches_pattern() -> None:
    """A class pattern binds the fields in their order."""
    match Pair(1, "c"):
        case Pair(first, "c"):
            assert first == 1
        case _:
            pytest.fail("the pattern did not match")


def test_named_tuple_is_copied() -> None:
    """A copy has the class and the values."""
    for copied_pair in (pickle.loads(pickle.dumps(Pair(1))), copy.copy(Pair(1)), copy.deepcopy(Pair(1))):
        assert copied_pair == Pair(1)
        assert type(copied_pair) is Pair


def test_logger_without_debug_log_does_nothing() -> None:
    """Values are not even formatted."""

    class Value:
        def __str__(self) -> str:
            raise AssertionError

    assert DebugLogger.sink is None
    DebugLogger().debug("%s", Value())


def test_logger_passes_text_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text without values can have a percent sign."""
    texts: list[str] = []
    monkeypatch.setattr(DebugLogger, "sink", texts.append)
    DebugLogger().debug("%s of %d", "one", 2)
    DebugLogger().debug("100 %")
    assert texts == ["one of 2", "100 %"]


def test_logger_error_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lack of memory in the log does not change the result of a request."""

    def fail(_: str) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(DebugLogger, "sink", fail)
    DebugLogger().debug("text")


def test_signal_in_sink_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal can arrive while a line is written."""

    def cancel(_: str) -> NoReturn:
        raise Cancelled(15)

    monkeypatch.setattr(DebugLogger, "sink", cancel)
    with pytest.raises(Cancelled):
        DebugLogger().debug("text")
