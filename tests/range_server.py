"""A file server that answers byte ranges. Run: ``python range_server.py FOLDER``.

Prints its port; ``/sent`` tells how many bytes it has sent.
"""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Ranges(BaseHTTPRequestHandler):
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    sent = 0

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = self.root / self.path.lstrip("/")
        if self.path == "/sent":
            content = str(self.sent).encode()
        elif path.is_file():
            content = path.read_bytes()
        else:
            self.send_error(404)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, len(content) - 1
        if wanted:
            first, last = int(wanted[1]), min(last, int(wanted[2] or last))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if body:
            type(self).sent += last - first + 1
            self.wfile.write(content[first : last + 1])

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    print(server.server_port, flush=True)
    server.serve_forever()
