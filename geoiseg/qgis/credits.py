"""Whom a map service's pictures are by, and its terms: as its list of what it can says it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional
from urllib.parse import parse_qs, unquote, urlsplit

from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QObject, QUrl, pyqtSignal
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest
from qgis.PyQt.QtXml import QDomDocument, QDomElement

LARGEST = 20 << 20
"""Bytes of such a list, at most."""
NOTHING = ("", "none", "no conditions apply")
"""Terms that say nothing."""


class Credits(QObject):
    """Asks services for their credits, once each, beside everything else."""

    changed = pyqtSignal()
    """Credits have come."""

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._known: Dict[str, str] = {}
        self._replies: List[Any] = []

    @property
    def busy(self) -> bool:
        """Whether a service is being asked."""
        return bool(self._replies)

    def of(self, layer: Any) -> str:
        """Return the credits of a WMS or WMTS layer; empty where there are none, or not yet."""
        source = layer.source() if layer is not None else ""
        if layer is None or layer.providerType() != "wms" or "type=xyz" in source:
            return ""
        if source not in self._known:
            self._known[source] = ""
            self._ask(source)
        return self._known[source]

    def clear(self) -> None:
        """Ask no longer."""
        replies, self._replies = self._replies, []
        for reply in replies:
            reply.abort()

    def _ask(self, source: str) -> None:
        url = list_of(source)
        if not url:
            return
        request = QNetworkRequest(QUrl(url))
        login = parse_qs(source).get("authcfg", [""])[0]
        if login and not QgsApplication.authManager().updateNetworkRequest(request, login)[0]:
            return
        reply: Any = QgsNetworkAccessManager.instance().get(request)
        reply.finished.connect(lambda: self._heard(source, reply))
        self._replies.append(reply)

    def _heard(self, source: str, reply: Any) -> None:
        reply.deleteLater()
        if reply not in self._replies:
            return
        self._replies.remove(reply)
        if reply.error() == QNetworkReply.NetworkError.NoError:
            said = bytes(reply.readAll())
            names = parse_qs(source).get("layers", [])
            self._known[source] = credits_in(said, names[0] if names else "")
            if self._known[source]:
                self.changed.emit()


def list_of(source: str) -> str:
    """Return where a service lists what it can; empty where a source names no service."""
    url = parse_qs(source).get("url", [""])[0]
    if urlsplit(url).scheme not in ("http", "https"):
        return ""
    lower = unquote(url).lower()
    if "request=getcapabilities" in lower or urlsplit(lower).path.endswith(".xml"):
        return url
    kind = "WMTS" if "tilematrixset" in source.lower() else "WMS"
    mark = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{mark}SERVICE={kind}&REQUEST=GetCapabilities"


def credits_in(said: bytes, layer: str) -> str:
    """Return whom a layer is by and under which terms, from a service's list; empty for neither."""
    document = QDomDocument()
    if len(said) > LARGEST:
        return ""
    read: Any = document.setContent(said, False)
    if not (read[0] if isinstance(read, tuple) else read):  # Qt 5 says more than whether
        return ""
    root = document.documentElement()
    whom = _of_layer(root, layer) or next(
        filter(None, (_first(root, name) for name in
                      ("ContactOrganization", "ProviderName", "ContactPerson"))), ""
    )  # fmt: skip
    terms = _first(root, "AccessConstraints")
    parts = [whom, "" if terms.lower() in NOTHING else terms]
    return "; ".join(" ".join(part.split()) for part in parts if part)


def _of_layer(root: QDomElement, layer: str) -> str:
    """Return the attribution of a layer, or of one that it lies in."""
    found = root.elementsByTagName("Layer")
    for number in range(found.count()):
        node = found.at(number).toElement()
        if _child(node, "Name").text() != layer:
            continue
        while not node.isNull() and node.nodeName() == "Layer":
            title = _child(_child(node, "Attribution"), "Title").text().strip()
            if title:
                return str(title)
            node = node.parentNode().toElement()
    return ""


def _child(node: QDomElement, name: str) -> QDomElement:
    return node.firstChildElement(name)


def _first(root: QDomElement, name: str) -> str:
    """Return the text of the first element of a name, with the prefix that WMTS has or without."""
    for one in (name, f"ows:{name}"):
        found = root.elementsByTagName(one)
        if found.count():
            return str(found.at(0).toElement().text()).strip()
    return ""
