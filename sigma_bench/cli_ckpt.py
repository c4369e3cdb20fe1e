"""The commands of `sigma-bench ckpt`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigma_bench.cli_data import AsJson

ckpt_app = typer.Typer(
    help="Checkpoint files: what is in them, and other formats.", rich_markup_mode=None, no_args_is_help=True
)

Family = Annotated[str | None, typer.Option(help="Family of the checkpoint where its keys cannot tell")]
Heads = Annotated[int | None, typer.Option(min=1, help="Attention heads where the shapes cannot tell")]
Frames = Annotated[int | None, typer.Option(min=1, help="Frames of a clip, where they differ from the file's")]
ImageSize = Annotated[
    int | None, typer.Option(min=1, help="Side of the frames in pixels, where it differs from the file's")
]


@ckpt_app.command(
    epilog="Examples: sigma-bench ckpt inspect x.pth | sigma-bench ckpt inspect x.pth --family videomae --heads 6 | "
    "sigma-bench ckpt inspect x.pth --json. Exit code: 0 it loads, 2 it does not."
)
def inspect(
    file: Annotated[Path, typer.Argument(help="Checkpoint file, or folder of transformers or DeepSpeed")],
    family: Family = None,
    heads: Heads = None,
    frames: Frames = None,
    image_size: ImageSize = None,
    as_json: AsJson = False,
    specs: Annotated[Path | None, typer.Option("--specs", help="Folder of own specs, tried first")] = None,
) -> None:
    """Tell what a checkpoint file holds, how it loads, which published row it belongs to, and what it computes."""
    from sigma_bench.runs.inspect import inspect as run

    lines, code = run(file, family, heads, frames, image_size, as_json, specs)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(code)


@ckpt_app.command(
    epilog="Examples: sigma-bench ckpt export runs/x --format huggingface --out x-hf --results results/rows | "
    "sigma-bench ckpt export x.pth --format videomae --out x-encoder.pth"
)
def export(
    ckpt: Annotated[str, typer.Argument(help="File, folder, run folder or random:SIZE[:SEED]")],
    form: Annotated[str, typer.Option("--format", help="safetensors, videomae (.pth) or huggingface (a folder)")],
    out: Annotated[Path, typer.Option(help="File or folder to write")],
    family: Family = None,
    heads: Heads = None,
    as_system: Annotated[str | None, typer.Option("--as", help="Zoo name whose description is exported")] = None,
    force: Annotated[bool, typer.Option(help="Overwrite what an earlier export wrote")] = False,
    results: Annotated[Path | None, typer.Option(help="Folder of rows whose values go into the model card")] = None,
    licence: Annotated[str, typer.Option("--license", help="Licence of the weights, for the model card")] = "unknown",
    specs: Annotated[Path | None, typer.Option("--specs", help="Folder of own specs, tried first")] = None,
) -> None:
    """Write an encoder for other programs: bare safetensors, VideoMAE's finetuning code, or transformers."""
    from sigma_bench.runs.export import Request
    from sigma_bench.runs.export import export as run

    request = Request(ckpt, form, out, family, heads, as_system, force, results, licence, specs)
    for line in run(request):
        typer.echo(line)
