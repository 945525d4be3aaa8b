"""Certificates for tests from the openssl command."""

from __future__ import annotations

import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = """\
[ca]
default_ca = here
[here]
database = {folder}/index.txt
new_certs_dir = {folder}
default_md = sha256
policy = any
rand_serial = yes
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
CN = autonoma-ci test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""
LOCAL_NAMES = "IP:127.0.0.1, DNS:localhost, DNS:autonoma.test, DNS:*.autonoma.test"
_VALID = ("20200101000000Z", "21200101000000Z")
_EXPIRED = ("20200101000000Z", "20200102000000Z")


class CertificateAuthority:
    """A certificate authority in `folder`. Clients trust the file `authority_file`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.authority_file = folder / "authority.pem"
        folder.joinpath("index.txt").touch()
        self._issue("authority", "authority", LOCAL_NAMES, _VALID, self_signed=True)

    def create_valid_context(self) -> ssl.SSLContext:
        """Return a server context with a certificate for this machine."""
        return self._create_context("good", LOCAL_NAMES, _VALID)

    def create_expired_context(self) -> ssl.SSLContext:
        """Return a server context with an expired certificate."""
        return self._create_context("expired", LOCAL_NAMES, _EXPIRED)

    def create_other_host_context(self) -> ssl.SSLContext:
        """Return a server context with a certificate for another host."""
        return self._create_context("other", "DNS:other.test", _VALID)

    def create_self_signed_context(self) -> ssl.SSLContext:
        """Return a server context with a self-signed certificate."""
        return self._create_context("self", LOCAL_NAMES, _VALID, self_signed=True)

    def _create_context(
        self, name: str, names: str, days: tuple[str, str], *, self_signed: bool = False
    ) -> ssl.SSLContext:
        # Tests that run several jobs at once call this from several threads.
        with self._lock:
            if name not in self._contexts:
                self._issue(name, "server", names, days, self_signed=self_signed)
                context = self._contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self._folder / f"{name}.pem", self._folder / f"{name}.key")
            return self._contexts[name]

    def _issue(self, name: str, extensions: str, names: str, days: tuple[str, str], *, self_signed: bool) -> None:
        config = self._folder / f"{name}.cnf"
        config.write_text(_CONFIG.format(folder=self._folder, names=names))
        request, key, certificate = (self._folder / f"{name}.{end}" for end in ("csr", "key", "pem"))
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _openssl("req", "-new", *curve, "-config", str(config), "-keyout", str(key), "-out", str(request))
        signer = ["-selfsign", "-keyfile", str(key)]
        if not self_signed:
            signer = ["-cert", str(self.authority_file), "-keyfile", str(self._folder / "authority.key")]
        start, end = days
        validity = ["-startdate", start, "-enddate", end]
        files = ["-in", str(request), "-out", str(certificate)]
        _openssl(
            "ca", "-batch", "-notext", "-config", str(config), "-extensions", extensions, *signer, *validity, *files
        )


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
