"""Find the configured file of CA certificates and diagnose its faults.

The diagnosis is made only after a failure, so a valid file costs nothing.

Source: requests' documentation, "SSL Cert Verification", OpenSSL's, "SSL_CTX_load_verify_locations" and
"openssl-rehash", RFC 7468 for PEM, RFC 5280, RFC 2315 and RFC 7292 for the first bytes of certificates, PKCS#7 and
PKCS#12.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from autonoma_ci.escaping import sanitize_line
from autonoma_ci.fs.files import os_error_reason, read_head
from autonoma_ci.startup import NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

# In the order of precedence. requests reads the first two, and libraries based on OpenSSL the third.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
# The public authorities of all browsers have about 300 KB.
_MAX_CA_FILE_BYTES = 4 * 1024 * 1024
# A longer path is shortened, and commands contain a placeholder instead.
_MAX_SHOWN_PATH_CHARS = 200
# The name of a certificate in a directory is the hash of its subject and a number.
_HASHED_NAME_RE = lazy_pattern(r"[0-9a-f]{8}\.[0-9]+")
_PEM_LABEL_RE = lazy_pattern(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----")
_BEGIN_PATTERN = rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----"
_END_PATTERN = rb"-----END (?:X509 |TRUSTED )?CERTIFICATE-----"
_CERTIFICATE_RE = lazy_pattern(rb"^" + _BEGIN_PATTERN + rb"[ \t]*\r?\n[^-]*" + _END_PATTERN, re.MULTILINE)
# BEGIN with more text on its line. OpenSSL does not recognize the beginning of a certificate there.
_JOINED_LINES_RE = lazy_pattern(_BEGIN_PATTERN + rb"[ \t]*[^\s-]")
# PEM, or base64 of DER or of PEM, in place of a path. It can be a private key, so it is never shown.
_FILE_CONTENT_RE = lazy_pattern(r"-----BEGIN|\n|^MI[A-Za-z0-9+/=]{60}|^LS0tLS1CRUdJTi")
_PKCS7_OID = bytes.fromhex("06092a864886f70d0107")
_HINT_CONVERT = "Convert the file: "
_HINT_USE_FILE = "Use a PEM file with the CA certificates"


class CertificateFault(NamedTuple):
    """A fault of the CA certificates."""

    message: str  # with the names of variable and file
    suggestion: str


class _PathFault(NamedTuple):
    """A fault of the file or directory at a path."""

    description: str
    suggestion: str  # can contain `{}` for the path, quoted for a shell


def configured_ca_file() -> tuple[str, str]:
    """Return name and value of the variable for the authorities.

    Both are empty if no variable is set.
    """
    return next(((name, value) for name in _CA_VARIABLES if (value := os.environ.get(name))), ("", ""))


def existing_ca_file() -> str:
    """Return the path in SSL_CERT_FILE, empty if it does not exist.

    OpenSSL ignores a missing path too.
    """
    path = os.environ.get("SSL_CERT_FILE", "")
    return path if path and os.path.exists(path) else ""  # noqa: PTH110 - a Path raises for some texts


def is_special_file(path: str) -> bool:
    """Return whether a path is a pipe or a device.

    OpenSSL would wait for its data without a limit.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path raises for some texts
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def find_ca_fault() -> CertificateFault | None:
    """Return the fault of the configured authorities.

    The result is None if they are usable or not configured.
    """
    name, value = configured_ca_file()
    return _diagnose_variable(name, value) if name else None


@cache
def _diagnose_variable(name: str, value: str) -> CertificateFault | None:
    # Cached, because each run of a plan fails with the same file.
    if _FILE_CONTENT_RE.search(value):
        hint = (
            "Write the certificate to a file, and set the variable to its path. On GitLab, use a variable of type File."
        )
        return CertificateFault(f"{name} contains file content instead of a path", hint)
    fault = _diagnose_path(value)
    if not fault:
        return None
    # Imported only here, because a job without such a fault does not need it.
    from shlex import quote

    shown_path = sanitize_line(value, _MAX_SHOWN_PATH_CHARS)
    quoted_path = quote(value) if shown_path == value else "FILE"
    return CertificateFault(
        f"{name} names {fault.description}: {shown_path}", fault.suggestion.replace("{}", quoted_path)
    )


