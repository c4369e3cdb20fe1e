"""Every network gives the tokens of several blocks in one pass, as it gives them one by one."""

import pytest
import timm
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.frames import FrameViT, take_off_head
from sigma_bench.models.joint import JointViT
from sigma_bench.models.timesformer import TimeSformer
from sigma_bench.models.vit import VideoViT


def frames(name):
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, img_size=32, patch_size=16, depth=3, embed_dim=24, num_heads=2)
    pool = take_off_head(model)
    return FrameViT(model, 4, (0.0,) * 3, (1.0,) * 3, pool)


MODELS = {
    "vit": lambda: VideoViT(32, 16, 4, 2, 48, 3, 4),
    "vit with a class token": lambda: VideoViT(32, 16, 4, 2, 48, 3, 4, cls_token=True),
    "vit without norm": lambda: VideoViT(32, 16, 4, 2, 48, 3, 4, norm=False),
    "joint": lambda: JointViT(32, 16, 4, 2, 48, 3, 4, family="omnimae"),
    "rotary": lambda: JointViT(32, 16, 4, 2, 48, 3, 4, rotary_positions=True, family="vjepa2"),
    "timesformer": lambda: TimeSformer(32, 16, 4, 48, 3, 4),
    "frames": lambda: frames("vit_tiny_patch16_224"),
    "frames without a class token": lambda: frames("vit_base_patch16_siglip_224"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("norm", [True, False])
def test_several_layers_of_one_pass_are_those_of_several_passes(name, norm):
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        for layers in ((0, 1, 2), (0, 2), (1,), (2,)):
            found = list(model.each_layer(clips, layers, norm))
            assert len(found) == len(layers)
            for layer, tokens in zip(layers, found, strict=True):
                alone = model.tokens(clips, layer=layer, norm=norm)
                torch.testing.assert_close(tokens.patch_BTHWD, alone.patch_BTHWD, rtol=0, atol=0)
                assert (tokens.cls_BD is None) == (alone.cls_BD is None)
                if tokens.cls_BD is not None:
                    torch.testing.assert_close(tokens.cls_BD, alone.cls_BD, rtol=0, atol=0)


@pytest.mark.parametrize("layers", [(), (1, 0), (0, 0), (-1,), (0, 3)])
def test_layers_that_do_not_ascend_or_are_none_are_refused(layers):
    model = MODELS["vit"]()
    with pytest.raises(ValueError, match="expected ascending indices of 3 blocks"):
        list(model.each_layer(torch.zeros(1, 3, 4, 32, 32), layers))


def test_clips_of_another_size_are_refused():
    for name in MODELS:
        with pytest.raises(UserError, match="clips of shape"):
            list(MODELS[name]().each_layer(torch.zeros(1, 3, 4, 16, 16), (0, 1)))
