"""A plan multiplies what was measured here by what is to be done; nothing in it is a stored number."""

import json
from dataclasses import replace

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets.known import LISTS
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.runs import plan as plans
from sigma_bench.runs.plan import demands, pretraining, rates, sizes
from sigma_bench.runs.plan.estimate import costs
from sigma_bench.runs.plan.rates import Rates, flops
from sigma_bench.spec import load


@pytest.fixture
def encoder():
    return load_encoder("random:nano")[0]


def test_a_linear_task_shows_every_view_once_and_keeps_the_features(encoder, tmp_path):
    job = demands.job(load.task("linear/ucf101"), encoder, tmp_path, None)
    train, test = job.stages
    assert (train.videos, train.shown) == (LISTS["ucf101", "train", 1][0], LISTS["ucf101", "train", 1][0] * 4)
    assert test.shown == LISTS["ucf101", "test", 1][0] * 15
    assert test.written == test.shown * encoder.spec.embed_dim * 4
    assert not any(stage.trains for stage in job.stages)
    assert sizes.notes(job.sizes) == ["not here, so counted by their published numbers: ucf101/train, ucf101/test"]


def test_features_that_tasks_share_are_counted_once(encoder, tmp_path):
    pair = [
        demands.job(load.task("linear/ucf101", profile=profile), encoder, tmp_path, None) for profile in (None, "knn")
    ]
    first, second = demands.shared(pair)
    assert len(first.stages) == 2
    assert second.stages == ()


def test_a_limit_is_kept_and_a_list_without_known_length_refused(encoder, tmp_path):
    assert demands.job(load.task("linear/ucf101"), encoder, tmp_path, 7).stages[0].videos == 7
    with pytest.raises(UserError, match="folder/train: not here, and its length is not known"):
        sizes.size_of("folder", "train", 1, tmp_path, None)


