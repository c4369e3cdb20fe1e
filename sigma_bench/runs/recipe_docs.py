"""The text of `docs/recipes.md`: settings, published numbers and costs of the recipes; the paper beside the code."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cache

from sigma_bench.models.flops import H200_PEAK, UTILISATION, clip_flops, gpu_hours
from sigma_bench.results import published
from sigma_bench.results.published import Published
from sigma_bench.runs.description import DEFAULT_PROFILE, description
from sigma_bench.spec import load, roots
from sigma_bench.spec.overlay import Document
from sigma_bench.spec.recipe import Recipe

OTHER_BATCHES = ("released_single_node", "matched", "mgmae_schedule")
LISTS = {"k400": 240_000, "ssv2": 168_913, "mini_ssv2": 84_500}
"""Training videos: the paper's round number for K400, whose copies differ; the official list of SSv2, and its half."""
REPEATED = ("T4", "T5", "T12", "T13", "C1", "C2")
"""Tables whose values are left out: long, or those of another table."""
SIZES = ("small", "base", "large", "huge")
WORDS = {"k400": "K400", "ssv2": "SSv2", "mini_ssv2": "mini SSv2", "small": "ViT-S", "base": "ViT-B",
         "large": "ViT-L", "huge": "ViT-H"}  # fmt: skip
MAIN = ("sigma_mlp", "sigma_dino", "sigma_mlp_motion", "sigma_dino_motion", "videomae", "sigma_l2")
ELSEWHERE = "a setting of tasks, not of pretraining"
SWITCHES: dict[tuple[str, str], str] = {
    ("projection mlp", "layers"): "`released`: `target.widths=[1024,1024,512]`; `paper`: `target.widths=[1024,1024]`",
    ("projection mlp", "hidden_width"): "as above; every reading of table 7a: `ablations/projection`",
    ("projection dino", "teacher"): "`released`: ViT-B/16; `sigma_dino --profile dino_s`: ViT-S/16",
    ("sinkhorn", "prototypes"): "`sigma_mlp`: 4000, `sigma_dino`: 3000; `ablations/prototypes_mlp`, `prototypes_dino`",
    ("loss", "pseudo_labels"): "`released`: `clustering.assignments=hard`; `paper`: `soft`",
    ("loss l2 ablation", "loss"): "`sigma_l2`, `ablations/loss --profile l2`, by Eq. 2",
}
"""How to choose where paper and released code differ, by (config, setting) of `hyperparameters.csv`."""
UNMARKED = (
    ("epochs", "800 and 2400", "801 and 2401, the schedule spans them", "`paper`: 800, 2400; `released`: 801, 2401"),
    ("epsilon", "no value in the text at hand", "0.03 for ViT-B on SSv2, else 0.05", "`clustering.epsilon`"),
    ("batch", "not stated", "multi-node and single-node scripts differ", "`released`, `released_single_node`"),
    ("precision", "not stated", "fp16 with a loss scaler", "bf16; `--set train.precision=fp16`"),
    ("balance", "over the batch", "over the micro-batches of all processes", "`clustering.balance=step`: the same "
     "batch, however it is divided; `micro`: as released, with accumulation"),
    ("motion masks", "as MGMAE", "no code", "`sigma_mlp_motion`, `sigma_dino_motion`; `mgmae_compat`, "
     "`mgmae_schedule`"),
    ("baseline", "compared at 800 epochs", "VideoMAE's batch is 2048, SIGMA's 640", "`videomae --profile matched`"),
)  # fmt: skip
"""Further differences: subject, paper, released code, switch."""

HEAD = f"""# Recipes: settings, published numbers, costs

This file is generated: change `pretrain/` and run `python docs/generate_recipes.py`.

**Costs are arithmetic, not measured**: matrix products of the forward and backward pass
(`sigma_bench/models/flops.py`), at {100 * UTILISATION:.0f} % of the {H200_PEAK / 1e12:.0f} TFLOP/s of an H200, over all
clips of the schedule. Decoding of videos, the optical flow of motion masks and a second forward pass for assignments
over several micro-batches are not in them. K400 is counted as {LISTS["k400"]:,} videos, mini SSv2 as
{LISTS["mini_ssv2"]:,}.

## Main recipes, profile `released`

`expected` is the published top-1 in percent after finetuning, or of the linear probe (table 1).
"""


