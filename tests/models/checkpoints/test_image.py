"""Image ViTs of timm: the right tensors of every official layout, or none; what a name asks for."""

import sys
import types

import pytest
import timm
import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import image, load_encoder
from sigma_bench.models.vit import IMAGENET_MEAN

SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}
CFG = {"input_size": (3, 32, 32), "mean": IMAGENET_MEAN, "std": (0.229, 0.224, 0.225), "fixed_input_size": True}
INCEPTION = (0.5, 0.5, 0.5)
QUICK = ("natively QuickGELU, use quickgelu model variant for original results",)
MODELS = {
    "minivit_plain": (VisionTransformer, {}),
    "minivit_reg": (VisionTransformer, {"reg_tokens": 2, "no_embed_class": True, "init_values": 0.1}),
    "minivit_clip_32": (VisionTransformer, {"pre_norm": True, "num_classes": 5}),
    "minivit_gap": (VisionTransformer, {"class_token": False, "global_pool": "avg", "fc_norm": False}),
    "minivit_fcnorm": (VisionTransformer, {"global_pool": "avg"}),
    "minivit_map": (VisionTransformer, {"class_token": False, "global_pool": "map"}),
    "minieva_rope": (Eva, {"use_rot_pos_emb": True, "use_abs_pos_emb": False, "dynamic_img_size": False}),
    "minibeit": (Beit, {"use_abs_pos_emb": False, "use_rel_pos_bias": True}),
}
WEIGHTS = {
    "minivit_plain.imagenet": {**CFG, "mean": INCEPTION},
    "minivit_plain.dino": {**CFG, "hf_hub_id": "nobody/minivit", "url": "https://example.org/dino_mini.pth"},
    "minivit_reg.dinov2": CFG,
    "minivit_clip_32.openai": {**CFG, "notes": QUICK},
    "minivit_clip_32.laion": CFG,
    "minivit_gap.x": CFG,
    "minivit_fcnorm.x": CFG,
    "minivit_map.x": CFG,
    "minieva_rope.x": CFG,
    "minibeit.x": CFG,
}


def _entry(name, kind, extra):
    def make(pretrained=False, **kwargs):
        adapted = {"pretrained_filter_fn": sys.modules[kind.__module__].checkpoint_filter_fn}
        return build_model_with_cfg(kind, name, pretrained, **adapted, **{**SIZES, **extra, **kwargs})

    make.__name__, make.__module__ = name, "minivits"
    return make


@pytest.fixture(scope="module", autouse=True)
def registered():
    module = types.ModuleType("minivits")
    module.default_cfgs = generate_default_cfgs(WEIGHTS)
    sys.modules["minivits"] = module
    for name, (kind, extra) in MODELS.items():
        register_model(_entry(name, kind, extra))
    yield
    del sys.modules["minivits"]


def made(name, **more):
    torch.manual_seed(5)
    model = timm.create_model(name, **more).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def saved(tmp_path, content, name="x.pth"):
    torch.save(content, tmp_path / name)
    return tmp_path / name


def clips(B=2, T=3, side=32):
    return torch.randn(B, 3, T, side, side, generator=torch.Generator().manual_seed(1))


def frames_of(model, x):
    """Tokens of timm's own forward pass, frame by frame: (B, T, tokens, D)."""
    return torch.stack([model.forward_features(x[:, :, t]) for t in range(x.shape[2])], 1)


@torch.no_grad()
def same(encoder, model):
    x = clips()
    found, wanted = encoder.tokens(x), frames_of(model, x)
    prefix = model.num_prefix_tokens
    torch.testing.assert_close(found.patch_BTHWD.flatten(2, 3), wanted[:, :, prefix:], atol=1e-5, rtol=1e-5)
    if model.cls_token is None:
        assert found.cls_BD is None
    else:
        torch.testing.assert_close(found.cls_BD, wanted[:, :, 0].mean(1), atol=1e-5, rtol=1e-5)
    return True


