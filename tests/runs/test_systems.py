"""How a checkpoint is described in rows: what joins a published row, and what must not."""

import argparse

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.masked import masked_model
from sigma_bench.runs.reading import Reading
from sigma_bench.runs.systems import candidate, progress
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


def test_a_file_is_read_at_the_sizes_asked_for_and_its_rows_say_so(golden):
    file = str(golden / "ckpt_videomae.pth")
    stored = candidate(file, None, 3, None, None)
    short = candidate(file, None, 3, None, None, Reading(frames=8))
    assert (stored.encoder("cpu").spec.frames, short.encoder("cpu").spec.frames) == (16, 8)
    assert (stored.description["frames"], short.description["frames"]) == ("16", "8")
    assert stored.marks == ()
    assert "read with frames 8" in short.marks
    with pytest.raises(UserError, match="says itself what it is"):
        candidate("some.module:function", None, None, None, None, Reading(frames=8))


def test_sizes_and_weights_asked_for_are_part_of_the_settings(tmp_path):
    from sigma_bench.contracts import Run
    from sigma_bench.runs.measure import settings_sha256
    from sigma_bench.spec import load

    task = load.task("linear/ucf101", data="miniature")
    run = Run("cpu", 0, tmp_path, tmp_path)
    asked = [Reading(), Reading(frames=8), Reading(image_size=64), Reading(positions="slice"), Reading(weights="ema")]
    assert len({settings_sha256(task, run, None, reading) for reading in asked}) == len(asked)


def test_what_can_make_a_file_another_encoder_stands_in_its_marks(tmp_path, golden):
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(golden / "ckpt_videomae.pth", weights_only=True)
    content["model"]["ln_post.weight"] = torch.ones(48)
    torch.save(content, tmp_path / "x.pth")
    assert candidate(str(tmp_path / "x.pth"), None, 4, None, None).marks == (
        "1 unknown tensors not used: ln_post.weight",
    )


def test_heads_that_are_not_the_usual_ones_stand_in_the_marks(tmp_path):
    with torch.device("meta"):
        model = masked_model("small", out_dim=1536, image_size=32, frames=4, tubelet=2, patch=16, decoder_depth=1)
    state_dict = {name: torch.zeros(tensor.shape) for name, tensor in model.state_dict().items()}
    torch.save(state_dict, tmp_path / "x.pth")
    reading = Reading(frames=4, image_size=32)
    marks = {heads: candidate(str(tmp_path / "x.pth"), None, heads, None, None, reading).marks for heads in (6, 12)}
    assert "read with heads 12" in marks[12]
    assert not any("heads" in mark for mark in marks[6])


def test_a_file_is_not_given_the_name_of_a_system_of_another_family(golden):
    file = str(golden / "ckpt_mvd.pth")
    with pytest.raises(UserError, match=r"it is of family sigma, but .* was read as mvd"):
        candidate(file, None, 4, "sigma_mlp_k400_b800", None)


def in_mid_run(path, at, numbers, **system):
    """Write a checkpoint of a run that states how far it was."""
    own_run(path, "nano", 32, 8, **system)
    saved = state.load(path)
    saved.pop("format")
    state.save(path, {**saved, "step": at, "numbers": numbers, "warnings": ["collapse: constant targets from step 70"]})
    return candidate(str(path), None, None, None, None)


PUBLISHED = {"system": "sigma_mlp", "method": "SIGMA-MLP", "pretrain_data": "K400", "motion_guidance": "no"}


def test_a_checkpoint_before_the_end_says_its_step_and_joins_no_published_row(tmp_path):
    numbers = {"steps": 800, "steps_per_epoch": 100}
    half = in_mid_run(tmp_path / "a.pt", 250, numbers, **PUBLISHED, epochs="8")
    assert {k: half.description[k] for k in ("method", "variant", "epochs", "step", "steps")} == {
        "method": "",
        "variant": "step 250 of 800",
        "epochs": "2.5",
        "step": 250,
        "steps": 800,
    }
    assert half.marks == ("collapse: constant targets from step 70",)
    whole = in_mid_run(tmp_path / "b.pt", 800, numbers, **PUBLISHED, epochs="8")
    assert (whole.description["method"], whole.description["epochs"]) == ("SIGMA-MLP", "8")
    assert "variant" not in whole.description
    assert (whole.description["step"], whole.description["steps"]) == (800, 800)
    last = in_mid_run(tmp_path / "c.pt", 799, numbers, **PUBLISHED, epochs="8").description
    assert (last["method"], last["variant"], last["epochs"]) == ("", "step 799 of 800", "7.99")


@pytest.mark.parametrize(
    ("epochs", "per_epoch", "told"),
    [("800", 439, "400"), ("200", 439, "100"), ("9" * 5000, 439, "100"), ("1600+400", 439, "100"), ("", 439, "100")],
)
def test_a_part_of_a_run_is_counted_in_the_epochs_of_the_whole(epochs, per_epoch, told):
    run = {"step": 100 * per_epoch, "steps": 200 * per_epoch, "steps_per_epoch": per_epoch, "epochs": epochs}
    assert progress(run, {})["epochs"] == told


def test_schedules_of_one_epoch_more_than_is_reported_have_no_repeats():
    run = {"step": 200, "steps": 8010, "steps_per_epoch": 10, "epochs": "800"}
    assert progress(run, {})["epochs"] == "20"


def test_a_run_whose_length_is_in_steps_says_steps(tmp_path):
    numbers = {"steps": 400, "steps_per_epoch": 54}
    found = in_mid_run(tmp_path / "a.pt", 100, numbers, variant="train.base_lr=1", epochs="400 steps").description
    assert (found["variant"], found["epochs"]) == ("train.base_lr=1, step 100 of 400", "100 steps")


@pytest.mark.parametrize("numbers", [None, [], {"steps": "many"}, {"steps": True}, {"steps": -1}, {"steps": 2**70}])
def test_a_length_that_is_none_is_not_believed(tmp_path, numbers):
    found = in_mid_run(tmp_path / "a.pt", 5, numbers, **PUBLISHED, step=7, steps="x", warnings=3).description
    assert "steps" not in found
    assert found["method"] == "SIGMA-MLP"


def test_a_name_that_the_user_gives_stands_but_the_steps_are_told():
    run = {"step": 5, "steps": 9, "steps_per_epoch": 1, "epochs": "9"}
    assert progress(run, {}, named=True) == {"step": 5, "steps": 9}
    assert progress({**run, "steps": None}, {}) == {}


def test_what_was_said_of_a_run_survives_an_export(tmp_path):
    from sigma_bench.runs import export

    found = in_mid_run(tmp_path / "a.pt", 250, {"steps": 800, "steps_per_epoch": 100}, **PUBLISHED, epochs="8")
    export.export(export.Request(str(tmp_path / "a.pt"), "safetensors", tmp_path / "x.safetensors"))
    again = candidate(str(tmp_path / "x.safetensors"), None, None, None, None)
    assert again.marks == found.marks == ("collapse: constant targets from step 70",)
    assert (again.description["variant"], again.description["epochs"]) == ("step 250 of 800", "2.5")
    assert not again.description.get("method")
