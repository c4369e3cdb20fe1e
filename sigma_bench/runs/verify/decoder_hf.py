"""The model around the encoder of a Hugging Face `VideoMAEForPreTraining` folder, which predicts masked pixels."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.adapter import State
from sigma_bench.models.checkpoints.config import NAME
from sigma_bench.models.checkpoints.hf import DECODER
from sigma_bench.models.checkpoints.hf_config import decoder_config_of
from sigma_bench.models.checkpoints.hf_keys import as_in_files, decoder_to_ours
from sigma_bench.models.decoder import Decoder
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.vit import VideoViT

NORM_EPS = 1e-5
"""Epsilon of the decoder's last norm, which is PyTorch's own whatever the configuration says."""


def holds_decoder(state: State) -> bool:
    """Tell whether a file of Hugging Face's VideoMAE has a decoder."""
    return any(name.startswith(DECODER) for name in state)


def pixel_model(encoder: VideoViT, state: State, path: Path) -> tuple[MaskedVideoModel, bool]:
    """Return an encoder with the decoder of its file, and whether that predicts normalised tubes.

    The decoder's blocks have the encoder's epsilon (modeling_videomae.py, `VideoMAEDecoder`).

    Args:
        encoder: The loaded encoder.
        state: All tensors of its file.
        path: The file or folder, for the configuration beside it.

    Raises:
        UserError: The configuration cannot be used, or a tensor of the decoder is missing, unknown, or not of the shape
            that the configuration says.
    """
    config = decoder_config_of(path)
    out_dim = 3 * encoder.spec.tubelet * encoder.spec.patch**2
    model = MaskedVideoModel(encoder, config.dim, config.depth, config.heads, out_dim)
    model.decoder = Decoder(
        config.dim,
        config.depth,
        config.heads,
        out_dim,
        mlp_hidden=config.mlp_hidden,
        eps=encoder.eps,
        norm_eps=NORM_EPS,
    )
    decoder, rest = decoder_to_ours({as_in_files(name): state[name] for name in state if name.startswith(DECODER)})
    around = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    try:
        model.load_state_dict(around | decoder | rest)
    except RuntimeError as error:
        raise UserError(f"{path}: its decoder is not the one that {NAME} describes: {_one_line(error)}") from error
    return model.to(next(encoder.parameters()).device), config.normalized


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
