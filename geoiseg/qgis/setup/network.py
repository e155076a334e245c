"""QGIS's proxy and certificates, as pip and uv take them, and what is fetched through QGIS."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Optional
from urllib.parse import quote

from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import (
    QNetworkProxy,
    QNetworkProxyFactory,
    QNetworkProxyQuery,
    QNetworkReply,
    QNetworkRequest,
)

from .index import hosts_of

CERTIFICATES = "certificates.pem"
"""What QGIS trusts, for pip and uv, beside the environment."""
JUMPS = 10
"""How often an address may lead to another one."""


def proxy_variables(
    scheme: str, host: str, port: int, user: str = "", password: str = "", direct: str = ""
) -> Dict[str, str]:
    """Return the variables that name a proxy; none where there is no host.

    Args:
        scheme: ``http`` or ``socks5``.
        host: Of the proxy.
        port: Of the proxy; 0 for the usual one.
        user: Who asks, if the proxy wants to know.
        password: Of the user.
        direct: Hosts that are reached without it, separated by commas.
    """
    if not host:
        return {}
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    address = f"{scheme}://{login}{host}{f':{port}' if port else ''}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    found = dict.fromkeys(names, address)
    return {**found, **({"NO_PROXY": direct, "no_proxy": direct} if direct else {})}


def network_variables(folder: Path, address: str) -> Dict[str, str]:
    """Return what makes pip and uv use QGIS's proxy and certificates.

    Args:
        folder: Where the certificates are written.
        address: Of the package index.
    """
    return {**_proxy(address), **_certificates(folder)}


def _proxy(address: str) -> Dict[str, str]:
    settings = QgsSettings()
    if not settings.value("proxy/proxyEnabled", False, type=bool):
        return {}
    manager = QgsNetworkAccessManager.instance()
    manager.setupDefaultProxyAndCache()
    if settings.value("proxy/proxyType", "", type=str) == "DefaultProxy":
        query = QNetworkProxyQuery(QUrl(address))
        proxies = QNetworkProxyFactory.systemProxyForQuery(query)
        proxy = proxies[0] if proxies else QNetworkProxy()
    else:
        proxy = manager.fallbackProxy()
    socks = proxy.type() == QNetworkProxy.ProxyType.Socks5Proxy
    return proxy_variables(
        "socks5" if socks else "http", proxy.hostName(), proxy.port(), proxy.user(),
        proxy.password(), hosts_of(settings.value("proxy/noProxyUrls", [])),
    )  # fmt: skip


def _certificates(folder: Path) -> Dict[str, str]:
    """Return where the certificates are that QGIS trusts: the system's and the user's own."""
    auth = QgsApplication.authManager()
    if auth is None or auth.isDisabled():
        return {}
    text = bytes(auth.trustedCaCertsPemText())
    if b"BEGIN CERTIFICATE" not in text:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / CERTIFICATES
    place.write_bytes(text)
    return dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(place))


class Reading:
    """An address that is being read through QGIS's network; can be called off.

    Args:
        url: The address.
        accept: Kinds of answers that are understood.
        then: Called with the content, or None and why not.
    """

    def __init__(self, url: str, accept: str, then: Callable[[Optional[bytes], str], Any]) -> None:
        self._then = then
        self._accept = accept.encode()
        self._jumps = 0
        self._reply: Any = None
        self._read(QUrl(url))

    def stop(self) -> None:
        """Call it off; nobody is told."""
        self._then = lambda *_: None
        self._reply.abort()

    def _read(self, url: QUrl) -> None:
        request = QNetworkRequest(url)
        request.setRawHeader(b"Accept", self._accept)
        self._reply = QgsNetworkAccessManager.instance().get(request)
        self._reply.finished.connect(self._finished)

    def _finished(self) -> None:
        reply = self._reply
        jump = reply.attribute(QNetworkRequest.Attribute.RedirectionTargetAttribute)
        if jump is not None and jump.isValid():
            onward = reply.url().resolved(jump)
            reply.deleteLater()
            self._jumps += 1
            if self._jumps > JUMPS or (reply.url().scheme(), onward.scheme()) == ("https", "http"):
                self._then(None, f"it leads to {onward.host()}")
                return
            self._read(onward)
            return
        if reply.error() == QNetworkReply.NetworkError.NoError:
            self._then(bytes(reply.readAll()), "")
        else:
            self._then(None, reply.errorString())
        reply.deleteLater()
