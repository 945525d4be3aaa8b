"""Tests of the diagnosis of trusted authorities without a connection."""

from __future__ import annotations

import errno
import os
import shlex
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.net.certificates import configured_ca_file, existing_ca_file, find_ca_fault, is_special_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.net.certificates import CertificateFault
    from tests.support.certificates import CertificateAuthority

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
BEGIN, END = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
IN_CONTAINER = "Check the path. In a container, use the path inside it. On GitHub, the workspace is /github/workspace."
IN_ACTION = "In a container action, the workspace is /github/workspace. Put the file there, and use that path."
PERMISSION = "Grant read permission to the user of this process, or use another file."
NAME_FILE = "Use a PEM file with the CA certificates"
KEY = f"{NAME_FILE}. A private key is for servers only."
DER_CERTIFICATE = b"\x30\x82\x01\x00\x30\x81"
PKCS7 = bytes.fromhex("06092a864886f70d010702")


def diagnose(patch: pytest.MonkeyPatch, value: str | Path) -> CertificateFault | None:
    """Return the fault of a path in REQUESTS_CA_BUNDLE."""
    patch.setenv("REQUESTS_CA_BUNDLE", str(value))
    return find_ca_fault()


def diagnose_data(patch: pytest.MonkeyPatch, folder: Path, data: bytes) -> tuple[str, str]:
    """Return description and suggestion for a file with these data."""
    path = folder / "ca.pem"
    path.write_bytes(data)
    fault = diagnose(patch, path)
    assert fault
    text = fault.message.removeprefix("REQUESTS_CA_BUNDLE names ").removesuffix(f": {path}")
    return text, fault.suggestion.replace(str(path), "{}")


# Variables


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((None, None, None), ("", "")),
        (("", "", ""), ("", "")),
        (("/a", "/b", "/c"), ("REQUESTS_CA_BUNDLE", "/a")),
        ((None, "/b", "/c"), ("CURL_CA_BUNDLE", "/b")),
        (("", "/b", "/c"), ("CURL_CA_BUNDLE", "/b")),
        ((None, "", "/c"), ("SSL_CERT_FILE", "/c")),
    ],
)
def test_first_variable_with_value_counts(
    values: tuple[str | None, ...], expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty variable counts as not set."""
    for name, value in zip(VARIABLES, values, strict=True):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert configured_ca_file() == expected


def test_existing_file_of_openssl_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a path in SSL_CERT_FILE that exists is returned."""
    path = tmp_path / "ca.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", __file__)
    paths = [existing_ca_file()]
    for value in (path, ""):
        monkeypatch.setenv("SSL_CERT_FILE", str(value))
        paths.append(existing_ca_file())
    path.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert [*paths, existing_ca_file()] == ["", "", "", str(path)]


@pytest.mark.parametrize("name", ["", "missing", "\0", "a" * 5000])
def test_unusable_path_is_not_special(name: str, tmp_path: Path) -> None:
    """A path that the system rejects is no pipe."""
    assert not is_special_file(f"{tmp_path}/{name}" if name else "")