def _diagnose_path(value: str) -> _PathFault | None:
    try:
        if os.path.isdir(value):  # noqa: PTH112 - a Path raises for some texts
            return _diagnose_directory(Path(value))
        data = read_head(Path(value), _MAX_CA_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return _PathFault("a missing file", _suggest_for_missing(value))
    except (OSError, ValueError) as error:
        hint = "Grant read permission to the user of this process, or use another file."
        return _PathFault(f"an unreadable file ({os_error_reason(error)})", hint)
    for recognize in (_diagnose_non_pem, _diagnose_pem):
        if fault := recognize(data):
            return fault
    if _is_loadable(cafile=value):
        return None
    return _diagnose_damaged_pem(data)


def _suggest_for_missing(value: str) -> str:
    if value[:1] in {"'", '"'}:
        return "Remove the quotes from the variable's value."
    if value.startswith("~"):
        return "Write the full path, because `~` is not expanded here."
    if re.match(r"/home/runner/work/|/__w/", value):
        return "In a container action, the workspace is /github/workspace. Put the file there, and use that path."
    return "Check the path. In a container, use the path inside it. On GitHub, the workspace is /github/workspace."


def _diagnose_directory(directory: Path) -> _PathFault | None:
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are enough
    except OSError as error:
        hint = "Grant read permission to the user of this process, or use a PEM file."
        return _PathFault(f"an unreadable directory ({os_error_reason(error)})", hint)
    if any(map(_HASHED_NAME_RE.fullmatch, names)):
        return None
    description = "a directory without hashed file names" if names else "an empty directory"
    return _PathFault(description, "Run openssl rehash {}, or use a PEM file instead of the directory.")


def _diagnose_non_pem(data: bytes) -> _PathFault | None:
    """Return the fault of data in another form than PEM."""
    head = data[:4096].lstrip().lower()
    if not head:
        return _PathFault("an empty file", f"{_HINT_USE_FILE}. Check the secret or the download.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _PathFault("a file in UTF-16", "Save it as ASCII or UTF-8. In PowerShell: Out-File -Encoding ascii.")
    if data.startswith(b"\xfe\xed\xfe\xed"):
        return _PathFault("a Java keystore", f"{_HINT_CONVERT}keytool -list -rfc -keystore {{}} > ca.pem")
    if data.startswith(b"LS0tLS1CRUdJTi"):
        return _PathFault("a PEM file in base64", f"{_HINT_CONVERT}base64 -d {{}} > ca.pem")
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return _PathFault(
            "a web page", "Download the certificates again. The server sent a web page, such as a login page."
        )
    if head.startswith(b"version https://git-lfs"):
        return _PathFault("a Git LFS pointer file", "Run git lfs pull. For actions/checkout, set lfs: true.")
    return _diagnose_der(data) if data[:1] == b"\x30" and b"-----BEGIN" not in data else None


def _diagnose_der(data: bytes) -> _PathFault | None:
    """Return the fault of data that is a DER sequence."""
    # Skip the header of 2 to 6 bytes. A length below 128 has one byte. Otherwise, the first byte is the number of bytes
    # of the length.
    size = data[1] if len(data) > 1 else 0
    content = data[2:] if size < 0x80 else data[2 + (size & 0x0F) :]
    if content.startswith(_PKCS7_OID):
        command = "openssl pkcs7 -inform der -in {} -print_certs -out ca.pem"
        return _PathFault("a PKCS#7 file in DER form", f"{_HINT_CONVERT}{command}")
    if content.startswith(b"\x02\x01\x03"):
        return _PathFault("a PKCS#12 file", f"{_HINT_CONVERT}openssl pkcs12 -in {{}} -cacerts -nokeys -out ca.pem")
    if content.startswith(b"\x02\x01"):
        return _PathFault("a private key", f"{_HINT_USE_FILE}. A private key is for servers only.")
    if size >= 0x80 and content.startswith(b"\x30"):
        command = "openssl x509 -inform der -in {} -out ca.pem"
        return _PathFault("a certificate in DER form, not PEM", f"{_HINT_CONVERT}{command}")
    return None


def _diagnose_pem(data: bytes) -> _PathFault | None:
    """Return why OpenSSL finds no certificate, or not all, in PEM data."""
    if not re.search(_BEGIN_PATTERN, data):
        return _diagnose_other_pem(data)
    if b"CERTIFICATE-----\\n" in data:
        hint = "Write real line breaks. In a shell: printf '%b' \"$CERTIFICATE\" > ca.pem"
        return _PathFault(r"a PEM file with the characters \n instead of line breaks", hint)
    if _JOINED_LINES_RE.search(data) or b"\n" not in data.strip():
        hint = "Preserve the line breaks. In a shell, quote the variable: printf '%s\\n' \"$CERTIFICATE\" > ca.pem"
        return _PathFault("a PEM file without its line breaks", hint)
    if re.search(_END_PATTERN + rb"-----BEGIN", data):
        hint = "Put a line break between -----END CERTIFICATE----- and -----BEGIN CERTIFICATE-----."
        return _PathFault("a PEM file with two certificates on one line", hint)
    return None


def _diagnose_other_pem(data: bytes) -> _PathFault:
    """Return the fault of data without a PEM certificate."""
    labels = _PEM_LABEL_RE.findall(data)
    if b"PKCS7" in labels or b"CMS" in labels:
        return _PathFault("a PKCS#7 file", f"{_HINT_CONVERT}openssl pkcs7 -in {{}} -print_certs -out ca.pem")
    if any(label.endswith(b"PRIVATE KEY") for label in labels):
        return _PathFault(
            "a private key without a certificate", f"{_HINT_USE_FILE}. A private key is for servers only."
        )
    if any(label.endswith(b"CERTIFICATE REQUEST") for label in labels):
        return _PathFault("a certificate request", f"{_HINT_USE_FILE}. A request is not signed yet.")
    if re.fullmatch(rb"MI[A-Za-z0-9+/=\s]+", data.strip()):
        hint = "Put -----BEGIN CERTIFICATE----- and -----END CERTIFICATE----- on separate lines around the data."
        return _PathFault("a certificate without its BEGIN and END lines", hint)
    return _PathFault(
        "a file without a certificate", f"{_HINT_USE_FILE}, which begin with -----BEGIN CERTIFICATE-----."
    )


def _diagnose_damaged_pem(data: bytes) -> _PathFault:
    """Return why OpenSSL can't read a file with PEM certificates."""
    if re.match(rb"""\s*["']""" + _BEGIN_PATTERN, data):
        return _PathFault("a PEM file in quotes", "Remove the quotes around the certificates.")
    if re.search(rb"^[ \t]+" + _BEGIN_PATTERN, data, re.MULTILINE):
        return _PathFault("a PEM file with indented lines", "Remove the white space before each line.")
    blocks = _CERTIFICATE_RE.findall(data)
    for number, block in enumerate(blocks, 1):
        if not _is_loadable(cadata=str(block, "ascii", "replace")):
            return _PathFault(
                f"a PEM file whose certificate {number} is damaged", "Replace or remove that certificate."
            )
    if len(re.findall(_BEGIN_PATTERN, data)) > len(re.findall(_END_PATTERN, data)):
        hint = "Copy the file again, with the last -----END CERTIFICATE-----."
        return _PathFault("a truncated PEM file", hint)
    return _PathFault("a damaged PEM file", "Check the file: openssl crl2pkcs7 -nocrl -certfile {}")


def _is_loadable(**source: str) -> bool:
    """Return whether OpenSSL finds a certificate in a file or a text."""
    load: Callable[..., None] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations
    try:
        load(**source)
    except (OSError, ValueError):
        return False
    return True
