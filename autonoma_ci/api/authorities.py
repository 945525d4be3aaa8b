"""Find the file of trusted authorities that the environment names.

Source: requests' documentation, "SSL Cert Verification", and OpenSSL's, "SSL_CTX_load_verify_locations".
"""

from __future__ import annotations

import os
import stat

# In the order of precedence. requests reads the first two, and libraries based on OpenSSL the third.
_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def named_authorities() -> tuple[str, str]:
    """Return the variable that names the authorities and its value, two empty texts if none does."""
    return next(((name, value) for name in _VARIABLES if (value := os.environ.get(name))), ("", ""))


def existing_file() -> str:
    """Return the value of SSL_CERT_FILE, empty if there is nothing at that path. OpenSSL ignores it then too."""
    path = os.environ.get("SSL_CERT_FILE", "")
    return path if path and os.path.exists(path) else ""  # noqa: PTH110 - a Path raises for some texts


def is_special(path: str) -> bool:
    """Return whether there is a pipe or a device at a path. OpenSSL would wait for data from it without a limit."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path raises for some texts
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
