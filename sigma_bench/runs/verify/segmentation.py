"""Video object segmentation: matching, averaging, k-means, dense features, J and F of DAVIS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from sigma_bench.data.masks import VOID
from sigma_bench.metrics import averaging, cluster_maps, davis, kmeans, matching, reduction, resampling
from sigma_bench.runs.verify.vectors import Golden, load

MIOU = 1e-9
STATISTICS = 1e-6
CENTROIDS, INERTIA = 1e-3, 1e-4
PCA, GRAM, INTERPOLATED = 1e-3, 1e-5, 1e-5
LEAST_RAND = 0.99
"""Least agreement of two clusterings, where the groups are so clear that every implementation finds them."""
CLUSTERED = re.compile(r"cluster_(sample|frame)_k([0-9]+)")
SCOPES = re.compile(r"([a-z-]+-wise)\|([a-z0-9_]+)\|(bg|nobg)")
OBJECT = re.compile(r"object([0-9]+)")
SEED = 1


def check_matching(golden: Golden) -> None:
    """Compare every rule of matching, case by case: mIoU with and without background, maps, counts of pixels."""
    arrays = _beside(golden)
    if arrays is None:
        return
    for case, expected in golden.values.items():
        truth, maps = arrays[f"{case}__gt"], arrays[f"{case}__pred"]
        for rule in matching.RULES:
            found = matching.match(maps, truth, rule)
            ours = {
                "bg": found.miou(True),
                "nobg": found.miou(False),
                "map": [item for pair in sorted(found.id_of.items()) for item in pair],
                **{name: getattr(found, f"{name}_G") for name in ("tp", "fp", "fn")},
            }
            for name in ("bg", "nobg"):
                golden.into.number(f"{case}.{rule}_{name}", ours[name], expected[f"{rule}_{name}"], MIOU)
            for name in ("map", "tp", "fp", "fn"):
                if f"{rule}_{name}" in expected or rule != "merged_hungarian":
                    wanted = expected[f"{rule}_{name}"]
                    if name == "map":
                        pairs = sorted((int(cluster), given) for cluster, given in wanted.items())
                        wanted = [item for pair in pairs for item in pair]
                    golden.into.exact(f"{case}.{rule}_{name}", _whole(ours[name]), _whole(wanted))
        golden.into.exact(f"{case}.gt_classes", _whole(found.ids_G), _whole(expected["gt_classes"]))


def check_averaging(golden: Golden) -> None:
    """Compare the mIoU over frames, clips and the whole set; the released code drops 255 in the last of them only."""
    arrays = _beside(golden)
    if arrays is None:
        return
    for key, expected in golden.values.items():
        parts = SCOPES.fullmatch(key)
        if parts is None:
            golden.into.unknown(key, "no check for this key")
            continue
        scope: Any = parts[1]
        rule: Any = parts[2]
        void = VOID if scope == "dataset-wise" else None
        ours = averaging.mean_iou(
            list(arrays["pred"]), list(arrays["gt"]), scope, rule, background=parts[3] == "bg", void=void
        )
        golden.into.number(key, ours, expected, MIOU)


def check_kmeans(golden: Golden) -> None:
    """Compare k-means from given centroids, in the arithmetic that is used: labels, centroids, inertia, rounds."""
    arrays = _beside(golden)
    if arrays is None:
        return
    for case, expected in golden.values.items():
        points, starts = (torch.from_numpy(arrays[f"{case}__{name}"]).to(golden.device) for name in ("x", "init"))
        found = kmeans.lloyd(points.float(), starts.float())
        golden.into.exact(f"{case}.labels", found.labels_BN[0], _whole(arrays[f"{case}__labels"]))
        centroids = torch.from_numpy(arrays[f"{case}__centroids"])
        golden.into.close(f"{case}.centroids", found.centroids_BKD[0], centroids, CENTROIDS)
        golden.into.number(f"{case}.inertia", float(found.inertia_B[0]), expected["inertia"], INERTIA, relative=True)
        if "iterations" in expected:  # other arithmetic may need one more
            golden.into.number(f"{case}.iterations", int(found.iterations_B[0]), expected["iterations"], 1)


def check_features(golden: Golden) -> None:
    """Compare reduction, interpolation, the operators for masks, and the whole way to cluster maps."""
    values = {name: torch.from_numpy(array) for name, array in golden.values.items()}
    golden, into = replace(golden, values=values), golden.into
    if "pca_in" in values:
        expected = values["pca_out"].double()
        ours = reduction.principal_components(values["pca_in"].to(golden.device), expected.shape[1]).cpu().double()
        signs = torch.where((ours * expected).sum(0) < 0, -1.0, 1.0)
        into.close("pca_out", ours * signs, expected, PCA)
        into.close("pca_out gram", ours @ ours.T, expected @ expected.T, GRAM, relative=True)
    if "interp_in" in values:
        tokens = _clips(values["interp_in"], golden.device)
        size = values["interp_out"].shape[-1]
        ours = torch.stack([resampling.upsampled(clip, size) for clip in tokens]).permute(0, 1, 4, 2, 3)
        into.close("interp_out", ours, values["interp_out"], INTERPOLATED)
    if "mask_in" in values:
        _check_masks(golden)
    if "cluster_in" in values:
        _check_clusters(golden)
    inputs = {"pca_in", "interp_in", "mask_in", "cluster_in", "cluster_true"}
    known = {*inputs, "pca_out", "interp_out", "mask_224_pil", "mask_28_from224_torch", "mask_28_direct_pil"}
    for key in values:
        if key not in known and not CLUSTERED.fullmatch(key):
            into.unknown(key, "no check for this key")


def check_davis(golden: Golden) -> None:
    """Compare J and F of every object and frame, and their statistics with and without the outer frames."""
    arrays = _beside(golden)
    if arrays is None:
        return
    for case, expected in golden.values.items():
        number = OBJECT.fullmatch(case)
        if number is None:
            golden.into.skipped(
                f"{case}.J and F", "its frames are not in the file; statistics are compared on the values it states"
            )
        else:
            truth, predicted = (arrays[name] == int(number[1]) for name in ("gt", "pred"))
            for name, ours in (("J", davis.region(predicted, truth)), ("F", davis.contour(predicted, truth))):
                golden.into.close(
                    f"{case}.{name}", torch.from_numpy(ours), torch.tensor(expected[name]).double(), STATISTICS
                )
        for name in ("J", "F"):
            per_frame = np.array(expected[name], dtype=np.float64)
            for suffix, inner in (("stats", False), ("stats_inner", True)):
                found = torch.tensor(davis.statistics(per_frame, inner)).double()
                wanted = torch.tensor(expected[f"{name}_{suffix}"]).double()
                golden.into.close(f"{case}.{name}_{suffix}", found, wanted, STATISTICS)


def _check_masks(golden: Golden) -> None:
    values, into = golden.values, golden.into
    masks = values["mask_in"].numpy()
    large, small = (values[name].shape[-1] for name in ("mask_224_pil", "mask_28_from224_torch"))
    by_pil = resampling.nearest(masks, large, "pil")
    into.exact("mask_224_pil", torch.from_numpy(by_pil), values["mask_224_pil"])
    by_torch = resampling.nearest(by_pil, small, "nearest")
    into.exact("mask_28_from224_torch", torch.from_numpy(by_torch), values["mask_28_from224_torch"])
    direct = resampling.nearest(masks, values["mask_28_direct_pil"].shape[-1], "pil")
    into.exact("mask_28_direct_pil", torch.from_numpy(direct), values["mask_28_direct_pil"])


def _check_clusters(golden: Golden) -> None:
    """Compare with the released path, which reduces all clips of a batch together and trains on a subsample.

    With as many clusters as there are groups every implementation finds them; with more, the partition hangs on random
    numbers, so that no disagreement counts.
    """
    values = golden.values
    clips = cluster_maps.reduced(_clips(values["cluster_in"].float(), golden.device), 50)
    groups = len(values["cluster_true"].unique())
    released = cluster_maps.Settings("faiss", subsample=True)
    for key in values:
        parts = CLUSTERED.fullmatch(key)
        if parts is None:
            continue
        expected, k = values[key].numpy(), int(parts[2])
        size = expected.shape[-1]
        if parts[1] == "frame":
            steps = [cluster_maps.cluster_frames(c, [k] * len(c), size, SEED, released) for c in clips]
            pairs = [
                (one.maps_THW, truth)
                for clip, truths in zip(steps, expected, strict=True)
                for one, truth in zip(clip, truths, strict=True)
            ]
            _agree(golden, key, pairs, counts=False)
            continue
        for backend in (released, cluster_maps.Settings("faiss"), cluster_maps.Settings("torch")):
            seeds, clusters = [SEED] * len(clips), [k] * len(clips)
            found = cluster_maps.cluster_clips(clips, clusters, size, seeds, backend)
            name = f"{key} by {backend.backend}{'' if backend.subsample else ', all points'}"
            pairs = [(one.maps_THW, truth) for one, truth in zip(found, expected, strict=True)]
            _agree(golden, name, pairs, counts=k == groups)


def _agree(golden: Golden, key: str, pairs: list[tuple[Any, Any]], *, counts: bool) -> None:
    """Compare clusterings by the adjusted Rand index, of which the lowest counts."""
    lowest = min(adjusted_rand_score(np.ravel(truth), np.ravel(ours)) for ours, truth in pairs)
    if counts:
        golden.into.number(f"{key}, adjusted Rand", float(lowest), 1.0, 1 - LEAST_RAND)
    else:
        golden.into.told(f"{key}, adjusted Rand", 1 - float(lowest), "the partition hangs on random numbers")


def _clips(tokens_BTND: torch.Tensor, device: str) -> list[torch.Tensor]:
    side = round(tokens_BTND.shape[2] ** 0.5)
    return [clip.reshape(len(clip), side, side, -1) for clip in tokens_BTND.to(device)]


def _beside(golden: Golden) -> Mapping[str, np.ndarray] | None:
    """Return the arrays of the file of the same name that ends in .npz; None, and say so, where there is none."""
    path = golden.path.with_suffix(".npz")
    if not path.is_file():
        for case in golden.values:
            golden.into.skipped(case, f"its inputs, {path.name}, are not beside it")
        return None
    return load(path)


def _whole(values: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(values, dtype=np.int64))
