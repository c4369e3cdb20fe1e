"""What the `config.json` and the preprocessor of a Hugging Face VideoMAE folder say, checked field by field.

Sources: transformers/models/videomae/configuration_videomae.py and image_processing_videomae.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.config import NAME, config_beside
from sigma_bench.models.checkpoints.fields import Triple, fraction, is_number, triple
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD

MODEL_TYPE = "videomae"
DEFAULTS: dict[str, Any] = {
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "num_frames": 16,
    "tubelet_size": 2,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "use_mean_pooling": True,
}
"""What transformers takes for a field that is not in the file."""
BIAS_FIELDS = ("qkv_bias", "qv_bias")
"""Whether queries and values have a bias: the field's name up to transformers 4, and from 5 on."""
PREPROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")
RESCALE = 1 / 255
DECODER_DEFAULTS: dict[str, Any] = {
    "decoder_hidden_size": 384,
    "decoder_num_hidden_layers": 4,
    "decoder_num_attention_heads": 6,
    "decoder_intermediate_size": 1536,
    "norm_pix_loss": True,
}
"""The same for the fields of the decoder."""


@dataclass(frozen=True)
class Config:
    """The sizes of an encoder and what else its features depend on."""

    image_size: int
    patch: int
    frames: int
    tubelet: int
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    eps: float
    norm: bool
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes under the names of `adapter.Beside.stated`."""
        return {
            "image_size": self.image_size,
            "patch": self.patch,
            "frames": self.frames,
            "tubelet": self.tubelet,
            "dim": self.dim,
            "depth": self.depth,
            "heads": self.heads,
        }


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of a decoder, and whether it predicts tubes normalised per colour channel."""

    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    normalized: bool


def parse(values: Mapping[str, Any], place: Path) -> Config:
    """Return the checked content of a `config.json`.

    Args:
        values: The content.
        place: The file, for messages.

    Raises:
        UserError: It is no VideoMAE, a size is no positive whole number, sizes do not divide, or a field asks for what
            `VideoViT` does not compute.
    """
    if values.get("model_type") != MODEL_TYPE:
        _refuse(place, "model_type", values.get("model_type"), f"'{MODEL_TYPE}'")
    absent = [name for name in DEFAULTS if name not in values]
    full = DEFAULTS | dict(values)
    sizes = {
        "image_size": _side(full, "image_size", place),
        "patch": _side(full, "patch_size", place),
        "frames": _size(full, "num_frames", place),
        "tubelet": _size(full, "tubelet_size", place),
        "dim": _size(full, "hidden_size", place),
        "depth": _size(full, "num_hidden_layers", place),
        "heads": _size(full, "num_attention_heads", place),
        "mlp_hidden": _size(full, "intermediate_size", place),
    }
    for name, divisor in (("dim", "heads"), ("image_size", "patch"), ("frames", "tubelet")):
        if sizes[name] % sizes[divisor]:
            raise UserError(f"{place}: {divisor} {sizes[divisor]} does not divide {name} {sizes[name]}")
    for name, supported in (("num_channels", 3), ("hidden_act", "gelu")):
        if full[name] != supported or isinstance(full[name], bool):
            _refuse(place, name, full[name], repr(supported))
    for name in BIAS_FIELDS:
        if values.get(name, True) is not True:
            _refuse(place, name, values[name], "true (queries and values with a bias)")
    eps, pooling = fraction(full["layer_norm_eps"]), full["use_mean_pooling"]
    if eps is None:
        _refuse(place, "layer_norm_eps", full["layer_norm_eps"], "a number above 0 and below 1")
    if not isinstance(pooling, bool):
        _refuse(place, "use_mean_pooling", pooling, "true or false")
    notes = [f"{NAME} lacks {', '.join(f'{name} ({DEFAULTS[name]} taken)' for name in absent)}"] if absent else []
    return Config(**sizes, eps=eps, norm=not pooling, notes=tuple(notes))


def config_of(path: Path) -> Config:
    """Return the checked `config.json` beside a weights file, or in a folder.

    Raises:
        UserError: There is none, or see `parse`.
    """
    return parse(*_read(path))


def decoder_config_of(path: Path) -> DecoderConfig:
    """Return what the `config.json` beside a weights file, or in a folder, says of the decoder and its target.

    Raises:
        UserError: There is none, a size is no positive whole number, or the heads do not divide the width.
    """
    values, place = _read(path)
    full = DECODER_DEFAULTS | dict(values)
    dim, depth, heads, mlp_hidden = (_size(full, name, place) for name in list(DECODER_DEFAULTS)[:4])
    if dim % heads:
        raise UserError(f"{place}: decoder_num_attention_heads {heads} does not divide decoder_hidden_size {dim}")
    if not isinstance(full["norm_pix_loss"], bool):
        _refuse(place, "norm_pix_loss", full["norm_pix_loss"], "true or false")
    return DecoderConfig(dim, depth, heads, mlp_hidden, full["norm_pix_loss"])


def _read(path: Path) -> tuple[Mapping[str, Any], Path]:
    folder = path if path.is_dir() else path.parent
    values = config_beside(path)
    if not values:
        raise UserError(
            f"{folder / NAME}: is not there, or empty; heads, frames and epsilon of a Hugging Face VideoMAE are told "
            "only by it, so fetch it too"
        )
    return values, folder / NAME


def normalisation(path: Path) -> tuple[Triple, Triple, str]:
    """Return the channel means and deviations of the preprocessor beside a weights file, and a note on their origin.

    Raises:
        UserError: The file is damaged, or asks for what clips are not given as.
    """
    folder = path if path.is_dir() else path.parent
    place = next((folder / name for name in PREPROCESSORS if (folder / name).is_file()), None)
    if place is None:
        return IMAGENET_MEAN, IMAGENET_STD, f"no {PREPROCESSORS[0]} beside it: ImageNet's mean and deviation taken"
    try:
        values = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{place}: is not readable as JSON ({error}); fetch it again") from error
    if not isinstance(values, dict):
        raise UserError(f"{place}: holds a {type(values).__name__}; expected an object with image_mean and image_std")
    for name in ("do_rescale", "do_normalize"):
        if values.get(name, True) is not True:
            _refuse(place, name, values[name], "true")
    factor = values.get("rescale_factor", RESCALE)
    if not is_number(factor) or not math.isclose(factor, RESCALE, rel_tol=1e-6):
        _refuse(place, "rescale_factor", factor, "1/255")
    mean, std = _channels(values, "image_mean", place), _channels(values, "image_std", place)
    if min(std) <= 0:
        _refuse(place, "image_std", values["image_std"], "three numbers above 0")
    return mean, std, f"mean and deviation of {place.name}"


def _channels(values: Mapping[str, Any], name: str, place: Path) -> Triple:
    found = triple(values.get(name))
    if found is None:
        _refuse(place, name, values.get(name), "three numbers")
    return found


def _size(values: Mapping[str, Any], name: str, place: Path) -> int:
    value = values[name]
    if type(value) is not int or not 0 < value < 1 << 20:
        _refuse(place, name, value, "a positive whole number")
    return value


def _side(values: Mapping[str, Any], name: str, place: Path) -> int:
    value = values[name]
    if isinstance(value, list):
        if len(value) != 2 or value[0] != value[1]:
            _refuse(place, name, value, "one number, or two equal ones (squares)")
        value = value[0]
    return _size({name: value}, name, place)


def _refuse(place: Path, name: str, found: Any, expected: str) -> NoReturn:
    raise UserError(
        f"{place}: {name} = {str(found)[:80]!r}; only {expected} is supported, anything else would change the features"
    )
