"""Made-up rows of every kind that a table of the paper must show: no number here was measured."""

import hashlib
from collections.abc import Callable
from typing import Any

from sigma_bench.results.row import Row

LINEAR = ("ssv2", "k400", "ucf101", "hmdb51", "in1k", "cifar100")
SEVERE = {
    "severe/ssv2": ("top1", 70.1), "severe/gym99": ("top1", 88.0), "severe/ucf_1e3": ("top1", 82.5),
    "severe/gym_1e3": ("top1", 27.0), "severe/fx_s1": ("mean_class_acc", 50.0),
    "severe/ub_s1": ("mean_class_acc", 79.0), "severe/ucf_rc": ("mean_count_error", 0.171),
    "severe/charades": ("map", 22.0),
}  # fmt: skip
B_K400 = {"backbone": "ViT-B", "pretrain_data": "K400", "epochs": "800", "motion_guidance": "no", "params_m": 86.2}
DINO = {"system": "sigma_dino_k400_b800", "method": "SIGMA-DINO", "extra_data": "IN-1K", **B_K400}
MLP = {"system": "sigma_mlp_k400_b800", "method": "SIGMA-MLP", **B_K400}
MAE = {"system": "videomae_k400_b800", "method": "VideoMAE", **B_K400}
MINE = {"system": "my & our_model <v2> 50%", "backbone": "ViT-S", "pretrain_data": "K400", "epochs": "100"}


def rows(make_row: Callable[..., Row]) -> list[Row]:
    """Return rows over tables 1 to 7, 12, 13 and the model card."""

    def made(system: dict[str, Any], number: int, **fields: Any) -> Row:
        settings = "".join(str(fields.get(name, "")) for name in ("evaluator", "profile", "data"))
        fields.setdefault("settings_sha256", hashlib.sha256(settings.encode()).hexdigest())
        value = fields.get("value")
        if value is not None and "interval_low" not in fields:
            fields |= {"interval_low": value * 0.98, "interval_high": value * 1.02}
        return make_row(**{"checkpoint_sha256": f"{number:x}" * 64, "frames": "16", **system, **fields})

    failed = {"status": "failed", "value": None, "n_decoded": 0, "error": "CUDA out of memory: 2 GiB\nTraceback ..."}
    partial = {"status": "partial", "n_decoded": 194, "value_missing_wrong": 43.1}
    finetune = {"evaluator": "finetune", "suite": "finetune"}
    out = []
    for place, name in enumerate(LINEAR[:5]):
        out += [made(DINO, 1, task=f"linear/{name}", value=20.5 + 9 * place, seed=seed) for seed in range(1)]
        out += [made(MLP, 2, task=f"linear/{name}", value=19.0 + 5 * place + 0.7 * s, seed=s) for s in range(3)]
    out.append(made(DINO, 1, task="linear/cifar100", **failed))
    out.append(made(MAE, 3, task="linear/k400", value=44.0, **partial))
    out.append(made(MAE, 3, task="linear/ssv2", value=17.7, n_decoded=199, status="partial", value_missing_wrong=17.6))
    out.append(made(MAE, 3, task="linear/ucf101", value=60.0, limit=50, n_expected=50, n_present=50, n_decoded=50))
    out.append(made(MAE, 3, task="linear/hmdb51", value=38.0, task_version=2))
    out.append(made(MAE, 3, task="linear/in1k", value=20.4, marks=["chosen on the test set"]))
    out += [made(MINE, 4, task=f"linear/{name}", value=30.0 + p) for p, name in enumerate(LINEAR)]
    out += [made(DINO, 1, task=f"linear/{name}", evaluator="linear", value=25.0) for name in LINEAR[:3]]
    out += [made(MAE, 3, task="linear/ucf101", evaluator="linear", profile="quick", value=25.0)]
    out += [made(DINO, 1, task=t, metric=m, value=v, **finetune) for t, (m, v) in SEVERE.items()]
    out += [made(MLP, 2, task=t, metric=m, value=v * 0.99, **finetune) for t, (m, v) in list(SEVERE.items())[:5]]
    for name, views, value in (("k400", "5x3", 81.4), ("ssv2", "2x3", 71.0)):
        out.append(made(DINO, 1, task=f"finetune/{name}", value=value, views=views, profile="paper", **finetune))
    out.append(made(MAE, 3, task="finetune/k400", value=80.2, views="7x3", profile="released", **finetune))
    small = {**DINO, "system": "small", "backbone": "ViT-S", "params_m": 22.0}
    for kind, value in (("clustering", 36.0), ("overclustering", 60.2)):
        for name in ("ytvos", "davis"):
            out += [
                made(
                    DINO, 1, task=f"seg/{name}/{kind}", metric="miou", evaluator="segmentation", value=value + s, seed=s
                )
                for s in range(2)
            ]
    out.append(made(small, 5, task="seg/davis/clustering", metric="miou", evaluator="segmentation", value=30.0))
    out.append(made(MLP, 2, task="linear/ucf101", data="miniature", value=99.0))
    return out
