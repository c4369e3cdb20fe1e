"""`ckpt export`: every format gives the same features again, whole files or none, refusals in words."""

import json
import os
import types

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sigma_bench.cli import main
from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.vit import VideoViT
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.runs import export as module
from sigma_bench.runs.export import Request, export
from sigma_bench.runs.systems import candidate

SYSTEM = {"system": "Mine, ViT-nano", "method": "SIGMA-MLP", "epochs": "3", "pretrain_data": "K400"}
SIZES = {"image_size": 48, "patch": 16, "frames": 8, "tubelet": 2, "dim": 60, "depth": 3, "heads": 5}
CLIPS = torch.randn(2, 3, 8, 48, 48, generator=torch.Generator().manual_seed(1))
OUT = {"safetensors": "x.safetensors", "videomae": "x.pth", "huggingface": "x"}
AGAIN = {"safetensors": {}, "videomae": {"family": "videomae"}, "huggingface": {}}


@pytest.fixture
def source(tmp_path):
    torch.manual_seed(0)
    encoder = VideoViT(*SIZES.values())
    for name, parameter in encoder.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path / "step-3.pt"
    weights = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    torch.save({"format": "sigma-bench/1", "model": weights, "encoder": SIZES, "system": SYSTEM}, path)
    return path


def _tokens(path, **given):
    encoder, report = load_encoder(path, **given)
    with torch.no_grad():
        return encoder.tokens(CLIPS).patch_BTHWD, encoder.tokens(CLIPS, norm=False).patch_BTHWD, encoder, report


def _export(source, out, form, **given):
    return export(Request(str(source), form, out, **given))


@pytest.mark.parametrize("form", OUT)
def test_an_exported_encoder_gives_the_same_bits(source, tmp_path, form):
    out = tmp_path / OUT[form]
    lines = _export(source, out, form)
    assert any("ViT-60x3/16" in line for line in lines)
    wanted, found = _tokens(source), _tokens(out, **AGAIN[form])
    assert torch.equal(wanted[0], found[0])
    assert torch.equal(wanted[1], found[1])
    ours, theirs = wanted[2].spec, found[2].spec
    for field in ("frames", "image_size", "heads", "mean", "std", "has_norm", "patch", "tubelet"):
        assert getattr(ours, field) == getattr(theirs, field)
    assert found[3].unexpected.tensors == found[3].missing.tensors == 0
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("form", ["safetensors", "huggingface"])
def test_epsilon_normalisation_and_a_missing_norm_survive(golden, tmp_path, form):
    hf = tmp_path / "hf"
    hf.mkdir()
    for name in ("config.json", "model.safetensors"):
        (hf / name).write_bytes((golden / "hf_classification" / name).read_bytes())
    (hf / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}')
    _export(hf, tmp_path / OUT[form], form)
    before, after = load_encoder(hf)[0], load_encoder(tmp_path / OUT[form])[0]
    assert (after.eps, after.spec.has_norm, after.spec.mean) == (1e-12, False, (0.5, 0.4, 0.3))
    assert after.spec.std == before.spec.std
    clips = torch.randn(1, 3, 16, 32, 32)
    with torch.no_grad():
        assert torch.equal(before(clips), after(clips))


def test_an_exported_file_describes_the_same_system(source, tmp_path):
    _export(source, tmp_path / "x.safetensors", "safetensors")
    before = candidate(str(source), None, None, None, None).description
    after = candidate(str(tmp_path / "x.safetensors"), None, None, None, None).description
    assert after == before
    assert after["family"] == "sigma_bench"
    assert after["system"] == "Mine, ViT-nano"


def test_the_safetensors_file_fills_a_vit_of_its_sizes(source, tmp_path):
    _export(source, tmp_path / "x.safetensors", "safetensors")
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        entry = json.loads(file.metadata()["sigma_bench"])["encoder"]
    assert {name: entry[name] for name in SIZES} == SIZES
    VideoViT(*SIZES.values()).load_state_dict(state)


def test_the_videomae_file_is_what_its_finetuning_code_takes(source, tmp_path):
    _export(source, tmp_path / "x.pth", "videomae")
    content = torch.load(tmp_path / "x.pth", weights_only=True)
    names = set(content["model"])
    assert all(name.startswith("encoder.") for name in names)
    stripped = {name.removeprefix("encoder.") for name in names}
    assert {"patch_embed.proj.weight", "blocks.2.attn.q_bias", "blocks.2.attn.v_bias"} <= stripped
    assert not any("qkv.bias" in name or "pos_embed" in name for name in stripped)
    assert stripped == set(VideoViT(*SIZES.values()).state_dict())


