"""Checkpoints as they are published: names, folders, and what is none of them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.detect import architecture_of
from geoiseg.models.sam.keys import meta_names
from geoiseg.models.sam.loader import ADAPTERS, Source
from geoiseg.models.sam.network import Sam, build_sam
from geoiseg.models.sam.tiny_vit import TinyShape, TinyVitEncoder
from geoiseg.prompting.pixel import PixelPrompts
from tests.sam_reference import (
    EXACT,
    Size,
    picture,
    reference,
    relative_error,
    saved,
    stir,
)


@pytest.fixture(scope="module")
def theirs():
    return reference()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small SAM as transformers saves it."""
    transformers = needed("transformers")
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 56,
            "mlp_dim": 120,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "global_attn_indexes": [1],
            "window_size": 6,
            "image_size": 256,
        },
        prompt_encoder_config={"image_size": 256},
    )
    torch.manual_seed(2)
    network = transformers.SamModel(config).eval()
    stir(network)
    path = tmp_path_factory.mktemp("hub") / "slim"
    network.save_pretrained(path)
    return path, network


@pytest.fixture(scope="module")
def mobile():
    """MobileSAM with timm's TinyViT, and the same weights under MobileSAM's names."""
    timm = needed("timm")
    torch.manual_seed(4)
    tiny = timm.models.tiny_vit.TinyVit(
        embed_dims=(64, 128, 160, 320), num_heads=(2, 4, 5, 10), window_sizes=(7, 7, 14, 7)
    ).eval()
    # MobileSAM keeps the third stage's resolution in the fourth: SHRINKS in tiny_vit.py.
    tiny.stages[3].downsample.conv2.conv.stride = (1, 1)
    sam = reference()
    stir(tiny)
    state = {mobile_name(name): tensor for name, tensor in tiny.state_dict().items()}
    neck = torch.nn.Conv2d(320, 256, 1, bias=False)
    state["image_encoder.neck.0.weight"] = neck.weight.detach()
    rest = {
        name: tensor
        for name, tensor in sam.state_dict().items()
        if not name.startswith("image_encoder.") or name.startswith("image_encoder.neck.")
    }
    return tiny, neck, sam, rest | state


def mobile_name(name: str) -> str:
    """Return MobileSAM's name for a tensor of timm's: mergers end stages, not begin them."""
    name = name.replace(".conv.weight", ".c.weight")
    name = re.sub(r"^patch_embed\.conv(\d)", lambda n: f"patch_embed.seq.{2 * int(n[1]) - 2}", name)
    name = re.sub(
        r"^stages\.(\d)\.downsample", lambda n: f"layers.{int(n[1]) - 1}.downsample", name
    )
    name = name.replace("stages.", "layers.").replace("head.norm.", "norm_head.")
    return "image_encoder." + name.replace("head.fc.", "head.")


def test_mobile_sams_encoder_is_tiny_vit(mobile):
    tiny, neck, sam, state = mobile
    ours = build_sam(state, "the test").image_encoder
    pixels = torch.randn(1, 3, 224, 288)
    with torch.inference_mode():
        wanted = sam.image_encoder.neck[1:](neck(tiny.forward_features(pixels)))
        assert relative_error(ours(pixels), wanted) < 1e-5
    assert wanted.shape == (1, 256, 14, 18)


def test_mobile_sam_has_the_published_names_and_size():
    """Names as in MobileSAM's ``tiny_vit_sam.py``, bytes as the published file's."""
    encoder = TinyVitEncoder(TinyShape())
    names = set(encoder.state_dict())
    assert {
        "patch_embed.seq.0.c.weight",
        "patch_embed.seq.2.bn.running_var",
        "layers.0.blocks.1.conv3.bn.weight",
        "layers.0.downsample.conv2.c.weight",
        "layers.2.blocks.5.attn.attention_biases",
        "layers.2.blocks.5.attn.norm.bias",
        "layers.3.blocks.1.mlp.fc2.weight",
        "layers.1.blocks.0.local_conv.c.weight",
        "neck.3.bias",
    } <= names
    assert not any(name.startswith("layers.3.downsample") for name in names)
    head = {"norm_head.weight": 320, "norm_head.bias": 320, "head.bias": 1000}
    state = Sam(encoder, 1024).state_dict()
    state |= {f"image_encoder.{name}": torch.zeros(size) for name, size in head.items()}
    state["image_encoder.head.weight"] = torch.zeros(1000, 320)
    file = io.BytesIO()
    torch.save(state, file)
    # What is left is the names of the 439 entries within the archive.
    assert abs(len(file.getvalue()) - 40_728_226) < 10_000
    assert set(meta_names(state)) == set(Sam(encoder, 1024).state_dict())


