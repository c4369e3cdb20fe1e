"""The numbers of the recipes: those of the paper, of the released scripts, and what follows from them."""

import csv
import itertools
import re
from pathlib import Path

import pytest
import timm
import torch

from sigma_bench.models.flops import clip_flops
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.runs.recipe_docs import ELSEWHERE, LISTS, SWITCHES, cost, markdown, steps
from sigma_bench.spec import load, roots
from sigma_bench.spec.overlay import combinations
from sigma_bench.spec.recipe_mask import MotionMask
from sigma_bench.spec.recipe_target import MlpTarget, TeacherTarget

SIGMA = ("sigma_mlp", "sigma_dino", "sigma_mlp_motion", "sigma_dino_motion")
EVERY = (*SIGMA, "videomae", "sigma_l2")
ABLATIONS = ("prototypes_mlp", "prototypes_dino", "projection", "loss")


def profiles(name):
    return list(load.load_yaml(roots.find("pretrain", name)).values["profiles"])


def test_names_are_the_paths_below_the_folder():
    assert set(roots.names("pretrain")) == {*EVERY, *(f"ablations/{name}" for name in ABLATIONS)}
    assert {name for name, _ in load.listing("recipes")} == set(roots.names("pretrain"))


@pytest.mark.parametrize("name", [*EVERY, *(f"ablations/{name}" for name in ABLATIONS)])
def test_what_all_official_runs_have_in_common(name):
    path = roots.find("pretrain", name)
    source = load.named(load.load_yaml(path), "name", "pretrain", name, path, None)
    for choice in combinations(source, load.RECIPE_BLOCKS, {}):
        data, size, profile = (choice[block] for block in load.RECIPE_BLOCKS)
        if data not in LISTS or size == "nano":
            continue
        made = load.build_recipe(source, choice)
        train, model = made.train, made.model
        mgmae = profile == "mgmae_schedule"
        assert (train.base_lr, train.lr_per) == ((1.0e-3, 1024) if mgmae else (1.5e-4, 256)), choice
        assert (train.epochs, train.warmup_epochs) == ((200, 20) if mgmae else (train.epochs, 40)), choice
        assert train.epochs in (200, 800, 801, 1601, 2400, 2401), choice
        assert (train.min_lr, train.weight_decay, train.betas) == (1e-5, 0.05, (0.9, 0.95)), choice
        assert (made.clips.stride, made.clips.crop, made.clips.repeats) == (
            4 if data == "k400" else 2,
            "multi_scale",
            4 if mgmae else 1,
        ), choice
        assert (model.size, model.image_size, model.frames, model.tubelet, model.patch) == (size, 224, 16, 2, 16)
        assert model.decoder_depth == (12 if size in ("large", "huge") else 4), choice
        assert made.mask.ratio == 0.9, choice
        if made.clustering:
            assert (made.clustering.iterations, made.clustering.temperature) == (10, 0.1), choice
            large = data == "ssv2" and size != "small"
            assert made.clustering.epsilon == (0.03 if large else 0.05), choice
            assert made.clustering.assignments == ("soft" if profile in ("paper", "sinkhorn_ce_soft") else "hard")
        if data == "mini_ssv2" and not mgmae:
            assert (train.global_batch, train.epochs) == (128, 800 if profile == "paper" else 801), choice


