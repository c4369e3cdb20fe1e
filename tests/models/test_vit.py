"""The video ViT and the masked model: sizes, masking, initialisation, names."""

import math

import numpy as np
import pytest
import torch

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.models.masked import MaskedVideoModel, masked_model
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.selection import take, token_ids
from sigma_bench.models.vit import SIZES, Attention, Block, VideoViT
from sigma_bench.pretrain.masking import tube_mask
from sigma_bench.pretrain.projector import MlpProjector


@pytest.fixture
def tiny() -> VideoViT:
    torch.manual_seed(0)
    return VideoViT(image_size=24, patch=8, frames=4, tubelet=2, dim=20, depth=3, heads=5)


def _clips(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 4, 24, 24, generator=torch.Generator().manual_seed(1))


def test_satisfies_the_contract(tiny):
    assert isinstance(tiny, Encoder)
    assert tiny.spec.params == sum(p.numel() for p in tiny.parameters())


def test_tokens_have_the_grid_of_the_clip(tiny):
    tokens = tiny.tokens(_clips())
    assert tokens.patch_BTHWD.shape == (2, 2, 3, 3, 20)
    assert tokens.cls_BD is None


def test_embedding_is_the_convolution_in_time_height_width_order(tiny):
    clips = _clips()
    embed = tiny.patch_embed
    expected = embed.proj(clips).flatten(2).transpose(1, 2)
    assert torch.allclose(embed(clips), expected, atol=1e-5)
    ids = torch.tensor([[0, 5, 17], [2, 3, 4]])
    assert torch.allclose(embed(clips, ids), take(expected, ids), atol=1e-5)


def test_all_visible_equals_no_mask(tiny):
    shown = tiny.tokens(_clips(), visible=torch.ones(2, 18, dtype=torch.bool)).patch_BTHWD
    assert shown.shape == (2, 1, 1, 18, 20)
    assert torch.allclose(shown.flatten(1, 3), tiny(_clips()), atol=1e-5)


def test_masked_pixels_cannot_reach_visible_tokens(tiny):
    mask = torch.zeros(2, 18, dtype=torch.bool)
    mask[0, [0, 4, 9]] = mask[1, [1, 2, 17]] = True
    clips = _clips()
    before = tiny.forward_visible(clips, mask)
    changed = clips.clone()
    changed[0, :, :2, :8, :8] = 100  # token 0, masked in sample 0 only
    assert torch.equal(tiny.forward_visible(changed, mask), before)
    changed[1, :, :2, :8, :8] = 100
    assert not torch.equal(tiny.forward_visible(changed, mask)[1], before[1])


def test_each_sample_has_its_own_mask(tiny):
    mask = torch.zeros(2, 18, dtype=torch.bool)
    mask[0, :9] = mask[1, 9:] = True
    both = tiny.forward_visible(_clips(), mask)
    for sample in (0, 1):
        alone = tiny.forward_visible(_clips()[sample : sample + 1], mask[sample : sample + 1])
        assert torch.allclose(both[sample : sample + 1], alone, atol=1e-5)


def test_layer_stops_early_and_norm_is_only_for_the_last(tiny):
    clips = _clips()
    first = tiny.tokens(clips, layer=0).patch_BTHWD
    assert torch.equal(first, tiny.tokens(clips, layer=-3, norm=False).patch_BTHWD)
    assert not torch.allclose(tiny.tokens(clips, norm=False).patch_BTHWD, tiny.tokens(clips).patch_BTHWD)
    with pytest.raises(UserError, match="3 blocks"):
        tiny.tokens(clips, layer=3)


def test_keys_have_no_bias():
    block = Block(12, 3)
    assert {n for n, _ in block.attn.named_parameters()} == {
        "qkv.weight", "q_bias", "v_bias", "proj.weight", "proj.bias",
    }  # fmt: skip


def test_wrong_clips_and_sizes_are_user_errors(tiny):
    with pytest.raises(UserError, match=r"takes \(B, \*\(3, 4, 24, 24\)\)"):
        tiny(torch.zeros(1, 3, 8, 24, 24))
    with pytest.raises(UserError, match="do not fit"):
        VideoViT(image_size=30, patch=8)


def test_unequal_masks_are_refused():
    with pytest.raises(ValueError, match="same number"):
        token_ids(torch.tensor([[True, False], [True, True]]))
    with pytest.raises(ValueError, match="boolean"):
        token_ids(torch.ones(2, 3))


def test_layers_for_rate_decay(tiny):
    assert [tiny.layer_of(n) for n in ("patch_embed.proj.weight", "blocks.0.norm1.bias", "blocks.2.mlp.fc1.bias")] == [
        0, 1, 3,
    ]  # fmt: skip
    assert tiny.layer_of("norm.weight") == 4


@pytest.mark.parametrize(("name", "millions"), [("small", 22), ("base", 86), ("large", 303), ("huge", 630)])
def test_sizes_have_the_known_parameter_counts(name, millions):
    size = SIZES[name]
    with torch.device("meta"):
        encoder = VideoViT(dim=size.dim, depth=size.depth, heads=size.heads)
    assert encoder.spec.params / 1e6 == pytest.approx(millions, rel=0.02)
    assert encoder.spec.backbone == f"ViT-{name[0].upper()}/16"


