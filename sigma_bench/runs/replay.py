"""Repeat the step of an incident file: the same clips, crops, masks and weights; where does it go wrong?"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.loader import Batch, TrainingLoader
from sigma_bench.progress import say
from sigma_bench.runs import data as places
from sigma_bench.runs.machine import set_threads, torch_device
from sigma_bench.runs.training import requests
from sigma_bench.spec import load
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import incident, optim, undefined
from sigma_bench.train import state as states
from sigma_bench.train.distributed import Processes
from sigma_bench.train.loop import autocast, gradient_norm

SHOWN = 8
"""Ids of a micro-batch that are named."""


@dataclass(frozen=True)
class Part:
    """A micro-batch of the step: who saw it, the clips, the loss that was recorded (None: it was not reached)."""

    ranks: tuple[int, ...]
    number: int
    batch: Batch
    recorded: float | None


def replay(
    path: Path,
    *,
    data_root: Path | None = None,
    device: str = "auto",
    workers: int = 2,
    sets: Sequence[str] = (),
) -> float:
    """Repeat the step of an incident file in this process, say what is found, and return its loss.

    Of a step of several processes all their micro-batches are repeated, one after another; where assignments are
    balanced over one micro-batch of all processes, those are one batch here.

    Args:
        path: The file.
        data_root: Where data sets are looked for.
        device: auto, cpu or cuda.
        workers: Decoding processes.
        sets: `--set` arguments on top of the recipe of the run: `train.precision=fp32`.

    Raises:
        UserError: The file is no incident, or its data are not here.
    """
    saved = incident.read(path)
    recipe = _recipe(saved, path, sets)
    index = _index(saved, recipe, path, data_root)
    place = torch_device(device)
    set_threads(recipe.train.threads, workers)
    say(f"{path}: step {saved['step']}, epoch {saved['epoch']}, {saved['world']} process(es): {saved['message']}")
    with DecodePool("sigma_bench.data.load:load_clips", workers=workers) as pool:
        loader = TrainingLoader(
            index,
            pool,
            requests(recipe, index),
            batch=recipe.train.global_batch,
            global_batch=recipe.train.global_batch,
            size=recipe.model.image_size,
            seed=recipe.train.seed,
            repeats=recipe.clips.repeats,
            device=place,
        )
        objective = registry.get("objectives", recipe.objective)(recipe, loader, Processes(device=place))
        try:
            objective.module.load_state_dict(saved["model"])
        except RuntimeError as error:
            raise UserError(
                f"{path}: its weights do not fit the settings: {error}; leave out --set model..."
            ) from error
        parts = list(_parts(saved, recipe, loader))
    return _repeat(saved, recipe, objective, parts, place)


def _repeat(saved: dict[str, Any], recipe: Recipe, objective: Any, parts: Sequence[Part], device: str) -> float:
    module, t = objective.module, recipe.train
    module.train()
    optimizer = optim.adamw(optim.pretraining_groups(module, t.weight_decay), t.lr, t.betas)
    scaler = torch.amp.GradScaler(torch.device(device).type, enabled=t.precision == "fp16")
    scaler.load_state_dict(saved["scaler"] if saved["scaler"] and t.precision == "fp16" else {})
    bad = undefined.parameter(module)
    say(f"weights before the step: {f'{bad} is not finite' if bad else 'all finite'}; precision {t.precision}")
    random = {part["rank"]: part["rng"] for part in saved["parts"]}
    cast = autocast(device, t.precision)
    _draw_as(random[parts[0].ranks[0]])
    if objective.surveys and len(parts) > 1:
        with cast, torch.no_grad():
            objective.survey([part.batch for part in parts])
    total = 0.0
    for part in parts:
        if part.number == 0 and part is not parts[0]:
            _draw_as(random[part.ranks[0]])
        watch, seen = undefined.Watch(), _Seen()
        try:
            with watch.on(module), seen.on(objective), cast:
                losses = objective.step(part.batch)
            scaler.scale(losses["loss"] / len(parts)).backward()
            found = {name: float(value.detach()) for name, value in losses.items()}
        except FloatingPointError as error:
            say(f"the objective gives up: {error}")
            found = {"loss": math.nan}
        total += found["loss"] / len(parts)
        _tell(part, found, watch.first, seen, module.prototypes)
    scaler.unscale_(optimizer)
    norm = float(gradient_norm(optimizer)) if any(p.grad is not None for p in module.parameters()) else math.nan
    bad = undefined.parameter(module, gradient=True)
    say(f"step {saved['step']}: loss {total}, norm of the gradient {norm}" + (f", first in {bad}" if bad else ""))
    fine = math.isfinite(total) and math.isfinite(norm)
    say("here the step is finite" if fine else "here the step is not finite either")
    return total


def _tell(part: Part, found: dict[str, float], first: str, seen: _Seen, prototypes: torch.Tensor | None) -> None:
    who = "process " + "+".join(map(str, part.ranks))
    ids = ", ".join(part.batch.ids[:SHOWN])
    more = f" and {len(part.batch.ids) - SHOWN} more" if len(part.batch.ids) > SHOWN else ""
    recorded = "not reached" if part.recorded is None else f"{part.recorded}"
    values = ", ".join(f"{name} {value}" for name, value in found.items())
    say(f"{who}, micro-batch {part.number}: {values} (recorded: {recorded}); clips {ids}{more}")
    if first:
        say(f"  first output that is not finite: {first}")
    for name, features in seen.features.items():
        say(f"  {name}: {undefined.extent(features)}")
        if prototypes is not None:
            say(f"  scores of {name}: {undefined.scores_extent(features, prototypes)}")


class _Seen:
    """What the two branches gave in a forward pass."""

    def __init__(self) -> None:
        self.features: dict[str, torch.Tensor] = {}
        self._handles: list[Any] = []

    def on(self, objective: Any) -> _Seen:
        """Return itself as the context in which they are seen."""
        module = objective.module
        self._handles = [
            objective.net.register_forward_pre_hook(lambda _, given: self._keep("teacher", given[0].targets)),
            module.register_forward_hook(lambda _, given, out: self._keep("predictions", out)),  # noqa: ARG005
        ]
        if module.head is not None:
            self._handles.append(
                module.head.register_forward_hook(lambda _, given, out: self._keep("projected targets", out))  # noqa: ARG005
            )
        return self

    def _keep(self, name: str, features: torch.Tensor | None) -> None:
        if features is not None:
            self.features[name] = features.detach()

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


def _recipe(saved: dict[str, Any], path: Path, sets: Sequence[str]) -> Recipe:
    text = saved["texts"].get("recipe.yaml")
    if not text:
        raise UserError(f"{path}: holds no recipe; only incidents of `sigma-bench pretrain` can be repeated")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(text, encoding="utf-8")
        # compiled blocks cannot be looked into
        return load.recipe(file, sets=["train.compile=false", *sets])


def _index(saved: dict[str, Any], recipe: Recipe, path: Path, data_root: Path | None) -> Index:
    """Return the samples that the run was trained on."""
    try:
        data = json.loads(saved["texts"]["data.json"])
        left_out, expected, root = set(data["left_out"]), data["trained_on_sha256"], data["list"]["root"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: does not say what the run was trained on ({error})") from error
    kind = recipe.resolved.data or "miniature"
    listed = places.pretraining_index(f"folder:{data_root or root}" if kind == "folder" else kind, data_root)
    index = listed.select([row for row, name in enumerate(listed.ids) if name not in left_out])
    if index.sha256 != expected:
        raise UserError(
            f"{listed.root}: the {index.count} samples here are not the {data['trained_on']} that the run was trained "
            "on; restore them, or name their place with --data-root"
        )
    return index


def _parts(saved: dict[str, Any], recipe: Recipe, loader: TrainingLoader) -> Iterator[Part]:
    clustering = recipe.clustering
    processes = saved["parts"]
    joined = clustering is not None and clustering.balance == "micro" and len(processes) > 1
    if joined:
        for number, batches in enumerate(zip(*(p["batches"] for p in processes), strict=True)):
            rows = [row for batch in batches for row in batch["rows"]]
            seeds = [words for batch in batches for words in batch["seeds"]]
            losses = [p["losses"][number]["loss"] for p in processes if number < len(p["losses"])]
            recorded = sum(losses) / len(losses) if losses else None
            yield Part(tuple(p["rank"] for p in processes), number, loader.again(rows, seeds), recorded)
        return
    for process in processes:
        for number, batch in enumerate(process["batches"]):
            done = number < len(process["losses"])
            recorded = process["losses"][number]["loss"] if done else None
            yield Part((process["rank"],), number, loader.again(batch["rows"], batch["seeds"]), recorded)


def _draw_as(rng: dict[str, Any]) -> None:
    """Set torch's generators as they were; on another kind of machine those that there are."""
    cuda = rng["cuda"] if torch.cuda.is_available() and len(rng["cuda"]) == torch.cuda.device_count() else []
    states.set_rng_state({"cpu": rng["cpu"], "cuda": cuda})
