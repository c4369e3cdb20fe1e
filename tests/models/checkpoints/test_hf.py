"""Hugging Face VideoMAE: golden features, both spellings, every field of the configuration, refusals."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.runs.verify.vectors import clips_of

LAYER = "videomae.encoder.layer.0.attention.attention"
PRETRAINING, CLASSIFIER = "hf_pretraining_eps1e-12", "hf_classification"


@pytest.fixture
def folder(golden, tmp_path):
    shutil.copytree(golden / PRETRAINING, tmp_path / "hf")
    return tmp_path / "hf"


def _change_state(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _change_config(folder, **changes):
    path = folder / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not ...}))


def _features(folder, golden):
    encoder, _ = load_encoder(folder)
    values = torch.load(golden / "feat_hf_eps1e-12.pt", weights_only=True)
    with torch.no_grad():
        return encoder(clips_of(values["video_u8_btchw"].transpose(1, 2), "cpu")), values["last_hidden_state"]


def test_features_are_those_of_transformers(golden):
    ours, theirs = _features(golden / PRETRAINING, golden)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_the_report_of_a_folder(golden):
    encoder, report = load_encoder(golden / PRETRAINING)
    assert (report.family, report.heads, report.matched.tensors, report.unexpected.tensors) == ("videomae_hf", 3, 30, 0)
    assert report.dropped.tensors == 21
    assert (encoder.eps, encoder.spec.has_norm, encoder.spec.verified) == (1e-12, True, "golden")
    assert (encoder.spec.mean, encoder.spec.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert any("no preprocessor_config.json" in note for note in report.notes)


def test_a_classifier_has_no_last_norm(golden):
    encoder, report = load_encoder(golden / CLASSIFIER / "model.safetensors")
    assert not encoder.spec.has_norm
    assert (report.matched.tensors, report.dropped.tensors) == (28, 4)


def test_the_name_of_the_family_may_be_said(golden):
    assert load_encoder(golden / PRETRAINING, family="videomae_hf")[1].guessed is False
    with pytest.raises(UserError, match="tensors are those of"):
        load_encoder(golden / PRETRAINING, family="sigma")


@pytest.mark.parametrize("form", ["bare", "bias", "bin", "index"])
def test_other_spellings_and_containers_give_the_same_features(folder, golden, form):
    state = load_file(folder / "model.safetensors")
    if form == "bare":
        state = {n.removeprefix("videomae."): t for n, t in state.items() if n.startswith("videomae.")}
    if form == "bias":
        state = {n.replace("q_bias", "query.bias").replace("v_bias", "value.bias"): t for n, t in state.items()}
        assert f"{LAYER}.query.bias" in state
    (folder / "model.safetensors").unlink()
    if form == "bin":
        torch.save(state, folder / "pytorch_model.bin")
    elif form == "index":
        names = sorted(state)
        parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
        for file, chosen in parts.items():
            save_file({n: state[n] for n in chosen}, folder / file)
        weight_map = {n: file for file, chosen in parts.items() for n in chosen}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    else:
        save_file(state, folder / "model.safetensors")
    ours, theirs = _features(folder, golden)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_heads_are_those_of_the_configuration_whatever_is_usual(folder, golden):
    _change_config(folder, num_attention_heads=4)
    assert load_encoder(folder)[0].spec.heads == 4
    ours, theirs = _features(folder, golden)
    assert (ours - theirs).abs().max() > 1e-3
    with pytest.raises(UserError, match="3 heads asked for, the file says 4"):
        load_encoder(folder, heads=3)


def test_epsilon_and_normalisation_are_those_of_the_folder(folder):
    _change_config(folder, layer_norm_eps=1e-3)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}')
    encoder, report = load_encoder(folder)
    assert {m.eps for m in encoder.modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-3}
    assert (encoder.spec.mean, encoder.spec.std) == ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    assert any("mean and deviation of preprocessor_config.json" in note for note in report.notes)


@pytest.mark.parametrize(
    "name", [f"{LAYER}.q_bias", f"{LAYER}.v_bias", f"{LAYER}.key.weight", "videomae.layernorm.bias"]
)
def test_a_missing_tensor_is_named_as_in_the_file(folder, name):
    _change_state(folder, lambda state: state.pop(name))
    with pytest.raises(UserError, match=name.removeprefix("videomae.").replace(".", r"\.") + " is missing"):
        load_encoder(folder)


@pytest.mark.parametrize(
    "name",
    [f"{LAYER}.key.bias", f"{LAYER}.query.bias", "videomae.encoder.layer.0.gamma", "videomae.embeddings.cls_token"],
)
def test_a_tensor_the_encoder_cannot_use_is_refused(folder, name):
    _change_state(folder, lambda state: state.update({name: torch.zeros(48)}))
    with pytest.raises(UserError, match="cannot use"):
        load_encoder(folder)


def test_parts_of_different_shapes_are_refused(folder):
    _change_state(folder, lambda state: state.update({f"{LAYER}.query.weight": torch.zeros(47, 48)}))
    with pytest.raises(UserError, match="do not have one shape"):
        load_encoder(folder)


def test_a_last_norm_that_the_configuration_leaves_out_is_not_used(folder):
    _change_config(folder, use_mean_pooling=True)
    encoder, report = load_encoder(folder)
    assert not encoder.spec.has_norm
    assert any("use_mean_pooling" in note for note in report.notes)


def test_without_a_configuration_nothing_is_guessed(folder):
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json: is not there"):
        load_encoder(folder / "model.safetensors")


def test_a_field_that_is_absent_is_said(folder):
    _change_config(folder, layer_norm_eps=..., hidden_act=...)
    encoder, report = load_encoder(folder)
    assert encoder.eps == 1e-12
    assert any("lacks hidden_act (gelu taken), layer_norm_eps (1e-12 taken)" in note for note in report.notes)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model_type", "vit", "model_type"),
        ("model_type", ..., "model_type"),
        ("hidden_act", "relu", "hidden_act"),
        ("hidden_act", "gelu_new", "hidden_act"),
        ("qkv_bias", False, "qkv_bias"),
        ("qv_bias", False, "qv_bias"),
        ("num_channels", 1, "num_channels"),
        ("hidden_size", -48, "hidden_size"),
        ("hidden_size", 48.0, "hidden_size"),
        ("hidden_size", "48", "hidden_size"),
        ("hidden_size", 96, "dim = 96, its tensors say 48"),
        ("num_hidden_layers", True, "num_hidden_layers"),
        ("num_hidden_layers", 1, "depth = 1, its tensors say 2"),
        ("num_hidden_layers", 3, r"layer\.2\..* is missing"),
        ("num_hidden_layers", 1_000_000, "is missing"),
        ("num_attention_heads", 5, "does not divide"),
        ("num_attention_heads", 0, "num_attention_heads"),
        ("intermediate_size", 100, "intermediate_size = 100, the tensors say 192"),
        ("image_size", [32, 48], "image_size"),
        ("image_size", 33, "does not divide"),
        ("image_size", 1 << 19, "more than 1000000 tokens"),
        ("patch_size", 16, "patch = 16, its tensors say 8"),
        ("tubelet_size", 4, "tubelet = 4, its tensors say 2"),
        ("num_frames", 15, "does not divide"),
        ("layer_norm_eps", 0, "layer_norm_eps"),
        ("layer_norm_eps", "1e-6", "layer_norm_eps"),
        ("layer_norm_eps", float("nan"), "layer_norm_eps"),
        ("use_mean_pooling", "no", "use_mean_pooling"),
    ],
)
def test_an_unsupported_configuration_is_refused_by_name(folder, field, value, message):
    _change_config(folder, **{field: value})
    with pytest.raises(UserError, match=message):
        load_encoder(folder)


def test_an_image_size_may_be_a_pair(folder, golden):
    _change_config(folder, image_size=[32, 32], patch_size=[8, 8], qkv_bias=True)
    ours, theirs = _features(folder, golden)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"image_mean": [0.5, 0.5], "image_std": [1, 1, 1]}',
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0, 1, 1]}',
        '{"image_mean": [0.5, 0.5, NaN], "image_std": [1, 1, 1]}',
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [1, 1, 1], "do_normalize": false}',
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [1, 1, 1], "rescale_factor": 1}',
    ],
)
def test_a_wrong_preprocessor_is_refused(folder, content):
    (folder / "preprocessor_config.json").write_text(content)
    with pytest.raises(UserError, match=r"preprocessor_config\.json"):
        load_encoder(folder)


def test_repeated_values_cannot_fill_the_memory(folder):
    (folder / "model.safetensors").unlink()
    state = {"videomae.embeddings.patch_embeddings.projection.weight": torch.zeros(48, 3, 2, 8, 8)}
    state |= {f"{LAYER}.{part}.weight": torch.zeros(1, 1).expand(10**6, 10**6) for part in ("query", "key", "value")}
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="claims more values"):
        load_encoder(folder)