@pytest.mark.parametrize(
    "name", ["minivit_plain.dino", "minivit_reg.dinov2", "minivit_gap.x", "minivit_map.x", "minieva_rope.x"]
)
def test_what_timm_saves_computes_what_timm_computes(tmp_path, name):
    model = made(name, num_classes=0)
    path = saved(tmp_path, model.state_dict())
    encoder, report = load_encoder(f"timm:{name}:{path}")
    assert same(encoder, model)
    own = sum(not key.startswith(("attn_pool", "fc_norm")) for key in model.state_dict())
    assert (report.family, report.guessed, report.matched.tensors) == ("image", False, own)
    assert encoder.spec.default_pool == ("mean" if model.cls_token is None or "eva" in name else "cls")
    assert (encoder.spec.tubelet, encoder.spec.patch, encoder.spec.frames, encoder.spec.image_size) == (1, 8, 16, 32)
    assert encoder.spec.has_norm is (not isinstance(model.norm, torch.nn.Identity))
    back = saved(tmp_path, encoder.model.state_dict(), "again.pth")
    assert torch.equal(load_encoder(f"timm:{name}:{back}")[0].tokens(clips())[0], encoder.tokens(clips())[0])


def dino(state):
    nested = {f"module.backbone.{key}": value for key, value in state.items()}
    nested |= {"module.head.mlp.0.weight": torch.ones(4, 4), "module.head.last_layer.weight_g": torch.ones(4, 1)}
    student = {key: value + 1 for key, value in nested.items()}
    return {"student": student, "teacher": nested, "epoch": 3, "optimizer": {"state": {}}}


def mae(state):
    decoder = {"decoder_embed.weight": torch.ones(4, 24), "decoder_blocks.0.norm1.weight": torch.ones(4)}
    return {"model": {**state, **decoder, "mask_token": torch.ones(1, 1, 4)}}


@pytest.mark.parametrize(("layout", "dropped"), [(lambda s: s, 0), (dino, 2), (mae, 2)])
def test_files_of_dino_and_mae_in_their_containers(tmp_path, layout, dropped):
    model = made("minivit_plain.dino", num_classes=0)
    encoder, report = load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, layout(model.state_dict()))}")
    assert same(encoder, model)
    assert report.dropped.tensors == dropped


def test_registers_of_official_dinov2_files(tmp_path):
    model = made("minivit_reg.dinov2", num_classes=0)
    state = dict(model.state_dict())
    state["register_tokens"] = state.pop("reg_token")
    first = torch.full((1, 1, 24), 0.7)  # the place of the class token, which timm adds to it
    state["cls_token"] = state["cls_token"] - first
    state["pos_embed"] = torch.cat((first, state["pos_embed"]), 1)
    state["mask_token"] = torch.zeros(1, 24)
    encoder, report = load_encoder(f"timm:minivit_reg.dinov2:{saved(tmp_path, state)}")
    assert same(encoder, model)
    assert not any("resampled" in note for note in report.notes)


def clip(model):
    names = [("patch_embed.proj", "conv1"), ("norm_pre", "ln_pre"), ("blocks.", "transformer.resblocks."),
             ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"), ("attn.qkv.", "attn.in_proj_"),
             ("attn.proj", "attn.out_proj"), (".norm1", ".ln_1"), (".norm2", ".ln_2")]  # fmt: skip
    state = {}
    for key, value in model.state_dict().items():
        for old, new in names:
            key = key.replace(old, new)
        key = key.replace("norm.", "ln_post.") if key.startswith("norm.") else key
        state[f"visual.{key}"] = value.half()
    state["visual.class_embedding"] = state.pop("visual.cls_token")[0, 0]
    state["visual.positional_embedding"] = state.pop("visual.pos_embed")[0]
    state["visual.proj"] = state.pop("visual.head.weight").T
    del state["visual.head.bias"]
    return state | {"positional_embedding": torch.ones(77, 8), "token_embedding.weight": torch.ones(9, 8)}


def test_the_image_encoder_of_a_clip_file(tmp_path):
    model = made("minivit_clip_32.laion").half().float()
    path = saved(tmp_path, {"state_dict": clip(model)})
    encoder, report = load_encoder(f"timm:minivit_clip_32.laion:{path}")
    assert same(encoder, model)
    assert report.dropped.tensors == 4  # projection (and the zeros timm adds), two tensors of the text encoder
    assert not any("resampled" in note for note in report.notes)


def test_a_norm_of_pooled_features_is_no_norm_of_tokens(tmp_path):
    model = made("minivit_fcnorm.x")
    encoder, report = load_encoder(f"timm:minivit_fcnorm.x:{saved(tmp_path, model.state_dict())}")
    assert same(encoder, model)
    assert (encoder.spec.has_norm, report.norm, encoder.spec.default_pool) == (False, False, "mean")
    assert report.dropped.tensors == 4
    with pytest.raises(UserError, match=r"2 of the encoder's .* missing .*norm\.weight"):
        load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, model.state_dict())}")


