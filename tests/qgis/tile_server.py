"""A small server of maps for the tests, z/x/y, WMS and WMTS: one bright disk on dark ground."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import numpy as np
from PIL import Image

HALF = 20037508.342789244
"""Half of the side of the map of the Earth in EPSG:3857, in metres."""
SIDE = 256
OWNER = "The Map Office"
"""Whom the services say that their maps are by."""
TERMS = "Ask the office before you sell maps"
WMS = f"""<?xml version="1.0" encoding="UTF-8"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"
 xmlns:xlink="http://www.w3.org/1999/xlink">
<Service><Name>WMS</Name><Title>Maps</Title><OnlineResource xlink:href="{{url}}/wms"/><AccessConstraints>{TERMS}</AccessConstraints></Service>
<Capability><Request>
<GetCapabilities><Format>text/xml</Format><DCPType><HTTP><Get>
<OnlineResource xlink:href="{{url}}/wms?"/></Get></HTTP></DCPType></GetCapabilities>
<GetMap><Format>image/png</Format><DCPType><HTTP><Get>
<OnlineResource xlink:href="{{url}}/wms?"/></Get></HTTP></DCPType></GetMap></Request>
<Exception><Format>XML</Format></Exception>
<Layer><Title>All</Title><CRS>EPSG:3857</CRS>
<EX_GeographicBoundingBox><westBoundLongitude>-10</westBoundLongitude>
<eastBoundLongitude>20</eastBoundLongitude><southBoundLatitude>30</southBoundLatitude>
<northBoundLatitude>60</northBoundLatitude></EX_GeographicBoundingBox>
<BoundingBox CRS="EPSG:3857" minx="0" miny="6000000" maxx="600000" maxy="6500000"/>
<Layer><Name>disk</Name><Title>A disk</Title>
<Attribution><Title>{OWNER}</Title></Attribution></Layer></Layer></Capability>
</WMS_Capabilities>"""
WMTS = f"""<?xml version="1.0" encoding="UTF-8"?>
<Capabilities version="1.0.0" xmlns="http://www.opengis.net/wmts/1.0"
 xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:xlink="http://www.w3.org/1999/xlink">
<ows:ServiceIdentification><ows:Title>Maps</ows:Title><ows:ServiceType>OGC WMTS</ows:ServiceType>
<ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion>
<ows:AccessConstraints>none</ows:AccessConstraints></ows:ServiceIdentification>
<ows:ServiceProvider><ows:ProviderName>{OWNER}</ows:ProviderName></ows:ServiceProvider>
<Contents><Layer><ows:Title>A disk</ows:Title><ows:Identifier>disk</ows:Identifier>
<ows:WGS84BoundingBox><ows:LowerCorner>-10 30</ows:LowerCorner>
<ows:UpperCorner>20 60</ows:UpperCorner></ows:WGS84BoundingBox>
<Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style>
<Format>image/png</Format>
<TileMatrixSetLink><TileMatrixSet>web</TileMatrixSet></TileMatrixSetLink>
<ResourceURL format="image/png" resourceType="tile"
 template="{{url}}/wmts/{{{{TileMatrix}}}}/{{{{TileCol}}}}/{{{{TileRow}}}}.png"/></Layer>
<TileMatrixSet><ows:Identifier>web</ows:Identifier>
<ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>{{rows}}</TileMatrixSet></Contents>
</Capabilities>"""
MATRIX = """<TileMatrix><ows:Identifier>{zoom}</ows:Identifier>
<ScaleDenominator>{scale:.10f}</ScaleDenominator><TopLeftCorner>-{half} {half}</TopLeftCorner>
<TileWidth>256</TileWidth><TileHeight>256</TileHeight><MatrixWidth>{count}</MatrixWidth>
<MatrixHeight>{count}</MatrixHeight></TileMatrix>"""


@dataclass
class Tiles:
    """A disk, in EPSG:3857, and where it is served."""

    x: float = 250_000.0
    y: float = 6_250_000.0
    radius: float = 150.0
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Paths of the tiles that were served."""
    broken: bool = False
    """Whether the service says that it is out of order."""

    def tile(self, zoom: int, column: int, row: int) -> bytes:
        """Return a tile as PNG."""
        side = 2 * HALF / 2**zoom
        west, north = -HALF + column * side, HALF - row * side
        return self.picture((west, north - side, west + side, north), (SIDE, SIDE))

    def picture(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> bytes:
        """Return the map in a box of EPSG:3857, of ``(width, height)`` pixels, as PNG."""
        (west, south, east, north), (width, height) = box, size
        x = west + (np.arange(width) + 0.5) * (east - west) / width
        y = north - (np.arange(height) + 0.5) * (north - south) / height
        on = np.hypot(x[None, :] - self.x, y[:, None] - self.y) < self.radius
        noise = np.random.default_rng(abs(int(west + north))).normal(0, 6, (height, width, 3))
        colours = np.where(on[..., None], (170, 150, 90), (70, 90, 60)) + noise
        out = io.BytesIO()
        Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).save(out, "PNG")
        return out.getvalue()


def answer(tiles: Tiles, path: str) -> tuple[str, bytes]:
    """Return what kind of thing is at a path, and the thing; nothing where there is none."""
    place, _, query = path.partition("?")
    asked = {name.lower(): value[0] for name, value in parse_qs(query).items()}
    if place == "/wms" and asked.get("request") == "GetMap":
        west, south, east, north = map(float, asked["bbox"].split(","))
        size = int(asked["width"]), int(asked["height"])
        return "image/png", tiles.picture((west, south, east, north), size)
    if place == "/wms":
        return "text/xml", WMS.format(url=tiles.url).encode()
    if place == "/wmts.xml":
        rows = "".join(
            MATRIX.format(zoom=zoom, scale=559082264.0287178 / 2**zoom, count=2**zoom, half=HALF)
            for zoom in range(20)
        )
        return "text/xml", WMTS.format(url=tiles.url, rows=rows).encode()
    parts = place.removesuffix(".png").removeprefix("/wmts").strip("/").split("/")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return "", b""
    return "image/png", tiles.tile(*map(int, parts))


@contextmanager
def serving(tiles: Tiles) -> Iterator[Tiles]:
    """Serve tiles on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, data = ("", b"") if tiles.broken else answer(tiles, self.path)
            if not data:
                self.send_error(503)
                return
            tiles.asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tiles.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield tiles
    finally:
        server.shutdown()
        server.server_close()
