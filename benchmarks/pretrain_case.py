"""What `pretrain_step.py` measures: an objective of a recipe, and a copy of its weights for the reference."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, cast

import torch
from pretrain_reference import plain_loss, plain_step
from torch import nn

from sigma_bench import registry
from sigma_bench.data.loader import Batch, Replaced, TrainingLoader
from sigma_bench.pretrain.masked_objective import MaskedObjective
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import loop, optim
from sigma_bench.train.distributed import Processes

RATE = 1e-5
Read = Callable[[], Any]


class InMemory:
    """A loader of one micro-batch, again and again."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.on_next: Callable[[int], None] | None = None
        self.replaced, self.decoders = Replaced(), Counter[str]()

    def epoch(self, _epoch: int, offset: int = 0, _complete: object = None) -> Generator[Batch, None, None]:
        """Yield the micro-batch without end; `on_next` is told how many were asked for."""
        for number in itertools.count(offset + 1):
            if self.on_next is not None:
                self.on_next(number)
            yield self.batch


@dataclass
class Case:
    """What is measured: our objective, a copy of its weights for the reference, their optimisers."""

    recipe: Recipe
    objective: MaskedObjective
    loader: InMemory
    optimizer: torch.optim.Optimizer
    plain: nn.Module
    plain_optimizer: torch.optim.Optimizer
    mask: torch.Tensor
    device: str

    def __post_init__(self) -> None:
        self.read: Read | None = None
        self.marks: list[tuple[str, Any]] = []
        module, teacher = self.objective.module, self.objective.teacher
        if module.head is not None:
            module.head.register_forward_pre_hook(lambda *_: self.mark("data and targets"))
            module.head.register_forward_hook(lambda *_: self.mark("projection"))
        embed = module.encoder.patch_embed
        embed.register_forward_pre_hook(lambda *_: self.mark("data and targets"))
        embed.register_forward_hook(lambda *_: self.mark("embed"))
        module.encoder.norm.register_forward_hook(lambda *_: self.mark("encoder"))
        module.decoder.register_forward_hook(lambda *_: self.mark("decoder"))
        if teacher is not None:
            features = teacher.features

            def marked(*inputs: Any) -> torch.Tensor:
                self.mark("data and targets")
                found = features(*inputs)
                self.mark("teacher")
                return found

            teacher.features = marked  # type: ignore[method-assign]

    def mark(self, name: str) -> None:
        """Note what the meter shows at the end of a part."""
        if self.read is not None:
            self.marks.append((name, self.read()))

    def step(self, read: Read | None = None) -> None:
        """Take an optimiser step of ours; with a meter, `marks` is filled with its readings at the end of each part."""
        self.read, self.marks = read, []
        self.mark("start")
        self.optimizer.zero_grad(set_to_none=True)
        with loop.autocast(self.device, self.recipe.train.precision):
            losses = self.objective.step(self.loader.batch)
        self.mark("scores, assignments, loss" if self.recipe.clustering else "loss")
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        self.mark("backward")
        loop.gradient_norm(self.optimizer)
        self.optimizer.step()
        self.mark("optimiser")

    def plain_forward(self) -> torch.Tensor:
        """Return the loss of the reference."""
        with loop.autocast(self.device, self.recipe.train.precision):
            return plain_loss(self.recipe, cast(Any, self.plain), self.objective.teacher, self.frames, self.mask)

    def plain_step(self) -> None:
        """Take an optimiser step of the reference."""
        plain_step(self.plain_forward(), self.plain_optimizer)

    @property
    def frames(self) -> torch.Tensor:
        """The clips, uint8 (B, 3, T, H, W)."""
        return self.loader.batch.clips

    def differences(self) -> tuple[float, float]:
        """Return how far our loss and our gradients are from the reference's, relative."""
        with loop.autocast(self.device, self.recipe.train.precision):
            ours = self.objective.step(self.loader.batch)["loss"]
        plain = self.plain_forward()
        ours.backward()  # type: ignore[no-untyped-call]
        plain.backward()  # type: ignore[no-untyped-call]
        theirs = dict(self.plain.named_parameters())
        apart, size = 0.0, 0.0
        for name, parameter in self.objective.module.named_parameters():
            mine, other = parameter.grad, theirs[name].grad
            assert mine is not None
            assert other is not None
            apart, size = apart + float((mine - other).square().sum()), size + float(other.square().sum())
        self.optimizer.zero_grad()
        self.plain_optimizer.zero_grad()
        return abs(1 - ours.item() / plain.item()), (apart / size) ** 0.5


def case(recipe: Recipe, device: str) -> Case:
    m, batch = recipe.model, recipe.train.global_batch
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (batch, 3, m.frames, m.image_size, m.image_size), dtype=torch.uint8).to(device)
    seeds = [(0, clip) for clip in range(batch)]
    loader = InMemory(Batch(frames, list(range(batch)), cast(Any, seeds), [str(clip) for clip in range(batch)]))
    make = registry.get("objectives", recipe.objective)
    objective = make(recipe, cast(TrainingLoader, loader), Processes(device=device))
    plain = copy.deepcopy(objective.module)
    groups = [optim.pretraining_groups(module, recipe.train.weight_decay) for module in (objective.module, plain)]
    optimizer = optim.adamw(groups[0], RATE, recipe.train.betas)
    theirs = torch.optim.AdamW(groups[1], lr=RATE, betas=recipe.train.betas)
    mask = objective.masking(frames, cast(Any, seeds)).to(device)
    return Case(recipe, objective, loader, optimizer, plain, theirs, mask, device)