def steps(recipe: Recipe, videos: int) -> int:
    """Return the optimiser steps on a list of `videos`; each video fills `clips.repeats` places of a batch."""
    train = recipe.train
    return train.steps or (train.epochs or 0) * max(1, videos * recipe.clips.repeats // train.global_batch)


def hours(recipe: Recipe, data: str) -> float:
    """Return the GPU hours of the whole schedule on official data: arithmetic, see `models.flops`."""
    clips = steps(recipe, LISTS[data]) * recipe.train.global_batch
    return gpu_hours(clip_flops(recipe).total, clips)


def cost(recipe: Recipe, data: str) -> str:
    """Return the sentence that a recipe states as its cost."""
    return (
        f"{WORDS[data]} {WORDS[recipe.model.size]}: {steps(recipe, LISTS[data]):,} steps of "
        f"{recipe.train.global_batch} clips, {clip_flops(recipe).total / 1e9:.0f} GFLOP a clip, "
        f"{hours(recipe, data):.0f} GPU hours of an H200 at {100 * UTILISATION:.0f} % of "
        f"{H200_PEAK / 1e12:.0f} TFLOP/s (arithmetic, not measured)"
    )


def markdown() -> str:
    """Return the whole document."""
    known = published.read(roots.find("published", "published.csv").parent)
    parts = [HEAD, *_main(known), *_rates(), *_clips(), *_profiles(), *_ablations(known), *_differences()]
    return "\n".join(parts) + "\n"


@cache
def _source(name: str) -> Document:
    path = roots.find("pretrain", name)
    return load.named(load.load_yaml(path), "name", "pretrain", name, path, None)


def _recipe(name: str, data: str | None = None, size: str | None = None, profile: str | None = None) -> Recipe:
    return load.build_recipe(_source(name), {"data": data, "size": size, "profiles": profile})


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _every(names: Sequence[str] = MAIN) -> Iterator[tuple[str, str, str, Recipe]]:
    """Yield (name, data, size, recipe) of the default profile on official data."""
    for name in names:
        for data in LISTS:
            for size in SIZES:
                yield name, data, size, _recipe(name, data=data, size=size)


def _main(known: Published) -> Iterator[str]:
    rows = (
        (
            f"`{name}`",
            f"{WORDS[data]} {WORDS[size]}",
            f"{recipe.train.global_batch}",
            description(recipe, data, own=False)["epochs"],
            f"{recipe.clustering.prototypes}, {recipe.clustering.epsilon}" if recipe.clustering else "-",
            _expected(recipe, known) or "-",
            f"{hours(recipe, data):,.0f}",
        )
        for name, data, size, recipe in _every()
        if size in ("small", "base")
    )
    heads = ("recipe", "data, size", "batch", "epochs", "prototypes, epsilon", "expected", "GPU hours")
    yield _table(heads, rows)
    yield "ViT-L and ViT-H have no published row; their settings are those of ViT-B with a decoder of 12 blocks.\n"


def _expected(recipe: Recipe, known: Published) -> str:
    cells = []
    for claim in recipe.published:
        values = known.tables[claim.table][claim.row]
        if claim.table in REPEATED:
            cells.append(f"{claim.table} row {claim.row}")
            continue
        told = ", ".join(f"{v.task} {v.value}" for v in values[:2]) + (", ..." if len(values) > 2 else "")
        cells.append(f"{claim.table} row {claim.row}: {told}")
    return "; ".join(cells)


def _rates() -> Iterator[str]:
    yield "## Learning rates\n"
    yield (
        "A recipe states the base rate and the clips it is for; the effective rate follows from the *global* batch, "
        "whatever the number of GPUs. A run prints and stores all three.\n"
    )
    seen: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for name, data, size, _ in _every():
        for profile in [DEFAULT_PROFILE, *(p for p in OTHER_BATCHES if p in _names(name))]:
            if size in ("large", "huge") or data == "mini_ssv2":
                continue
            train = _recipe(name, data=data, size=size, profile=profile).train
            facts = (f"{train.base_lr:.3g}", str(train.lr_per), str(train.global_batch), f"{train.lr:.3g}")
            who = f"`{name}`" + ("" if profile == DEFAULT_PROFILE else f" `{profile}`")
            seen.setdefault(facts, {}).setdefault(who, []).append(f"{WORDS[data]} {WORDS[size]}")
    rows = (
        (*facts, "; ".join(f"{who} {', '.join(where)}" for who, where in runs.items()))
        for facts, runs in sorted(seen.items(), key=lambda item: float(item[0][3]))
    )
    yield _table(("base rate", "for clips", "global batch", "effective rate", "who"), rows)
    yield (
        "ViT-L and ViT-H take the batch and rate of ViT-B; recipes on mini SSv2 a batch of 128. `mgmae_schedule` "
        "counts its rate per 256 videos, which are 1024 clips.\n"
    )


def _names(name: str) -> list[str]:
    return list(_source(name).values["profiles"])


def _clips() -> Iterator[str]:
    yield "## Operations of a clip\n"
    yield "In GFLOP, forward and backward; the last column is what an H200 at its full rate would do.\n"

    def rows() -> Iterator[Sequence[str]]:
        for name in ("videomae", "sigma_l2", "sigma_mlp", "sigma_dino"):
            for size in SIZES:
                f = clip_flops(_recipe(name, data="k400", size=size))
                parts = (f.encoder, f.decoder, f.projection, f.scores, f.teacher, f.total)
                yield (f"`{name}`", WORDS[size], *(f"{x / 1e9:,.1f}" for x in parts), f"{H200_PEAK / f.total:,.0f}")

    heads = ("recipe", "size", "encoder", "decoder", "projection", "scores", "teacher", "sum", "clips/s")
    yield _table(heads, rows())


def _profiles() -> Iterator[str]:
    yield "## Profiles\n"
    rows = ((f"`{name}`", ", ".join(f"`{p}`" for p in _names(name))) for name in sorted(roots.names("pretrain")))
    yield _table(("recipe", "profiles"), rows)


def _ablations(known: Published) -> Iterator[str]:
    yield "## Ablations\n"
    yield (
        "`sigma-bench pretrain ablations/NAME --profile PROFILE --data mini_ssv2 --size small`: ViT-S on half of SSv2, "
        "batch 128. Epochs are unstated; 800 are assumed. The paper's half was not released; ours is another draw. "
        "Profiles that share a row are readings of it.\n"
    )

    def rows() -> Iterator[Sequence[str]]:
        for name in sorted(n for n in roots.names("pretrain") if n.startswith("ablations/")):
            for profile in _names(name):
                recipe = _recipe(name, profile=profile)
                told = _expected(recipe, known).replace("ablation/mini_ssv2 ", "") or "-"
                yield f"`{name}`", f"`{profile}`", recipe.method, told, f"{hours(recipe, 'mini_ssv2'):,.0f}"

    yield _table(("recipe", "profile", "method", "published", "GPU hours"), rows())


def _differences() -> Iterator[str]:
    yield "## Where the paper and the released code differ\n"
    yield "Every row of `hyperparameters.csv` that is marked so, and below the rest.\n"
    with roots.find("published", "hyperparameters.csv").open(newline="", encoding="utf-8") as stream:
        marked = [row for row in csv.DictReader(stream) if row["agreement"] == "differs"]
    rows = (
        (
            f"{row['table']}, {row['config']}: {row['setting']}",
            row["value"] or "not stated",
            row["code_value"],
            SWITCHES.get((row["config"], row["setting"]), ELSEWHERE),
        )
        for row in marked
    )
    heads = ("setting", "paper", "released code", "switch")
    yield _table(heads, rows)
    yield _table(heads, iter(UNMARKED))
