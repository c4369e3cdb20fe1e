"""What a number was made on: device, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from sigma_bench import __version__
from sigma_bench.contracts import UserError


def torch_device(asked: str) -> str:
    """Return the torch device of `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        UserError: Another word, or a device that is not here.
    """
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if re.fullmatch(r"cpu|cuda(:\d+)?", asked) is None:
        raise UserError(f"--device {asked}: expected auto, cpu, cuda or cuda:N")
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {asked}: torch sees no CUDA device here; use --device cpu")
    if int(asked.partition(":")[2] or 0) >= max(1, torch.cuda.device_count()):
        raise UserError(f"--device {asked}: torch sees {torch.cuda.device_count()} CUDA devices here, counted from 0")
    return asked


def set_threads(asked: int | None, workers: int) -> int:
    """Set torch's threads to `asked`, to OMP_NUM_THREADS, or to the cores the decoding leaves; return the number.

    More threads than free cores wait for each other at every step: on 2 cores that costs several times the work.
    """
    import torch

    if asked is None and os.environ.get("OMP_NUM_THREADS"):
        return torch.get_num_threads()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = asked or max(1, cores - workers)
    torch.set_num_threads(threads)
    return threads


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
    packages = {"decord": "decord", "pyav": "av", "torchcodec": "torchcodec", "pillow": "pillow"}
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
