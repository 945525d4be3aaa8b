"""Parse the name of a folder or test from its response.

Source: the vendor's public API pages, on `GET /folder/{id}` and `GET /test/{id}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.api.responses import get_str_field, parse_json_object
from autonoma_ci.redaction.sanitizer import ResponseSanitizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.api.transport import HttpResponse
    from autonoma_ci.redaction.redactor import Redactor

# Enough to recognize the folder or test.
_MAX_NAME_CHARS = 100


def parse_name(response: HttpResponse, target_id: str, redactor: Callable[[], Redactor]) -> str | None:
    """Return the redacted name of an id in the account.

    Returns:
        The name on one line, empty if there is none. None if the response does not confirm the id.

    """
    fields = parse_json_object(response)
    if response.status != 200 or get_str_field(fields, "id") != target_id:
        return None
    return ResponseSanitizer(redactor).clean(get_str_field(fields, "name"), _MAX_NAME_CHARS).strip()
