"""The joint ViT and V-JEPA's positions against naive versions written from their description."""

import math

import pytest
import torch
import torch.nn.functional as F

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.models.attention import turn
from sigma_bench.models.joint import JointViT
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.vjepa import rotary, sincos_by_half, sincos_uniform


def _model(rotary_positions=False, norm=True):
    torch.manual_seed(0)
    model = JointViT(12, 4, 4, 2, 32, 2, 2, mlp_hidden=20, family="x", rotary_positions=rotary_positions, norm=norm)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    if not rotary_positions:
        model.positions = sincos_1d(18, 32)
    return model.eval()


def _matrix(place, head_dim):
    """The map of one head's channels at a place (t, h, w), as a matrix, from the released description."""
    segment = 2 * ((head_dim // 3) // 2)
    matrix = torch.eye(head_dim, dtype=torch.float64)
    for axis, position in enumerate(place):
        for pair in range(segment // 2):
            for row, (column, sign) in enumerate(((1, -1), (0, 1))):
                channel = 2 * pair + row
                angle = position / 10000 ** ((channel % (segment // 2)) / (segment / 2))
                own, other = axis * segment + channel, axis * segment + 2 * pair + column
                matrix[own, own] = math.cos(angle)
                matrix[own, other] = sign * math.sin(angle)
    return matrix


PLACES = [(t, h, w) for t in range(2) for h in range(3) for w in range(3)]


@pytest.mark.parametrize("head_dim", [16, 12, 64, 80, 22])
def test_turning_equals_a_matrix_for_every_place(head_dim):
    cosines, sines = rotary((2, 3, 3), head_dim)
    x = torch.randn(18, head_dim)
    turned = turn(x, (cosines, sines))
    for row, place in enumerate(PLACES):
        wanted = _matrix(place, head_dim) @ x[row].double()
        torch.testing.assert_close(turned[row].double(), wanted, atol=1e-6, rtol=0)


def test_the_first_place_is_not_turned_and_the_rest_of_the_channels_never():
    cosines, sines = rotary((2, 3, 3), 64)
    assert torch.equal(cosines[0], torch.ones(64))
    assert torch.equal(sines[:, 60:], torch.zeros(18, 4))


def _naive(model, clip, layers):
    x = torch.zeros(18, 32)
    for n, (t, h, w) in enumerate(PLACES):
        pixels = clip[:, 2 * t : 2 * t + 2, 4 * h : 4 * h + 4, 4 * w : 4 * w + 4]
        x[n] = (model.patch_embed.proj.weight * pixels).sum((1, 2, 3, 4)) + model.patch_embed.proj.bias
        if not model.rotary_positions:
            x[n] += model.positions[0, n]
    for block in model.blocks[:layers]:
        q, k, v = block.attn.qkv(block.norm1(x)).chunk(3, dim=1)
        out = []
        for head in range(2):
            own = slice(16 * head, 16 * head + 16)
            qh, kh = q[:, own].double(), k[:, own].double()
            if model.rotary_positions:
                qh = torch.stack([_matrix(p, 16) @ row for p, row in zip(PLACES, qh, strict=True)])
                kh = torch.stack([_matrix(p, 16) @ row for p, row in zip(PLACES, kh, strict=True)])
            out.append((qh @ kh.T / 4).softmax(1).float() @ v[:, own])
        x = x + block.attn.proj(torch.cat(out, 1))
        x = x + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x))))
    return x


@pytest.mark.parametrize("rotary_positions", [True, False])
@pytest.mark.parametrize(("layer", "layers"), [(-1, 2), (0, 1)])
@torch.no_grad()
def test_tokens_equal_a_naive_version(rotary_positions, layer, layers):
    model, clips = _model(rotary_positions), torch.randn(2, 3, 4, 12, 12)
    tokens = model.tokens(clips, layer, norm=False)
    assert tokens.cls_BD is None
    for b in range(2):
        wanted = _naive(model, clips[b], layers).view(2, 3, 3, 32)
        torch.testing.assert_close(tokens.patch_BTHWD[b], wanted, atol=5e-5, rtol=0)


@torch.no_grad()
def test_positions_matter_in_both_kinds():
    clips = torch.randn(1, 3, 4, 12, 12)
    for rotary_positions, name in ((True, "cosines"), (False, "positions")):
        model = _model(rotary_positions)
        before = model(clips)
        setattr(model, name, getattr(model, name).roll(1, -2))
        assert not torch.allclose(model(clips), before, atol=1e-3)


@pytest.mark.parametrize("rotary_positions", [True, False])
@torch.no_grad()
def test_visible_tokens_keep_their_places(rotary_positions):
    model, clips = _model(rotary_positions), torch.randn(2, 3, 4, 12, 12)
    every = model.tokens(clips, visible=torch.ones(2, 18, dtype=torch.bool)).patch_BTHWD[:, 0, 0]
    torch.testing.assert_close(every, model(clips), atol=1e-5, rtol=0)
    visible = torch.zeros(2, 18, dtype=torch.bool)
    visible[0, [3, 7, 12]], visible[1, [0, 1, 17]] = True, True
    few = model.tokens(clips, visible=visible)
    assert few.patch_BTHWD.shape == (2, 1, 1, 3, 32)
    alone = model.tokens(clips[1:], visible=visible[1:])
    torch.testing.assert_close(few.patch_BTHWD[1:], alone.patch_BTHWD, atol=1e-5, rtol=0)
    if (
        rotary_positions
    ):  # shifting all places of a sample alike leaves differences of places, but the map is no rotation
        moved = torch.zeros(1, 18, dtype=torch.bool)
        moved[0, [9, 10, 17]] = True
        assert not torch.allclose(model.tokens(clips[1:], visible=moved).patch_BTHWD, alone.patch_BTHWD)


@torch.no_grad()
def test_norm_and_refusals():
    model, clips = _model(), torch.randn(1, 3, 4, 12, 12)
    assert isinstance(model, Encoder)
    assert torch.equal(model(clips), model.norm(model.tokens(clips, norm=False).patch_BTHWD.flatten(1, 3)))
    assert not _model(norm=False).spec.has_norm
    with pytest.raises(UserError, match="layer 2"):
        model.tokens(clips, 2)
    with pytest.raises(UserError, match="clips of shape"):
        model.tokens(clips[..., :8])
    with pytest.raises(UserError, match="must divide"):
        JointViT(12, 4, 3, 2, 32, 1, 2, family="x")
    assert (model.layer_of("patch_embed.proj.bias"), model.layer_of("blocks.1.norm1.bias")) == (0, 2)
    assert model.layer_of("norm.bias") == 3


def _wave(position, k, width):
    return position / 10000 ** (k / (width / 2))


@pytest.mark.parametrize(
    ("compute", "dim", "widths"),
    [(sincos_uniform, 24, (8, 8, 8)), (sincos_uniform, 32, (12, 12, 12)), (sincos_by_half, 32, (16, 8, 8))],
)
def test_tables_of_v_jepa_place_by_place(compute, dim, widths):
    table = compute((2, 3, 3), dim)
    assert table.shape == (1, 18, dim)
    for n, place in enumerate(PLACES):
        wanted = []
        for position, width in zip(place, widths, strict=True):
            wanted += [math.sin(_wave(position, k, width)) for k in range(width // 2)]
            wanted += [math.cos(_wave(position, k, width)) for k in range(width // 2)]
        torch.testing.assert_close(table[0, n], torch.tensor(wanted[:dim]), atol=1e-6, rtol=0)