@pytest.mark.parametrize(
    ("data", "size", "profile", "batch", "rate", "epochs", "epsilon"),
    [
        ("ssv2", "base", "released", 512, 3.0e-4, 801, 0.03),
        ("ssv2", "base", "released_single_node", 128, 7.5e-5, 801, 0.03),
        ("k400", "base", "released", 640, 3.75e-4, 801, 0.05),
        ("k400", "base", "released_single_node", 16, 9.375e-6, 801, 0.05),
        ("ssv2", "small", "released", 128, 7.5e-5, 2401, 0.05),
        ("ssv2", "small", "released_single_node", 128, 7.5e-5, 2401, 0.05),
        ("k400", "small", "released", 128, 7.5e-5, 801, 0.05),
        ("mini_ssv2", "small", "released", 128, 7.5e-5, 801, 0.05),
        ("ssv2", "base", "paper", 512, 3.0e-4, 800, 0.03),
        ("ssv2", "small", "paper", 128, 7.5e-5, 2400, 0.05),
        ("k400", "base", "paper", 640, 3.75e-4, 800, 0.05),
    ],
)
def test_scripts(data, size, profile, batch, rate, epochs, epsilon):
    names = [name for name in SIGMA if profile in profiles(name)]
    assert {"sigma_mlp", "sigma_dino"} <= set(names)
    for name in names:
        made = load.recipe(name, data=data, size=size, profile=profile)
        _is_the_script(made, name, data, profile, batch, rate, epochs, epsilon)


def _is_the_script(made, name, data, profile, batch, rate, epochs, epsilon):
    train, clustering = made.train, made.clustering
    assert (train.global_batch, train.lr, train.epochs) == (batch, pytest.approx(rate), epochs)
    assert (train.min_lr, train.warmup_epochs, train.weight_decay, train.betas) == (1e-5, 40, 0.05, (0.9, 0.95))
    assert (clustering.epsilon, clustering.iterations, clustering.temperature) == (epsilon, 10, 0.1)
    assert clustering.assignments == ("soft" if profile == "paper" else "hard")
    assert clustering.balance == "step"
    assert clustering.prototypes == (3000 if "dino" in name else 4000)
    assert made.clips.stride == (4 if data == "k400" else 2)
    assert (made.model.decoder_depth, made.mask.ratio) == (4, 0.9)
    assert made.model.grid == (8, 14, 14)


@pytest.mark.parametrize("size", ["large", "huge"])
@pytest.mark.parametrize("name", EVERY)
def test_large_models_claim_nothing(name, size):
    for data in LISTS:
        made = load.recipe(name, data=data, size=size)
        assert made.published == ()
        assert made.model.decoder_depth == 12


def test_the_baseline_and_its_matched_profile():
    assert load.recipe("videomae").train.lr == pytest.approx(1.2e-3)
    assert [load.recipe("videomae", data=d, size="small").train.epochs for d in ("k400", "ssv2")] == [1601, 2401]
    for data, size in itertools.product(["k400", "ssv2", "mini_ssv2"], ["small", "base", "large", "huge"]):
        sigma = load.recipe("sigma_mlp", data=data, size=size)
        matched = load.recipe("videomae", data=data, size=size, profile="matched")
        assert matched.train == sigma.train, (data, size)
        assert matched.published == ()
    for data in ("miniature", "folder"):
        matched = load.recipe("videomae", data=data, size="nano", profile="matched")
        assert matched.train == load.recipe("sigma_mlp", data=data, size="nano").train


READINGS = {
    "mlp_base": (3_279_616, 3), "mlp_base_text": (2_885_888, 3), "mlp_shallower": (1_836_288, 1),
    "mlp_shallower_1m": (918_272, 1), "mlp_wider": (7_868_672, 6), "mlp_wider_released": (8_524_544, 6),
    "mlp_wider_6m": (5_902_080, 6), "mlp_deeper": (3_935_488, None), "mlp_deeper_released": (4_329_216, None),
    "dino_s": (21_665_664, 22), "dino_b": (85_798_656, 22),
}  # fmt: skip
ROUND_TO_PRINT = {"mlp_base", "mlp_base_text", "mlp_shallower_1m", "mlp_wider_6m", "dino_s"}


