"""A wheel on a package index, chosen from the page that lists a project's files."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

INDEX = "https://pypi.org/simple"
"""pip's own default; PIP_INDEX_URL in the environment goes before it."""
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
UV_TAGS = {
    ("linux", "x86_64"): "manylinux.*_x86_64", ("linux", "aarch64"): "manylinux.*_aarch64",
    ("darwin", "arm64"): "macosx.*_arm64", ("darwin", "x86_64"): "macosx.*_x86_64",
    ("win32", "amd64"): "win_amd64", ("win32", "arm64"): "win_arm64",
}  # fmt: skip
"""End of the names of uv's wheels, by system and processor."""
RELEASE = re.compile(r"\d+(\.\d+)*$")
LOGIN = re.compile(r"(\w://)[^/\s'\"]+@")
"""User and password within an address."""


class Wheel(NamedTuple):
    """A file of an index."""

    name: str
    url: str
    sha256: str
    """Empty where the index does not say."""


def index_of(variables: Dict[str, str]) -> str:
    """Return the address of the package index."""
    return (variables.get("PIP_INDEX_URL") or INDEX).rstrip("/")


def without_login(text: str) -> str:
    """Return a text whose addresses have neither user nor password, as for a log."""
    return LOGIN.sub(r"\1***@", text)


def hosts_of(listed: Any) -> str:
    """Return the hosts of addresses, with commas between them.

    Args:
        listed: Addresses, or a single one, which is how Qt's settings give a list of one.
    """
    some = [listed] if isinstance(listed, str) else listed or []
    return ",".join(urlsplit(one).hostname or one for one in some if isinstance(one, str) and one)


def tags_of(project: str, system: str, cpu: str) -> Optional[str]:
    """Return the pattern that the tags of a fitting wheel match; None where there is none."""
    return "none-any" if project == "pip" else UV_TAGS.get((system, cpu.lower()))


def newest(page: str, address: str, tags: str) -> Optional[Wheel]:
    """Return the newest release of a project whose wheel's tags match, or None.

    Args:
        page: What the index answered: JSON, or HTML.
        address: Of the page, for links that are relative to it.
        tags: A pattern for the end of the name.
    """
    fitting: List[Tuple[Tuple[int, ...], Wheel]] = []
    for wheel in listed(page, address):
        parts = wheel.name[: -len(".whl")].split("-") if wheel.name.endswith(".whl") else []
        release = len(parts) >= 5 and RELEASE.match(parts[1])
        if release and re.search(tags + "$", wheel.name[: -len(".whl")]):
            fitting.append((tuple(map(int, parts[1].split("."))), wheel))
    return max(fitting)[1] if fitting else None


def listed(page: str, address: str) -> List[Wheel]:
    """Return the files that a page of an index names and nobody has withdrawn."""
    if page.lstrip().startswith("{"):
        try:
            files: List[Dict[str, Any]] = json.loads(page)["files"]
        except (ValueError, KeyError):
            return []
        return [
            Wheel(one["filename"], urljoin(address, one["url"]), one["hashes"].get("sha256", ""))
            for one in files
            if not one.get("yanked")
        ]
    links = _Links()
    links.feed(page)
    found = []
    for link in links.found:
        url, fragment = urldefrag(urljoin(address, link))
        kind, _, value = fragment.partition("=")
        name = unquote(url.rpartition("/")[2])
        found.append(Wheel(name, url, value if kind == "sha256" else ""))
    return found


class _Links(HTMLParser):
    """Collects the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: List[str] = []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href") and "data-yanked" not in given:
            self.found.append(str(given["href"]))
