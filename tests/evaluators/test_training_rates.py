"""Rates of a finetuning: the cosine of the ViT recipe, the steps of the CNN recipe."""

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.evaluators.training import rates
from sigma_bench.spec import load

SEVERE = ("ssv2", "gym99", "ucf_1e3", "gym_1e3", "fx_s1", "ub_s1")


@pytest.mark.parametrize("name", SEVERE)
def test_the_paper_s_column(name):
    settings = load.task(f"severe/{name}").finetune
    found = rates(settings, 10)
    batch = 32 if name == "ssv2" else 16
    assert (settings.global_batch, settings.epochs) == (batch, 50 if name == "ssv2" else 100)
    assert found.max() == pytest.approx(1e-3 * batch / 256)
    assert found[0] == 0
    assert len(found) == settings.epochs * 10


@pytest.mark.parametrize(
    ("name", "steps"),
    [("ssv2", [25, 35, 40]), ("gym99", [60, 100, 140]), ("gym_1e3", [80, 120, 140]), ("fx_s1", [70, 120, 140])],
)
def test_the_recipe_for_cnns_falls_in_steps(name, steps):
    settings = load.task(f"severe/{name}", profile="cnn").finetune
    found = rates(settings, 3)
    assert len(found) == settings.epochs * 3
    jumps = (np.flatnonzero(np.diff(found)) + 1) / 3
    assert jumps.tolist() == steps
    assert found[0] == pytest.approx(1e-4)  # not scaled by the batch
    assert found[-1] == pytest.approx(1e-4 * 0.3**3)


def test_ssv2_is_the_same_training_as_in_the_finetuning_table():
    severe, plain = load.task("severe/ssv2"), load.task("finetune/ssv2")
    assert severe.finetune == plain.finetune
    assert (severe.clips, severe.views, severe.dataset) == (plain.clips, plain.views, plain.dataset)


@pytest.mark.parametrize("name", SEVERE)
def test_quick_changes_epochs_and_views_alone(name):
    usual, quick = load.task(f"severe/{name}"), load.task(f"severe/{name}", profile="quick")
    changed = {k for k, v in quick.finetune.model_dump().items() if v != usual.finetune.model_dump()[k]}
    assert changed == {"epochs", "warmup_epochs"}
    assert (quick.clips, quick.dataset, quick.metric, quick.evaluator) == (
        usual.clips, usual.dataset, usual.metric, usual.evaluator
    )  # fmt: skip
    assert {k for k, v in quick.views.model_dump().items() if v != usual.views.model_dump()[k]} == {
        "test_clips", "test_crops"
    }  # fmt: skip


def test_steps_ascend():
    with pytest.raises(UserError, match="expected ascending epochs"):
        load.task("severe/gym99", profile="cnn", sets=["finetune.steps=[60, 60]"])