@pytest.mark.parametrize("backend", ["torch", "segment-anything"])
def test_mobile_sam_loads_and_answers(mobile, tmp_path, backend):
    path = tmp_path / "mobile_sam.pt"
    decoder = reference(Size(grid=64, depth=1, globals_at=(0,))).state_dict()
    rest = {n: t for n, t in decoder.items() if not n.startswith("image_encoder.")}
    torch.save(mobile[3] | rest, path)
    model = load_sam(path, "mobile-sam", "mobile-sam", replace(EXACT, backend=backend))
    image = picture((120, 200))
    embedding = model.embed(image, np.ones((120, 200), bool))
    assert embedding.arrays["features"].shape == (256, 64, 64)
    masks = model.decode(embedding, PixelPrompts(box=(20, 30, 90, 80)))
    assert masks.logits.shape == (1, 120, 200)
    assert "MobileSAM" in model.info.description
    assert np.ptp(masks.logits) > 0


def test_a_folder_of_hugging_face_is_the_same_network(folder):
    path, network = folder
    model = load_sam(path, None, "slim", EXACT)
    image = picture((256, 256))
    embedding = model.embed(image, np.ones((256, 256), bool))
    from geoiseg.models.sam.frames import Frame

    pixels = torch.from_numpy(Frame((256, 256), 256).pixel_values(image))[None]
    box = torch.tensor([[[20.0, 30.0, 200.0, 150.0]]])
    with torch.inference_mode():
        features = network.get_image_embeddings(pixels)
        wanted = network(image_embeddings=features, input_boxes=box - 0.5, multimask_output=False)
    assert relative_error(embedding.arrays["features"], features[0]) < 1e-4
    found = model.decode(embedding, PixelPrompts(box=(20, 30, 200, 150)))
    low = torch.nn.functional.interpolate(wanted.pred_masks[0], (256, 256), mode="bilinear")
    assert relative_error(found.logits, low[0]) < 1e-3
    assert model.info.description.startswith("SlimSAM")


def test_every_name_of_transformers_has_one_of_metas(folder):
    _, network = folder
    names = meta_names(network.state_dict())
    own = build_sam(network.state_dict(), "the test").state_dict()
    assert set(names) == set(own)


@pytest.mark.parametrize(
    ("width", "name"), [(768, "sam-vit-b"), (1024, "sam-vit-l"), (1280, "sam-vit-h")]
)
def test_architectures_are_told_from_shapes(width, name):
    class Shaped:
        shape = (width, 3, 16, 16)

    decoder = {"mask_decoder.iou_token.weight": None}
    metas = {"image_encoder.patch_embed.proj.weight": Shaped(), **decoder}
    hub = {"vision_encoder.patch_embed.projection.weight": Shaped(), **decoder}
    assert architecture_of({}, metas) == name
    assert architecture_of({"model_type": "sam"}, hub) == name
    hq = {**metas, "mask_decoder.hf_token.weight": None}
    assert architecture_of({}, hq) == name.replace("sam-", "sam-hq-")
    assert architecture_of({"model_type": "bert"}, hub) is None
    assert architecture_of({}, {"encoder.weight": Shaped()}) is None


def test_every_adapter_of_the_table_is_there():
    import importlib

    for place in ADAPTERS.values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_wrong_architecture_is_one_clear_line(theirs, tmp_path):
    path = saved(theirs, tmp_path)
    with pytest.raises(WeightsError, match=r"holds the weights of slimsam, not of sam-vit-b"):
        load_sam(path, "sam-vit-b", "sam-vit-b", EXACT)


def test_what_is_no_sam_is_one_clear_line(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"other.pth' is no checkpoint of the SAM family"):
        load_sam(path, None, "other", EXACT)
    with pytest.raises(WeightsError, match="there is no checkpoint"):
        load_sam(tmp_path / "none.pth", None, "none", EXACT)


def test_truncated_and_empty_folders_are_one_clear_line(theirs, tmp_path):
    whole = saved(theirs, tmp_path).read_bytes()
    short = tmp_path / "short.pth"
    short.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError) as caught:
        load_sam(short, None, "short", EXACT)
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam"}))
    with pytest.raises(WeightsError, match="has no weights"):
        load_sam(tmp_path, None, "folder", EXACT)


def test_other_backends_say_what_to_do(theirs, tmp_path):
    path = saved(theirs, tmp_path)
    with pytest.raises(ModelError, match="geoiseg models export"):
        load_sam(path, None, "sam", replace(EXACT, backend="openvino"))


def test_hash_of_several_files_depends_on_each(tmp_path):
    names = ["a.safetensors", "b.safetensors"]
    index = {"weight_map": {"x": names[0], "y": names[1]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    hashes = set()
    for content in (b"1", b"2"):
        (tmp_path / names[0]).write_bytes(b"0")
        (tmp_path / names[1]).write_bytes(content)
        hashes.add(Source(tmp_path, "x", EXACT).weights_hash)
    assert len(hashes) == 2


def test_the_light_core_does_not_import_torch():
    import subprocess
    import sys

    code = (
        "import sys, geoiseg, geoiseg.models.sam, geoiseg.models.sam.frames,"
        " geoiseg.models.sam.adapter; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