def test_missing_and_foreign_tensors_are_refused(tmp_path):
    state = made("minivit_plain.dino", num_classes=0).state_dict()
    for key in ("blocks.1.attn.qkv.bias", "pos_embed", "cls_token", "patch_embed.proj.weight", "norm.bias"):
        short = {name: value for name, value in state.items() if name != key}
        with pytest.raises(UserError, match=f"1 of the encoder's .* missing .*{key}"):
            load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, short)}")
    more = state | {"blocks.0.ls1.gamma": torch.ones(24)}
    with pytest.raises(UserError, match=r"cannot use \(blocks.0.ls1.gamma\)"):
        load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, more)}")
    registers = made("minivit_reg.dinov2", num_classes=0).state_dict()
    with pytest.raises(UserError):
        load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, registers)}")
    broken = state | {"norm.weight": torch.full((24,), float("nan"))}
    with pytest.raises(UserError, match="infinite or undefined"):
        load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, broken)}")


@pytest.mark.parametrize("change", [{"patch_size": 16}, {"embed_dim": 16}, {"depth": 2}])
def test_another_model_is_refused_where_timm_would_resample_it(tmp_path, change):
    path = saved(tmp_path, made("minivit_plain.dino", num_classes=0, **change).state_dict())
    with pytest.raises(UserError, match=str(path)):
        load_encoder(f"timm:minivit_plain.dino:{path}")


def test_tensors_that_timm_cannot_rename_are_a_user_error(tmp_path):
    state = made("minivit_plain.dino", num_classes=0).state_dict() | {"pos_embed": torch.ones(1, 20, 24)}
    with pytest.raises(UserError, match=r"x\.pth: its tensors do not fit"):
        load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, state)}")


@torch.no_grad()
def test_another_size_is_timms_own_resampling_and_is_said(tmp_path):
    path = saved(tmp_path, made("minivit_plain.dino", num_classes=0).state_dict())
    encoder, report = load_encoder(f"timm:minivit_plain.dino@48x2:{path}")
    pretrained = {"pretrained_cfg_overlay": {"file": str(path)}}
    theirs = timm.create_model("minivit_plain.dino", pretrained=True, num_classes=0, img_size=48, **pretrained).eval()
    x = clips(T=2, side=48)
    found = encoder.tokens(x).patch_BTHWD
    assert found.shape == (2, 2, 6, 6, 24)
    torch.testing.assert_close(found.flatten(2, 3), frames_of(theirs, x)[:, :, 1:], atol=1e-5, rtol=1e-5)
    assert "fitted by 'timm (bicubic)' from 4x4" in str(report.positions)
    assert (encoder.spec.frames, encoder.spec.image_size) == (2, 48)
    with pytest.raises(UserError, match="50 px do not divide"):
        load_encoder(f"timm:minivit_plain.dino@50:{path}")
    other = made("minivit_plain.dino", num_classes=0, img_size=48).state_dict()
    noted = load_encoder(f"timm:minivit_plain.dino:{saved(tmp_path, other)}")[1].notes
    assert any("37 rows was resampled to a grid of 4x4" in note for note in noted)


def test_every_thing_that_changes_features_changes_the_digest(tmp_path):
    state = made("minivit_plain.dino", num_classes=0).state_dict()
    path, other = saved(tmp_path, state), saved(tmp_path, {**state, "extra": {}}, "y.pth")
    names = ["dino", "imagenet", "dino@48", "dino@32x8"]
    digests = [load_encoder(f"timm:minivit_plain.{name}:{path}")[1].sha256 for name in names]
    digests.append(load_encoder(f"timm:minivit_plain.dino:{other}")[1].sha256)
    assert len(set(digests)) == 5
    assert load_encoder(f"timm:minivit_plain.dino@32x16:{path}")[1].sha256 == digests[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("minivit_plain.dino", "stored learned 2-D positions"),
        ("minieva_rope.x", "computed rotary positions"),
        ("minibeit.x", "stored relative positions"),
    ],
)
def test_the_kind_of_positions_is_told(tmp_path, name, said):
    path = saved(tmp_path, made(name, num_classes=0).state_dict())
    assert said in load_encoder(f"timm:{name}:{path}")[1].headline


