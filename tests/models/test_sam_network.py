"""Our network against segment-anything's, tensor by tensor."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.options import ModelOptions
from geoiseg.models.sam import cross_attention
from geoiseg.models.sam.attention import chunked, fastest, folded, masked, relative
from geoiseg.models.sam.cross_attention import CrossAttention, map_to_tokens, tokens_to_map
from geoiseg.models.sam.device import Place, choose_place, halves, in_batches
from geoiseg.models.sam.network import TorchEngine, build_sam
from geoiseg.models.sam.vit import VitShape
from tests.sam_reference import SLIM_77, VIT_B, Size, reference, relative_error

SIZES = {
    "windows stick out": Size(),
    "windows fit": Size(grid=12, window=6),
    "narrow heads": Size(channels=48, heads=4, depth=2, grid=8, window=3, globals_at=(0, 1)),
    "pruned hidden layer": Size(channels=56, heads=4, hidden=120, grid=10, window=4),
}


@pytest.mark.parametrize("attend", [masked, chunked, folded])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_encoder_is_the_reference(size, attend):
    theirs = reference(size)
    ours = build_sam(theirs.state_dict(), "the test")
    ours.image_encoder.attend = attend
    pixels = torch.randn(2, 3, size.grid * 16, size.grid * 16)
    with torch.inference_mode():
        error = relative_error(ours.encode(pixels), theirs.image_encoder(pixels))
    assert error < 1e-5


@pytest.mark.parametrize("attend", [masked, chunked, folded])
@pytest.mark.parametrize("heads", [2, 4])
def test_encoder_in_bfloat16_is_near(attend, heads):
    size = Size(depth=6, channels=heads * 32, heads=heads, window=4)
    theirs = reference(size)
    engine = TorchEngine(
        build_sam(theirs.state_dict(), "the test"), Place(torch.device("cpu"), "bf16")
    )
    engine.network.image_encoder.attend = attend
    pixels = torch.randn(1, 3, 256, 256)
    with torch.inference_mode():
        wanted = theirs.image_encoder(pixels)
    found = engine.encode([pixels[0].numpy()])[0]["features"]
    assert found.dtype == np.float16
    assert 1e-5 < relative_error(found, wanted[0]) < 2e-2


def test_attention_is_the_same_in_pieces(monkeypatch):
    from geoiseg.models.sam import attention

    torch.manual_seed(1)
    q, k, v = torch.randn(3, 2, 4, 30, 8).unbind(0)
    rows, columns = torch.randn(5, 5, 8), torch.randn(6, 6, 8)
    whole = attention.masked(q, k, v, rows, columns)
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", 2000)
    monkeypatch.setattr(attention, "BLOCK", 700)
    for form in (masked, chunked, folded):
        assert torch.allclose(form(q, k, v, rows, columns), whole, atol=1e-5)


def test_relative_positions_of_another_size_are_interpolated():
    from segment_anything.modeling.image_encoder import get_rel_pos

    table = torch.randn(27, 4)
    for size in (14, 10, 20):
        assert torch.allclose(relative(table, size), get_rel_pos(size, size, table), atol=1e-6)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("with_box", [False, True])
def test_decoder_is_the_reference(with_box, with_mask, several):
    theirs = reference()
    ours = build_sam(theirs.state_dict(), "the test")
    torch.manual_seed(3)
    features = torch.randn(1, 256, 16, 16)
    xy, labels = torch.rand(5, 3, 2) * 256, torch.randint(0, 2, (5, 3))
    corners = torch.rand(5, 2, 2) * 256
    masks = torch.randn(5, 1, 64, 64) * 5 if with_mask else None
    with torch.inference_mode():
        sparse, dense = theirs.prompt_encoder(
            points=(xy, labels), boxes=corners.flatten(1) if with_box else None, masks=masks
        )
        wanted, quality = theirs.mask_decoder(
            image_embeddings=features,
            image_pe=theirs.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        last = corners if with_box else torch.zeros(5, 1, 2)
        kinds = [[2, 3]] * 5 if with_box else [[-1]] * 5
        found, own_quality = ours.decode(
            features,
            torch.cat([xy, last], 1),
            torch.cat([labels, torch.tensor(kinds)], 1),
            masks,
            (1, 2, 3) if several else (0,),
        )
    assert found.shape == wanted.shape
    assert relative_error(found, wanted) < 1e-5
    assert torch.allclose(own_quality, quality, atol=1e-5)


@pytest.mark.parametrize("size", [VIT_B, SLIM_77], ids=["vit_b", "slimsam-77"])
def test_shapes_of_published_encoders_are_told_from_their_weights(size):
    with torch.device("meta"):
        theirs = reference_on_meta(size)
    shape = VitShape.of(theirs)
    assert (shape.channels, shape.depth, shape.heads) == (size.channels, size.depth, size.heads)
    assert (shape.globals_at, shape.window, shape.grid) == (size.globals_at, 14, 64)
    assert (shape.hidden, shape.side, shape.out) == (size.hidden, 1024, 256)


def reference_on_meta(size):
    from segment_anything.modeling import ImageEncoderViT

    encoder = ImageEncoderViT(
        embed_dim=size.channels,
        depth=size.depth,
        num_heads=size.heads,
        mlp_ratio=size.hidden / size.channels,
        use_rel_pos=True,
        window_size=size.window,
        global_attn_indexes=size.globals_at,
    )
    return {f"image_encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}


def test_missing_and_misshapen_tensors_are_named():
    state = reference().state_dict()
    without = {name: tensor for name, tensor in state.items() if "iou_token" not in name}
    with pytest.raises(WeightsError, match="iou_token"):
        build_sam(without, "'x.pth'")
    with pytest.raises(WeightsError, match=r"'x.pth' lacks the tensor .*pos_embed"):
        build_sam({k: v for k, v in state.items() if "pos_embed" not in k}, "'x.pth'")
    wrong = dict(state) | {"mask_decoder.iou_token.weight": torch.zeros(1, 7)}
    with pytest.raises(WeightsError, match=r"iou_token"):
        build_sam(wrong, "'x.pth'")


def test_device_and_precision_are_chosen_or_refused():
    cpu = torch.device("cpu")
    assert choose_place(ModelOptions(device="cpu", precision="fp32")) == Place(cpu, "fp32")
    automatic = choose_place(ModelOptions(device="cpu"))
    assert automatic.precision == ("bf16" if "bf16" in halves(cpu) else "fp32")
    assert Place(cpu, "fp32").suffix == ""
    assert Place(cpu, "bf16").suffix == "+bf16"
    assert str(Place(cpu, "bf16")) == "cpu in bf16"
    with pytest.raises(ModelError, match="no device 'abacus'"):
        choose_place(ModelOptions(device="abacus"))
    with pytest.raises(ModelError, match="'cuda:99' is not there"):
        choose_place(ModelOptions(device="cuda:99"))
    with pytest.raises(ModelError, match="precision 'fp16' is not to be had on cpu"):
        choose_place(ModelOptions(device="cpu", precision="fp16"))


def test_gpus_take_flash_attention_and_exact_cpus_products():
    assert fastest(torch.device("cuda"), torch.bfloat16) is folded
    assert fastest(torch.device("cpu"), torch.float32) is chunked


class Small:
    """A device with room for a few."""

    def __init__(self, room: int) -> None:
        self.room, self.batches = room, []

    def __call__(self, part):
        self.batches.append(len(part))
        if len(part) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [item * 10 for item in part]


def test_out_of_memory_halves_the_batch_once_and_says_so(caplog):
    device = Small(room=4)
    assert in_batches(device, list(range(11)), 8) == [item * 10 for item in range(11)]
    assert device.batches == [8, 4, 4, 3]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "going on with 4 at a time" in caplog.text


def test_out_of_memory_twice_is_one_clear_line():
    device = Small(room=1)
    with pytest.raises(ModelError, match="does not hold 4 at a time") as caught:
        in_batches(device, list(range(11)), 8)
    assert device.batches == [8, 4]
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="does not hold 1 at a time"):
        in_batches(Small(room=0), [1], 8)


@pytest.mark.parametrize("prompts", [1, 3])
def test_the_short_way_through_attention_gives_the_same(prompts):
    torch.manual_seed(0)
    attention = CrossAttention(64, 4, 2).double()
    tokens = torch.randn(prompts, 5, 64, dtype=torch.float64)
    places = torch.randn(prompts, 81, 64, dtype=torch.float64)
    placed = places + torch.randn(1, 81, 64, dtype=torch.float64)
    told = torch.randn_like(tokens)
    with torch.inference_mode():
        seen = tokens_to_map(attention, tokens, placed, places)
        torch.testing.assert_close(seen, attention(tokens, placed, places))
        marked = map_to_tokens(attention, placed, tokens, told)
        torch.testing.assert_close(marked, attention(placed, tokens, told))
        one = tokens_to_map(attention, tokens, placed[:1], places[:1])
        torch.testing.assert_close(one, attention(tokens, placed[:1], places[:1]))


def test_the_shorter_way_is_taken_for_few_tokens_on_maps_of_their_own(monkeypatch):
    attention = CrossAttention(64, 4, 2)
    taken = []
    monkeypatch.setattr(cross_attention, "tokens_to_map", lambda *_: taken.append(1))
    image = torch.randn(2, 9, 64)
    for count, maps in ((7, 2), (8, 2), (7, 1)):
        attention.of_map(torch.randn(2, count, 64), image[:maps], image[:maps])
        taken.append(0)
    assert taken == [1, 0, 0, 0]


def compiled(size):
    theirs = reference(size)
    network = build_sam(theirs.state_dict(), "the test")
    return theirs, TorchEngine(network, Place(torch.device("cpu"), "fp32"), compiled=True)


@pytest.mark.slow
def test_a_compiled_encoder_is_the_reference():
    size = Size(depth=1, channels=32, heads=2, grid=8, window=8, globals_at=(0,))
    theirs, engine = compiled(size)
    pixels = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        wanted = theirs.image_encoder(pixels)
    found = engine.encode([pixels[0].numpy()])[0]["features"]
    assert relative_error(torch.from_numpy(found), wanted[0]) < 1e-5


def test_no_compiler_is_told(monkeypatch, tmp_path):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (str(tmp_path / "no-compiler"),))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    _, engine = compiled(Size(depth=1, channels=16, heads=1, grid=6, window=6, globals_at=(0,)))
    with pytest.raises(ModelError, match="backend='torch'"):
        engine.encode([np.zeros((3, 96, 96), np.float32)])
