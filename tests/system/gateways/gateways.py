"""Start Varnish, nginx and HAProxy as processes of one test.

Each gateway listens on a free loopback port and forwards to one backend port. All of its files are in the
test's folder. The configurations keep each program's defaults, except for the timeout and the folders.

Sources: varnishd(1) and vcl(7); ngx_http_proxy_module, https://nginx.org/en/docs/; the HAProxy
configuration manual, https://docs.haproxy.org/.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Debian installs all three into /usr/sbin, which is missing from the PATH of unprivileged users.
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
# Varnish compiles its configuration with a C compiler, which takes about 1 s on an idle machine.
MAX_START_SECONDS = 30.0
# Another process can bind the free port first. A second attempt uses another port.
MAX_START_ATTEMPTS = 3
# Every gateway answers this itself, with status 400, so the backend receives nothing.
PROBE = b"NONSENSE\r\n\r\n"

# No VCL beyond the backend: the builtin VCL answers a failed fetch with `503` and `Retry-After: 5`.
VARNISH = """\
vcl 4.1;
backend default {{
    .host = "127.0.0.1";
    .port = "{backend}";
    .first_byte_timeout = {milliseconds}ms;
}}
"""
# Debian compiles absolute paths of temporary folders into nginx, so each of them is set.
NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_read_timeout {milliseconds}ms;
        }}
    }}
}}
"""
# `timeout connect` is also the pause between the three default connection attempts to a closed port.
HAPROXY = """\
global
    maxconn 100
defaults
    mode http
    timeout connect 200ms
    timeout client 30s
    timeout server {milliseconds}ms
frontend gateway
    bind 127.0.0.1:{port}
    default_backend api
backend api
    server api 127.0.0.1:{backend}
"""


@dataclass(frozen=True)
class GatewayKind:
    """One gateway program and the status codes of its own error pages."""

    name: str
    executable: str
    package: str  # the Debian package
    template: str  # the configuration
    command: Callable[[Path, Path, int], list[str]]  # from the folder, the configuration and the port
    slow_status: int  # status when the backend exceeds the timeout
    down_status: int  # status when the backend refuses connections
    broken_status: int  # status when the backend closes the connection without a response


def _build_varnish_command(folder: Path, configuration: Path, port: int) -> list[str]:
    # As root, varnishd changes its user, and that user may not enter the folder. `-j none` prevents it.
    # The other options keep memory low (by default 80 MB of log and 100 threads) and open no command port.
    memory_options = ["-s", "malloc,8m", "-p", "vsl_space=1M", "-p", "thread_pools=1", "-p", "thread_pool_min=10"]
    port_options = ["-a", f"127.0.0.1:{port}", "-T", "none"]
    return ["-F", "-j", "none", "-n", str(folder / "varnish"), "-f", str(configuration), *port_options, *memory_options]


def _build_nginx_command(folder: Path, configuration: Path, port: int) -> list[str]:
    return ["-p", str(folder), "-c", str(configuration), "-e", "stderr"]


def _build_haproxy_command(folder: Path, configuration: Path, port: int) -> list[str]:
    return ["-db", "-f", str(configuration)]


GATEWAY_KINDS = (
    GatewayKind(
        "varnish",
        "varnishd",
        "varnish",
        VARNISH,
        _build_varnish_command,
        slow_status=503,
        down_status=503,
        broken_status=503,
    ),
    GatewayKind(
        "nginx",
        "nginx",
        "nginx-light",
        NGINX,
        _build_nginx_command,
        slow_status=504,
        down_status=502,
        broken_status=502,
    ),
    GatewayKind(
        "haproxy",
        "haproxy",
        "haproxy",
        HAPROXY,
        _build_haproxy_command,
        slow_status=504,
        down_status=503,
        broken_status=502,
    ),
)


class Gateway:
    """Run one gateway inside a `with` block.

    All of its files are in `folder`. It forwards to the port `backend` on loopback and waits `timeout_seconds` for a
    response. A program that is missing or cannot start raises AssertionError, so that the test fails instead of being
    skipped.
    """

    def __init__(self, kind: GatewayKind, folder: Path, backend: int, timeout_seconds: float) -> None:
        self.kind, self.port = kind, 0
        self._folder, self._backend, self._timeout_seconds = folder, backend, timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        executable = _find_executable(self.kind)
        for _ in range(MAX_START_ATTEMPTS):
            try:
                if self._start(executable):
                    return self
            except BaseException:
                self._stop()
                raise
            self._stop()
        raise AssertionError(f"{self.kind.name} does not start:\n{self._log.read_text('utf-8', 'replace')}")

    def __exit__(self, *exc: object) -> None:
        self._stop()

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.kind.name}.log"

    def _start(self, executable: str) -> bool:
        """Start the process, and return whether it responds."""
        self.port = _find_free_port()
        configuration = self._folder / f"{self.kind.name}.conf"
        values = {"folder": self._folder, "port": self.port, "backend": self._backend}
        text = self.kind.template.format(**values, milliseconds=round(self._timeout_seconds * 1000))
        configuration.write_text(text, "utf-8")
        command = [executable, *self.kind.command(self._folder, configuration, self.port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # one process group for the program and its workers
            )
        deadline = time.monotonic() + MAX_START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if _is_responding(self.port):
                return True
            time.sleep(0.02)
        return False

    def _stop(self) -> None:
        """Kill the program and its workers."""
        process, self._process = self._process, None
        if process is None:
            return
        # SIGKILL, because nothing outside the test's folder needs cleaning up and no worker can ignore it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _find_executable(kind: GatewayKind) -> str:
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}"
    executable = shutil.which(kind.executable, path=path)
    assert executable, f"{kind.executable} is not installed. Install the Debian package {kind.package}."
    return executable


def _find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _is_responding(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as probe:
        probe.sendall(PROBE)
        return probe.recv(1024).startswith(b"HTTP/1.")
    return False
