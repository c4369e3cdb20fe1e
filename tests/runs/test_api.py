"""The Python interface gives the command's number, stores the command's row, and leaves the caller as it was."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import sigma_bench
from sigma_bench.contracts import UserError
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.results.store import Store
from sigma_bench.runs.evaluate import evaluate_here
from sigma_bench.runs.request import Request

SETS = ["views.train=1", "views.test_clips=1", "views.test_crops=1", "views.augment=none", "clips.stride=1"]
SETS += ["clips.frames=8", "probe.epochs=3", "probe.rates=[0.01]", "probe.weight_decays=[0.0]"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write(root / "ucf101", seed=0, groups=5, clips_per_group=1)
    (root / "ucf101" / "miniature.json").unlink()
    return root


@pytest.fixture(scope="module")
def given(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return {"data_root": root, "sets": SETS, "limit": 30, "device": "cpu", "workers": 1, "out": out}


def test_importing_the_package_is_light_and_unknown_names_are_told():
    code = "import sys, sigma_bench as s; print(s.__version__, 'torch' in sys.modules, 'evaluate' in dir(s))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [sigma_bench.__version__, "False", "True"]
    with pytest.raises(AttributeError, match="module 'sigma_bench' has no attribute 'evalaute'"):
        sigma_bench.evalaute  # noqa: B018


def test_it_returns_the_number_of_the_command_and_stores_its_row_once(given, tmp_path):
    command = Request(["random:nano"], tasks=["linear/ucf101"], results=tmp_path / "command", **given)
    assert evaluate_here(command) == 0
    (row,) = Store(tmp_path / "command").read()
    found = sigma_bench.evaluate("random:nano", "linear/ucf101", results=tmp_path / "api", **given)
    assert found.metrics["top1"] == row.value
    assert found.cached
    (own,) = Store(tmp_path / "api").read()
    changing = {"measured_at", "seconds", "artifacts"}
    assert own.model_dump(exclude=changing) == row.model_dump(exclude=changing)
    assert set(own.artifacts) == set(row.artifacts)
    sigma_bench.evaluate("random:nano", "linear/ucf101", results=tmp_path / "api", **given)
    assert len(Store(tmp_path / "api").read()) == 1
    sigma_bench.evaluate("random:nano", "linear/ucf101", results=tmp_path / "api", force=True, **given)
    assert len(Store(tmp_path / "api").read()) == 2
    assert evaluate_here(Request(["random:nano"], tasks=["linear/ucf101"], results=tmp_path / "api", **given)) == 0
    assert len(Store(tmp_path / "api").read()) == 2  # the command takes the row for its own


def test_a_module_in_training_is_measured_frozen_and_given_back_untouched(given, tmp_path):
    encoder = load_encoder("random:nano")[0].train()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.random.get_rng_state()
    found = sigma_bench.evaluate(encoder, "linear/ucf101", results=tmp_path, name="mine", **given)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert encoder.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    (row,) = Store(tmp_path).read()
    assert (row.system, row.method, row.value) == ("mine", "", found.metrics["top1"])
    assert sigma_bench.evaluate("random:nano", "linear/ucf101", **given).metrics == found.metrics  # the same weights
    with torch.no_grad():
        next(encoder.parameters()).add_(1.0)
    assert sigma_bench.evaluate(encoder, "linear/ucf101", **given).cached is False  # others are others


def test_own_videos(given, root, tmp_path):
    videos = [path for path in sorted((root / "ucf101").rglob("*.avi")) if path.parent.name < "C"]
    lines = [f"{path},{path.parent.name}" for path in videos]
    (tmp_path / "train.csv").write_text("\n".join(lines[::2]))
    (tmp_path / "val.csv").write_text("\n".join(lines[1::2]))
    lists = (tmp_path / "train.csv", str(tmp_path / "val.csv"))
    more = {**given, "data_root": None, "sets": [*SETS[:6], "knn.k=3"]}
    found = sigma_bench.evaluate("random:nano", "knn", videos=lists, results=tmp_path / "rows", **more)
    (row,) = Store(tmp_path / "rows").read()
    assert (row.task, row.data, row.value) == ("knn/videos", "custom", found.metrics["knn_top1"])
    assert found.counts.n_decoded == min(30, len(lines) // 2)
    with pytest.raises(UserError, match="expected two lists"):
        sigma_bench.evaluate("random:nano", "knn", videos=lists[:1], **more)


@pytest.mark.parametrize(
    ("encoder", "task", "more", "said"),
    [
        ("random:nano", "linear/ucf102", {}, "did you mean 'linear/ucf101'"),
        ("nothing.pth", "linear/ucf101", {}, r"nothing\.pth: no such file"),
        (torch.nn.Linear(1, 1), "linear/ucf101", {}, "no encoder .Linear.; it needs `spec`"),
        (object(), "linear/ucf101", {}, "no encoder .object."),
        ("random:nano", "linear/k400", {}, "no data at .*k400"),
        ("random:nano", "linear/ucf101", {"sets": ["probe.layers=all"]}, "an evaluation for each layer; name one"),
        ("random:nano", "linear/ucf101", {"precision": "fp8"}, "expected fp32 or bf16"),
        ("random:nano", "linear/ucf101", {"device": "tpu"}, "expected auto, cpu, cuda"),
        ("random:nano", "linear/ucf101", {"data": "mini"}, "expected official or miniature"),
    ],
)
def test_mistakes_are_told(given, encoder, task, more, said):
    with pytest.raises(UserError, match=said):
        sigma_bench.evaluate(encoder, task, **{**given, **more})


def test_a_module_says_itself_what_it_is(given):
    encoder = load_encoder("random:nano")[0]
    with pytest.raises(UserError, match="a module says itself what it is"):
        sigma_bench.evaluate(encoder, "linear/ucf101", heads=3, **given)


def test_what_an_evaluator_raises_is_raised_and_leaves_no_row(given, tmp_path):
    encoder = load_encoder("random:nano")[0]
    with torch.no_grad():
        encoder.norm.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="NaN or infinite features"):
        sigma_bench.evaluate(encoder, "linear/ucf101", results=tmp_path / "rows", **given)
    assert not (tmp_path / "rows").exists()
