"""What a finished run is called, and which published rows it joins."""

from types import SimpleNamespace

import pytest

from sigma_bench.results import matching, published
from sigma_bench.runs.description import DATA_NAMES, description, harmless, run_name, without_name
from sigma_bench.spec import load, roots
from sigma_bench.spec.overlay import combinations

BACKBONES = {"nano": "ViT-nano", "small": "ViT-S", "base": "ViT-B", "large": "ViT-L", "huge": "ViT-H"}
RECIPES = sorted(roots.names("pretrain"))


def every_run():
    """Yield (name, choice, recipe) of every combination of overlays of every recipe."""
    for name, path in sorted(roots.names("pretrain").items()):
        source = load.named(load.load_yaml(path), "name", "pretrain", name, path, None)
        for choice in combinations(source, load.RECIPE_BLOCKS, {}):
            yield name, choice, load.build_recipe(source, choice)


@pytest.fixture(scope="module")
def runs():
    return list(every_run())


@pytest.fixture(scope="module")
def tables():
    return published.read(roots.find("published", "published.csv").parent).tables


def described(recipe, data, own=False):
    return SimpleNamespace(**description(recipe, data, own), backbone=BACKBONES[recipe.model.size])


def test_every_claimed_row_is_what_the_run_is_called(runs, tables):
    claims = 0
    for name, choice, recipe in runs:
        told = described(recipe, choice["data"])
        for claim in recipe.published:
            claims += 1
            row = tables[claim.table][claim.row][0]
            at = (name, choice, claim)
            assert matching.fits(told, row), at
            for fact in ("method", "variant"):
                assert getattr(told, fact) == getattr(row, fact), at
            for fact in ("backbone", "pretrain_data", "epochs", "motion_guidance"):
                assert getattr(row, fact) in ("", getattr(told, fact)), at
            # beside the teacher's data, tables of another data set than the pretraining's count the latter as extra
            extra = [data for data in row.extra_data.split("+") if data != row.pretrain_data]
            assert extra in ([""], [], [told.extra_data]), at
    assert claims > 100


def test_a_run_joins_no_row_that_its_recipe_does_not_claim(runs, tables):
    for name, choice, recipe in runs:
        told = described(recipe, choice["data"])
        claimed = {(claim.table, claim.row) for claim in recipe.published}
        for table, rows in tables.items():
            number = matching.match(told, rows)
            if number is not None and rows[number][0].pretrain_data:
                assert (table, number) in claimed, (name, choice, table, number)


def test_every_row_of_the_method_has_a_recipe(runs, tables):
    claimed = {(claim.table, claim.row) for _, _, recipe in runs for claim in recipe.published}
    ours = {
        (table, number)
        for table, rows in tables.items()
        for number, values in rows.items()
        if values[0].method.startswith("SIGMA")
    }
    assert ours <= claimed


def test_rows_are_claimed_on_official_data_alone(runs):
    for name, choice, recipe in runs:
        if recipe.published:
            assert choice["data"] in DATA_NAMES, (name, choice)
        else:
            assert description(recipe, choice["data"], own=False)["method"] == "", (name, choice)


def test_names_tell_profiles_apart(runs):
    folders = [(run_name(recipe), choice["data"], choice["size"]) for _, choice, recipe in runs]
    assert len(set(folders)) == len(folders)
    assert run_name(load.recipe("sigma_mlp")) == "sigma_mlp"
    assert run_name(load.recipe("ablations/prototypes_mlp", profile="k1000")) == "ablations/prototypes_mlp.k1000"


@pytest.mark.parametrize(
    "setting",
    ["train.seed=3", "train.log_every=1", "train.save_every=1000", "train.keep=9", "train.keep_every=6000",
     "train.threads=4", "train.compile=true", "train.checkpointing=true", "train.micro_batch=32",
     "train.precision=fp16"],
)  # fmt: skip
def test_settings_that_keep_the_name(setting):
    recipe = load.recipe("sigma_mlp", sets=[setting])
    told = description(recipe, "k400", own=False)
    assert (told["method"], told["variant"]) == ("SIGMA-MLP", "")


@pytest.mark.parametrize(
    "setting",
    ["train.global_batch=320", "train.epochs=400", "clustering.epsilon=0.03", "clustering.balance=micro",
     "mask.ratio=0.8", "train.min_lr=1e-6", "train.weight_decay=0.1", "train.betas=[0.9,0.999]",
     "train.warmup_epochs=20", "clips.stride=2", "clips.crop=resize", "train.lr_per=512", "target.dim=128",
     "published=[]", "variant=x", "method=MVD"],
)  # fmt: skip
def test_settings_that_lose_the_name(setting):
    recipe = load.recipe("sigma_mlp", sets=[setting, "train.seed=1"])
    told = description(recipe, "k400", own=False)
    assert (told["method"], told["variant"]) == ("", setting)


def test_evaluation_during_the_run_keeps_the_name():
    sets = ["train.eval_every=3000", "train.eval_tasks=[linear/ucf101]"]
    assert description(load.recipe("videomae", sets=sets), "k400", own=False)["method"] == "VideoMAE"


@pytest.mark.parametrize(("balance", "same"), [("step", True), ("micro", False), ("local", False)])
def test_the_micro_batch_matters_where_assignments_are_balanced_in_it(balance, same):
    recipe = load.recipe("sigma_mlp", sets=[f"clustering.balance={balance}"])
    assert harmless("train.micro_batch", recipe) is same
    assert harmless("train.micro_batch", load.recipe("videomae"))


def test_own_recipes_and_other_data_carry_no_published_name():
    assert description(load.recipe("sigma_mlp"), "k400", own=True)["method"] == ""
    assert description(load.recipe("sigma_mlp", data="miniature", size="nano"), "miniature", own=False)["method"] == ""


def test_a_matched_baseline_is_not_the_published_one():
    told = description(load.recipe("videomae", profile="matched"), "k400", own=False)
    assert (told["system"], told["method"]) == ("videomae.matched", "")


def test_teachers_and_masks_are_described():
    dino = description(load.recipe("sigma_dino_motion"), "ssv2", own=False)
    assert (dino["extra_data"], dino["motion_guidance"], dino["epochs"]) == ("IN-1K", "yes", "800")
    random = load.recipe("sigma_dino", data="miniature", size="nano")
    assert description(random, "miniature", own=False)["extra_data"] == ""
    other = load.recipe("sigma_dino", sets=["target.model=vit_base_patch16_clip_224.openai"])
    assert description(other, "k400", own=False)["extra_data"] == ""
    repeated = load.recipe("sigma_mlp_motion", profile="mgmae_schedule")
    assert description(repeated, "ssv2", own=False)["epochs"] == "800"


@pytest.mark.parametrize(("there", "method"), [(1000, "SIGMA-MLP"), (990, "SIGMA-MLP"), (989, ""), (1, "")])
def test_too_little_of_the_list_does_not_carry_the_published_name(there, method):
    found = without_name({"method": "SIGMA-MLP", "variant": ""}, there, 1000)
    assert found["method"] == method
    assert found["variant"] == ("" if method else f"{there} of 1000 training videos")
