"""Test the errors for unusable files of trusted authorities."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import pytest

from autonoma_ci.api.account import list_folders
from autonoma_ci.api.client import AutonomaClient
from autonoma_ci.api.models import PollStatus
from autonoma_ci.api.transport import Transport
from autonoma_ci.ci.rest.http import RestClient, RestError
from autonoma_ci.clock import Clock
from autonoma_ci.errors import ApiError
from autonoma_ci.models import RunRequest, TargetKind
from autonoma_ci.net import errors
from autonoma_ci.net.certificates import find_ca_fault
from autonoma_ci.net.errors import RequestNotSentError
from autonoma_ci.net.wait_for_url import wait_for_url
from autonoma_ci.redaction.redactor import NO_SECRETS, Secret
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import send_started_run
from tests.support.github_job import LONG_TIMEOUTS, run_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.certificates import CertificateAuthority

SECRETS = (Secret("client-id-of-the-test"), Secret("client-secret-of-the-test"))
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60).stdout


def get_key_path(pem: Path) -> str:
    return str(pem.with_name("authority.key"))


def get_base64_text(pem: Path) -> str:
    return "".join(pem.read_text().splitlines()[1:-1])


def make_damaged_pem(pem: Path) -> bytes:
    body = get_base64_text(pem)
    return f"{pem.read_text()}{BEGIN}\n{body[:200]}!{body[200:]}\n{END}\n".encode()


# For each form: the change of the test authority, its description in the message, and a part of the suggestion.
FORMS: dict[str, tuple[Callable[[Path], bytes], str, str]] = {
    "empty": (lambda pem: b"", "an empty file", "Check the secret"),
    "white space": (lambda pem: b"\n \n", "an empty file", "Check the secret"),
    "DER": (
        lambda pem: openssl("x509", "-in", str(pem), "-outform", "der"),
        "a certificate in DER form, not PEM",
        "openssl x509 -inform der -in {} -out ca.pem",
    ),
    "one line": (lambda pem: pem.read_bytes().replace(b"\n", b""), "a PEM file without its line breaks", "printf '%s"),
    "spaces": (lambda pem: pem.read_bytes().replace(b"\n", b" "), "a PEM file without its line breaks", "quote"),
    "old Mac": (lambda pem: pem.read_bytes().replace(b"\n", b"\r"), "a PEM file without its line breaks", "quote"),
    "escaped": (
        lambda pem: pem.read_bytes().replace(b"\n", b"\\n"),
        "a PEM file with the characters \\n instead of line breaks",
        "printf '%b'",
    ),
    "joined": (
        lambda pem: pem.read_bytes().rstrip() + pem.read_bytes(),
        "a PEM file with two certificates on one line",
        "line break between",
    ),
    "truncated": (
        lambda pem: pem.read_bytes().partition(b"-----END")[0],
        "a truncated PEM file",
        "Copy the file again",
    ),
    "damaged": (make_damaged_pem, "a PEM file whose certificate 2 is damaged", "Replace or remove"),
    "indented": (
        lambda pem: b"".join(b"  " + line for line in pem.read_bytes().splitlines(keepends=True)),
        "a PEM file with indented lines",
        "white space",
    ),
    "quoted": (lambda pem: b'"' + pem.read_bytes() + b'"', "a PEM file in quotes", "Remove the quotes"),
    "UTF-16": (lambda pem: pem.read_text().encode("utf-16"), "a file in UTF-16", "Out-File -Encoding ascii"),
    "bare": (
        lambda pem: get_base64_text(pem).encode(),
        "a certificate without its BEGIN and END lines",
        "on separate lines",
    ),
    "base64": (lambda pem: openssl("base64", "-A", "-in", str(pem)), "a PEM file in base64", "base64 -d {}"),
    "key": (
        lambda pem: Path(get_key_path(pem)).read_bytes(),
        "a private key without a certificate",
        "for servers only",
    ),
    "key in DER": (
        lambda pem: openssl("ec", "-in", get_key_path(pem), "-outform", "der"),
        "a private key",
        "for servers only",
    ),
    "PKCS#7": (
        lambda pem: openssl("crl2pkcs7", "-nocrl", "-certfile", str(pem)),
        "a PKCS#7 file",
        "openssl pkcs7 -in {} -print_certs -out ca.pem",
    ),
    "PKCS#7 in DER": (
        lambda pem: openssl("crl2pkcs7", "-nocrl", "-certfile", str(pem), "-outform", "der"),
        "a PKCS#7 file in DER form",
        "openssl pkcs7 -inform der -in {} -print_certs -out ca.pem",
    ),
    "PKCS#12": (
        lambda pem: openssl("pkcs12", "-export", "-nokeys", "-in", str(pem), "-passout", "pass:x"),
        "a PKCS#12 file",
        "openssl pkcs12 -in {} -cacerts -nokeys -out ca.pem",
    ),
    "request": (
        lambda pem: pem.with_name("authority.csr").read_bytes(),
        "a certificate request",
        "not signed",
    ),
    "keystore": (lambda pem: bytes.fromhex("feedfeed00000002"), "a Java keystore", "keytool -list -rfc -keystore {}"),
    "web page": (lambda pem: b"\n<!DOCTYPE html><html>Log in", "a web page", "Download"),
    "LFS": (lambda pem: b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer file", "git lfs pull"),
    "text": (lambda pem: b"see the wiki", "a file without a certificate", BEGIN),
}


@pytest.mark.parametrize("form", FORMS)
def test_unusable_ca_file_has_suggestion(
    form: str, certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error contains the fault of the file and a suggestion, and nothing is sent."""
    make, description, suggestion = FORMS[form]
    path = tmp_path / "ca"
    path.write_bytes(make(certificates.authority_file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with (
        FaultServer(send_started_run, tls=certificates.create_valid_context()) as server,
        pytest.raises(RequestNotSentError) as caught,
    ):
        Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})
    assert str(caught.value) == f"REQUESTS_CA_BUNDLE names {description}: {path}"
    assert suggestion.replace("{}", str(path)) in caught.value.hint
    assert (server.connection_count, caught.value.retryable) == (0, False)


