"""The families that share VideoMAE's encoder: how each is told, what is kept of it, and what is not taken silently."""

import argparse
from pathlib import Path

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.checkpoints.adapter import Beside
from sigma_bench.models.checkpoints.finetuned import FINETUNED
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.read import read
from sigma_bench.models.positions import interpolate, sincos_1d, sincos_3d

SIZES = {"heads": 4, "frames": 4, "image_size": 32}


def _encoder(dim: int = 32, depth: int = 2, tubelet: int = 2, patch: int = 16) -> dict[str, torch.Tensor]:
    """An encoder's tensors under the names and shapes of the family's released files."""
    shapes = {"patch_embed.proj.weight": (dim, 3, tubelet, patch, patch), "patch_embed.proj.bias": (dim,)}
    for i in range(depth):
        shapes |= {f"blocks.{i}.norm{n}.{part}": (dim,) for n in (1, 2) for part in ("weight", "bias")}
        shapes |= {f"blocks.{i}.attn.{part}": (dim,) for part in ("q_bias", "v_bias", "proj.bias")}
        shapes |= {f"blocks.{i}.attn.qkv.weight": (3 * dim, dim), f"blocks.{i}.attn.proj.weight": (dim, dim)}
        shapes |= {f"blocks.{i}.mlp.fc1.weight": (4 * dim, dim), f"blocks.{i}.mlp.fc1.bias": (4 * dim,)}
        shapes |= {f"blocks.{i}.mlp.fc2.weight": (dim, 4 * dim), f"blocks.{i}.mlp.fc2.bias": (dim,)}
    generator = torch.Generator().manual_seed(0)
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _build(encoder: dict[str, torch.Tensor], family: str, **asked):
    """Build the model of a finetuned file, without filling it."""
    adapter = next(adapter for adapter in FINETUNED if family in adapter.names)
    path = Path("x.pth")
    return adapter.build(adapter.split(encoder), Beside(path), Asked(**asked), family, path)


NORM = {"norm.weight": torch.ones(32), "norm.bias": torch.zeros(32)}
HEAD = {"head.weight": torch.ones(7, 32), "head.bias": torch.zeros(7)}
FC_NORM = {"fc_norm.weight": torch.ones(32), "fc_norm.bias": torch.zeros(32)}


def _pretrained(encoder: dict[str, torch.Tensor], rows: int = 1536) -> dict[str, torch.Tensor]:
    decoder = {"decoder.head.weight": torch.ones(rows, 8), "encoder_to_decoder.weight": torch.ones(8, 32)}
    return {f"encoder.{name}": tensor for name, tensor in (encoder | NORM).items()} | decoder


def _mvd(encoder: dict[str, torch.Tensor], table: torch.Tensor) -> dict[str, torch.Tensor]:
    others = {"mask_token_img": torch.zeros(1, 1, 32), "pos_embed_img": table, "pos_embed_vid": table}
    return encoder | NORM | others | {"pos_embed": table, "down_vid.weight": torch.ones(32, 32)}


def _load(tmp_path, content, **given):
    torch.save(content, tmp_path / "x.pth")
    return load_encoder(tmp_path / "x.pth", **{**SIZES, **given})


@pytest.mark.parametrize(
    ("name", "family", "named"),
    [
        ("ckpt_mvd.pth", "mvd", None),
        ("ckpt_mme.pth", "mme", None),
        ("ckpt_mgmae_orig_mod.pth", "videomae", None),
        ("ckpt_mgmae_orig_mod.pth", "mgmae", "mgmae"),
        ("ckpt_videomaev2_ft_module_fp16.pth", "videomaev2", "videomaev2"),
    ],
)
def test_official_files_are_told_or_taken_as_named(golden, name, family, named):
    encoder, report = load_encoder(golden / name, heads=3, frames=16, image_size=32, family=named)
    assert (report.family, report.guessed, encoder.spec.verified) == (family, named is None, "golden")
    assert report.unexpected.tensors == 0
    assert report.matched.parameters == encoder.spec.params
    assert report.norm == ("_ft_" not in name)
    assert ("told from the names" in report.headline) == (named is None)


