"""Names of the parts, resolved when asked for: listing them imports none."""

from __future__ import annotations

import difflib
from importlib import import_module, metadata
from typing import Any

from sigma_bench.contracts import UserError

REGISTRY: dict[str, dict[str, str]] = {
    "evaluators": {"linear": "sigma_bench.evaluators.linear:evaluate"},
    "objectives": {
        "sigma": "sigma_bench.pretrain.objectives:Sigma",
        "pixels": "sigma_bench.pretrain.objectives:Pixels",
        "feature_l2": "sigma_bench.pretrain.objectives:FeatureL2",
    },
    "datasets": {
        "ucf101": "sigma_bench.data.datasets.ucf101:read",
        "k400": "sigma_bench.data.datasets.k400:read",
        "mini_ssv2": "sigma_bench.data.datasets.mini_ssv2:read",
        "ssv2": "sigma_bench.data.datasets.ssv2:read",
        "hmdb51": "sigma_bench.data.datasets.hmdb51:read",
        "gym99": "sigma_bench.data.datasets.finegym:gym99",
        "gym288": "sigma_bench.data.datasets.finegym:gym288",
        "fx_s1": "sigma_bench.data.datasets.finegym:fx_s1",
        "ub_s1": "sigma_bench.data.datasets.finegym:ub_s1",
        "davis": "sigma_bench.data.datasets.davis:read",
        "davis_unsupervised": "sigma_bench.data.datasets.davis:unsupervised",
        "ytvos": "sigma_bench.data.datasets.ytvos:read",
        "ucf101_1000": "sigma_bench.data.datasets.lowshot_sets:ucf101_1000",
        "gym99_1000": "sigma_bench.data.datasets.lowshot_sets:gym99_1000",
        "charades": "sigma_bench.data.datasets.charades:read",
        "ucfrep": "sigma_bench.data.datasets.ucfrep:read",
        "in1k": "sigma_bench.data.datasets.in1k:read",
        "cifar100": "sigma_bench.data.datasets.cifar100:read",
        "folder": "sigma_bench.data.datasets.folder:read",
        "video_list": "sigma_bench.data.datasets.video_list:read",
    },
    "splits": {
        "in1k": "sigma_bench.data.datasets.in1k:splits",
        "k400": "sigma_bench.data.datasets.k400:splits",
        "mini_ssv2": "sigma_bench.data.datasets.mini_ssv2:splits",
        "ssv2": "sigma_bench.data.datasets.ssv2:splits",
        "gym99": "sigma_bench.data.datasets.finegym:gym99_splits",
        "gym288": "sigma_bench.data.datasets.finegym:gym288_splits",
        "fx_s1": "sigma_bench.data.datasets.finegym:gym99_splits",
        "ub_s1": "sigma_bench.data.datasets.finegym:gym99_splits",
        "ucfrep": "sigma_bench.data.datasets.ucfrep:splits",
        "davis": "sigma_bench.data.datasets.davis:splits",
        "davis_unsupervised": "sigma_bench.data.datasets.davis:unsupervised_splits",
        "ytvos": "sigma_bench.data.datasets.ytvos:splits",
        "gym99_1000": "sigma_bench.data.datasets.finegym:gym99_splits",
    },
    "miniatures": {
        "ucf101": "sigma_bench.data.miniatures.ucf101:write",
        "ssv2": "sigma_bench.data.miniatures.ssv2:write",
        "k400": "sigma_bench.data.miniatures.k400:write",
        "hmdb51": "sigma_bench.data.miniatures.hmdb51:write",
        "finegym": "sigma_bench.data.miniatures.finegym:write",
        "in1k": "sigma_bench.data.miniatures.in1k:write",
        "cifar100": "sigma_bench.data.miniatures.cifar100:write",
        "davis": "sigma_bench.data.miniatures.davis:write",
        "ytvos": "sigma_bench.data.miniatures.ytvos:write",
        "charades": "sigma_bench.data.miniatures.charades:write",
        "ucfrep": "sigma_bench.data.miniatures.ucfrep:write",
    },
    "decoders": {
        "decord": "sigma_bench.data.decode.decord_backend:Backend",
        "torchcodec": "sigma_bench.data.decode.torchcodec_backend:Backend",
        "pyav": "sigma_bench.data.decode.pyav_backend:Backend",
    },
}
DRAWN_FROM = {
    "mini_ssv2": "ssv2",
    "gym99": "finegym",
    "gym288": "finegym",
    "fx_s1": "finegym",
    "ub_s1": "finegym",
    "davis_unsupervised": "davis",
    "ucf101_1000": "ucf101",
    "gym99_1000": "finegym",
}
"""Data set -> the data set whose folder it is read from where it has none of its own."""


def names(kind: str) -> dict[str, str]:
    """Return name -> "module:object" of a kind, parts of outside packages (entry points) included.

    Raises:
        KeyError: `kind` is not one of the kinds of this registry.
    """
    outside = {e.name: e.value for e in metadata.entry_points(group=f"sigma_bench.{kind}")}
    return {**outside, **REGISTRY[kind]}


def load_object(target: str) -> Any:
    """Import "package.module:object" and return the object.

    Raises:
        UserError: The module or the object does not exist.
    """
    module, _, attribute = target.partition(":")
    if not attribute:
        raise UserError(f"'{target}' names no object; expected MODULE:OBJECT, for example my_package.my_model:build")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"cannot load '{target}': {error}") from error


def get(kind: str, name: str) -> Any:
    """Return the part `name` of `kind`, imported now.

    Raises:
        UserError: No part of that name; the message lists the known ones and the nearest.
    """
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(f"unknown {kind.removesuffix('s')} '{name}'.{hint} Known: {', '.join(sorted(known))}.")
    return load_object(known[name])