def test_skipped_certificate_is_reported(
    certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL skips a certificate without line breaks behind valid ones."""
    path = tmp_path / "ca.pem"
    one_line_pem = certificates.authority_file.read_text().replace("\n", " ")
    path.write_text(f"{Path(certifi.where()).read_text('utf-8')}\n{one_line_pem}\n", "utf-8")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with (
        FaultServer(send_started_run, tls=certificates.create_valid_context()) as server,
        pytest.raises(RequestNotSentError) as caught,
    ):
        Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})
    assert "cannot be trusted" in str(caught.value)
    assert caught.value.hint.startswith(
        f"REQUESTS_CA_BUNDLE names a PEM file without its line breaks: {path}. Preserve"
    )


@pytest.mark.parametrize(
    ("value", "text", "suggestion"),
    [
        ("/nowhere/at/all.pem", "names a missing file: /nowhere/at/all.pem", "In a container"),
        ("~/ca.pem", "names a missing file: ~/ca.pem", "Write the full path"),
        ('"/etc/ca.pem"', 'names a missing file: "/etc/ca.pem"', "Remove the quotes"),
        ("/home/runner/work/shop/ca.pem", "names a missing file: /home/runner/work", "/github/workspace"),
        (f"{__file__}/ca.pem", f"names a missing file: {__file__}/ca.pem", "Check the path"),
        ("/nowhere/\x1b[31m\u202e", "names a missing file: /nowhere/\ufffd[31m", "Check the path"),
        (f"{BEGIN}\nMIIB", "contains file content instead of a path", "type File"),
        ("-----BEGIN PRIVATE KEY-----MIIB", "contains file content instead of a path", "type File"),
        ("MIIB" + "A" * 99, "contains file content instead of a path", "type File"),
        ("LS0tLS1CRUdJTiBDRVJU", "contains file content instead of a path", "type File"),
    ],
)  # fmt: skip
def test_missing_ca_file_is_reported(
    value: str, text: str, suggestion: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path without a file gives an error with a suggestion."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", value)
    job = run_job(tmp_path, "https://127.0.0.1:9/api", ["a"])
    assert (job.code, job.states) == (5, {"a": "not-started"})
    [run] = job.results_json["runs"]
    assert run["message"].startswith(f"REQUESTS_CA_BUNDLE {text}")
    assert run["suggestion"].startswith("The run was not started. ")
    assert suggestion in run["suggestion"]
    assert run["start_requests"] == 1
    assert "MIIB" not in job.visible_text
    assert "\u202e" not in job.visible_text


@pytest.mark.parametrize(
    ("names", "description"),
    [([], "an empty directory"), (["authority.pem", "0.pem"], "a directory without hashed file names")],
)
def test_unusable_ca_folder_is_reported(
    names: list[str],
    description: str,
    certificates: CertificateAuthority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder without hashed names gives a suggestion to run openssl rehash."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(certificates.authority_file.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    with (
        FaultServer(send_started_run, tls=certificates.create_valid_context()) as server,
        pytest.raises(RequestNotSentError) as caught,
    ):
        Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})
    assert "cannot be trusted" in str(caught.value)
    suggestion = f"Run openssl rehash {folder}, or use a PEM file instead of the directory."
    assert caught.value.hint == f"REQUESTS_CA_BUNDLE names {description}: {folder}. {suggestion}"


def test_hashed_ca_folder_is_trusted(
    certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with hashed names works like a file."""
    name = openssl("x509", "-in", str(certificates.authority_file), "-noout", "-hash").decode().strip()
    (tmp_path / f"{name}.0").write_bytes(certificates.authority_file.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        assert Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {}).status == 200
    assert find_ca_fault() is None


def test_unreadable_ca_file_is_reported(
    certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is simulated, because root can read every file."""

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "ca.pem"
    path.write_bytes(certificates.authority_file.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    monkeypatch.setattr("autonoma_ci.net.certificates.read_head", refuse)
    monkeypatch.setattr("autonoma_ci.net.connection.create_urllib3_context", _UnreadableContext)
    with pytest.raises(RequestNotSentError) as caught:
        Transport("https://127.0.0.1:9", SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})
    assert str(caught.value) == f"REQUESTS_CA_BUNDLE names an unreadable file (Permission denied): {path}"
    assert (caught.value.retryable, "Grant read permission" in caught.value.hint) == (False, True)


class _UnreadableContext:
    def load_verify_locations(self, *_: object) -> None:
        raise PermissionError(13, "Permission denied")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_ca_pipe_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe is reported without waiting for data."""
    os.mkfifo(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    fault = find_ca_fault()
    assert fault
    assert fault.message.startswith("REQUESTS_CA_BUNDLE names an unreadable file (not a regular file): ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_request_with_ca_pipe_fails(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL would wait for the pipe without any time limit."""
    os.mkfifo(tmp_path / "ca.pem")
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    with FaultServer(send_started_run) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(RequestNotSentError, match=rf"^{variable} names an unreadable file \(not a regular file\)"):
            Transport(url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_each_ca_variable_is_used(
    variable: str, certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variable selects the file, and an error names the variable."""
    monkeypatch.setenv(variable, str(certificates.authority_file))
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        assert Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {}).status == 200
        (tmp_path / "empty.pem").touch()
        monkeypatch.setenv(variable, str(tmp_path / "empty.pem"))
        with pytest.raises(RequestNotSentError, match=f"^{variable} names an empty file: "):
            Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})


def test_first_ca_variable_wins(certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    """REQUESTS_CA_BUNDLE takes precedence over the other variables."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority_file))
    monkeypatch.setenv("CURL_CA_BUNDLE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        assert Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {}).status == 200


def test_missing_ssl_cert_file_is_only_hint(
    certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL ignores a missing file, and some images set it for other programs."""
    monkeypatch.setenv("SSL_CERT_FILE", "/no-cert-file.crt")
    with (
        FaultServer(send_started_run, tls=certificates.create_valid_context()) as server,
        pytest.raises(RequestNotSentError) as caught,
    ):
        Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})
    assert "cannot be trusted" in str(caught.value)
    assert caught.value.hint.startswith("SSL_CERT_FILE names a missing file: /no-cert-file.crt. ")


def test_ca_file_without_issuer_is_reported(
    certificates: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A valid file without the server's authority gives a suggestion."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    with (
        FaultServer(send_started_run, tls=certificates.create_valid_context()) as server,
        pytest.raises(RequestNotSentError) as caught,
    ):
        Transport(server.url, SECRETS, LONG_TIMEOUTS).post("/test/a/run", {})
    expected = (
        f"REQUESTS_CA_BUNDLE replaces the public CA certificates. Add the host's CA certificate to {certifi.where()}"
    )
    assert caught.value.hint.startswith(expected)


def test_valid_ca_file_is_not_examined(
    certificates: CertificateAuthority, trusted_authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is examined only after an error."""

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(errors, "find_ca_fault", fail)
    monkeypatch.setattr("autonoma_ci.net.certificates.read_head", fail)
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        assert run_job(tmp_path, server.url, ["a", "b"]).code == 0


def test_unusable_ca_file_is_examined_once(
    certificates: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All runs share one examination of the file."""
    path = tmp_path / "ca.pem"
    path.write_bytes(make_damaged_pem(certificates.authority_file))
    read_paths: list[Path] = []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))

    def record_read(path: Path, _: int) -> bytes:
        read_paths.append(path)
        return path.read_bytes()

    monkeypatch.setattr("autonoma_ci.net.certificates.read_head", record_read)
    with FaultServer(send_started_run, tls=certificates.create_valid_context()) as server:
        job = run_job(tmp_path, server.url, [f"t{number}" for number in range(20)], "--concurrency", "1")
    assert set(job.states.values()) == {"not-started"}
    assert (job.code, len(read_paths)) == (5, 1)


def test_poll_with_missing_ca_file_has_suggestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that fails for its CA file has the suggestion too."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    client = AutonomaClient(Transport("https://127.0.0.1:9", SECRETS, LONG_TIMEOUTS), "ci", SECRETS)
    status = client.poll_status(RunRequest(TargetKind.TEST, "a"), "r")
    assert status.status is PollStatus.UNAVAILABLE
    assert status.suggestion.startswith("Check the path.")


def test_folder_list_is_not_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of folders fails at once, because a retry would fail too."""

    def fail(_: float) -> None:
        raise AssertionError

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ApiError) as caught:
        list_folders(Transport("https://127.0.0.1:9", SECRETS, LONG_TIMEOUTS), NO_SECRETS, fail)
    assert "REQUESTS_CA_BUNDLE names a missing file: /nowhere/ca.pem. Check the path." in str(caught.value)


def test_comment_and_wait_report_ca_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comment and wait-for-url report the same fault."""
    path = tmp_path / "ca.pem"
    path.touch()
    clock = FakeClock()
    suggestions = {"an empty file": "Check the secret or the download.", "a missing file": "Check the path."}
    for value, description in ((path, "an empty file"), (tmp_path / "none.pem", "a missing file")):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(value))
        expected = f"REQUESTS_CA_BUNDLE names {description}: {value}"
        with pytest.raises(RestError) as caught:
            RestClient("https://127.0.0.1:9", {}, Clock()).request("GET", "/user")
        assert str(caught.value) == expected
        assert caught.value.hint
        assert not caught.value.is_retryable
        result = wait_for_url("https://127.0.0.1:9", 0.0, clock.monotonic, clock.sleep, lambda _: None)
        assert result
        assert result.reason.endswith(f": {expected}")
        assert suggestions[description] in result.suggestion