@pytest.mark.parametrize("reading", READINGS)
def test_parameters_of_every_reading_of_a_projection(reading):
    made = load.recipe("ablations/projection", profile=reading)
    count, printed = READINGS[reading]
    with torch.device("meta"):
        if isinstance(made.target, MlpTarget):
            module = MlpProjector(2 * 16 * 16 * 3, made.target.widths, made.target.dim)
        else:
            module = timm.create_model(made.target.model, num_classes=0)
    assert sum(p.numel() for p in module.parameters()) == count
    text = roots.find("pretrain", "ablations/projection").read_text()
    assert f"  {reading}: # {count / 1e6:.2f} M" in text
    assert (round(count / 1e6) == printed) is (reading in ROUND_TO_PRINT)


def test_printed_counts_of_the_published_rows():
    with roots.find("published", "published.csv").open(newline="") as stream:
        printed = {(r["table"], r["row_order"]): r["params_m"] for r in csv.DictReader(stream)}
    for reading, (_, count) in READINGS.items():
        for claim in load.recipe("ablations/projection", profile=reading).published:
            assert printed[claim.table, str(claim.row)] == str(count)


def test_the_head_of_the_released_code_and_of_the_text():
    for profile, widths in (("released", (1024, 1024, 512)), ("paper", (1024, 1024))):
        target = load.recipe("sigma_mlp", profile=profile).target
        assert isinstance(target, MlpTarget)
        assert (target.widths, target.dim) == (widths, 256)


def test_teachers():
    names = {p: load.recipe("sigma_dino", profile=p).target.model for p in ("released", "dino_s", "dinov2")}
    assert names == {
        "released": "vit_base_patch16_224.dino",
        "dino_s": "vit_small_patch16_224.dino",
        "dinov2": "vit_base_patch14_reg4_dinov2.lvd142m",
    }
    assert set(names.values()) <= set(timm.list_pretrained("vit_*"))
    for name in ("sigma_dino", "sigma_dino_motion", "ablations/prototypes_dino"):
        target = load.recipe(name, data="miniature", size="nano").target
        assert isinstance(target, TeacherTarget)
        assert target.weights == "random"
        assert load.recipe(name).target.weights is None
        module = timm.create_model(target.model, pretrained=False, img_size=32, num_classes=0)
        assert module.patch_embed.grid_size == (4, 4)


