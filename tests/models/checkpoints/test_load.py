"""Loading checkpoints: families, containers, prefixes, refusals, hostile and damaged files."""

import argparse
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.masked import masked_model
from sigma_bench.models.vit import VideoViT

SIZES = {"image_size": 32, "patch": 16, "frames": 4, "tubelet": 2, "dim": 96, "depth": 3, "heads": 4}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return masked_model("nano", out_dim=8, image_size=32, frames=4, prototypes=5)


def _own(tmp_path: Path, built, **changes) -> Path:
    path = tmp_path / "own.pt"
    content = {"format": "sigma-bench/1", "model": built.state_dict(), "encoder": SIZES, "system": {"system": "me"}}
    torch.save(content | changes, path)
    return path


def _golden(golden: Path, name: str, **given):
    return load_encoder(golden / name, heads=3, frames=16, image_size=32, **given)


def test_own_run_needs_no_word_from_the_user(tmp_path, model):
    encoder, report = load_encoder(_own(tmp_path, model))
    assert report.family == "sigma_bench"
    assert not report.guessed
    assert report.system == {"system": "me"}
    assert report.matched.tensors == len(encoder.state_dict())
    assert report.dropped.tensors == len(model.state_dict()) - report.matched.tensors
    assert report.unexpected.tensors == report.missing.tensors == 0
    assert f"{report.matched.tensors} tensors" in report.headline
    clips = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(encoder(clips), model.encoder.eval()(clips))
    assert not encoder.training
    assert all(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize(
    ("name", "container", "family", "dropped"),
    [
        ("ckpt_sigma.pth", "model", "sigma", 28),
        ("ckpt_sigma_dino.pth", "model", "sigma", 20),
        ("ckpt_videomae.pth", "model", "videomae", 19),
        ("ckpt_videomae_bare.pth", "bare", "videomae", 19),
    ],
)
def test_released_layouts_are_recognised(golden, name, container, family, dropped):
    encoder, report = _golden(golden, name)
    assert (report.container, report.family, report.guessed) == (container, family, True)
    assert report.matched.tensors == 30
    assert report.dropped.tensors == dropped
    assert encoder.spec.has_norm
    assert encoder.spec.verified == "golden"


def test_sizes_are_read_from_the_arguments_beside_the_weights(golden):
    encoder, _ = load_encoder(golden / "ckpt_sigma.pth", heads=3)  # window_size (8, 4, 4) of patches of 8 px
    assert (encoder.spec.frames, encoder.spec.image_size) == (16, 32)


def test_a_finetuned_file_needs_its_family_and_has_no_norm(golden):
    with pytest.raises(UserError, match="name the family"):
        _golden(golden, "ckpt_videomae_ft_module_fp16.pth")
    encoder, report = _golden(golden, "ckpt_videomae_ft_module_fp16.pth", family="videomae")
    assert (report.container, report.guessed, encoder.spec.has_norm) == ("module", False, False)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_wrong_and_unknown_family_are_refused(golden):
    with pytest.raises(UserError, match="tensors are those of sigma"):
        _golden(golden, "ckpt_sigma.pth", family="videomae")
    with pytest.raises(UserError, match="unknown checkpoint family 'vidmae'"):
        _golden(golden, "ckpt_sigma.pth", family="vidmae")


def test_heads_that_cannot_be_known_are_asked_for(golden):
    with pytest.raises(UserError, match=r"heads.*width 48"):
        load_encoder(golden / "ckpt_sigma.pth")
    with pytest.raises(UserError, match="do not divide"):
        load_encoder(golden / "ckpt_sigma.pth", heads=5)


def test_usual_heads_are_assumed_and_noted(tmp_path):
    model = masked_model("small", out_dim=8, decoder_depth=0, image_size=32, frames=4, prototypes=2)
    torch.save(model.state_dict(), tmp_path / "small.pt")
    encoder, report = load_encoder(tmp_path / "small.pt", frames=4, image_size=32)
    assert encoder.spec.heads == 6
    assert any("6 assumed" in note for note in report.notes)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module._orig_mod.module."]
)
@pytest.mark.parametrize("container", ["model", "module", "state_dict", None])
def test_wrapper_prefixes_are_stripped(tmp_path, model, prefix, container):
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    torch.save({container: state, "epoch": "best"} if container else state, tmp_path / "x.pt")
    _, report = load_encoder(tmp_path / "x.pt", heads=4, frames=4, image_size=32)
    assert (report.container, report.family) == (container or "bare", "sigma")