def test_mvd_uses_the_stored_table_and_says_how_it_compares(golden, tmp_path):
    encoder, report = load_encoder(golden / "ckpt_mvd.pth", heads=3)
    stored = read(golden / "ckpt_mvd.pth").content["model"]["pos_embed"]
    assert torch.equal(encoder.positions, stored)
    assert (report.positions.source, report.positions.note) == ("stored", "equal to the computed one")
    other = sincos_3d((2, 2, 2), 32) + 0.25
    encoder, report = _load(tmp_path, _mvd(_encoder(), other))
    assert torch.equal(encoder.positions, other)
    assert "differs from the computed one by up to 0.25" in report.headline


def test_mvd_with_a_class_token(tmp_path):
    table = torch.cat((torch.zeros(1, 1, 32), sincos_3d((2, 2, 2), 32)), dim=1)
    encoder, report = _load(tmp_path, _mvd(_encoder() | {"cls_token": torch.ones(1, 1, 32)}, table))
    assert torch.equal(encoder.positions, table)
    assert encoder.tokens(torch.zeros(1, 3, 4, 32, 32)).cls_BD.shape == (1, 32)
    assert (report.family, encoder.spec.verified) == ("mvd", "none")


def test_a_finetuned_file_takes_the_table_of_the_named_family(tmp_path):
    state = _encoder() | HEAD | FC_NORM
    tables = {name: _load(tmp_path, state, family=name)[0].positions for name in ("videomae", "mvd", "sigma", "mme")}
    assert torch.equal(tables["mvd"], sincos_3d((2, 2, 2), 32))
    for name in ("videomae", "sigma", "mme"):
        assert torch.equal(tables[name], sincos_1d(8, 32))
    with pytest.raises(UserError, match=r"name the family \(one of videomae, videomaev2, mgmae, sigma, mme, mvd\)"):
        _load(tmp_path, state)


def test_a_width_that_mvds_table_cannot_have_is_refused():
    assert _build(_encoder(dim=48), "mvd", heads=3).positions.kind == "3-D sine-cosine"
    with pytest.raises(UserError, match=r"is 36 wide.*divisible by 16"):
        _build(_encoder(dim=36), "mvd", heads=3)


@pytest.mark.parametrize("family", ["videomaev2", "mgmae"])
def test_cosine_attention_tells_its_heads_and_is_never_videomae(tmp_path, family):
    scales = {f"blocks.{i}.attn.scale": torch.full((8, 1, 1), 2.0) for i in range(2)}
    state = _pretrained(_encoder() | scales)
    encoder, report = _load(tmp_path, state, family=family, heads=None)
    assert (encoder.spec.heads, encoder.spec.verified, report.matched.tensors) == (8, "none", 32)
    assert _load(tmp_path, state, heads=None)[1].family == "videomaev2"
    with pytest.raises(UserError, match="'videomae' asked for, but its tensors are those of videomaev2, mgmae"):
        _load(tmp_path, state, family="videomae")
    with pytest.raises(UserError, match="4 heads asked for, the file says 8"):
        _load(tmp_path, state)
    with pytest.raises(UserError, match="cannot use"):
        _load(tmp_path, _encoder() | scales, family="videomae", heads=8)


def test_sigmas_code_with_an_l2_loss_is_told_by_the_width_of_its_targets(tmp_path):
    assert _load(tmp_path, _pretrained(_encoder(), 1536))[1].family == "videomae"
    _, report = _load(tmp_path, _pretrained(_encoder(), 768))
    assert report.family == "sigma"
    assert any("L2" in note and "768 wide" in note for note in report.notes)


@pytest.mark.parametrize("prefix", ["encoder.model.", "encoder_q.encoder.model.", "videomae."])
def test_prefixes_of_loaders_kernels_over_pictures_and_fc(tmp_path, prefix):
    encoder = _encoder()
    flat = encoder["patch_embed.proj.weight"][:, :, 0]
    state = {prefix + n: t for n, t in (encoder | {"patch_embed.proj.weight": flat}).items()}
    loaded, report = _load(
        tmp_path, state | {"fc.weight": HEAD["head.weight"], "fc.bias": HEAD["head.bias"]}, family="mme", head="require"
    )
    assert torch.allclose(loaded.patch_embed.proj.weight, flat.unsqueeze(2).expand(-1, -1, 2, -1, -1) / 2)
    assert any("kernel over pictures" in note for note in report.notes)
    assert report.head.classes == 7
    with pytest.raises(UserError, match=r"expected \(dim, 3, tubelet, patch, patch\)"):
        _load(tmp_path, state, family="videomae")


