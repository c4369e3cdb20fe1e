"""What looks on: a warning reaches screen, log and checkpoints; a resumed run knows what was told."""

import json

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.runs.observers import Observers, named
from sigma_bench.spec import load
from sigma_bench.train.log import JsonLines
from sigma_bench.train.plan import Plan


def observers(folder, recipe="sigma_l2", **more):
    found = Observers(load.recipe(recipe, data="miniature", size="nano"), folder, **more)
    return found


PLAN = Plan([1e-3] * 400, 54, 1, 32)


def feed(found, folder, steps, start=0, **numbers):
    found.begin(PLAN, start)
    log = JsonLines(folder / "log.jsonl", resume_step=start)
    for step in steps:
        record = {"step": step, **numbers}
        found.on_log(record)
        log.write(record)
    log.close()
    found.close()


def test_a_collapse_is_said_logged_and_handed_to_checkpoints(tmp_path, capsys):
    found = observers(tmp_path)
    extra = {"warnings": found.marks}  # what checkpoints hold, made before the training
    feed(found, tmp_path, range(10, 410, 10), target_std=0.05)
    assert capsys.readouterr().err.count("warning: step 150: since step 50 the targets have become all alike") == 1
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert [r["step"] for r in records if "warning" in r] == [150]
    assert records[26]["epochs"] == 5.0
    assert extra["warnings"] == ["collapse: constant targets from step 50"]


def test_a_resumed_run_does_not_say_it_again(tmp_path, capsys):
    feed(observers(tmp_path), tmp_path, range(10, 310, 10), target_std=0.05)
    capsys.readouterr()
    again = observers(tmp_path)
    feed(again, tmp_path, range(210, 410, 10), start=200, target_std=0.05)
    assert capsys.readouterr().err == ""
    assert again.marks == ["collapse: constant targets from step 50"]
    earlier = observers(tmp_path)  # resumed from before it was told: it is told again, at the same step
    feed(earlier, tmp_path, range(110, 410, 10), start=100, target_std=0.05)
    assert "warning: step 150: since step 50" in capsys.readouterr().err


def test_the_record_of_the_step_it_goes_on_from_counts(tmp_path, capsys):
    feed(observers(tmp_path), tmp_path, range(10, 160, 10), target_std=0.05)
    assert "warning: step 150" in capsys.readouterr().err
    feed(observers(tmp_path), tmp_path, range(160, 310, 10), start=150, target_std=0.05)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("used", "said"), [(0.2, True), (0.3, False)])
def test_all_masked_tokens_of_a_step_could_use_the_prototypes(tmp_path, capsys, used, said):
    feed(observers(tmp_path, "sigma_mlp"), tmp_path, range(10, 410, 10), used_prototypes=used)
    assert ("prototypes are used" in capsys.readouterr().err) is said


def test_repeats_of_a_video_are_counted_as_passes(tmp_path):
    recipe = load.recipe("sigma_mlp_motion", data="miniature", size="nano", profile="mgmae_schedule")
    found = Observers(recipe, tmp_path)
    found.begin(PLAN, 0)
    record = {"step": 27}
    found.on_log(record)
    assert (recipe.clips.repeats, record["epochs"]) == (4, 2.0)


def test_metrics_of_a_checkpoint_are_returned_and_shown(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = observers(
        tmp_path, shown=["tensorboard"], measure=lambda path, step: {"eval/a/top1": 5.0} if step else None
    )
    found.begin(PLAN, 0)
    assert found.on_save(tmp_path, 0) is None
    assert found.on_save(tmp_path, 100) == {"epochs": round(100 / 54, 4), "eval/a/top1": 5.0}
    found.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("eval/a/top1")] == [(100, 5.0)]


def test_a_board_that_fails_is_left(tmp_path, capsys):
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    found = observers(tmp_path, shown=["tensorboard"])
    feed(found, tmp_path, [10, 20], loss=1.0)
    assert capsys.readouterr().err.count("warning: TensorBoard shows nothing more") == 1
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "names"),
    [("none", ()), ("tensorboard", ("tensorboard",)), (" tensorboard, wandb ", ("tensorboard", "wandb"))],
)
def test_boards_are_named_with_commas(text, names):
    assert named(text) == names


@pytest.mark.parametrize("text", ["", "tensorbord", "none,x"])
def test_other_names_are_refused(text):
    with pytest.raises(UserError, match="--log"):
        named(text)