@pytest.mark.parametrize("prefix", ["", "encoder.", "backbone."])
def test_an_encoder_alone_loads_from_any_prefix(tmp_path, model, prefix):
    torch.save({prefix + n: t for n, t in model.encoder.state_dict().items()}, tmp_path / "x.pt")
    encoder, _ = load_encoder(tmp_path / "x.pt", family="sigma", heads=4, frames=4, image_size=32)
    assert torch.equal(encoder.norm.weight, model.encoder.norm.weight)


def test_colliding_names_are_refused(tmp_path, model):
    state = model.state_dict()
    torch.save({**state, "_orig_mod.mask_token": state["mask_token"]}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="same name"):
        load_encoder(tmp_path / "x.pt", heads=4)


@pytest.mark.parametrize(
    "name", ["encoder.norm.weight", "encoder.blocks.1.attn.q_bias", "encoder.blocks.0.mlp.fc1.weight"]
)
def test_a_missing_tensor_is_named(tmp_path, model, name):
    state = model.state_dict()
    del state[name]
    with pytest.raises(UserError, match=f"missing.*{name.removeprefix('encoder.')}|{name[8:]}.*missing"):
        load_encoder(_own(tmp_path, model, model=state))


def test_a_missing_block_is_noticed(tmp_path, model):
    state = {n: t for n, t in model.state_dict().items() if not n.startswith("encoder.blocks.1.")}
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(UserError, match="missing"):
        load_encoder(tmp_path / "x.pt", heads=4, frames=4, image_size=32)


def test_tensors_that_would_change_features_are_refused(tmp_path, model):
    blocks = ("encoder.blocks.0.gamma_1", "encoder.blocks.0.attn.scale")
    for extra in (*blocks, "encoder.pos_embed", "encoder.cls_token", "encoder.norm_pre.weight", "encoder.registers"):
        state = {**model.state_dict(), extra: torch.ones(1, 8, 96)}
        with pytest.raises(UserError, match="cannot use"):
            load_encoder(_own(tmp_path, model, model=state))


@pytest.mark.parametrize(
    ("file", "key", "name", "family"),
    [
        ("ckpt_videomae.pth", "model", "encoder.blocks.0.mlp.fc1.weight", None),
        ("ckpt_videomae.pth", "model", "decoder.head.weight", None),
        ("ckpt_videomae_ft_module_fp16.pth", "module", "head.weight", "videomae"),
    ],
)
def test_a_single_number_in_place_of_a_matrix_is_a_users_error(tmp_path, golden, file, key, name, family):
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(golden / file, weights_only=True)
    content[key][name] = torch.zeros(())
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth: "):
        load_encoder(tmp_path / "x.pth", family=family, heads=4, frames=8, image_size=32, head="require")


def test_an_untrained_encoder_has_no_family_weights_or_table_to_choose():
    for asked in ({"positions": "interpolate"}, {"weights": "model_ema"}, {"family": "mvd"}):
        with pytest.raises(UserError, match=r"untrained.*leave"):
            load_encoder("random:nano", **asked)


def test_a_stored_table_equal_to_ours_is_dropped(tmp_path, model):
    state = {**model.state_dict(), "encoder.pos_embed": model.encoder.positions.clone()}
    _, report = load_encoder(_own(tmp_path, model, model=state))
    assert report.unexpected.tensors == 0


def test_unknown_tensors_are_counted_and_named(tmp_path, model):
    _, report = load_encoder(_own(tmp_path, model, model={**model.state_dict(), "teacher.x": torch.ones(3)}))
    assert (report.unexpected.tensors, report.unexpected.parameters) == (1, 3)
    assert any("teacher.x" in note for note in report.notes)


def test_misshapen_and_undefined_tensors_are_named(tmp_path, model):
    state = model.state_dict()
    with pytest.raises(UserError, match=r"blocks.2.norm1.bias is .*\(95,\); expected floating point \(96,\)"):
        load_encoder(_own(tmp_path, model, model={**state, "encoder.blocks.2.norm1.bias": torch.zeros(95)}))
    with pytest.raises(UserError, match=r"blocks.2.norm1.bias .*undefined"):
        load_encoder(_own(tmp_path, model, model={**state, "encoder.blocks.2.norm1.bias": torch.full((96,), np.nan)}))
    wide = torch.zeros(1).expand(96)
    with pytest.raises(UserError, match="claims more values"):
        load_encoder(_own(tmp_path, model, model={**state, "encoder.blocks.2.norm1.bias": wide}))