def test_file_and_folder_are_not_special(tmp_path: Path) -> None:
    """A file and a folder can be read without a wait."""
    path = tmp_path / "ca.pem"
    path.touch()
    assert not is_special_file(str(path))
    assert not is_special_file(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_pipe_socket_and_device_are_special(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of a pipe, a socket or a device can last for ever."""
    # The path of a socket has at most about 100 characters.
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert all(map(is_special_file, ("pipe", "link", "socket", os.devnull)))


# Usable authorities


def test_unset_variables_have_no_fault() -> None:
    """Without a variable, there is nothing to diagnose."""
    assert find_ca_fault() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda pem, key: pem,
        lambda pem, key: pem.rstrip(),
        lambda pem, key: pem + pem,
        lambda pem, key: pem.replace(b"\n", b"\r\n"),
        lambda pem, key: b"0 The authority\n\n" + pem,
        lambda pem, key: key + pem,
        lambda pem, key: pem.replace(b" CERT", b" X509 CERT"),
    ],
    ids=["plain", "no last line break", "twice", "CR LF", "a heading", "with key", "X509"],
)
def test_usable_file_has_no_fault(
    change: Callable[[bytes, bytes], bytes],
    certificates: CertificateAuthority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that OpenSSL can load has no fault."""
    pem = certificates.authority_file
    path = tmp_path / "ca.pem"
    path.write_bytes(change(pem.read_bytes(), pem.with_suffix(".key").read_bytes()))
    assert diagnose(monkeypatch, path) is None


@pytest.mark.parametrize(
    ("name", "is_hashed"),
    [("0123abcd.0", True), ("0123abcd.12", True), ("0123ABCD.0", False), ("0123abcd.r0", False), ("0123abcd", False)],
)
def test_folder_needs_hashed_name(name: str, is_hashed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One name of the form that OpenSSL looks for makes a folder usable."""
    (tmp_path / "authority.pem").touch()
    (tmp_path / name).touch()
    assert (diagnose(monkeypatch, tmp_path) is None) == is_hashed


# The content of a file in place of its path


@pytest.mark.parametrize(
    "value",
    [
        "-----BEGIN CERTIFICATE-----s3cret-value",
        "x-----BEGIN RSA PRIVATE KEY-----s3cret-value",
        "s3cret-value\nx",
        f"MI{60 * 'A'}s3cret-value",
        "LS0tLS1CRUdJTis3cret-value",
    ],
    ids=["certificate", "key", "lines", "DER in base64", "PEM in base64"],
)
@pytest.mark.parametrize("variable", VARIABLES)
def test_content_in_variable_is_hidden(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content of a file can be a private key, so it is not shown."""
    monkeypatch.setenv(variable, value)
    fault = find_ca_fault()
    assert fault
    assert fault.message == f"{variable} contains file content instead of a path"
    assert fault.suggestion == (
        "Write the certificate to a file, and set the variable to its path. On GitLab, use a variable of type File."
    )


@pytest.mark.parametrize("value", [f"MI{59 * 'A'}", f"./MI{60 * 'A'}", "LS0tLS1", "MI.pem"])
def test_similar_path_is_shown(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that only resembles base64 is shown as a path."""
    monkeypatch.chdir(tmp_path)
    fault = diagnose(monkeypatch, value)
    assert fault == (f"REQUESTS_CA_BUNDLE names a missing file: {value}", IN_CONTAINER)


# Paths


@pytest.mark.parametrize(
    ("value", "suggestion"),
    [
        ("/nowhere/ca.pem", IN_CONTAINER),
        ("nowhere.pem", IN_CONTAINER),
        (f"{__file__}/ca.pem", IN_CONTAINER),
        ("~/ca.pem", "Write the full path, because `~` is not expanded here."),
        ("'/etc/ca.pem'", "Remove the quotes from the variable's value."),
        ('"/etc/ca.pem', "Remove the quotes from the variable's value."),
        ("/home/runner/work/shop/ca.pem", IN_ACTION),
        ("/__w/shop/ca.pem", IN_ACTION),
        ("/home/runner/works", IN_CONTAINER),
    ],
)
def test_missing_file_has_suggestion(value: str, suggestion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suggestion depends on the form of the path."""
    assert diagnose(monkeypatch, value) == (f"REQUESTS_CA_BUNDLE names a missing file: {value}", suggestion)


@pytest.mark.parametrize(
    ("value", "shown_path"),
    [
        ("/nowhere/\x1b[31m\r\u202e.pem", "/nowhere/\ufffd[31m .pem"),
        (f"/nowhere/{'a' * 191}", f"/nowhere/{'a' * 191}"),
        (f"/nowhere/{'a' * 192}", f"/nowhere/{'a' * 190}…"),
        ("/nowhere/<b>&.pem", "/nowhere/<b>&.pem"),
    ],
    ids=["controls", "200", "201", "HTML"],
)
def test_path_is_short_and_printable(value: str, shown_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is shown on one line with at most 200 characters."""
    fault = diagnose(monkeypatch, value)
    assert fault
    assert fault.message == f"REQUESTS_CA_BUNDLE names a missing file: {shown_path}"


@pytest.mark.parametrize("name", ["ca.der", "two words", "it's", "$(id)", "a{}b", "-x;y"])
def test_path_in_command_is_quoted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of the suggestion has the path as one argument."""
    path = tmp_path / name
    path.write_bytes(DER_CERTIFICATE)
    fault = diagnose(monkeypatch, path)
    assert fault
    argv = ["openssl", "x509", "-inform", "der", "-in", str(path), "-out", "ca.pem"]
    assert shlex.split(fault.suggestion.removeprefix("Convert the file: ")) == argv


@pytest.mark.parametrize("name", ["a\x1b[31m", "a" * 200, "\u202ea"], ids=["controls", "long", "direction"])
def test_changed_path_is_not_in_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is not shown as it is has a placeholder in the command."""
    (tmp_path / name).write_bytes(DER_CERTIFICATE)
    fault = diagnose(monkeypatch, tmp_path / name)
    assert fault
    assert fault.suggestion == "Convert the file: openssl x509 -inform der -in FILE -out ca.pem"


# Unreadable files


@pytest.mark.parametrize(
    ("name", "reason"),
    [("loop", os.strerror(errno.ELOOP)), ("a" * 300, os.strerror(errno.ENAMETOOLONG))],
    ids=["loop", "long name"],
)
def test_unreadable_file_has_reason(name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the reason of the operating system."""
    (tmp_path / "loop").symlink_to("loop")
    fault = diagnose(monkeypatch, tmp_path / name)
    assert fault
    assert fault.message.startswith(f"REQUESTS_CA_BUNDLE names an unreadable file ({reason}): ")
    assert fault.suggestion == PERMISSION


@pytest.mark.parametrize(
    ("error", "reason"),
    [(PermissionError(errno.EACCES, "Permission denied"), "Permission denied"), (OSError(), "invalid path")],
)
def test_unreadable_folder_has_reason(
    error: OSError, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is simulated, because root can list every folder."""

    def refuse(_: object) -> list[str]:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("autonoma_ci.net.certificates.os.listdir", refuse)
        fault = diagnose(patch, tmp_path)
    assert fault == (
        f"REQUESTS_CA_BUNDLE names an unreadable directory ({reason}): {tmp_path}",
        "Grant read permission to the user of this process, or use a PEM file.",
    )


def test_rejected_path_is_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that Python rejects has a reason too."""

    def refuse(*_: object) -> bytes:
        raise ValueError("embedded null byte")

    monkeypatch.setattr("autonoma_ci.net.certificates.read_head", refuse)
    path = tmp_path / "ca.pem"
    assert diagnose(monkeypatch, path) == (
        f"REQUESTS_CA_BUNDLE names an unreadable file (invalid path): {path}", PERMISSION,
    )  # fmt: skip


# Data in another form


@pytest.mark.parametrize(
    ("data", "description", "suggestion"),
    [
        (b"", "an empty file", f"{NAME_FILE}. Check the secret or the download."),
        (b" \r\n\t\n", "an empty file", f"{NAME_FILE}. Check the secret or the download."),
        (b"\xfe\xff\0-", "a file in UTF-16", "Save it as ASCII or UTF-8. In PowerShell: Out-File -Encoding ascii."),
        (b"\xfe\xed\xfe\xed\0", "a Java keystore", "Convert the file: keytool -list -rfc -keystore {} > ca.pem"),
        (b"LS0tLS1CRUdJTiBD", "a PEM file in base64", "Convert the file: base64 -d {} > ca.pem"),
        (b"<HTML>", "a web page", "Download the certificates again. The server sent a web page, such as a login page."),
        (b"\n<?xml ?>", "a web page",
         "Download the certificates again. The server sent a web page, such as a login page."),
        (b" Version https://git-lfs.github.com/spec/v1", "a Git LFS pointer file",
         "Run git lfs pull. For actions/checkout, set lfs: true."),
        (b"<certificate>", "a file without a certificate",
         f"{NAME_FILE}, which begin with -----BEGIN CERTIFICATE-----."),
        (DER_CERTIFICATE, "a certificate in DER form, not PEM",
         "Convert the file: openssl x509 -inform der -in {} -out ca.pem"),
        (b"\x30\x0b" + PKCS7, "a PKCS#7 file in DER form",
         "Convert the file: openssl pkcs7 -inform der -in {} -print_certs -out ca.pem"),
        (b"\x30\x81\x90" + PKCS7, "a PKCS#7 file in DER form",
         "Convert the file: openssl pkcs7 -inform der -in {} -print_certs -out ca.pem"),
        (b"\x30\x03\x02\x01\x03", "a PKCS#12 file",
         "Convert the file: openssl pkcs12 -in {} -cacerts -nokeys -out ca.pem"),
        (b"\x30\x84\0\0\1\0\x02\x01\x03", "a PKCS#12 file",
         "Convert the file: openssl pkcs12 -in {} -cacerts -nokeys -out ca.pem"),
        (b"\x30\x03\x02\x01\x00", "a private key", KEY),
        (b"\x30\x82\x01\x00\x02\x01\x01", "a private key", KEY),
    ],
)  # fmt: skip
def test_other_form_has_suggestion(
    data: bytes, description: str, suggestion: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first bytes show the form of the file."""
    assert diagnose_data(monkeypatch, tmp_path, data) == (description, suggestion)


@pytest.mark.parametrize(
    "data",
    [b"0", b"0\x80", b"0\x8f", b"\x30\x02\x30\x00", b"\x30\x82\x01\x00\x31", b"0123 s3cret-value", b"\xff\0\x01"],
)
def test_unknown_data_have_general_advice(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data in no known form have no certificate."""
    advice = f"{NAME_FILE}, which begin with -----BEGIN CERTIFICATE-----."
    assert diagnose_data(monkeypatch, tmp_path, data) == ("a file without a certificate", advice)


@pytest.mark.parametrize(
    ("label", "description", "suggestion"),
    [
        ("PKCS7", "a PKCS#7 file", "Convert the file: openssl pkcs7 -in {} -print_certs -out ca.pem"),
        ("CMS", "a PKCS#7 file", "Convert the file: openssl pkcs7 -in {} -print_certs -out ca.pem"),
        ("PRIVATE KEY", "a private key without a certificate", KEY),
        ("ENCRYPTED PRIVATE KEY", "a private key without a certificate", KEY),
        ("CERTIFICATE REQUEST", "a certificate request", f"{NAME_FILE}. A request is not signed yet."),
        ("NEW CERTIFICATE REQUEST", "a certificate request", f"{NAME_FILE}. A request is not signed yet."),
        ("PUBLIC KEY", "a file without a certificate", f"{NAME_FILE}, which begin with -----BEGIN CERTIFICATE-----."),
    ],
)
def test_other_label_has_suggestion(
    label: str, description: str, suggestion: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The label of other PEM data shows what they are."""
    data = f"-----BEGIN {label}-----\ns3cret-value\n-----END {label}-----\n".encode()
    assert diagnose_data(monkeypatch, tmp_path, data) == (description, suggestion)


@pytest.mark.parametrize("data", [b"MIIB" + 99 * b"A", b"\nMIIB+/\nAA==\n"])
def test_bare_base64_has_suggestion(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate without its first and last line is recognized."""
    description, suggestion = diagnose_data(monkeypatch, tmp_path, data)
    assert description == "a certificate without its BEGIN and END lines"
    assert suggestion.startswith(
        "Put -----BEGIN CERTIFICATE----- and -----END CERTIFICATE----- on separate lines around"
    )


# Damaged PEM files


@pytest.mark.parametrize(
    ("data", "description", "suggestion"),
    [
        (BEGIN + b"AAAA\n" + END, "a PEM file whose certificate 1 is damaged", "Replace or remove that certificate."),
        (BEGIN + b"AAAA\n", "a truncated PEM file", "Copy the file again, with the last -----END CERTIFICATE-----."),
        (BEGIN + b"AA-AA\n" + END, "a damaged PEM file", "Check the file: openssl crl2pkcs7 -nocrl -certfile {}"),
        (b"' \n" + BEGIN + b"AA-AA\n" + END, "a damaged PEM file",
         "Check the file: openssl crl2pkcs7 -nocrl -certfile {}"),
        (b" '" + BEGIN + b"AAAA\n" + END, "a PEM file in quotes", "Remove the quotes around the certificates."),
        (b"ca:\n\t" + BEGIN + b"\tAAAA\n\t" + END, "a PEM file with indented lines",
         "Remove the white space before each line."),
        (BEGIN.strip() + b" x\nAAAA\n" + END, "a PEM file without its line breaks",
         "Preserve the line breaks. In a shell, quote the variable: printf '%s\\n' \"$CERTIFICATE\" > ca.pem"),
        (BEGIN.strip() + b"\\nAAAA\\n" + END, "a PEM file with the characters \\n instead of line breaks",
         "Write real line breaks. In a shell: printf '%b' \"$CERTIFICATE\" > ca.pem"),
        (BEGIN + b"AAAA\n" + END.strip() + BEGIN + b"AAAA\n" + END, "a PEM file with two certificates on one line",
         "Put a line break between -----END CERTIFICATE----- and -----BEGIN CERTIFICATE-----."),
    ],
)  # fmt: skip
def test_damaged_pem_has_suggestion(
    data: bytes, description: str, suggestion: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most likely damage of a PEM file has its own remedy."""
    assert diagnose_data(monkeypatch, tmp_path, data) == (description, suggestion)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_damaged_certificate_is_counted(
    position: int, certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of the damaged certificate begins at 1."""
    blocks = 2 * [certificates.authority_file.read_bytes()]
    blocks.insert(position, BEGIN + b"AAAA\n" + END)
    description, _ = diagnose_data(monkeypatch, tmp_path, b"".join(blocks))
    assert description == f"a PEM file whose certificate {position + 1} is damaged"


@pytest.mark.parametrize("start", [BEGIN, b"<html>", b"-----BEGIN PRIVATE KEY-----\n", b"\x30\x03\x02\x01\x00", b""])
def test_content_of_file_is_not_shown(start: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither message nor suggestion has data of the file."""
    assert "s3cret-value" not in repr(diagnose_data(monkeypatch, tmp_path, start + b"s3cret-value"))