def test_initial_values(tiny):
    model = MaskedVideoModel(tiny, 16, 1, 2, 8, MlpProjector(384, [8], 8), prototypes=6)
    bound = math.sqrt(6 / (20 + 60))
    weight = tiny.blocks[0].attn.qkv.weight
    assert 0.9 * bound < weight.abs().max().item() <= bound
    assert not tiny.blocks[0].mlp.fc1.bias.any()
    assert model.mask_token.abs().max().item() <= 0.02
    assert model.mask_token.std().item() > 0
    assert model.decoder.head.bias.abs().max().item() == 0


def test_position_tables_are_not_in_the_state_dict(tiny):
    model = MaskedVideoModel(tiny, 16, 1, 2, 8)
    assert not [name for name in model.state_dict() if "position" in name or "pos" in name.split(".")]
    assert "encoder.norm.weight" in model.state_dict()
    assert "prototypes" not in model.state_dict()


def test_prediction_follows_the_order_of_the_masked_tokens(tiny):
    model = MaskedVideoModel(tiny, 16, 1, 2, 8).eval()
    mask = torch.from_numpy(np.stack([tube_mask((2, 3, 3), 0.7, np.random.RandomState(s)) for s in (0, 1)]))
    out = model(_clips(), mask)
    assert out.shape == (2, int(mask[0].sum()), 8)
    # the decoder sees no pixels of masked tokens, so only the position tells two of them apart
    model.decoder_positions.zero_()
    same = model(_clips(), mask)
    assert torch.allclose(same, same[:, :1].expand_as(same), atol=1e-5)
    assert not torch.allclose(out, out[:, :1].expand_as(out), atol=1e-5)


def test_prototypes_are_normalised_in_place():
    model = masked_model("nano", out_dim=8, image_size=32, frames=4, prototypes=5)
    before = model.prototypes.data_ptr()
    model.normalize_prototypes()
    assert torch.allclose(model.prototypes.norm(dim=1), torch.ones(5), atol=1e-6)
    assert model.prototypes.data_ptr() == before
    with pytest.raises(ValueError, match="no prototypes"):
        masked_model("nano", out_dim=8, image_size=32, frames=4).normalize_prototypes()


def test_sincos_table_by_hand():
    table = sincos_1d(3, 6)[0]
    assert table[2, 0].item() == pytest.approx(math.sin(2))
    assert table[2, 1].item() == pytest.approx(math.cos(2))
    assert table[2, 4].item() == pytest.approx(math.sin(2 / 10000 ** (4 / 6)), rel=1e-6)


def test_epsilon_and_normalisation_are_the_ones_given():
    sizes = (32, 16, 4, 2, 48, 2, 4)
    plain, given = VideoViT(*sizes), VideoViT(*sizes, eps=1e-12, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    assert {m.eps for m in plain.modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-6} == {plain.eps}
    assert {m.eps for m in given.modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-12} == {given.eps}
    assert (given.spec.mean, given.spec.std) == ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def test_cosine_attention_is_the_softmax_of_bounded_scaled_cosines():
    torch.manual_seed(0)
    attention = Attention(12, 3, cosine=True)
    torch.nn.init.normal_(attention.q_bias)
    torch.nn.init.normal_(attention.v_bias)
    attention.scale.data = torch.tensor([0.0, 1.0, 9.0]).view(3, 1, 1)  # the last one is above the bound
    x = torch.randn(2, 5, 12)
    weight = attention.qkv.weight.view(3, 3, 4, 12)
    query = torch.einsum("bnd,hkd->bhnk", x, weight[0]) + attention.q_bias.view(3, 1, 4)
    key = torch.einsum("bnd,hkd->bhnk", x, weight[1])
    value = torch.einsum("bnd,hkd->bhnk", x, weight[2]) + attention.v_bias.view(3, 1, 4)
    cosine = torch.nn.functional.cosine_similarity(query[:, :, :, None], key[:, :, None], dim=-1)
    scale = torch.tensor([1.0, 2.718281828, 99.9977]).view(3, 1, 1)
    mixed = (cosine * scale).softmax(-1) @ value
    expected = attention.proj(mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=1e-4)


def test_a_class_token_has_the_first_position_and_is_kept_apart():
    torch.manual_seed(0)
    encoder = VideoViT(16, 8, 4, 2, 16, 2, 2, cls_token=True).eval()
    torch.nn.init.normal_(encoder.cls_token)
    clips, mask = torch.randn(2, 3, 4, 16, 16), torch.tensor([[True, False] * 4, [False, True] * 4])
    with torch.no_grad():
        patches, cls = encoder.tokens(clips)
        assert patches.shape == (2, 2, 2, 2, 16)
        assert cls.shape == (2, 16)
        shown = encoder.tokens(clips, visible=torch.ones_like(mask))
        torch.testing.assert_close(shown.patch_BTHWD[:, 0, 0], patches.flatten(1, 3))
        torch.testing.assert_close(shown.cls_BD, cls)
        assert encoder.tokens(clips, visible=~mask).patch_BTHWD.shape == (2, 1, 1, 4, 16)
        encoder.positions[:, 0] += torch.randn(16)
        assert not torch.allclose(encoder.tokens(clips).cls_BD, cls)
    assert encoder.layer_of("cls_token") == 0