def test_what_becomes_of_a_classifier(tmp_path):
    state = _encoder() | HEAD | FC_NORM
    _, dropped = _load(tmp_path, state, family="sigma")
    assert (dropped.head, dropped.head_policy, dropped.dropped.tensors) == (None, "drop", 4)
    _, kept = _load(tmp_path, state, family="sigma", head="keep")
    assert (kept.head.classes, kept.head.pooled, kept.dropped.tensors) == (7, True, 0)
    assert torch.equal(kept.head.tensors["fc_norm.weight"], FC_NORM["fc_norm.weight"])
    _, first = _load(tmp_path, _encoder() | HEAD | NORM, family="sigma", head="require")
    assert (first.head.pooled, first.norm) == (False, True)
    assert "reads the first token" in first.headline
    assert "K710" in _load(tmp_path, state | {"head.weight": torch.ones(710, 32)}, family="videomaev2")[1].headline
    with pytest.raises(UserError, match="a classifier is required"):
        _load(tmp_path, _encoder(), family="sigma", head="require")
    with pytest.raises(UserError, match=r"fc_norm.bias is nothing; expected shape \(32,\)"):
        _load(tmp_path, _encoder() | HEAD | {"fc_norm.weight": torch.ones(32)}, family="sigma", head="keep")
    with pytest.raises(UserError, match="head = 'kept' is not known; one of drop, keep, require"):
        _load(tmp_path, state, family="sigma", head="kept")


def test_positions_at_other_sizes_follow_the_family_or_the_user(tmp_path):
    content = {"model": _pretrained(_encoder()), "args": argparse.Namespace(window_size=(4, 2, 2))}
    table, wider = sincos_1d(16, 32), {"frames": 8, "image_size": 64}
    encoder, report = _load(tmp_path, content, family="videomae", **wider)
    assert torch.equal(encoder.positions, sincos_1d(64, 32))
    assert (report.positions.policy, report.positions.stored_grid) == ("recompute", (4, 2, 2))
    for family in ("videomaev2", "mgmae"):
        encoder, report = _load(tmp_path, content, family=family, **wider)
        assert torch.equal(encoder.positions, interpolate(table, (4, 2, 2), (4, 4, 4)))
        assert "fitted by 'interpolate' from 4x2x2" in report.headline
    encoder, _ = _load(tmp_path, content, family="videomae", positions="interpolate", frames=16)
    assert torch.equal(encoder.positions, interpolate(table, (4, 2, 2), (8, 2, 2)))
    encoder, report = _load(tmp_path, content, family="videomaev2", positions="slice", frames=4)
    assert torch.equal(encoder.positions, sincos_1d(8, 32))
    with pytest.raises(UserError, match=r"same height and width.*4x2x2.*asked are 4x4x4"):
        _load(tmp_path, content, positions="slice", **wider)
    with pytest.raises(UserError, match="positions = 'nearest' is not known"):
        _load(tmp_path, content, positions="nearest")


def test_a_file_that_states_no_size_has_no_table_to_start_from(tmp_path):
    state = _pretrained(_encoder())
    encoder, report = _load(tmp_path, state, family="videomaev2", frames=8)
    assert torch.equal(encoder.positions, sincos_1d(16, 32))
    assert "not in the file: 8 and 32 px as asked" in report.headline
    with pytest.raises(UserError, match="does not say for which frames"):
        _load(tmp_path, state, positions="interpolate")


def test_published_sizes_were_trained_on_16_frames_of_224_pixels():
    with torch.device("meta"):
        encoder = {name: torch.empty(t.shape) for name, t in _encoder(dim=384, depth=1).items()}
    encoder |= {n.replace(".0.", f".{i}."): t for i in range(1, 12) for n, t in encoder.items() if ".0." in n}
    built = _build(encoder, "sigma", frames=4)
    assert torch.equal(built.buffers["positions"], sincos_1d(1568, 384)[:, :392])  # as segmentation takes it
    assert (built.module.spec.heads, built.positions.stored_grid) == (6, (8, 14, 14))
    built = _build(encoder, "mgmae", frames=4)
    assert torch.equal(built.buffers["positions"], interpolate(sincos_1d(1568, 384), (8, 14, 14), (2, 14, 14)))


