"""The frozen image ViT whose patch features SIGMA-DINO predicts (section 3.2 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import image
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.image_name import PREFIX, UNTRAINED
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.models.frames import FRAMES_AT_A_TIME, FrameViT
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.progress import say
from sigma_bench.spec.recipe import Model
from sigma_bench.spec.recipe_target import TeacherTarget


class FrozenTeacher(nn.Module):
    """Patch features of an image ViT for the first frame of each tubelet, one vector a token of the student.

    Nothing trains it. It has no parameters, buffers or entries of a state dict, also where it is a part of another
    module: optimisers, checkpoints and DistributedDataParallel pass it by. It follows that module to another device,
    never to another type or into training mode.

    Args:
        network: The ViT, at the image size of the student.
        grid: Tokens of the student along time, height and width.
        tubelet: Frames of a tubelet.
        digest: What identifies the weights; a hash over the network itself where None.
        source: What was loaded.
        autocast: Type of the matrix products; None: all in float32, whatever the precision around it.
        compiled: Let torch.compile fuse the network.
    """

    def __init__(
        self,
        network: FrameViT,
        grid: tuple[int, int, int],
        tubelet: int,
        *,
        digest: str | None = None,
        source: str = "",
        autocast: torch.dtype | None = None,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self._held = (network.eval().requires_grad_(False),)  # in a tuple: torch takes it for no part of this module
        self._tokens = torch.compile(network.tokens) if compiled else network.tokens
        self.grid, self.tubelet, self.autocast = grid, tubelet, autocast
        self.dim: int = network.spec.embed_dim
        self.digest: str = fingerprint(network) if digest is None else digest
        self.source: str = "; ".join([part for part in (source, *self._treatment()) if part])
        self.training = False

    @property
    def network(self) -> FrameViT:
        """The image ViT."""
        return self._held[0]

    @torch.no_grad()
    def features(self, clips: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
        """Return patch features (B, N, D) in float32, without gradient, tokens in (t, h, w) order.

        They are taken after the last norm, without class token and registers. A grid of another size than the
        student's is resized bilinearly (corners not aligned, not antialiased: what the released code does with
        DINOv2's 16x16). Frames go through the network some at a time, so that memory grows with the features alone.

        Args:
            clips: Normalised clips (B, 3, T, H, W).
            mean: Mean of the colour channels that the clips were normalised with.
            std: Deviation of the colour channels that the clips were normalised with.

        Raises:
            ValueError: The clips have not as many frames as the student takes.
            UserError: Their frames are not of the student's size.
        """
        slices, height, width = self.grid
        if clips.ndim != 5 or clips.shape[2] != slices * self.tubelet:
            raise ValueError(f"clips of shape {tuple(clips.shape)}; expected (B, 3, {slices * self.tubelet}, H, W)")
        first = clips[:, :, :: self.tubelet].transpose(1, 2).flatten(0, 1).float()
        with torch.autocast(clips.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            parts = [self._patches(self._recoloured(part, mean, std)) for part in torch.split(first, FRAMES_AT_A_TIME)]
        return torch.cat(parts).reshape(len(clips), slices * height * width, self.dim)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode."""
        return self

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.network._apply(lambda tensor: tensor.to(fn(tensor).device))  # type: ignore[no-untyped-call]
        return self

    def _patches(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the features (n, h, w, D) of pictures (n, 3, H, W) on the student's grid."""
        patches_nhwD = self._tokens(pictures.unsqueeze(2)).patch_BTHWD[:, 0].float()
        if patches_nhwD.shape[1:3] == self.grid[1:]:
            return patches_nhwD
        resized = F.interpolate(
            patches_nhwD.permute(0, 3, 1, 2), size=self.grid[1:], mode="bilinear", align_corners=False
        )
        return resized.permute(0, 2, 3, 1)

    def _recoloured(self, pictures: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
        """Return pictures normalised as the teacher's training pictures were; the same ones where they are already."""
        own = self.network.spec
        if tuple(mean) == own.mean and tuple(std) == own.std:
            return pictures
        theirs, ours = (
            [pictures.new_tensor(list(values)).view(1, 3, 1, 1) for values in pair]
            for pair in ((mean, std), (own.mean, own.std))
        )
        return (pictures * theirs[1] + theirs[0] - ours[0]) / ours[1]

    def _treatment(self) -> list[str]:
        """Return what is done to frames and features that the name of a model does not say."""
        spec = self.network.spec
        own = "x".join(map(str, cast(Any, self.network.model).patch_embed.grid_size))
        students = "x".join(map(str, self.grid[1:]))
        said = [f"first of every {self.tubelet} frames, {spec.image_size} px"]
        if own != students:
            said.append(f"grid of {own} resized bilinearly to {students}")
        if (spec.mean, spec.std) != (IMAGENET_MEAN, IMAGENET_STD):
            said.append(f"colours renormalised from ImageNet's to mean {spec.mean}, deviation {spec.std}")
        if not spec.has_norm:
            said.append("features of the last block, as this ViT has no norm of tokens after it")
        return [*said, f"computed in {str(self.autocast or torch.float32).removeprefix('torch.')}"]


def frozen_teacher(
    target: TeacherTarget,
    model: Model,
    device: torch.device | str,
    *,
    autocast: torch.dtype | None = None,
    compiled: bool = False,
) -> FrozenTeacher:
    """Load the teacher of a recipe, at the student's image size. Nothing is downloaded.

    Weights are those of timm's name in the caches of Hugging Face and torch, or a file: timm's own copy or the official
    one of DINO, DINOv2, MAE or CLIP. A position table of another grid is resampled as timm does when it creates a model
    of that size (bicubic, antialiased), which `source` says.

    Args:
        target: Name, weights.
        model: Geometry of the student.
        device: Torch device.
        autocast: See `FrozenTeacher`.
        compiled: See `FrozenTeacher`.

    Raises:
        UserError: timm has no such ViT, its weights are not on this machine or do not fit, or frames of the student's
            size do not divide into its patches.
    """
    name = target.model.removeprefix(PREFIX)
    if ":" in name or "@" in name:
        raise UserError(
            f"target.model: found '{target.model}', expected timm's name alone, such as vit_base_patch16_224.dino; "
            "the image size is the student's, and a file of weights goes to target.weights"
        )
    file = f":{target.weights}" if target.weights is not None else ""
    try:
        network, report = image.load(f"{PREFIX}{name}@{model.image_size}x1{file}", Asked())
    except UserError as error:
        raise UserError(f"target.model {target.model}, target.weights {target.weights or 'null'}: {error}") from error
    if target.weights == UNTRAINED and not (dist.is_initialized() and dist.get_rank()):
        say(f"the teacher {name} is untrained (seed 0), as target.weights: {UNTRAINED} asks: its features mean nothing")
    return FrozenTeacher(
        network,
        model.grid,
        model.tubelet,
        digest=report.sha256,
        source=report.headline,
        autocast=autocast,
        compiled=compiled,
    ).to(device)
