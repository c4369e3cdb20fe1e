"""OmniMAE files: made-up state dicts of the released names and shapes."""

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.joint import JointViT
from sigma_bench.models.positions import sincos_1d


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = JointViT(32, 16, 4, 2, 48, 2, 3, family="omnimae").eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    model.positions = sincos_1d(8, 48)
    return model


def _state(model, pretrained=True):
    names = {"patch_embed.proj.": "patch_embed.proj.1."}
    state = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[f"trunk.{name}"] = tensor
    state |= {"trunk.pos_embed": sincos_1d(8, 48), "head.weight": torch.ones(9, 48), "head.bias": torch.ones(9)}
    if pretrained:
        decoder = ("decoder_embed.weight", "decoder_blocks.0.attn.qkv.weight", "norm.weight", "pos_embed")
        state |= {f"trunk.decoder.{name}": torch.ones(3, 3) for name in decoder}
        state["trunk.mask_token"] = torch.zeros(1, 48)
    return state


def _load(tmp_path, state, **given):
    torch.save(state, tmp_path / "x.torch")
    return load_encoder(tmp_path / "x.torch", **{"heads": 3, "frames": 4, "image_size": 32} | given)


@torch.no_grad()
def test_a_pretraining_file_fills_the_encoder(tmp_path, model):
    encoder, report = _load(tmp_path, _state(model))
    assert (report.family, report.guessed, encoder.spec.verified) == ("omnimae", True, "none")
    assert (report.matched.tensors, report.dropped.tensors, report.unexpected.tensors) == (28, 8, 0)
    clips = torch.randn(1, 3, 4, 32, 32)
    assert torch.equal(encoder(clips), model(clips))
    assert encoder.spec.has_norm


@torch.no_grad()
def test_the_norm_of_a_finetuned_file_is_not_applied_to_tokens(tmp_path, model):
    encoder, report = _load(tmp_path, _state(model, pretrained=False))
    assert not encoder.spec.has_norm
    assert any("finetuned" in note for note in report.notes)
    clips = torch.randn(1, 3, 4, 32, 32)
    assert torch.equal(encoder(clips), model.tokens(clips, norm=False).patch_BTHWD.flatten(1, 3))
    _, report = _load(tmp_path, _state(model, pretrained=False), head="require")
    assert (report.head.classes, report.head.pooled) == (9, True)
    assert torch.equal(report.head.tensors["fc_norm.weight"], model.norm.weight)


def test_what_predicts_pixels_is_no_classifier(tmp_path, model):
    assert _load(tmp_path, _state(model), head="keep")[1].head is None


@torch.no_grad()
def test_other_sizes_have_the_table_computed(tmp_path, model):
    encoder, report = _load(tmp_path, _state(model), frames=8)
    assert any("computed for 8 frames of 32 px" in note for note in report.notes)
    assert torch.equal(encoder.positions, sincos_1d(16, 48))
    with pytest.raises(UserError, match="'slice' cannot be followed"):
        _load(tmp_path, _state(model), frames=8, positions="slice")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trunk.pos_embed": torch.randn(1, 8, 48)}, "differs from the flat sine-cosine"),
        ({"trunk.pos_embed": torch.randn(1, 8, 47)}, r"expected \(1, places, 48"),
        ({"trunk.cls_token": torch.ones(1, 1, 48)}, "cannot use"),
        ({"trunk.blocks.0.layer_scale_gamma1": torch.ones(1, 1, 48)}, "cannot use"),
        ({"trunk.blocks.1.attn.qkv.bias": None}, "missing"),
        ({"trunk.pos_embed": None}, "pos_embed is missing"),
        ({"trunk.norm.weight": None}, "missing"),
    ],
)
def test_what_would_be_wrong_is_refused(tmp_path, model, change, said):
    state = {name: tensor for name, tensor in (_state(model) | change).items() if tensor is not None}
    with pytest.raises(UserError, match=said):
        _load(tmp_path, state)


def test_clips_that_do_not_divide_are_refused(tmp_path, model):
    with pytest.raises(UserError, match="3 frames of 32 px do not divide"):
        _load(tmp_path, _state(model), frames=3)
