"""An encoder with a linear classifier on its pooled tokens: what is finetuned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from sigma_bench.contracts import EncoderSpec, UserError
from sigma_bench.models.checkpoints.classifier import Classifier
from sigma_bench.models.drop_path import set_drop_path
from sigma_bench.models.pooling import pool_tokens

EPS = 1e-6
HEAD_STD = 0.02
Reads = Literal["mean", "cls", "first"]


class VideoClassifier(nn.Module):
    """Encoder, pooling, dropout, linear head.

    With "mean" the tokens after the last block are averaged and go through a new LayerNorm `fc_norm`; the pretraining
    norm is taken out of the encoder. With "cls" the class token after the last norm is read, with "first" the first
    patch (what the VideoMAE family reads without mean pooling, `modeling_finetune.py`), and the norm is trained on.

    Args:
        encoder: Any `contracts.Encoder` that is a module; it becomes part of this one, and with "mean" its `norm` is
            replaced and its `spec` says so.
        classes: Number of classes.
        pool: What the head reads.
        init_scale: Factor on the drawn weights of the head (truncated normal, deviation 0.02; no bias).
        dropout: Share of the pooled values that are dropped in training.
        drop_path: Greatest rate of stochastic depth; see `drop_path.set_drop_path`.

    Raises:
        UserError: The encoder has no class token, no stochastic depth or no norm where one is needed, or a share is not
            one.
    """

    def __init__(
        self,
        encoder: Any,
        classes: int,
        *,
        pool: Reads = "mean",
        init_scale: float = 0.001,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise UserError(f"a classifier of {classes} classes; expected at least 1")
        if not 0 <= dropout < 1:
            raise UserError(f"dropout {dropout}; expected at least 0 and less than 1")
        set_drop_path(encoder, drop_path)
        if pool == "mean":
            _take_out_norm(encoder)
        dim = encoder.spec.embed_dim
        self.encoder = encoder
        self.pool = pool
        self.fc_norm = nn.LayerNorm(dim, eps=EPS) if pool == "mean" else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dim, classes)
        nn.init.trunc_normal_(self.head.weight, std=HEAD_STD)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.weight.mul_(init_scale)

    @classmethod
    def of_file(cls, encoder: Any, head: Classifier) -> VideoClassifier:
        """Return an encoder with the classifier that its finetuned file holds."""
        without: Reads = "cls" if getattr(encoder, "cls_token", None) is not None else "first"
        model = cls(encoder, head.classes, pool="mean" if head.pooled else without)
        own = model.state_dict()
        model.load_state_dict({**own, **head.tensors})
        return model

    @property
    def last_layer(self) -> int:
        """Layer of the head: the number of blocks + 1."""
        spec: EncoderSpec = self.encoder.spec
        return spec.depth + 1

    def layer_of(self, name: str) -> int:
        """Return the depth of a parameter for layer-wise rates; what stands after the encoder is of the last layer.

        Raises:
            UserError: The encoder does not tell the depth of its parameters.
        """
        if not name.startswith("encoder."):
            return self.last_layer
        if not hasattr(self.encoder, "layer_of"):
            raise UserError(
                f"layer-wise rates need an encoder with `layer_of`, {type(self.encoder).__name__} has none; set the "
                "layer decay to 1"
            )
        return int(self.encoder.layer_of(name.removeprefix("encoder.")))

    def pooled(self, clips: torch.Tensor) -> torch.Tensor:
        """Return what the head reads of normalised clips (B, 3, T, H, W): (B, D)."""
        tokens = self.encoder.tokens(clips, norm=self.pool != "mean")
        return torch.as_tensor(self.fc_norm(pool_tokens(tokens, self.pool)))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the logits of normalised clips (B, 3, T, H, W): (B, classes)."""
        pooled = self.dropout(self.pooled(clips))
        with torch.autocast(clips.device.type, enabled=False):  # half precision would tie the scores of classes
            logits: torch.Tensor = self.head(pooled.float())
        return logits


def _take_out_norm(encoder: Any) -> None:
    """Replace the last norm, whose parameters would get no gradient, by nothing."""
    if not encoder.spec.has_norm:
        return
    within: tuple[Any, ...] = (encoder, getattr(encoder, "model", None))
    owners = [owner for owner in within if hasattr(owner, "norm")]
    if not owners:
        raise UserError(
            f"{type(encoder).__name__} says that it has a last norm, but has no module `norm`; mean pooling puts a new "
            "one in its place, so name that module `norm`"
        )
    removed = sum(p.numel() for p in owners[0].norm.parameters())
    owners[0].norm = nn.Identity()
    encoder.spec = replace(encoder.spec, has_norm=False, params=encoder.spec.params - removed)
