"""The decoder of Hugging Face's `VideoMAEForPreTraining`: its logits and pixel loss, at any size, and what is wrong."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from sigma_bench.runs.verify import run
from sigma_bench.runs.verify.vectors import clips_of

FEATURES, FOLDER = "feat_hf_eps1e-12.pt", "hf_pretraining_eps1e-12"
LAYER = "decoder.decoder_layers.0"


@pytest.fixture
def copied(golden, tmp_path):
    shutil.copy(golden / FEATURES, tmp_path)
    shutil.copytree(golden / FOLDER, tmp_path / FOLDER)
    return tmp_path


def _change_state(folder, change):
    path = folder / FOLDER / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def _change_config(folder, **changes):
    path = folder / FOLDER / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _failed(folder):
    return {record.key for record in run(folder) if record.status == "failed"}


def _reason(folder):
    (record,) = run(folder)
    assert record.status == "failed"
    return record.reason


@pytest.mark.parametrize(
    "name",
    [
        "encoder_to_decoder.weight",
        "mask_token",
        "decoder.norm.bias",
        "decoder.norm.weight",
        "decoder.head.bias",
        "decoder.head.weight",
        f"{LAYER}.attention.attention.q_bias",
        f"{LAYER}.attention.attention.v_bias",
        f"{LAYER}.attention.attention.value.weight",
        f"{LAYER}.attention.output.dense.weight",
        f"{LAYER}.intermediate.dense.weight",
        f"{LAYER}.output.dense.bias",
        f"{LAYER}.layernorm_before.weight",
        f"{LAYER}.layernorm_after.bias",
    ],
)
def test_every_tensor_of_the_decoder_counts(copied, name):
    generator = torch.Generator().manual_seed(3)
    _change_state(copied, lambda state: state[name].add_(torch.randn(state[name].shape, generator=generator)))
    assert _failed(copied) == {"loss", "logits"}


@pytest.mark.parametrize(
    ("changes", "failed"),
    [({"decoder_num_attention_heads": 2}, {"loss", "logits"}), ({"norm_pix_loss": False}, {"loss"})],
)
def test_what_no_shape_tells_is_taken_from_the_configuration(copied, changes, failed):
    _change_config(copied, **changes)
    assert _failed(copied) == failed


@pytest.mark.parametrize("name", ["mask_token", "decoder.head.bias", f"{LAYER}.attention.attention.key.weight"])
def test_a_missing_tensor_is_an_error(copied, name):
    _change_state(copied, lambda state: state.pop(name))
    assert "Missing key" in _reason(copied)


@pytest.mark.parametrize("name", ["encoder_to_decoder.bias", f"{LAYER}.attention.attention.key.bias"])
def test_an_unknown_tensor_is_an_error(copied, name):
    _change_state(copied, lambda state: state.update({name: torch.zeros(24)}))
    assert name in _reason(copied)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("decoder_hidden_size", 48, "size mismatch"),
        ("decoder_num_hidden_layers", 2, "Missing key"),
        ("decoder_intermediate_size", 100, "size mismatch"),
        ("decoder_num_attention_heads", 5, "does not divide"),
        ("decoder_num_attention_heads", 0, "decoder_num_attention_heads"),
        ("norm_pix_loss", "yes", "norm_pix_loss"),
    ],
)
def test_a_configuration_that_does_not_fit_is_an_error(copied, field, value, message):
    _change_config(copied, **{field: value})
    assert message in _reason(copied)


def test_a_file_without_a_decoder_is_told_apart(copied):
    def drop(state):
        for name in [name for name in state if not name.startswith("videomae.")]:
            del state[name]

    _change_state(copied, drop)
    status = {record.key: record.status for record in run(copied)}
    assert (status["loss"], status["logits"], status["last_hidden_state"]) == ("skipped", "skipped", "ok")
    assert status["file_keys"] == "failed"


@pytest.mark.parametrize(("normalized", "pooling"), [(True, False), (False, False), (True, True)])
def test_other_sizes_are_those_of_transformers(tmp_path, normalized, pooling):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(7)
    config = transformers.VideoMAEConfig(
        image_size=48, patch_size=16, num_frames=6, tubelet_size=3, hidden_size=36, num_hidden_layers=3,
        num_attention_heads=6, intermediate_size=100, layer_norm_eps=1e-2, decoder_hidden_size=20,
        decoder_num_hidden_layers=2, decoder_num_attention_heads=5, decoder_intermediate_size=44,
        norm_pix_loss=normalized, use_mean_pooling=pooling,
    )  # fmt: skip
    model = transformers.VideoMAEForPreTraining(config).eval()
    video = torch.randint(0, 256, (2, 6, 3, 48, 48), dtype=torch.uint8)
    mask = torch.stack([torch.randperm(18) < 11 for _ in range(2)])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        out = model(clips_of(video.transpose(1, 2), "cpu").transpose(1, 2), mask)
    model.save_pretrained(tmp_path / "hf_odd")
    names = list(load_file(tmp_path / "hf_odd" / "model.safetensors"))
    values = {"video_u8_btchw": video, "mask": mask, "loss": float(out.loss), "logits": out.logits, "file_keys": names}
    torch.save(values, tmp_path / "feat_hf_odd.pt")
    assert {(r.key, r.status) for r in run(tmp_path, only=["feat_hf_odd"])} == {
        ("loss", "ok"), ("logits", "ok"), ("file_keys", "ok"),
    }  # fmt: skip
