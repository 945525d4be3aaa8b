"""Named tuples, regular expressions and loggers that cost little at the start.

A job step creates about sixty classes of named tuples and loads about forty patterns, of which it uses some.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, AnyStr, cast

__all__ = ["DebugLogger", "NamedTuple", "lazy_pattern"]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar, NamedTuple
else:

    class _NamedTupleBase(tuple):
        """The methods of named tuples."""

        __slots__ = ()
        _fields: tuple[str, ...] = ()
        _field_defaults: Mapping[str, Any] = {}

        def __new__(cls, /, *values: Any, **named: Any) -> Any:
            fields = cls._fields
            if named or len(values) != len(fields):
                defaults = cls._field_defaults
                try:
                    values += tuple(
                        named.pop(field) if field in named else defaults[field] for field in fields[len(values) :]
                    )
                except KeyError as error:
                    raise TypeError(f"{cls.__name__}() needs a value for {error}") from None
                if named or len(values) > len(fields):
                    raise TypeError(
                        f"{cls.__name__}() has the fields {fields}, and got {len(values)} values and {tuple(named)}"
                    )
            return tuple.__new__(cls, values)

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, /, **named: Any) -> Any:
            values = [named.pop(field, value) for field, value in zip(self._fields, self, strict=True)]
            if named:
                raise TypeError(f"{type(self).__name__} has no fields {tuple(named)}")
            return tuple.__new__(type(self), values)

        def __repr__(self) -> str:
            fields = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
            return f"{type(self).__name__}({fields})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    class _NamedTupleMeta(type):
        """Creates the class of a named tuple from annotated fields.

        `typing.NamedTuple` compiles a constructor for each class, and each annotation to check it. In a job step this
        takes 10 ms, a twelfth of its time. Type checkers see `typing.NamedTuple` here, and check the annotations and
        the order of the defaults.
        """

        def __new__(cls, name: str, _bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            fields = tuple(namespace.get("__annotations__", ()))
            namespace["_field_defaults"] = {field: namespace[field] for field in fields if field in namespace}
            namespace["_fields"] = namespace["__match_args__"] = fields
            namespace["__slots__"] = ()
            namespace.update((field, property(itemgetter(index))) for index, field in enumerate(fields))
            return type(name, (_NamedTupleBase,), namespace)

    NamedTuple = type.__new__(_NamedTupleMeta, "NamedTuple", (), {})


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return a lazy object with the methods of `re.compile(text, flags)`.

    The functions of `re` do not accept this object as a pattern. They also compile a pattern at its first use. But the
    search for many secret values fills their cache, and then they compile it at each use.
    """
    return cast("re.Pattern[AnyStr]", _LazyPattern(partial(re.compile, text, flags)))


class _LazyPattern:
    """A pattern that is compiled when one of its methods is used."""

    def __init__(self, compiled: Callable[[], re.Pattern[Any]]) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        # Python calls this only for attributes that are missing. Later uses find the stored method directly.
        method = getattr(self._compiled(), name)
        setattr(self, name, method)
        return method


class DebugLogger:
    """Passes texts of a module to the debug log, if one is open.

    The standard library's `logging` is not used. Its import takes 5 ms, and a signal can leave its lock acquired.
    """

    # Receives each text. None while no debug log is open.
    sink: ClassVar[Callable[[str], None] | None] = None

    @staticmethod
    def debug(text: str, *values: object) -> None:
        """Log a text with the values of its `%` placeholders, and never fail."""
        if sink := DebugLogger.sink:
            # A lack of memory must not turn a started run into an unknown one.
            with suppress(Exception):
                sink(text % values if values else text)
