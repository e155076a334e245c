"""Makes ``geoiseg/web/vendor.tar.xz``: the libraries of the page, from npm, with their licences.

Run ``npm run vendor`` here. ``npm ci`` checks every package against the hashes in
``package-lock.json``; the archive is the same byte for byte whoever makes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
TARGET = HERE.parent / "geoiseg" / "web" / "vendor.tar.xz"
BUNDLED = {
    "geotiff.js": "export * from 'geotiff'",
    "proj4.js": "export { default } from 'proj4'",
    "flatgeobuf.js": "export * from 'flatgeobuf/lib/mjs/geojson.js'",
    "leaflet.js": "export * from 'leaflet/dist/leaflet-src.esm.js'",
}
"""Modules that are made of packages, and what they export."""
COPIED = {
    "ort.js": "onnxruntime-web/dist/ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs": "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "opencv.js": "@techstark/opencv-js/dist/opencv.js",
    "leaflet.css": "leaflet/dist/leaflet.css",
}
"""Files that are taken as they are."""
TEXTS = {"license", "licence", "license.md", "license.txt", "copying", "notice"}
KNOWN = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "0BSD", "Zlib", "CC0-1.0"}
"""Licences that may go into the page."""


def main() -> None:
    """Write the archive."""
    subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=HERE, check=True)
    with tempfile.TemporaryDirectory(dir=HERE) as scratch:
        folder = Path(scratch)
        used = {path.split("/dist/")[0] for path in COPIED.values()}
        for name, source in BUNDLED.items():
            used |= bundle(name, source, folder)
        for name, source in COPIED.items():
            shutil.copy(PACKAGES / source, folder / name)
        (folder / "LICENCES.txt").write_text(licences(sorted(used)))
        hashes = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
        }
        (folder / "vendor.json").write_text(json.dumps(hashes, indent=2) + "\n")
        TARGET.write_bytes(packed(sorted(folder.iterdir())))
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes of {len(hashes)} files")


def bundle(name: str, source: str, folder: Path) -> set[str]:
    """Write one module made of a package and return the packages that are in it."""
    meta = folder / "meta.json"
    options = ["--bundle", "--format=esm", "--minify", "--target=es2022",
               "--legal-comments=none", "--platform=browser", f"--outfile={folder / name}",
               f"--metafile={meta}"]  # fmt: skip
    command = [str(PACKAGES / ".bin" / "esbuild"), *options]
    subprocess.run(command, cwd=HERE, input=source, text=True, check=True)
    inputs = json.loads(meta.read_text())["inputs"]
    meta.unlink()
    found = set()
    for path in inputs:
        parts = path.split("node_modules/")[-1].split("/")
        if "node_modules/" in path:
            found.add("/".join(parts[: 2 if parts[0].startswith("@") else 1]))
    return found


def licences(packages: list[str]) -> str:
    """Return name, version and licence in full of each package."""
    texts = []
    for name in packages:
        folder = PACKAGES / name
        about = json.loads((folder / "package.json").read_text())
        licence = about.get("license", "none")
        if not set(re.findall(r"[\w.-]+", licence)) - {"AND", "OR"} <= KNOWN:
            raise SystemExit(f"{name} is under {licence!r}: is that permissive?")
        own = [path for path in sorted(folder.iterdir()) if path.name.lower() in TEXTS]
        text = "\n\n".join(path.read_text() for path in own) or f"SPDX: {licence}"
        texts.append(f"{name} {about['version']}, {licence}\n\n{text.strip()}\n")
    return f"\n{'-' * 72}\n\n".join(texts)


def packed(files: list[Path]) -> bytes:
    """Return a tar archive, compressed, that depends on names and contents alone."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in files:
            about = tarfile.TarInfo(path.name)
            about.size, about.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(about, content)
    return lzma.compress(archive.getvalue(), preset=9)


if __name__ == "__main__":
    main()
