"""The objectives: what their masks and losses depend on."""

from types import SimpleNamespace

import pytest
import torch

from sigma_bench import registry
from sigma_bench.data.loader import Batch, Replaced
from sigma_bench.spec import load

RECIPES = ("sigma_mlp", "videomae", "sigma_l2")


def build(name, *sets):
    recipe = load.recipe(name, data="miniature", size="nano", sets=sets)
    return registry.get("objectives", recipe.objective)(recipe, SimpleNamespace(replaced=Replaced()), "cpu")


def batch(count=4, epoch=0):
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(256, (count, 3, 8, 32, 32), dtype=torch.uint8, generator=generator)
    return Batch(clips, list(range(count)), [(0, epoch, i, 0) for i in range(count)])


@pytest.mark.parametrize("name", RECIPES)
def test_masks_are_those_of_the_draw_and_of_nothing_else(name):
    objective = build(name)
    masks = objective.masks([(0, 0, i, 0) for i in range(8)])
    assert masks.shape == (8, 64)
    assert masks.sum(1).tolist() == [48] * 8  # 12 of 16 positions in each of 4 slices
    assert torch.equal(masks.view(8, 4, 16)[:, :1].expand(-1, 4, -1), masks.view(8, 4, 16))
    assert len({tuple(m.tolist()) for m in masks}) > 6  # draws differ
    torch.manual_seed(99)
    assert torch.equal(objective.masks([(0, 0, 3, 0)])[0], masks[3])
    for other in ((1, 0, 3, 0), (0, 1, 3, 0), (0, 0, 3, 1)):
        assert not torch.equal(objective.masks([other])[0], masks[3])


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_is_a_function_of_weights_and_batch_and_trains_every_weight(name):
    objective = build(name)
    one, two = objective.step(batch())["loss"], objective.step(batch())["loss"]
    torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)
    assert not torch.isclose(objective.step(batch(epoch=1))["loss"], one)  # other masks
    objective.step(batch())["loss"].backward()
    still = [n for n, p in objective.module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_the_seed_makes_the_weights():
    first, again, other = (build("sigma_mlp", f"train.seed={s}").module.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["prototypes"], other["prototypes"])


def test_monitors_tell_the_collapse_of_constant_targets():
    objective = build("sigma_l2", "train.log_every=1")
    objective.step(batch())
    lively = objective.monitors["target_std_raw"]
    with torch.no_grad():
        for parameter in objective.module.head.parameters():
            parameter.zero_()
    objective.step(batch())
    assert lively > 0
    assert objective.monitors["target_std_raw"] == 0
