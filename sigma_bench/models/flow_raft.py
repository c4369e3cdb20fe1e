"""Optical flow by RAFT-small (Teed and Deng, ECCV 2020), as torchvision has it, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.read import read
from sigma_bench.models.flow import Pair, check_clips

MULTIPLE, LEAST = 8, 128
"""Sides of the frames that RAFT takes: multiples of its feature stride, large enough for four levels of correlation."""
CLIPS_AT_ONCE = {"cuda": 4}
"""Clips whose pairs are computed together, by kind of device; one elsewhere."""


class RaftSmall:
    """RAFT-small, frozen and in float32.

    Every call of the network sees the same number of pairs, the last ones filled up: the kernels a device picks depend
    on that number, and the flow of a clip is not to depend on the batch it is in.

    Args:
        device: Where the network runs.
        weights: File of its weights; None: torchvision's file in torch's hub cache.
        iterations: Refinements of the flow.

    Attributes:
        file: The file the weights are from.
        sha256: Its digest.

    Raises:
        UserError: The file is missing, damaged, or holds other weights.
    """

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None, iterations: int = 6) -> None:
        from torchvision.models.optical_flow import raft_small

        self.file = weights or cached_weights()
        if not self.file.is_file():
            raise UserError(_missing(self.file, weights is not None))
        content = read(self.file)
        self.sha256 = content.sha256
        self.device = torch.device(device)
        self.iterations = iterations
        network = raft_small(weights=None)
        expected = network.state_dict()
        found = {key: value for key, value in content.content.items() if isinstance(value, torch.Tensor)}
        unfit = sorted(
            key
            for key in expected.keys() | content.content.keys()
            if key not in expected or key not in found or expected[key].shape != found[key].shape
        )
        if unfit:
            raise UserError(
                f"{self.file}: does not hold the weights of torchvision's raft_small: {len(unfit)} keys are missing, "
                f"too many or of another shape, such as {', '.join(unfit[:3])}; fetch {_url()}"
            )
        network.load_state_dict(found, strict=True)
        content.check_unchanged()
        self.network = network.to(self.device).float().eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, clips_u8: torch.Tensor, pairs: Sequence[Pair]) -> torch.Tensor:
        """Return the flow of `pairs` (B, P, 2, H, W) on the network's device; see `FlowEstimator`."""
        check_clips(clips_u8)
        count, _, _, height, width = clips_u8.shape
        together = CLIPS_AT_ONCE.get(self.device.type, 1)
        first, second = ([pair[side] for pair in pairs] for side in (0, 1))
        flows = []
        with torch.autocast(self.device.type, enabled=False):
            for start in range(0, count, together):
                clips = clips_u8[start : start + together].to(self.device)
                there = len(clips)
                clips = torch.cat([clips, clips[-1:].expand(together - there, *clips.shape[1:])])
                frames = (clips.float() / 127.5 - 1).transpose(1, 2)  # (b, T, 3, H, W) in [-1, 1]
                flow = self._between(frames[:, first].flatten(0, 1), frames[:, second].flatten(0, 1))
                flows.append(flow.view(together, len(pairs), 2, height, width)[:there])
        return torch.cat(flows)

    def _between(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the flow between frames (M, 3, H, W), at a size that RAFT takes and scaled back."""
        height, width = first.shape[-2:]
        size = [max(LEAST, -(-side // MULTIPLE) * MULTIPLE) for side in (height, width)]
        if size == [height, width]:
            found: torch.Tensor = self.network(first, second, num_flow_updates=self.iterations)[-1]
            return found
        first, second = (F.interpolate(f, size, mode="bilinear", align_corners=False) for f in (first, second))
        found = self.network(first, second, num_flow_updates=self.iterations)[-1]
        found = F.interpolate(found, [height, width], mode="bilinear", align_corners=False)
        return found * found.new_tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1)


def cached_weights() -> Path:
    """Return where torch's hub keeps torchvision's weights of RAFT-small, whether the file is there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / _url().rsplit("/", 1)[1]


def _url() -> str:
    from torchvision.models.optical_flow import Raft_Small_Weights

    return str(Raft_Small_Weights.DEFAULT.url)


def _missing(file: Path, given: bool) -> str:
    name = _url().rsplit("/", 1)[1]
    place = f"give the path of {name}" if given else "place it there, or give its path (mask.weights of a recipe)"
    return (
        f"{file}: no such file; it is to hold the weights of RAFT-small. Fetch {_url()} and {place}. Flow by dis or "
        "farneback needs no weights"
    )