def test_mvd_at_other_sizes(tmp_path):
    content = {"model": _mvd(_encoder(), sincos_3d((2, 2, 2), 32)), "args": argparse.Namespace(window_size=(2, 2, 2))}
    encoder, report = _load(tmp_path, content, frames=8, image_size=64)
    assert torch.equal(encoder.positions, sincos_3d((4, 4, 4), 32))
    assert report.positions.policy == "recompute"
    learned = content | {"model": _mvd(_encoder(), sincos_3d((2, 2, 2), 32) + 0.25)}
    with pytest.raises(UserError, match="cannot be recomputed for 4x2x2"):
        _load(tmp_path, learned, frames=8)
    encoder, _ = _load(tmp_path, learned, frames=8, positions="interpolate")
    assert torch.allclose(encoder.positions, interpolate(sincos_3d((2, 2, 2), 32), (2, 2, 2), (4, 2, 2)) + 0.25)
    with pytest.raises(UserError, match=r"shape \(1, 9, 32\); expected \(1, 8, 32\)"):
        _load(tmp_path, content | {"model": _mvd(_encoder(), torch.zeros(1, 9, 32))})


def test_clips_and_tubelets_that_do_not_fit_are_explained(tmp_path):
    state = _pretrained(_encoder(tubelet=4), 3072)
    encoder, _ = _load(tmp_path, state, frames=8)
    assert (encoder.spec.tubelet, encoder.grid) == (4, (2, 2, 2))
    with pytest.raises(UserError, match="6 frames of 32 px do not divide into its tubelets of 4 frames of 16 px"):
        _load(tmp_path, state, frames=6)
    with pytest.raises(UserError, match=r"say tubelets of 2 frames, patch_embed\.proj\.weight has 4"):
        _load(tmp_path, {"model": state, "args": argparse.Namespace(tubelet_size=2)})


def test_which_weights_are_taken_of_several(tmp_path):
    state = _pretrained(_encoder())
    averaged = {name: tensor + 1 for name, tensor in state.items()}
    content = {"model": state, "model_ema": averaged, "optimizer": {"state": {0: torch.ones(1)}}}
    encoder, report = _load(tmp_path, content)
    assert torch.equal(encoder.norm.weight, torch.ones(32))
    assert "also holds weights under 'model_ema', not read" in report.notes
    encoder, report = _load(tmp_path, content, weights="model_ema")
    assert torch.equal(encoder.norm.weight, torch.full((32,), 2.0))
    assert (report.container, "also holds weights under 'model', not read" in report.notes) == ("model_ema", True)
    assert _load(tmp_path, {"model_ema": averaged})[1].container == "model_ema"
    with pytest.raises(UserError, match="no weights under 'ema'; it holds some under: model, model_ema"):
        _load(tmp_path, content, weights="ema")


@pytest.mark.parametrize("key", ["model_state", "teacher", "state_dict"])
def test_other_containers_and_one_in_another(tmp_path, key):
    assert _load(tmp_path, {key: _pretrained(_encoder())})[1].container == key
    assert _load(tmp_path, {key: {"module": _pretrained(_encoder())}})[1].container == f"{key}.module"


def test_the_folder_deepspeed_writes(tmp_path):
    folder = tmp_path / "checkpoint-49"
    folder.mkdir()
    state = {name: tensor.half() for name, tensor in (_encoder() | HEAD | FC_NORM).items()}
    torch.save({"module": state, "global_steps": 3}, folder / "mp_rank_00_model_states.pt")
    (folder / "zero_pp_rank_0_mp_rank_00_optim_states.pt").touch()
    encoder, report = load_encoder(folder, family="videomaev2", **SIZES)
    assert (report.container, {p.dtype for p in encoder.parameters()}) == ("module", {torch.float32})
    (folder / "mp_rank_01_model_states.pt").touch()
    with pytest.raises(UserError, match="divided over 2 files"):
        load_encoder(folder, family="videomaev2", **SIZES)


def test_vit_g_of_videomaev2():
    hidden = int(1408 * 48 / 11)
    with torch.device("meta"):
        encoder = {name: torch.empty(t.shape) for name, t in _encoder(dim=16, depth=1).items()}
        encoder["patch_embed.proj.weight"] = torch.empty(1408, 3, 2, 14, 14)
        encoder["blocks.0.mlp.fc1.weight"] = torch.empty(hidden, 1408)
    encoder |= {n.replace(".0.", f".{i}."): t for i in range(1, 40) for n, t in encoder.items() if ".0." in n}
    module = _build(encoder, "videomaev2").module
    assert (module.spec.backbone, module.spec.heads, module.grid) == ("ViT-g/14", 16, (8, 16, 16))
    assert module.blocks[39].mlp.fc1.weight.shape == (6144, 1408)
