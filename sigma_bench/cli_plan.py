"""The command `sigma-bench plan`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigma_bench.cli_data import AsJson, DataRoot, Device

PLAN_EXAMPLES = (
    "Examples: sigma-bench plan sigma_mlp --data k400 --size base --gpus 8 | sigma-bench plan --suite linear "
    "--ckpt x.pth | sigma-bench plan --task linear/ucf101 --data miniature --ckpt random:nano"
)
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting of the recipe or the tasks")
]
Specs = Annotated[Path | None, typer.Option("--specs", help="Folder of own specs, tried first")]


def plan(
    recipe: Annotated[str | None, typer.Argument(help="A pretraining recipe, instead of a suite or tasks")] = None,
    suite: Annotated[str | None, typer.Option(help="Name of a suite")] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task; repeatable")] = None,
    ckpt: Annotated[str, typer.Option(help="As in eval; untrained weights cost as much")] = "random:base",
    data: Annotated[
        str, typer.Option(help="official or miniature; of a recipe k400, ssv2, mini_ssv2, miniature or folder:DIR")
    ] = "official",
    size: Annotated[str, typer.Option(help="Size of a recipe")] = "base",
    profile: Annotated[str | None, typer.Option(help="A profile of the recipe or the tasks")] = None,
    data_root: DataRoot = None,
    limit: Annotated[int | None, typer.Option(min=1, help="As in eval: so many samples of each list")] = None,
    family: Annotated[str | None, typer.Option(help="As in eval")] = None,
    heads: Annotated[int | None, typer.Option(help="As in eval")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32 or bf16; a recipe states its own")] = "fp32",
    gpus: Annotated[int, typer.Option(min=1, help="Devices like this one")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Decoding processes in all; default: the cores")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for the measurements")] = 60.0,
    as_json: AsJson = False,
    sets: Sets = None,
    specs: Specs = None,
) -> None:
    """Measure this machine for a minute and say how long something takes, what it writes, and what binds."""
    from sigma_bench.runs.plan import Request
    from sigma_bench.runs.plan import plan as run

    asked = "k400" if recipe is not None and data == "official" else data
    request = Request(
        recipe, suite, task or [], ckpt, asked, size, profile, data_root, limit, family, heads, device, precision, gpus,
        workers, seconds, sets or [], specs, as_json,
    )  # fmt: skip
    for line in run(request):
        typer.echo(line)
