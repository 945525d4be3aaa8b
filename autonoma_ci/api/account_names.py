"""Read the name of a folder or test from a response about it.

Source: the vendor's public API pages, on `GET /folder/{id}` and `GET /test/{id}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.api.responses import fields_of, text_of
from autonoma_ci.redaction.sanitizer import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.api.transport import Answer
    from autonoma_ci.redaction.redactor import Redactor

# In characters: enough to recognize it.
_MAX_NAME = 100


def read_name(answer: Answer, subject: str, redactor: Callable[[], Redactor]) -> str | None:
    """Return the name that the account has for an id, redacted and on one line.

    Returns:
        The name, empty if there is none. None if the response does not say that the account has this id.

    """
    fields = fields_of(answer)
    if answer.status != 200 or text_of(fields, "id") != subject:
        return None
    return Texts(redactor).line(text_of(fields, "name"), _MAX_NAME).strip()
