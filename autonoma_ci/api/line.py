"""The connection of each thread's present request: it tells whether anything can have been sent.

Source: Python's documentation of `threading.local`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.client import HTTPConnection


class Line(threading.local):
    """The thread's own connection in its present request: whether it is being made, and was made for it.

    `surplus` is what came behind the refusal of a start, without CR and LF.
    """

    connecting = False
    made = False
    connection: HTTPConnection | None = None
    surplus = b""

    @property
    def nothing_sent(self) -> bool:
        """Whether no connection was made for the present request, so that nothing of it was sent."""
        return self.connecting or self.connection is None

    def clear(self) -> dict[str, Any]:
        """Forget the last request; return what `hang_up` takes to end the next one from another thread."""
        self.connecting, self.made, self.connection, self.surplus = False, False, None, b""
        return self.__dict__


line = Line()
