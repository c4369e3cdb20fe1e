from types import SimpleNamespace

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index, Sample
from sigma_bench.runs.training import _numbers, _plan, _same_frozen, requests
from sigma_bench.spec import load


@pytest.mark.parametrize(
    "where", [{"start": 3, "end": 40}, {"start_s": 1.5, "end_s": 9.25}, {"start_s": 0.5, "end_s": 2.0, "fps": 24.0}, {}]
)
def test_a_training_clip_is_taken_from_where_its_sample_lies(tmp_path, where):
    other = Sample("a", "v/a.mp4", 0, "a", start=1, end=2)
    index = Index.build("x", "train", tmp_path, ["x"], [other, Sample("b", "v/b.mp4", 0, "b", **where)])
    made = requests(load.recipe("sigma_mlp", data="miniature", size="nano"), index)(1, (1, 2))
    assert made.path == str(tmp_path / "v/b.mp4")
    assert made.seed == (1, 2)
    for name in ("start", "end", "start_s", "end_s", "fps"):
        assert getattr(made, name) == where.get(name)


def test_processes_with_other_frozen_weights_are_refused():
    one, other = ({"teacher": f"/{machine}/dino.pth", "teacher_digest": digest} for machine, digest in ("aa", "bb"))
    _same_frozen([one, {**one, "teacher": "/elsewhere/dino.pth"}])  # the same bytes in another place
    _same_frozen([{}, {}])
    with pytest.raises(UserError, match=r"process 2 has .*/b/dino.*, process 0 has .*/a/dino"):
        _same_frozen([one, one, other])


@pytest.mark.parametrize(("balance", "clips"), [("step", 640), ("micro", 160), ("local", 40)])
def test_rates_and_portions_are_those_of_the_global_batch(balance, clips):
    recipe = load.recipe("sigma_mlp", data="k400", size="base", sets=[f"clustering.balance={balance}"])
    plan = _plan(recipe, SimpleNamespace(steps_per_epoch=375), 40 * 4)
    assert (plan.steps, plan.accumulation, plan.global_batch) == (801 * 375, 4, 640)
    assert max(plan.lrs) == plan.lrs[40 * 375] == pytest.approx(3.75e-4)  # 1.5e-4 x 640/256
    assert plan.lrs[-1] == pytest.approx(1e-5 * 640 / 256, rel=1e-4)
    numbers = _numbers(recipe, plan, 40, 4)
    assert numbers["assignment_batch"] == clips
    assert (numbers["base_lr"], numbers["lr"], numbers["steps"]) == (1.5e-4, pytest.approx(3.75e-4), plan.steps)
    assert (numbers["processes"], numbers["micro_batch"], numbers["accumulation"]) == (4, 40, 4)
