"""Networks of SAM's kind as pairs of ONNX graphs, which run without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import Model

if TYPE_CHECKING:
    from geoiseg.models.exported.int8 import Int8

__all__ = ["export_model", "load_exported"]


def load_exported(folder: Path, name: str, options: ModelOptions) -> Model:
    """Return the model whose graphs are in a folder.

    Args:
        folder: What ``export_model`` wrote.
        name: Name the model goes by in the registry and in provenance.
        options: Device, precision and backend. ``auto`` runs the image encoder in OpenVINO
            where that is installed and there is no GPU for onnxruntime, in bfloat16 where
            the CPU multiplies it.

    Raises:
        WeightsError: A file is missing or is not what the card says.
        MissingExtraError: OpenVINO was asked for and is not installed.
        ModelError: The device, precision or backend can not be had.
    """
    from geoiseg.models.exported.load import load

    return load(Path(folder), name, options)


def export_model(
    name: str | Path, out: Path, options: ModelOptions | None = None, int8: Int8 | None = None
) -> None:
    """Write the graphs of a model and a card into a new folder, which is then a model itself.

    Args:
        name: In the catalogue, or the path of a checkpoint; for int8 also the folder of a
            model that was exported in fp32.
        out: Folder to make.
        options: How it is to be run: the same graphs serve every backend, but an int8
            encoder is tried in this one.
        int8: How to make the image encoder int8; by default it stays fp32.

    Raises:
        WeightsError: The weights are not here, damaged, or of an architecture that can not
            be exported.
        MissingExtraError: torch or onnx is not installed.
        ExportError: The folder is there already, or can not be written; or int8's masks
            are too unlike those of fp32.
    """
    from geoiseg.models.exported.export import export

    export(name, Path(out), options or ModelOptions(), int8)
