"""The web server behind ``geoiseg app``: Voila for one map, behind a locked door.

Voila by itself serves its static files and, by suffix, files of the notebook's folder to
anybody. Here every request, of a page, a file or a socket, passes ``Door`` first: without
the token there is an answer 403 and nothing else, and of what Voila can serve only the
parts that the map's page needs are reachable.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import tornado.ioloop
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.netutil import bind_sockets
from tornado.routing import Router
from tornado.web import Application, RequestHandler
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from geoiseg.errors import GeoisegError

log = logging.getLogger(__name__)

KERNEL = "geoiseg"
DEFAULT_PORT = 8866
MORE_PORTS = 20
"""How many further ports are tried when nobody asked for one."""
LARGEST_MESSAGE = 96 << 20
"""Bytes of a message from the page: an uploaded layer in one piece."""
PING = 30_000
"""How long a ping may go unanswered: no longer than from one to the next, or tornado warns."""
PUBLIC = (
    re.compile(r"/"),
    re.compile(r"/api/kernels/[\w-]+(/channels)?"),
    re.compile(r"/voila/(static|templates|labextensions|api/themes)/[^/].*"),
    re.compile(r"/voila/api/shutdown/[\w-]+"),
)
"""Paths that the page needs; nothing else is served, token or not."""
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' ws: wss:"
    " data: blob:; frame-ancestors 'self'; form-action 'self'; base-uri 'self'"
)
"""The page gets nothing from other hosts, icon fonts of the template included."""


class PortError(GeoisegError, OSError):
    """The server can not listen where it was asked to."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int | None = None
    """None for the default or the next free one; 0 for any."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    def url(self, port: int, token: str) -> str:
        """Return what to open in a browser."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"


class Door(Router):
    """Lets requests in that carry the token, or the cookie that it was changed for."""

    def __init__(self, inner: Router, token: str) -> None:
        self._inner = inner
        self._token = token
        self._ticket = secrets.token_urlsafe(32)
        self._cookie = f"geoiseg-{secrets.token_hex(4)}"
        enter = {"cookie": self._cookie, "ticket": self._ticket}
        self._enter = Application([(r"/", _Enter, enter)])
        self._refuse = _answering(403, "This page needs the address that geoiseg app printed.")
        self._missing = _answering(404, "There is nothing here.")

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """Return who answers a request."""
        if request.path == "/" and request.method == "GET" and self._has_token(request):
            return self._enter.find_handler(request)
        if not self._has_ticket(request):
            log.warning("refused %s from %s", request.method, request.remote_ip)
            return self._refuse.find_handler(request)
        path = unquote(unquote(request.path))
        if _is_devious(path) or not any(allowed.fullmatch(path) for allowed in PUBLIC):
            return self._missing.find_handler(request)
        return self._inner.find_handler(request, **kwargs)

    def _has_token(self, request: HTTPServerRequest) -> bool:
        given = request.query_arguments.get("token", [])
        return len(given) == 1 and hmac.compare_digest(given[0], self._token.encode())

    def _has_ticket(self, request: HTTPServerRequest) -> bool:
        try:
            cookies = SimpleCookie(request.headers.get("Cookie", ""))
        except CookieError:
            return False
        ticket = cookies.get(self._cookie)
        if ticket is None:
            return False
        return hmac.compare_digest(ticket.value.encode(), self._ticket.encode())


def _is_devious(path: str) -> bool:
    """Return whether a path tries to leave its folder."""
    return ".." in path.split("/") or any(c in path for c in "\\\0:~") or "//" in path


class _Enter(RequestHandler):
    """Changes the token for a cookie, so that it is in no address from then on."""

    def initialize(self, cookie: str, ticket: str) -> None:
        self._pair = cookie, ticket

    def get(self) -> None:
        self.set_cookie(*self._pair, httponly=True, samesite="Lax", path="/")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        self.redirect("/")


def _answering(status: int, line: str) -> Application:
    class Answer(RequestHandler):
        def prepare(self) -> None:
            self.set_status(status)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(line + "\n")

    return Application([(r".*", Answer)])


