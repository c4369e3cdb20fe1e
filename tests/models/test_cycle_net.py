"""The network of cycle lengths: which heads read which half, and which encoders it takes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sigma_bench.contracts import Tokens, UserError
from sigma_bench.models.cycle_net import CycleNet
from sigma_bench.models.vit import VideoViT


def _encoder(frames=4, **given):
    torch.manual_seed(0)
    return VideoViT(16, 8, frames, 2, 16, 1, 2, **given)


def _clips(frames=8):
    return torch.randn(3, 3, frames, 16, 16, generator=torch.Generator().manual_seed(1))


def test_shapes_of_both_kinds():
    for passes, side in ((2, 4), (1, 2)):
        net = CycleNet(_encoder(), 7, passes)
        assert net.side == side
        said = net(_clips(2 * side))
        assert [tuple(part.shape) for part in said] == [(3, 2, 7), (3, 7), (3, 2, 7), (3, 7)]


def test_with_two_passes_each_side_reads_its_own_half():
    net, clips = CycleNet(_encoder(), 7, 2), _clips()
    other = clips.clone()
    other[:, :, 4:] += 1
    before, after = net(clips), net(other)
    assert torch.equal(before.logits1_B2A, after.logits1_B2A)
    assert torch.equal(before.boxes1_BA, after.boxes1_BA)
    assert not torch.equal(before.logits2_B2A, after.logits2_B2A)
    assert not torch.equal(before.boxes2_BA, after.boxes2_BA)


def test_with_one_pass_every_side_reads_both_halves():
    net, clips = CycleNet(_encoder(8), 7, 1), _clips()
    other = clips.clone()
    other[:, :, 4:] += 1
    assert not torch.equal(net(clips).boxes1_BA, net(other).boxes1_BA)


def test_a_pass_is_the_mean_of_the_encoders_normed_tokens_and_a_linear_map():
    encoder = _encoder()
    net, clips = CycleNet(encoder, 3, 2), _clips()
    vector = encoder.tokens(clips[:, :, 4:]).patch_BTHWD.mean((1, 2, 3))
    assert torch.allclose(net(clips).boxes2_BA, vector @ net.box2.weight.T + net.box2.bias, atol=1e-5)
    logits = vector @ net.fits2.weight.T + net.fits2.bias
    assert torch.allclose(net(clips).logits2_B2A[:, 1], logits[:, 3:], atol=1e-5)


def test_every_parameter_is_trained():
    net = CycleNet(_encoder(), 7, 2)
    sum(part.sum() for part in net(_clips())).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_the_class_token_can_be_read_where_there_is_one():
    net = CycleNet(_encoder(cls_token=True), 7, 2, "cls")
    assert net(_clips()).boxes1_BA.shape == (3, 7)
    with pytest.raises(UserError, match="class token"):
        CycleNet(_encoder(), 7, 2, "cls")(_clips())


def test_one_pass_needs_frames_to_halve():
    encoder = VideoViT(16, 8, 3, 1, 16, 1, 2)
    assert CycleNet(encoder, 7, 2).side == 3
    with pytest.raises(UserError, match="even number of frames, not 3"):
        CycleNet(encoder, 7, 1)


class Colours(nn.Module):
    """An encoder of somebody else: the mean colours of each frame."""

    def __init__(self):
        super().__init__()
        self.spec = replace(_encoder().spec, embed_dim=3, frames=4, tubelet=1)
        self.scale = nn.Parameter(torch.ones(3))

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        return Tokens(clips.mean((3, 4)).transpose(1, 2)[:, :, None, None] * self.scale, None)


def test_an_encoder_of_somebody_else_is_taken_too():
    said = CycleNet(Colours(), 7, 2)(_clips())
    assert said.boxes1_BA.shape == (3, 7)
    said.boxes1_BA.sum().backward()
