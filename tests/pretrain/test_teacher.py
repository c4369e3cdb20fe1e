"""The frozen teacher: which frames, which tokens, in which colours; not trained, not saved, not random unasked."""

import sys
import types

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from sigma_bench.contracts import UserError
from sigma_bench.models.frames import FRAMES_AT_A_TIME, FrameViT, take_off_head
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.pretrain.teacher import FrozenTeacher, frozen_teacher
from sigma_bench.spec.recipe import Model
from sigma_bench.spec.recipe_target import TeacherTarget
from sigma_bench.train.optim import pretraining_groups

COLOURS = (IMAGENET_MEAN, IMAGENET_STD)
HALF = ((0.5, 0.45, 0.4), (0.3, 0.25, 0.2))
SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
CFG = {"input_size": (3, 32, 32), "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "fixed_input_size": True}
HUB = {"hf_hub_id": "nobody/teacher", "url": "https://example.org/dino_teacher.pth"}
MODELS = {
    "tinyteacher": ({}, {"dino": {**CFG, **HUB}, "clip": {**CFG, "mean": HALF[0], "std": HALF[1]}}),
    "tinyteacher_fine": ({"patch_size": 4}, {"dino": CFG}),
    "tinyteacher_large": ({"img_size": 48, "reg_tokens": 4, "no_embed_class": True}, {"dinov2": CFG}),
    "tinyteacher_map": ({"class_token": False, "global_pool": "map"}, {"siglip": CFG}),
    "tinyteacher_fcnorm": ({"global_pool": "avg"}, {"x": CFG}),
}
STUDENT = Model(size="nano", image_size=32, frames=4, tubelet=2, patch=8, decoder_depth=1)


@pytest.fixture(scope="module", autouse=True)
def registered():
    module = types.ModuleType("tinyteachers")
    weights = {f"{name}.{tag}": cfg for name, (_, tags) in MODELS.items() for tag, cfg in tags.items()}
    module.default_cfgs = generate_default_cfgs(weights)
    sys.modules["tinyteachers"] = module
    for name, (extra, _) in MODELS.items():
        register_model(_entry(name, extra))
    yield
    del sys.modules["tinyteachers"]


def _entry(name, extra):
    def make(pretrained=False, **kwargs):
        adapted = {"pretrained_filter_fn": timm.models.vision_transformer.checkpoint_filter_fn}
        return build_model_with_cfg(VisionTransformer, name, pretrained, **adapted, **{**SIZES, **extra, **kwargs})

    make.__name__, make.__module__ = name, "tinyteachers"
    return make


def vit(seed=0, **more):
    torch.manual_seed(seed)
    model = VisionTransformer(**{**SIZES, "num_classes": 0, **more}).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def teacher(model=None, grid=(2, 4, 4), colours=COLOURS, tubelet=2, **more):
    model = vit() if model is None else model
    pool = take_off_head(model)
    return FrozenTeacher(FrameViT(model, 1, *colours, pool), grid, tubelet, **more)


def clips(B=2, T=4, side=32):
    return torch.randn(B, 3, T, side, side, generator=torch.Generator().manual_seed(1))


def loaded(name, weights="random", student=STUDENT, **more):
    target = TeacherTarget(kind="teacher", model=name, weights=weights, normalize=True)
    return frozen_teacher(target, student, "cpu", **more)


def saved(path, model):
    torch.save(model.state_dict(), path)
    return str(path)


@torch.no_grad()
def test_tokens_are_those_of_timm_for_the_first_frame_of_each_tubelet_in_time_height_width_order():
    model, x = vit(reg_tokens=2), clips()
    found = teacher(model).features(x, *COLOURS)
    wanted = torch.cat([model.forward_features(x[:, :, t])[:, 3:] for t in (0, 2)], 1)
    assert found.shape == (2, 32, 24)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_other_frames_of_a_tubelet_are_not_looked_at():
    x = clips(T=6)
    frozen = teacher(grid=(2, 4, 4), tubelet=3)
    before = frozen.features(x, *COLOURS)
    others = x.clone()
    others[:, :, [1, 2, 4, 5]] = 9.0
    assert torch.equal(frozen.features(others, *COLOURS), before)
    firsts = x.clone()
    firsts[:, :, 3] = 9.0
    changed = (frozen.features(firsts, *COLOURS) != before).any(-1)[0]
    assert changed.tolist() == [False] * 16 + [True] * 16


@pytest.mark.parametrize("grid", [(2, 3, 3), (2, 7, 7)])
@torch.no_grad()
def test_another_grid_is_resized_bilinearly_with_corners_not_aligned(grid):
    model, x = vit(), clips()
    patches = model.forward_features(x[:, :, ::2].transpose(1, 2).flatten(0, 1))[:, 1:]
    image = patches.transpose(1, 2).unflatten(2, (4, 4))
    wanted = F.interpolate(image, grid[1:], mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)
    frozen = teacher(model, grid)
    torch.testing.assert_close(frozen.features(x, *COLOURS), wanted.reshape(2, -1, 24), atol=1e-5, rtol=1e-5)
    assert f"grid of 4x4 resized bilinearly to {grid[1]}x{grid[2]}" in frozen.source


def test_half_the_grid_is_the_mean_of_four_patches():
    fine = loaded("tinyteacher_fine.dino")
    plain = FrozenTeacher(fine.network, (2, 8, 8), 2)
    four = plain.features(clips(), *COLOURS).view(2, 2, 4, 2, 4, 2, 24).mean((3, 5))
    torch.testing.assert_close(fine.features(clips(), *COLOURS), four.reshape(2, 32, 24), atol=1e-5, rtol=1e-5)


def test_colours_are_those_of_the_teachers_own_training():
    x01 = clips().sigmoid()

    def under(colours):
        mean, std = (torch.tensor(values).view(1, 3, 1, 1, 1) for values in colours)
        return (x01 - mean) / std

    own, other = teacher(), teacher(vit(), colours=HALF)
    assert torch.equal(own.network.model.pos_embed, other.network.model.pos_embed)
    renormalised = other.features(under(COLOURS), *COLOURS)
    torch.testing.assert_close(renormalised, other.features(under(HALF), *HALF), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(renormalised, own.features(under(COLOURS), *COLOURS), atol=1e-2)
    assert "renormalised" in other.source
    assert "renormalised" not in own.source


def test_no_gradient_and_no_training_mode():
    frozen = teacher(vit(proj_drop_rate=0.5))
    outer = nn.ModuleDict({"teacher": frozen, "student": nn.Linear(2, 2)})
    before = frozen.features(clips(), *COLOURS)
    outer.train()
    assert not frozen.training
    assert not any(part.training for part in frozen.network.modules())
    after = frozen.features(clips().requires_grad_(), *COLOURS)
    assert torch.equal(before, after)
    assert not after.requires_grad
    prototypes = nn.Parameter(torch.randn(5, 24))  # the features can be a factor of what is trained
    torch.autograd.backward((after @ prototypes.t()).sum())
    assert prototypes.grad is not None


def test_it_is_no_part_of_what_is_saved_or_optimised():
    outer = nn.ModuleDict({"teacher": teacher(), "student": nn.Linear(2, 2)})
    assert set(outer.state_dict()) == {"student.weight", "student.bias"}
    assert [n for n, _ in outer.named_parameters()] == ["student.weight", "student.bias"]
    assert list(outer.named_buffers()) == []
    outer.load_state_dict(outer.state_dict(), strict=True)
    assert sorted(name for group in pretraining_groups(outer, 0.1) for name in group["names"]) == [
        "student.bias", "student.weight",
    ]  # fmt: skip


def test_it_follows_to_a_device_and_to_no_other_type():
    outer = nn.ModuleDict({"teacher": teacher(), "student": nn.Linear(2, 2)})
    before = outer["teacher"].features(clips(), *COLOURS)
    outer.to(torch.bfloat16)
    assert outer["student"].weight.dtype == torch.bfloat16
    assert torch.equal(outer["teacher"].features(clips(), *COLOURS), before)
    outer.to("meta")
    assert {p.device.type for p in outer["teacher"].network.parameters()} == {"meta"}


def test_it_is_float32_under_autocast_unless_asked_otherwise():
    exact, quick = teacher(), teacher(autocast=torch.bfloat16)
    before = exact.features(clips(), *COLOURS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(exact.features(clips(), *COLOURS), before)
    rough = quick.features(clips(), *COLOURS)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, before)
    assert F.cosine_similarity(rough, before, dim=-1).min() > 0.99
    assert ("float32" in exact.source, "bfloat16" in quick.source) == (True, True)


def test_frames_go_through_the_network_and_are_resized_a_bounded_number_at_a_time(monkeypatch):
    frozen, computed, resized = teacher(grid=(30, 3, 3), tubelet=1), [], []
    frozen.network.model.patch_embed.register_forward_hook(lambda _m, args, _o: computed.append(len(args[0])))
    resize = F.interpolate
    monkeypatch.setattr(F, "interpolate", lambda x, **more: (resized.append(len(x)), resize(x, **more))[1])
    x = clips(B=3, T=30)
    found = frozen.features(x, *COLOURS)
    assert computed == resized == [FRAMES_AT_A_TIME, 90 - FRAMES_AT_A_TIME]
    torch.testing.assert_close(found[2:], frozen.features(x[2:], *COLOURS), atol=1e-5, rtol=1e-5)


def test_clips_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected \(B, 3, 4, H, W\)"):
        teacher().features(clips(T=6), *COLOURS)
    with pytest.raises(UserError, match="32, 32"):
        teacher().features(clips(side=48), *COLOURS)


def test_the_digest_is_that_of_the_weights(tmp_path):
    assert teacher().digest == teacher().digest != teacher(vit(seed=1)).digest
    first, second = (saved(tmp_path / f"{seed}.pth", vit(seed)) for seed in (1, 2))
    longer = STUDENT.model_copy(update={"frames": 8})
    one = loaded("tinyteacher.dino", first)
    assert one.digest == loaded("tinyteacher.dino", first, longer).digest
    assert one.digest != loaded("tinyteacher.dino", second).digest
    assert one.digest != loaded("tinyteacher.dino", first, STUDENT.model_copy(update={"image_size": 64})).digest


def test_a_file_of_dino_is_read_and_named(tmp_path):
    model = vit(3)
    nested = {f"module.backbone.{key}": value for key, value in model.state_dict().items()}
    head = {"module.head.last_layer.weight_g": torch.ones(4, 1)}
    student = {key: value + 1 for key, value in nested.items()}
    path = tmp_path / "dino_full.pth"
    torch.save({"student": student, "teacher": nested | head, "epoch": 3}, path)
    frozen = loaded("tinyteacher.dino", str(path))
    assert torch.equal(frozen.features(clips(), *COLOURS), teacher(model).features(clips(), *COLOURS))
    assert str(path) in frozen.source
    assert f"{len(model.state_dict())} tensors" in frozen.source


def test_random_weights_are_said_aloud_and_stored(capsys):
    frozen = loaded("tinyteacher.dino")
    assert "tinyteacher.dino is untrained" in capsys.readouterr().err
    assert "untrained" in frozen.source
    assert frozen.digest == loaded("tinyteacher.dino").digest


def test_one_of_several_processes_says_so(capsys, monkeypatch):
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 1)
    loaded("tinyteacher.dino")
    assert "untrained" not in capsys.readouterr().err
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    loaded("tinyteacher.dino")
    assert "untrained" in capsys.readouterr().err


def test_absent_weights_are_named_with_their_place_and_never_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(UserError) as found:
        loaded("tinyteacher.dino", None)
    in_torch = tmp_path / "torch" / "checkpoints" / "dino_teacher.pth"
    for said in (
        *("target.model tinyteacher.dino", "model.safetensors of https://huggingface.co/nobody/teacher", HUB["url"]),
        *("target.weights", f"in {tmp_path / 'hf'} (hf download nobody/teacher model.safetensors)", f"at {in_torch}"),
    ):
        assert said in str(found.value)
    in_torch.parent.mkdir(parents=True)
    saved(in_torch, vit(4))
    frozen = loaded("tinyteacher.dino", None)
    assert torch.equal(frozen.features(clips(), *COLOURS), teacher(vit(4)).features(clips(), *COLOURS))


@torch.no_grad()
def test_positions_of_another_size_are_resampled_as_timm_does_and_it_is_said(tmp_path):
    model = vit(5, img_size=48, reg_tokens=4, no_embed_class=True)
    path = saved(tmp_path / "x.pth", model)
    frozen = loaded("tinyteacher_large.dinov2", path)
    overlay = {"pretrained_cfg_overlay": {"file": path}}
    theirs = timm.create_model("tinyteacher_large.dinov2", pretrained=True, num_classes=0, img_size=32, **overlay)
    wanted = torch.cat([theirs.eval().forward_features(clips()[:, :, t])[:, 5:] for t in (0, 2)], 1)
    torch.testing.assert_close(frozen.features(clips(), *COLOURS), wanted, atol=1e-5, rtol=1e-5)
    assert "grid 4x4, fitted by 'timm (bicubic)' from 6x6" in frozen.source


def test_teachers_without_class_token_or_norm():
    assert loaded("tinyteacher_map.siglip").features(clips(), *COLOURS).shape == (2, 32, 24)
    assert "no norm" not in loaded("tinyteacher_map.siglip").source
    assert "no norm of tokens" in loaded("tinyteacher_fcnorm.x").source


@pytest.mark.parametrize(
    ("name", "weights", "side", "said"),
    [
        ("resnet18.a1_in1k", None, 32, "is no plain ViT"),
        ("tinyteacher", None, 32, "say whose weights they are"),
        ("tinyteacher.nothing", None, 32, r"known: tinyteacher\.dino"),
        ("tinyteacher.dino@64", "random", 32, "expected timm's name alone"),
        ("tinyteacher.dino:x.pth", None, 32, "a file of weights goes to target.weights"),
        ("tinyteacher.dino", "nowhere.pth", 32, r"target.weights nowhere.pth.*no such checkpoint file"),
        ("tinyteacher.dino", "random", 36, "36 px do not divide into patches of 8 px"),
    ],
)
def test_mistakes_name_the_key(name, weights, side, said):
    student = STUDENT.model_copy(update={"image_size": side})
    with pytest.raises(UserError, match=said) as found:
        loaded(name, weights, student)
    assert "target.model" in str(found.value)


@pytest.mark.slow
def test_a_compiled_teacher_computes_the_same():
    plain, fused = teacher(), teacher(compiled=True)
    found = fused.features(clips(), *COLOURS)
    torch.testing.assert_close(found, plain.features(clips(), *COLOURS), atol=1e-5, rtol=1e-5)
