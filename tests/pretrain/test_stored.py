"""Networks of a pretraining checkpoint: what is read is what was saved, and what is not whole is refused."""

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.masked import masked_model
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.pretrain.similarity import projected, similarities
from sigma_bench.pretrain.stored import stored

SIZES = {"image_size": 32, "patch": 8, "frames": 8, "tubelet": 2, "dim": 96, "depth": 3, "heads": 4}


def content(**changes):
    torch.manual_seed(0)
    model = masked_model(
        *("nano",), out_dim=16, image_size=32, frames=8, patch=8, head=MlpProjector(384, [24], 16), prototypes=12
    )
    return model, {"format": "sigma-bench/1", "model": {**model.state_dict(), **changes}, "encoder": SIZES}


def saved(folder, **changes):
    model, whole = content(**changes)
    torch.save(whole, folder / "x.pt")
    return model, folder / "x.pt"


def golden_file(golden, folder, name):
    values = torch.load(golden / f"{name}.pt", weights_only=True)
    torch.save({"model": values["state_dict"], "args": {"mask_ratio": values["config"]["ratio"]}}, folder / "x.pth")
    return values, folder / "x.pth"


def normalised(values):
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (values["video_u8"][0] / 255 - mean) / std


def test_the_networks_of_a_run_are_read_back(tmp_path):
    model, path = saved(tmp_path)
    held = stored(path)
    clips, mask = torch.randn(2, 3, 8, 32, 32), torch.arange(64).expand(2, 64) % 4 > 0
    assert torch.equal(held.prototypes_KD, model.prototypes)
    tubes = torch.randn(5, 384)
    assert torch.equal(held.projector(tubes), model.head(tubes))
    assert torch.equal(held.model()(clips, mask), model.eval()(clips, mask))


def test_similarities_are_the_scores_of_the_reference(golden, tmp_path):
    values, path = golden_file(golden, tmp_path, "sigma_mlp")
    held = stored(path, heads=3, frames=16, image_size=32)
    clips, mask = normalised(values), values["mask"][0]
    every = similarities(projected(held.projector, held.encoder, clips, True).flatten(0, 1), held.prototypes_KD)
    masked = every.view(2, 128, -1)[mask].view(2, 112, -1)
    torch.testing.assert_close(masked, values["scores1"], atol=1e-5, rtol=0)
    decoded = held.model(2)(clips, mask)
    torch.testing.assert_close(decoded, values["decoder_out_step0"], atol=1e-5, rtol=0)
    torch.testing.assert_close(similarities(decoded, held.prototypes_KD), values["scores2"], atol=1e-5, rtol=0)


def test_a_file_of_the_teacher_variant_has_no_projector(golden, tmp_path):
    values, path = golden_file(golden, tmp_path, "sigma_dino")
    held = stored(path, heads=3, frames=16, image_size=32)
    assert held.projector is None
    assert held.args["mask_ratio"] == 0.9
    decoded = held.model(2)(normalised(values), values["mask"][0])
    torch.testing.assert_close(similarities(decoded, held.prototypes_KD), values["scores2"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["ckpt_sigma", "ckpt_sigma_dino"])
def test_released_files_are_read(golden, name):
    held = stored(golden / f"{name}.pth", heads=3)
    assert held.prototypes_KD.shape == (10, 24)
    assert (held.projector is None) == (name == "ckpt_sigma_dino")
    with pytest.raises(UserError, match=r"heads of its decoder, 24 wide, are in no shape; give them: --decoder-heads"):
        held.model()
    with pytest.raises(UserError, match=r"cannot be 5; give a divisor of 24"):
        held.model(5)
    assert held.model(2).decoder.head.out_features == 24


@pytest.mark.parametrize("name", ["ckpt_videomae", "ckpt_mvd", "ckpt_svt", "ckpt_videomae_bare"])
def test_files_without_prototypes_are_refused(golden, name):
    with pytest.raises(UserError, match=rf"{name}\.pth: holds no tensor 'prototypes', so there are none to show"):
        stored(golden / f"{name}.pth")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prototypes": torch.zeros(12)}, r"prototypes is of shape \(12,\); expected \(prototypes, width\)"),
        ({"prototypes": torch.zeros(0, 16)}, r"prototypes is of shape \(0, 16\)"),
        ({"prototypes": torch.full((12, 16), float("nan"))}, "prototypes holds infinite or undefined values"),
        (
            {"prototypes": torch.zeros(12, 16, dtype=torch.long)},
            r"prototypes is torch.int64 .* expected floating point",
        ),
        ({"prototypes": torch.zeros(12, 9)}, "goes from 384 to 16 values; expected from the 384 of a tube to the 9"),
        ({"head.2.weight": torch.zeros(16, 23)}, r"head.2.weight is torch.float32 \(16, 23\); expected .* \(16, 24\)"),
        ({"head.4.weight": torch.zeros(16, 16)}, "lacks head.4.bias; the file is not a whole pretraining checkpoint"),
        ({"head.5.weight": torch.zeros(16, 16)}, r"layers of its projection network are \[0, 2, 5\]"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, words):
    _, path = saved(tmp_path, **changes)
    with pytest.raises(UserError, match=words):
        stored(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("decoder.head.weight", r"has no decoder \(decoder.head.weight\); --features projector needs none"),
        ("encoder_to_decoder.weight", r"has no decoder \(encoder_to_decoder.weight\)"),
        ("mask_token", "lacks mask_token"),
        ("decoder.norm.bias", "lacks decoder.norm.bias"),
    ],
)
def test_an_incomplete_decoder_is_refused_where_it_is_asked_for(tmp_path, name, words):
    _, whole = content()
    del whole["model"][name]
    torch.save(whole, tmp_path / "x.pt")
    with pytest.raises(UserError, match=words):
        stored(tmp_path / "x.pt").model()


def test_a_decoder_with_more_than_the_model_is_refused(tmp_path):
    _, path = saved(tmp_path, **{"decoder.extra.weight": torch.zeros(2)})
    with pytest.raises(UserError, match=r"its decoder has tensors this one cannot use \(decoder.extra.weight\)"):
        stored(path).model()