def test_a_finetuning_shows_every_epoch_and_tests_every_view(encoder, tmp_path):
    task = load.task("severe/gym99")
    train, test = demands.job(task, encoder, tmp_path, None).stages
    assert train.trains
    assert train.shown == train.videos == 100 * (20484 // 16 * 16)
    assert (test.videos, test.shown, test.trains) == (8521, 8521 * 15, False)
    assert train.written == encoder.spec.params * 4 * (2 * 3 + 1)
    chosen = demands.job(load.task("severe/gym99", profile="paper_compat"), encoder, tmp_path, None).stages[1]
    assert chosen.videos == 101 * 8521


def test_counting_shows_the_windows_of_both_lists(encoder, tmp_path):
    train, test = demands.job(load.task("severe/ucf_rc"), encoder, tmp_path, None).stages
    assert (train.videos, train.shown, train.trains) == (421, 2 * 100 * 421 * 10 * 11, True)
    assert (test.videos, test.shown) == (105, 2 * 105 * 74)
    frozen = demands.job(load.task("severe/ucf_rc", profile="frozen"), encoder, tmp_path, None).stages[0]
    assert (frozen.trains, frozen.shown, frozen.written) == (False, train.shown, encoder.spec.params * 4)


def test_an_attentive_probe_keeps_the_tokens_of_its_training_list(encoder, tmp_path):
    train, test = demands.job(load.task("linear/ucf101", profile="attentive"), encoder, tmp_path, None).stages
    tokens = encoder.spec.frames // 2 * (encoder.spec.image_size // 8) ** 2
    assert train.written == train.shown * tokens * encoder.spec.embed_dim * 2
    assert test.written == 0


def test_every_task_of_severe_is_planned(encoder, tmp_path):
    names = load.suite("severe").tasks
    jobs = [demands.job(load.task(name), encoder, tmp_path, None) for name in names]
    assert len(jobs) == 8
    assert all(stage.shown > 0 for job in jobs for stage in job.stages)


def test_the_slower_of_decoding_and_network_counts(encoder, tmp_path, monkeypatch):
    job = demands.job(load.task("linear/ucf101"), encoder, tmp_path, 3600)
    measured = Rates(lambda *_: encoder, "cpu", "fp32", 1, 0.1)
    monkeypatch.setattr(measured, "decode", lambda *_: 2.0)
    monkeypatch.setattr(measured, "network", lambda trains, frames, size: 1.0)
    train, test = costs(job, measured, encoder.spec, 1, tmp_path)
    assert (train.decode_hours, train.network_hours, train.hours, train.binds) == (0.5, 4.0, 4.0, "network")
    many = costs(job, measured, encoder.spec, 16, tmp_path)
    assert (many[0].network_hours, many[0].hours, many[0].binds) == (0.25, 0.5, "decoding")
    assert test.network_hours == 15.0


def test_rates_are_those_of_the_machine_and_leave_the_encoder_as_it_was(encoder):
    measured = Rates(lambda *_: encoder, "cpu", "fp32", 1, 0.2)
    before = [p.requires_grad for p in encoder.parameters()]
    norm = next(module for module in encoder.modules() if isinstance(module, torch.nn.LayerNorm))
    passes = []
    norm.register_forward_hook(lambda *_: passes.append("forward"))
    norm.register_full_backward_hook(lambda *_: passes.append("backward"))
    assert measured.network(False, 8, 32) > 0
    assert set(passes) == {"forward"}
    passes.clear()
    assert measured.network(True, 8, 32) > 0
    assert passes.count("backward") == passes.count("forward")
    assert [p.requires_grad for p in encoder.parameters()] == before
    assert all(p.grad is None for p in encoder.parameters())


@pytest.mark.parametrize(("took", "expected"), [([4, 1, 1, 2, 6], 4 / 10 * 3), ([6, 5], 2 / 11 * 3)])
def test_a_short_first_pass_is_left_out_and_a_long_one_counts(monkeypatch, took, expected):
    times = [moment for step in took for moment in (0, step)]
    clock = iter(times)
    monkeypatch.setattr(rates.time, "perf_counter", lambda: next(clock))
    assert rates.rate(lambda: 3, 10.0) == pytest.approx(expected)


def test_operations_are_those_of_the_matrix_products(encoder):
    spec = encoder.spec
    tokens = spec.frames // spec.tubelet * (spec.image_size // spec.patch) ** 2
    blocks = spec.depth * (24 * tokens * spec.embed_dim**2 + 4 * tokens**2 * spec.embed_dim)
    embed = 2 * tokens * spec.tubelet * spec.patch**2 * 3 * spec.embed_dim
    assert flops(encoder, spec.frames, spec.image_size) == pytest.approx(blocks + embed, rel=1e-6)


def test_a_pretraining_shows_its_schedule(tmp_path):
    recipe = load.recipe("sigma_mlp", data="k400", size="base")
    videos = pretraining.length("k400", tmp_path)
    job = pretraining.job(recipe, "k400", videos, 1000)
    (stage,) = job.stages
    steps = recipe.train.epochs * (videos.count // recipe.train.global_batch)
    assert stage.shown == steps * recipe.train.global_batch
    assert stage.written == recipe.train.keep * 1000 * 12
    repeated = recipe.model_copy(update={"clips": recipe.clips.model_copy(update={"repeats": 4})})
    again = pretraining.job(repeated, "k400", videos, 1000).stages[0]
    assert again.videos * 4 == again.shown


def test_a_step_of_an_objective_is_measured():
    recipe = load.recipe("sigma_mlp", data="miniature", size="nano")
    state = torch.random.get_rng_state()
    shown, parameters = pretraining.step_rate(recipe, "cpu", 2, 0.2)
    assert shown > 0
    assert parameters > 10_000
    torch.random.set_rng_state(state)


def test_the_command_prints_a_table_or_json(tmp_path):
    asked = plans.Request(tasks=["linear/ucf101"], checkpoint="random:nano", data_root=tmp_path, seconds=0.2, workers=1)
    lines = plans.plan(asked)
    assert lines[0].startswith("plan of linear/ucf101 for random:nano (ViT-nano/8, 8 frames of 32 pixels): 1 x cpu")
    assert any("features of ucf101 train, 4 x 1 views" in line and "9,537" in line for line in lines)
    assert any("made-up ten-second H.264 video" in line for line in lines)
    record = json.loads(plans.plan(replace(asked, as_json=True))[0])
    (job,) = record["jobs"]
    assert job["hours"] == pytest.approx(sum(stage["hours"] for stage in job["stages"]))
    assert all(s["hours"] == max(s["decode_hours"], s["network_hours"]) for s in job["stages"])


def test_a_busy_machine_is_said():
    assert not plans._busy(0.9, 2)
    assert not plans._busy(15, 64)
    assert "load 6.3 on 2 cores" in plans._busy(6.3, 2)[0]


def test_one_thing_is_planned():
    for more in ({}, {"recipe": "sigma_mlp", "suite": "linear"}):
        with pytest.raises(UserError, match="name one recipe, one --suite, or tasks"):
            plans.plan(plans.Request(**more))
