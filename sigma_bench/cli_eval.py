"""The commands on encoders: evaluation on tasks. Every heavy import happens inside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sigma_bench.cli_data import DataRoot, Device
from sigma_bench.contracts import UserError

Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting: --set train.base_lr=1e-3")
]
Specs = Annotated[
    Path | None, typer.Option("--specs", help="Folder of own specs (pretrain/, eval/, tasks/), tried first")
]
Results = Annotated[Path, typer.Option(help="Folder of the row CSVs")]
EVAL_EXAMPLES = (
    "Examples: sigma-bench eval --suite quick --data miniature --ckpt runs/sigma_mlp.miniature.nano.seed0 | "
    "sigma-bench eval --task linear/ucf101 --ckpt x.pth --data-root /data | "
    "sigma-bench eval --task linear --videos train.csv val.csv --ckpt x.pth"
)


FEATURES_EXAMPLES = (
    "Examples: sigma-bench features --ckpt x.pth --videos clips/ --out features.parquet | "
    "sigma-bench features --ckpt x.pth --videos list.csv --layer 5 --layer -1 --pool mean --clips 4 --out f.parquet"
)


def evaluate(
    ckpt: Annotated[
        list[str],
        typer.Option(
            help="File, run folder, zoo name, ZOO-NAME=FILE got by hand, hf://OWNER/NAME[/FILE][@REVISION], "
            "timm:NAME[:FILE], MODULE:OBJECT, model of another package, or random:SIZE[:SEED]; repeatable"
        ),
    ],
    suite: Annotated[str | None, typer.Option(help="Name of a suite (sigma-bench list suites)")] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task instead of a suite; repeatable")] = None,
    tasks: Annotated[str | None, typer.Option(help="Only these tasks of the suite, with commas: gym99,ucf_rc")] = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option(help="Two lists of own videos, TRAIN TEST (path,label a line); with --task linear, knn, ..."),
    ] = None,
    data: Annotated[str, typer.Option(help="official or miniature")] = "official",
    profile: Annotated[str | None, typer.Option(help="A profile of the tasks")] = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Probe frozen features instead: --profile frozen")] = False,
    data_root: DataRoot = None,
    out: Annotated[Path, typer.Option(help="Folder of features and artifacts")] = Path("runs/eval"),
    results: Results = Path("results/rows"),
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of evaluation seeds; default: the suite's")] = None,
    splits: Annotated[
        str, typer.Option(help="Official splits of UCF101 and HMDB51: 1,2,3 gives a row each and their mean")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use so many samples of each list; stored in the row")
    ] = None,
    force: Annotated[bool, typer.Option(help="Measure again what has a row; the new row supersedes it")] = False,
    family: Annotated[str | None, typer.Option(help="Family of the checkpoint where its keys cannot tell")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads where the shapes cannot tell")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a clip, where not the file's")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Side of the frames, where not the file's")] = None,
    positions: Annotated[
        str | None, typer.Option(help="recompute, interpolate or slice a position table; default: the family's own way")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Key of the weights in a file of several: model_ema")] = None,
    as_system: Annotated[str | None, typer.Option("--as", help="Zoo name whose description the rows take")] = None,
    test_only: Annotated[
        bool, typer.Option("--test-only", help="Test the classifier that a finetuned file holds; nothing is trained")
    ] = False,
    device: Device = "auto",
    gpus: Annotated[
        str | None, typer.Option(help="Cards of this machine that share the tasks, one task each at a time: 0-7 or 0,2")
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32 or bf16")] = "fp32",
    workers: Annotated[int, typer.Option(min=1, help="Decoding processes")] = 2,
    sets: Sets = None,
    specs: Specs = None,
) -> None:
    """Evaluate checkpoints on a suite or on single tasks; one CSV row a number."""
    from sigma_bench.runs.cards import on_cards
    from sigma_bench.runs.evaluate import evaluate as run
    from sigma_bench.runs.reading import Reading
    from sigma_bench.runs.request import Request

    only = [name.strip() for name in (tasks or "").split(",") if name.strip()]
    if frozen and profile is not None:
        raise UserError(f"--frozen is --profile frozen; leave out --profile {profile}")
    if gpus is not None:
        raise typer.Exit(on_cards(gpus, suite, only, ckpt, seeds, out, specs, sys.argv[1:]))
    code = run(
        Request(
            checkpoints=ckpt,
            suite=suite,
            tasks=task or [],
            only=only,
            videos=tuple(videos or ()),
            data=data,
            profile="frozen" if frozen else profile,
            data_root=data_root,
            out=out,
            results=results,
            seeds=seeds,
            splits=numbers("--splits", splits),
            limit=limit,
            force=force,
            family=family,
            heads=heads,
            reading=Reading(frames, image_size, positions, weights, "require" if test_only else None),
            as_system=as_system,
            device=device,
            precision=precision,
            workers=workers,
            sets=sets or [],
            specs=specs,
        )
    )
    raise typer.Exit(code)


def features(
    ckpt: Annotated[str, typer.Option(help="What eval --ckpt takes")],
    videos: Annotated[Path, typer.Option(help="Folder of videos, or a list: a path a line, labels are passed over")],
    out: Annotated[Path, typer.Option(help="Parquet file: id, path, feature, error")],
    layer: Annotated[list[int] | None, typer.Option(help="Block, negative from the last; repeatable")] = None,
    pool: Annotated[list[str] | None, typer.Option(help="mean or cls; repeatable; default: the encoder's own")] = None,
    norm: Annotated[bool, typer.Option(help="Apply the encoder's final norm after the last block")] = True,
    clips: Annotated[int, typer.Option(min=1, help="Clips of a video, spread evenly; their mean is the vector")] = 1,
    crops: Annotated[int, typer.Option(help="1 (middle) or 3 crops of a clip")] = 1,
    stride: Annotated[int, typer.Option(min=1, help="Frames between two frames of a clip")] = 4,
    force: Annotated[bool, typer.Option(help="Write the file anew where it is there")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the feature cache")] = Path("runs/eval"),
    family: Annotated[str | None, typer.Option(help="Family of the checkpoint where its keys cannot tell")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads where the shapes cannot tell")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a clip, where not the file's")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Side of the frames, where not the file's")] = None,
    positions: Annotated[str | None, typer.Option(help="recompute, interpolate or slice a position table")] = None,
    weights: Annotated[str | None, typer.Option(help="Key of the weights in a file of several: model_ema")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32 or bf16")] = "fp32",
    workers: Annotated[int, typer.Option(min=1, help="Decoding processes")] = 2,
    specs: Specs = None,
) -> None:
    """Write frozen features of videos to a Parquet file, one row a video; begun again it goes on where it was."""
    from sigma_bench.runs.feature_file import Request, write
    from sigma_bench.runs.reading import Reading

    code = write(
        Request(
            ckpt,
            videos,
            out,
            layers=tuple(layer or (-1,)),
            pools=tuple(pool or ()),
            norm=norm,
            clips=clips,
            crops=crops,
            stride=stride,
            force=force,
            cache=cache,
            family=family,
            heads=heads,
            reading=Reading(frames, image_size, positions, weights),
            device=device,
            precision=precision,
            workers=workers,
            specs=specs,
        )
    )
    raise typer.Exit(code)


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Return the numbers of a list with commas, each once; none of an empty one."""
    numbers = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdecimal() for part in numbers):
        raise UserError(f"{option} {text}: expected whole numbers with commas between them, such as 1,2,3")
    return tuple(dict.fromkeys(map(int, numbers)))
