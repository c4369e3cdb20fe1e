"""V-JEPA and V-JEPA 2 files: made-up ones of the released names and shapes, and Hugging Face's own implementation."""

import json

import pytest
import torch
import torch.nn.functional as F

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.joint import JointViT
from sigma_bench.models.vjepa import sincos_by_half, sincos_uniform

CLIPS = (1, 3, 4, 48, 48)


def _model(rotary_positions=False):
    torch.manual_seed(0)
    model = JointViT(48, 16, 4, 2, 32, 2, 2, family="x", rotary_positions=rotary_positions).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    if not rotary_positions:
        model.positions = sincos_uniform((2, 3, 3), 32)
    return model


def _saved(tmp_path, model, table=None, prefix="module.backbone.", **extra):
    state = dict(model.state_dict()) | ({} if table is None else {"pos_embed": table}) | extra
    target = {prefix + name: tensor for name, tensor in state.items()}
    online = {name: tensor + 1 for name, tensor in target.items()}
    predictor = {"module.backbone.predictor_embed.weight": torch.ones(3, 3)}
    content = {"encoder": online, "predictor": predictor, "target_encoder": target, "epoch": 3, "opt": {}, "lr": 0.1}
    torch.save(content, tmp_path / "x.pth.tar")
    return tmp_path / "x.pth.tar"


def _load(path, family, **given):
    return load_encoder(path, family=family, **{"heads": 2, "frames": 4, "image_size": 48} | given)


@torch.no_grad()
def test_the_target_encoder_and_its_table_are_taken(tmp_path):
    model, clips = _model(), torch.randn(CLIPS)
    table = sincos_uniform((2, 3, 3), 32)
    encoder, report = _load(_saved(tmp_path, model, table), "vjepa")
    assert (report.container, report.guessed, encoder.spec.verified) == ("target_encoder", False, "none")
    assert (report.matched.tensors, report.unexpected.tensors) == (28, 0)
    assert torch.equal(encoder(clips), model(clips))
    encoder, _ = _load(_saved(tmp_path, model, table + 1), "vjepa")
    assert torch.equal(encoder.positions, table + 1)


@torch.no_grad()
def test_a_table_in_a_file_of_v_jepa_2_is_not_used(tmp_path):
    model, clips = _model(rotary_positions=True), torch.randn(CLIPS)
    wanted = model(clips)
    for table in (None, sincos_by_half((2, 3, 3), 32)):
        encoder, report = _load(_saved(tmp_path, model, table), "vjepa2")
        assert torch.equal(encoder(clips), wanted)
        assert any("not used" in note for note in report.notes) == (table is not None)


def test_the_family_has_to_be_named(tmp_path):
    path = _saved(tmp_path, _model(), sincos_uniform((2, 3, 3), 32))
    with pytest.raises(UserError, match=r"name the family.*vjepa"):
        load_encoder(path, heads=2)
    with pytest.raises(UserError):
        _load(path, "videomae")


def test_what_differs_is_refused(tmp_path):
    model = _model()
    with pytest.raises(UserError, match="pos_embed is missing"):
        _load(_saved(tmp_path, model), "vjepa")
    later = {"video_mod_embed": torch.ones(1, 1, 32), "norms_block.0.weight": torch.ones(32)}
    with pytest.raises(UserError, match=r"V-JEPA 2\.1"):
        _load(_saved(tmp_path, model, **later), "vjepa2")
    with pytest.raises(UserError, match="cannot use"):
        _load(_saved(tmp_path, model, **{"blocks.0.mlp.fc3.weight": torch.ones(3)}), "vjepa2")
    with pytest.raises(UserError, match="no square frames"):
        _load(_saved(tmp_path, model, torch.ones(1, 17, 32)), "vjepa")
    with pytest.raises(UserError, match=r"expected \(1, tubelets, 32"):
        _load(_saved(tmp_path, model, torch.ones(18, 32)), "vjepa")
    with pytest.raises(UserError, match="infinite or undefined"):
        _load(_saved(tmp_path, model, torch.full((1, 18, 32), torch.nan)), "vjepa")
    with pytest.raises(UserError, match="heads"):
        _load(_saved(tmp_path, model), "vjepa2", heads=None)


@torch.no_grad()
def test_the_table_of_16_frames_is_interpolated_as_in_the_released_code(tmp_path):
    table = sincos_uniform((8, 3, 3), 32)
    path = _saved(tmp_path, _model(), table)
    own, report = load_encoder(path, family="vjepa", heads=2)
    assert (own.spec.frames, own.spec.image_size) == (16, 48)
    assert not any("interpolated" in note for note in report.notes)
    encoder, report = _load(path, "vjepa", frames=8, image_size=64)
    assert any("16 frames of 48 px interpolated to 8 frames of 64 px" in note for note in report.notes)
    with pytest.raises(UserError, match="'recompute' cannot be followed"):
        _load(path, "vjepa", frames=8, positions="recompute")
    with pytest.raises(UserError, match="rotary positions need no table"):
        _load(path, "vjepa2", positions="slice")
    cube = table.reshape(1, 8, 3, 3, 32).permute(0, 4, 1, 2, 3)
    wanted = F.interpolate(cube, scale_factor=(4 / 8, 4 / 3, 4 / 3), mode="trilinear")
    torch.testing.assert_close(encoder.positions, wanted.permute(0, 2, 3, 4, 1).reshape(1, -1, 32))


