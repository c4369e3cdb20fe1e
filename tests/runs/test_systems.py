"""How a checkpoint is described in rows: what joins a published row, and what must not."""

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.masked import masked_model
from sigma_bench.runs.systems import candidate
from sigma_bench.train import state

SIZES = ("image_size", "patch", "frames", "tubelet", "depth", "heads")


def own_run(path, size, image_size, patch, **system):
    torch.manual_seed(0)
    model = masked_model(size, out_dim=8, image_size=image_size, frames=4, tubelet=2, patch=patch, decoder_depth=1)
    spec = model.encoder.spec
    sizes = {"dim": spec.embed_dim, **{name: getattr(spec, name) for name in SIZES}}
    state.save(path, {"model": model.state_dict(), "encoder": sizes, "system": system})
    return str(path)


def test_an_own_run_is_spelled_as_published_rows_are(tmp_path):
    file = own_run(tmp_path / "step-1.pt", "small", 32, 16, system="sigma_mlp", method="SIGMA-MLP", epochs="800")
    found = candidate(file, None, None, None, None).description
    assert (found["system"], found["method"], found["backbone"]) == ("sigma_mlp", "SIGMA-MLP", "ViT-S")


def test_another_patch_is_another_backbone(tmp_path):
    file = own_run(tmp_path / "step-1.pt", "nano", 32, 8)
    assert candidate(file, None, None, None, None).description["backbone"] == "ViT-nano/8"


def test_a_model_cannot_be_given_the_name_of_one_of_another_size(tmp_path):
    file = own_run(tmp_path / "step-1.pt", "nano", 32, 8)
    with pytest.raises(UserError, match=r"it is a ViT-B, but .* holds a ViT-nano/8"):
        candidate(file, None, None, "sigma_mlp_k400_b800", None)


def test_a_file_that_is_called_like_a_zoo_entry_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own_run(tmp_path / "sigma_mlp_k400_b800", "nano", 32, 8)
    assert "method" not in candidate("sigma_mlp_k400_b800", None, None, None, None).description


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ({"motion_guidance": "maybe"}, "motion_guidance: 'maybe'.*'yes', 'no'"),
        ({"system": ["a", "list"]}, r"system: \"\['a', 'list'\]\".* valid string"),
        ({"method": "x" * 20_001}, "method: 'xxx.* at most 20000 "),
    ],
)
def test_a_description_that_no_row_can_hold_is_refused_before_anything_is_measured(tmp_path, system, said):
    file = own_run(tmp_path / "step-1.pt", "nano", 32, 8, **system)
    with pytest.raises(UserError, match=f"step-1.pt: describes itself by {said}"):
        candidate(file, None, None, None, None)
