"""A server that responds to every start request after a fixed time.

It is for benchmarks only. The argument is the time in seconds.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Responds as the API does."""

    protocol_version = "HTTP/1.1"
    seconds = 0.0

    def do_POST(self) -> None:
        """Respond to a start request."""
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.seconds)
        # Each run has its own id.
        run = f"run-of-{self.path.split('/')[-2]}"
        body = f'{{"message": "ok", "url": "https://autonoma.app/run/{run}", "run_id": "{run}"}}'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(f"{head}{body}".encode())

    def log_message(self, *args: object) -> None:
        """Print nothing, because printing would be measured too."""


class Server(ThreadingHTTPServer):
    """Accepts many connections at a time."""

    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    Handler.seconds = float(sys.argv[1])
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