def test_a_table_of_more_frames_is_told_by_its_values_where_its_size_fits_two_clips(tmp_path):
    table = sincos_uniform((32, 4, 4), 32)
    encoder, report = _load(_saved(tmp_path, _model(), table), "vjepa", frames=64, image_size=64)
    assert (report.positions.stored_grid, report.positions.policy) == ((32, 4, 4), "as is")
    assert torch.equal(encoder.positions, table)
    _, report = _load(_saved(tmp_path, _model(), table + 1), "vjepa", frames=64, image_size=64)
    assert report.positions.stored_grid == (8, 8, 8)
    assert any("this clip is assumed" in note for note in report.notes)


def test_the_giant_of_v_jepa_2_has_22_heads(tmp_path):
    with torch.device("meta"):
        model = JointViT(32, 16, 2, 2, 1408, 1, 22, family="x", rotary_positions=True, mlp_hidden=8)
    model = model.to_empty(device="cpu")
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    encoder, report = _load(_saved(tmp_path, model), "vjepa2", heads=None, frames=2, image_size=32)
    assert encoder.spec.heads == 22
    assert any("22 assumed" in note for note in report.notes)


CONFIG = {
    **{"patch_size": 16, "crop_size": 48, "frames_per_clip": 4, "tubelet_size": 2, "hidden_size": 32},
    **{"num_attention_heads": 2, "num_hidden_layers": 2, "pred_hidden_size": 16, "pred_num_attention_heads": 2},
    **{"pred_num_hidden_layers": 1, "pred_num_mask_tokens": 1},
}


@pytest.fixture(scope="module")
def theirs():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.VJEPA2Model(transformers.VJEPA2Config(**CONFIG)).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return model


@pytest.mark.parametrize("prefix", ["", "vjepa2."])
@torch.no_grad()
def test_hugging_face_weights_give_hugging_face_features(tmp_path, theirs, prefix):
    state = {prefix + name: tensor for name, tensor in theirs.state_dict().items()}
    torch.save(state, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"model_type": "vjepa2"}))
    encoder, report = load_encoder(tmp_path / "pytorch_model.bin")
    assert (report.family, report.guessed, report.unexpected.tensors) == ("vjepa2", True, 0)
    assert (encoder.spec.frames, encoder.spec.image_size, encoder.spec.heads) == (4, 48, 2)
    clips = torch.randn(2, 3, 4, 48, 48)
    wanted = theirs(clips.transpose(1, 2), skip_predictor=True).last_hidden_state
    torch.testing.assert_close(encoder(clips), wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "silu"}, "hidden_act"),
        ({"layer_norm_eps": 1e-3}, "layer_norm_eps"),
        ({"num_attention_heads": "two"}, "num_attention_heads"),
        ({"num_attention_heads": 4}, "config.json says 4"),
        ({"num_hidden_layers": 3}, "num_hidden_layers = 3, the tensors say 2"),
        ({"hidden_size": 64}, "hidden_size = 64, the tensors say 32"),
        ({"patch_size": 8}, "patch_size = 8, the tensors say 16"),
        ({"tubelet_size": 1}, "tubelet_size = 1, the tensors say 2"),
    ],
)
def test_a_configuration_that_changes_the_meaning_is_refused(tmp_path, theirs, change, said):
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(UserError, match=said):
        load_encoder(tmp_path / "pytorch_model.bin", heads=2)


def test_a_missing_part_of_joined_weights_is_noticed(tmp_path, theirs):
    state = {n: t for n, t in theirs.state_dict().items() if n != "encoder.layer.1.attention.key.bias"}
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"blocks\.1\.attn\.qkv\.bias"):
        load_encoder(tmp_path / "pytorch_model.bin", heads=2)


@pytest.mark.parametrize("shape", [(), (16, 32)])
def test_a_misshapen_part_of_joined_weights_is_a_users_error(tmp_path, theirs, shape):
    state = theirs.state_dict()
    parts = ("query", "key", "value") if shape == () else ("query",)
    state |= {f"encoder.layer.1.attention.{part}.weight": torch.zeros(shape) for part in parts}
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"missing .*blocks\.1\.attn\.qkv\.weight"):
        load_encoder(tmp_path / "pytorch_model.bin", heads=2)
