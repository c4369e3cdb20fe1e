"""The print of what an encoder computes: the same for the same weights, another for any other."""

import math

import pytest
import torch

from sigma_bench.contracts import Tokens, UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.feature_print import NUMBERS, TOKENS, feature_print, fixed_clip
from sigma_bench.models.vit import VideoViT


def _encoder(**changes) -> VideoViT:
    torch.manual_seed(0)
    sizes = {"image_size": 64, "patch": 8, "frames": 4, "tubelet": 2, "dim": 48, "depth": 2, "heads": 3}
    return VideoViT(**(sizes | changes)).eval()


def test_the_clip_is_the_same_in_every_process_and_normalised():
    clip = fixed_clip(_encoder().spec)
    assert clip.shape == (1, 3, 4, 64, 64)
    mean, std = 0.406, 0.225
    turn = 2 * math.pi / 64
    told = 0.5 + 0.3 * math.sin(turn * (3 * 5 + 5 * 7) + 0.7 * 2 + 2) + 0.2 * math.cos(turn * (55 - 49) - 0.8 + 4)
    assert clip[0, 2, 2, 5, 7].item() == pytest.approx((told - mean) / std, abs=1e-6)
    frames = clip[0, 0]
    assert all(not torch.allclose(frames[0], frame, atol=0.1) for frame in frames[1:])


def test_the_print_of_the_same_weights_is_the_same_whatever_was_drawn_before():
    encoder = _encoder()
    first = feature_print(encoder)
    torch.manual_seed(9)
    again = feature_print(encoder)
    assert first == again
    assert len(first.values) == NUMBERS
    assert first.tokens == TOKENS


def test_rounding_of_another_machine_leaves_the_numbers_and_as_good_as_always_the_hash():
    equal = 0
    for seed in range(12):
        torch.manual_seed(seed)
        encoder = _encoder()
        first = feature_print(encoder)
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter *= 1 + 1e-7 * torch.randn_like(parameter)
        second = feature_print(encoder)
        assert second.values == pytest.approx(first.values, abs=2e-5)
        equal += first.digest == second.digest
    assert equal >= 11


@pytest.mark.parametrize(
    "name", ["patch_embed.proj.bias", "blocks.0.attn.q_bias", "blocks.1.mlp.fc2.weight", "norm.weight", "positions"]
)
def test_any_changed_part_changes_the_print(name):
    encoder = _encoder()
    first = feature_print(encoder)
    with torch.no_grad():
        part = dict((*encoder.named_parameters(), *encoder.named_buffers()))[name]
        part += 0.1 * torch.randn_like(part)
    second = feature_print(encoder)
    assert second.digest != first.digest
    assert max(abs(a - b) for a, b in zip(first.values, second.values, strict=True)) > 1e-3


def test_lost_biases_and_another_number_of_heads_change_the_print(golden):
    right, _ = load_encoder(golden / "ckpt_sigma.pth", heads=3)
    wrong, _ = load_encoder(golden / "ckpt_sigma.pth", heads=4)
    assert feature_print(right).digest != feature_print(wrong).digest
    with torch.no_grad():
        for block in right.blocks:
            block.attn.q_bias.zero_()
    assert feature_print(right).digest != feature_print(load_encoder(golden / "ckpt_sigma.pth", heads=3)[0]).digest


def test_encoders_that_take_whole_clips_only_have_a_print_with_their_class_token():
    class Whole:
        spec = _encoder().spec

        def __init__(self, cls):
            self.cls = cls

        def tokens(self, clips, layer=-1, norm=True, visible=None):
            if visible is not None:
                raise UserError("whole clips only")
            return Tokens(clips.mean(1)[..., None], self.cls)

    one, other = (feature_print(Whole(torch.full((1, 1), value))) for value in (1.0, 2.0))
    assert one.tokens == 0
    assert one.values != other.values
