"""The demonstration at a scale: shorter trainings that are still valid."""

import pytest

from sigma_bench.runs import demo
from sigma_bench.spec import load


@pytest.mark.parametrize("show", [demo.QUICK, demo.ABLATIONS], ids=lambda show: show.suite)
@pytest.mark.parametrize("scale", [0.001, 0.1, 0.5])
def test_every_training_of_a_demonstration_is_shortened_and_stays_valid(show, scale):
    for recipe, profile in show.recipes:
        common = {"data": "miniature", "size": "nano", "profile": profile}
        whole = load.recipe(recipe, **common).train
        part = load.recipe(recipe, **common, sets=demo._shorter(recipe, profile, scale)).train
        assert part.steps == max(2, round(scale * whole.steps))
        assert part.warmup_steps <= part.steps
    sets = demo._fewer_epochs(show.suite, scale)
    trained = [name for name in load.suite(show.suite).tasks if load.task(name, data="miniature").finetune is not None]
    assert bool(trained) == bool(sets)
    for name in trained:
        whole = load.task(name, data="miniature").finetune.epochs
        assert load.task(name, data="miniature", sets=sets).finetune.epochs == max(1, round(scale * whole))


def test_at_full_scale_nothing_is_changed():
    assert demo._fewer_epochs("ablations", 1) == []
    assert demo._shorter("sigma_mlp", None, 1) == []