@pytest.mark.parametrize("name", ["sigma_mlp_motion", "sigma_dino_motion"])
def test_motion_masks(name):
    made = load.recipe(name)
    assert isinstance(made.mask, MotionMask)
    assert (made.mask.flow, made.mask.iterations, made.mask.initial) == ("raft_small", 6, "mix_gauss")
    assert (made.resolved.data, made.mask.mgmae_compat) == ("ssv2", False)
    assert load.recipe(name, profile="mgmae_compat").mask.mgmae_compat
    for data in ("miniature", "folder"):
        assert load.recipe(name, data=data, size="nano").mask.flow == "dis"
    own = load.recipe(name, profile="mgmae_schedule")
    # 16 GPUs of 24 videos, 1e-3 for 256 videos
    assert (own.train.global_batch // own.clips.repeats, own.train.lr) == (384, pytest.approx(1.5e-3))
    assert (own.train.epochs, own.train.warmup_epochs, own.clips.repeats) == (200, 20, 4)
    assert steps(own, 168_913) == 200 * (168_913 // 384)


@pytest.mark.parametrize("k", [1000, 2000, 3000, 4000, 6000])
@pytest.mark.parametrize("name", ["prototypes_mlp", "prototypes_dino"])
def test_prototypes(name, k):
    made = load.recipe(f"ablations/{name}", profile=f"k{k}")
    assert (made.clustering.prototypes, made.variant) == (k, f"prototypes={k}")
    assert (made.model.size, made.resolved.data, made.train.global_batch) == ("small", "mini_ssv2", 128)
    with roots.find("published", "published.csv").open(newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if r["variant"] == made.variant and r["method"] == made.method]
    assert [(r["table"], int(r["row_order"])) for r in rows] == [(c.table, c.row) for c in made.published]
    assert f"k{k}: # {rows[0]['value']}" in roots.find("pretrain", f"ablations/{name}").read_text()


def test_losses():
    made = {profile: load.recipe("ablations/loss", profile=profile) for profile in profiles("ablations/loss")}
    assert {p: r.objective for p, r in made.items()} == {
        "pixels": "pixels", "l2": "feature_l2", "sinkhorn_ce": "sigma", "sinkhorn_ce_soft": "sigma",
        "l2_dino": "feature_l2",
    }  # fmt: skip
    assert made["sinkhorn_ce"].clustering.prototypes == 4000
    assert [made[p].clustering.assignments for p in ("sinkhorn_ce", "sinkhorn_ce_soft")] == ["hard", "soft"]


@pytest.mark.parametrize("name", sorted(roots.names("pretrain")))
def test_the_stated_cost_is_that_of_the_arithmetic(name):
    made = load.recipe(name)
    assert made.cost.startswith(cost(made, made.resolved.data))
    assert clip_flops(made).total > 0


def every(name):
    """Yield (choice, recipe) of every combination of a recipe's overlays."""
    path = roots.find("pretrain", name)
    source = load.named(load.load_yaml(path), "name", "pretrain", name, path, None)
    for choice in combinations(source, load.RECIPE_BLOCKS, {}):
        yield choice, load.build_recipe(source, choice)


@pytest.mark.parametrize("name", sorted(roots.names("pretrain")))
def test_profiles_keep_what_small_data_need_and_long_runs_do_not_fill_a_disk(name):
    for choice, made in every(name):
        train, data = made.train, choice["data"]
        if data == "miniature":
            found = (train.global_batch, train.lr, train.steps, train.warmup_steps, train.keep_every)
            assert found == (32, pytest.approx(5e-4), 400, 40, None), choice
        elif data == "folder":
            found = (train.global_batch, train.epochs, train.warmup_epochs, train.keep_every)
            assert found == (8, 10, 0, None), choice
        elif choice["size"] != "nano":
            assert 5 <= steps(made, LISTS[data]) / train.keep_every <= 25, choice


@pytest.fixture(scope="module")
def document():
    return markdown()


def test_the_document_is_that_of_the_recipes(document):
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert text == document, "run python docs/generate_recipes.py"


def test_every_difference_of_pretraining_has_a_switch(document):
    with roots.find("published", "hyperparameters.csv").open(newline="") as stream:
        differing = [r for r in csv.DictReader(stream) if r["agreement"] == "differs"]
    ours = {(r["config"], r["setting"]) for r in differing if r["table"] == "text/implementation"}
    assert ours == set(SWITCHES)
    elsewhere = [r for r in differing if r["table"] != "text/implementation"]
    assert all(re.match(r"T10|T11|text/0.C", r["table"]) for r in elsewhere)
    assert document.count(ELSEWHERE) == len(elsewhere)


def test_switches_name_what_there_is():
    names = set(roots.names("pretrain"))
    for text in SWITCHES.values():
        for recipe, profile in re.findall(r"`([a-z_/0-9]+) --profile ([a-z_0-9]+)`", text):
            assert recipe in names
            assert profile in profiles(recipe)


def test_the_guide_names_what_there_is():
    text = (Path(__file__).parents[2] / "docs" / "pretraining.md").read_text(encoding="utf-8")
    commands = re.findall(r"sigma-bench pretrain (\S+)(.*)", text)
    assert len(commands) >= 5
    for name, rest in commands:
        named = dict(re.findall(r"--(data|size|profile) (\w+)", rest))
        load.recipe(name, data=named.get("data", "miniature"), size=named.get("size", "nano"),
                    profile=named.get("profile"))  # fmt: skip
    for reading, (count, _) in READINGS.items():
        assert re.search(rf"`{reading}`[^;|]*{count / 1e6:.2f} M", text), reading
    for profile in re.findall(r"--profile ([a-z_0-9]+)", text):
        assert any(profile in profiles(name) for name in roots.names("pretrain")), profile
