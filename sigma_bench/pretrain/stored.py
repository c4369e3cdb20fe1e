"""What a pretraining checkpoint holds beside its encoder: prototypes, the network phi, the decoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import LoadReport, load_encoder
from sigma_bench.models.checkpoints.container import unwrap
from sigma_bench.models.checkpoints.deepspeed import weights_file
from sigma_bench.models.checkpoints.source import open_source
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.vit import SIZES, VideoViT
from sigma_bench.pretrain.projector import MlpProjector

PROTOTYPES, ENCODER, HEAD, DECODER = "prototypes", "encoder.", "head.", "decoder."
BRIDGE = "encoder_to_decoder.weight"
_LAYER = re.compile(r"head\.(\d+)\.weight")


@dataclass(frozen=True)
class Stored:
    """The networks of a pretraining, as its checkpoint holds them; all on the CPU, in float32.

    Attributes:
        path: The file.
        encoder: The encoder, in evaluation mode.
        report: How the encoder was read.
        prototypes_KD: As stored, a step of the optimiser away from unit length.
        projector: The network phi where it was learned (SIGMA-MLP); None where a frozen teacher projects.
        frozen: What one of our own files says of its teacher: `teacher` and `teacher_digest`.
        args: Arguments of the training, of files of the released code.
    """

    path: Path
    encoder: VideoViT
    report: LoadReport
    prototypes_KD: torch.Tensor
    projector: MlpProjector | None
    frozen: Mapping[str, Any]
    args: Mapping[str, Any]
    _tensors: Mapping[str, torch.Tensor] = field(repr=False)

    def model(self, decoder_heads: int | None = None) -> MaskedVideoModel:
        """Return encoder and decoder as one model.

        Args:
            decoder_heads: Attention heads of the decoder, which no shape tells; those of the named size with these
                widths where None.

        Raises:
            UserError: There is no decoder, it is not whole, or nothing tells its heads.
        """
        for name in (BRIDGE, f"{DECODER}head.weight"):
            if name not in self._tensors or self._tensors[name].ndim != 2:
                raise UserError(f"{self.path}: has no decoder ({name}); --features projector needs none")
        dim = self._tensors[BRIDGE].shape[0]
        heads = decoder_heads or _usual_heads(self.encoder.spec.embed_dim, dim)
        if heads is None or dim % heads:
            raise UserError(
                f"{self.path}: the attention heads of its decoder, {dim} wide, "
                + ("are in no shape; give them" if heads is None else f"cannot be {heads}; give a divisor of {dim}")
                + ": --decoder-heads N"
            )
        depth = len({name.split(".")[2] for name in self._tensors if name.startswith(f"{DECODER}blocks.")})
        out_dim = self._tensors[f"{DECODER}head.weight"].shape[0]
        with torch.random.fork_rng(devices=[]):
            model = MaskedVideoModel(self.encoder, dim, depth, heads, out_dim)
        wanted = {n: t for n, t in model.state_dict().items() if not n.startswith(ENCODER)}
        given = {n: _value(self._tensors, n, tuple(t.shape), self.path) for n, t in wanted.items()}
        foreign = [n for n in self._tensors if n.startswith(DECODER) and n not in wanted]
        if foreign:
            raise UserError(f"{self.path}: its decoder has tensors this one cannot use ({', '.join(foreign[:3])})")
        model.load_state_dict({**{f"{ENCODER}{n}": t for n, t in self.encoder.state_dict().items()}, **given})
        return model.eval().requires_grad_(False)


def stored(path: Path, *, heads: int | None = None, frames: int | None = None, image_size: int | None = None) -> Stored:
    """Read a pretraining checkpoint of this package or of SIGMA's code with its prototypes.

    Args:
        path: The file.
        heads: Attention heads of the encoder; see `load_encoder`, also for the others.
        frames: Frames of a clip.
        image_size: Side of the frames in pixels.

    Raises:
        UserError: It cannot be read safely, has no prototypes, or a tensor does not fit.
    """
    file = open_source(weights_file(path))
    found = unwrap(file.content, file.path)
    if PROTOTYPES not in found.state:
        raise UserError(
            f"{path}: holds no tensor '{PROTOTYPES}', so there are none to show; expected a pretraining checkpoint of "
            "SIGMA with its prototypes, neither another method's nor an encoder that was exported or finetuned"
        )
    tensors = {name: tensor for name, tensor in found.state.items() if not name.startswith(ENCODER)}
    shape = tuple(tensors[PROTOTYPES].shape)
    if len(shape) != 2 or 0 in shape:
        raise UserError(f"{path}: {PROTOTYPES} is of shape {shape}; expected (prototypes, width)")
    encoder, report = load_encoder(path, heads=heads, frames=frames, image_size=image_size)
    if not isinstance(encoder, VideoViT) or report.sha256 != file.sha256:
        raise UserError(f"{path}: changed while it was read, or is no video ViT; try again")
    frozen = found.beside.get("frozen")
    held = Stored(
        path=path,
        encoder=encoder.requires_grad_(False),
        report=report,
        prototypes_KD=_value(tensors, PROTOTYPES, shape, path),
        projector=_projector(tensors, encoder, shape[1], path),
        frozen=frozen if isinstance(frozen, dict) else {},
        args=found.args,
        _tensors={name: tensor.clone() for name, tensor in tensors.items()},
    )
    file.check_unchanged()
    return held


def _projector(tensors: Mapping[str, torch.Tensor], encoder: VideoViT, dim: int, path: Path) -> MlpProjector | None:
    """Return the network phi from the shapes of its layers.

    Raises:
        UserError: The layers are none of a chain from a tube's values to the width of the prototypes.
    """
    layers = sorted(int(match[1]) for name in tensors if (match := _LAYER.fullmatch(name)))
    if not layers:
        return None
    spec = encoder.spec
    weights = [tensors[f"{HEAD}{layer}.weight"] for layer in layers]
    if layers != list(range(0, 2 * len(layers), 2)) or any(weight.ndim != 2 for weight in weights):
        raise UserError(f"{path}: the layers of its projection network are {layers}; expected 0, 2, 4, ...")
    widths = [weights[0].shape[1], *(weight.shape[0] for weight in weights)]
    values = 3 * spec.tubelet * spec.patch**2
    if (widths[0], widths[-1]) != (values, dim):
        raise UserError(
            f"{path}: its projection network goes from {widths[0]} to {widths[-1]} values; expected from the {values} "
            f"of a tube to the {dim} of a prototype"
        )
    with torch.random.fork_rng(devices=[]):
        projector = MlpProjector(widths[0], widths[1:-1], widths[-1])
    own = {
        name: _value(tensors, f"{HEAD}{name}", tuple(tensor.shape), path)
        for name, tensor in projector.state_dict().items()
    }
    projector.load_state_dict(own)
    return projector.eval().requires_grad_(False)


def _value(tensors: Mapping[str, torch.Tensor], name: str, shape: tuple[int, ...], path: Path) -> torch.Tensor:
    """Return a copy of a tensor in float32.

    Raises:
        UserError: It is missing, of another shape or kind, or not finite.
    """
    if name not in tensors:
        raise UserError(f"{path}: lacks {name}; the file is not a whole pretraining checkpoint")
    tensor = tensors[name]
    if tuple(tensor.shape) != shape or not tensor.is_floating_point():
        raise UserError(f"{path}: {name} is {tensor.dtype} {tuple(tensor.shape)}; expected floating point {shape}")
    value = tensor.detach().to(torch.float32, copy=True)
    if not bool(value.isfinite().all()):
        raise UserError(f"{path}: {name} holds infinite or undefined values")
    return value


def _usual_heads(encoder_dim: int, decoder_dim: int) -> int | None:
    fitting = (s.decoder_heads for s in SIZES.values() if (s.dim, s.decoder_dim) == (encoder_dim, decoder_dim))
    return next(fitting, None)