class OwnKernel(KernelSpecManager):
    """Knows one kernel: the Python that geoiseg runs in, whatever else is installed."""

    def find_kernel_specs(self) -> dict[str, str]:
        """Return the kernel and a folder for it."""
        return {KERNEL: str(Path(__file__).parent)}

    def get_kernel_spec(self, kernel_name: str) -> Any:
        """Return how to start it."""
        if kernel_name != KERNEL:
            raise NoSuchKernel(kernel_name)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        command.append("--IPKernelApp.log_level=ERROR")  # or it tells every user of its sockets
        return KernelSpec(argv=command, display_name="geoiseg", language="python")


class OneMap(TornadoVoilaHandler):  # type: ignore[misc]
    """Shows the map in one page at a time: two would write the same project file."""

    turn = asyncio.Lock()

    async def get(self, path: str | None = None) -> None:
        """Stop the map of an older page, if any, and start this one's."""
        async with self.turn:
            await self.kernel_manager.shutdown_all()
            await super().get(path)


class MapServer(Voila):  # type: ignore[misc]
    """Voila with one notebook, one user and one door."""

    def __init__(
        self, address: Address, token: str, ready: Callable[[str], None], **traits: Any
    ) -> None:
        super().__init__(**traits)
        self._address = address
        self._token = token
        self._ready = ready

    def init_handlers(self) -> list[Any]:
        """Return Voila's handlers with the page's replaced."""
        swap = {TornadoVoilaHandler: OneMap}
        found = super().init_handlers()
        return [(rule[0], swap.get(rule[1], rule[1]), *rule[2:]) for rule in found]

    def listen(self) -> None:
        """Serve until interrupted."""
        sockets, self.port = _bind(self._address)
        server = HTTPServer(Door(self.app, self._token))
        server.add_sockets(sockets)
        self.ioloop = tornado.ioloop.IOLoop.current()
        self.ioloop.add_callback(self._ready, self._address.url(self.port, self._token))
        try:
            self.ioloop.start()
        except KeyboardInterrupt:
            log.info("stopping")
        finally:
            server.stop()
            self.stop()


def _bind(address: Address) -> tuple[list[Any], int]:
    """Return listening sockets and their port.

    Raises:
        PortError: The address is not this machine's, or the port is taken.
    """
    first = DEFAULT_PORT if address.port is None else address.port
    last = first + MORE_PORTS if address.port is None else first
    for port in range(first, last + 1):
        try:
            sockets = bind_sockets(port, address.host)
        except OSError as error:
            if port == last:
                reason = f"can not listen on {address.host} port {port}: {error.strerror or error}"
                raise PortError(f"{reason}; choose another with --host or --port") from error
        else:
            return sockets, int(sockets[0].getsockname()[1])
    raise AssertionError("unreachable")


def serve(notebook: Path, address: Address, ready: Callable[[str], None]) -> None:
    """Show a notebook as a page until interrupted.

    Args:
        notebook: Its kernel is called ``geoiseg``; alone in its folder.
        address: Where to listen.
        ready: Called with the address to open once it can be.

    Raises:
        PortError: The server can not listen there.
    """
    config = Config()
    config.Voila.config_file_paths = []
    verbose = log.isEnabledFor(logging.INFO)
    config.Voila.log_level = logging.INFO if verbose else logging.ERROR
    logging.getLogger("tornado.access").setLevel(logging.INFO if verbose else logging.CRITICAL)
    config.Voila.open_browser = False
    config.Voila.token = ""  # the door asks for one
    config.Voila.root_dir = str(notebook.parent)
    config.Voila.connection_dir_root = str(notebook.parent)
    config.Voila.tornado_settings = {
        "headers": {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"},
        "websocket_max_message_size": LARGEST_MESSAGE,
        "ws_ping_timeout": PING,
    }
    config.VoilaConfiguration.kernel_spec_manager_class = OwnKernel
    config.VoilaConfiguration.file_allowlist = []
    config.VoilaConfiguration.show_margins = False
    server = MapServer(address, secrets.token_urlsafe(24), ready, config=config)
    server.initialize([str(notebook)])
    server.start()