def test_transformers_computes_the_same_features(source, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (pip install .[dev])")
    _export(source, tmp_path / "x", "huggingface")
    model, info = transformers.VideoMAEModel.from_pretrained(tmp_path / "x", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    with torch.no_grad():
        theirs = model.eval()(CLIPS.transpose(1, 2)).last_hidden_state
    ours = _tokens(source)[0].flatten(1, 3)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)
    assert ours.std() > 0.1


def test_transformers_normalises_pictures_as_we_do(source, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (pip install .[dev])")
    _export(source, tmp_path / "x", "huggingface")
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "x")
    frame = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    theirs = processor([frame.permute(1, 2, 0).numpy()] * 8, return_tensors="pt").pixel_values
    spec = load_encoder(source)[0].spec
    ours = (frame / 255 - torch.tensor(spec.mean).view(3, 1, 1)) / torch.tensor(spec.std).view(3, 1, 1)
    assert theirs.shape == (1, 8, 3, 48, 48)
    torch.testing.assert_close(theirs[0, 3], ours, rtol=0, atol=1e-5)


def test_what_transformers_saves_of_it_loads_again(source, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (pip install .[dev])")
    _export(source, tmp_path / "x", "huggingface")
    transformers.VideoMAEModel.from_pretrained(tmp_path / "x").save_pretrained(tmp_path / "y", max_shard_size="100KB")
    assert (tmp_path / "y" / "model.safetensors.index.json").is_file()
    assert torch.equal(_tokens(tmp_path / "y")[0], _tokens(source)[0])


@pytest.mark.parametrize("form", OUT)
def test_nothing_is_overwritten_unasked(source, tmp_path, form):
    out = tmp_path / OUT[form]
    _export(source, out, form)
    with pytest.raises(UserError, match="--force"):
        _export(source, out, form)
    _export(source, out, form, force=True)
    assert torch.equal(_tokens(out, **AGAIN[form])[0], _tokens(source)[0])


def test_force_takes_no_folder_or_file_that_no_export_wrote(source, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        _export(source, folder, "huggingface", force=True)
    with pytest.raises(UserError, match="is a folder, not a file"):
        _export(source, folder, "videomae", force=True)
    with pytest.raises(UserError, match="is a file, not a folder"):
        _export(source, source, "huggingface", force=True)
    with pytest.raises(UserError, match="make it first"):
        _export(source, tmp_path / "none" / "x", "huggingface")
    assert (folder / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("form", OUT)
def test_a_failed_export_leaves_the_earlier_one(source, tmp_path, form, monkeypatch):
    out = tmp_path / OUT[form]
    _export(source, out, form)
    before = _tokens(out, **AGAIN[form])[0]

    def fail(_, path, **__):
        path.write_bytes(b"half") if path.suffix != ".partial" else None
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", fail)
    monkeypatch.setattr(module.torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        _export(source, out, form, force=True)
    monkeypatch.undo()
    assert torch.equal(_tokens(out, **AGAIN[form])[0], before)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([out.name, "step-3.pt"])


@pytest.mark.parametrize("form", OUT)
def test_what_a_format_cannot_hold_is_refused(tmp_path, form, monkeypatch):
    sizes = tuple(SIZES.values())
    table, cosine, token = VideoViT(*sizes), VideoViT(*sizes, cosine=True), VideoViT(*sizes, cls_token=True)
    table.positions = table.positions.flip(1)
    other = types.SimpleNamespace(spec=table.spec, tokens=None)
    for encoder, message in [
        (table, "position table"),
        (cosine, r"other tensors .*attn\.scale"),
        (token, "other tensors .*cls_token"),
        (other, "not the ViT of the VideoMAE family"),
    ]:
        found = types.SimpleNamespace(encoder=lambda _, built=encoder: built)
        monkeypatch.setattr(module, "candidate", lambda *_, found=found: found)
        with pytest.raises(UserError, match=message):
            _export("x", tmp_path / "y", form)
    assert not any(tmp_path.iterdir())


def test_normalisation_that_videomae_code_does_not_do_is_refused(tmp_path, monkeypatch):
    built = VideoViT(*SIZES.values(), mean=(0.5, 0.5, 0.5))
    monkeypatch.setattr(module, "candidate", lambda *_: types.SimpleNamespace(encoder=lambda _: built))
    with pytest.raises(UserError, match="ImageNet"):
        _export("x", tmp_path / "y", "videomae")


def test_another_epsilon_is_said(golden, tmp_path):
    lines = _export(golden / "hf_pretraining_eps1e-12", tmp_path / "x.pth", "videomae")
    assert any("1e-12" in line and "1e-06" in line for line in lines)


def test_an_unknown_format_is_refused(source, tmp_path):
    with pytest.raises(UserError, match="known: safetensors, videomae, huggingface"):
        _export(source, tmp_path / "x", "onnx")


def _row(sha256, **changes):
    fields = {"system": "me", "checkpoint_sha256": sha256, "suite": "linear", "task": "linear/ucf101",
              "task_version": 1, "evaluator": "linear", "settings_sha256": "0" * 64, "metric": "top1",
              "value": 71.25, "data": "official", "status": "ok", "n_expected": 10, "n_present": 10,
              "n_decoded": 10}  # fmt: skip
    return Row(**(fields | changes))


def test_the_card_tells_facts_licence_and_what_was_measured(source, tmp_path):
    sha256 = candidate(str(source), None, None, None, None).sha256
    rows = [
        _row(sha256),
        _row(sha256, task="linear/hmdb51", value=12.5, data="miniature"),
        _row("1" * 64, task="linear/k400", value=33.0),
        _row(sha256, task="linear/ssv2", value=None, status="failed"),
    ]
    Store(tmp_path / "rows").append("linear", rows)
    _export(source, tmp_path / "x", "huggingface", results=tmp_path / "rows", licence="cc-by-nc-4.0")
    card = (tmp_path / "x" / "README.md").read_text()
    assert card.startswith('---\nlibrary_name: "transformers"\nlicense: "cc-by-nc-4.0"\n')
    assert "| linear/ucf101 | top1 | 71.25 | linear | 0 | 10 of 10 |" in card
    assert not any(word in card for word in ("12.50", "33.00", "hmdb51", "ssv2"))
    for fact in ("Mine, ViT-nano", "SIGMA-MLP", "K400", "8 frames of 48 x 48", "(1, 36, 60)", sha256):
        assert fact in card


def test_a_folder_of_rows_that_is_not_there_is_no_empty_one(source, tmp_path):
    with pytest.raises(UserError, match="no such folder of rows"):
        _export(source, tmp_path / "x", "huggingface", results=tmp_path / "none")
    assert not (tmp_path / "x").exists()


def test_names_cannot_break_out_of_the_card(source, tmp_path):
    content = torch.load(source, weights_only=True)
    content["system"] = SYSTEM | {"system": "a|b\n---\n<script>", "method": "[x](y)"}
    torch.save(content, source)
    _export(source, tmp_path / "x", "huggingface", licence='mit"\nextra: 1')
    card = (tmp_path / "x" / "README.md").read_text()
    assert "# a\\|b --- \\<script\\>" in card
    assert "\\[x\\]" in card
    assert "\nextra: 1" not in card


def test_the_folder_has_the_usual_permissions(source, tmp_path):
    _export(source, tmp_path / "x", "huggingface")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o777 & ~mask
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == sorted(module.FOLDER_FILES)


def test_the_command_line(source, tmp_path, capsys):
    arguments = ["ckpt", "export", str(source), "--format", "huggingface", "--out", str(tmp_path / "x")]
    with pytest.raises(SystemExit) as first:
        main(arguments)
    assert first.value.code == 0
    assert "as huggingface" in capsys.readouterr().out
    with pytest.raises(SystemExit) as second:
        main(arguments)
    assert second.value.code == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("eps", "1e-6"), ("eps", 0), ("norm", 1), ("mean", [0.5, 0.5]), ("std", [1, 1, -1]), ("norm", False)],
)
def test_a_description_that_was_tampered_with_is_refused(source, tmp_path, field, value):
    _export(source, tmp_path / "x.safetensors", "safetensors")
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        described = json.loads(file.metadata()["sigma_bench"])
    described["encoder"][field] = value
    save_file(state, tmp_path / "y.safetensors", metadata={"sigma_bench": json.dumps(described)})
    with pytest.raises(UserError, match="key 'encoder'"):
        load_encoder(tmp_path / "y.safetensors")
