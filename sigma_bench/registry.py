"""Names of the parts, resolved when asked for: listing them imports none."""

from __future__ import annotations

import difflib
import importlib
import traceback
from importlib import import_module
from operator import attrgetter
from typing import Any

from sigma_bench import plugins
from sigma_bench.contracts import UserError

_IMPORTLIB = importlib.__file__

REGISTRY: dict[str, dict[str, str]] = {
    "evaluators": {
        "linear": "sigma_bench.evaluators.linear:evaluate",
        "knn": "sigma_bench.evaluators.knn:evaluate",
        "attentive": "sigma_bench.evaluators.attentive:evaluate",
        "finetune": "sigma_bench.evaluators.finetune:evaluate",
        "linear_released": "sigma_bench.evaluators.finetune:evaluate",
        "segmentation": "sigma_bench.evaluators.segmentation:evaluate",
        "counting": "sigma_bench.evaluators.counting.evaluator:evaluate",
        "multilabel": "sigma_bench.evaluators.multilabel:evaluate",
    },
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
        "videos": "sigma_bench.data.datasets.own_lists:read",
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
    "models": {},
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
    """Return name -> "module:object" of a kind, parts of outside packages included; our own go before theirs.

    Raises:
        KeyError: `kind` is not one of the kinds of this registry.
    """
    outside = {part.name: part.target for part in reversed(plugins.parts(kind))}
    return {**outside, **REGISTRY[kind]}


def knows(kind: str, name: str) -> bool:
    """Tell whether `name` is a part of `kind`, or an object of a module ("package.module:object")."""
    return plugins.is_target(name) or name in names(kind)


def origin(kind: str, name: str) -> str:
    """Return whose part `name` is: package and version, "module:object" where it is named so, "" for our own."""
    if name in REGISTRY[kind]:
        return ""
    return next((part.package for part in plugins.parts(kind) if part.name == name), name)


def listing(kind: str) -> list[tuple[str, str]]:
    """Return (name, what it is and where it comes from) of every part of a kind, and of what is wrong with some."""
    known, said = REGISTRY[kind], list(REGISTRY[kind].items())
    outside = plugins.parts(kind)
    for part in outside:
        others = [p.package for p in outside if p.name == part.name and p.package != part.package]
        hidden = "sigma-bench's own part of this name is taken" if part.name in known else ""
        unclear = f"cannot be used: {', '.join(others)} has the name too" if others else ""
        said.append((part.name, "; ".join(filter(None, (f"{part.target} (from {part.package})", hidden or unclear)))))
    return sorted(said) + [("!", problem) for problem in plugins.problems()]


def load_object(target: str, package: str = "") -> Any:
    """Import "package.module:object" and return the object.

    Args:
        target: What to import; the object may be an attribute of a class.
        package: Package that names the target, for messages.

    Raises:
        UserError: The module or the object does not exist, or importing it fails in whatever way.
    """
    if not plugins.is_target(target):
        raise UserError(f"'{target}' names no object; expected MODULE:OBJECT, for example my_package.my_model:build")
    module, _, attribute = target.partition(":")
    whose = f" of package {package}" if package else ""
    try:
        return attrgetter(attribute)(import_module(module))
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}{_where(error)}"
        raise UserError(f"cannot load '{target}'{whose}: {said}") from error


def _where(error: BaseException) -> str:
    """Return the line of a module that an error in it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith("<frozen") and f.filename not in (__file__, _IMPORTLIB)]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def get(kind: str, name: str) -> Any:
    """Return the part `name` of `kind`, imported now; `name` may be "package.module:object" too.

    Raises:
        UserError: No part of that name (the message lists the known ones and the nearest), two packages have one of
            it, or it cannot be imported.
    """
    if name in REGISTRY[kind]:
        return load_object(REGISTRY[kind][name])
    if plugins.is_target(name):
        return load_object(name)
    found = [part for part in plugins.parts(kind) if part.name == name]
    if len({part.package for part in found}) > 1:
        raise UserError(
            f"{kind.removesuffix('s')} '{name}' is in several packages: {', '.join(part.package for part in found)}; "
            f"name the object instead: {' or '.join(part.target for part in found)}"
        )
    if found:
        return load_object(found[0].target, found[0].package)
    known = names(kind)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    faulty = "".join(f" {problem}." for problem in plugins.problems())
    raise UserError(f"unknown {kind.removesuffix('s')} '{name}'.{hint} Known: {', '.join(sorted(known))}.{faulty}")
