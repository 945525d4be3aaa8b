"""Named tuples and regular expressions that cost little at the start."""

from __future__ import annotations

import pickle
import re

import pytest

from autonoma_ci import startup
from autonoma_ci.startup import NamedTuple, lazy_pattern


def test_pattern_compiles_once_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call compiles the pattern, and later calls use it."""
    compiled: list[str] = []

    class _Counting:
        def compile(self, text: str, flags: int) -> re.Pattern[str]:
            compiled.append(text)
            return re.compile(text, flags)

    monkeypatch.setattr(startup, "re", _Counting())
    pattern = lazy_pattern("a+")
    assert compiled == []
    assert [pattern.sub("-", text) for text in ("baa", "ab")] == ["b-", "-b"]
    assert compiled == ["a+"]


def test_pattern_equals_compiled_pattern() -> None:
    """Each method returns the result of a compiled pattern."""
    lazy, usual = lazy_pattern("(A) (b)", re.IGNORECASE), re.compile("(A) (b)", re.IGNORECASE)
    text = "a B, A b"
    assert lazy.findall(text) == usual.findall(text) == [("a", "B"), ("A", "b")]
    assert lazy.split(text) == usual.split(text)
    assert lazy.fullmatch(text) is None
    found = lazy.search(text, 2)
    assert found
    assert found.span() == (5, 8)
    assert lazy.flags == usual.flags


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


def test_named_tuple_needs_all_values() -> None:
    """A missing or unknown field is an error."""
    with pytest.raises(TypeError, match="first"):
        Pair()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="third"):
        Pair(1, third=2)  # type: ignore[call-arg]


def test_named_tuple_is_pickled() -> None:
    """The module of the class is known."""
    assert pickle.loads(pickle.dumps(Pair(1))) == Pair(1)
