"""An image ViT frame by frame: layers, chunks, what is refused."""

import pytest
import timm
import torch

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.models import frames
from sigma_bench.models.frames import FrameViT, take_off_head

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


@pytest.fixture
def encoder():
    torch.manual_seed(3)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2, "reg_tokens": 2}
    model = timm.create_model("vit_tiny_patch16_224", **sizes)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return FrameViT(model, 4, MEAN, STD, take_off_head(model)).eval()


def clips(B=2, T=4, side=32):
    return torch.randn(B, 3, T, side, side, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("norm", [True, False])
def test_each_layer_is_that_of_timm_and_only_the_last_is_normed(encoder, layer, norm):
    x = clips()
    found = encoder.tokens(x, layer=layer, norm=norm)
    assert found.patch_BTHWD.shape == (2, 4, 4, 4, 24)
    for t in range(4):
        every = encoder.model.forward_intermediates(
            x[:, :, t], norm=norm and layer in (2, -1), return_prefix_tokens=True, intermediates_only=True
        )
        patches, prefix = every[layer]
        torch.testing.assert_close(found.patch_BTHWD[:, t], patches.permute(0, 2, 3, 1), atol=1e-5, rtol=1e-5)
    own = [encoder.tokens(x[:, :, t : t + 1], layer=layer, norm=norm).cls_BD for t in range(4)]
    torch.testing.assert_close(found.cls_BD, torch.stack(own).mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own[3], prefix[:, 0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_many_frames_go_through_in_parts_and_stay_where_they_were(encoder, monkeypatch):
    x, sizes = clips(3, 5), []
    whole = encoder.tokens(x)
    inner = encoder.model.forward_intermediates
    monkeypatch.setattr(frames, "FRAMES_AT_A_TIME", 4)
    monkeypatch.setattr(
        encoder.model, "forward_intermediates", lambda p, **more: (sizes.append(len(p)), inner(p, **more))[1]
    )
    parts = encoder.tokens(x)
    assert sizes == [4, 4, 4, 3]
    torch.testing.assert_close(parts.patch_BTHWD, whole.patch_BTHWD, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(parts.cls_BD, whole.cls_BD, atol=1e-5, rtol=1e-5)


def test_it_is_an_encoder_and_says_what_it_is(encoder):
    assert isinstance(encoder, Encoder)
    spec = encoder.spec
    assert (spec.family, spec.backbone, spec.heads, spec.depth) == ("image", "ViT-24x3/8", 2, 3)
    assert (spec.mean, spec.std, spec.frames, spec.tubelet, spec.default_pool) == (MEAN, STD, 4, 1, "cls")
    assert spec.params == sum(p.numel() for p in encoder.parameters())
    assert not any("head" in name for name in encoder.state_dict())


def test_rates_fall_with_depth(encoder):
    names = ("model.patch_embed.proj.weight", "model.cls_token", "model.blocks.0.norm1.bias", "model.blocks.2.x")
    assert [encoder.layer_of(name) for name in (*names, "model.norm.weight")] == [0, 0, 1, 3, 4]


def test_gradients_reach_every_parameter(encoder):
    encoder.tokens(clips()).patch_BTHWD.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_what_it_cannot_do_is_said(encoder):
    with pytest.raises(UserError, match="no token of a clip can be hidden"):
        encoder.tokens(clips(), visible=torch.ones(2, 64, dtype=torch.bool))
    for layer in (3, -4):
        with pytest.raises(UserError, match="expected -3 to 2"):
            encoder.tokens(clips(), layer=layer)
    for shape in ((2, 3, 4, 32, 24), (2, 1, 4, 32, 32), (2, 3, 32, 32)):
        with pytest.raises(UserError, match=r"takes \(B, 3, T, 32, 32\)"):
            encoder.tokens(torch.zeros(shape))
    oblong = timm.create_model("vit_tiny_patch16_224", img_size=(32, 64), embed_dim=24, depth=1, num_heads=2)
    with pytest.raises(UserError, match="expected a fixed square"):
        take_off_head(oblong)