def test_colours_are_those_of_the_weights(tmp_path):
    path = saved(tmp_path, made("minivit_plain.dino", num_classes=0).state_dict())
    assert load_encoder(f"timm:minivit_plain.dino:{path}")[0].spec.mean == IMAGENET_MEAN
    assert load_encoder(f"timm:minivit_plain.imagenet:{path}")[0].spec.mean == INCEPTION
    with pytest.raises(UserError, match=r"say whose weights.*minivit_plain\.dino, minivit_plain\.imagenet"):
        load_encoder(f"timm:minivit_plain:{path}")


def test_untrained_models_are_the_same_every_time_and_keep_the_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, report = load_encoder("timm:minivit_plain.dino:random")
    assert torch.equal(torch.get_rng_state(), before)
    second = load_encoder("timm:minivit_plain.dino:random")[1]
    assert (report.sha256, report.notes) == (second.sha256, ("untrained",))
    assert first.tokens(clips()).cls_BD.std() > 0


def test_rows_are_described_without_the_path_of_the_file(tmp_path):
    from sigma_bench.runs.systems import candidate

    path = saved(tmp_path, made("minivit_plain.dino", num_classes=0).state_dict())
    found = candidate(f"timm:minivit_plain.dino@48x8:{path}", None, None, None, None)
    assert found.description["system"] == "timm:minivit_plain.dino@48x8"
    assert found.description["backbone"] == "ViT-24x3/8"
    assert (found.description["family"], found.description["frames"]) == ("image", "8")
    assert found.description["family_guessed"] is False


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:", "expected timm:NAME"),
        ("timm:../../x", "expected timm:NAME"),
        ("timm:minivit_plain.dino@0", "expected timm:NAME"),
        ("timm:minivit_nothing.dino", "timm has no model 'minivit_nothing'"),
        ("timm:minivit_plain.nothing", "known: minivit_plain.dino, minivit_plain.imagenet"),
        ("timm:minivit_clip_32.openai:x", r"QuickGELU.*minivit_clip_quickgelu_32\.openai"),
        ("timm:minivit_plain.dino:nowhere.pth", "nowhere.pth: no such checkpoint file"),
        ("timm:resnet18.a1_in1k:random", "is no plain ViT"),
    ],
)
def test_names_that_are_none_are_refused_in_words(name, said):
    with pytest.raises(UserError, match=said):
        load_encoder(name)


def test_options_that_would_be_ignored_or_contradict_the_name_are_refused():
    name = "timm:minivit_plain.dino@48x8:random"
    for more in ({"heads": 2}, {"family": "sigma"}, {"head": "keep"}, {"positions": "slice"}):
        with pytest.raises(UserError, match="leave out family, heads, positions and head"):
            load_encoder(name, **more)
    with pytest.raises(UserError, match="says frames 8, but 4 is asked for"):
        load_encoder(name, frames=4)
    with pytest.raises(UserError, match="says image size 48, but 32 is asked for"):
        load_encoder(name, image_size=32)
    untrained = "timm:minivit_plain.dino:random"
    spec = load_encoder(untrained, image_size=48, frames=4, family="image")[0].spec
    assert (spec.image_size, spec.frames) == (48, 4)
    assert load_encoder(untrained, frames=4)[1].system == {"system": "timm:minivit_plain.dino@32x4:random"}


def test_weights_come_from_the_caches_and_are_never_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("a connection was tried"))
    with pytest.raises(UserError, match=r"model.safetensors of https://huggingface.co/nobody/minivit or https://examp"):
        load_encoder("timm:minivit_plain.dino")
    model = made("minivit_plain.dino", num_classes=0)
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    saved(tmp_path / "torch" / "checkpoints", model.state_dict(), "dino_mini.pth")
    assert same(load_encoder("timm:minivit_plain.dino")[0], model)
    snapshot = tmp_path / "hf" / "models--nobody--minivit" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    from safetensors.torch import save_file

    changed = {key: value + 1 for key, value in model.state_dict().items()}
    save_file(changed, snapshot / "model.safetensors")
    cached = load_encoder("timm:minivit_plain.dino")[0]
    assert torch.equal(cached.model.norm.bias, changed["norm.bias"])


@pytest.mark.parametrize(
    "name", ["vit_base_patch16_224.dino", "vit_base_patch16_224.mae", "vit_small_patch14_reg4_dinov2.lvd142m"]
)
def test_the_names_of_the_usual_baselines_are_known_to_timm(name):
    wanted = image.parse(f"timm:{name}", image.Asked(), None)
    assert image.pretrained_of(wanted).mean == IMAGENET_MEAN
