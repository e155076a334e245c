"""What one process of ``benchmarks/sam.py`` does: prepare weights, or time one variant.

Neither torch nor OpenVINO is imported at the top: timed in one process they slow each other.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 1024
CLICK = (500.0, 400.0)
GRID = 8
"""Points along a side of the grid of 64 prompts."""
LOGIT = 5.0
"""Deviation that the random decoder's logits are given, as those of trained ones have."""


def picture(side: int = SIDE) -> np.ndarray:
    """Return ``(y, x, 3)`` uint8 with large and small structures."""
    import cv2

    rng = np.random.default_rng(0)
    image = np.zeros((side, side, 3), np.float32)
    for coarse in (6, 40, 200):
        noise = rng.normal(0, 35, (coarse, coarse, 3)).astype(np.float32)
        image += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + 120, 0, 255).astype(np.uint8)


def grid_points(side: int = SIDE) -> np.ndarray:
    """Return the ``(64, 2)`` places that are asked."""
    at = (np.arange(GRID) + 0.5) * side / GRID
    return np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)


@contextmanager
def timed(into: dict[str, float], name: str) -> Iterator[None]:
    """Note the wall and CPU (user and system) milliseconds of a block."""
    before, started = _cpu(), time.perf_counter()
    yield
    into[f"{name}_ms"] = (time.perf_counter() - started) * 1e3
    into[f"{name}_cpu_ms"] = (_cpu() - before) * 1e3


def median_of(run: Callable[[], object], name: str, into: dict[str, float], spend: float) -> None:
    """Note the medians of some runs after a first one that does not count; of one if spend is 0."""
    if spend:
        run()
    rows: list[dict[str, float]] = []
    until = time.perf_counter() + spend
    while not rows or (time.perf_counter() < until and len(rows) < 15):
        row: dict[str, float] = {}
        with timed(row, name):
            run()
        rows.append(row)
    for key in rows[0]:
        into[key] = float(np.median([row[key] for row in rows]))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak() -> float:
    """Return the most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def canary() -> float:
    """Return the rate of a matrix product in GFLOP/s, the best of a few."""
    a = np.random.default_rng(0).random((1024, 1024), np.float32)
    a @ a
    times = []
    for _ in range(5):
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * 1024**3 / min(times) / 1e9


def relative_error(found: Any, wanted: Any) -> float:
    """Return the norm of the difference over that of what is wanted."""
    found, wanted = (np.asarray(one, np.float64).ravel() for one in (found, wanted))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def random_sam(kind: str) -> Any:
    """Return segment-anything's own network with random weights that all matter."""
    import torch
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    network = sam_model_registry[kind]().eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "rel_pos" in name or "pos_embed" in name:
                weight.normal_(0, 0.3)
        network.mask_decoder.iou_prediction_head.layers[-1].bias += 0.5
        features = torch.randn(1, 256, 64, 64)
        click = (torch.tensor([[CLICK]]), torch.ones(1, 1))
        sparse, dense = network.prompt_encoder(click, None, None)
        places = network.prompt_encoder.get_dense_pe()
        masks, _ = network.mask_decoder(features, places, sparse, dense, multimask_output=True)
        for head in network.mask_decoder.output_hypernetworks_mlps:
            for part in (head.layers[-1].weight, head.layers[-1].bias):
                part.mul_(LOGIT / masks.std())
    return network


def random_mobile() -> Any:
    """Return the state of MobileSAM with random weights, and its encoder's ``Sam``."""
    import torch

    from geoiseg.models.sam.network import Sam
    from geoiseg.models.sam.tiny_vit import TinyVitEncoder

    torch.manual_seed(0)
    return Sam(TinyVitEncoder(), SIDE).eval()


def timm_encoder() -> Any:
    """Return TinyViT-5M as MobileSAM has it, from timm: the last stage is not shrunk."""
    import timm
    import torch
    from segment_anything.modeling.common import LayerNorm2d

    body = timm.create_model("tiny_vit_5m_224", pretrained=False).eval()
    merge = body.stages[-1].downsample
    merge.conv2.conv.stride = (1, 1)
    neck = torch.nn.Sequential(
        torch.nn.Conv2d(320, 256, 1, bias=False),
        LayerNorm2d(256),
        torch.nn.Conv2d(256, 256, 3, padding=1, bias=False),
        LayerNorm2d(256),
    ).eval()
    return lambda pixels: neck(body.forward_features(pixels))


def prepare(folder: Path, kinds: list[str], *, graphs: bool) -> None:
    """Write checkpoints and, for CPUs, exported graphs."""
    import torch

    from geoiseg.models.exported import export_model

    for kind in kinds:
        torch.save(random_sam(kind).state_dict(), folder / f"{kind}.pth")
    if not graphs:
        return
    export_model(folder / f"{kinds[0]}.pth", folder / "graphs")
    torch.save(random_mobile().state_dict(), folder / "mobile.pth")
    export_model(folder / "mobile.pth", folder / "mobile-graphs")