def test_a_file_that_contradicts_itself_or_the_user_is_refused(tmp_path, model):
    with pytest.raises(UserError, match="says depth = 9, its tensors say 3"):
        load_encoder(_own(tmp_path, model, encoder=SIZES | {"depth": 9}))
    with pytest.raises(UserError, match="heads = 'four'"):
        load_encoder(_own(tmp_path, model, encoder=SIZES | {"heads": "four"}))
    with pytest.raises(UserError, match="3 heads asked for, the file says 4"):
        load_encoder(_own(tmp_path, model), heads=3)
    with pytest.raises(UserError, match="more than 1000000 tokens"):
        load_encoder(_own(tmp_path, model, encoder=SIZES | {"image_size": 16 << 20}))


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("decoder_img.head.weight", "mvd"),
        ("pos_embed_vid", "mvd"),
        ("encoder_to_decoder.0.weight", "mme"),
        ("decoder.0.norm.weight", "mme"),
    ],
)
def test_a_file_of_another_family_is_not_taken_for_the_named_one(tmp_path, model, key, named):
    torch.save({**model.encoder.state_dict(), key: torch.ones(1)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match=f"family 'videomae' asked for, but its tensors are those of {named}"):
        load_encoder(tmp_path / "x.pt", family="videomae", heads=4)


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch owned",)


def test_code_in_a_file_is_never_run(tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in ({"model": model.state_dict(), "x": Payload()}, {"args": argparse.Namespace(x=Payload())}):
        torch.save(content, tmp_path / "evil.pt")
        with pytest.raises(UserError, match="refused"):
            load_encoder(tmp_path / "evil.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<html>404 not found</html>\n", "is a text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer"),
        (b"PK\x03\x04" + b"\0" * 600, "cut short|damaged"),
        (bytes(range(256)) * 4, "cut short|damaged"),
    ],
)
def test_what_is_no_checkpoint_is_told_so(tmp_path, content, said):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError, match=said):
        load_encoder(tmp_path / "x.pt")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        load_encoder(tmp_path / "x.pt")
    (tmp_path / "mp_rank_00_model_states.pt").touch()
    with pytest.raises(UserError, match="mp_rank_00_model_states"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("content", [[1, 2], torch.ones(2), {"epoch": 3}, {}, {"model": {"a": 1}}])
def test_files_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"expected a dictionary|no weights found"):
        load_encoder(tmp_path / "x.pt")


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_a_user_error_or_harmless(tmp_path, golden, seed):
    rng = np.random.default_rng(seed)
    data = bytearray((golden / "ckpt_videomae_ft_module_fp16.pth").read_bytes())
    if seed % 2:
        data = data[: rng.integers(1, len(data))]
    else:  # the pickle is at the beginning, the directory of the archive at the end
        for place in rng.integers(0, 6000, 12):
            data[place if seed % 4 else len(data) - 1 - place] = rng.integers(256)
    (tmp_path / "x.pth").write_bytes(data)
    try:
        load_encoder(tmp_path / "x.pth", family="videomae", heads=3, frames=16, image_size=32)
    except UserError as error:
        said = str(error)
    else:
        said = "x.pth loaded: the damage was in bytes that nobody reads, or in a weight"
    assert "x.pth" in said


def test_random_encoders_are_reproducible_and_leave_the_generator_alone():
    state = torch.get_rng_state()
    one, report = load_encoder("random:nano:7", frames=4, image_size=32)
    two, again = load_encoder("random:nano:7", frames=4, image_size=32)
    other, third = load_encoder("random:nano", frames=4, image_size=32)
    assert torch.equal(torch.get_rng_state(), state)
    assert report.sha256 == again.sha256 != third.sha256
    assert isinstance(other, VideoViT)
    assert (report.family, one.spec.family, one.spec.verified) == ("random", "random", "none")
    assert torch.equal(one.blocks[0].mlp.fc1.weight, two.blocks[0].mlp.fc1.weight)


@pytest.mark.parametrize(("name", "said"), [("random:tiny", "unknown model size"), ("random:nano:x", "no seed")])
def test_misspelt_random_encoders(name, said):
    with pytest.raises(UserError, match=said):
        load_encoder(name)
