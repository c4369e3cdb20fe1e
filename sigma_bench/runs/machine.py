"""What a number was made on: device, versions, commit."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from sigma_bench import __version__
from sigma_bench.contracts import UserError


def torch_device(asked: str) -> str:
    """Return the torch device of `auto`, `cpu`, `cuda` or `cuda:N`."""
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return asked


def described(device: str) -> dict[str, str]:
    """Return the columns of a row that name the machine and the versions."""
    import torch

    cuda = device.startswith("cuda")
    return {
        "package_version": __version__,
        "git_commit": git_commit(),
        "torch_version": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if cuda else f"cpu ({platform.machine()})",
    }


def decoder_versions(decoders: dict[str, int]) -> str:
    """Return the versions of the packages behind the decoders that were used."""
    packages = {"decord": "decord", "pyav": "av", "torchcodec": "torchcodec"}
    return ", ".join(f"{packages[d]} {metadata.version(packages[d])}" for d in sorted(decoders) if d in packages)


def git_commit() -> str:
    """Return the commit of the checkout this package runs from, with `+` where files were changed; else empty."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return ""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
