"""SAM on a GPU against the reference on the CPU; any CUDA device will do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.models.options import ModelOptions
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.attention import chunked, folded, masked
from geoiseg.models.sam.device import choose_place, halves, in_batches
from geoiseg.prompting.pixel import PixelPrompts
from tests.sam_reference import (
    EXACT,
    SLIM_77,
    Size,
    iou,
    picture,
    reference,
    relative_error,
    saved,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
GPU = ModelOptions(device="cuda", precision="fp32")
BOX = PixelPrompts(box=(20.0, 30.0, 200.0, 150.0))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return saved(reference(), tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="module")
def exact(checkpoint):
    return load_sam(checkpoint, None, "small", EXACT)


def chip(shape=(256, 200), seed=1):
    return picture(shape, seed), np.ones(shape, bool)


@pytest.mark.parametrize("backend", ["torch", "segment-anything"])
def test_float32_is_exact(checkpoint, exact, backend):
    model = load_sam(checkpoint, None, "small", replace(GPU, backend=backend))
    assert torch.cuda.get_device_name() in model.info.description
    wanted, found = exact.embed(*chip()), model.embed(*chip())
    assert relative_error(found.arrays["features"], wanted.arrays["features"]) < 1e-4
    ours, theirs = model.decode(found, BOX), exact.decode(wanted, BOX)
    assert relative_error(ours.logits, theirs.logits) < 1e-3
    assert iou(ours.logits > 0, theirs.logits > 0) > 0.995


@pytest.mark.parametrize("attend", [masked, chunked, folded])
def test_every_form_of_attention_is_exact(checkpoint, exact, attend):
    model = load_sam(checkpoint, None, "small", GPU)
    model.engine.network.image_encoder.attend = attend
    found = model.embed(*chip()).arrays["features"]
    assert relative_error(found, exact.embed(*chip()).arrays["features"]) < 1e-4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_sixteen_bits_are_near(checkpoint, exact, precision):
    if precision not in halves(torch.device("cuda")):
        pytest.skip(f"this GPU has no {precision}")
    model = load_sam(checkpoint, None, "small", replace(GPU, precision=precision))
    wanted, found = exact.embed(*chip()), model.embed(*chip())
    assert found.arrays["features"].dtype == np.float16
    assert relative_error(found.arrays["features"], wanted.arrays["features"]) < 2e-2
    masks = model.decode(found, BOX)
    assert relative_error(masks.logits, exact.decode(wanted, BOX).logits) < 0.1


def test_many_chips_and_many_prompts_are_as_one(checkpoint):
    model = load_sam(checkpoint, None, "small", GPU)
    chips = [chip(seed=seed) for seed in range(11)]
    together = model.embed_many(chips)
    alone = model.embed(*chips[9])
    assert np.allclose(together[9].arrays["features"], alone.arrays["features"], atol=1e-3)
    spots = np.random.default_rng(0).uniform(0, 200, (150, 2))
    prompts = [PixelPrompts(spot[None], np.array([True])) for spot in spots]
    found = model.decode_batch(alone, prompts)
    assert found.prompts.tolist() == np.repeat(np.arange(150), 3).tolist()
    single = model.decode_batch(alone, [prompts[140]])
    assert np.allclose(found.logits[420:423], single.logits, atol=1e-3)


def test_memory_that_runs_out_for_true_halves_the_batch(caplog):
    free, _ = torch.cuda.mem_get_info()
    each = int(free * 0.6)

    def run(part):
        taken = [torch.empty(each, dtype=torch.uint8, device="cuda") for _ in part]
        return [len(one) for one in taken]

    assert in_batches(run, [0, 1], 2) == [each, each]
    assert "going on with 1 at a time" in caplog.text
    torch.cuda.empty_cache()


def test_the_gpu_is_taken_by_itself():
    place = choose_place(ModelOptions())
    assert place.device.type == "cuda"
    assert place.precision == ("bf16" if "bf16" in halves(place.device) else "fp32")


@pytest.mark.parametrize("size", [SLIM_77, Size(768, 2, 12, 64, 14, (1,), 3072)])
def test_full_size_images_in_bfloat16(size, tmp_path):
    path = saved(reference(size), tmp_path)
    exact = load_sam(path, None, "full", EXACT).embed(*chip((700, 1024)))
    model = load_sam(path, None, "full", ModelOptions(device="cuda"))
    found = model.embed(*chip((700, 1024)))
    assert relative_error(found.arrays["features"], exact.arrays["features"]) < 2e-2
