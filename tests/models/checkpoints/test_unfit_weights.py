"""Files that are read and whose weights are not what an encoder needs, and what an encoder keeps of its file."""

import os
import subprocess
import sys

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import fill, load, load_encoder
from sigma_bench.models.vit import VideoViT


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def _finetuned(**changes):
    torch.manual_seed(0)
    encoder = VideoViT(image_size=32, patch=16, frames=4, tubelet=2, dim=48, depth=1, heads=3)
    return {**encoder.state_dict(), **changes}


def _load(path, **options):
    return load_encoder(path, family="videomae", heads=3, frames=4, image_size=32, **options)


def test_an_encoder_keeps_no_hold_of_its_file(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(_finetuned(), path)
    encoder, _ = _load(path)
    before = encoder.patch_embed.proj.weight.clone()
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(encoder.patch_embed.proj.weight, before)


def test_a_file_that_changes_while_an_encoder_is_filled_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.pt"
    torch.save(_finetuned(), path)

    def slow(*given):
        os.utime(path)
        return fill.fill(*given)

    monkeypatch.setattr(load, "fill", slow)
    with pytest.raises(UserError, match="changed while it was read"):
        _load(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"norm.weight": torch.ones(48, dtype=torch.int64)}, r"norm.weight is torch.int64 \(48,\)"),
        ({"norm.weight": torch.full((48,), torch.inf)}, "norm.weight holds infinite or undefined"),
        ({"blocks.0.norm1.bias": torch.full((48,), torch.nan)}, "blocks.0.norm1.bias holds infinite or undefined"),
        ({"norm.weight": torch.ones(1).expand(48)}, "norm.weight claims more values"),
        ({"norm.weight": torch.ones(47)}, r"norm.weight is torch.float32 \(47,\)"),
        ({0: torch.ones(1)}, "a weight is called 0; expected names"),
        ({"_orig_mod.norm.weight": torch.ones(48)}, "same name"),
    ],
)
def test_weights_that_are_not_the_encoders_are_refused(tmp_path, changes, said):
    torch.save(_finetuned(**{k: v for k, v in changes.items() if isinstance(k, str)}) | changes, tmp_path / "x.pt")
    with pytest.raises(UserError, match=said):
        _load(tmp_path / "x.pt")


def test_a_file_of_an_optimiser_alone_has_no_weights(tmp_path):
    model = torch.nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(2)).sum().backward()
    optimiser.step()
    torch.save({"optimizer": optimiser.state_dict(), "epoch": 3}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="no weights found; its keys are: optimizer, epoch"):
        _load(tmp_path / "x.pt")


def test_loading_does_not_import_the_compiler_of_torch(golden):
    program = (
        "import sys; from sigma_bench.models.checkpoints import load_encoder\n"
        f"load_encoder({str(golden / 'ckpt_sigma.pth')!r}, heads=3)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