def thresholds(folder: Path, predictor: Any) -> dict[str, float]:
    """Return what the reference filters by: half of its masks pass each; kept in the folder."""
    path = folder / "thresholds.json"
    if not path.exists():
        import torch
        from segment_anything.utils.amg import calculate_stability_score

        points = torch.from_numpy(grid_points())[:, None].float()
        low, quality, _ = predictor.predict_torch(
            points, torch.ones(len(points), 1), multimask_output=True, return_logits=True
        )
        stable = calculate_stability_score(low.flatten(0, 1), 0.0, 1.0)
        path.write_text(
            json.dumps({"score": float(quality.median()), "stability": float(stable.nanmedian())})
        )
    limits: dict[str, float] = json.loads(path.read_text())
    return limits


def time_reference(folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """Time segment-anything: ``set_image``, ``predict``, and its automatic generator's way."""
    import torch
    from segment_anything import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry
    from torchvision.ops.boxes import batched_nms

    kind, device = options["kind"], options["device"]
    network = sam_model_registry[kind](folder / f"{kind}.pth").eval().to(device)
    predictor, out = SamPredictor(network), {"canary": canary()}
    image = picture()
    half = torch.autocast(device, torch.bfloat16, enabled=options["autocast"])
    click = np.array([CLICK]) - 0.5

    def encode() -> None:
        with half:
            predictor.set_image(image)
        _settle(device)

    def ask() -> None:
        with half:
            predictor.predict(click, np.ones(1), multimask_output=True)

    median_of(encode, "encode", out, options["spend"])
    out["encode_rss"] = peak()
    np.save(folder / f"{kind}.npy", predictor.features.float().cpu().numpy())
    median_of(ask, "click", out, options["spend"] / 2)
    out["click_rss"] = peak()
    if options["many"]:
        limits = thresholds(folder, predictor)
        maker = SamAutomaticMaskGenerator(
            network, points_per_side=GRID, pred_iou_thresh=limits["score"],
            stability_score_thresh=limits["stability"],
        )  # fmt: skip
        maker.predictor = predictor  # which knows the image
        kept = []

        def many() -> None:
            shape = image.shape[:2]
            ask_all = maker._process_batch  # noqa: SLF001 - without the encoding
            data = ask_all(grid_points(), shape, [0, 0, SIDE, SIDE], shape)
            zeros = torch.zeros(len(data["boxes"]))
            kept[:] = [len(batched_nms(data["boxes"].float(), data["iou_preds"], zeros, 0.7))]

        with torch.no_grad():
            median_of(many, "many", out, 0)
        out["kept"] = kept[0]
        out["rss"] = peak()
    return out


def _settle(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def time_ours(folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """Time a model of ours: ``embed``, ``decode``, and 64 prompts to painted masks."""
    from geoiseg.models.options import ModelOptions
    from geoiseg.models.registry import get_model
    from geoiseg.prompting.pixel import PixelPrompts
    from geoiseg.tiled.candidates import Placement, painted, survivors
    from geoiseg.tiled.options import AutomaticOptions

    kind = options["kind"]
    out = {"canary": canary()}
    model: Any = get_model(
        folder / options["path"],
        ModelOptions(options["device"], options["precision"], options["backend"]),
    )
    image, valid = picture(), np.ones((SIDE, SIDE), bool)
    click = PixelPrompts(np.array([CLICK]), np.ones(1, bool))
    median_of(lambda: model.embed(image, valid), "encode", out, options["spend"])
    out["encode_rss"] = peak()
    embedding = model.embed(image, valid)
    truth = folder / f"{kind}.npy"
    if truth.exists():
        out["error"] = relative_error(embedding.arrays["features"], np.load(truth))
    median_of(lambda: model.decode(embedding, click), "click", out, options["spend"] / 2)
    out["click_rss"] = peak()
    if options["many"]:
        limits = json.loads((folder / "thresholds.json").read_text())
        xy = grid_points()
        asked = [PixelPrompts(point[None], np.ones(1, bool)) for point in xy]
        rules = AutomaticOptions(min_score=limits["score"], min_stability=limits["stability"])
        kept = []

        def many() -> None:
            found = model.decode_batch(embedding, asked)
            good = survivors(found, xy, valid, Placement((1.0, 1.0), (0.0, 0.0)), rules)
            labels, _ = painted(good, valid.shape, 0.7, 1)
            kept[:] = [int(labels.max())]

        median_of(many, "many", out, 0)
        out["kept"] = kept[0]
        out["rss"] = peak()
    if options.get("batch"):
        size = options["batch"]
        chips = [(image, valid)] * size
        median_of(lambda: model.embed_many(chips), "batch", out, options["spend"])
        out["batch_ms"] /= size
        out["batch_cpu_ms"] /= size
    return out


def time_timm(folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """Time TinyViT in eager torch, fp32."""
    import torch

    encoder, out = timm_encoder(), {"canary": canary()}
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        median_of(lambda: encoder(pixels), "encode", out, options["spend"])
    out["encode_rss"] = peak()
    return out


def matrix_rate() -> float:
    """Return the CUDA device's rate of large bf16 matrix products in FLOP/s."""
    import torch

    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    times = []
    for _ in range(20):
        torch.cuda.synchronize()
        started = time.perf_counter()
        a @ a
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return 2 * 8192**3 / float(np.median(times[5:]))
