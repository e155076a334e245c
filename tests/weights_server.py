"""A server of weights with the faults that real ones have. Run: ``python weights_server.py FOLDER``.

Prints its port. A path is ``/FAULTS/FILE``, FAULTS being one or several of, joined by commas:
``plain``; ``cut=N``, the connection breaks after N bytes; ``slow=S``, S seconds before each piece
of 64 KiB; ``once=N``, the first N answers are 503; ``status=N``; ``weak``, no strong ETag; ``lie``,
ranges are ignored. ``/redirect?URL`` leads there. ``/log`` tells what was asked and sent.
``/api/models/ORG/NAME`` and ``/ORG/NAME/resolve/COMMIT/FILE`` serve FOLDER/ORG/NAME like
Hugging Face does; a request for a whole address is answered like a proxy would.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
LOG: list[dict[str, object]] = []
COUNTS: dict[str, int] = {}


class Weights(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        if self.path == "/log":
            self.reply(json.dumps(LOG).encode())
            return
        entry: dict[str, object] = {
            "path": self.path, "range": self.headers.get("Range"), "sent": 0,
            "if_range": self.headers.get("If-Range"), "method": self.command,
        }  # fmt: skip
        LOG.append(entry)
        path = urlsplit(self.path).path
        if path == "/redirect":
            self.send_response(302)
            self.send_header("Location", urlsplit(self.path).query)
            self.end_headers()
        elif path.startswith("/api/models/"):
            self.describe(path.removeprefix("/api/models/"))
        elif match := re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/(\w+)/(.+)", path):
            self.send_file(ROOT / match[1] / match[3], {"hub": match[2]}, entry, body)
        else:
            _, faults, name = path.split("/", 2)
            pairs = (fault.partition("=") for fault in faults.split(","))
            self.send_file(ROOT / name, {key: value for key, _, value in pairs}, entry, body)

    def describe(self, rest: str) -> None:
        repo = "/".join(rest.split("/")[:2])
        folder = ROOT / repo
        if not folder.is_dir():
            self.reply(b'{"error": "Repository not found"}', 404, "RepoNotFound")
        elif (folder / "gated").exists():
            self.reply(b'{"error": "Access to model is restricted"}', 403, "GatedRepo")
        else:
            files = []
            for file in sorted(folder.iterdir()):
                item: dict[str, object] = {"rfilename": file.name, "size": file.stat().st_size}
                if file.suffix in (".safetensors", ".pth"):
                    digest = hashlib.sha256(file.read_bytes()).hexdigest()
                    item["lfs"] = {"sha256": digest, "size": file.stat().st_size, "pointerSize": 9}
                files.append(item)
            licence = "cc-by-nc-4.0" if "restricted" in repo else "apache-2.0"
            card = {"license": licence}
            content = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": files,
                       "cardData": card, "tags": [], "private": False, "downloads": 0}  # fmt: skip
            self.reply(json.dumps(content).encode())

    def reply(self, content: bytes, status: int = 200, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_file(
        self, path: Path, faults: dict[str, str], entry: dict[str, object], body: bool
    ) -> None:
        COUNTS[self.path] = COUNTS.get(self.path, 0) + 1
        if "status" in faults or COUNTS[self.path] <= int(faults.get("once", 0)):
            self.send_error(int(faults.get("status", 503)))
            return
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", etag) == etag
        first, last = 0, len(content) - 1
        if wanted and same and "lie" not in faults:
            first, last = int(wanted[1]), min(last, int(wanted[2] or last))
            if first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", f"W/{etag}" if "weak" in faults else etag)
        if "hub" in faults:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        rest = content[first : last + 1] if body else b""
        if "cut" in faults:
            rest = rest[: int(faults["cut"])]
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(rest), 1 << 16):
                time.sleep(float(faults.get("slow", 0)))
                piece = rest[start : start + (1 << 16)]
                self.wfile.write(piece)
                entry["sent"] = int(str(entry["sent"])) + len(piece)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Weights)
    print(server.server_port, flush=True)
    server.serve_forever()
