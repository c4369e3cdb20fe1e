"""Shorter clips: the first rows of the tables, and nothing else changes."""

import pytest
import timm
import torch
from torch import nn

from sigma_bench.contracts import EncoderSpec, UserError
from sigma_bench.models.floors import KINDS, Floor
from sigma_bench.models.frames import FrameViT, take_off_head
from sigma_bench.models.joint import JointViT
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.shortened import longest, shortened
from sigma_bench.models.timesformer import TimeSformer
from sigma_bench.models.vit import VideoViT
from sigma_bench.models.vjepa import sincos_uniform


def image():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2)
    return FrameViT(model, 8, (0.5,) * 3, (0.5,) * 3, take_off_head(model))


def table():
    made = JointViT(32, 16, 8, 2, 48, 2, 2, family="vjepa")
    made.positions = sincos_uniform(made.grid, 48)
    return made


MADE = {
    "video": lambda: VideoViT(32, 16, 8, 2, 48, 2, 2),
    "cls": lambda: VideoViT(32, 16, 8, 2, 48, 2, 2, cls_token=True),
    "table": table,
    "rotary": lambda: JointViT(32, 16, 8, 2, 48, 2, 2, rotary_positions=True, family="vjepa2"),
    "timesformer": lambda: TimeSformer(32, 16, 8, 48, 2, 2),
    "image": image,
}
CLIPS = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", MADE)
def test_a_shorter_encoder_shares_the_weights_and_leaves_the_first_as_it_was(kind):
    torch.manual_seed(0)
    encoder = MADE[kind]().eval()
    for parameter in encoder.parameters():  # tables of zeros would hide a wrong row
        nn.init.normal_(parameter, std=0.2)
    before = encoder.tokens(CLIPS).patch_BTHWD
    short = shortened(encoder, 4)
    steps = 4 // encoder.spec.tubelet
    found = short.tokens(CLIPS[:, :, :4]).patch_BTHWD
    assert found.shape == (2, steps, 2, 2, encoder.spec.embed_dim)
    assert (short.spec.frames, encoder.spec.frames) == (4, 8)
    torch.testing.assert_close(encoder.tokens(CLIPS).patch_BTHWD, before)
    assert torch.allclose(found, before[:, :steps]) == (kind == "image")  # elsewhere attention sees fewer tokens
    max(encoder.parameters(), key=torch.numel).data *= 2
    assert not torch.allclose(short.tokens(CLIPS[:, :, :4]).patch_BTHWD, found)
    assert shortened(encoder, 8) is encoder


def test_the_table_of_the_family_is_the_one_built_for_so_many_frames():
    short = shortened(VideoViT(32, 16, 8, 2, 48, 1, 2), 4)
    torch.testing.assert_close(short.positions, sincos_1d(2 * 2 * 2, 48), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["video", "cls", "table", "rotary"])
def test_it_is_what_an_encoder_made_for_fewer_frames_computes(kind):
    encoder = MADE[kind]().eval()
    settings = {"video": {}, "cls": {"cls_token": True}}
    if kind in settings:
        other = VideoViT(32, 16, 4, 2, 48, 2, 2, **settings[kind])
    else:
        other = JointViT(32, 16, 4, 2, 48, 2, 2, rotary_positions=kind == "rotary", family="f")
        if kind == "table":
            other.positions = sincos_uniform(other.grid, 48)
    other.load_state_dict(encoder.state_dict())
    found = shortened(encoder, 4).tokens(CLIPS[:, :, :4]).patch_BTHWD
    torch.testing.assert_close(found, other.eval().tokens(CLIPS[:, :, :4]).patch_BTHWD)


def test_learned_times_are_cut_not_resized():
    encoder = MADE["timesformer"]()
    nn.init.normal_(encoder.time_embed)
    assert torch.equal(shortened(encoder, 3).time_embed, encoder.time_embed[:, :3])


def test_an_image_vit_takes_any_number_of_frames_and_others_no_more_than_theirs():
    assert longest(image()) is None
    assert shortened(image(), 12).spec.frames == 12
    video = MADE["video"]()
    assert longest(video) == 8
    for frames, said in ((10, "10 frames asked of an encoder that takes 8"), (3, "tubelets of 2, which do not")):
        with pytest.raises(UserError, match=said):
            shortened(video, frames)


class Foreign(nn.Module):
    spec = EncoderSpec("f", "b", 3, 1, 1, 1, 16, 8, 32, (0.0,) * 3, (1.0,) * 3, 0, True)

    def tokens(self, clips, layer=-1, norm=True, visible=None): ...


def test_an_encoder_of_another_package_says_how():
    with pytest.raises(UserError, match=r"4 frames asked of Foreign, which takes 8; give it a method `shortened"):
        shortened(Foreign(), 4)
    able = Foreign()
    able.shortened = lambda frames: ("short", frames)
    assert shortened(able, 4) == ("short", 4)


@pytest.mark.parametrize("kind", KINDS)
def test_floors_know_the_place_or_the_colour_of_a_tubelet_and_no_more(kind):
    clips = torch.rand(2, 3, 4, 224, 224)
    floor = shortened(Floor(kind), 4)
    found = floor.tokens(clips).patch_BTHWD
    assert found.shape == (2, 2, 14, 14, floor.spec.embed_dim)
    if kind == "pixel_colours":
        torch.testing.assert_close(found[1, 1, 3, 5], clips[1, :, 2:4, 48:64, 80:96].mean((1, 2, 3)))
    else:
        assert torch.equal(found, floor.tokens(clips * 0).patch_BTHWD)
    if kind == "pixel_positions":
        assert found[0, 1, 3, 5].tolist() == pytest.approx([3 / 14, 5 / 14])
