"""TimeSformer against a loop over places and frames, and what it does with tables of other sizes."""

import pytest
import torch
import torch.nn.functional as F

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.models.timesformer import TimeSformer, resized_places, resized_times


def _model(frames=3, image=12, **given):
    torch.manual_seed(0)
    model = TimeSformer(image, 4, frames, 12, 2, 2, mlp_hidden=20, **given).eval()
    for p in model.parameters():  # no bias may be zero, or a forgotten one would not show
        torch.nn.init.normal_(p, std=0.3)
    return model


def _attention(layer, x_ND):
    q, k, v = layer.qkv(x_ND).chunk(3, dim=1)
    heads = []
    for h in range(layer.heads):
        part = slice(h * q.shape[1] // layer.heads, (h + 1) * q.shape[1] // layer.heads)
        weights = (q[:, part] @ k[:, part].T / (part.stop - part.start) ** 0.5).softmax(1)
        heads.append(weights @ v[:, part])
    return layer.proj(torch.cat(heads, 1))


def _naive(model, clip, layers):
    """One clip (3, T, H, W) -> class token (D), tokens by (t, h, w), from the description in the paper."""
    T, side = model.grid[:2]
    kernel, bias = model.patch_embed.proj.weight, model.patch_embed.proj.bias
    p = kernel.shape[-1]
    cls = model.cls_token[0, 0] + model.pos_embed[0, 0]
    x = {}
    for t in range(T):
        for h in range(side):
            for w in range(side):
                pixels = clip[:, t, h * p : (h + 1) * p, w * p : (w + 1) * p]
                x[t, h, w] = (kernel * pixels).sum((1, 2, 3)) + bias
                x[t, h, w] = x[t, h, w] + model.pos_embed[0, 1 + h * side + w] + model.time_embed[0, t]
    places = [(h, w) for h in range(side) for w in range(side)]
    for block in model.blocks[:layers]:
        for h, w in places:
            line = torch.stack([x[t, h, w] for t in range(T)])
            line = line + block.temporal_fc(_attention(block.temporal_attn, block.temporal_norm1(line)))
            x |= {(t, h, w): line[t] for t in range(T)}
        heard = []
        for t in range(T):
            frame = torch.stack([cls, *(x[t, h, w] for h, w in places)])
            out = _attention(block.attn, block.norm1(frame))
            heard.append(out[0])
            x |= {(t, h, w): x[t, h, w] + row for (h, w), row in zip(places, out[1:], strict=True)}
        cls = cls + sum(heard) / T

        def mlp(v, block=block):
            return v + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(v))))

        cls, x = mlp(cls), {key: mlp(v) for key, v in x.items()}
    return cls, torch.stack([x[t, h, w] for t in range(T) for h, w in places]).view(T, side, side, -1)


@pytest.mark.parametrize(("layer", "layers"), [(-1, 2), (0, 1), (-2, 1), (1, 2)])
@torch.no_grad()
def test_every_block_equals_a_loop_over_places_and_frames(layer, layers):
    model, clips = _model(), torch.randn(2, 3, 3, 12, 12)
    tokens = model.tokens(clips, layer, norm=False)
    for b in range(2):
        cls, patches = _naive(model, clips[b], layers)
        torch.testing.assert_close(tokens.cls_BD[b], cls, atol=2e-5, rtol=0)
        torch.testing.assert_close(tokens.patch_BTHWD[b], patches, atol=2e-5, rtol=0)


@torch.no_grad()
def test_norm_comes_after_the_last_block_only():
    model, clips = _model(), torch.randn(1, 3, 3, 12, 12)
    plain, normed = model.tokens(clips, norm=False), model.tokens(clips)
    torch.testing.assert_close(normed.cls_BD, model.norm(plain.cls_BD))
    torch.testing.assert_close(normed.patch_BTHWD, model.norm(plain.patch_BTHWD))
    torch.testing.assert_close(model(clips), normed.cls_BD)
    assert torch.equal(model.tokens(clips, 0).cls_BD, model.tokens(clips, 0, norm=False).cls_BD)


def test_it_is_an_encoder_of_single_frames_with_a_class_token():
    model = _model()
    assert isinstance(model, Encoder)
    assert (model.spec.tubelet, model.spec.frames, model.spec.default_pool, model.spec.has_norm) == (1, 3, "cls", True)
    assert model.spec.params == sum(p.numel() for p in model.parameters())


def test_what_it_cannot_do_is_said():
    model, clips = _model(), torch.randn(1, 3, 3, 12, 12)
    with pytest.raises(UserError, match="cannot be hidden"):
        model.tokens(clips, visible=torch.ones(1, 27, dtype=torch.bool))
    with pytest.raises(UserError, match="layer 2"):
        model.tokens(clips, 2)
    with pytest.raises(UserError, match="clips of shape"):
        model.tokens(clips[:, :, :2])
    with pytest.raises(UserError, match="must divide"):
        TimeSformer(13, 4)


def test_tables_are_resized_to_the_nearest_place_and_time():
    places = torch.arange(9.0).view(1, 9, 1)
    rows = [0, 0, 1, 1, 2, 2]  # floor(i * 3 / 6)
    wanted = [3.0 * rows[i] + rows[j] for i in range(6) for j in range(6)]
    assert resized_places(places, 6)[0, :, 0].tolist() == wanted
    assert resized_places(places, 2)[0, :, 0].tolist() == [0.0, 1.0, 3.0, 4.0]
    times = torch.arange(8.0).view(1, 8, 1)
    assert resized_times(times, 4)[0, :, 0].tolist() == [0.0, 2.0, 4.0, 6.0]
    assert resized_times(times, 12)[0, :, 0].tolist() == [float(i * 8 // 12) for i in range(12)]
    assert resized_times(times, 8) is times
    assert resized_places(places, 3) is places


@torch.no_grad()
def test_a_model_with_other_tables_equals_one_with_the_resized_tables():
    other = _model(frames=2, image=16, table_frames=3, table_side=3)
    assert other.pos_embed.shape == (1, 10, 12)
    assert other.time_embed.shape == (1, 3, 12)
    own = TimeSformer(16, 4, 2, 12, 2, 2, mlp_hidden=20).eval()
    places = torch.cat((other.pos_embed[:, :1], resized_places(other.pos_embed[:, 1:], 4)), 1)
    own.load_state_dict(other.state_dict() | {"pos_embed": places, "time_embed": resized_times(other.time_embed, 2)})
    clips = torch.randn(1, 3, 2, 16, 16)
    assert torch.equal(other(clips), own(clips))


def test_layers_for_rates():
    model = _model()
    named = {name: model.layer_of(name) for name, _ in model.named_parameters()}
    assert {named[n] for n in ("pos_embed", "time_embed", "cls_token", "patch_embed.proj.weight")} == {0}
    assert (named["blocks.1.temporal_fc.bias"], named["norm.weight"]) == (2, 3)
