"""Files of SVT and TimeSformer: which weights are taken, what is refused, what is assumed."""

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.timesformer import TimeSformer
from sigma_bench.models.vit import IMAGENET_MEAN
from sigma_bench.runs.verify.vectors import clips_of


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = TimeSformer(12, 4, 3, 12, 2, 2).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return model


def _saved(tmp_path, model, prefix, container=None, extra=None, **beside):
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()} | (extra or {})
    torch.save({container: state, **beside} if container else state, tmp_path / "x.pth")
    return tmp_path / "x.pth"


@torch.no_grad()
def test_the_teacher_of_the_golden_file_is_taken(golden):
    encoder, report = load_encoder(golden / "ckpt_svt.pth", heads=3)
    assert (report.family, report.guessed, report.container) == ("svt", True, "teacher")
    assert (report.matched.tensors, report.dropped.tensors, report.unexpected.tensors) == (47, 4, 0)
    assert any("teacher" in note for note in report.notes)
    assert (encoder.spec.frames, encoder.spec.image_size, encoder.spec.patch) == (8, 32, 8)
    assert (encoder.spec.verified, encoder.spec.default_pool, encoder.spec.mean) == ("golden", "cls", IMAGENET_MEAN)
    values = torch.load(golden / "feat_svt.pt", weights_only=True)
    cls = encoder.tokens(clips_of(values["video_u8"], "cpu")).cls_BD
    torch.testing.assert_close(cls, values["cls_feature"], atol=2e-5, rtol=0)
    student = torch.load(golden / "ckpt_svt.pth", weights_only=False)["student"]
    assert not torch.equal(encoder.cls_token, student["module.backbone.cls_token"])


def test_released_timesformer_files_have_another_normalisation(tmp_path, model):
    head = {"model.head.weight": torch.ones(5, 12), "model.head.bias": torch.ones(5)}
    path = _saved(tmp_path, model, "model.", "model_state", head, cfg="")
    encoder, report = load_encoder(path, heads=2)
    assert (report.family, report.guessed, report.dropped.tensors) == ("timesformer", True, 2)
    assert (encoder.spec.mean, encoder.spec.std) == ((0.45,) * 3, (0.225,) * 3)
    assert encoder.spec.verified == "none"
    assert load_encoder(path, heads=2, head="require")[1].head.classes == 5
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in encoder.state_dict().items())


def test_bare_names_do_not_show_whose_it_is(tmp_path, model):
    path = _saved(tmp_path, model, "")
    with pytest.raises(UserError, match="name the family"):
        load_encoder(path, heads=2)
    assert load_encoder(path, heads=2, family="svt")[0].spec.mean == IMAGENET_MEAN
    assert load_encoder(path, heads=2, family="timesformer")[0].spec.mean == (0.45,) * 3
    with pytest.raises(UserError):
        load_encoder(path, heads=2, family="videomae")


@torch.no_grad()
def test_other_sizes_resize_the_tables_and_say_so(tmp_path, model):
    path = _saved(tmp_path, model, "backbone.", "teacher", student={})
    encoder, report = load_encoder(path, heads=2, frames=6, image_size=16)
    assert any("3 frames of 12 px" in note and "6 frames of 16 px" in note for note in report.notes)
    clips = torch.randn(1, 3, 6, 16, 16)
    wanted = TimeSformer(16, 4, 6, 12, 2, 2, table_frames=3, table_side=3).eval()
    wanted.load_state_dict(model.state_dict())
    assert torch.equal(encoder(clips), wanted(clips))
    _, report = load_encoder(path, heads=2)
    assert not any("resized" in note for note in report.notes)
    with pytest.raises(UserError, match="must divide"):
        load_encoder(path, heads=2, image_size=15)
    with pytest.raises(UserError, match="'recompute' cannot be followed"):
        load_encoder(path, heads=2, positions="recompute")


def test_the_student_is_taken_where_it_is_asked_for(golden):
    encoder, report = load_encoder(golden / "ckpt_svt.pth", heads=3, weights="student")
    student = torch.load(golden / "ckpt_svt.pth", weights_only=False)["student"]
    assert torch.equal(encoder.cls_token, student["module.backbone.cls_token"])
    assert not any("teacher's weights are taken" in note for note in report.notes)


def test_heads_are_asked_for_where_nothing_tells_them(tmp_path, model):
    with pytest.raises(UserError, match=r"heads.*width 12"):
        load_encoder(_saved(tmp_path, model, "backbone."))


@pytest.mark.parametrize("name", ["time_embed", "cls_token", "blocks.1.temporal_fc.bias", "norm.weight", "blocks.0"])
def test_a_missing_tensor_is_named(tmp_path, model, name):
    state = {f"backbone.{n}": t for n, t in model.state_dict().items() if not n.startswith(name)}
    torch.save({"teacher": state}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=f"{name}|no known encoder"):
        load_encoder(tmp_path / "x.pth", heads=2)


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("aux_cls_token", torch.ones(1, 1, 12), "cannot use"),
        ("flow_patch_embed.proj.weight", torch.ones(12, 3, 4, 4), "cannot use"),
        ("pos_embed", torch.ones(1, 11, 12), "two class tokens"),
        ("time_embed", torch.ones(1, 3, 13), "time_embed has shape"),
        ("patch_embed.proj.weight", torch.ones(12, 3, 4, 5), "patch_embed.proj.weight has shape"),
        ("patch_embed.proj.weight", torch.ones(12, 3, 1, 4, 4), "5 axes, 4 expected"),
        ("blocks.1.attn.qkv.bias", torch.ones(12), "expected floating point"),
    ],
)
def test_other_models_are_refused(tmp_path, model, name, tensor, said):
    with pytest.raises(UserError, match=said):
        load_encoder(_saved(tmp_path, model, "backbone.", "teacher", {f"backbone.{name}": tensor}), heads=2)
