"""Comparing this package with golden vectors: inputs and outputs of the reference implementations."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from sigma_bench.contracts import UserError
from sigma_bench.runs.verify import (
    charades,
    features,
    features_hf,
    features_svt,
    frames,
    masks,
    merged_views,
    motion,
    optimiser,
    positions,
    reconstruction,
    repetition,
    segmentation,
    severe,
    sigma,
    sinkhorn,
    views,
)
from sigma_bench.runs.verify.record import Comparison, Record, exit_code
from sigma_bench.runs.verify.render import as_json as json_lines
from sigma_bench.runs.verify.render import as_text, default_folder
from sigma_bench.runs.verify.vectors import Golden, load

__all__ = ["CHECKS", "Record", "exit_code", "report", "run"]

CHECKS: dict[str, Callable[[Golden], None]] = {
    "sinkhorn_single.pt": sinkhorn.check,
    "sinkhorn_2rank.pt": sinkhorn.check_ranks,
    "sigma_mlp.pt": sigma.check,
    "sigma_dino.pt": sigma.check_teacher,
    "sigma_dinov2.pt": partial(sigma.check_teacher, ties=sigma.TIES),
    "sigma_mlp_fullhead.pt": sigma.check_full_head,
    "videomae_pixel_norm.pt": reconstruction.check_pixels,
    "videomae_pixel_raw.pt": reconstruction.check_pixels,
    "videomae_pixel_in_sigma_code_l2.pt": reconstruction.check_pixels,
    "l2_dino.pt": reconstruction.check_teacher,
    "l2_mlp_derived.pt": reconstruction.check_learned_features,
    "feat_svt.pt": features_svt.check,
    "tube_masks.pt": masks.check,
    "mgmae_masks.pt": motion.check,
    "pos_embed_1d_sincos.pt": positions.check,
    "frame_sampling.json": frames.check,
    "optim_schedules.json": optimiser.check,
    "view_averaging.json": views.check,
    "charades_map.npz": charades.check_map,
    "charades_test_frames.npz": charades.check_frames,
    "charades_labels.json": charades.check_labels,
    "charades_lr.npz": charades.check_rates,
    "slowfast_testmeter.npz": merged_views.check_meter,
    "videomae_merge.npz": merged_views.check_merge,
    "severe_accuracy.npz": severe.check_accuracy,
    "severe_code_lr.npz": severe.check_rates,
    "low_shot_subset.npz": severe.check_low_shot,
    "rep_window_indices.npz": repetition.check_windows,
    "rep_train_labels.npz": repetition.check_labels,
    "rep_inference.npz": repetition.check_inference,
    "matching.json": segmentation.check_matching,
    "averaging.json": segmentation.check_averaging,
    "kmeans_fixed_init.json": segmentation.check_kmeans,
    "features.npz": segmentation.check_features,
    "davis_jf.json": segmentation.check_davis,
}
"""File name -> check; every other `feat_*.pt` goes to `features.check` besides."""
SUFFIXES = frozenset({".pt", ".pth", ".json", ".npz", ".safetensors", ".bin"})
DAMAGE = (KeyError, IndexError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError, ArithmeticError)
"""What a check raises when a golden file lacks a key or holds something of another kind or shape."""


def run(golden_dir: Path, device: str = "cpu", only: list[str] | None = None) -> list[Record]:
    """Check every golden file of a folder, and of the folders in it.

    Args:
        golden_dir: The folder.
        device: Where to compute; on a GPU matrix products run in full float32.
        only: File names, with or without suffix, to check; all where None.

    Raises:
        UserError: No such folder, no golden file in it, an unknown name in `only`, or no such device.
    """
    files = _files(golden_dir)
    if only is not None:
        files = _chosen(files, only, golden_dir)
    _check_device(device)
    records: list[Record] = []
    with _full_precision():
        for path in files:
            records += _check_file(path, str(path.relative_to(golden_dir)), device)
    return records


def report(golden: Path | None, device: str, as_json: bool) -> tuple[list[str], int]:
    """Return the lines to print and the exit code of a verification.

    Args:
        golden: Folder of golden vectors; those of the checkout where None.
        device: Where to compute.
        as_json: Give a JSON array of the records.

    Raises:
        UserError: No such folder, nothing in it, or no such device.
    """
    folder = default_folder() if golden is None else golden
    records = run(folder, device)
    lines = json_lines(records) if as_json else as_text(records, folder, device)
    return lines, exit_code(records)


def _files(golden_dir: Path) -> list[Path]:
    if not golden_dir.is_dir():
        raise UserError(f"{golden_dir}: no such folder of golden vectors")
    files = sorted(p for p in golden_dir.rglob("*") if p.is_file() and p.suffix in SUFFIXES)
    if not files:
        raise UserError(f"{golden_dir}: holds no golden file ({', '.join(sorted(SUFFIXES))})")
    return [path for path in files if not _read_by_another(path)]


def _read_by_another(path: Path) -> bool:
    """Tell whether a checkpoint is covered by the features beside it, or arrays by the values that belong to them."""
    name = path.name
    if path.suffix == ".npz" and path.with_suffix(".json").name in CHECKS:
        return path.with_suffix(".json").is_file()
    if path.parent.name.startswith(features_hf.FOLDERS):
        return features_hf.is_covered(path)
    return name.startswith("ckpt_") and path.with_name(f"feat_{path.stem.removeprefix('ckpt_')}.pt").is_file()


def _chosen(files: list[Path], only: list[str], golden_dir: Path) -> list[Path]:
    names = {name for path in files for name in (path.name, path.stem)}
    for name in only:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise UserError(f"{golden_dir}: holds no golden file '{name}'{hint}")
    return [path for path in files if path.name in only or path.stem in only]


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device '{device}' cannot be used: {str(error).splitlines()[0]}") from error


def _check_file(path: Path, name: str, device: str) -> list[Record]:
    check = CHECKS.get(path.name)
    if check is None and path.name.startswith("feat_") and path.suffix == ".pt":
        check = features_hf.check if path.name.startswith(features_hf.FEATURES) else features.check
    into = Comparison(name)
    if check is None:
        into.unknown("", "no check for this file")
        return into.records
    try:
        check(Golden(path, load(path), device, into))
    except UserError as error:
        into.failed("", str(error))
    except KeyError as error:
        into.failed("", f"the golden file lacks the key {error}")
    except DAMAGE as error:
        reason = (str(error).splitlines() or [""])[0]
        into.failed("", f"the golden file is damaged or does not fit: {type(error).__name__}: {reason[:200]}")
    if not into.records:
        into.failed("", "the golden file holds nothing to compare")
    return into.records


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keep TensorFloat-32 out of matrix products and convolutions, and the global switches as they were."""
    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
