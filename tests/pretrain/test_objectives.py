"""The objectives: what their masks and losses depend on."""

from types import SimpleNamespace

import pytest
import torch

from sigma_bench import registry
from sigma_bench.data.loader import Batch, Replaced
from sigma_bench.spec import load
from sigma_bench.train.distributed import Processes

RECIPES = ("sigma_mlp", "videomae", "sigma_l2")


def build(name, *sets, processes=None):
    recipe = load.recipe(name, data="miniature", size="nano", sets=sets)
    return registry.get("objectives", recipe.objective)(recipe, SimpleNamespace(replaced=Replaced()), processes)


def batch(count=4, epoch=0):
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(256, (count, 3, 8, 32, 32), dtype=torch.uint8, generator=generator)
    return Batch(clips, list(range(count)), [(0, epoch, i, 0) for i in range(count)])


@pytest.mark.parametrize("name", RECIPES)
def test_masks_are_those_of_the_draw_and_of_nothing_else(name):
    objective = build(name)
    clips = batch(8).clips
    masks = objective.masking(clips, [(0, 0, i, 0) for i in range(8)])
    assert masks.shape == (8, 64)
    assert masks.sum(1).tolist() == [48] * 8  # 12 of 16 positions in each of 4 slices
    assert torch.equal(masks.view(8, 4, 16)[:, :1].expand(-1, 4, -1), masks.view(8, 4, 16))
    assert len({tuple(m.tolist()) for m in masks}) > 6  # draws differ
    torch.manual_seed(99)
    assert torch.equal(objective.masking(clips[:1], [(0, 0, 3, 0)])[0], masks[3])
    for other in ((1, 0, 3, 0), (0, 1, 3, 0), (0, 0, 3, 1)):
        assert not torch.equal(objective.masking(clips[:1], [other])[0], masks[3])


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


@pytest.mark.parametrize(("balance", "all_parts", "all_ranks"), [("step", 1, 1), ("micro", 0, 1), ("local", 0, 0)])
def test_assignments_are_balanced_over_what_the_recipe_says(balance, all_parts, all_ranks):
    group = object()
    objective = build("sigma_mlp", f"clustering.balance={balance}", processes=Processes(group=group))
    assert objective.surveys == bool(all_parts)
    assert objective.group is (group if all_ranks else None)


def watched(objective):
    objective.watch = True
    objective.step(batch())
    return objective.watched()


def test_monitors_tell_the_collapse_of_constant_targets():
    objective = build("sigma_l2")
    lively = watched(objective)
    with torch.no_grad():
        for parameter in objective.module.head.parameters():
            parameter.zero_()
    still = watched(objective)
    assert lively["target_std"] > 0.1
    assert still["target_std"] == still["target_std_raw"] == 0


def test_monitors_of_sigma_are_those_of_all_micro_batches():
    objective = build("sigma_mlp")
    whole = watched(objective)
    parts = [Batch(b.clips[i : i + 1], [0], b.seeds[i : i + 1]) for b in [batch()] for i in range(4)]
    objective.survey(parts)
    for part in parts:
        objective.step(part)
    pieces = objective.watched()
    assert pieces["used_prototypes"] == whole["used_prototypes"] > 0.2
    assert pieces["usage_entropy"] == pytest.approx(whole["usage_entropy"], abs=1e-6)
    assert pieces["assignment_entropy"] == pytest.approx(whole["assignment_entropy"], rel=1e-4)
    assert pieces["from_uniform"] == pytest.approx(whole["from_uniform"], abs=1e-4)
    for name in ("target_std", "prediction_std"):
        assert pieces[name] == pytest.approx(whole[name], rel=1e-6)


def test_a_survey_makes_losses_and_gradients_those_of_one_batch():
    whole, pieces = build("sigma_mlp"), build("sigma_mlp")
    whole.step(batch())["loss"].backward()
    parts = [Batch(b.clips[i : i + 2], [0, 0], b.seeds[i : i + 2]) for b in [batch()] for i in (0, 2)]
    pieces.survey(parts)
    assert all(kept.clips_u8.dtype == torch.uint8 for kept in pieces._surveyed)  # a whole step is kept
    for part in parts:
        (pieces.step(part)["loss"] / 2).backward()
    for (name, one), (_, two) in zip(whole.module.named_parameters(), pieces.module.named_parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("name", RECIPES)
def test_recomputed_activations_change_nothing(name):
    plain, thrifty = build(name), build(name, "train.checkpointing=true")
    for objective in (plain, thrifty):
        objective.step(batch())["loss"].backward()
    for (key, one), (_, two) in zip(plain.module.named_parameters(), thrifty.module.named_parameters(), strict=True):
        assert torch.equal(one.grad, two.grad), key


def test_motion_masks_are_drawn_beside_the_training_and_are_those_of_the_clips():
    whole = batch(6)
    parts = [Batch(whole.clips[i : i + 2], [i, i + 1], whole.seeds[i : i + 2]) for i in (0, 2, 4)]
    objective = build("sigma_mlp_motion")
    objective.loader.epoch = lambda epoch, offset, complete: (complete(part) for part in parts[offset:])
    found = list(objective.batches(0, 1))
    for made, part in zip(found, parts[1:], strict=True):
        assert torch.equal(made.mask, objective.prepare(part).mask)
        assert torch.equal(objective.prepare(made).mask, objective.masking(part.clips, part.seeds))
        assert torch.equal(made.clips, part.clips)
