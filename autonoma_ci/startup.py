"""Named tuples and regular expressions that cost little at the start.

A job step creates about sixty classes of named tuples and loads about forty patterns, of which it uses some.
"""

from __future__ import annotations

import re
from collections import namedtuple
from functools import partial
from typing import TYPE_CHECKING, Any, AnyStr, cast

__all__ = ["NamedTuple", "lazy_pattern"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NamedTuple
else:

    class _NamedTupleMeta(type):
        """Creates the class of a named tuple from annotated fields.

        `typing.NamedTuple` also compiles each annotation to check it, which takes 6 ms in a job step. Type checkers see
        `typing.NamedTuple` here, and check the annotations and the order of the defaults.
        """

        def __new__(cls, name: str, _bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            fields = namespace.get("__annotations__", {})
            defaults = [namespace[field] for field in fields if field in namespace]
            created = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])  # noqa: PYI024
            for key, value in namespace.items():
                if key not in fields:
                    setattr(created, key, value)
            return created

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
