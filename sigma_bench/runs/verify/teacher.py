"""The frozen teacher inside a golden file, and its features of the first step."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer

from sigma_bench.models.frames import FrameViT, take_off_head
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.pretrain.targets import teacher_targets
from sigma_bench.pretrain.teacher import FrozenTeacher
from sigma_bench.runs.verify.vectors import Golden

FEATURES = 1e-5


def teacher_of(golden: Golden) -> FrozenTeacher:
    """Build the ViT of `teacher_config`, fill it with `teacher_state_dict`, and freeze it for the file's student.

    Raises:
        KeyError: The file holds no teacher.
        RuntimeError: The keys or shapes do not fit.
    """
    config, student = golden.values["teacher_config"], golden.values["state_dict"]
    network = VisionTransformer(**config)
    network.load_state_dict(golden.values["teacher_state_dict"])
    pool = take_off_head(network)
    _, _, tubelet, patch, _ = student["encoder.patch_embed.proj.weight"].shape
    side, slices = golden.values["config"]["img"] // patch, golden.values["config"]["frames"] // tubelet
    frames = FrameViT(network, slices, IMAGENET_MEAN, IMAGENET_STD, pool)
    return FrozenTeacher(frames, (slices, side, side), tubelet).to(golden.device)


def targets_of(teacher: FrozenTeacher, clips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the standardised features of the masked tokens of clips with ImageNet's mean and deviation."""
    return teacher_targets(teacher.features(clips, IMAGENET_MEAN, IMAGENET_STD), mask, normalize=True)


def compare_features(golden: Golden, teacher: FrozenTeacher, clips: torch.Tensor) -> None:
    """Compare the features of the first step's frames, before they are standardised."""
    expected = golden.values["teacher_tokens_step0"]
    features = teacher.features(clips, IMAGENET_MEAN, IMAGENET_STD)
    golden.into.close("teacher_tokens_step0", features.reshape(-1, *expected.shape[1:]), expected, FEATURES)
